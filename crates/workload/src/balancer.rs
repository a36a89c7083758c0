//! Addresses of `LoadBalancer` Services and Ingresses (API-352).

use std::collections::BTreeMap;

use wavetank_json::json;
use wavetank_kernel::SimTime;
use wavetank_model::{ObjectKey, PatchType, Status, object};

use crate::context::{Again, Context};
use crate::latency;
use crate::read::{list, text};

/// The manager of a Service's address.
const SERVICE_MANAGER: &str = "cloud-controller-manager";
/// The manager of an Ingress' address.
const INGRESS_MANAGER: &str = "ingress-controller";

/// Addresses given so far, and those under way.
#[derive(Debug, Default)]
pub(crate) struct Balancer {
    given: u32,
    due: BTreeMap<String, SimTime>,
}

impl Balancer {
    /// Gives one Service or Ingress its address, some time after it was first seen.
    pub(crate) fn sync(
        &mut self,
        key: &ObjectKey,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let Some(object) = context
            .api
            .get(key)
            .filter(|object| !object::is_terminating(object))
        else {
            return Ok(Again::Never);
        };
        let is_service = key.kind == "Service";
        let wants = !is_service || text(&object, &["spec", "type"]) == "LoadBalancer";
        let has = !list(&object, &["status", "loadBalancer", "ingress"]).is_empty();
        let uid = object::uid(&object);
        if !wants || !context.config.load_balancers || context.scripts.plays(key, &object) {
            self.due.remove(uid);
            if is_service && has && !wants {
                let patch = json!({"status": {"loadBalancer": {"ingress": null}}});
                context
                    .api
                    .patch(SERVICE_MANAGER, key, "status", PatchType::Merge, patch)?;
            }
            return Ok(Again::Never);
        }
        if has {
            return Ok(Again::Never);
        }
        let due = *self
            .due
            .entry(uid.to_owned())
            .or_insert(context.now + latency::LOAD_BALANCER);
        if due > context.now {
            return Ok(Again::work(due));
        }
        let wanted = text(&object, &["spec", "loadBalancerIP"]);
        let address = if wanted.is_empty() {
            self.address()
        } else {
            wanted.to_owned()
        };
        let (manager, entry) = if is_service {
            (SERVICE_MANAGER, json!({"ip": address, "ipMode": "VIP"}))
        } else {
            (INGRESS_MANAGER, json!({"ip": address}))
        };
        let patch = json!({"status": {"loadBalancer": {"ingress": [entry]}}});
        context
            .api
            .patch(manager, key, "status", PatchType::Merge, patch)?;
        self.due.remove(uid);
        Ok(Again::Never)
    }

    /// The next address of 172.18.200.0/21.
    fn address(&mut self) -> String {
        let number = self.given;
        self.given += 1;
        format!("172.18.{}.{}", 200 + number / 250 % 8, number % 250 + 2)
    }
}
