//! The `StatefulSet` controller (API-347, API-348).

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::{ObjectKey, Status, object};

use crate::claim;
use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::history::{self, History};
use crate::pods;
use crate::read::{
    controller_reference, int, list, map, pod_ended, set_counter, text, with_status,
};
use crate::volume;

const SOURCE: Source = Source::Controller("statefulset-controller");
const HASH: &str = "controller.kubernetes.io/hash";
const REVISION: &str = "controller-revision-hash";
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// One look at one `StatefulSet`.
struct View {
    set: Arc<Value>,
    /// Pods by ordinal.
    pods: BTreeMap<i64, Arc<Value>>,
    start: i64,
    replicas: i64,
    current: String,
    update: String,
    min_ready: i64,
    ordered: bool,
}

/// What is to be done next; one thing at a time where the set is ordered.
#[derive(Clone, Debug, PartialEq)]
enum Act {
    Create(i64),
    Delete(Arc<Value>),
}

/// Looks at one `StatefulSet`.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(set) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    if object::is_terminating(&set) {
        return Ok(Again::Never);
    }
    let history = History::sync(&set, HASH, context)?;
    let update = history
        .present()
        .map(|revision| object::name(revision).to_owned())
        .unwrap_or_default();
    let current = text(&set, &["status", "currentRevision"]);
    let current = if history.find(current).is_some() {
        current.to_owned()
    } else {
        update.clone()
    };
    let owned = claim::pods(&set, None, |pod| ordinal(&set, pod).is_some(), context)?;
    let view = View {
        pods: owned
            .into_iter()
            .filter_map(|pod| Some((ordinal(&set, &pod)?, pod)))
            .collect(),
        start: int(&set, &["spec", "ordinals", "start"]).unwrap_or(0),
        replicas: int(&set, &["spec", "replicas"]).unwrap_or(1),
        current,
        update,
        min_ready: int(&set, &["spec", "minReadySeconds"]).unwrap_or(0),
        ordered: text(&set, &["spec", "podManagementPolicy"]) != "Parallel",
        set,
    };
    view.fix_pods(context)?;
    view.fix_claims(context)?;
    let (acts, mut again) = view.acts(context);
    let mut outcome = Ok(());
    for act in &acts {
        let done = match act {
            Act::Create(ordinal) => view.create(*ordinal, &history, context),
            Act::Delete(pod) => view.delete(pod, context),
        };
        outcome = outcome.and(done);
    }
    let deleted = acts.iter().filter(|act| matches!(act, Act::Delete(pod) if is_of(pod, &view.current) && view.current != view.update));
    let deleted = i64::try_from(deleted.count()).unwrap_or(0);
    let status = view.status(deleted, context);
    if is_news(&view.set, &status) {
        context
            .api
            .update(MANAGER, with_status(&view.set, status), "status")?;
    }
    history.truncate(
        &view.set,
        |revision| {
            let name = object::name(revision);
            name == view.current || view.pods.values().any(|pod| is_of(pod, name))
        },
        context,
    )?;
    outcome?;
    if let Some(at) = view.next_available(context) {
        again = again.or(Again::work(at));
    }
    Ok(again)
}

/// What a claim says of whom it goes with.
fn claim_owner(owner: &Value) -> Value {
    let mut reference = controller_reference(owner);
    reference["blockOwnerDeletion"] = true.into();
    reference
}

fn is_of(pod: &Value, revision: &str) -> bool {
    object::label(pod, REVISION) == Some(revision)
}

fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    object::name(pod)
        .strip_prefix(object::name(set))?
        .strip_prefix('-')?
        .parse()
        .ok()
}

fn is_news(set: &Value, status: &Map) -> bool {
    let stored = map(set, &["status"]);
    status.iter().any(|(field, value)| {
        field != "collisionCount" && stored.and_then(|stored| stored.get(field)) != Some(value)
    }) || stored
        .into_iter()
        .flatten()
        .any(|(field, _)| !status.contains_key(field) && field != "conditions")
}

impl View {
    fn is_running_and_ready(pod: &Value) -> bool {
        text(pod, &["status", "phase"]) == "Running" && pods::is_ready(pod)
    }

    fn is_available(&self, pod: &Value, context: &Context<'_>) -> bool {
        Self::is_running_and_ready(pod)
            && pods::available_at(pod, self.min_ready, context.config.epoch)
                .is_some_and(|at| at <= context.now)
    }

    fn next_available(&self, context: &Context<'_>) -> Option<SimTime> {
        let pods = self
            .pods
            .values()
            .filter_map(|pod| pods::available_at(pod, self.min_ready, context.config.epoch));
        pods.filter(|at| *at > context.now).min()
    }

    /// Creations and replacements from the lowest ordinal, then removals from the highest, then the update.
    fn acts(&self, context: &Context<'_>) -> (Vec<Act>, Again) {
        let mut acts = Vec::new();
        let mut blocked = false;
        for ordinal in self.start..self.start + self.replicas {
            match self.pods.get(&ordinal) {
                None => {
                    acts.push(Act::Create(ordinal));
                    blocked = true;
                }
                Some(pod) if pod_ended(pod) => {
                    if !object::is_terminating(pod) {
                        acts.push(Act::Delete(Arc::clone(pod)));
                    }
                    blocked = true;
                }
                Some(pod) => {
                    blocked |= self.ordered
                        && (object::is_terminating(pod) || !self.is_available(pod, context));
                }
            }
            if blocked && self.ordered {
                return (acts, Again::Never);
            }
        }
        if blocked {
            return (acts, Again::Never);
        }
        let end = self.start + self.replicas;
        let condemned: Vec<&Arc<Value>> = self
            .pods
            .iter()
            .rev()
            .filter(|(ordinal, _)| **ordinal < self.start || **ordinal >= end)
            .map(|(_, pod)| pod)
            .collect();
        for pod in condemned {
            if !object::is_terminating(pod) {
                acts.push(Act::Delete(Arc::clone(pod)));
            }
            if self.ordered {
                return (acts, Again::Never);
            }
        }
        if acts.is_empty() && text(&self.set, &["spec", "updateStrategy", "type"]) != "OnDelete" {
            acts.extend(self.update(context));
        }
        (acts, Again::Never)
    }

    /// The Pod that is replaced next by one of the newest revision: the highest ordinal that is behind.
    fn update(&self, context: &Context<'_>) -> Option<Act> {
        let partition = int(
            &self.set,
            &["spec", "updateStrategy", "rollingUpdate", "partition"],
        )
        .unwrap_or(0);
        for ordinal in (self.start + partition..self.start + self.replicas).rev() {
            let pod = self.pods.get(&ordinal)?;
            if !is_of(pod, &self.update) && !object::is_terminating(pod) {
                return Some(Act::Delete(Arc::clone(pod)));
            }
            if object::is_terminating(pod) || !self.is_available(pod, context) {
                return None;
            }
        }
        None
    }

    fn create(
        &self,
        ordinal: i64,
        history: &History,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let partition = int(
            &self.set,
            &["spec", "updateStrategy", "rollingUpdate", "partition"],
        )
        .unwrap_or(0);
        let below = ordinal < self.start + partition
            && text(&self.set, &["spec", "updateStrategy", "type"]) != "OnDelete";
        let name = if below { &self.current } else { &self.update };
        let Some(revision) = history.find(name) else {
            return Ok(());
        };
        let owner = history::with_template(&self.set, revision);
        self.create_claims(ordinal, context)?;
        let pod_name = format!("{}-{ordinal}", object::name(&self.set));
        let mut pod = pods::from_template(&owner, &format!("{}-", object::name(&self.set)));
        pod["metadata"]["name"] = pod_name.clone().into();
        pod["metadata"]["labels"][REVISION] = name.as_str().into();
        pod["metadata"]["labels"][POD_NAME] = pod_name.clone().into();
        pod["metadata"]["labels"][POD_INDEX] = ordinal.to_string().into();
        pod["spec"]["hostname"] = pod_name.clone().into();
        if let Some(service) = self.set["spec"]
            .get("serviceName")
            .filter(|service| service.as_str().is_some_and(|name| !name.is_empty()))
        {
            pod["spec"]["subdomain"] = service.clone();
        }
        let mut volumes = list(&pod, &["spec", "volumes"]).to_vec();
        for template in list(&self.set, &["spec", "volumeClaimTemplates"]) {
            let volume = object::name(template);
            volumes.retain(|known| text(known, &["name"]) != volume);
            volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": self.claim_name(template, ordinal)}}));
        }
        if !volumes.is_empty() {
            pod["spec"]["volumes"] = Value::Array(volumes);
        }
        let made = context.api.create(MANAGER, pod).map(|_| ());
        self.note("Create", &pod_name, made.as_ref().err(), context);
        made
    }

    fn delete(&self, pod: &Value, context: &mut Context<'_>) -> Result<(), Status> {
        let (ended, terminating) = (pod_ended(pod), object::is_terminating(pod));
        if ended && !terminating {
            let failed = text(pod, &["status", "phase"]) == "Failed";
            let (kind, reason, what) = if failed {
                (Kind::Warning, "RecreatingFailedPod", "failed")
            } else {
                (Kind::Normal, "RecreatingTerminatedPod", "terminated")
            };
            let message = format_args!(
                "StatefulSet {}/{} is recreating {what} Pod {}",
                object::namespace(&self.set),
                object::name(&self.set),
                object::name(pod)
            );
            context.event(SOURCE, &self.set, kind, reason, message);
        }
        let removed = pods::remove(pod, context).map(|_| ());
        self.note("Delete", object::name(pod), removed.as_ref().err(), context);
        removed
    }

    /// Says what was done about a Pod, or why not.
    fn note(&self, verb: &str, pod: &str, refusal: Option<&Status>, context: &mut Context<'_>) {
        let set = object::name(&self.set);
        match refusal {
            None => context.event(
                SOURCE,
                &self.set,
                Kind::Normal,
                &format!("Successful{verb}"),
                format_args!("{verb} Pod {pod} in StatefulSet {set} successful"),
            ),
            Some(refusal) => context.event(
                SOURCE,
                &self.set,
                Kind::Warning,
                &format!("Failed{verb}"),
                format_args!(
                    "{verb} Pod {pod} in StatefulSet {set} failed error: {}",
                    refusal.message
                ),
            ),
        }
    }

    fn claim_name(&self, template: &Value, ordinal: i64) -> String {
        format!(
            "{}-{}-{ordinal}",
            object::name(template),
            object::name(&self.set)
        )
    }

    fn create_claims(&self, ordinal: i64, context: &mut Context<'_>) -> Result<(), Status> {
        for template in list(&self.set, &["spec", "volumeClaimTemplates"]) {
            let name = self.claim_name(template, ordinal);
            let key = volume::claim_key(object::namespace(&self.set), name.clone());
            if context.api.get(&key).is_some() {
                continue;
            }
            let mut labels = map(&self.set, &["spec", "selector", "matchLabels"])
                .cloned()
                .unwrap_or_default();
            labels.extend(
                map(template, &["metadata", "labels"])
                    .cloned()
                    .unwrap_or_default(),
            );
            let mut claim = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": key.namespace, "labels": labels},
                "spec": template.get("spec").cloned().unwrap_or_default(),
            });
            if let Some(annotations) = map(template, &["metadata", "annotations"]) {
                claim["metadata"]["annotations"] = Value::Object(annotations.clone());
            }
            let made = context.api.create(MANAGER, claim);
            let (claim, set) = (&key.name, object::name(&self.set));
            match &made {
                Ok(_) => context.event(
                    SOURCE,
                    &self.set,
                    Kind::Normal,
                    "SuccessfulCreate",
                    format_args!("Create Claim {claim} Pod {set}-{ordinal} in StatefulSet {set} success"),
                ),
                Err(refusal) => context.event(
                    SOURCE,
                    &self.set,
                    Kind::Warning,
                    "FailedCreate",
                    format_args!(
                        "Create Claim {claim} for Pod {set}-{ordinal} in StatefulSet {set} failed error: {}",
                        refusal.message
                    ),
                ),
            }
            made?;
        }
        Ok(())
    }

    /// Gives adopted Pods the labels that Pods of a set have.
    fn fix_pods(&self, context: &mut Context<'_>) -> Result<(), Status> {
        for (ordinal, pod) in self.wanted_pods() {
            let name = object::name(pod);
            if object::label(pod, POD_NAME) == Some(name) || object::is_terminating(pod) {
                continue;
            }
            let mut fixed = Value::clone(pod);
            fixed["metadata"]["labels"][POD_NAME] = name.into();
            fixed["metadata"]["labels"][POD_INDEX] = ordinal.to_string().into();
            let updated = context.api.update(MANAGER, fixed, "").map(|_| ());
            self.note("Update", name, updated.as_ref().err(), context);
            updated?;
        }
        Ok(())
    }

    fn wanted_pods(&self) -> impl Iterator<Item = (i64, &Arc<Value>)> {
        let wanted = self.start..self.start + self.replicas;
        self.pods
            .range(wanted)
            .map(|(ordinal, pod)| (*ordinal, pod))
    }

    /// Lets claims go with the set, or with a Pod that is scaled away, where `persistentVolumeClaimRetentionPolicy` says
    /// so: by owner references.
    fn fix_claims(&self, context: &mut Context<'_>) -> Result<(), Status> {
        let templates = list(&self.set, &["spec", "volumeClaimTemplates"]);
        if templates.is_empty() {
            return Ok(());
        }
        let policy = |field: &str| {
            text(
                &self.set,
                &["spec", "persistentVolumeClaimRetentionPolicy", field],
            ) == "Delete"
        };
        let (with_set, with_pod) = (policy("whenDeleted"), policy("whenScaled"));
        for (ordinal, pod) in &self.pods {
            let scaled = *ordinal < self.start || *ordinal >= self.start + self.replicas;
            let owner = match (with_set, with_pod && scaled) {
                (_, true) => Some(&**pod),
                (true, false) => Some(&*self.set),
                (false, false) => None,
            };
            for template in templates {
                self.fix_claim(&self.claim_name(template, *ordinal), pod, owner, context)?;
            }
        }
        Ok(())
    }

    fn fix_claim(
        &self,
        name: &str,
        pod: &Value,
        owner: Option<&Value>,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let key = volume::claim_key(object::namespace(&self.set), name);
        let Some(claim) = context.api.get(&key) else {
            return Ok(());
        };
        let known = list(&claim, &["metadata", "ownerReferences"]);
        let ours = [object::uid(&self.set), object::uid(pod)];
        let mut wanted: Vec<Value> = known
            .iter()
            .filter(|known| !ours.contains(&text(known, &["uid"])))
            .cloned()
            .collect();
        if let Some(owner) = owner {
            let there = known
                .iter()
                .find(|known| text(known, &["uid"]) == object::uid(owner));
            wanted.push(there.cloned().unwrap_or_else(|| claim_owner(owner)));
        }
        if wanted == known {
            return Ok(());
        }
        let mut claim = Value::clone(&claim);
        claim["metadata"]["ownerReferences"] = Value::Array(wanted);
        context.api.update(MANAGER, claim, "").map(|_| ())
    }

    /// The counters of the Pods that were there before this look (`deleted` of the current revision went with it).
    fn status(&self, deleted: i64, context: &Context<'_>) -> Map {
        let count = |test: &dyn Fn(&Value) -> bool| -> i64 {
            i64::try_from(self.pods.values().filter(|pod| test(pod)).count()).unwrap_or(i64::MAX)
        };
        let of =
            |revision: &str| count(&|pod| is_of(pod, revision) && !object::is_terminating(pod));
        let (replicas, ready) = (count(&|_| true), count(&Self::is_running_and_ready));
        let (mut current, updated) = (of(&self.current) - deleted, of(&self.update));
        let mut current_revision = &self.current;
        let rolling = text(&self.set, &["spec", "updateStrategy", "type"]) != "OnDelete";
        if rolling
            && updated == self.replicas
            && ready == self.replicas
            && replicas == self.replicas
        {
            current = updated;
            current_revision = &self.update;
        }
        let mut status = Map::new();
        status.insert(
            "observedGeneration".to_owned(),
            object::generation(&self.set).into(),
        );
        status.insert("replicas".to_owned(), replicas.into());
        status.insert(
            "availableReplicas".to_owned(),
            count(&|pod| self.is_available(pod, context)).into(),
        );
        status.insert(
            "currentRevision".to_owned(),
            current_revision.as_str().into(),
        );
        status.insert("updateRevision".to_owned(), self.update.as_str().into());
        status.insert(
            "collisionCount".to_owned(),
            int(&self.set, &["status", "collisionCount"])
                .unwrap_or(0)
                .into(),
        );
        set_counter(&mut status, "readyReplicas", ready);
        set_counter(&mut status, "currentReplicas", current);
        set_counter(&mut status, "updatedReplicas", updated);
        if let Some(conditions) = self
            .set
            .get("status")
            .and_then(|status| status.get("conditions"))
        {
            status.insert("conditions".to_owned(), conditions.clone());
        }
        status
    }
}
