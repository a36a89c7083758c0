//! Validation of Job status writes: what changed must be consistent (API-284).

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{flag, int, items, present, text};

/// Whether the condition `kind` is True.
pub(super) fn is_true(status: &Value, kind: &str) -> bool {
    items(status, "conditions")
        .iter()
        .any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
}

fn is_false(status: &Value, kind: &str) -> bool {
    items(status, "conditions")
        .iter()
        .any(|condition| text(condition, "type") == kind && text(condition, "status") == "False")
}

fn uncounted(status: &Value) -> usize {
    status.get("uncountedTerminatedPods").map_or(0, |pods| {
        items(pods, "succeeded").len() + items(pods, "failed").len()
    })
}

/// Checks the status of `new` against that of `old`; rules hold for what this write changes only.
pub(super) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let (status, before) = (
        new.get("status").unwrap_or(&null),
        old.get("status").unwrap_or(&null),
    );
    let spec = new.get("spec").unwrap_or(&null);
    let path = Path::new("status");
    for counter in ["active", "succeeded", "failed", "ready", "terminating"] {
        errors.not_negative(&path.field(counter), status.get(counter));
    }
    let changed = |field: &str| present(status, field) != present(before, field);
    let turned = |kind: &str| is_true(status, kind) != is_true(before, kind);
    let complete = is_true(status, "Complete");
    let failed = is_true(status, "Failed");
    let finished = complete || failed;
    let finish_turned = finished != (is_true(before, "Complete") || is_true(before, "Failed"));
    let conditions = path.field("conditions");
    if (turned("Complete") || turned("Failed")) && complete && failed {
        errors.invalid_omitted(
            &conditions,
            "cannot set Complete=True and Failed=true conditions",
        );
    }
    if (turned("Complete") || turned("FailureTarget"))
        && complete
        && is_true(status, "FailureTarget")
    {
        errors.invalid_omitted(
            &conditions,
            "cannot set Complete=True and FailureTarget=true conditions",
        );
    }
    validate_times(status, before, turned("Complete"), complete, errors);
    if (turned("Failed") || changed("failedIndexes")) && failed && !is_true(status, "FailureTarget")
    {
        errors.invalid_omitted(
            &conditions,
            "cannot set Failed=True condition without the FailureTarget=true condition",
        );
    }
    if (turned("Complete") || turned("SuccessCriteriaMet"))
        && complete
        && !is_true(status, "SuccessCriteriaMet")
    {
        errors.invalid_omitted(
            &conditions,
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        );
    }
    let active = int(status, "active").unwrap_or(0);
    if (finish_turned || changed("active")) && finished && active > 0 {
        errors.invalid(
            &path.field("active"),
            active,
            "active>0 is invalid for finished job",
        );
    }
    let nothing_to_do = flag(spec, "suspend") && int(spec, "completions") == Some(0);
    if (finish_turned || changed("startTime"))
        && !nothing_to_do
        && finished
        && present(status, "startTime").is_none()
    {
        errors.required(
            &path.field("startTime"),
            "startTime is required for finished job",
        );
    }
    if (finish_turned || changed("uncountedTerminatedPods")) && finished && uncounted(status) > 0 {
        errors.invalid(
            &path.field("uncountedTerminatedPods"),
            status["uncountedTerminatedPods"].clone(),
            "must be empty for finished job",
        );
    }
    let terminating = int(status, "terminating").unwrap_or(0);
    if (finish_turned || changed("terminating")) && finished && terminating > 0 {
        errors.invalid(
            &path.field("terminating"),
            terminating,
            "terminating>0 is invalid for finished job",
        );
    }
    if (changed("ready") || changed("active"))
        && let Some(ready) = int(status, "ready").filter(|ready| *ready > active)
    {
        errors.invalid(
            &path.field("ready"),
            ready,
            "cannot set more ready pods than active",
        );
    }
    validate_success(status, spec, complete, failed, &conditions, errors);
    validate_transitions(status, before, spec, errors);
}

fn validate_times(
    status: &Value,
    before: &Value,
    complete_turned: bool,
    complete: bool,
    errors: &mut Errors,
) {
    let path = Path::new("status");
    let (start, end) = (
        present(status, "startTime"),
        present(status, "completionTime"),
    );
    let end_changed = end != present(before, "completionTime");
    if complete_turned || end_changed {
        match (end, complete) {
            (Some(end), false) => errors.invalid(
                &path.field("completionTime"),
                end.clone(),
                "cannot set completionTime when there is no Complete=True condition",
            ),
            (None, true) => {
                errors.required(
                    &path.field("completionTime"),
                    "completionTime is required for Complete jobs",
                );
            }
            _ => {}
        }
    }
    if (end_changed || start != present(before, "startTime"))
        && let (Some(Value::String(start)), Some(Value::String(end))) = (start, end)
    {
        // Times as the server writes them sort as text.
        if end < start {
            errors.invalid(
                &path.field("completionTime"),
                end.as_str(),
                "must be equal to or after `startTime`",
            );
        }
    }
}

fn validate_success(
    status: &Value,
    spec: &Value,
    complete: bool,
    failed: bool,
    conditions: &Path<'_>,
    errors: &mut Errors,
) {
    let met = is_true(status, "SuccessCriteriaMet");
    let path = Path::new("status");
    let indexed = text(spec, "completionMode") == "Indexed";
    let completed = text(status, "completedIndexes");
    if !completed.is_empty() && !indexed {
        errors.invalid(
            &path.field("completedIndexes"),
            completed,
            "cannot set non-empty completedIndexes when non-indexed completion mode",
        );
    }
    if let Some(indexes) =
        present(status, "failedIndexes").filter(|_| int(spec, "backoffLimitPerIndex").is_none())
    {
        errors.invalid(
            &path.field("failedIndexes"),
            indexes.clone(),
            "cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        );
    }
    if met && failed {
        errors.invalid_omitted(
            conditions,
            "cannot set SuccessCriteriaMet=True and Failed=true conditions",
        );
    }
    if met && is_true(status, "FailureTarget") {
        errors.invalid_omitted(
            conditions,
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        );
    }
    if present(spec, "successPolicy").is_some() && !met && complete {
        errors.invalid_omitted(
            conditions,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        );
    }
}

fn validate_transitions(status: &Value, before: &Value, spec: &Value, errors: &mut Errors) {
    let path = Path::new("status");
    let conditions = path.field("conditions");
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if is_true(before, kind) && !is_true(status, kind) {
            errors.invalid_omitted(
                &conditions,
                format!("cannot disable the terminal {kind}=True condition"),
            );
        }
    }
    let elastic = text(spec, "completionMode") == "Indexed"
        && spec.get("completions") == spec.get("parallelism");
    for counter in ["failed", "succeeded"] {
        let (new, old) = (
            int(status, counter).unwrap_or(0),
            int(before, counter).unwrap_or(0),
        );
        if new < old && !(counter == "succeeded" && elastic) {
            errors.invalid(
                &path.field(counter),
                new,
                format!("cannot decrease the {counter} counter"),
            );
        }
    }
    if let (Some(new), Some(old)) = (
        present(status, "completionTime"),
        present(before, "completionTime"),
    ) && new != old
    {
        errors.invalid(
            &path.field("completionTime"),
            new.clone(),
            "field is immutable",
        );
    }
    let resuming = is_true(before, "Suspended") && is_false(status, "Suspended");
    if let Some(old) = present(before, "startTime")
        && present(status, "startTime") != Some(old)
        && !resuming
        && !flag(spec, "suspend")
    {
        errors.invalid(
            &path.field("startTime"),
            present(status, "startTime").cloned().unwrap_or(Value::Null),
            "field is immutable for unsuspended job once set",
        );
    }
    if is_true(before, "SuccessCriteriaMet") && !is_true(status, "SuccessCriteriaMet") {
        errors.invalid_omitted(
            &conditions,
            "cannot disable the SuccessCriteriaMet=True condition",
        );
    }
    if is_true(before, "Complete")
        && !is_true(before, "SuccessCriteriaMet")
        && is_true(status, "SuccessCriteriaMet")
    {
        errors.invalid_omitted(
            &conditions,
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        );
    }
}
