//! Rows of configuration, networking, policy and RBAC.

use std::collections::BTreeSet;

use wavetank_json::{Value, json};
use wavetank_model::object;

use super::{Row, labels, or, selector};
use crate::kinds::json::{entries, flag, int, items, present, text};

pub(super) fn cells(group: &str, kind: &str, row: &Row<'_>) -> Option<Vec<Value>> {
    let (name, age) = (row.name(), row.age());
    let count = |key: &str| entries(row.object, key).count();
    Some(match (group, kind) {
        ("", "ConfigMap") => vec![name, (count("data") + count("binaryData")).into(), age],
        ("", "Secret") => vec![name, row.text("/type").into(), count("data").into(), age],
        ("", "ServiceAccount") => vec![name, age],
        ("", "Service") => service(row),
        ("", "Endpoints") => vec![name, endpoints(row).into(), age],
        ("", "ResourceQuota") => vec![name, quota(row, false).into(), quota(row, true).into(), age],
        ("networking.k8s.io", "Ingress") => ingress(row),
        ("networking.k8s.io", "IngressClass") => {
            let parameters = row.at("/spec/parameters");
            let shown = if parameters.is_null() {
                "<none>".to_owned()
            } else {
                let group = text(parameters, "apiGroup");
                let dot = if group.is_empty() { "" } else { "." };
                format!(
                    "{}{dot}{group}/{}",
                    text(parameters, "kind"),
                    text(parameters, "name")
                )
            };
            vec![name, row.text("/spec/controller").into(), shown.into(), age]
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            vec![name, selector(row.at("/spec/podSelector")).into(), age]
        }
        ("autoscaling", _) => vec![
            name,
            format!(
                "{}/{}",
                row.text("/spec/scaleTargetRef/kind"),
                row.text("/spec/scaleTargetRef/name")
            )
            .into(),
            targets(row).into(),
            row.at("/spec/minReplicas")
                .as_i64()
                .map_or_else(|| "<unset>".to_owned(), |least| least.to_string())
                .into(),
            row.int("/spec/maxReplicas").into(),
            row.int("/status/currentReplicas").into(),
            age,
        ],
        ("policy", "PodDisruptionBudget") => {
            let bound = |pointer: &str| match row.at(pointer) {
                Value::Null => "N/A".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            vec![
                name,
                bound("/spec/minAvailable").into(),
                bound("/spec/maxUnavailable").into(),
                row.int("/status/disruptionsAllowed").into(),
                age,
            ]
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            let subjects = |kind: &str| -> Value {
                items(row.object, "subjects")
                    .iter()
                    .filter(|subject| text(subject, "kind") == kind)
                    .map(|subject| match text(subject, "namespace") {
                        namespace if kind == "ServiceAccount" => {
                            format!("{namespace}/{}", text(subject, "name"))
                        }
                        _ => text(subject, "name").to_owned(),
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
                    .into()
            };
            let role = format!(
                "{}/{}",
                row.text("/roleRef/kind"),
                row.text("/roleRef/name")
            );
            vec![
                name,
                role.into(),
                age,
                subjects("User"),
                subjects("Group"),
                subjects("ServiceAccount"),
            ]
        }
        _ => return extension(group, kind, row),
    })
}

fn extension(group: &str, kind: &str, row: &Row<'_>) -> Option<Vec<Value>> {
    let (name, age) = (row.name(), row.age());
    Some(match (group, kind) {
        ("storage.k8s.io", "StorageClass") => {
            let is_default = [
                "storageclass.kubernetes.io/is-default-class",
                "storageclass.beta.kubernetes.io/is-default-class",
            ]
            .iter()
            .any(|mark| object::annotation(row.object, mark) == Some("true"));
            let suffix = if is_default { " (default)" } else { "" };
            vec![
                format!("{}{suffix}", object::name(row.object)).into(),
                row.text("/provisioner").into(),
                or(row.text("/reclaimPolicy"), "Delete").into(),
                or(row.text("/volumeBindingMode"), "Immediate").into(),
                flag(row.object, "allowVolumeExpansion").into(),
                age,
            ]
        }
        ("storage.k8s.io", "CSIDriver") => {
            let spec = row.at("/spec");
            let tokens: Vec<&str> = items(spec, "tokenRequests")
                .iter()
                .map(|token| text(token, "audience"))
                .collect();
            let modes: Vec<&str> = items(spec, "volumeLifecycleModes")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            vec![
                name,
                flag(spec, "attachRequired").into(),
                flag(spec, "podInfoOnMount").into(),
                flag(spec, "storageCapacity").into(),
                or(&tokens.join(","), "<unset>").into(),
                flag(spec, "requiresRepublish").into(),
                or(&modes.join(","), "<none>").into(),
                age,
            ]
        }
        ("storage.k8s.io", "CSINode") => {
            vec![name, items(row.at("/spec"), "drivers").len().into(), age]
        }
        ("scheduling.k8s.io", "PriorityClass") => vec![
            name,
            row.int("/value").into(),
            flag(row.object, "globalDefault").into(),
            age,
            row.text("/preemptionPolicy").into(),
        ],
        ("node.k8s.io", "RuntimeClass") => vec![name, row.text("/handler").into(), age],
        ("storage.k8s.io", "VolumeAttachment") => vec![
            name,
            row.text("/spec/attacher").into(),
            row.text("/spec/source/persistentVolumeName").into(),
            row.text("/spec/nodeName").into(),
            flag(row.at("/status"), "attached").into(),
            age,
        ],
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            let kind = row.at("/spec/paramKind");
            let shown = format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"));
            vec![
                name,
                items(row.at("/spec"), "validations").len().into(),
                if kind.is_object() {
                    shown
                } else {
                    "<unset>".to_owned()
                }
                .into(),
                age,
            ]
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            let reference = row.at("/spec/paramRef");
            let (namespace, own) = (text(reference, "namespace"), text(reference, "name"));
            let shown = match (reference.is_object(), own) {
                (false, _) => "<unset>".to_owned(),
                (true, "") => format!("{namespace}/*"),
                (true, own) => format!("{namespace}/{own}"),
            };
            vec![name, row.text("/spec/policyName").into(), shown.into(), age]
        }
        ("coordination.k8s.io", "Lease") => {
            vec![name, row.text("/spec/holderIdentity").into(), age]
        }
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(row),
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => {
            vec![name, items(row.object, "webhooks").len().into(), age]
        }
        ("apiregistration.k8s.io", "APIService") => {
            let service = row.at("/spec/service");
            let service = if service.is_null() {
                "Local".to_owned()
            } else {
                format!("{}/{}", text(service, "namespace"), text(service, "name"))
            };
            let available = items(row.at("/status"), "conditions")
                .iter()
                .find(|condition| text(condition, "type") == "Available")
                .map_or_else(
                    || "Unknown".to_owned(),
                    |condition| match text(condition, "status") {
                        "True" => "True".to_owned(),
                        status => format!("{status} ({})", text(condition, "reason")),
                    },
                );
            vec![name, service.into(), available.into(), age]
        }
        _ => return None,
    })
}

fn endpoint_slice(row: &Row<'_>) -> Vec<Value> {
    let ports: Vec<String> = items(row.object, "ports")
        .iter()
        .map(|port| int(port, "port").map_or_else(|| "*".to_owned(), |port| port.to_string()))
        .collect();
    let addresses: Vec<&str> = items(row.object, "endpoints")
        .iter()
        .flat_map(|endpoint| items(endpoint, "addresses"))
        .filter_map(Value::as_str)
        .collect();
    vec![
        row.name(),
        row.text("/addressType").into(),
        some(&ports, 3, ",", "<unset>").into(),
        some(&addresses, 3, ",", "<unset>").into(),
        row.age(),
    ]
}

/// The first `most` entries, and how many more there are.
fn some<T: AsRef<str>>(list: &[T], most: usize, separator: &str, missing: &str) -> String {
    if list.is_empty() {
        return missing.to_owned();
    }
    let shown: Vec<&str> = list.iter().take(most).map(AsRef::as_ref).collect();
    let mut out = shown.join(separator);
    if list.len() > most {
        out.extend([" + ", &(list.len() - most).to_string(), " more..."]);
    }
    out
}

fn service(row: &Row<'_>) -> Vec<Value> {
    let spec = row.at("/spec");
    let kind = text(spec, "type");
    let ip = items(spec, "clusterIPs")
        .first()
        .and_then(Value::as_str)
        .unwrap_or_else(|| text(spec, "clusterIP"));
    let externals: Vec<&str> = items(spec, "externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let external = match kind {
        "ExternalName" => text(spec, "externalName").to_owned(),
        "LoadBalancer" => {
            let mut all = balancer(row.at("/status/loadBalancer"));
            all.extend(externals.iter().map(|ip| (*ip).to_owned()));
            or(&all.join(","), "<pending>")
        }
        _ => or(&externals.join(","), "<none>"),
    };
    let ports: Vec<String> = items(spec, "ports")
        .iter()
        .map(|port| {
            let (number, protocol) = (int(port, "port").unwrap_or(0), text(port, "protocol"));
            match int(port, "nodePort").filter(|node_port| *node_port > 0) {
                Some(node_port) => format!("{number}:{node_port}/{protocol}"),
                None => format!("{number}/{protocol}"),
            }
        })
        .collect();
    vec![
        row.name(),
        kind.into(),
        or(ip, "<none>").into(),
        external.into(),
        or(&ports.join(","), "<none>").into(),
        row.age(),
        labels(row.at("/spec/selector")).into(),
    ]
}

/// Addresses of a load balancer, each once.
fn balancer(status: &Value) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for ingress in items(status, "ingress") {
        let address = match text(ingress, "ip") {
            "" => text(ingress, "hostname"),
            ip => ip,
        };
        if !address.is_empty() {
            seen.insert(address.to_owned());
        }
    }
    seen.into_iter().collect()
}

fn ingress(row: &Row<'_>) -> Vec<Value> {
    let spec = row.at("/spec");
    let hosts: Vec<&str> = items(spec, "rules")
        .iter()
        .map(|rule| text(rule, "host"))
        .filter(|host| !host.is_empty())
        .collect();
    let ports = if items(spec, "tls").is_empty() {
        "80"
    } else {
        "80, 443"
    };
    vec![
        row.name(),
        or(text(spec, "ingressClassName"), "<none>").into(),
        some(&hosts, 3, ",", "*").into(),
        balancer(row.at("/status/loadBalancer")).join(",").into(),
        ports.into(),
        row.age(),
    ]
}

fn endpoints(row: &Row<'_>) -> String {
    let mut all = Vec::new();
    for subset in items(row.object, "subsets") {
        let ips = items(subset, "addresses")
            .iter()
            .map(|address| text(address, "ip"));
        let ports = items(subset, "ports");
        if ports.is_empty() {
            all.extend(ips.map(str::to_owned));
            continue;
        }
        for port in ports {
            let number = int(port, "port").unwrap_or(0);
            all.extend(
                items(subset, "addresses")
                    .iter()
                    .map(|address| format!("{}:{number}", text(address, "ip"))),
            );
        }
    }
    some(&all, 3, ",", "<none>")
}

/// Requests or limits of a quota, used of hard.
fn quota(row: &Row<'_>, limits: bool) -> String {
    entries(row.at("/status"), "hard")
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            let used = row
                .at("/status")
                .get("used")
                .and_then(|used| used.get(name))
                .and_then(Value::as_str)
                .unwrap_or("0");
            format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// Current and wanted value of each metric.
fn targets(row: &Row<'_>) -> String {
    let metrics = items(row.at("/spec"), "metrics");
    let mut out = Vec::new();
    for (index, metric) in metrics.iter().enumerate() {
        let kind = text(metric, "type");
        let source = match kind {
            "Resource" => "resource",
            "ContainerResource" => "containerResource",
            "Pods" => "pods",
            "Object" => "object",
            "External" => "external",
            _ => continue,
        };
        let none = json!({});
        let wanted = metric.get(source).unwrap_or(&none);
        let target = wanted.get("target").unwrap_or(&none);
        let current = items(row.at("/status"), "currentMetrics")
            .get(index)
            .and_then(|metric| metric.get(source));
        let current = current
            .and_then(|current| present(current, "current"))
            .unwrap_or(&none);
        let shown = |holder: &Value| {
            if let Some(percent) = int(holder, "averageUtilization")
                .filter(|_| present(target, "averageUtilization").is_some())
            {
                return format!("{percent}%");
            }
            let value = ["averageValue", "value"]
                .iter()
                .find_map(|key| present(holder, key).and_then(Value::as_str));
            value.map_or_else(|| "<unknown>".to_owned(), str::to_owned)
        };
        let prefix = if source == "resource" {
            format!("{}: ", text(wanted, "name"))
        } else {
            String::new()
        };
        let average = matches!(source, "pods" | "object" | "external")
            && present(target, "averageValue").is_some()
            && source != "pods";
        let suffix = if average { " (avg)" } else { "" };
        out.push(format!(
            "{prefix}{}/{}{suffix}",
            shown(current),
            shown(target)
        ));
    }
    some(&out, 2, ", ", "<none>")
}
