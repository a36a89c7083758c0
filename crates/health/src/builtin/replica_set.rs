//! `ReplicaSets` (SYNC-113).

use crate::condition::conditions;
use crate::status::Health;
use crate::typed::{Result, Struct};

pub(crate) fn assess(set: Struct<'_>) -> Result<Health> {
    let generation = set.get("metadata")?.int64("generation")?;
    let wanted = set.get("spec")?.int_pointer("replicas", "int32")?;
    let status = set.get("status")?;
    let observed = status.int64("observedGeneration")?;
    let available = status.int32("availableReplicas")?;
    let conditions = conditions(status, "v1.ReplicaSetConditionType")?;

    if generation > observed {
        return Ok(Health::progressing(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        ));
    }
    if let Some(failure) = conditions
        .iter()
        .find(|condition| condition.kind == "ReplicaFailure")
        && failure.is_true()
    {
        return Ok(Health::degraded(failure.message));
    }
    if let Some(wanted) = wanted
        && available < wanted
    {
        return Ok(Health::progressing(format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        )));
    }
    Ok(Health::healthy(""))
}
