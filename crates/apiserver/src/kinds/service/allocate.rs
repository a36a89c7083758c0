//! Cluster IPs, IP families and node ports of a Service.

use std::net::Ipv4Addr;

use wavetank_json::{Value, json};
use wavetank_model::defaults::networking::{externally_accessible, needs_cluster_ip};

use crate::kinds::Allocations;
use crate::kinds::field::{Errors, FieldError, Path};
use crate::kinds::json::{default_to, entries, int, items, items_mut, present, restore, set, text};

use super::{is_headless, needs_health_check_port, needs_node_ports};

/// Fills the IP fields and allocates addresses and ports of a new Service.
pub(super) fn on_create(
    object: &mut Value,
    allocations: &mut Allocations,
) -> Result<(), Vec<FieldError>> {
    let Some(spec) = object.get_mut("spec") else {
        return Ok(());
    };
    let mut errors = Errors::default();
    if needs_cluster_ip(spec) {
        cluster_ips(spec, allocations, &mut errors);
    }
    if errors.is_empty() && needs_node_ports(spec) {
        node_ports(spec, &[], allocations, &mut errors);
    }
    if errors.is_empty() {
        health_check_port(spec, allocations, &mut errors);
    }
    finish(errors)
}

/// Carries over what was allocated, drops what the new type has no use for, allocates what is missing.
pub(super) fn on_update(
    new: &mut Value,
    old: &Value,
    allocations: &mut Allocations,
) -> Result<(), Vec<FieldError>> {
    let null = Value::Null;
    let before = old.get("spec").unwrap_or(&null);
    let Some(spec) = new.get_mut("spec") else {
        return Ok(());
    };
    follow_cluster_ip(spec, before);
    keep_allocated(spec, before);
    drop_unused(spec, before);
    let mut errors = Errors::default();
    match (needs_cluster_ip(before), needs_cluster_ip(spec)) {
        (false, true) => cluster_ips(spec, allocations, &mut errors),
        (true, false) => release_ips(before, allocations),
        (true, true) if text(spec, "clusterIP") == text(before, "clusterIP") => normalize(spec),
        _ => {}
    }
    if errors.is_empty() {
        let kept = items(before, "ports");
        if needs_node_ports(spec) {
            node_ports(spec, kept, allocations, &mut errors);
        }
        let still: Vec<i64> = items(spec, "ports")
            .iter()
            .filter_map(|port| int(port, "nodePort"))
            .collect();
        for port in kept
            .iter()
            .filter_map(|port| int(port, "nodePort"))
            .filter(|port| !still.contains(port))
        {
            allocations.release_port(port);
        }
        if !needs_health_check_port(before) {
            health_check_port(spec, allocations, &mut errors);
        } else if !needs_health_check_port(spec) {
            allocations.release_port(int(before, "healthCheckNodePort").unwrap_or(0));
        }
    }
    finish(errors)
}

/// Gives everything back.
pub(super) fn release(object: &Value, allocations: &mut Allocations) {
    let Some(spec) = object.get("spec") else {
        return;
    };
    release_ips(spec, allocations);
    for port in items(spec, "ports")
        .iter()
        .filter_map(|port| int(port, "nodePort"))
    {
        allocations.release_port(port);
    }
    if let Some(port) = int(spec, "healthCheckNodePort") {
        allocations.release_port(port);
    }
}

fn finish(errors: Errors) -> Result<(), Vec<FieldError>> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.into_vec())
    }
}

fn release_ips(spec: &Value, allocations: &mut Allocations) {
    for ip in items(spec, "clusterIPs")
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|ip| ip.parse().ok())
    {
        allocations.release_ip(ip);
    }
}

/// `clusterIPs` follows `clusterIP` where it is empty.
fn normalize(spec: &mut Value) {
    let first = text(spec, "clusterIP").to_owned();
    if !first.is_empty() && items(spec, "clusterIPs").is_empty() {
        set(spec, "clusterIPs", Some(json!([first])));
    }
}

/// The families of a cluster that has IPv4 only. A headless Service without selector may have both.
fn families(spec: &mut Value) {
    let headless = is_headless(spec);
    let selects = entries(spec, "selector").next().is_some();
    if headless && !selects {
        default_to(spec, "ipFamilyPolicy", "RequireDualStack");
        if text(spec, "ipFamilyPolicy") == "SingleStack" {
            default_to(spec, "ipFamilies", json!(["IPv4"]));
        } else if items(spec, "ipFamilies").len() < 2 {
            let families = if items(spec, "ipFamilies")
                .first()
                .is_some_and(|family| family == "IPv6")
            {
                json!(["IPv6", "IPv4"])
            } else {
                json!(["IPv4", "IPv6"])
            };
            set(spec, "ipFamilies", Some(families));
        }
        return;
    }
    default_to(spec, "ipFamilyPolicy", "SingleStack");
    if items(spec, "ipFamilies").is_empty() {
        set(spec, "ipFamilies", Some(json!(["IPv4"])));
    }
}

fn cluster_ips(spec: &mut Value, allocations: &mut Allocations, errors: &mut Errors) {
    let root = Path::new("spec");
    let path = root.field("clusterIPs");
    normalize(spec);
    if text(spec, "ipFamilyPolicy") == "RequireDualStack" && !is_headless(spec) {
        errors.invalid(
            &root.field("ipFamilyPolicy"),
            "RequireDualStack",
            "this cluster is not configured for dual-stack services",
        );
        return;
    }
    if let Some(index) = items(spec, "ipFamilies")
        .iter()
        .position(|family| family == "IPv6")
        && !is_headless(spec)
    {
        errors.invalid(
            &root.field("ipFamilies").index(index),
            "IPv6",
            "not configured on this cluster",
        );
        return;
    }
    families(spec);
    if is_headless(spec) {
        return;
    }
    let asked = text(spec, "clusterIP").to_owned();
    if asked.is_empty() {
        match allocations.allocate_ip() {
            Some(ip) => {
                set(spec, "clusterIP", Some(ip.to_string().into()));
                set(spec, "clusterIPs", Some(json!([ip.to_string()])));
            }
            None => errors.invalid(&path, "", "failed to allocate a serviceIP: range is full"),
        }
        return;
    }
    // What is no address is left to validation.
    if let Ok(ip) = asked.parse::<Ipv4Addr>()
        && let Err(why) = allocations.take_ip(ip)
    {
        let all = spec.get("clusterIPs").cloned().unwrap_or(Value::Null);
        errors.invalid(&path, all, format!("failed to allocate IP {asked}: {why}"));
    }
}

/// Allocates or takes the node ports that are not in `kept` already. Ports of one number and different protocols
/// share the number.
fn node_ports(
    spec: &mut Value,
    kept: &[Value],
    allocations: &mut Allocations,
    errors: &mut Errors,
) {
    let root = Path::new("spec");
    let list = root.field("ports");
    let mut own: Vec<i64> = kept
        .iter()
        .filter_map(|port| int(port, "nodePort"))
        .collect();
    let mut by_port: Vec<(i64, String, i64)> = Vec::new();
    for (index, port) in items_mut(spec, "ports").iter_mut().enumerate() {
        let (number, protocol) = (
            int(port, "port").unwrap_or(0),
            text(port, "protocol").to_owned(),
        );
        let mut node_port = int(port, "nodePort").unwrap_or(0);
        if node_port == 0 {
            let twin = by_port
                .iter()
                .find(|(other, other_protocol, _)| *other == number && *other_protocol != protocol);
            node_port = match twin {
                Some((_, _, shared)) => *shared,
                None => {
                    if let Some(free) = allocations.allocate_port() {
                        i64::from(free)
                    } else {
                        errors.invalid(
                            &list.index(index).field("nodePort"),
                            0,
                            "failed to allocate a nodePort: range is full",
                        );
                        return;
                    }
                }
            };
            set(port, "nodePort", Some(node_port.into()));
        } else if !own.contains(&node_port)
            && let Err(why) = allocations.take_port(node_port)
        {
            errors.invalid(&list.index(index).field("nodePort"), node_port, why);
            continue;
        }
        own.push(node_port);
        by_port.push((number, protocol, node_port));
    }
}

fn health_check_port(spec: &mut Value, allocations: &mut Allocations, errors: &mut Errors) {
    if !needs_health_check_port(spec) {
        return;
    }
    let root = Path::new("spec");
    match int(spec, "healthCheckNodePort").unwrap_or(0) {
        0 => {
            if let Some(port) = allocations.allocate_port() {
                set(spec, "healthCheckNodePort", Some(port.into()));
            }
        }
        asked => {
            if let Err(why) = allocations.take_port(asked) {
                errors.invalid(
                    &root.field("healthCheckNodePort"),
                    asked,
                    format!("failed to allocate requested HealthCheck NodePort {asked}: {why}"),
                );
            }
        }
    }
}

/// A client that knows `clusterIP` only changes or empties that one: `clusterIPs` follows.
fn follow_cluster_ip(spec: &mut Value, before: &Value) {
    let (new, old) = (
        text(spec, "clusterIP").to_owned(),
        text(before, "clusterIP"),
    );
    if new == old || spec.get("clusterIPs") != before.get("clusterIPs") {
        return;
    }
    if new.is_empty() {
        set(spec, "clusterIPs", None);
    } else if let Some(first) = items_mut(spec, "clusterIPs").first_mut() {
        *first = new.into();
    }
}

/// What the client left empty is taken from the stored Service (API-107, API-287).
fn keep_allocated(spec: &mut Value, before: &Value) {
    if needs_cluster_ip(before) && needs_cluster_ip(spec) {
        if text(spec, "clusterIP").is_empty() && items(spec, "clusterIPs").is_empty() {
            restore(spec, before, "clusterIP");
        }
        if items(spec, "clusterIPs").is_empty()
            && text(spec, "clusterIP") == text(before, "clusterIP")
        {
            restore(spec, before, "clusterIPs");
        }
        for key in ["ipFamilies", "ipFamilyPolicy"] {
            if present(spec, key).is_none() {
                restore(spec, before, key);
            }
        }
    }
    if needs_node_ports(before) && needs_node_ports(spec) {
        let mut used: Vec<i64> = items(spec, "ports")
            .iter()
            .filter_map(|port| int(port, "nodePort"))
            .collect();
        for port in items_mut(spec, "ports") {
            if int(port, "nodePort").unwrap_or(0) != 0 {
                continue;
            }
            let same = items(before, "ports").iter().find(|other| {
                int(other, "port") == int(port, "port")
                    && text(other, "protocol") == text(port, "protocol")
            });
            if let Some(number) = same
                .and_then(|other| int(other, "nodePort"))
                .filter(|number| !used.contains(number))
            {
                set(port, "nodePort", Some(number.into()));
                used.push(number);
            }
        }
    }
    if needs_health_check_port(before)
        && needs_health_check_port(spec)
        && int(spec, "healthCheckNodePort").unwrap_or(0) == 0
    {
        restore(spec, before, "healthCheckNodePort");
    }
}

/// What only the old type had goes when the client did not touch it.
fn drop_unused(spec: &mut Value, before: &Value) {
    let same = |spec: &Value, key: &str| spec.get(key) == before.get(key);
    if needs_cluster_ip(before) && !needs_cluster_ip(spec) {
        if same(spec, "clusterIP") && same(spec, "clusterIPs") {
            set(spec, "clusterIP", None);
            set(spec, "clusterIPs", None);
        }
        for key in ["ipFamilies", "ipFamilyPolicy"] {
            if same(spec, key) {
                set(spec, key, None);
            }
        }
    }
    if needs_node_ports(before) && !needs_node_ports(spec) {
        let ports = |spec: &Value| -> Vec<Option<i64>> {
            items(spec, "ports")
                .iter()
                .map(|port| int(port, "nodePort"))
                .collect()
        };
        if ports(spec) == ports(before) {
            for port in items_mut(spec, "ports") {
                set(port, "nodePort", None);
            }
        }
    }
    if needs_health_check_port(before)
        && !needs_health_check_port(spec)
        && same(spec, "healthCheckNodePort")
    {
        set(spec, "healthCheckNodePort", None);
    }
    if text(spec, "type") == "ExternalName" && same(spec, "internalTrafficPolicy") {
        set(spec, "internalTrafficPolicy", None);
    }
    if text(before, "type") == "LoadBalancer" && text(spec, "type") != "LoadBalancer" {
        for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(spec, key) {
                set(spec, key, None);
            }
        }
    }
    if externally_accessible(before)
        && !externally_accessible(spec)
        && same(spec, "externalTrafficPolicy")
    {
        set(spec, "externalTrafficPolicy", None);
    }
}
