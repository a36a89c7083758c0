//! `CustomResourceDefinitions` (SYNC-125).

use wavetank_json::Value;
use wavetank_model::object;

use super::{conditions, index, is, joined};
use crate::status::{Health, HealthError};

pub(super) fn assess(crd: &Value) -> Result<Health, HealthError> {
    // Reached only by a CRD that is a hook: any other terminating object is caught before (SYNC-105).
    if object::is_terminating(crd) {
        return Ok(Health::progressing("CRD is terminating"));
    }
    let status = index(Some(crd), "status")?;
    index(status, "conditions")?;
    let conditions = status.map_or(&[][..], conditions);
    if conditions.is_empty() {
        return Ok(Health::progressing("Status conditions not found"));
    }
    let find = |kind: &str, status: &str| {
        conditions
            .iter()
            .rfind(|condition| is(condition, "type", kind) && is(condition, "status", status))
    };
    if let Some(condition) = find("Terminating", "True") {
        return Ok(Health::progressing(format!(
            "CRD is terminating: {}",
            joined(condition, "message")?
        )));
    }
    if let Some(condition) = find("NamesAccepted", "False") {
        return Ok(Health::degraded(format!(
            "CRD names have not been accepted: {}",
            joined(condition, "message")?
        )));
    }
    if let Some(condition) = find("NonStructuralSchema", "True") {
        return Ok(Health::degraded(format!(
            "Schema violations found: {}",
            joined(condition, "message")?
        )));
    }
    if find("Established", "True").is_some() {
        return Ok(Health::healthy("CRD is healthy"));
    }
    let installing = |condition: &&Value| {
        is(condition, "type", "Established") && is(condition, "reason", "Installing")
    };
    if conditions.iter().any(|condition| installing(&condition)) {
        return Ok(Health::progressing("CRD is being installed"));
    }
    Ok(Health::degraded("CRD is not established"))
}
