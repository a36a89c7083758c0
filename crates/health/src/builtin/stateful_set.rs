//! `StatefulSets` (SYNC-111).

use crate::status::Health;
use crate::typed::{Result, Struct};

pub(crate) fn assess(set: Struct<'_>) -> Result<Health> {
    let (spec, status) = (set.get("spec")?, set.get("status")?);
    let generation = set.get("metadata")?.int64("generation")?;
    let wanted = spec.int_pointer("replicas", "int32")?;
    let strategy = spec.get("updateStrategy")?;
    let strategy_type = strategy.text("type", "v1.StatefulSetUpdateStrategyType")?;
    let rolling = strategy.pointer("rollingUpdate")?;
    let partition = rolling
        .map(|rolling| rolling.int_pointer("partition", "int32"))
        .transpose()?
        .flatten();
    let observed = status.int64("observedGeneration")?;
    let ready = status.int32("readyReplicas")?;
    let updated = status.int32("updatedReplicas")?;
    let current = status.int32("currentReplicas")?;
    let current_revision = status.text("currentRevision", "string")?;
    let update_revision = status.text("updateRevision", "string")?;

    if observed == 0 || generation > observed {
        return Ok(Health::progressing(
            "Waiting for statefulset spec update to be observed...",
        ));
    }
    if let Some(wanted) = wanted
        && ready < wanted
    {
        return Ok(Health::progressing(format!(
            "Waiting for {} pods to be ready...",
            wanted - ready
        )));
    }
    if strategy_type == "RollingUpdate" && rolling.is_some() {
        if let (Some(wanted), Some(partition)) = (wanted, partition)
            && updated < wanted - partition
        {
            return Ok(Health::progressing(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...",
                wanted - partition
            )));
        }
        return Ok(Health::healthy(format!(
            "partitioned roll out complete: {updated} new pods have been updated..."
        )));
    }
    if strategy_type == "OnDelete" {
        return Ok(Health::healthy(format!(
            "statefulset has {ready} ready pods"
        )));
    }
    if update_revision != current_revision {
        return Ok(Health::progressing(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update_revision}..."
        )));
    }
    Ok(Health::healthy(format!(
        "statefulset rolling update complete {current} pods at revision {current_revision}..."
    )))
}
