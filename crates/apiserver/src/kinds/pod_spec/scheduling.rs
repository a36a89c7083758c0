//! Where Pods may run: tolerations, affinity, spread (API-275).

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{int, items, present, text};
use crate::kinds::{label_selector, names};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Checks tolerations.
pub(super) fn validate_tolerations(tolerations: &[Value], list: &Path<'_>, errors: &mut Errors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = list.index(index);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
        if !key.is_empty() {
            errors.invalid_each(&path.field("key"), key, names::label_key(key));
        } else if operator != "Exists" {
            errors.invalid(
                &path.field("operator"),
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if int(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            errors.invalid(
                &path.field("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "" | "Equal" => {
                let problems = names::label_value(value);
                if !problems.is_empty() {
                    errors.invalid(&path.field("operator"), value, problems.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.invalid(
                    &path.field("operator"),
                    value,
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            "Exists" => {}
            "Lt" | "Gt" => {
                errors.not_supported(
                    &path.field("operator"),
                    operator,
                    &["Equal", "Exists", "Lt", "Gt"],
                );
            }
            _ => errors.not_supported(&path.field("operator"), operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            errors.not_supported(&path.field("effect"), effect, &EFFECTS);
        }
    }
}

/// Checks the taints of a Node.
pub(in crate::kinds) fn validate_taint_effect(taint: &Value, path: &Path<'_>, errors: &mut Errors) {
    errors.one_of(path, taint, "effect", &EFFECTS);
}

/// Checks affinity of all sorts.
pub(super) fn validate_affinity(affinity: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(node) = present(affinity, "nodeAffinity") {
        let path = path.field("nodeAffinity");
        if let Some(selector) = present(node, "requiredDuringSchedulingIgnoredDuringExecution") {
            let path = path.field("requiredDuringSchedulingIgnoredDuringExecution");
            validate_node_selector(selector, &path, errors);
        }
        let list = path.field("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in items(node, "preferredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .enumerate()
        {
            let path = list.index(index);
            check_weight(term, &path, errors);
            if let Some(preference) = present(term, "preference") {
                validate_node_term(preference, &path.field("preference"), errors);
            }
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(pod) = present(affinity, kind) else {
            continue;
        };
        let path = path.field(kind);
        let required = path.field("requiredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in items(pod, "requiredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .enumerate()
        {
            validate_pod_term(term, &required.index(index), errors);
        }
        let preferred = path.field("preferredDuringSchedulingIgnoredDuringExecution");
        for (index, term) in items(pod, "preferredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .enumerate()
        {
            let path = preferred.index(index);
            check_weight(term, &path, errors);
            if let Some(term) = present(term, "podAffinityTerm") {
                validate_pod_term(term, &path.field("podAffinityTerm"), errors);
            }
        }
    }
}

fn check_weight(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    let weight = int(term, "weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.field("weight"), weight, "must be in the range 1-100");
    }
}

/// Checks a node selector: that of an affinity or of a `PersistentVolume`.
pub(in crate::kinds) fn validate_node_selector(
    selector: &Value,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let terms = items(selector, "nodeSelectorTerms");
    let list = path.field("nodeSelectorTerms");
    if terms.is_empty() {
        errors.required(&list, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        validate_node_term(term, &list.index(index), errors);
    }
}

fn validate_node_term(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("matchExpressions");
    for (index, expression) in items(term, "matchExpressions").iter().enumerate() {
        let path = list.index(index);
        let values = items(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(
                    &path.field("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                &path.field("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "Gt" | "Lt" if values.len() != 1 => errors.required(
                &path.field("values"),
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.invalid(
                &path.field("operator"),
                other,
                "not a valid selector operator",
            ),
        }
        let key = text(expression, "key");
        errors.invalid_each(&path.field("key"), key, names::label_key(key));
    }
}

fn validate_pod_term(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    for key in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = present(term, key) {
            label_selector::validate(selector, &path.field(key), errors);
        }
    }
    for namespace in items(term, "namespaces").iter().filter_map(Value::as_str) {
        errors.invalid_each(
            &path.field("namespace"),
            namespace,
            names::dns_label(namespace),
        );
    }
    let key = text(term, "topologyKey");
    if key.is_empty() {
        errors.required(&path.field("topologyKey"), "can not be empty");
    }
    errors.invalid_each(&path.field("topologyKey"), key, names::label_key(key));
}

/// Checks topology spread constraints.
pub(super) fn validate_spread(constraints: &[Value], list: &Path<'_>, errors: &mut Errors) {
    for (index, constraint) in constraints.iter().enumerate() {
        let path = list.index(index);
        let skew = int(constraint, "maxSkew").unwrap_or(0);
        if skew <= 0 {
            errors.invalid(&path.field("maxSkew"), skew, "must be greater than zero");
        }
        let key = text(constraint, "topologyKey");
        if key.is_empty() {
            errors.required(&path.field("topologyKey"), "can not be empty");
        }
        let action = text(constraint, "whenUnsatisfiable");
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            errors.not_supported(
                &path.field("whenUnsatisfiable"),
                action,
                &["DoNotSchedule", "ScheduleAnyway"],
            );
        }
        if constraints[index + 1..].iter().any(|other| {
            text(other, "topologyKey") == key && text(other, "whenUnsatisfiable") == action
        }) {
            errors.duplicate(
                &path.field("{topologyKey, whenUnsatisfiable}"),
                format!("{{{key}, {action}}}"),
            );
        }
        for key in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            errors.optional_one_of(&path, constraint, key, &["Honor", "Ignore"]);
        }
        if let Some(selector) = present(constraint, "labelSelector") {
            label_selector::validate(selector, &path.field("labelSelector"), errors);
        }
    }
}
