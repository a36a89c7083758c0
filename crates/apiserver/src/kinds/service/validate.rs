//! Validation of Services (API-287).

use std::collections::BTreeSet;
use std::net::IpAddr;

use wavetank_json::{Value, json};
use wavetank_model::defaults::networking::externally_accessible;
use wavetank_model::object::At;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{int, items, present, text};
use crate::kinds::pod_spec::containers::{check_port, check_port_or_name};
use crate::kinds::{meta, names};

use super::{is_headless, needs_health_check_port};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// Checks the whole Service.
pub(super) fn validate(object: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let spec = object.get("spec").unwrap_or(&null);
    let path = Path::new("spec");
    let kind = text(spec, "type");
    if items(spec, "ports").is_empty() && !is_headless(spec) && kind != "ExternalName" {
        errors.required(&path.field("ports"), "");
    }
    validate_type(spec, kind, &path, errors);
    validate_ports(spec, &path, errors);
    meta::validate_labels(spec, "selector", &path, errors);
    validate_affinity(spec, &path, errors);
    if kind != "ExternalName" {
        validate_cluster_ips(spec, &path, errors);
    }
    for (index, ip) in items(spec, "externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .enumerate()
    {
        check_ip(ip, &path.field("externalIPs").index(index), errors);
    }
    if !TYPES.contains(&kind) {
        errors.not_supported(&path.field("type"), kind, &TYPES);
    }
    validate_node_ports(spec, kind, &path, errors);
    validate_load_balancer(spec, kind, &path, errors);
    validate_traffic(spec, &path, errors);
}

fn validate_type(spec: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => errors.invalid(
            &path.field("clusterIPs").index(0),
            "None",
            format!("may not be set to 'None' for {kind} services"),
        ),
        "ExternalName" => {
            for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if present(spec, key).is_some() {
                    errors.forbidden(&path.field(key), "may not be set for ExternalName services");
                }
            }
            let name = text(spec, "externalName");
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.is_empty() {
                errors.required(&path.field("externalName"), "");
            } else {
                errors.invalid_each(
                    &path.field("externalName"),
                    name,
                    names::dns_subdomain(name),
                );
            }
        }
        _ => {}
    }
}

fn validate_ports(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let ports = items(spec, "ports");
    let list = path.field("ports");
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = list.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            errors.invalid_each(&path.field("name"), name, names::dns_label(name));
            if !seen.insert(name) {
                errors.duplicate(&path.field("name"), name);
            }
        } else if ports.len() > 1 {
            errors.required(&path.field("name"), "");
        }
        check_port(int(port, "port").unwrap_or(0), &path.field("port"), errors);
        let protocol = text(port, "protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            errors.not_supported(&path.field("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        }
        check_port_or_name(port.get("targetPort"), &path.field("targetPort"), errors);
        if let Some(protocol) = present(port, "appProtocol").and_then(Value::as_str) {
            errors.invalid_each(
                &path.field("appProtocol"),
                protocol,
                names::label_key(protocol),
            );
        }
    }
}

fn validate_affinity(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let affinity = text(spec, "sessionAffinity");
    if !matches!(affinity, "ClientIP" | "None") {
        errors.not_supported(
            &path.field("sessionAffinity"),
            affinity,
            &["ClientIP", "None"],
        );
    }
    let timeout = spec
        .at(&["sessionAffinityConfig", "clientIP", "timeoutSeconds"])
        .and_then(Value::as_i64);
    if let Some(seconds) =
        timeout.filter(|seconds| affinity == "ClientIP" && !(1..=86400).contains(seconds))
    {
        let path = path.field("sessionAffinityConfig");
        errors.invalid(
            &path.field("clientIP").field("timeoutSeconds"),
            seconds,
            "must be greater than 0 and less than 86400",
        );
    }
}

fn check_ip(ip: &str, path: &Path<'_>, errors: &mut Errors) -> bool {
    let good = ip.parse::<IpAddr>().is_ok();
    if !good {
        errors.invalid(
            path,
            ip,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
    }
    good
}

fn validate_cluster_ips(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("clusterIPs");
    let (first, all) = (text(spec, "clusterIP"), items(spec, "clusterIPs"));
    let value = || spec.get("clusterIPs").cloned().unwrap_or(Value::Null);
    if first.is_empty() {
        if !all.is_empty() {
            errors.invalid(
                &list,
                value(),
                "must be empty when `clusterIP` is not specified",
            );
        }
    } else if all.is_empty() {
        errors.required(&list, "");
    } else if all[0] != first {
        errors.invalid(&list, value(), "first value must match `clusterIP`");
    }
    for (index, family) in items(spec, "ipFamilies")
        .iter()
        .filter_map(Value::as_str)
        .enumerate()
    {
        if !matches!(family, "IPv4" | "IPv6") {
            errors.not_supported(
                &path.field("ipFamilies").index(index),
                family,
                &["IPv4", "IPv6"],
            );
        }
    }
    errors.optional_one_of(
        path,
        spec,
        "ipFamilyPolicy",
        &["PreferDualStack", "RequireDualStack", "SingleStack"],
    );
    for (index, ip) in all.iter().filter_map(Value::as_str).enumerate() {
        if index == 0 && ip == "None" {
            if all.len() > 1 {
                errors.invalid(&list, value(), "'None' must be the first and only value");
            }
            continue;
        }
        check_ip(ip, &list.index(index), errors);
    }
    if all.len() > 2 {
        errors.invalid(&list, value(), "may only hold up to 2 values");
    }
}

fn validate_node_ports(spec: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("ports");
    let ports = items(spec, "ports");
    let node_port = |port: &Value| int(port, "nodePort").unwrap_or(0);
    if kind == "ClusterIP" {
        for (index, _) in ports
            .iter()
            .enumerate()
            .filter(|(_, port)| node_port(port) != 0)
        {
            errors.forbidden(
                &list.index(index).field("nodePort"),
                "may not be used when `type` is 'ClusterIP'",
            );
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports
        .iter()
        .enumerate()
        .filter(|(_, port)| node_port(port) != 0)
    {
        if !seen.insert((text(port, "protocol"), node_port(port))) {
            errors.duplicate(&list.index(index).field("nodePort"), node_port(port));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let number = int(port, "port").unwrap_or(0);
        let protocol = text(port, "protocol");
        if !seen.insert((protocol, number)) {
            // The internal type prints all its fields.
            errors.duplicate(
                &list.index(index),
                json!({"Name": "", "Protocol": protocol, "AppProtocol": null, "Port": number, "TargetPort": 0, "NodePort": 0}),
            );
        }
    }
}

fn validate_load_balancer(spec: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let balancer = kind == "LoadBalancer";
    if !items(spec, "loadBalancerSourceRanges").is_empty() && !balancer {
        errors.forbidden(&path.field("LoadBalancerSourceRanges"), ONLY);
    }
    if present(spec, "allocateLoadBalancerNodePorts").is_some() && !balancer {
        errors.forbidden(&path.field("allocateLoadBalancerNodePorts"), ONLY);
    }
    if let Some(class) = present(spec, "loadBalancerClass").and_then(Value::as_str) {
        if balancer {
            errors.invalid_each(
                &path.field("loadBalancerClass"),
                class,
                names::label_key(class),
            );
        } else {
            errors.forbidden(&path.field("loadBalancerClass"), ONLY);
        }
    }
}

fn validate_traffic(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let external = text(spec, "externalTrafficPolicy");
    if external.is_empty() {
        if externally_accessible(spec) {
            errors.required(&path.field("externalTrafficPolicy"), "");
        }
    } else if !externally_accessible(spec) {
        errors.invalid(
            &path.field("externalTrafficPolicy"),
            external,
            "may only be set for externally-accessible services",
        );
    } else if !matches!(external, "Cluster" | "Local") {
        errors.not_supported(
            &path.field("externalTrafficPolicy"),
            external,
            &["Cluster", "Local"],
        );
    }
    if let Some(port) = int(spec, "healthCheckNodePort").filter(|port| *port != 0)
        && !needs_health_check_port(spec)
    {
        errors.invalid(
            &path.field("healthCheckNodePort"),
            port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        );
    }
    errors.optional_one_of(path, spec, "internalTrafficPolicy", &["Cluster", "Local"]);
    errors.optional_one_of(
        path,
        spec,
        "trafficDistribution",
        &["PreferClose", "PreferSameZone", "PreferSameNode"],
    );
}

/// Checks what may not change.
pub(super) fn validate_change(new: &Value, old: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let (spec, before) = (
        new.get("spec").unwrap_or(&null),
        old.get("spec").unwrap_or(&null),
    );
    let path = Path::new("spec");
    if text(spec, "type") != "ExternalName" && text(before, "type") != "ExternalName" {
        validate_ip_change(spec, before, &path, errors);
        let (new, old) = (items(spec, "ipFamilies"), items(before, "ipFamilies"));
        if is_headless(spec) == is_headless(before)
            && !is_headless(spec)
            && new
                .first()
                .is_some_and(|family| old.first().is_some_and(|before| before != family))
        {
            errors.invalid(
                &path.field("ipFamilies").index(0),
                spec.get("ipFamilies").cloned().unwrap_or(Value::Null),
                "may not change once set",
            );
        }
    }
    if text(spec, "type") == "LoadBalancer"
        && text(before, "type") == "LoadBalancer"
        && present(spec, "loadBalancerClass") != present(before, "loadBalancerClass")
    {
        errors.invalid(
            &path.field("loadBalancerClass"),
            spec.get("loadBalancerClass")
                .cloned()
                .unwrap_or(Value::Null),
            "may not change once set",
        );
    }
    if needs_health_check_port(before)
        && needs_health_check_port(spec)
        && spec.get("healthCheckNodePort") != before.get("healthCheckNodePort")
    {
        errors.forbidden(&path.field("healthCheckNodePort"), "field is immutable");
    }
}

fn validate_ip_change(spec: &Value, before: &Value, path: &Path<'_>, errors: &mut Errors) {
    if is_headless(spec) && is_headless(before) {
        return;
    }
    let list = path.field("clusterIPs");
    let (new, old) = (items(spec, "clusterIPs"), items(before, "clusterIPs"));
    let value = spec.get("clusterIPs").cloned().unwrap_or(Value::Null);
    if new.len() == old.len() {
        for (index, _) in old
            .iter()
            .enumerate()
            .filter(|(index, ip)| **ip != new[*index])
        {
            errors.invalid(&list.index(index), value.clone(), "may not change once set");
        }
    } else if new.is_empty() {
        errors.invalid(&list.index(0), value, "primary clusterIP can not be unset");
    } else if old.first().is_some_and(|ip| *ip != new[0]) {
        errors.invalid(&list.index(0), value, "may not change once set");
    }
}

/// Checks a status write.
pub(super) fn validate_status(new: &Value, old: &Value, errors: &mut Errors) {
    let ingress = |object: &Value| object.at(&["status", "loadBalancer", "ingress"]).cloned();
    let balancer = new.get("spec").map(|spec| text(spec, "type")) == Some("LoadBalancer");
    if ingress(new).is_some() && ingress(new) != ingress(old) && !balancer {
        let path = Path::new("status");
        errors.forbidden(
            &path.field("loadBalancer").field("ingress"),
            "may only be used when `spec.type` is 'LoadBalancer'",
        );
    }
}
