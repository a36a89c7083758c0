//! `APIServices` (SYNC-120).

use crate::condition::conditions;
use crate::status::Health;
use crate::typed::{Result, Struct};

pub(crate) fn assess(service: Struct<'_>) -> Result<Health> {
    let conditions = conditions(service.get("status")?, "v1.APIServiceConditionType")?;
    let Some(available) = conditions
        .iter()
        .find(|condition| condition.kind == "Available")
    else {
        return Ok(Health::progressing("Waiting to be processed"));
    };
    let message = format!("{}: {}", available.reason, available.message);
    Ok(if available.is_true() {
        Health::healthy(message)
    } else {
        Health::progressing(message)
    })
}
