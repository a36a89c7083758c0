//! Services (SYNC-116).

use crate::status::Health;
use crate::typed::{Result, Struct};

pub(crate) fn assess(service: Struct<'_>) -> Result<Health> {
    let service_type = service.get("spec")?.text("type", "v1.ServiceType")?;
    let addresses = service
        .get("status")?
        .get("loadBalancer")?
        .list("ingress")?;
    Ok(if service_type == "LoadBalancer" && addresses.is_empty() {
        Health::progressing("")
    } else {
        Health::healthy("")
    })
}
