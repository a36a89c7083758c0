//! Ingress, `IngressClass` and `NetworkPolicy` (API-292).

use std::net::IpAddr;

use wavetank_json::{Value, json};
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path};
use super::json::{int, items, present, set, text};
use super::pod_spec::containers::{check_port, check_port_or_name};
use super::{Env, Strategy, label_selector, names};

pub(super) struct Ingress;

impl Strategy for Ingress {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        set(object, "status", Some(json!({ "loadBalancer": {} })));
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_ingress(object, errors);
        let class = object
            .get("spec")
            .and_then(|spec| present(spec, "ingressClassName"))
            .and_then(Value::as_str);
        let annotation = wavetank_model::object::annotation(object, "kubernetes.io/ingress.class");
        if let (Some(class), Some(annotation)) = (class, annotation)
            && class != annotation
        {
            errors.invalid(
                &Path::new("annotations").field("kubernetes.io/ingress.class"),
                annotation,
                "must match `ingressClassName` when both are specified",
            );
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource.is_empty() {
            validate_ingress(new, errors);
        }
    }
}

fn validate_ingress(object: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let rules = items(spec, "rules");
    let backend = present(spec, "defaultBackend");
    if rules.is_empty() && backend.is_none() {
        errors.invalid(
            &path,
            Value::Null,
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    if let Some(backend) = backend {
        validate_backend(backend, &path.field("defaultBackend"), errors);
    }
    for (index, rule) in rules.iter().enumerate() {
        let list = path.field("rules");
        let path = list.index(index);
        let host = text(rule, "host");
        if !host.is_empty() {
            if host.parse::<IpAddr>().is_ok() {
                errors.invalid(
                    &path.field("host"),
                    host,
                    "must be a DNS name, not an IP address",
                );
            }
            errors.invalid_each(&path.field("host"), host, host_problems(host));
        }
        if let Some(http) = present(rule, "http") {
            validate_paths(http, &path.field("http"), errors);
        }
    }
    for (index, tls) in items(spec, "tls").iter().enumerate() {
        let list = path.field("tls");
        let path = list.index(index);
        for (number, host) in items(tls, "hosts")
            .iter()
            .filter_map(Value::as_str)
            .enumerate()
        {
            errors.invalid_each(
                &path.field("hosts").index(number),
                host,
                host_problems(host),
            );
        }
        let secret = text(tls, "secretName");
        if !secret.is_empty() {
            errors.invalid_each(
                &path.field("secretName"),
                secret,
                names::dns_subdomain(secret),
            );
        }
    }
    if let Some(class) = present(spec, "ingressClassName").and_then(Value::as_str) {
        errors.invalid_each(
            &path.field("ingressClassName"),
            class,
            names::dns_subdomain(class),
        );
    }
}

fn host_problems(host: &str) -> Vec<String> {
    if host.contains('*') {
        names::wildcard_subdomain(host)
    } else {
        names::dns_subdomain(host)
    }
}

fn validate_paths(http: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("paths");
    let paths = items(http, "paths");
    if paths.is_empty() {
        errors.required(&list, "");
    }
    for (index, entry) in paths.iter().enumerate() {
        let path = list.index(index);
        let target = text(entry, "path");
        match text(entry, "pathType") {
            "" if present(entry, "pathType").is_none() => {
                errors.required(&path.field("pathType"), "pathType must be specified");
                continue;
            }
            "Exact" | "Prefix" => {
                if !target.starts_with('/') {
                    errors.invalid(&path.field("path"), target, "must be an absolute path");
                }
                for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                    if target.contains(bad) {
                        errors.invalid(
                            &path.field("path"),
                            target,
                            format!("must not contain '{bad}'"),
                        );
                    }
                }
                for bad in ["/..", "/."] {
                    if target.ends_with(bad) {
                        errors.invalid(
                            &path.field("path"),
                            target,
                            format!("cannot end with '{bad}'"),
                        );
                    }
                }
            }
            "ImplementationSpecific" => {
                if !target.is_empty() && !target.starts_with('/') {
                    errors.invalid(&path.field("path"), target, "must be an absolute path");
                }
            }
            other => errors.not_supported(
                &path.field("pathType"),
                other,
                &["Exact", "ImplementationSpecific", "Prefix"],
            ),
        }
        validate_backend(
            entry.get("backend").unwrap_or(&Value::Null),
            &path.field("backend"),
            errors,
        );
    }
}

fn validate_backend(backend: &Value, path: &Path<'_>, errors: &mut Errors) {
    match (present(backend, "resource"), present(backend, "service")) {
        (Some(_), Some(_)) => {
            errors.invalid(path, "", "cannot set both resource and service backends");
        }
        (None, None) => errors.invalid(path, "", "resource or service backend is required"),
        (Some(resource), None) => {
            let path = path.field("resource");
            for key in ["kind", "name"] {
                if text(resource, key).is_empty() {
                    errors.required(&path.field(key), "");
                }
            }
        }
        (None, Some(service)) => {
            let inner = path.field("service");
            let name = text(service, "name");
            if name.is_empty() {
                errors.required(&inner.field("name"), "");
            } else {
                errors.invalid_each(&inner.field("name"), name, names::dns_label(name));
            }
            let port = service.get("port").unwrap_or(&Value::Null);
            let (name, number) = (text(port, "name"), int(port, "number").unwrap_or(0));
            match (name.is_empty(), number) {
                (false, 1..) => errors.invalid(path, "", "cannot set both port name & port number"),
                (false, _) => {
                    errors.invalid_each(
                        &inner.field("port").field("name"),
                        name,
                        names::port_name(name),
                    );
                }
                (true, 0) => errors.required(path, "port name or number is required"),
                (true, number) => check_port(number, &inner.field("port").field("number"), errors),
            }
        }
    }
}

pub(super) struct IngressClass;

impl Strategy for IngressClass {
    fn has_generation(&self) -> bool {
        true
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let spec_path = Path::new("spec");
        let (spec, null) = (object.get("spec"), Value::Null);
        let spec = spec.unwrap_or(&null);
        if let Some(parameters) = present(spec, "parameters") {
            let path = spec_path.field("parameters");
            errors.optional_one_of(&path, parameters, "scope", &["Cluster", "Namespace"]);
        }
        let controller = text(spec, "controller");
        let path = spec_path.field("controller");
        if controller.is_empty() {
            errors.required(&path, "");
            return;
        }
        match controller
            .split_once('/')
            .filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
        {
            None => {
                errors.invalid(
                    &path,
                    controller,
                    "must be a domain-prefixed path (such as \"acme.io/foo\")",
                );
            }
            Some((host, _)) => errors.invalid_each(&path, host, names::dns_subdomain(host)),
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        errors.immutable(
            &Path::new("spec").field("controller"),
            new.at(&["spec", "controller"]),
            old.at(&["spec", "controller"]),
        );
        self.validate_create(new, errors);
    }
}

pub(super) struct NetworkPolicy;

impl Strategy for NetworkPolicy {
    fn has_generation(&self) -> bool {
        true
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        if let Some(selector) = present(spec, "podSelector") {
            label_selector::validate(selector, &path.field("podSelector"), errors);
        }
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            let list = path.field(direction);
            for (index, rule) in items(spec, direction).iter().enumerate() {
                let path = list.index(index);
                for (number, port) in items(rule, "ports").iter().enumerate() {
                    validate_policy_port(port, &path.field("ports").index(number), errors);
                }
                for (number, peer) in items(rule, peers).iter().enumerate() {
                    validate_peer(peer, &path.field(peers).index(number), errors);
                }
            }
        }
        let types = items(spec, "policyTypes");
        if types.len() > 2 {
            errors.invalid(
                &path.field("policyTypes"),
                spec["policyTypes"].clone(),
                "may not specify more than two policyTypes",
            );
            return;
        }
        for (index, kind) in types.iter().filter_map(Value::as_str).enumerate() {
            if !matches!(kind, "Ingress" | "Egress") {
                errors.not_supported(
                    &path.field("policyTypes").index(index),
                    kind,
                    &["Ingress", "Egress"],
                );
            }
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }
}

fn validate_policy_port(port: &Value, path: &Path<'_>, errors: &mut Errors) {
    errors.optional_one_of(path, port, "protocol", &["TCP", "UDP", "SCTP"]);
    let end = int(port, "endPort");
    match (present(port, "port"), end) {
        (None, Some(end)) => {
            errors.invalid(
                &path.field("endPort"),
                end,
                "may not be specified when `port` is not specified",
            );
        }
        (Some(Value::String(_)), Some(end)) => {
            errors.invalid(
                &path.field("endPort"),
                end,
                "may not be specified when `port` is non-numeric",
            );
        }
        (Some(first), Some(end)) => {
            let first = first.as_i64().unwrap_or(0);
            if end < first {
                errors.invalid(
                    &path.field("endPort"),
                    first,
                    "must be greater than or equal to `port`",
                );
            }
            check_port(end, &path.field("endPort"), errors);
        }
        _ => {}
    }
    if let Some(port) = present(port, "port") {
        check_port_or_name(Some(port), &path.field("port"), errors);
    }
}

fn validate_peer(peer: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut count = 0;
    for key in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = present(peer, key) {
            count += 1;
            label_selector::validate(selector, &path.field(key), errors);
        }
    }
    if let Some(block) = present(peer, "ipBlock") {
        let inner = path.field("ipBlock");
        let cidr = text(block, "cidr");
        let valid = cidr.split_once('/').is_some_and(|(ip, bits)| {
            ip.parse::<IpAddr>().is_ok_and(|ip| {
                bits.parse::<u8>()
                    .is_ok_and(|bits| bits <= if ip.is_ipv4() { 32 } else { 128 })
            })
        });
        if cidr.is_empty() {
            errors.required(&inner.field("cidr"), "");
        } else if !valid {
            errors.invalid(
                &inner.field("cidr"),
                cidr,
                "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            );
        }
        if count > 0 {
            errors.forbidden(path, "may not specify both ipBlock and another peer");
        }
        count += 1;
    }
    if count == 0 {
        errors.required(path, "must specify a peer");
    }
}
