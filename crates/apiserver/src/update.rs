//! Replacing objects, and what all changes of a live object share (API-013, 083, 105 to 110).

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::object::At;
use wavetank_model::patch::apply::Tracked;
use wavetank_model::{Status, object};

use crate::admission::Operation;
use crate::create::{Call, Incoming, accept_body, metadata_mut};
use crate::failure::{self, Problem};
use crate::server::{Server, Written};
use crate::store::{Parsed, Stored};

impl Server {
    /// Replaces an object or its status with a request body.
    pub(crate) fn update(
        &mut self,
        call: &mut Call,
        incoming: Incoming,
    ) -> Result<Written, Status> {
        let object = accept_body(call, incoming)?;
        match object::name(&object) {
            "" => {
                return Err(failure::name_undeterminable(&call.name));
            }
            name if name != call.name => {
                return Err(failure::bad_request(format!(
                    "the name of the object ({name}) does not match the name on the URL ({})",
                    call.name
                )));
            }
            _ => {}
        }
        let key = call.storage_key(&call.name);
        let Some(stored) = self.store.get(call.resource.table, &key).cloned() else {
            if call.subresource.is_empty() && call.resource.strategy.allows_create_on_update() {
                return self.create_decoded(call, object);
            }
            return Err(failure::not_found(&call.resource, &call.name));
        };
        let unconditional = call.resource.strategy.allows_unconditional_update();
        if matches!(object::resource_version(&object), "" | "0") && !unconditional {
            let problem = Problem::invalid(
                "metadata.resourceVersion",
                "0",
                "must be specified for an update",
            );
            return Err(failure::invalid(
                &call.resource.group_resource(),
                &call.name,
                vec![problem],
            ));
        }
        self.replace(call, &stored, object)
    }

    /// Writes `new`, a whole decoded object, over `stored`.
    pub(crate) fn replace(
        &mut self,
        call: &mut Call,
        stored: &Arc<Stored>,
        new: Value,
    ) -> Result<Written, Status> {
        self.attempt(call, |server, call| server.replace_now(call, stored, new))
    }

    fn replace_now(
        &mut self,
        call: &mut Call,
        stored: &Arc<Stored>,
        mut new: Value,
    ) -> Result<Written, Status> {
        let resource = Arc::clone(&call.resource);
        let before = self.store.parsed(stored);
        let old = Arc::clone(&before.value);
        let uid = object::uid(&new);
        // A patch that names another uid fails as a change of it would (API-098).
        if !call.patched && !uid.is_empty() && uid != &*stored.uid {
            return Err(failure::uid_differs(
                &resource,
                &stored.key,
                &call.name,
                uid,
                &stored.uid,
            ));
        }
        let managed = self.track(call, Some(before.tracked()), &mut new);
        self.admit(call, Operation::Update, &mut new, Some(&old))?;
        let wanted = object::resource_version(&new);
        if !matches!(wanted, "" | "0") && wanted != object::resource_version(&old) {
            return Err(failure::modified(&resource, &call.name));
        }
        if wanted != object::resource_version(&old)
            && let Some(metadata) = metadata_mut(&mut new)
        {
            metadata.insert(
                "resourceVersion".to_owned(),
                Value::from(object::resource_version(&old)),
            );
        }
        if call.subresource == "finalize" {
            new = with_spec_finalizers(&old, &new);
        }
        self.prepare_update(call, &mut new, &old)?;
        let written = Tracked {
            object: &new,
            managed: &managed,
        };
        self.validate_admission(call, Operation::Update, written, Some(before.tracked()))?;
        let key = stored.key.to_string();
        if ends_with_this_write(&new) {
            // Watches see the last stored state, the client what it wrote.
            self.remove(call, &key, before, Value::clone(&old));
            return Ok(Written::unstored((new, managed), false));
        }
        // Only times in managedFields may differ where a write changes nothing (API-083).
        if managed.says_as(&before.managed) && same_fields(&new, &old) {
            return Ok(Written::unchanged(before, stored));
        }
        let new = (new, managed);
        if call.options.dry_run {
            return Ok(Written::unstored(new, false));
        }
        Ok(self.commit(&resource, &key, Some(before), new, false, call.author()))
    }

    /// Deletes an object that nothing holds any longer; `last` is its last state.
    pub(crate) fn remove(&mut self, call: &Call, key: &str, old: Parsed, last: Value) -> Written {
        let last = (last, old.managed.clone());
        if call.options.dry_run {
            return Written::unstored(last, false);
        }
        let resource = Arc::clone(&call.resource);
        self.commit(&resource, key, Some(old), last, true, call.author())
    }
}

/// `old` with the `spec.finalizers` of `new`: all that a finalize can change (API-232).
fn with_spec_finalizers(old: &Value, new: &Value) -> Value {
    let mut out = old.clone();
    match new.at(&["spec", "finalizers"]) {
        Some(finalizers) => out["spec"]["finalizers"] = finalizers.clone(),
        None => {
            if let Some(spec) = out.get_mut("spec").and_then(Value::as_object_mut) {
                spec.remove("finalizers");
            }
        }
    }
    out
}

/// Whether nothing holds the object: it is being deleted, without finalizers and without a grace period (API-109).
fn ends_with_this_write(new: &Value) -> bool {
    object::is_terminating(new)
        && object::finalizers(new).next().is_none()
        && new
            .at(&["metadata", "deletionGracePeriodSeconds"])
            .and_then(Value::as_i64)
            .unwrap_or(0)
            == 0
        && new
            .at(&["spec", "finalizers"])
            .and_then(Value::as_array)
            .is_none_or(|left| left.is_empty() || new["kind"] != "Namespace")
}

/// Whether two objects are the same. What mostly differs, the status, comes first.
fn same_fields(new: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else {
        return new == old;
    };
    new.len() == old.len() && new.iter().rev().eq(old.iter().rev())
}
