//! `CronJobs` (SYNC-125).

use wavetank_json::Value;

use super::index;
use crate::status::{Health, HealthError};

pub(super) fn assess(cron_job: &Value) -> Result<Health, HealthError> {
    if index(index(Some(cron_job), "spec")?, "suspend")? == Some(&Value::Bool(true)) {
        return Ok(Health::healthy("CronJob is Suspended"));
    }
    let Some(status) = index(Some(cron_job), "status")? else {
        return Ok(Health::progressing("Waiting for CronJob"));
    };
    let time = |name: &str| status.get(name).and_then(Value::as_str);
    let Some(scheduled) = time("lastScheduleTime") else {
        return Ok(Health::healthy("CronJob has not been scheduled yet"));
    };
    let Some(succeeded) = time("lastSuccessfulTime") else {
        return Ok(Health::healthy(
            "The CronJob never completed successfully. It may not be healthy",
        ));
    };
    if status
        .get("active")
        .and_then(Value::as_array)
        .is_some_and(|active| !active.is_empty())
    {
        return Ok(Health::healthy(
            "The job is running. Its last execution may not have been successful",
        ));
    }
    // As texts, like the script: both are RFC 3339 in UTC with whole seconds.
    if succeeded < scheduled {
        return Ok(Health::degraded(
            "CronJob has not completed its last execution successfully",
        ));
    }
    Ok(Health::healthy(
        "CronJob has completed its last execution successfully",
    ))
}
