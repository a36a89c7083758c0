//! Containers: names, ports, environment, probes, security (API-275).

use std::collections::BTreeSet;

use wavetank_json::Value;
use wavetank_model::object::At;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{flag, int, items, present, text};
use crate::kinds::names;

use super::environment::{validate_env, validate_env_from};
use super::resources;
use super::volumes::Volumes;

/// Checks the regular containers.
pub(super) fn validate_regular(
    spec: &Value,
    volumes: &Volumes<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let containers = items(spec, "containers");
    let list = path.field("containers");
    if containers.is_empty() {
        errors.required(&list, "");
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = list.index(index);
        validate_common(container, volumes, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.duplicate(&path.field("name"), name);
        }
        validate_probes(container, &path, errors);
        validate_restart_policy(container, &path, errors);
    }
    check_host_ports(containers.iter().enumerate(), &list, errors);
}

/// Checks the init containers, sidecars among them.
pub(super) fn validate_init(
    spec: &Value,
    volumes: &Volumes<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let list = path.field("initContainers");
    let mut seen: BTreeSet<&str> = items(spec, "containers")
        .iter()
        .map(|container| text(container, "name"))
        .collect();
    for (index, container) in items(spec, "initContainers").iter().enumerate() {
        let path = list.index(index);
        validate_common(container, volumes, &path, errors);
        validate_restart_policy(container, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.duplicate(&path.field("name"), name);
        }
        check_host_ports(std::iter::once((0, container)), &list, errors);
        if text(container, "restartPolicy") == "Always" {
            validate_probes(container, &path, errors);
        } else {
            for field in [
                "lifecycle",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
            ] {
                if present(container, field).is_some() {
                    errors.forbidden(
                        &path.field(field),
                        "may not be set for init containers without restartPolicy=Always",
                    );
                }
            }
        }
    }
}

/// Checks the ephemeral containers.
pub(super) fn validate_ephemeral(
    spec: &Value,
    volumes: &Volumes<'_>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let list = path.field("ephemeralContainers");
    let mut seen: BTreeSet<&str> = items(spec, "containers")
        .iter()
        .chain(items(spec, "initContainers"))
        .map(|container| text(container, "name"))
        .collect();
    for (index, container) in items(spec, "ephemeralContainers").iter().enumerate() {
        let path = list.index(index);
        validate_common(container, volumes, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.duplicate(&path.field("name"), name);
        }
    }
}

fn validate_common(container: &Value, volumes: &Volumes<'_>, path: &Path<'_>, errors: &mut Errors) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.required(&path.field("name"), "");
    } else {
        errors.invalid_each(&path.field("name"), name, names::dns_label(name));
    }
    if text(container, "image").is_empty() {
        errors.required(&path.field("image"), "");
    }
    errors.one_of(
        path,
        container,
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
    );
    validate_ports(items(container, "ports"), &path.field("ports"), errors);
    validate_env(items(container, "env"), &path.field("env"), errors);
    validate_env_from(items(container, "envFrom"), &path.field("envFrom"), errors);
    volumes.validate_mounts(container, path, errors);
    errors.one_of(
        path,
        container,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
    );
    if let Some(resources) = present(container, "resources") {
        resources::validate(resources, &path.field("resources"), errors);
    }
    validate_resize(
        items(container, "resizePolicy"),
        &path.field("resizePolicy"),
        errors,
    );
    if let Some(context) = present(container, "securityContext") {
        validate_security(context, &path.field("securityContext"), errors);
    }
}

/// Checks what a change of resources asks for.
fn validate_resize(policies: &[Value], path: &Path<'_>, errors: &mut Errors) {
    let choose = |value: &str, values: [&str; 2], errors: &mut Errors| match value {
        "" => errors.required(path, ""),
        value if values.contains(&value) => {}
        value => errors.not_supported(path, value, &values),
    };
    for (index, policy) in policies.iter().enumerate() {
        let name = text(policy, "resourceName");
        if policies[..index]
            .iter()
            .any(|other| text(other, "resourceName") == name)
        {
            errors.duplicate(&path.index(index), name);
        }
        choose(name, ["cpu", "memory"], errors);
        choose(
            text(policy, "restartPolicy"),
            ["NotRequired", "RestartContainer"],
            errors,
        );
    }
}

const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// Whether `port` is a port number.
pub(in crate::kinds) fn is_port(port: i64) -> bool {
    (1..=65535).contains(&port)
}

/// Checks a port number.
pub(in crate::kinds) fn check_port(port: i64, path: &Path<'_>, errors: &mut Errors) {
    if !is_port(port) {
        errors.invalid(path, port, PORT_RANGE);
    }
}

/// Checks the number or name of a port.
pub(in crate::kinds) fn check_port_or_name(
    port: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    match port {
        Some(Value::String(name)) => errors.invalid_each(path, name, names::port_name(name)),
        other => check_port(other.and_then(Value::as_i64).unwrap_or(0), path, errors),
    }
}

fn validate_ports(ports: &[Value], list: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = list.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let problems = names::port_name(name);
            if problems.is_empty() {
                if !seen.insert(name) {
                    errors.duplicate(&path.field("name"), name);
                }
            } else {
                errors.invalid_each(&path.field("name"), name, problems);
            }
        }
        match int(port, "containerPort").unwrap_or(0) {
            0 => errors.required(&path.field("containerPort"), ""),
            number => check_port(number, &path.field("containerPort"), errors),
        }
        let host_port = int(port, "hostPort").unwrap_or(0);
        if host_port != 0 {
            check_port(host_port, &path.field("hostPort"), errors);
        }
        errors.one_of(&path, port, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

fn check_host_ports<'a>(
    containers: impl Iterator<Item = (usize, &'a Value)>,
    list: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen = BTreeSet::new();
    for (index, container) in containers {
        for (number, port) in items(container, "ports").iter().enumerate() {
            let host_port = int(port, "hostPort").unwrap_or(0);
            if host_port == 0 {
                continue;
            }
            let key = format!(
                "{}/{}/{host_port}",
                text(port, "protocol"),
                text(port, "hostIP")
            );
            if !seen.insert(key.clone()) {
                errors.duplicate(
                    &list
                        .index(index)
                        .field("ports")
                        .index(number)
                        .field("hostPort"),
                    key,
                );
            }
        }
    }
}

fn validate_restart_policy(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    if present(container, "restartPolicy").is_some() {
        errors.optional_one_of(
            path,
            container,
            "restartPolicy",
            &["Always", "Never", "OnFailure"],
        );
    } else if !items(container, "restartPolicyRules").is_empty() {
        errors.required(
            &path.field("restartPolicy"),
            "must specify restartPolicy when restart rules are used",
        );
    }
}

fn validate_probes(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(lifecycle) = present(container, "lifecycle") {
        let path = path.field("lifecycle");
        for hook in ["postStart", "preStop"] {
            if let Some(handler) = present(lifecycle, hook) {
                validate_handler(handler, &path.field(hook), errors);
            }
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = present(container, kind) else {
            continue;
        };
        let path = path.field(kind);
        validate_handler(probe, &path, errors);
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            errors.not_negative(&path.field(field), probe.get(field));
        }
        if let Some(period) = int(probe, "terminationGracePeriodSeconds") {
            if kind == "readinessProbe" {
                errors.invalid(
                    &path.field("terminationGracePeriodSeconds"),
                    period,
                    "must not be set for readinessProbes",
                );
            } else if period <= 0 {
                errors.invalid(
                    &path.field("terminationGracePeriodSeconds"),
                    period,
                    "must be greater than 0",
                );
            }
        }
        if kind != "readinessProbe" {
            let threshold = int(probe, "successThreshold").unwrap_or(1);
            if threshold != 1 {
                errors.invalid(&path.field("successThreshold"), threshold, "must be 1");
            }
        }
    }
}

fn validate_handler(handler: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut count = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let Some(action) = present(handler, kind) else {
            continue;
        };
        let path = path.field(kind);
        count += 1;
        if count > 1 {
            errors.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" if items(action, "command").is_empty() => {
                errors.required(&path.field("command"), "");
            }
            "httpGet" => {
                if text(action, "path").is_empty() {
                    errors.required(&path.field("path"), "");
                }
                check_port_or_name(action.get("port"), &path.field("port"), errors);
                errors.optional_one_of(&path, action, "scheme", &["HTTP", "HTTPS"]);
            }
            "tcpSocket" | "grpc" => {
                check_port_or_name(action.get("port"), &path.field("port"), errors);
            }
            _ => {}
        }
    }
    if count == 0 {
        errors.required(path, "must specify a handler type");
    }
}

fn check_id(object: &Value, key: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Some(id) = int(object, key).filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        errors.invalid(
            &path.field(key),
            id,
            "must be between 0 and 2147483647, inclusive",
        );
    }
}

fn validate_security(context: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_id(context, "runAsUser", path, errors);
    check_id(context, "runAsGroup", path, errors);
    errors.optional_one_of(path, context, "procMount", &["Default", "Unmasked"]);
    validate_seccomp(context, path, errors);
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        if flag(context, "privileged") {
            errors.invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        }
        if context
            .at(&["capabilities", "add"])
            .and_then(Value::as_array)
            .is_some_and(|added| added.iter().any(|capability| capability == "CAP_SYS_ADMIN"))
        {
            errors.invalid(
                path,
                context.clone(),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
}

fn validate_seccomp(context: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = present(context, "seccompProfile") else {
        return;
    };
    let path = path.field("seccompProfile");
    let localhost = text(profile, "localhostProfile");
    match text(profile, "type") {
        "Localhost" if localhost.is_empty() => {
            errors.required(
                &path.field("localhostProfile"),
                "must be set when seccomp type is Localhost",
            );
        }
        "Unconfined" | "RuntimeDefault" if !localhost.is_empty() => {
            errors.invalid(
                &path.field("localhostProfile"),
                localhost,
                "can only be set when seccomp type is Localhost",
            );
        }
        "Localhost" | "Unconfined" | "RuntimeDefault" => {}
        "" => errors.required(
            &path.field("type"),
            "type is required when seccompProfile is set",
        ),
        other => errors.not_supported(
            &path.field("type"),
            other,
            &["Localhost", "RuntimeDefault", "Unconfined"],
        ),
    }
}

/// Checks the security context of the Pod.
pub(super) fn validate_pod_security(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(context) = present(spec, "securityContext") else {
        return;
    };
    let path = path.field("securityContext");
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        check_id(context, key, &path, errors);
    }
    for (index, group) in items(context, "supplementalGroups").iter().enumerate() {
        if let Some(id) = group
            .as_i64()
            .filter(|id| !(0..=i64::from(i32::MAX)).contains(id))
        {
            errors.invalid(
                &path.field("supplementalGroups").index(index),
                id,
                "must be between 0 and 2147483647, inclusive",
            );
        }
    }
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        errors.invalid(
            &path.field("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    errors.optional_one_of(
        &path,
        context,
        "fsGroupChangePolicy",
        &["Always", "OnRootMismatch"],
    );
    errors.optional_one_of(
        &path,
        context,
        "supplementalGroupsPolicy",
        &["Merge", "Strict"],
    );
    validate_seccomp(context, &path, errors);
}
