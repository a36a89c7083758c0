//! `CustomResourceDefinitions` (SYNC-125).

use wavetank_json::Value;
use wavetank_model::{ArgoVersion, object};

use super::{conditions, index, is, joined};
use crate::status::{Health, HealthError};

pub(super) fn assess(crd: &Value, version: ArgoVersion) -> Result<Health, HealthError> {
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
    let mut is_established = false;
    // The first condition that decides does.
    for condition in conditions {
        let says = |kind: &str, status: &str| {
            is(condition, "type", kind) && is(condition, "status", status)
        };
        let because =
            |text: &str| Ok::<_, HealthError>(format!("{text}: {}", joined(condition, "message")?));
        if says("Terminating", "True") {
            return Ok(Health::progressing(because("CRD is terminating")?));
        }
        if says("NamesAccepted", "False") {
            return Ok(Health::degraded(because(
                "CRD names have not been accepted",
            )?));
        }
        if says("NonStructuralSchema", "True") {
            return Ok(Health::degraded(because("Schema violations found")?));
        }
        if says("Established", "True") {
            is_established = true;
        } else if is(condition, "type", "Established") && version >= ArgoVersion::V3_5 {
            if is(condition, "reason", "InvalidCABundle") {
                return Ok(Health::degraded(because("CRD is not established")?));
            }
            if is(condition, "reason", "Installing") {
                return Ok(Health::progressing("CRD is being installed"));
            }
        }
    }
    Ok(if is_established {
        Health::healthy("CRD is healthy")
    } else if version >= ArgoVersion::V3_5 {
        Health::progressing("CRD is not established")
    } else {
        Health::degraded("CRD is not established")
    })
}
