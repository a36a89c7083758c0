//! Resource lists: canonical quantities, and what a Pod as a whole asks for (API-272).

use wavetank_json::Value;

use crate::fields::{Members, default_to, items, present, set};
use crate::object::At;
use crate::quantity::{self, Quantity};

/// Writes every quantity of a resource list canonically.
pub(super) fn canonical_list(list: &mut Value) {
    let Some(members) = list.as_object_mut() else {
        return;
    };
    for value in members.values_mut() {
        if let Some(quantity) = quantity::read(value) {
            *value = quantity.rounded_up_to_milli().to_string().into();
        }
    }
}

/// Writes the quantity at `key` canonically; sets it to `missing` when absent.
pub(super) fn canonical_quantity(object: &mut Value, key: &str, missing: &str) {
    let text = match present(object, key) {
        None => missing.to_owned(),
        Some(value) => match quantity::read(value) {
            Some(quantity) => quantity.to_string(),
            None => return,
        },
    };
    set(object, key, Some(text.into()));
}

/// Writes what a container or claim asks for canonically.
pub(super) fn default_resources(resources: &mut Value) {
    for list in ["limits", "requests"] {
        if let Some(list) = resources.get_mut(list) {
            canonical_list(list);
        }
    }
}

/// Defaults of `spec.resources`, the resources of the Pod as a whole.
pub(super) fn default_pod_level(spec: &mut Value) {
    let Some(limits) = spec.at(&["resources", "limits"]).and_then(Value::as_object) else {
        return;
    };
    if limits.is_empty() {
        return;
    }
    let limits = limits.clone();
    let mut requests = Value::Object(Members::new());
    if let Some(given) = spec
        .at(&["resources", "requests"])
        .filter(|given| given.is_object())
    {
        requests = given.clone();
    }
    for name in ["cpu", "memory"] {
        if let Some(sum) = aggregate(spec, "requests", name) {
            default_to(&mut requests, name, sum.to_string());
        }
    }
    for (name, limit) in &limits {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            default_to(&mut requests, name, limit.clone());
        }
    }
    if requests
        .as_object()
        .is_some_and(|requests| !requests.is_empty())
        && let Some(resources) = spec.get_mut("resources")
    {
        set(resources, "requests", Some(requests));
    }
}

/// The sum of the containers' entry `name` in `list` (`requests` or `limits`), sidecars included.
fn aggregate(spec: &Value, list: &str, name: &str) -> Option<Quantity> {
    let of = |container: &Value| {
        container
            .pointer(&format!("/resources/{list}"))
            .and_then(|list| list.get(name))
            .and_then(quantity::read)
    };
    let mut sum: Option<Quantity> = None;
    for container in items(spec, "containers") {
        if let Some(quantity) = of(container) {
            sum = Some(sum.map_or(quantity, |sum| sum + quantity));
        }
    }
    let (mut sidecars, mut peak): (Option<Quantity>, Option<Quantity>) = (None, None);
    for container in items(spec, "initContainers") {
        let Some(quantity) = of(container) else {
            continue;
        };
        let here = if container.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
            sum = Some(sum.map_or(quantity, |sum| sum + quantity));
            sidecars = Some(sidecars.map_or(quantity, |sum| sum + quantity));
            sidecars
        } else {
            Some(sidecars.map_or(quantity, |sidecars| sidecars + quantity))
        };
        if let Some(here) = here {
            peak = Some(peak.map_or(here, |peak| peak.max(here)));
        }
    }
    match (sum, peak) {
        (Some(sum), Some(peak)) => Some(sum.max(peak)),
        (sum, peak) => sum.or(peak),
    }
}
