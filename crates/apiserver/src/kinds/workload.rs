//! What Deployments, `ReplicaSets`, `StatefulSets` and `DaemonSets` share: selector, template, rollout numbers.

use wavetank_json::Value;
use wavetank_model::object::At;

use super::field::{Errors, Path, quote};
use super::json::{int, present, text};
use super::{label_selector, pod_spec};

/// Checks `spec.selector`; `kind` is the lower-case word in the message about an empty one.
pub(super) fn validate_selector(spec: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.field("selector");
    let Some(selector) = present(spec, "selector") else {
        errors.required(&path, "");
        return;
    };
    label_selector::validate(selector, &path, errors);
    if label_selector::is_empty(selector) {
        errors.invalid(
            &path,
            selector.clone(),
            format!("empty selector is invalid for {kind}"),
        );
    }
}

/// Checks that the selector selects the template's labels; whether the template is worth checking.
pub(super) fn validate_selection(spec: &Value, path: &Path<'_>, errors: &mut Errors) -> bool {
    let selector = present(spec, "selector");
    if let Some(selector) = selector.filter(|selector| !label_selector::is_valid(selector)) {
        errors.invalid(
            &path.field("selector"),
            selector.clone(),
            "invalid label selector",
        );
        return false;
    }
    let labels = spec.at(&["template", "metadata", "labels"]);
    let matches = selector.is_some_and(|selector| {
        label_selector::is_empty(selector) || label_selector::matches(selector, labels)
    });
    if !matches {
        errors.invalid(
            &path.field("template").field("metadata").field("labels"),
            labels.cloned().unwrap_or(Value::Null),
            "`selector` does not match template `labels`",
        );
    }
    true
}

/// Checks the template of a workload whose Pods always restart; `kind` is the word in the message.
pub(super) fn validate_template(spec: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let null = Value::Null;
    let template = spec.get("template").unwrap_or(&null);
    let path = path.field("template");
    pod_spec::validate_template(template, &path, errors);
    validate_always(
        template.get("spec").unwrap_or(&null),
        kind,
        &path.field("spec"),
        errors,
    );
}

fn validate_always(pod: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let policy = text(pod, "restartPolicy");
    if policy != "Always" {
        errors.not_supported(&path.field("restartPolicy"), policy, &["Always"]);
    }
    if int(pod, "activeDeadlineSeconds").is_some() {
        errors.forbidden(
            &path.field("activeDeadlineSeconds"),
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

/// A count or percentage: the number before `%`, or the integer; 0 for anything else.
pub(super) fn count_or_percent(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::String(text)) => text
            .strip_suffix('%')
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0),
        Some(other) => other.as_i64().unwrap_or(0),
        None => 0,
    }
}

/// Checks that the value is a percentage or a number of at least 0.
pub(super) fn validate_count_or_percent(
    value: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    match value {
        Some(Value::String(text)) => {
            let good = text.strip_suffix('%').is_some_and(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            if !good {
                errors.invalid(
                    path,
                    text.as_str(),
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                     regex used for validation is '[0-9]+%')",
                );
            }
        }
        other => errors.not_negative(path, other),
    }
}

/// Checks that a percentage is not above 100.
pub(super) fn validate_at_most_all(value: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(Value::String(text)) = value
        && count_or_percent(value) > 100
    {
        errors.invalid(path, text.as_str(), "must not be greater than 100%");
    }
}

/// Checks that the counters of a status are not negative (API-225).
pub(super) fn validate_counters(status: &Value, counters: &[&str], errors: &mut Errors) {
    let path = Path::new("status");
    for counter in counters {
        errors.not_negative(&path.field(counter), status.get(counter));
    }
}

/// Checks that a counter of a status is not above `status.replicas` (API-225).
pub(super) fn validate_at_most_replicas(status: &Value, counters: &[&str], errors: &mut Errors) {
    let path = Path::new("status");
    let replicas = int(status, "replicas").unwrap_or(0);
    for counter in counters {
        let count = int(status, counter).unwrap_or(0);
        if count > replicas {
            errors.invalid(
                &path.field(counter),
                count,
                "cannot be greater than status.replicas",
            );
        }
    }
    let (available, ready) = (
        int(status, "availableReplicas").unwrap_or(0),
        int(status, "readyReplicas").unwrap_or(0),
    );
    if counters.contains(&"availableReplicas") && available > ready {
        errors.invalid(
            &path.field("availableReplicas"),
            available,
            "cannot be greater than readyReplicas",
        );
    }
}

/// The strategy of a Deployment or `DaemonSet` as Go prints it.
pub(super) fn strategy_as_go(strategy: &Value) -> String {
    let kind = quote(text(strategy, "type"));
    let Some(rolling) = present(strategy, "rollingUpdate") else {
        return format!("{{\"Type\":{kind},\"RollingUpdate\":null}}");
    };
    let zero = Value::from(0);
    let [unavailable, surge] =
        ["maxUnavailable", "maxSurge"].map(|key| present(rolling, key).unwrap_or(&zero));
    format!(
        "{{\"Type\":{kind},\"RollingUpdate\":{{\"MaxUnavailable\":{unavailable},\"MaxSurge\":{surge}}}}}"
    )
}
