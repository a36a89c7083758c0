//! Job and `CronJob` (API-281, API-285).

use wavetank_json::Value;

use super::empty_status;
use super::pod::default_template;
use crate::fields::{default_text, default_to, ensure, items_mut, present, set};
use crate::object::At;

pub(super) fn job(object: &mut Value) {
    empty_status(object);
    if let Some(spec) = ensure(object, "spec") {
        default_template(spec);
        default_spec(spec);
    }
    labels_from_template(object);
}

/// Defaults of a Job's spec; the template of a `CronJob` gets none of them (they come with the Job).
fn default_spec(spec: &mut Value) {
    if present(spec, "completions").is_none() && present(spec, "parallelism").is_none() {
        default_to(spec, "completions", 1);
    }
    default_to(spec, "parallelism", 1);
    let limit = if present(spec, "backoffLimitPerIndex").is_some() {
        i64::from(i32::MAX)
    } else {
        6
    };
    default_to(spec, "backoffLimit", limit);
    default_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    let replacement = if present(spec, "podFailurePolicy").is_some() {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    default_to(spec, "podReplacementPolicy", replacement);
    default_to(spec, "manualSelector", false);
    default_failure_policy(spec);
}

/// Defaults inside `podFailurePolicy`, which `CronJob` templates get too.
fn default_failure_policy(spec: &mut Value) {
    let Some(policy) = spec.get_mut("podFailurePolicy") else {
        return;
    };
    for rule in items_mut(policy, "rules") {
        for pattern in items_mut(rule, "onPodConditions") {
            default_text(pattern, "status", "True");
        }
    }
}

/// Gives a Job without labels those of its template.
pub fn labels_from_template(object: &mut Value) {
    let has_labels = object
        .at(&["metadata", "labels"])
        .and_then(Value::as_object)
        .is_some_and(|labels| !labels.is_empty());
    if has_labels {
        return;
    }
    let Some(labels) = object
        .at(&["spec", "template", "metadata", "labels"])
        .cloned()
    else {
        return;
    };
    if let Some(metadata) = ensure(object, "metadata") {
        set(metadata, "labels", Some(labels));
    }
}

pub(super) fn cron_job(object: &mut Value) {
    empty_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_text(spec, "concurrencyPolicy", "Allow");
    default_to(spec, "suspend", false);
    default_to(spec, "successfulJobsHistoryLimit", 3);
    default_to(spec, "failedJobsHistoryLimit", 1);
    let Some(template) = ensure(spec, "jobTemplate") else {
        return;
    };
    ensure(template, "metadata");
    if let Some(spec) = ensure(template, "spec") {
        default_template(spec);
        default_failure_policy(spec);
    }
}
