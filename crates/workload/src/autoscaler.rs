//! The status of a `HorizontalPodAutoscaler` (API-355).
//!
//! No metrics are simulated: the target's replicas are left alone within the bounds, and brought back there otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_model::object::At;
use wavetank_model::{ObjectKey, PatchType, Status, kinds, object};

use crate::budget::set_condition;
use crate::context::{Again, Context, MANAGER};
use crate::read::{int, map, status_of, text, with_status};

/// The autoscalers, by what they scale.
#[derive(Debug, Default)]
pub(crate) struct Autoscalers {
    by_target: BTreeMap<ObjectKey, BTreeSet<Arc<ObjectKey>>>,
    targets: BTreeMap<Arc<ObjectKey>, ObjectKey>,
}

impl Autoscalers {
    /// One came or changed.
    pub(crate) fn insert(&mut self, key: &Arc<ObjectKey>, scaler: &Value) {
        self.remove(key);
        let target = target(key, scaler);
        let scalers = self.by_target.entry(target.clone()).or_default();
        scalers.insert(Arc::clone(key));
        self.targets.insert(Arc::clone(key), target);
    }

    /// One went.
    pub(crate) fn remove(&mut self, key: &Arc<ObjectKey>) {
        let Some(target) = self.targets.remove(key) else {
            return;
        };
        if let Some(scalers) = self.by_target.get_mut(&target) {
            scalers.remove(key);
            if scalers.is_empty() {
                self.by_target.remove(&target);
            }
        }
    }

    /// Those of a target, by name.
    pub(crate) fn of(&self, target: &ObjectKey) -> Vec<Arc<ObjectKey>> {
        let scalers = self.by_target.get(target);
        scalers.into_iter().flatten().map(Arc::clone).collect()
    }
}

/// What an autoscaler scales.
fn target(key: &ObjectKey, scaler: &Value) -> ObjectKey {
    let reference = scaler
        .at(&["spec", "scaleTargetRef"])
        .unwrap_or(&Value::Null);
    let (group, _) = wavetank_model::key::split_api_version(text(reference, &["apiVersion"]));
    ObjectKey::new(
        group,
        text(reference, &["kind"]),
        key.namespace.clone(),
        text(reference, &["name"]),
    )
}

/// Judges one autoscaler.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(scaler) = context
        .api
        .get(key)
        .filter(|scaler| !object::is_terminating(scaler))
    else {
        return Ok(Again::Never);
    };
    if context.scripts.plays(key, &scaler) {
        return Ok(Again::Never);
    }
    let target = target(key, &scaler);
    let now = context.api.timestamp();
    let mut status = status_of(&scaler);
    match context.api.get(&target) {
        None => note_missing(&mut status, &target, &now),
        Some(workload) => {
            let current = int(&workload, &["spec", "replicas"]).unwrap_or(1);
            let desired = judge(&mut status, &scaler, current, &now);
            let observed = int(&workload, &["status", "replicas"]).unwrap_or(0);
            status.insert("currentReplicas".to_owned(), observed.into());
            status.insert("desiredReplicas".to_owned(), desired.into());
            if desired != current {
                let patch = json!({"spec": {"replicas": desired}});
                context
                    .api
                    .patch(MANAGER, &target, "", PatchType::Merge, patch)?;
                status.insert("lastScaleTime".to_owned(), now.into());
            }
        }
    }
    if map(&scaler, &["status"]) != Some(&status) {
        context
            .api
            .update(MANAGER, with_status(&scaler, status), "status")?;
    }
    Ok(Again::Never)
}

/// Sets the conditions of an autoscaler whose target is there; gives the replicas it wants.
fn judge(status: &mut Map, scaler: &Value, current: i64, now: &str) -> i64 {
    let least = int(scaler, &["spec", "minReplicas"]).unwrap_or(1);
    let most = int(scaler, &["spec", "maxReplicas"]).unwrap_or(current);
    let desired = if current == 0 {
        0
    } else {
        current.clamp(least.min(most), most)
    };
    let able = (
        "True",
        "ReadyForNewScale",
        "recommended size matches current size",
    );
    let active = if current == 0 {
        (
            "False",
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        )
    } else {
        (
            "True",
            "ValidMetricFound",
            "the HPA was able to successfully calculate a replica count",
        )
    };
    let limited = if desired == most {
        (
            "True",
            "TooManyReplicas",
            "the desired replica count is more than the maximum replica count",
        )
    } else {
        (
            "False",
            "DesiredWithinRange",
            "the desired count is within the acceptable range",
        )
    };
    for (kind, (value, reason, message)) in [
        ("AbleToScale", able),
        ("ScalingActive", active),
        ("ScalingLimited", limited),
    ] {
        set_condition(status, kind, value, reason, message, 0, now);
    }
    desired
}

fn note_missing(status: &mut Map, target: &ObjectKey, now: &str) {
    let plural = kinds::find(&target.group, &target.kind).map_or("", |kind| kind.plural);
    let message = format!(
        "the HPA controller was unable to get the target's current scale: {plural}.{} \"{}\" not found",
        target.group, target.name
    );
    set_condition(
        status,
        "AbleToScale",
        "False",
        "FailedGetScale",
        &message,
        0,
        now,
    );
    status.insert("currentReplicas".to_owned(), 0.into());
    status.insert("desiredReplicas".to_owned(), 0.into());
}
