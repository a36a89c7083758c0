//! The scale subresource (API-226): `spec.replicas` of a workload as an object of its own.

use wavetank_json::{Value, json};
use wavetank_model::object::At;
use wavetank_model::selector::LabelSelector;
use wavetank_model::{PatchType, Status, object, patch};

use crate::create::{Call, Incoming};
use crate::failure;
use crate::registry::Resource;
use crate::server::Server;

/// Where a kind keeps what its Scale shows; as JSON pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    /// Where the selector stands as text; built-in kinds have it as an object in `spec.selector`.
    pub(crate) selector: Option<String>,
}

impl Default for ScalePaths {
    fn default() -> Self {
        Self {
            spec_replicas: "/spec/replicas".to_owned(),
            status_replicas: "/status/replicas".to_owned(),
            selector: None,
        }
    }
}

impl Server {
    /// Reads the Scale of an object.
    pub(crate) fn read_scale(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Status> {
        let stored = self
            .store
            .get(resource.table, &resource.storage_key(namespace, name));
        let stored = stored.ok_or_else(|| failure::not_found(resource, name))?;
        scale_of(resource, &self.store.value(stored))
    }

    /// Replaces or patches the Scale of an object, and gives the new one.
    pub(crate) fn write_scale(
        &mut self,
        call: &mut Call,
        patch_type: Option<PatchType>,
        body: &Incoming,
    ) -> Result<Value, Status> {
        let resource = std::sync::Arc::clone(&call.resource);
        let key = call.storage_key(&call.name);
        let stored = self.store.get(resource.table, &key).cloned();
        let stored = stored.ok_or_else(|| failure::not_found(&resource, &call.name))?;
        let old = self.store.value(&stored);
        let before = scale_of(&resource, &old)?;
        let mut scale = before.clone();
        match patch_type {
            None => scale.clone_from(&body.object),
            Some(PatchType::Json) => {
                patch::json(&mut scale, &body.object).map_err(crate::patch::refuse)?;
            }
            Some(PatchType::Merge | PatchType::Strategic) => {
                patch::merge(&mut scale, &body.object).map_err(crate::patch::refuse)?;
            }
            Some(PatchType::Apply) => {
                return Err(failure::internal(
                    "server-side apply of a Scale is not supported",
                ));
            }
        }
        if !object::name(&scale).is_empty() && object::name(&scale) != call.name {
            return Err(failure::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                object::name(&scale),
                call.name
            )));
        }
        let replicas = scale
            .at(&["spec", "replicas"])
            .and_then(Value::as_i64)
            .unwrap_or(0);
        if replicas < 0 {
            let problem = failure::Problem::invalid(
                "spec.replicas",
                &replicas.to_string(),
                "must be greater than or equal to 0",
            );
            return Err(failure::invalid(
                "Scale.autoscaling",
                &call.name,
                vec![problem],
            ));
        }
        let mut new = Value::clone(&old);
        set(
            &mut new,
            &resource.scale_paths().spec_replicas,
            Value::from(replicas),
        );
        let metadata = |field: &str| Value::from(object::meta_str(&scale, field));
        if !matches!(object::resource_version(&scale), "" | "0") {
            new["metadata"]["resourceVersion"] = metadata("resourceVersion");
        }
        if !object::uid(&scale).is_empty() {
            new["metadata"]["uid"] = metadata("uid");
        }
        let written = self.replace(call, &stored, new)?;
        scale_of(&resource, &written.object.value)
    }
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for part in pointer.split('/').skip(1) {
        at = &mut at[part];
    }
    *at = value;
}

pub(crate) fn scale_of(resource: &Resource, object: &Value) -> Result<Value, Status> {
    let paths = resource.scale_paths();
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let replicas = match number(&paths.spec_replicas) {
        None if resource.is_custom() => {
            let path = paths.spec_replicas.replace('/', ".");
            return Err(failure::internal(&format!(
                "the spec replicas field {path:?} does not exist"
            )));
        }
        found => found.unwrap_or(0),
    };
    let mut status = json!({"replicas": number(&paths.status_replicas).unwrap_or(0)});
    let selector = match &paths.selector {
        Some(pointer) => object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        None => selector_text(object),
    };
    if !selector.is_empty() {
        status["selector"] = Value::from(selector);
    }
    let from = &object["metadata"];
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = from.get(field) {
            metadata[field] = value.clone();
        }
    }
    Ok(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {"replicas": replicas}, "status": status,
    }))
}

/// The selector of a built-in workload in the query form.
fn selector_text(object: &Value) -> String {
    let selector = object.at(&["spec", "selector"]);
    let parsed = LabelSelector::from_object(selector).unwrap_or_default();
    if !parsed.is_empty()
        && selector
            .and_then(|selector| selector.get("matchExpressions"))
            .is_some()
    {
        return parsed.to_string();
    }
    let labels = selector
        .and_then(|selector| selector.get("matchLabels").or(Some(selector)))
        .and_then(Value::as_object);
    let terms: Vec<String> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    terms.join(",")
}
