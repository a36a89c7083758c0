//! Pod and `PodTemplate`, and the template that every workload has (API-272).

use wavetank_json::{Value, json};

use super::empty_status;
use super::resources::{canonical_list, canonical_quantity, default_pod_level, default_resources};
use super::storage::default_claim_spec;
use crate::fields::{
    default_int, default_text, default_to, ensure, flag, int, items_mut, present, set, text,
};
use crate::object::At;

pub(super) fn pod(object: &mut Value) {
    empty_status(object);
    if let Some(spec) = ensure(object, "spec") {
        default_pod_spec(spec);
    }
}

pub(super) fn pod_template(object: &mut Value) {
    default_template(object);
}

/// Fills `owner.template`, the Pod template of a workload.
pub(super) fn default_template(owner: &mut Value) {
    let Some(template) = ensure(owner, "template") else {
        return;
    };
    ensure(template, "metadata");
    if let Some(spec) = ensure(template, "spec") {
        default_spec(spec);
    }
}

/// Fills what only Pods get, templates do not.
fn default_pod_spec(spec: &mut Value) {
    default_spec(spec);
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            default_requests_from_limits(container);
        }
    }
    default_pod_level(spec);
    default_to(spec, "enableServiceLinks", true);
    if flag(spec, "hostNetwork") {
        for list in ["containers", "initContainers"] {
            for container in items_mut(spec, list) {
                for port in items_mut(container, "ports") {
                    let number = int(port, "containerPort").unwrap_or(0);
                    default_int(port, "hostPort", number);
                }
            }
        }
    }
}

fn default_requests_from_limits(container: &mut Value) {
    let Some(limits) = container
        .at(&["resources", "limits"])
        .and_then(Value::as_object)
        .cloned()
    else {
        return;
    };
    if limits.is_empty() {
        return;
    }
    if let Some(requests) =
        ensure(container, "resources").and_then(|resources| ensure(resources, "requests"))
    {
        for (name, limit) in limits {
            default_to(requests, &name, limit);
        }
    }
}

/// Fills a Pod spec.
fn default_spec(spec: &mut Value) {
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    ensure(spec, "securityContext");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_text(spec, "schedulerName", "default-scheduler");
    default_service_account(spec);
    for volume in items_mut(spec, "volumes") {
        default_volume(volume);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            default_container(container);
        }
    }
    if let Some(overhead) = spec.get_mut("overhead") {
        canonical_list(overhead);
    }
    if let Some(resources) = spec.get_mut("resources") {
        default_resources(resources);
    }
}

/// `serviceAccount` is the deprecated twin of `serviceAccountName`: each follows the other.
fn default_service_account(spec: &mut Value) {
    let (name, old) = (
        text(spec, "serviceAccountName").to_owned(),
        text(spec, "serviceAccount").to_owned(),
    );
    let name = if name.is_empty() { old } else { name };
    if !name.is_empty() {
        set(spec, "serviceAccountName", Some(name.clone().into()));
        set(spec, "serviceAccount", Some(name.into()));
    }
}

fn default_container(container: &mut Value) {
    let policy = if has_latest_tag(text(container, "image")) {
        "Always"
    } else {
        "IfNotPresent"
    };
    default_text(container, "imagePullPolicy", policy);
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    if let Some(resources) = ensure(container, "resources") {
        default_resources(resources);
    }
    for port in items_mut(container, "ports") {
        default_text(port, "protocol", "TCP");
    }
    for variable in items_mut(container, "env") {
        if let Some(source) = variable.get_mut("valueFrom") {
            default_field_source(source);
            if let Some(file) = source.get_mut("fileKeyRef") {
                default_to(file, "optional", false);
            }
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).filter(|probe| probe.is_object()) {
            default_int(probe, "timeoutSeconds", 1);
            default_int(probe, "periodSeconds", 10);
            default_int(probe, "successThreshold", 1);
            default_int(probe, "failureThreshold", 3);
            default_handler(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(handler) = container
            .get_mut("lifecycle")
            .and_then(|lifecycle| lifecycle.get_mut(hook))
        {
            default_handler(handler);
        }
    }
}

fn default_handler(handler: &mut Value) {
    if let Some(http) = handler.get_mut("httpGet").filter(|http| http.is_object()) {
        default_text(http, "path", "/");
        default_text(http, "scheme", "HTTP");
    }
    if let Some(grpc) = handler.get_mut("grpc").filter(|grpc| grpc.is_object()) {
        default_to(grpc, "service", "");
    }
}

fn default_field_source(source: &mut Value) {
    if let Some(field) = source.get_mut("fieldRef").filter(|field| field.is_object()) {
        default_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = source
        .get_mut("resourceFieldRef")
        .filter(|resource| resource.is_object())
    {
        canonical_quantity(resource, "divisor", "0");
    }
}

/// Whether `image` has the tag `latest` or neither tag nor digest.
fn has_latest_tag(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

const DEFAULT_MODE: i64 = 0o644;

fn default_volume(volume: &mut Value) {
    let Some(members) = volume.as_object_mut() else {
        return;
    };
    if !members
        .iter()
        .any(|(key, source)| key != "name" && !source.is_null())
    {
        members.insert("emptyDir".to_owned(), json!({}));
    }
    let Some(source) = members
        .iter_mut()
        .find(|(key, _)| *key != "name")
        .map(|(key, source)| (key.clone(), source))
    else {
        return;
    };
    let (kind, source) = (source.0.as_str(), source.1);
    match kind {
        "secret" | "configMap" => default_to(source, "defaultMode", DEFAULT_MODE),
        "downwardAPI" => {
            default_to(source, "defaultMode", DEFAULT_MODE);
            items_mut(source, "items")
                .iter_mut()
                .for_each(default_field_source);
        }
        "projected" => default_projected(source),
        "hostPath" => default_to(source, "type", ""),
        "emptyDir" if present(source, "sizeLimit").is_some() => {
            canonical_quantity(source, "sizeLimit", "0");
        }
        "ephemeral" => {
            if let Some(spec) = source
                .get_mut("volumeClaimTemplate")
                .and_then(|template| ensure(template, "spec"))
            {
                default_claim_spec(spec);
            }
        }
        "iscsi" => default_text(source, "iscsiInterface", "default"),
        "rbd" => {
            default_text(source, "pool", "rbd");
            default_text(source, "user", "admin");
            default_text(source, "keyring", "/etc/ceph/keyring");
        }
        "azureDisk" => {
            default_to(source, "cachingMode", "ReadWrite");
            default_to(source, "fsType", "ext4");
            default_to(source, "readOnly", false);
            default_to(source, "kind", "Shared");
        }
        "scaleIO" => {
            default_text(source, "storageMode", "ThinProvisioned");
            default_text(source, "fsType", "xfs");
        }
        "image" => {
            let policy = if has_latest_tag(text(source, "reference")) {
                "Always"
            } else {
                "IfNotPresent"
            };
            default_text(source, "pullPolicy", policy);
        }
        _ => {}
    }
}

fn default_projected(source: &mut Value) {
    default_to(source, "defaultMode", DEFAULT_MODE);
    for projection in items_mut(source, "sources") {
        if let Some(token) = projection
            .get_mut("serviceAccountToken")
            .filter(|token| token.is_object())
        {
            default_to(token, "expirationSeconds", 3600);
        }
        if let Some(downward) = projection.get_mut("downwardAPI") {
            items_mut(downward, "items")
                .iter_mut()
                .for_each(default_field_source);
        }
    }
}
