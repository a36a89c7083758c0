//! `PersistentVolumeClaims` (SYNC-118).

use crate::status::{Health, HealthStatus};
use crate::typed::{Result, Struct};

pub(crate) fn assess(claim: Struct<'_>) -> Result<Health> {
    let status = match claim
        .get("status")?
        .text("phase", "v1.PersistentVolumeClaimPhase")?
    {
        "Lost" => HealthStatus::Degraded,
        "Pending" => HealthStatus::Progressing,
        "Bound" => HealthStatus::Healthy,
        _ => HealthStatus::Unknown,
    };
    Ok(Health::new(status, ""))
}
