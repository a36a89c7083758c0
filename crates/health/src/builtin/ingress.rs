//! Ingresses of any version (SYNC-117).

use wavetank_json::Value;
use wavetank_model::object::At;

use crate::status::Health;

/// Reads the untyped object: what is no list counts as absent.
pub(crate) fn assess(ingress: &Value) -> Health {
    let addresses = ingress
        .at(&["status", "loadBalancer", "ingress"])
        .and_then(Value::as_array);
    if addresses.is_some_and(|addresses| !addresses.is_empty()) {
        Health::healthy("")
    } else {
        Health::progressing("")
    }
}
