//! `ResourceQuota`: what a namespace may hold (API-308).
//!
//! Usage is counted from the objects at hand; the real server keeps it in the status of the quota and lets a controller
//! catch up. Quotas with scopes are not enforced.

use std::collections::BTreeMap;

use wavetank_json::Value;
use wavetank_model::key::GroupKind;
use wavetank_model::object::{self, At};
use wavetank_model::status::Status;

use crate::kinds::json::{entries, items, present, text};
use crate::kinds::quantity::{self, Quantity};

use super::{Lookup, Request, limit_ranger};

type Usage = BTreeMap<String, Quantity>;

pub(super) fn validate(
    request: &Request<'_>,
    object: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    if request.namespace.is_empty() || !request.subresource.is_empty() {
        return Ok(());
    }
    let quotas = lookup.list(
        &GroupKind::new("", "ResourceQuota"),
        Some(request.namespace),
    );
    if quotas.is_empty() {
        return Ok(());
    }
    let requested = usage(request.kind, request.plural, object);
    let mut used: Option<Usage> = None;
    for quota in quotas {
        let spec = quota.get("spec").unwrap_or(&Value::Null);
        if !items(spec, "scopes").is_empty() || present(spec, "scopeSelector").is_some() {
            continue;
        }
        if request.is("", "Pod") {
            check_specified(request, &quota, spec, object)?;
        }
        let used = used.get_or_insert_with(|| {
            let mut sum = Usage::new();
            for stored in lookup.list(request.kind, Some(request.namespace)) {
                if !is_finished(request.kind, &stored) {
                    add(&mut sum, usage(request.kind, request.plural, &stored));
                }
            }
            sum
        });
        check(request, &quota, spec, &requested, used)?;
    }
    Ok(())
}

/// Pods that ended use nothing.
fn is_finished(kind: &GroupKind, object: &Value) -> bool {
    kind.group.is_empty()
        && kind.kind == "Pod"
        && object
            .get("status")
            .is_some_and(|status| matches!(text(status, "phase"), "Succeeded" | "Failed"))
}

fn add(sum: &mut Usage, more: Usage) {
    for (name, quantity) in more {
        let entry = sum.entry(name).or_insert(Quantity::ZERO);
        *entry = *entry + quantity;
    }
}

/// What one object uses, by the names quotas use.
fn usage(kind: &GroupKind, plural: &str, object: &Value) -> Usage {
    let one = Quantity::from_units(1);
    let mut out = Usage::new();
    let dot = if kind.group.is_empty() { "" } else { "." };
    out.insert(format!("count/{plural}{dot}{}", kind.group), one);
    if !kind.group.is_empty() {
        return out;
    }
    let spec = object.get("spec").unwrap_or(&Value::Null);
    match kind.kind.as_str() {
        "Pod" => {
            out.insert("pods".to_owned(), one);
            for list in ["requests", "limits"] {
                let totals = limit_ranger::totals(spec, list);
                for (name, value) in totals.as_object().into_iter().flatten() {
                    let Some(quantity) = quantity::read(value) else {
                        continue;
                    };
                    out.insert(format!("{list}.{name}"), quantity);
                    if list == "requests"
                        && matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage")
                    {
                        out.insert(name.clone(), quantity);
                    }
                }
            }
        }
        "Service" => {
            out.insert("services".to_owned(), one);
            let ports = items(spec, "ports").len();
            let kind = text(spec, "type");
            if kind == "LoadBalancer" {
                out.insert("services.loadbalancers".to_owned(), one);
            }
            if kind == "NodePort"
                || (kind == "LoadBalancer"
                    && spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)))
            {
                out.insert(
                    "services.nodeports".to_owned(),
                    Quantity::from_units(i64::try_from(ports).unwrap_or(i64::MAX)),
                );
            }
        }
        "PersistentVolumeClaim" => {
            out.insert("persistentvolumeclaims".to_owned(), one);
            let size = spec
                .at(&["resources", "requests", "storage"])
                .and_then(quantity::read);
            let class = text(spec, "storageClassName");
            if let Some(size) = size {
                out.insert("requests.storage".to_owned(), size);
            }
            if !class.is_empty() {
                let base = format!("{class}.storageclass.storage.k8s.io");
                out.insert(format!("{base}/persistentvolumeclaims"), one);
                if let Some(size) = size {
                    out.insert(format!("{base}/requests.storage"), size);
                }
            }
        }
        "ConfigMap" | "Secret" | "ReplicationController" | "ResourceQuota" => {
            out.insert(plural.to_owned(), one);
        }
        _ => {}
    }
    out
}

/// Where compute is limited, every container must say what it needs.
fn check_specified(
    request: &Request<'_>,
    quota: &Value,
    spec: &Value,
    pod: &Value,
) -> Result<(), Status> {
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let pod = pod.get("spec").unwrap_or(&Value::Null);
    for (name, _) in entries(spec, "hard") {
        let (list, resource) = match name.split_once('.') {
            Some((list @ ("requests" | "limits"), resource)) => (list, resource),
            _ => ("requests", name.as_str()),
        };
        if !matches!(resource, "cpu" | "memory") {
            continue;
        }
        for container in items(pod, "containers")
            .iter()
            .chain(items(pod, "initContainers"))
        {
            let set = container
                .pointer(&format!("/resources/{list}"))
                .is_some_and(|list| list.get(resource).is_some());
            if !set {
                missing
                    .entry(name.clone())
                    .or_default()
                    .push(text(container, "name"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing
        .into_iter()
        .map(|(name, containers)| format!("{name} for: {}", containers.join(",")))
        .collect();
    Err(request.forbidden(&format!(
        "failed quota: {}: must specify {}",
        object::name(quota),
        list.join("; ")
    )))
}

fn check(
    request: &Request<'_>,
    quota: &Value,
    spec: &Value,
    requested: &Usage,
    used: &Usage,
) -> Result<(), Status> {
    let mut over: Vec<(&String, Quantity, Quantity, Quantity)> = Vec::new();
    for (name, hard) in entries(spec, "hard") {
        let (Some(hard), Some(more)) = (quantity::read(hard), requested.get(name)) else {
            continue;
        };
        let have = used.get(name).copied().unwrap_or(Quantity::ZERO);
        if have + *more > hard {
            over.push((name, *more, have, hard));
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    let list = |pick: fn(&(&String, Quantity, Quantity, Quantity)) -> Quantity| {
        over.iter()
            .map(|entry| format!("{}={}", entry.0, pick(entry)))
            .collect::<Vec<_>>()
            .join(",")
    };
    Err(request.forbidden(&format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        object::name(quota),
        list(|entry| entry.1),
        list(|entry| entry.2),
        list(|entry| entry.3)
    )))
}
