//! `DaemonSets` (SYNC-112).

use crate::status::Health;
use crate::typed::{Result, Struct};

pub(crate) fn assess(set: Struct<'_>) -> Result<Health> {
    let (meta, status) = (set.get("metadata")?, set.get("status")?);
    let (name, generation) = (meta.text("name", "string")?, meta.int64("generation")?);
    let strategy = set
        .get("spec")?
        .get("updateStrategy")?
        .text("type", "v1.DaemonSetUpdateStrategyType")?;
    let observed = status.int64("observedGeneration")?;
    let updated = status.int32("updatedNumberScheduled")?;
    let desired = status.int32("desiredNumberScheduled")?;
    let available = status.int32("numberAvailable")?;

    if generation > observed {
        return Ok(Health::progressing(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        ));
    }
    if strategy == "OnDelete" {
        return Ok(Health::healthy(format!(
            "daemon set {updated} out of {desired} new pods have been updated"
        )));
    }
    if updated < desired {
        return Ok(Health::progressing(format!(
            "Waiting for daemon set {name:?} rollout to finish: {updated} out of {desired} new pods have been updated..."
        )));
    }
    if available < desired {
        return Ok(Health::progressing(format!(
            "Waiting for daemon set {name:?} rollout to finish: {available} of {desired} updated pods are available..."
        )));
    }
    Ok(Health::healthy(""))
}
