//! What a kind does with its objects: decoding, defaults, preparation, validation, admission, ownership of fields.
//!
//! The one place where the write path meets the strategies of built-in kinds and the schemas of custom ones.

use serde_json::Value;
use wavetank_model::{Propagation, Status};

use crate::registry::Resource;

/// Whether a write bumps `metadata.generation` (API-089).
pub(crate) fn bumps_generation(resource: &Resource, new: &Value, old: &Value) -> bool {
    let part = |object: &Value| object.get("spec").cloned().unwrap_or_default();
    has_generation(resource) && part(new) != part(old)
}

/// Whether objects of the kind have a generation.
pub(crate) fn has_generation(resource: &Resource) -> bool {
    resource.is_custom()
        || matches!(
            resource.kind(),
            "Deployment"
                | "ReplicaSet"
                | "StatefulSet"
                | "DaemonSet"
                | "Job"
                | "CronJob"
                | "Pod"
                | "Ingress"
                | "CustomResourceDefinition"
        )
}

/// Whether PUT works without a resourceVersion (API-106).
pub(crate) fn allows_unconditional_update(resource: &Resource) -> bool {
    !(resource.is_custom()
        || matches!(
            resource.kind(),
            "CustomResourceDefinition"
                | "PodDisruptionBudget"
                | "Lease"
                | "RuntimeClass"
                | "CSIDriver"
                | "CSINode"
                | "VolumeAttachment"
        ))
}

/// Whether PUT of an absent object creates it (API-102).
pub(crate) fn allows_create_on_update(resource: &Resource) -> bool {
    matches!(
        resource.kind(),
        "Service"
            | "Endpoints"
            | "Event"
            | "Lease"
            | "LimitRange"
            | "RuntimeClass"
            | "Role"
            | "RoleBinding"
            | "ClusterRole"
            | "ClusterRoleBinding"
    ) && !resource.is_custom()
}

/// Policy of a delete that names none (API-116).
pub(crate) fn default_propagation(resource: &Resource) -> Propagation {
    if matches!(resource.kind(), "Job" | "ReplicationController") && !resource.is_custom() {
        Propagation::Orphan
    } else {
        Propagation::Background
    }
}

/// Whether a delete answers with the object (API-114).
pub(crate) fn delete_returns_object(resource: &Resource) -> bool {
    matches!(
        resource.kind(),
        "Pod"
            | "Service"
            | "Namespace"
            | "PersistentVolumeClaim"
            | "PersistentVolume"
            | "ServiceAccount"
            | "PodTemplate"
            | "ResourceQuota"
            | "StorageClass"
            | "CSIDriver"
            | "CSINode"
            | "VolumeAttachment"
    ) && !resource.is_custom()
}

/// What a create gives an object beyond its defaults.
pub(crate) fn prepare_for_create(resource: &Resource, object: &mut Value) {
    if resource.has_status()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if resource.kind() == "Namespace" && resource.group.is_empty() {
        let name = object["metadata"]["name"].clone();
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        object["spec"]["finalizers"] = serde_json::json!(["kubernetes"]);
        object["status"]["phase"] = serde_json::json!("Active");
    }
}

/// Applies a strategic merge patch.
pub(crate) fn strategic(
    _resource: &Resource,
    _object: &mut Value,
    _patch: &Value,
) -> Result<(), Status> {
    Err(Status::new(
        501,
        "NotImplemented",
        "strategic merge patches are not supported by this server",
    ))
}

/// Puts back what a write to one part of an object may not change: status on writes to the object (API-223),
/// everything but status and metadata on writes to `status` (API-222).
pub(crate) fn restore(resource: &Resource, new: &mut Value, old: &Value, subresource: &str) {
    let (Some(fields), Some(before)) = (new.as_object_mut(), old.as_object()) else {
        return;
    };
    let restored: Vec<String> = match subresource {
        // Only `spec.finalizers` of a Namespace (API-232).
        "finalize" => fields
            .keys()
            .chain(before.keys())
            .filter(|key| *key != "spec")
            .cloned()
            .collect(),
        "status" => {
            let all = fields.keys().chain(before.keys());
            all.filter(|key| *key != "status" && *key != "metadata")
                .cloned()
                .collect()
        }
        _ if resource.has_status() => vec!["status".to_owned()],
        _ => Vec::new(),
    };
    for field in restored {
        match before.get(&field) {
            Some(value) => drop(fields.insert(field, value.clone())),
            None => drop(fields.remove(&field)),
        }
    }
}
