//! What a comparison finds of a whole app.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::{ArgoVersion, ObjectKey};
use wavetank_sync::options::ManagedNamespaceMetadata;
use wavetank_sync::{AppIdentity, Kinds, SyncCode, SyncOptions, TrackingMethod, compare};

use crate::Asked;

/// Status, the objects that have one, and the conditions.
pub(crate) fn found(asked: &Asked, version: ArgoVersion) -> Value {
    let policy = &asked.app["spec"]["syncPolicy"];
    let items: Vec<&str> = policy["syncOptions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let metadata = policy.get("managedNamespaceMetadata");
    let labels = |metadata: &Value| {
        wavetank_json::from_value(metadata["labels"].clone()).unwrap_or_default()
    };
    let options = SyncOptions {
        project: asked.project.clone().map(Arc::new),
        managed_namespace: metadata.map(|metadata| ManagedNamespaceMetadata {
            labels: labels(metadata),
            ..ManagedNamespaceMetadata::default()
        }),
        version,
        ..SyncOptions::from_items(&items)
    };
    let app = AppIdentity {
        name: "app".to_owned(),
        namespace: "demo".to_owned(),
        tracking: TrackingMethod::Annotation,
    };
    let shared = |object: &Option<Value>| object.clone().map(Arc::new);
    let targets = asked.pairs.iter().filter_map(|pair| shared(&pair.target));
    let targets: Vec<Arc<Value>> = targets.collect();
    let live = asked.pairs.iter().filter_map(|pair| shared(&pair.live));
    let live: Vec<Arc<Value>> = live.collect();
    let answers = wavetank_sync::server_side_diff::Answers::new();
    let found = compare(&targets, &live, &app, &Kinds::builtin(), &options, &answers);
    let shown = |key: &ObjectKey, status: SyncCode, requires_pruning: bool| {
        json!({
            "kind": key.kind.clone(), "namespace": key.namespace.clone(), "name": key.name.clone(),
            "status": format!("{status:?}"), "requiresPruning": requires_pruning,
        })
    };
    let resources = found.resources.iter();
    let resources = resources.map(|one| shown(&one.key, one.status, one.requires_pruning));
    let unpermitted = found.unpermitted.iter();
    let unpermitted = unpermitted.map(|key| shown(key, SyncCode::Unknown, false));
    let shared = found.shared.iter().map(|(key, other)| {
        format!(
            "{}/{} is part of applications argocd/app and {other}",
            key.kind, key.name
        )
    });
    let repeated = found.warnings.iter().filter(|warning| warning.repeated);
    json!({"found": {
        "status": format!("{:?}", found.status),
        "resources": resources.chain(unpermitted).collect::<Vec<Value>>(),
        "others": found.others,
        "conditions": {
            "SharedResourceWarning": shared.collect::<Vec<String>>(),
            "RepeatedResourceWarning": repeated.map(|warning| warning.text.clone()).collect::<Vec<String>>(),
        },
    }})
}
