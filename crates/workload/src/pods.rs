//! What the controllers that make Pods have in common: making, removing, ranking and judging them.

use std::sync::Arc;
use std::time::Duration;

use wavetank_json::{Map, Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::timestamp::{self, Epoch};
use wavetank_model::{DeleteOptions, GroupKind, ObjectKey, Status, object};

use crate::context::{Context, MANAGER};
use crate::events::{Kind, Source};
use crate::read::{condition, controller_reference, int, is_true, list, map, pod_ended, text};

/// The most Pods one look at an owner makes or removes.
pub(crate) const BURST: usize = 500;

/// The Pods that `owner` controls, by name.
pub(crate) fn of(owner: &Value, context: &Context<'_>) -> Vec<Arc<Value>> {
    let uid = object::uid(owner);
    let mut pods = context.api.owned(&GroupKind::new("", "Pod"), uid);
    pods.retain(|pod| object::controller(pod).is_some_and(|controller| controller.uid == uid));
    pods
}

/// Whether a Pod neither ended nor is going away.
pub(crate) fn is_active(pod: &Value) -> bool {
    !pod_ended(pod) && !object::is_terminating(pod)
}

/// Whether a Pod is going away and did not end yet.
pub(crate) fn is_terminating(pod: &Value) -> bool {
    !pod_ended(pod) && object::is_terminating(pod)
}

/// Whether a Pod is Ready.
pub(crate) fn is_ready(pod: &Value) -> bool {
    is_true(pod, "Ready")
}

/// When a Pod is available: Ready for `min_ready` seconds. `None` when it is not Ready.
pub(crate) fn available_at(pod: &Value, min_ready: i64, epoch: Epoch) -> Option<SimTime> {
    let ready = condition(pod, "Ready").filter(|ready| text(ready, &["status"]) == "True")?;
    let min_ready = u64::try_from(min_ready).unwrap_or(0);
    if min_ready == 0 {
        return Some(SimTime::ZERO);
    }
    let since = timestamp::parse(text(ready, &["lastTransitionTime"]))
        .map_or(SimTime::ZERO, |at| epoch.sim(at));
    Some(since + Duration::from_secs(min_ready))
}

/// How many Pods are Ready and available, and when the next of the Ready ones becomes available.
pub(crate) fn readiness(
    pods: &[Arc<Value>],
    min_ready: i64,
    context: &Context<'_>,
) -> (i64, i64, Option<SimTime>) {
    let (mut ready, mut available, mut next) = (0, 0, None);
    for pod in pods {
        let Some(at) = available_at(pod, min_ready, context.config.epoch) else {
            continue;
        };
        ready += 1;
        if at <= context.now {
            available += 1;
        } else {
            next = Some(next.map_or(at, |next: SimTime| next.min(at)));
        }
    }
    (ready, available, next)
}

/// A Pod made from `owner`'s template, named after `prefix`.
pub(crate) fn from_template(owner: &Value, prefix: &str) -> Value {
    let empty = Map::new();
    let template = map(owner, &["spec", "template"]).unwrap_or(&empty);
    let meta = template.get("metadata");
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = meta.and_then(|meta| meta.get(field)) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("generateName".to_owned(), prefix.into());
    metadata.insert("namespace".to_owned(), object::namespace(owner).into());
    metadata.insert(
        "ownerReferences".to_owned(),
        Value::Array(vec![controller_reference(owner)]),
    );
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_default(),
    })
}

/// Creates Pods in batches of 1, 2, 4… and stops after a batch in which one was refused (API-326). Gives how many were
/// made, and the first refusal.
pub(crate) fn slow_start(
    count: usize,
    context: &mut Context<'_>,
    mut make: impl FnMut(usize, &mut Context<'_>) -> Result<Arc<Value>, Status>,
) -> (usize, Result<(), Status>) {
    let (mut created, mut next, mut size) = (0, 0, 1);
    while next < count {
        let batch = next..(next + size).min(count);
        next = batch.end;
        let mut refusal = Ok(());
        for number in batch {
            match make(number, context) {
                Ok(_) => created += 1,
                Err(status) => refusal = refusal.and(Err(status)),
            }
        }
        if refusal.is_err() {
            return (created, refusal);
        }
        size *= 2;
    }
    (created, Ok(()))
}

/// Creates a Pod of `owner`.
pub(crate) fn create(
    owner: &Value,
    pod: Value,
    source: Source,
    context: &mut Context<'_>,
) -> Result<Arc<Value>, Status> {
    let created = context.api.create(MANAGER, pod);
    match &created {
        Ok(pod) => context.event(
            source,
            owner,
            Kind::Normal,
            "SuccessfulCreate",
            format_args!("Created pod: {}", object::name(pod)),
        ),
        Err(status) => context.event(
            source,
            owner,
            Kind::Warning,
            "FailedCreate",
            format_args!("Error creating: {}", status.message),
        ),
    }
    created
}

/// Deletes a Pod of `owner`; one that is gone already is no error.
pub(crate) fn delete(
    owner: &Value,
    pod: &Value,
    source: Source,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    match remove(pod, context) {
        Ok(true) => context.event(
            source,
            owner,
            Kind::Normal,
            "SuccessfulDelete",
            format_args!("Deleted pod: {}", object::name(pod)),
        ),
        Ok(false) => {}
        Err(status) => {
            context.event(
                source,
                owner,
                Kind::Warning,
                "FailedDelete",
                format_args!("Error deleting: {}", status.message),
            );
            return Err(status);
        }
    }
    Ok(())
}

/// Deletes a Pod and says whether it was there.
pub(crate) fn remove(pod: &Value, context: &mut Context<'_>) -> Result<bool, Status> {
    let key = ObjectKey::new("", "Pod", object::namespace(pod), object::name(pod));
    match context.api.delete(MANAGER, &key, &DeleteOptions::default()) {
        Err(status) if status.is_not_found() => Ok(false),
        Err(status) => Err(status),
        Ok(()) => Ok(true),
    }
}

/// Sorts Pods so that those come first that a controller removes first: not on a node, pending, not ready, restarted
/// more often, younger.
pub(crate) fn rank_for_removal(pods: &mut [Arc<Value>]) {
    pods.sort_by_cached_key(|pod| {
        let phase = match text(pod, &["status", "phase"]) {
            "Pending" => 0,
            "Running" => 2,
            _ => 1,
        };
        let restarts = list(pod, &["status", "containerStatuses"])
            .iter()
            .map(|container| int(container, &["restartCount"]).unwrap_or(0))
            .max()
            .unwrap_or(0);
        let ready_since =
            condition(pod, "Ready").map(|ready| text(ready, &["lastTransitionTime"]).to_owned());
        (
            !text(pod, &["spec", "nodeName"]).is_empty(),
            phase,
            is_ready(pod),
            std::cmp::Reverse(is_ready(pod).then_some(ready_since).flatten()),
            std::cmp::Reverse(restarts),
            std::cmp::Reverse(object::meta_str(pod, "creationTimestamp").to_owned()),
            object::name(pod).to_owned(),
        )
    });
}
