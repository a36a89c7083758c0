//! Evicting Pods (API-227).

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::object::At;
use wavetank_model::selector::LabelSelector;
use wavetank_model::status::{StatusCause, StatusDetails};
use wavetank_model::{DeleteOptions, GroupKind, Status, object};

use crate::binding::set_condition;
use crate::create::Call;
use crate::failure;
use crate::server::Server;

impl Server {
    /// Deletes a Pod if its disruption budget allows it.
    pub(crate) fn evict(
        &mut self,
        call: &mut Call,
        eviction: &Value,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let named = object::name(eviction);
        if !named.is_empty() && named != call.name {
            return Err(failure::bad_request(
                "name in URL does not match name in Eviction object",
            ));
        }
        let key = call.storage_key(&call.name);
        let stored = self.store.get(call.resource.table, &key).cloned();
        let stored = stored.ok_or_else(|| failure::not_found(&call.resource, &call.name))?;
        let pod = self.store.value(&stored);
        let phase = pod
            .at(&["status", "phase"])
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !stored.terminating && !matches!(phase, "Pending" | "Succeeded" | "Failed") {
            self.use_budget(call, &pod)?;
            self.mark_disrupted(call, &pod)?;
        }
        self.delete(call, options).map(|_| ())
    }

    /// Takes one disruption out of the budget of a Pod, if it has one.
    fn use_budget(&mut self, call: &Call, pod: &Value) -> Result<(), Status> {
        let (group, kind) = ("policy", "PodDisruptionBudget");
        let Some(resource) = self.registry.by_kind(group, kind).cloned() else {
            return Ok(());
        };
        let budgets: Vec<Arc<Value>> = self
            .list(&GroupKind::new(group, kind), Some(&call.namespace))
            .into_iter()
            .filter(|budget| {
                LabelSelector::from_object(budget.at(&["spec", "selector"]))
                    .is_ok_and(|selector| selector.matches(pod))
            })
            .collect();
        let budget = match budgets.as_slice() {
            [] => return Ok(()),
            [one] => one,
            _ => {
                return Err(failure::internal(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        let status = |field: &str| {
            budget["status"]
                .get(field)
                .and_then(Value::as_i64)
                .unwrap_or(0)
        };
        let name = object::name(budget);
        if status("observedGeneration") < object::generation(budget) {
            return Err(too_many(
                &format!("The disruption budget {name} is still being processed by the server."),
                10,
            ));
        }
        if may_go_unhealthy(pod, budget) {
            return Ok(());
        }
        let allowed = status("disruptionsAllowed");
        if allowed < 1 {
            let (needs, has) = (status("desiredHealthy"), status("currentHealthy"));
            return Err(too_many(
                &format!(
                    "The disruption budget {name} needs {needs} healthy pods and has {has} currently"
                ),
                0,
            ));
        }
        let mut changed = Value::clone(budget);
        changed["status"]["disruptionsAllowed"] = Value::from(allowed - 1);
        changed["status"]["disruptedPods"][object::name(pod)] =
            Value::from(self.timestamp(call.now));
        let mut inner = call.clone();
        inner.resource = Arc::clone(&resource);
        inner.api_version.clone_from(&resource.storage);
        name.clone_into(&mut inner.name);
        "status".clone_into(&mut inner.subresource);
        self.update(&mut inner, changed.into()).map(|_| ())
    }

    fn mark_disrupted(&mut self, call: &Call, pod: &Arc<Value>) -> Result<(), Status> {
        let mut changed = Value::clone(pod);
        let stamp = self.timestamp(call.now);
        set_condition(
            &mut changed,
            json!({
                "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": stamp,
            }),
        );
        let mut inner = call.clone();
        "status".clone_into(&mut inner.subresource);
        self.update(&mut inner, changed.into()).map(|_| ())
    }
}

/// Whether a Pod that is not ready may go without using the budget: always, or while enough others are healthy.
fn may_go_unhealthy(pod: &Value, budget: &Value) -> bool {
    let ready = object::is_true(pod, "Ready");
    let status = |field: &str| {
        budget["status"]
            .get(field)
            .and_then(Value::as_i64)
            .unwrap_or(0)
    };
    let enough =
        status("desiredHealthy") > 0 && status("currentHealthy") >= status("desiredHealthy");
    !ready
        && (enough
            || budget
                .at(&["spec", "unhealthyPodEvictionPolicy"])
                .is_some_and(|policy| policy == "AlwaysAllow"))
}

fn too_many(cause: &str, retry_after_seconds: u32) -> Status {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::new(429, "TooManyRequests", message).with_details(StatusDetails {
        causes: vec![StatusCause {
            reason: "DisruptionBudget".to_owned(),
            message: cause.to_owned(),
            field: String::new(),
        }],
        retry_after_seconds,
        ..StatusDetails::default()
    })
}
