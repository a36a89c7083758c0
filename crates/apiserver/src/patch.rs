//! Patching objects (API-014, 124 to 133).

use wavetank_json::Value;
use wavetank_model::patch::{self, PatchError, StrategicError};
use wavetank_model::{PatchType, Status, object};

use crate::convert;
use crate::create::{Call, Incoming, accept_body};
use crate::failure;
use crate::server::{Server, Written};

impl Server {
    /// Applies a patch to an object or to its status.
    pub(crate) fn patch(
        &mut self,
        call: &mut Call,
        patch_type: PatchType,
        patch: Incoming,
    ) -> Result<Written, Status> {
        if patch_type == PatchType::Apply {
            return self.apply(call, patch);
        }
        let key = call.storage_key(&call.name);
        let stored = self.store.get(call.resource.table, &key).cloned();
        let stored = stored.ok_or_else(|| failure::not_found(&call.resource, &call.name))?;
        let before = self.store.parsed(&stored);
        let mut object = convert::from_storage(&call.resource, &call.api_version, &before.value);
        let touched = match (&patch_type, &patch.object) {
            (PatchType::Merge | PatchType::Strategic, Value::Object(fields)) if call.is_inner() => {
                Some(fields.keys().cloned().collect())
            }
            _ => None,
        };
        match patch_type {
            PatchType::Json => {
                // The other types can but replace `managedFields`.
                before.managed.put_into(&mut object);
                patch::json(&mut object, &patch.object).map_err(refuse)?;
            }
            PatchType::Merge => patch::merge(&mut object, &patch.object).map_err(refuse)?,
            PatchType::Strategic | PatchType::Apply => {
                let schema = call
                    .resource
                    .schema(&call.api_version)
                    .ok_or_else(|| failure::internal("no type for a strategic merge patch"))?;
                patch::strategic(&mut object, patch.object, schema).map_err(refuse_strategic)?;
            }
        }
        let object = accept_body(
            call,
            Incoming {
                object,
                problems: patch.problems,
                patched: true,
                touched,
            },
        )?;
        if object::name(&object) != call.name {
            return Err(failure::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                object::name(&object),
                call.name
            )));
        }
        call.patched = true;
        self.replace(call, &stored, object)
    }
}

/// What a patch that cannot be carried out is answered with.
pub(crate) fn refuse(error: PatchError) -> Status {
    match error {
        PatchError::Malformed { .. } => failure::bad_request(error.to_string()),
        PatchError::TooManyOperations(_) => Status::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: {error}"),
        ),
        PatchError::Inapplicable(_) => failure::inapplicable_patch(),
    }
}

fn refuse_strategic(error: StrategicError) -> Status {
    match error.code() {
        400 => failure::bad_request(error.to_string()),
        422 => failure::inapplicable_patch(),
        code => Status::new(code, "", error.to_string()),
    }
}
