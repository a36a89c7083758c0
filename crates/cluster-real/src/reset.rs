//! Bringing a cluster back to what it was before a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::Request;
use kube::client::Body;
use tokio::time::{Instant, sleep};
use wavetank_json::{Value, json};
use wavetank_model::{ObjectKey, object};

use crate::hub::Hub;
use crate::resource::Resource;

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Deletes everything that was not there before, and waits until it is gone.
///
/// # Errors
/// What is still there, or was changed and cannot be brought back.
pub(crate) async fn reset(
    client: &kube::Client,
    hub: &Hub,
    before: &BTreeMap<ObjectKey, Arc<Value>>,
) -> Result<(), String> {
    let end = Instant::now() + LIMIT;
    loop {
        let left = left(hub, before);
        if left.is_empty() {
            return changed(hub, before);
        }
        if Instant::now() > end {
            let names: Vec<String> = left
                .iter()
                .take(5)
                .map(|(key, _)| key.to_string())
                .collect();
            return Err(format!("still there after 60 s: {}", names.join(", ")));
        }
        let removals = left.iter().filter_map(|(key, object)| {
            let resource = hub.resource(&key.group_kind())?;
            Some(remove(client, resource, key, object))
        });
        join_all(removals).await;
        sleep(Duration::from_millis(100)).await;
    }
}

/// Objects of the run. What the server makes by itself for what was there before stays.
fn left(hub: &Hub, before: &BTreeMap<ObjectKey, Arc<Value>>) -> Vec<(ObjectKey, Arc<Value>)> {
    hub.all(|key, object| {
        let known = before
            .get(key)
            .is_some_and(|known| object::uid(known) == object::uid(object));
        let of_server = matches!(
            (key.group.as_str(), key.kind.as_str(), key.name.as_str()),
            ("", "ConfigMap", "kube-root-ca.crt")
                | ("", "ServiceAccount", "default")
                | ("", "Endpoints" | "Service", "kubernetes")
                | ("apiregistration.k8s.io", "APIService", _)
        ) && (key.namespace.is_empty()
            || before.contains_key(&ObjectKey::new("", "Namespace", "", &key.namespace)));
        let ours = !known && !of_server;
        ours && !(key.kind == "EndpointSlice" && key.name == "kubernetes")
    })
}

/// Takes the finalizers off an object and deletes it at once.
async fn remove(client: &kube::Client, resource: Resource, key: &ObjectKey, object: &Value) {
    if !resource.deletable {
        return;
    }
    let path = resource.item(key);
    let namespace = key.kind == "Namespace" && key.group.is_empty();
    if !object::is_terminating(object) {
        let body = json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0});
        send(client, Request::delete(&path), "application/json", &body).await;
    } else if namespace {
        // Its content goes with the other objects: there is no need to wait for the namespace's controller.
        let mut finalized = object.clone();
        finalized["spec"]["finalizers"] = json!([]);
        let path = format!("{path}/finalize");
        send(client, Request::put(path), "application/json", &finalized).await;
        return;
    } else if key.kind == "Pod" {
        let body = json!({"gracePeriodSeconds": 0});
        send(client, Request::delete(&path), "application/json", &body).await;
    }
    if object::finalizers(object).next().is_some() {
        let merge = json!({"metadata": {"finalizers": null}});
        let content = "application/merge-patch+json";
        send(client, Request::patch(&path), content, &merge).await;
    }
}

/// What fails is tried again until the limit.
async fn send(
    client: &kube::Client,
    request: http::request::Builder,
    content_type: &str,
    body: &Value,
) {
    let Ok(bytes) = serde_json::to_vec(body) else {
        return;
    };
    let request = request.header(http::header::CONTENT_TYPE, content_type);
    if let Ok(request) = request.body(Body::from(bytes)) {
        client.send(request).await.ok();
    }
}

/// Objects that were there before and are gone, or not what they were.
fn changed(hub: &Hub, before: &BTreeMap<ObjectKey, Arc<Value>>) -> Result<(), String> {
    for (key, old) in before {
        if matches!(
            key.kind.as_str(),
            "Endpoints"
                | "EndpointSlice"
                | "Node"
                | "APIService"
                | "FlowSchema"
                | "PriorityLevelConfiguration"
        ) {
            continue;
        }
        let Some(new) = hub.get(key) else {
            return Err(format!("{key} was there before the run and is gone"));
        };
        let essence = |object: &Value| {
            let mut object = object.clone();
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
            }
            if let Some(meta) = object["metadata"].as_object_mut() {
                for field in ["managedFields", "resourceVersion", "generation"] {
                    meta.remove(field);
                }
            }
            object
        };
        if essence(old) != essence(&new) && key.name != "kube-root-ca.crt" {
            return Err(format!("{key} was there before the run and was changed"));
        }
    }
    Ok(())
}
