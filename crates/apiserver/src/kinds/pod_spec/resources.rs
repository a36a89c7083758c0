//! Resource lists: requests against limits, quality of service (API-274, API-275).

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{entries, items, present};
use crate::kinds::names;
use crate::kinds::quantity;

/// The quality of service class of a Pod (API-274).
pub(in crate::kinds) fn qos_class(spec: &Value) -> &'static str {
    let (mut any, mut guaranteed) = (false, true);
    let mut judge = |resources: Option<&Value>| {
        let of = |list: &str, name: &str| {
            resources
                .and_then(|resources| resources.get(list))
                .and_then(|list| list.get(name))
                .and_then(quantity::read)
                .filter(|quantity| !quantity.is_zero())
        };
        for name in ["cpu", "memory"] {
            let (request, limit) = (of("requests", name), of("limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    };
    if let Some(resources) = present(spec, "resources") {
        judge(Some(resources));
    } else {
        for container in items(spec, "initContainers")
            .iter()
            .chain(items(spec, "containers"))
        {
            judge(container.get("resources"));
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn overcommits(name: &str) -> bool {
    // Extended resources and huge pages cannot be overcommitted; native ones can.
    !name.starts_with("hugepages-") && (!name.contains('/') || name.contains("kubernetes.io/"))
}

/// Unqualified names that stand for something, in quotas.
const QUOTA_NAMES: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Checks one name of a resource of a container.
fn check_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    errors.invalid_each(path, name, names::label_key(name));
    if !name.contains('/') {
        let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage" | "storage")
            || name.starts_with("hugepages-");
        if !standard && !QUOTA_NAMES.contains(&name) {
            errors.invalid(
                path,
                name,
                "must be a standard resource type or fully qualified",
            );
        }
        if !standard || name == "storage" {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !name.contains("kubernetes.io/") && name.starts_with("requests.") {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

/// Checks one quantity of a resource list.
pub(in crate::kinds) fn check_quantity(
    name: &str,
    value: &Value,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(quantity) = quantity::read(value) else {
        errors.invalid(path, value.clone(), "must be a quantity");
        return;
    };
    if quantity.signum() < 0 {
        errors.invalid(
            path,
            quantity.to_string(),
            "must be greater than or equal to 0",
        );
    }
    let whole = name.starts_with("hugepages-")
        || QUOTA_NAMES.contains(&name)
        || name.starts_with("count/")
        || (name.contains('/') && !overcommits(name));
    if whole && !quantity.is_whole() {
        errors.invalid(path, quantity.to_string(), "must be an integer");
    }
}

/// Checks `resources` of a container (API-275).
pub(in crate::kinds) fn validate(resources: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (limits_path, requests_path) = (path.field("limits"), path.field("requests"));
    let (mut compute, mut huge) = (false, false);
    for (name, value) in entries(resources, "limits") {
        let path = limits_path.key(name);
        check_name(name, &path, errors);
        check_quantity(name, value, &path, errors);
        compute |= matches!(name.as_str(), "cpu" | "memory");
        huge |= name.starts_with("hugepages-");
    }
    for (name, value) in entries(resources, "requests") {
        let path = requests_path.key(name);
        check_name(name, &path, errors);
        check_quantity(name, value, &path, errors);
        compute |= matches!(name.as_str(), "cpu" | "memory");
        huge |= name.starts_with("hugepages-");
        let limit = resources
            .get("limits")
            .and_then(|limits| limits.get(name))
            .and_then(quantity::read);
        let Some(request) = quantity::read(value) else {
            continue;
        };
        match limit {
            Some(limit) if request != limit && !overcommits(name) => errors.invalid(
                &requests_path,
                request.to_string(),
                format!("must be equal to {name} limit of {limit}"),
            ),
            Some(limit) if request > limit => errors.invalid(
                &requests_path,
                request.to_string(),
                format!("must be less than or equal to {name} limit of {limit}"),
            ),
            None if !overcommits(name) => {
                errors.required(
                    &limits_path,
                    "Limit must be set for non overcommitable resources",
                );
            }
            _ => {}
        }
    }
    if huge && !compute {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}
