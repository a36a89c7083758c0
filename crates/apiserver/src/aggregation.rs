//! `ClusterRoles` that are the sum of others: their `rules` are those of the roles that their `aggregationRule` selects.
//!
//! The sums are looked at when any `ClusterRole` changes, and written by server-side apply, as a real cluster's
//! clusterrole-aggregation-controller does.

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::selector::LabelSelector;
use wavetank_model::{GroupKind, ObjectKey, PatchType, Status, object};

use crate::create::Call;
use crate::kinds::json::{items, present};
use crate::registry::Resource;
use crate::server::{Server, Work};

const CONTROLLER: &str = "clusterrole-aggregation-controller";
const GROUP: &str = "rbac.authorization.k8s.io";
const KIND: &str = "ClusterRole";

impl Server {
    /// Plans a look at each sum after a change of a role.
    pub(crate) fn plan_aggregation(&mut self, resource: &Resource, now: SimTime) {
        if resource.group != GROUP || resource.kind() != KIND {
            return;
        }
        let due = now + self.config.latencies.collector;
        for role in self.list(&GroupKind::new(GROUP, KIND), None) {
            let name = object::name(&role).to_owned();
            if !selectors(&role).is_empty() && self.planned.sums.insert(name.clone()) {
                self.plan(due, Work::Aggregate(name));
            }
        }
    }

    /// Writes the rules of one sum, unless they stand there already; again later, when that was refused.
    pub(crate) fn aggregate(&mut self, name: &str, now: SimTime) {
        self.planned.sums.remove(name);
        let done = self.sum_up(name, now);
        self.attempted(Work::Aggregate(name.to_owned()), done, now);
    }

    fn sum_up(&mut self, name: &str, now: SimTime) -> Result<(), Status> {
        let (Some(role), Some(resource)) = (
            self.get(&ObjectKey::new(GROUP, KIND, "", name)),
            self.registry.by_kind(GROUP, KIND).cloned(),
        ) else {
            return Ok(());
        };
        if selectors(&role).is_empty() {
            return Ok(());
        }
        let all = self.list(&GroupKind::new(GROUP, KIND), None);
        let mut rules: Vec<&Value> = Vec::new();
        for selector in selectors(&role) {
            let selector = LabelSelector::from_object(Some(selector)).unwrap_or_default();
            let parts = all
                .iter()
                .filter(|part| object::name(part) != name && selector.matches(part));
            for rule in parts.flat_map(|part| items(part, "rules")) {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        }
        if items(&role, "rules").iter().eq(rules.iter().copied()) {
            return Ok(());
        }
        let mut applied = json!({
            "apiVersion": resource.storage, "kind": KIND, "metadata": {"name": name},
        });
        if !rules.is_empty() {
            applied["rules"] = json!(rules);
        }
        let mut call = Call::inside(&resource, CONTROLLER, CONTROLLER, "", name, now);
        call.options.force = true;
        let written = self.patch(&mut call, PatchType::Apply, applied.into());
        written.map(|_| ())
    }
}

fn selectors(role: &Value) -> &[Value] {
    let found = present(role, "aggregationRule");
    found.map_or(&[], |rule| items(rule, "clusterRoleSelectors"))
}
