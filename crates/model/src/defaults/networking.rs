//! Service, Ingress, `IngressClass`, `NetworkPolicy`, Endpoints, `EndpointSlice` (API-286, API-292, API-296).

use wavetank_json::{Value, json};

use crate::fields::{
    default_text, default_to, ensure, int, items, items_mut, null_when_empty, present, set, text,
};

pub(super) fn service(object: &mut Value) {
    load_balancer_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_text(spec, "sessionAffinity", "None");
    default_text(spec, "type", "ClusterIP");
    match text(spec, "sessionAffinity") {
        "None" => set(spec, "sessionAffinityConfig", None),
        "ClientIP" => {
            if let Some(client) =
                ensure(spec, "sessionAffinityConfig").and_then(|config| ensure(config, "clientIP"))
            {
                default_to(client, "timeoutSeconds", 10800);
            }
        }
        _ => {}
    }
    for port in items_mut(spec, "ports") {
        default_text(port, "protocol", "TCP");
        let target = present(port, "targetPort");
        if target.is_none_or(|target| target == 0 || target == "") {
            let number = int(port, "port").unwrap_or(0);
            set(port, "targetPort", Some(number.into()));
        }
    }
    if externally_accessible(spec) {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if needs_cluster_ip(spec) {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if text(spec, "type") == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
        for ingress in object
            .pointer_mut("/status/loadBalancer")
            .map_or(&mut [][..], |balancer| items_mut(balancer, "ingress"))
        {
            if !text(ingress, "ip").is_empty() {
                default_to(ingress, "ipMode", "VIP");
            }
        }
    }
}

/// Makes sure of the status of a load balancer, which may be empty.
pub fn load_balancer_status(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        ensure(status, "loadBalancer");
    }
}

/// Whether the Service has a cluster IP (one that may be `None`).
pub fn needs_cluster_ip(spec: &Value) -> bool {
    matches!(
        text(spec, "type"),
        "ClusterIP" | "NodePort" | "LoadBalancer"
    )
}

/// Whether the spec of a Service lets traffic in from outside: its type does, or it has external addresses.
pub fn externally_accessible(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
        || (text(spec, "type") == "ClusterIP" && !items(spec, "externalIPs").is_empty())
}

pub(super) fn ingress(object: &mut Value) {
    ensure(object, "spec");
    load_balancer_status(object);
}

pub(super) fn ingress_class(object: &mut Value) {
    if let Some(parameters) = ensure(object, "spec")
        .and_then(|spec| spec.get_mut("parameters"))
        .filter(|parameters| parameters.is_object())
    {
        default_to(parameters, "scope", "Cluster");
    }
}

pub(super) fn network_policy(object: &mut Value) {
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    ensure(spec, "podSelector");
    if items(spec, "policyTypes").is_empty() {
        let types = if items(spec, "egress").is_empty() {
            json!(["Ingress"])
        } else {
            json!(["Ingress", "Egress"])
        };
        set(spec, "policyTypes", Some(types));
    }
    for direction in ["ingress", "egress"] {
        for rule in items_mut(spec, direction) {
            for port in items_mut(rule, "ports") {
                default_to(port, "protocol", "TCP");
            }
        }
    }
}

pub(super) fn endpoints(object: &mut Value) {
    for subset in items_mut(object, "subsets") {
        for port in items_mut(subset, "ports") {
            default_text(port, "protocol", "TCP");
        }
    }
}

pub(super) fn endpoint_slice(object: &mut Value) {
    for port in items_mut(object, "ports") {
        default_to(port, "name", "");
        default_to(port, "protocol", "TCP");
    }
    null_when_empty(object, "endpoints");
    null_when_empty(object, "ports");
    for endpoint in items_mut(object, "endpoints") {
        ensure(endpoint, "conditions");
    }
}
