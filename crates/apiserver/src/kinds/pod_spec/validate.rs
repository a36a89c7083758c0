//! Validation of Pod specs and templates (API-275).

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{flag, int, items, present, text};
use crate::kinds::{meta, names};

use super::containers;
use super::scheduling;
use super::volumes::Volumes;

/// Checks a Pod template at `path`.
pub(in crate::kinds) fn validate_template(template: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(metadata) = template.get("metadata") {
        // The paths of template metadata lack the word metadata.
        meta::validate_labels(metadata, "labels", path, errors);
        meta::validate_annotations(metadata, path, errors);
    }
    let spec = template.get("spec").unwrap_or(&Value::Null);
    validate_spec(spec, false, &path.field("spec"), errors);
    if !items(spec, "ephemeralContainers").is_empty() {
        errors.forbidden(
            &path.field("spec").field("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Checks a Pod spec at `path`, that of a Pod or of a template.
pub(in crate::kinds) fn validate_spec(
    spec: &Value,
    is_pod: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let volumes = Volumes::validate(spec, path, errors);
    containers::validate_regular(spec, &volumes, path, errors);
    containers::validate_init(spec, &volumes, path, errors);
    containers::validate_ephemeral(spec, &volumes, path, errors);
    validate_host_network(spec, is_pod, path, errors);
    errors.one_of(
        path,
        spec,
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
    );
    errors.one_of(
        path,
        spec,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    meta::validate_labels(spec, "nodeSelector", path, errors);
    containers::validate_pod_security(spec, path, errors);
    if let Some(affinity) = present(spec, "affinity") {
        scheduling::validate_affinity(affinity, &path.field("affinity"), errors);
    }
    validate_dns(spec, path, errors);
    for (index, gate) in items(spec, "readinessGates").iter().enumerate() {
        let kind = text(gate, "conditionType");
        let path = path.field("readinessGates");
        errors.invalid_each(
            &path.index(index).field("conditionType"),
            kind,
            names::label_key(kind),
        );
    }
    validate_scheduling_gates(spec, path, errors);
    scheduling::validate_spread(
        items(spec, "topologySpreadConstraints"),
        &path.field("topologySpreadConstraints"),
        errors,
    );
    if let Some(os) = present(spec, "os") {
        let path = path.field("os");
        match text(os, "name") {
            "" => errors.required(&path.field("name"), ""),
            "linux" | "windows" => {}
            other => errors.not_supported(&path, other, &["linux", "windows"]),
        }
    }
    validate_names(spec, path, errors);
    scheduling::validate_tolerations(
        items(spec, "tolerations"),
        &path.field("tolerations"),
        errors,
    );
    errors.optional_one_of(
        path,
        spec,
        "preemptionPolicy",
        &["PreemptLowerPriority", "Never"],
    );
}

fn validate_names(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for key in ["serviceAccountName", "nodeName"] {
        let name = text(spec, key);
        if !name.is_empty() {
            errors.invalid_each(&path.field(key), name, names::dns_subdomain(name));
        }
    }
    if let Some(seconds) = int(spec, "activeDeadlineSeconds")
        .filter(|seconds| !(1..=i64::from(i32::MAX)).contains(seconds))
    {
        errors.invalid(
            &path.field("activeDeadlineSeconds"),
            seconds,
            "must be between 1 and 2147483647, inclusive",
        );
    }
    for key in ["hostname", "subdomain"] {
        let name = text(spec, key);
        if !name.is_empty() {
            errors.invalid_each(&path.field(key), name, names::dns_label(name));
        }
    }
    let priority = text(spec, "priorityClassName");
    if !priority.is_empty() {
        errors.invalid_each(
            &path.field("priorityClassName"),
            priority,
            names::dns_subdomain(priority),
        );
    }
    if let Some(class) = present(spec, "runtimeClassName").and_then(Value::as_str) {
        errors.invalid_each(
            &path.field("runtimeClassName"),
            class,
            names::dns_subdomain(class),
        );
    }
}

fn validate_host_network(spec: &Value, is_pod: bool, path: &Path<'_>, errors: &mut Errors) {
    if !flag(spec, "hostNetwork") {
        return;
    }
    let list = path.field("containers");
    for (index, container) in items(spec, "containers").iter().enumerate() {
        for (number, port) in items(container, "ports").iter().enumerate() {
            let (host, own) = (
                int(port, "hostPort").unwrap_or(0),
                int(port, "containerPort").unwrap_or(0),
            );
            if (is_pod || host != 0) && host != own {
                errors.invalid(
                    &list
                        .index(index)
                        .field("ports")
                        .index(number)
                        .field("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

fn validate_dns(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.field("dnsConfig");
    let config = present(spec, "dnsConfig");
    if text(spec, "dnsPolicy") == "None" {
        match config {
            None => errors.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(config) if items(config, "nameservers").is_empty() => errors.required(
                &path.field("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            ),
            Some(_) => {}
        }
    }
    let Some(config) = config else { return };
    if items(config, "nameservers").len() > 3 {
        errors.invalid(
            &path.field("nameservers"),
            config["nameservers"].clone(),
            "must not have more than 3 nameservers",
        );
    }
    for (index, option) in items(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.required(&path.field("options").index(index), "must not be empty");
        }
    }
}

fn validate_scheduling_gates(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("schedulingGates");
    let gates = items(spec, "schedulingGates");
    for (index, gate) in gates.iter().enumerate() {
        let name = text(gate, "name");
        errors.invalid_each(&list.index(index), name, names::label_key(name));
        if gates[..index]
            .iter()
            .any(|earlier| text(earlier, "name") == name)
        {
            errors.duplicate(&list.index(index), name);
        }
    }
}
