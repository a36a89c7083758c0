//! Patching objects (API-014, 124 to 130).

use serde_json::Value;
use wavetank_model::{PatchType, Status, object};

use crate::behaviour;
use crate::create::Call;
use crate::failure;
use crate::server::{Server, Written};

impl Server {
    /// Applies a patch to an object or to its status.
    pub(crate) fn patch(
        &mut self,
        call: &mut Call,
        patch_type: PatchType,
        patch: &Value,
    ) -> Result<Written, Status> {
        let key = call.storage_key(&call.name);
        let stored = self.store.get(call.resource.table, &key).cloned();
        let stored = stored.ok_or_else(|| failure::not_found(&call.resource, &call.name))?;
        let mut object = Value::clone(&self.store.value(&stored));
        match patch_type {
            PatchType::Json => json(&mut object, patch)?,
            PatchType::Merge => {
                if !patch.is_object() {
                    return Err(failure::bad_request(
                        "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}",
                    ));
                }
                json_patch::merge(&mut object, patch);
            }
            PatchType::Strategic => behaviour::strategic(&call.resource, &mut object, patch)?,
            PatchType::Apply => {
                return Err(Status::new(
                    501,
                    "NotImplemented",
                    "server-side apply is not supported by this server",
                ));
            }
        }
        self.accept_body(call, &mut object)?;
        if object::name(&object) != call.name {
            return Err(failure::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                object::name(&object),
                call.name
            )));
        }
        self.replace(call, &stored, object)
    }
}

fn json(object: &mut Value, patch: &Value) -> Result<(), Status> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| failure::bad_request(error.to_string()))?;
    if patch.0.len() > 10_000 {
        return Err(Status::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got {}",
                patch.0.len()
            ),
        ));
    }
    json_patch::patch(object, &patch).map_err(|_| failure::inapplicable_patch())
}
