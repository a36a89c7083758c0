//! Workflows of Argo Workflows (SYNC-121).

use crate::status::{Health, HealthStatus};
use crate::typed::{Result, Struct};

pub(crate) fn assess(workflow: Struct<'_>) -> Result<Health> {
    let status = workflow.get("status")?;
    let message = status.text("message", "string")?;
    let health = match status.text("phase", "health.nodePhase")? {
        "" | "Pending" | "Running" => HealthStatus::Progressing,
        "Succeeded" => HealthStatus::Healthy,
        "Failed" | "Error" => HealthStatus::Degraded,
        _ => HealthStatus::Unknown,
    };
    Ok(Health::new(health, message))
}
