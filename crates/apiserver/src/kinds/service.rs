//! Service (API-286, API-287).

use wavetank_json::Value;
use wavetank_model::defaults::networking::load_balancer_status;

use super::field::{Errors, FieldError};
use super::json::{items, text};
use super::{Allocations, Env, NameRule, Strategy};

mod allocate;
mod validate;

pub(super) struct Service;

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

impl Strategy for Service {
    fn name_rule(&self) -> NameRule {
        // Since 1.36; a DNS-1035 label before.
        NameRule::Label
    }

    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        load_balancer_status(object);
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
