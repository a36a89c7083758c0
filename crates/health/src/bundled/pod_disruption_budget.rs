//! `PodDisruptionBudgets` (SYNC-125).

use wavetank_json::Value;

use super::{conditions, is, joined};
use crate::status::{Health, HealthError};

pub(super) fn assess(budget: &Value) -> Result<Health, HealthError> {
    let mut health = Health::progressing("Waiting for status");
    for condition in budget.get("status").map_or(&[][..], conditions) {
        let message = format!("PodDisruptionBudget has {}", joined(condition, "reason")?);
        // Too few Pods may well be what somebody wants for a while.
        if is(condition, "status", "False") && !is(condition, "reason", "InsufficientPods") {
            return Ok(Health::degraded(message));
        }
        health = Health::healthy(message);
    }
    Ok(health)
}
