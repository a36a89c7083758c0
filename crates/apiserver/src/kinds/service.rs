//! Service (API-286, API-287).

use wavetank_json::Value;

use super::field::{Errors, FieldError};
use super::json::{default_text, default_to, ensure, int, items, items_mut, present, set, text};
use super::{Allocations, Env, NameRule, Strategy};

mod allocate;
mod validate;

pub(super) struct Service;

/// Whether the Service has a cluster IP (one that may be `None`).
fn needs_cluster_ip(spec: &Value) -> bool {
    matches!(
        text(spec, "type"),
        "ClusterIP" | "NodePort" | "LoadBalancer"
    )
}

fn needs_node_ports(spec: &Value) -> bool {
    match text(spec, "type") {
        "NodePort" => true,
        "LoadBalancer" => spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)),
        _ => false,
    }
}

fn needs_health_check_port(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

fn is_headless(spec: &Value) -> bool {
    items(spec, "clusterIPs")
        .first()
        .is_some_and(|ip| ip == "None")
        || text(spec, "clusterIP") == "None"
}

fn externally_accessible(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
        || (text(spec, "type") == "ClusterIP" && !items(spec, "externalIPs").is_empty())
}

impl Strategy for Service {
    fn name_rule(&self) -> NameRule {
        // Since 1.36; a DNS-1035 label before.
        NameRule::Label
    }

    fn default(&self, _version: &str, object: &mut Value) {
        if let Some(status) = ensure(object, "status") {
            ensure(status, "loadBalancer");
        }
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        default_text(spec, "sessionAffinity", "None");
        default_text(spec, "type", "ClusterIP");
        match text(spec, "sessionAffinity") {
            "None" => set(spec, "sessionAffinityConfig", None),
            "ClientIP" => {
                if let Some(client) = ensure(spec, "sessionAffinityConfig")
                    .and_then(|config| ensure(config, "clientIP"))
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

    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        if let Some(status) = ensure(object, "status") {
            ensure(status, "loadBalancer");
        }
        allocate::on_create(object, env.allocations)
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        if subresource.is_empty() {
            allocate::on_update(new, old, env.allocations)
        } else {
            Ok(())
        }
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate::validate(object, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        match subresource {
            "" => {
                validate::validate_change(new, old, errors);
                validate::validate(new, errors);
            }
            "status" => validate::validate_status(new, old, errors),
            _ => {}
        }
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn delete_returns_object(&self) -> bool {
        true
    }

    fn release(&self, object: &Value, allocations: &mut Allocations) {
        allocate::release(object, allocations);
    }
}
