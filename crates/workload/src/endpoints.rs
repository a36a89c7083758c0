//! Endpoints and `EndpointSlices` of Services with a selector (API-351).

use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_model::object::At;
use wavetank_model::{GroupKind, ObjectKey, Status, object};

use crate::context::{Again, Context, MANAGER};
use crate::pods;
use crate::read::{controller_reference, flag, int, list, map, pod_ended, text};
use crate::selectors::Selectors;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CHANGED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What of a Pod Services show.
pub(crate) fn is_same_for_services(old: &Value, new: &Value) -> bool {
    text(old, &["status", "podIP"]) == text(new, &["status", "podIP"])
        && pods::is_ready(old) == pods::is_ready(new)
        && pod_ended(old) == pod_ended(new)
        && object::is_terminating(old) == object::is_terminating(new)
        && map(old, &["metadata", "labels"]) == map(new, &["metadata", "labels"])
}

/// Writes the addresses of one Service.
pub(crate) fn sync(
    key: &ObjectKey,
    selectors: &Selectors,
    context: &mut Context<'_>,
) -> Result<Again, Status> {
    let Some(service) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let selector = service.at(&["spec", "selector"]).filter(|selector| {
        selector
            .as_object()
            .is_some_and(|labels| !labels.is_empty())
    });
    let Some(selector) = selector else {
        return Ok(Again::Never);
    };
    if object::is_terminating(&service) || text(&service, &["spec", "type"]) == "ExternalName" {
        return Ok(Again::Never);
    }
    let mut picked = selectors.pods(context.api, &key.namespace, selector);
    picked.retain(|pod| !pod_ended(pod) && !text(pod, &["status", "podIP"]).is_empty());
    write_endpoints(&service, &picked, context)?;
    write_slice(&service, &picked, context)?;
    Ok(Again::Never)
}

/// The ports of a Service as a Pod offers them.
fn ports(service: &Value, pod: Option<&Value>) -> Vec<Value> {
    list(service, &["spec", "ports"])
        .iter()
        .filter_map(|port| {
            let target = match port.get("targetPort") {
                Some(Value::String(name)) => pod.and_then(|pod| named_port(pod, name))?,
                Some(target) => target
                    .as_i64()
                    .filter(|number| *number > 0)
                    .or_else(|| int(port, &["port"]))?,
                None => int(port, &["port"])?,
            };
            let protocol = port
                .get("protocol")
                .and_then(Value::as_str)
                .unwrap_or("TCP");
            Some(json!({"name": text(port, &["name"]), "port": target, "protocol": protocol}))
        })
        .collect()
}

fn named_port(pod: &Value, name: &str) -> Option<i64> {
    let containers = list(pod, &["spec", "containers"]).iter();
    let port = containers
        .flat_map(|container| list(container, &["ports"]))
        .find(|port| text(port, &["name"]) == name)?;
    int(port, &["containerPort"])
}

fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod), "uid": object::uid(pod)})
}

fn service_labels(service: &Value) -> Map {
    let mut labels = map(service, &["metadata", "labels"])
        .cloned()
        .unwrap_or_default();
    if text(service, &["spec", "clusterIP"]) == "None" {
        labels.insert("service.kubernetes.io/headless".to_owned(), "".into());
    }
    labels
}

fn write_endpoints(
    service: &Value,
    picked: &[Arc<Value>],
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let name = object::name(service);
    let key = ObjectKey::new("", "Endpoints", object::namespace(service), name);
    let all = flag(service, &["spec", "publishNotReadyAddresses"]);
    let address = |pod: &&Arc<Value>| json!({"ip": text(pod, &["status", "podIP"]), "nodeName": text(pod, &["spec", "nodeName"]), "targetRef": target(pod)});
    let is_shown = |pod: &&Arc<Value>| all || (pods::is_ready(pod) && !object::is_terminating(pod));
    let ready: Vec<Value> = picked
        .iter()
        .filter(is_shown)
        .map(|pod| address(&pod))
        .collect();
    let hidden = |pod: &&Arc<Value>| !is_shown(pod) && !object::is_terminating(pod);
    let unready: Vec<Value> = picked
        .iter()
        .filter(hidden)
        .map(|pod| address(&pod))
        .collect();
    let mut subset = Map::new();
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", unready)] {
        if !addresses.is_empty() {
            subset.insert(field.to_owned(), Value::Array(addresses));
        }
    }
    let mut labels = service_labels(service);
    labels.insert(
        "endpoints.kubernetes.io/managed-by".to_owned(),
        "endpoint-controller".into(),
    );
    let subsets = if subset.is_empty() {
        None
    } else {
        let ports = ports(service, picked.first().map(|pod| &**pod))
            .into_iter()
            .map(without_empty_name)
            .collect();
        subset.insert("ports".to_owned(), Value::Array(ports));
        Some(json!([subset]))
    };
    let Some(stored) = context.api.get(&key) else {
        let mut endpoints = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": name, "namespace": key.namespace, "labels": labels,
                "annotations": {CHANGED: context.api.timestamp()}},
        });
        if let Some(subsets) = subsets {
            endpoints["subsets"] = subsets;
        }
        context.api.create(MANAGER, endpoints)?;
        return Ok(());
    };
    if stored.get("subsets") == subsets.as_ref()
        && map(&stored, &["metadata", "labels"]) == Some(&labels)
    {
        return Ok(());
    }
    let mut endpoints = Value::clone(&stored);
    endpoints["metadata"]["labels"] = Value::Object(labels);
    endpoints["metadata"]["annotations"][CHANGED] = context.api.timestamp().into();
    match (subsets, endpoints.as_object_mut()) {
        (Some(subsets), Some(fields)) => drop(fields.insert("subsets".to_owned(), subsets)),
        (None, Some(fields)) => drop(fields.remove("subsets")),
        _ => {}
    }
    context.api.update(MANAGER, endpoints, "")?;
    Ok(())
}

fn without_empty_name(mut port: Value) -> Value {
    if text(&port, &["name"]).is_empty()
        && let Some(fields) = port.as_object_mut()
    {
        fields.remove("name");
    }
    port
}

fn write_slice(
    service: &Value,
    picked: &[Arc<Value>],
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let all = flag(service, &["spec", "publishNotReadyAddresses"]);
    let endpoints: Vec<Value> = picked
        .iter()
        .map(|pod| {
            let (ready, terminating) = (pods::is_ready(pod), object::is_terminating(pod));
            json!({
                "addresses": [text(pod, &["status", "podIP"])],
                "conditions": {"ready": all || (ready && !terminating), "serving": ready, "terminating": terminating},
                "nodeName": text(pod, &["spec", "nodeName"]),
                "targetRef": target(pod),
            })
        })
        .collect();
    let mut labels = service_labels(service);
    labels.insert(
        MANAGED_BY.to_owned(),
        "endpointslice-controller.k8s.io".into(),
    );
    labels.insert(
        "kubernetes.io/service-name".to_owned(),
        object::name(service).into(),
    );
    // Without Pods a slice names no port.
    let ports = picked
        .first()
        .map_or_else(Vec::new, |pod| ports(service, Some(pod)));
    let owned = context.api.owned(
        &GroupKind::new("discovery.k8s.io", "EndpointSlice"),
        object::uid(service),
    );
    let stored = owned
        .into_iter()
        .find(|slice| object::label(slice, MANAGED_BY) == Some("endpointslice-controller.k8s.io"));
    let Some(stored) = stored else {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": format!("{}-", object::name(service)),
                "namespace": object::namespace(service),
                "labels": labels,
                "annotations": {CHANGED: context.api.timestamp()},
                "ownerReferences": [controller_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        context.api.create(MANAGER, slice)?;
        return Ok(());
    };
    let same = list(&stored, &["endpoints"]) == endpoints.as_slice()
        && list(&stored, &["ports"]) == ports.as_slice()
        && map(&stored, &["metadata", "labels"]) == Some(&labels);
    if same {
        return Ok(());
    }
    let mut slice = Value::clone(&stored);
    slice["metadata"]["labels"] = Value::Object(labels);
    slice["metadata"]["annotations"][CHANGED] = context.api.timestamp().into();
    slice["endpoints"] = Value::Array(endpoints);
    slice["ports"] = Value::Array(ports);
    context.api.update(MANAGER, slice, "")?;
    Ok(())
}
