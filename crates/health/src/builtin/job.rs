//! Jobs (SYNC-114).

use crate::condition::conditions;
use crate::status::{Health, HealthStatus};
use crate::typed::{Result, Struct};

/// A suspended Job had no message (SYNC-227).
pub(crate) fn assess_before_3_6(job: Struct<'_>) -> Result<Health> {
    let health = assess(job)?;
    Ok(if health.status == Some(HealthStatus::Suspended) {
        Health::new(HealthStatus::Suspended, "")
    } else {
        health
    })
}

/// A resumed Job, whose condition Suspended is False, looks finished (SYNC-203): that is how Argo CD reads it.
pub(crate) fn assess(job: Struct<'_>) -> Result<Health> {
    let (mut complete, mut suspended, mut message) = (false, false, "");
    let mut failed = None;
    for condition in conditions(job.get("status")?, "v1.JobConditionType")? {
        match condition.kind {
            "Failed" => failed = Some(condition.message),
            "Complete" => message = condition.message,
            "Suspended" => {
                message = condition.message;
                suspended |= condition.is_true();
            }
            _ => continue,
        }
        complete = true;
    }
    Ok(if !complete {
        Health::progressing(message)
    } else if let Some(message) = failed {
        Health::degraded(message)
    } else if suspended {
        Health::new(HealthStatus::Suspended, message)
    } else {
        Health::healthy(message)
    })
}
