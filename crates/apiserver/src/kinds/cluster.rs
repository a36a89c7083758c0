//! Node, Event, Lease, Endpoints, `EndpointSlice`, `LimitRange`, `ResourceQuota`, `CertificateSigningRequest` (API-296, API-297).

use wavetank_json::Value;
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path};
use super::json::{entries, int, items, present, text};
use super::pod_spec::containers::check_port;
use super::pod_spec::{resources, scheduling};
use super::{Env, Strategy, names};

pub(super) struct Node;

impl Strategy for Node {
    fn has_status(&self) -> bool {
        true
    }

    fn status_on_create(&self) -> super::StatusOnCreate {
        super::StatusOnCreate::Kept
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("metadata");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let list = path.field("taints");
        let taints = items(spec, "taints");
        for (index, taint) in taints.iter().enumerate() {
            let path = list.index(index);
            let key = text(taint, "key");
            errors.invalid_each(&path.field("key"), key, names::label_key(key));
            let value = text(taint, "value");
            let problems = names::label_value(value);
            if !problems.is_empty() {
                errors.invalid(&path.field("value"), value, problems.join(";"));
            }
            scheduling::validate_taint_effect(taint, &path, errors);
            let same = |earlier: &Value| {
                text(earlier, "key") == key && text(earlier, "effect") == text(taint, "effect")
            };
            if taints[..index].iter().any(same) {
                errors.duplicate(&path, taint.clone());
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if !subresource.is_empty() {
            return;
        }
        self.validate_create(new, errors);
        let path = Path::new("spec");
        let before = old.get("spec").unwrap_or(&Value::Null);
        let provider = text(before, "providerID");
        if !provider.is_empty()
            && new.get("spec").map(|spec| text(spec, "providerID")) != Some(provider)
        {
            errors.forbidden(
                &path.field("providerID"),
                "node updates may not change providerID except from \"\" to valid",
            );
        }
        if !items(before, "podCIDRs").is_empty()
            && new.at(&["spec", "podCIDRs"]) != before.get("podCIDRs")
        {
            errors.forbidden(
                &path.field("podCIDRs"),
                "node updates may not change podCIDR except from \"\" to valid",
            );
        }
    }
}

pub(super) struct Event;

const MISMATCH: &str = "does not match event.namespace";

impl Strategy for Event {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let namespace = wavetank_model::object::namespace(object);
        let involved = object
            .get("involvedObject")
            .map(|involved| text(involved, "namespace"))
            .unwrap_or_default();
        let path = Path::new("involvedObject");
        let path = path.field("namespace");
        if present(object, "eventTime").is_none() {
            let matches = if involved.is_empty() {
                matches!(namespace, "" | "default")
            } else {
                namespace == involved
            };
            if !matches {
                errors.invalid(&path, involved, MISMATCH);
            }
            return;
        }
        if involved.is_empty() && !matches!(namespace, "default" | "kube-system") {
            errors.invalid(&path, involved, MISMATCH);
        }
        let reporter = text(object, "reportingComponent");
        if reporter.is_empty() {
            errors.required(&Path::new("reportingComponent"), "");
        }
        errors.invalid_each(
            &Path::new("reportingComponent"),
            reporter,
            names::label_key(reporter),
        );
        for (key, limit) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
            let value = text(object, key);
            if value.is_empty() {
                errors.required(&Path::new(key), "");
            } else if value.len() > limit {
                errors.invalid(
                    &Path::new(key),
                    "",
                    format!("can have at most {limit} characters"),
                );
            }
        }
        if text(object, "message").len() > 1024 {
            errors.invalid(
                &Path::new("message"),
                "",
                "can have at most 1024 characters",
            );
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn collects_garbage(&self) -> bool {
        false
    }
}

pub(super) struct Lease;

impl Strategy for Lease {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
            errors.invalid(
                &path.field("leaseDurationSeconds"),
                seconds,
                "must be greater than 0",
            );
        }
        errors.not_negative(
            &path.field("leaseTransitions"),
            spec.get("leaseTransitions"),
        );
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

pub(super) struct Endpoints;

impl Strategy for Endpoints {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let list = Path::new("subsets");
        for (index, subset) in items(object, "subsets").iter().enumerate() {
            let path = list.index(index);
            if items(subset, "addresses").is_empty()
                && items(subset, "notReadyAddresses").is_empty()
            {
                errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
            }
            for key in ["addresses", "notReadyAddresses"] {
                for (number, address) in items(subset, key).iter().enumerate() {
                    let ip = text(address, "ip");
                    if ip.parse::<std::net::IpAddr>().is_err() {
                        errors.invalid(
                            &path.field(key).index(number).field("ip"),
                            ip,
                            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                        );
                    }
                }
            }
            let ports = items(subset, "ports");
            for (number, port) in ports.iter().enumerate() {
                let list = path.field("ports");
                let path = list.index(number);
                let name = text(port, "name");
                if name.is_empty() && ports.len() > 1 {
                    errors.required(&path.field("name"), "");
                } else if !name.is_empty() {
                    errors.invalid_each(&path.field("name"), name, names::dns_label(name));
                }
                check_port(int(port, "port").unwrap_or(0), &path.field("port"), errors);
                let protocol = text(port, "protocol");
                if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
                    errors.not_supported(
                        &path.field("protocol"),
                        protocol,
                        &["SCTP", "TCP", "UDP"],
                    );
                }
            }
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn warnings(&self, _object: &Value) -> Vec<String> {
        vec![
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
                .to_owned(),
        ]
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

pub(super) struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn has_generation(&self) -> bool {
        true
    }

    fn bumps_generation(&self, new: &Value, old: &Value) -> bool {
        let content = |object: &Value| {
            (
                object.get("endpoints").cloned(),
                object.get("ports").cloned(),
                object.at(&["metadata", "labels"]).cloned(),
            )
        };
        content(new) != content(old)
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
        let kind = text(object, "addressType");
        if kind.is_empty() {
            errors.required(&Path::new("addressType"), "");
        } else if !TYPES.contains(&kind) {
            errors.not_supported(&Path::new("addressType"), kind, &TYPES);
        }
        let ports = Path::new("ports");
        for (index, port) in items(object, "ports").iter().enumerate() {
            let path = ports.index(index);
            let name = text(port, "name");
            if !name.is_empty() {
                errors.invalid_each(&path.field("name"), name, names::dns_label(name));
            }
            if items(object, "ports")[..index]
                .iter()
                .any(|other| text(other, "name") == name)
            {
                errors.duplicate(&path.field("name"), name);
            }
            errors.optional_one_of(&path, port, "protocol", &["SCTP", "TCP", "UDP"]);
            if let Some(protocol) = present(port, "appProtocol").and_then(Value::as_str) {
                errors.invalid_each(
                    &path.field("appProtocol"),
                    protocol,
                    names::label_key(protocol),
                );
            }
        }
        let list = Path::new("endpoints");
        for (index, endpoint) in items(object, "endpoints").iter().enumerate() {
            if items(endpoint, "addresses").is_empty() {
                errors.required(
                    &list.index(index).field("addresses"),
                    "must contain at least 1 address",
                );
            }
            for (place, address) in items(endpoint, "addresses").iter().enumerate() {
                let address = address.as_str().unwrap_or_default();
                let fits = match kind {
                    "IPv4" => address.parse::<std::net::Ipv4Addr>().is_ok(),
                    "IPv6" => address.parse::<std::net::Ipv6Addr>().is_ok(),
                    _ => true,
                };
                if !fits {
                    errors.invalid(
                        &list.index(index).field("addresses").index(place),
                        address,
                        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                    );
                }
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        // Addresses are judged by the type that stays.
        let mut kept = new.clone();
        kept["addressType"] = old.get("addressType").cloned().unwrap_or_default();
        self.validate_create(&kept, errors);
        errors.immutable(
            &Path::new("addressType"),
            new.get("addressType"),
            old.get("addressType"),
        );
    }
}

pub(super) struct LimitRange;

impl Strategy for LimitRange {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let list = path.field("limits");
        let limits = object
            .get("spec")
            .map_or(&[][..], |spec| items(spec, "limits"));
        for (index, limit) in limits.iter().enumerate() {
            let path = list.index(index);
            let kind = text(limit, "type");
            errors.invalid_each(&path.field("type"), kind, names::label_key(kind));
            if !kind.is_empty()
                && !kind.contains('/')
                && !matches!(kind, "Container" | "PersistentVolumeClaim" | "Pod")
            {
                errors.invalid(
                    &path.field("type"),
                    kind,
                    "must be a standard limit type or fully qualified",
                );
            }
            if limits[..index]
                .iter()
                .any(|earlier| text(earlier, "type") == kind)
            {
                errors.duplicate(&path.field("type"), kind);
            }
            validate_bounds(limit, &path, errors);
            if kind == "Pod" {
                for key in ["default", "defaultRequest"] {
                    if entries(limit, key).next().is_some() {
                        errors.forbidden(
                            &path.field(key),
                            "may not be specified when `type` is 'Pod'",
                        );
                    }
                }
            }
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn is_scope(scope: &Value) -> bool {
    const SCOPES: [&str; 7] = [
        "BestEffort",
        "CrossNamespacePodAffinity",
        "NotBestEffort",
        "NotTerminating",
        "PriorityClass",
        "Terminating",
        "VolumeAttributesClass",
    ];
    scope.as_str().is_some_and(|scope| SCOPES.contains(&scope))
}

fn is_standard_for_quota(name: &str) -> bool {
    const COUNTED: [&str; 10] = [
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
        "services.loadbalancers",
        "services.nodeports",
        "requests.storage",
    ];
    let (_, amount) = name
        .split_once('.')
        .filter(|(half, _)| matches!(*half, "requests" | "limits"))
        .unwrap_or(("", name));
    COUNTED.contains(&name)
        || matches!(amount, "cpu" | "memory" | "ephemeral-storage")
        || amount.starts_with("hugepages-")
}

/// Least, default request, default and most of each resource must come in this order.
fn validate_bounds(limit: &Value, path: &Path<'_>, errors: &mut Errors) {
    const ORDER: [(&str, &str, &str, &str, bool); 6] = [
        ("min", "min value", "max", "max value", true),
        (
            "min",
            "min value",
            "defaultRequest",
            "default request value",
            false,
        ),
        (
            "defaultRequest",
            "default request value",
            "max",
            "max value",
            true,
        ),
        (
            "defaultRequest",
            "default request value",
            "default",
            "default limit value",
            true,
        ),
        ("min", "min value", "default", "default value", true),
        ("default", "default value", "max", "max value", false),
    ];
    let names: std::collections::BTreeSet<&String> = ["min", "max", "default", "defaultRequest"]
        .into_iter()
        .flat_map(|list| entries(limit, list).map(|(name, _)| name))
        .collect();
    for name in names {
        for (low, low_text, high, high_text, shows_low) in ORDER {
            let value = |list: &str| limit.get(list).and_then(|list| list.get(name));
            let (Some(from), Some(to)) = (value(low), value(high)) else {
                continue;
            };
            let (Some(less), Some(more)) = (super::quantity::read(from), super::quantity::read(to))
            else {
                continue;
            };
            if less > more {
                let shown = |value: &Value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                };
                let message = format!(
                    "{low_text} {} is greater than {high_text} {}",
                    shown(from),
                    shown(to)
                );
                // The field is that of the default, if there is one in the pair.
                let field = match (low, high) {
                    ("min", "defaultRequest" | "default") => high,
                    (other, _) => other,
                };
                errors.invalid(
                    &path.field(field).key(name),
                    shown(if shows_low { from } else { to }),
                    message,
                );
            }
        }
    }
}

pub(super) struct ResourceQuota;

impl Strategy for ResourceQuota {
    fn has_status(&self) -> bool {
        true
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        for (name, value) in entries(spec, "hard") {
            let hard = path.field("hard");
            let here = hard.key(name);
            resources::check_quantity(name, value, &here, errors);
            errors.invalid_each(&here, name, names::label_key(name));
            if !name.contains('/') && !is_standard_for_quota(name) {
                errors.invalid(
                    &here,
                    name.as_str(),
                    "must be a standard resource for quota",
                );
            }
        }
        let scopes = items(spec, "scopes");
        if scopes.iter().any(|scope| !is_scope(scope)) {
            let shown = Value::from(scopes);
            errors.invalid(&path.field("scopes"), shown, "unsupported scope");
        }
        let expressions = spec.at(&["scopeSelector", "matchExpressions"]);
        let selector_path = path.field("scopeSelector");
        let path = selector_path.field("matchExpressions");
        for expression in expressions.and_then(Value::as_array).into_iter().flatten() {
            let (name, operator) = (&expression["scopeName"], text(expression, "operator"));
            if !is_scope(name) {
                let path = path.field("scopeName");
                errors.invalid(&path, name.clone(), "unsupported scope");
            }
            if !matches!(operator, "In" | "NotIn" | "Exists" | "DoesNotExist") {
                let path = path.field("operator");
                errors.invalid(&path, operator, "not a valid selector operator");
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if !subresource.is_empty() {
            return;
        }
        self.validate_create(new, errors);
        errors.immutable(
            &Path::new("spec").field("scopes"),
            new.at(&["spec", "scopes"]),
            old.at(&["spec", "scopes"]),
        );
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

pub(super) struct CertificateSigningRequest;

impl Strategy for CertificateSigningRequest {
    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        _subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        super::json::restore(new, old, "spec");
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        if text(spec, "request").is_empty() {
            errors.required(&path.field("request"), "");
        }
        if text(spec, "signerName").is_empty() {
            errors.required(&path.field("signerName"), "");
        }
    }

    fn validate_update(
        &self,
        _new: &Value,
        _old: &Value,
        _subresource: &str,
        _errors: &mut Errors,
    ) {
    }
}
