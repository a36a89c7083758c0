//! Deployments (SYNC-110).

use crate::condition::conditions;
use crate::status::{Health, HealthStatus};
use crate::typed::{Result, Struct};

pub(crate) fn assess(deployment: Struct<'_>) -> Result<Health> {
    let (meta, spec, status) = (
        deployment.get("metadata")?,
        deployment.get("spec")?,
        deployment.get("status")?,
    );
    let (name, generation) = (meta.text("name", "string")?, meta.int64("generation")?);
    let (paused, wanted) = (spec.flag("paused")?, spec.int_pointer("replicas", "int32")?);
    let observed = status.int64("observedGeneration")?;
    let replicas = status.int32("replicas")?;
    let updated = status.int32("updatedReplicas")?;
    let available = status.int32("availableReplicas")?;
    let conditions = conditions(status, "v1.DeploymentConditionType")?;

    if paused {
        return Ok(Health::new(HealthStatus::Suspended, "Deployment is paused"));
    }
    if generation > observed {
        return Ok(Health::progressing(
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        ));
    }
    if let Some(progressing) = conditions
        .iter()
        .find(|condition| condition.kind == "Progressing")
        && progressing.reason == "ProgressDeadlineExceeded"
    {
        return Ok(Health::degraded(format!(
            "Deployment {name:?} exceeded its progress deadline"
        )));
    }
    if let Some(wanted) = wanted
        && updated < wanted
    {
        return Ok(Health::progressing(format!(
            "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated..."
        )));
    }
    if replicas > updated {
        return Ok(Health::progressing(format!(
            "Waiting for rollout to finish: {} old replicas are pending termination...",
            replicas - updated
        )));
    }
    if available < updated {
        return Ok(Health::progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        )));
    }
    Ok(Health::healthy(""))
}
