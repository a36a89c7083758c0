//! Who owns which field: `managedFields` of every write, and server-side apply (sections 10 and 11).

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::patch::apply::{self, FieldSet, ManagedFields, Tracked, Writer};
use wavetank_model::{GroupVersionKind, Status, object};

use crate::convert;
use crate::create::{Call, Incoming, accept_body, metadata_mut};
use crate::failure;
use crate::server::{Server, Written};

impl Server {
    /// Who owns the fields of `new` after this write (API-147, 165 to 175); its `managedFields` are taken out of it.
    pub(crate) fn track(
        &self,
        call: &mut Call,
        old: Option<Tracked<'_>>,
        new: &mut Value,
    ) -> ManagedFields {
        if let Some(managed) = call.applied.take() {
            return managed;
        }
        let Some(schema) = call.resource.schema(&call.resource.storage) else {
            return ManagedFields::take_stored(new);
        };
        let time = self.timestamp(call.now);
        apply::update(old, new, &writer(call, &time), schema)
    }

    /// Server-side apply: creates the object, or merges the configuration into it (API-137 to 144).
    pub(crate) fn apply(&mut self, call: &mut Call, config: Incoming) -> Result<Written, Status> {
        let mut config = config.object;
        check_config(&config)?;
        let resource = Arc::clone(&call.resource);
        let key = call.storage_key(&call.name);
        let stored = self.store.get(resource.table, &key).cloned();
        if stored.is_none() && !call.subresource.is_empty() {
            return Err(failure::not_found(&resource, &call.name));
        }
        if let Some(found) = GroupVersionKind::of(&config)
            && (found.kind != resource.kind() || found.group != resource.group)
            && !resource.is_custom()
        {
            return Err(failure::bad_request(format!(
                "invalid object type: {}/{}, Kind={}",
                found.group, found.version, found.kind
            )));
        }
        let uid = object::uid(&config);
        if stored.is_none() && !uid.is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(failure::conflict(&resource, &call.name, &why));
        }
        if let Some(version) = resource.custom_version(&call.api_version) {
            version.prune(&mut config);
        }
        let stored_form = stored.as_ref().map(|stored| self.store.parsed(stored));
        let live = stored_form.as_ref().map(|stored| {
            let object = convert::from_storage(&resource, &call.api_version, &stored.value);
            (object, &stored.managed)
        });
        let schema = resource
            .schema(&call.api_version)
            .ok_or_else(|| failure::internal("no type for an apply"))?;
        let time = self.timestamp(call.now);
        let live = live.as_ref();
        let (merged, managed) = apply::apply(
            live.map(|(object, managed)| Tracked { object, managed }),
            &config,
            &writer(call, &time),
            call.options.force,
            schema,
        )
        .map_err(|error| error.status())?;
        let mut object = accept_body(call, merged.into())?;
        if object::name(&object).is_empty() {
            return Err(failure::name_undeterminable(&call.name));
        }
        if object::name(&object) != call.name {
            return Err(failure::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                object::name(&object),
                call.name
            )));
        }
        call.applied = Some(managed);
        match stored {
            Some(stored) => {
                // Another uid is found out as a patch of it would be (API-142).
                call.patched = true;
                self.replace(call, &stored, object)
            }
            None => {
                if let Some(metadata) = metadata_mut(&mut object) {
                    metadata.remove("resourceVersion");
                }
                self.create_decoded(call, object)
            }
        }
    }
}

fn writer<'a>(call: &'a Call, time: &'a str) -> Writer<'a> {
    Writer {
        manager: &call.options.manager,
        api_version: &call.api_version,
        subresource: &call.subresource,
        time,
        reset: reset_fields(call),
    }
}

/// Fields that nobody comes to own through this endpoint (API-168).
fn reset_fields(call: &Call) -> &FieldSet {
    let kind = &call.resource;
    let known = if call.subresource == "status" {
        &kind.resets.status
    } else {
        &kind.resets.main
    };
    known.get_or_init(|| {
        let subresource = if call.subresource == "status" {
            "status"
        } else {
            ""
        };
        let has_status = kind.strategy.has_status();
        apply::reset_fields(&kind.group_kind, subresource, has_status, kind.is_custom())
    })
}

/// An applied configuration says what it is (API-139).
fn check_config(config: &Value) -> Result<(), Status> {
    let text = |field: &str| {
        config
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if text("kind").is_empty() || text("apiVersion").is_empty() {
        let missing = if text("kind").is_empty() {
            "Kind"
        } else {
            "apiVersion"
        };
        return Err(failure::bad_request(format!(
            "error decoding patch: Object '{missing}' is missing in '{config}'"
        )));
    }
    Ok(())
}
