//! Namespace, Node, Event, Lease, `LimitRange`, `ResourceQuota`, Secret, roles and their bindings,
//! `CertificateSigningRequest`, `PriorityClass`, `RuntimeClass` (API-235, API-288, API-293, API-294, API-296, API-297).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wavetank_json::{Value, json};

use super::empty_status;
use super::resources::canonical_list;
use crate::fields::{
    default_text, default_to, ensure, entries, items, items_mut, null_when_empty, present, set,
    text,
};

/// The group of roles and their bindings.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

const NODE_INFO: [&str; 10] = [
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
];

pub(super) fn namespace(object: &mut Value) {
    ensure(object, "spec");
    if let Some(status) = ensure(object, "status") {
        default_text(status, "phase", "Active");
    }
    force_name_label(object);
}

/// Gives a namespace the label with its name, whatever is there; without a name (yet) there is nothing to force.
pub fn force_name_label(object: &mut Value) {
    let name = text(object.get("metadata").unwrap_or(&Value::Null), "name").to_owned();
    if name.is_empty() {
        return;
    }
    if let Some(labels) = ensure(object, "metadata").and_then(|metadata| ensure(metadata, "labels"))
        && text(labels, NAME_LABEL) != name
    {
        set(labels, NAME_LABEL, Some(name.into()));
    }
}

pub(super) fn node(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        for list in ["capacity", "allocatable"] {
            if let Some(list) = status.get_mut(list) {
                canonical_list(list);
            }
        }
        if present(status, "allocatable").is_none()
            && let Some(capacity) = present(status, "capacity").cloned()
        {
            set(status, "allocatable", Some(capacity));
        }
        if let Some(endpoints) =
            ensure(status, "daemonEndpoints").and_then(|all| ensure(all, "kubeletEndpoint"))
        {
            default_to(endpoints, "Port", 0);
        }
        if let Some(info) = ensure(status, "nodeInfo") {
            for key in NODE_INFO {
                default_to(info, key, "");
            }
        }
    }
    if let Some(spec) = ensure(object, "spec") {
        let cidr = text(spec, "podCIDR").to_owned();
        if !cidr.is_empty() && items(spec, "podCIDRs").is_empty() {
            set(spec, "podCIDRs", Some(json!([cidr])));
        }
    }
}

pub(super) fn event(object: &mut Value) {
    // What core calls source, reportingComponent…, events.k8s.io calls by other names; both serve one object.
    for (key, value) in [
        ("reportingComponent", Value::from("")),
        ("reportingInstance", Value::from("")),
        ("source", json!({})),
        ("eventTime", Value::Null),
        ("firstTimestamp", Value::Null),
        ("lastTimestamp", Value::Null),
    ] {
        if let Some(members) = object.as_object_mut() {
            members.entry(key).or_insert(value);
        }
    }
    ensure(object, "involvedObject");
}

pub(super) fn lease(object: &mut Value) {
    ensure(object, "spec");
}

pub(super) fn limit_range(object: &mut Value) {
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    for limit in items_mut(spec, "limits") {
        for key in [
            "max",
            "min",
            "default",
            "defaultRequest",
            "maxLimitRequestRatio",
        ] {
            if let Some(list) = limit.get_mut(key) {
                canonical_list(list);
            }
        }
        if text(limit, "type") != "Container" {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let values: Vec<(String, Value)> = entries(limit, from)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if values.is_empty() {
                continue;
            }
            if let Some(target) = ensure(limit, to) {
                for (key, value) in values {
                    default_to(target, &key, value);
                }
            }
        }
    }
}

pub(super) fn resource_quota(object: &mut Value) {
    for half in ["spec", "status"] {
        if let Some(half) = ensure(object, half) {
            for key in ["hard", "used"] {
                if let Some(list) = half.get_mut(key) {
                    canonical_list(list);
                }
            }
        }
    }
}

/// Folds `stringData` into `data`, as the conversion at decode does.
pub(super) fn secret(object: &mut Value) {
    default_text(object, "type", "Opaque");
    let Some(plain) = object
        .as_object_mut()
        .and_then(|members| members.remove("stringData"))
    else {
        return;
    };
    let Some(plain) = plain.as_object().filter(|plain| !plain.is_empty()) else {
        return;
    };
    if let Some(data) = ensure(object, "data") {
        for (key, value) in plain {
            set(
                data,
                key,
                value.as_str().map(|value| STANDARD.encode(value).into()),
            );
        }
    }
}

pub(super) fn role(object: &mut Value) {
    null_when_empty(object, "rules");
}

pub(super) fn role_binding(object: &mut Value) {
    if let Some(reference) = ensure(object, "roleRef") {
        default_text(reference, "apiGroup", RBAC_GROUP);
    }
    for subject in items_mut(object, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            default_text(subject, "apiGroup", RBAC_GROUP);
        }
    }
}

pub(super) fn certificate_signing_request(object: &mut Value) {
    empty_status(object);
    if let Some(spec) = ensure(object, "spec")
        && items(spec, "usages").is_empty()
    {
        set(
            spec,
            "usages",
            Some(json!(["digital signature", "key encipherment"])),
        );
    }
}

pub(super) fn priority_class(object: &mut Value) {
    default_to(object, "preemptionPolicy", "PreemptLowerPriority");
    default_to(object, "value", 0);
}

pub(super) fn runtime_class(object: &mut Value) {
    default_text(object, "handler", "");
}
