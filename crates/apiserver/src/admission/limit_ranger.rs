//! `LimitRanger`: defaults for containers, bounds for containers, Pods and claims (API-308).

use std::sync::Arc;

use wavetank_json::{Map, Value};
use wavetank_model::key::GroupKind;
use wavetank_model::object::At;
use wavetank_model::status::Status;

use crate::kinds::json::{ensure, entries, items, items_mut, set, text};
use crate::kinds::quantity::{self, Quantity};

use super::{Lookup, Operation, Request};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

fn ranges(request: &Request<'_>, lookup: &dyn Lookup) -> Vec<Arc<Value>> {
    lookup.list(&GroupKind::new("", "LimitRange"), Some(request.namespace))
}

fn limits<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    range
        .get("spec")
        .map_or(&[][..], |spec| items(spec, "limits"))
        .iter()
        .filter(move |limit| text(limit, "type") == kind)
}

/// Gives containers the default requests and limits of the namespace, and says so in an annotation.
pub(super) fn admit(request: &Request<'_>, pod: &mut Value, lookup: &dyn Lookup) {
    for range in ranges(request, lookup) {
        let (mut default_limits, mut default_requests) = (Map::new(), Map::new());
        for limit in limits(&range, "Container") {
            default_limits
                .extend(entries(limit, "default").map(|(key, value)| (key.clone(), value.clone())));
            default_requests.extend(
                entries(limit, "defaultRequest").map(|(key, value)| (key.clone(), value.clone())),
            );
        }
        if default_limits.is_empty() && default_requests.is_empty() {
            continue;
        }
        let mut notes = Vec::new();
        if let Some(spec) = pod.get_mut("spec") {
            for (list, word) in [
                ("containers", "container"),
                ("initContainers", "init container"),
            ] {
                for container in items_mut(spec, list) {
                    let name = text(container, "name").to_owned();
                    let Some(resources) = ensure(container, "resources") else {
                        continue;
                    };
                    let requests = fill(resources, "requests", &default_requests);
                    let limits = fill(resources, "limits", &default_limits);
                    for (set, what) in [(requests, "request"), (limits, "limit")] {
                        if !set.is_empty() {
                            notes.push(format!("{} {what} for {word} {name}", set.join(", ")));
                        }
                    }
                }
            }
        }
        if !notes.is_empty()
            && let Some(annotations) =
                ensure(pod, "metadata").and_then(|metadata| ensure(metadata, "annotations"))
        {
            set(
                annotations,
                ANNOTATION,
                Some(format!("LimitRanger plugin set: {}", notes.join("; ")).into()),
            );
        }
    }
}

/// Sets what is missing; gives the names of what was set.
fn fill(resources: &mut Value, list: &str, defaults: &Map) -> Vec<String> {
    if defaults.is_empty() {
        return Vec::new();
    }
    let Some(list) = ensure(resources, list) else {
        return Vec::new();
    };
    let missing: Vec<String> = defaults
        .keys()
        .filter(|key| list.get(key.as_str()).is_none())
        .cloned()
        .collect();
    for key in &missing {
        set(list, key, defaults.get(key).cloned());
    }
    missing
}

/// Checks bounds.
pub(super) fn validate(
    request: &Request<'_>,
    object: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    let pod = request.is("", "Pod") && request.operation == Operation::Create;
    let claim = request.is("", "PersistentVolumeClaim");
    if !pod && !claim {
        return Ok(());
    }
    let Some(spec) = object.get("spec") else {
        return Ok(());
    };
    for range in ranges(request, lookup) {
        let mut problems = Vec::new();
        if claim {
            let none = Value::Null;
            let requests = spec.at(&["resources", "requests"]).unwrap_or(&none);
            for limit in limits(&range, "PersistentVolumeClaim") {
                check(
                    limit,
                    "PersistentVolumeClaim",
                    requests,
                    None,
                    &mut problems,
                );
            }
        } else {
            check_pod(&range, spec, &mut problems);
        }
        match problems.as_slice() {
            [] => {}
            [one] => return Err(request.forbidden(one)),
            many => return Err(request.forbidden(&format!("[{}]", many.join(", ")))),
        }
    }
    Ok(())
}

fn check_pod(range: &Value, spec: &Value, problems: &mut Vec<String>) {
    let none = Value::Null;
    for limit in limits(range, "Container") {
        for container in items(spec, "containers")
            .iter()
            .chain(items(spec, "initContainers"))
        {
            let resources = container.get("resources").unwrap_or(&none);
            let of = |list: &str| resources.get(list).cloned().unwrap_or_default();
            check(
                limit,
                "Container",
                &of("requests"),
                Some(&of("limits")),
                problems,
            );
        }
    }
    for limit in limits(range, "Pod") {
        let (requests, caps) = (totals(spec, "requests"), totals(spec, "limits"));
        check(limit, "Pod", &requests, Some(&caps), problems);
    }
}

/// The sums over all containers; an init container counts where it is larger.
pub(super) fn totals(spec: &Value, list: &str) -> Value {
    let mut sums: std::collections::BTreeMap<String, Quantity> = std::collections::BTreeMap::new();
    let of = |container: &Value| -> Vec<(String, Quantity)> {
        let Some(resources) = container.get("resources") else {
            return Vec::new();
        };
        entries(resources, list)
            .filter_map(|(key, value)| Some((key.clone(), quantity::read(value)?)))
            .collect()
    };
    for container in items(spec, "containers") {
        for (name, quantity) in of(container) {
            let sum = sums.entry(name).or_insert(Quantity::ZERO);
            *sum = *sum + quantity;
        }
    }
    for container in items(spec, "initContainers") {
        for (name, quantity) in of(container) {
            let sum = sums.entry(name).or_insert(Quantity::ZERO);
            *sum = (*sum).max(quantity);
        }
    }
    Value::Object(
        sums.into_iter()
            .map(|(name, sum)| (name, sum.to_string().into()))
            .collect(),
    )
}

/// Checks `min`, `max` and `maxLimitRequestRatio`; `caps` is `None` for claims, which have no limits.
fn check(
    limit: &Value,
    kind: &str,
    requests: &Value,
    caps: Option<&Value>,
    problems: &mut Vec<String>,
) {
    let read = |list: Option<&Value>, name: &str| {
        list.and_then(|list| list.get(name))
            .and_then(quantity::read)
    };
    for (name, bound) in entries(limit, "min") {
        let Some(bound) = quantity::read(bound) else {
            continue;
        };
        let head = format!("minimum {name} usage per {kind} is {bound}");
        match (read(Some(requests), name), read(caps, name)) {
            (None, _) => problems.push(format!("{head}.  No request is specified")),
            (Some(request), _) if request < bound => {
                problems.push(format!("{head}, but request is {request}"));
            }
            (_, Some(cap)) if cap < bound => {
                problems.push(format!("{head}, but limit is {cap}"));
            }
            _ => {}
        }
    }
    for (name, bound) in entries(limit, "max") {
        let Some(bound) = quantity::read(bound) else {
            continue;
        };
        let head = format!("maximum {name} usage per {kind} is {bound}");
        let request = read(Some(requests), name);
        if caps.is_some() {
            match read(caps, name) {
                None => problems.push(format!("{head}.  No limit is specified")),
                Some(cap) if cap > bound => {
                    problems.push(format!("{head}, but limit is {cap}"));
                }
                Some(_) => {
                    if let Some(request) = request.filter(|request| *request > bound) {
                        problems.push(format!("{head}, but request is {request}"));
                    }
                }
            }
        } else {
            match request {
                None => problems.push(format!("{head}.  No request is specified")),
                Some(request) if request > bound => {
                    problems.push(format!("{head}, but request is {request}"));
                }
                Some(_) => {}
            }
        }
    }
    for (name, bound) in entries(limit, "maxLimitRequestRatio") {
        let Some(bound) = quantity::read(bound) else {
            continue;
        };
        let head = format!("{name} max limit to request ratio per {kind} is {bound}");
        let request = read(Some(requests), name).filter(|request| !request.is_zero());
        let cap = read(caps, name).filter(|cap| !cap.is_zero());
        match (request, cap) {
            (None, _) => problems.push(format!(
                "{head}, but no request is specified or request is 0"
            )),
            (_, None) => problems.push(format!("{head}, but no limit is specified or limit is 0")),
            (Some(request), Some(cap)) => {
                let ratio = as_ratio(cap) / as_ratio(request);
                if ratio > as_ratio(bound) {
                    problems.push(format!("{head}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

/// In thousandths, for ratios.
#[expect(
    clippy::cast_precision_loss,
    reason = "ratios are printed with six digits"
)]
fn as_ratio(quantity: Quantity) -> f64 {
    quantity.millis() as f64 / 1000.0
}
