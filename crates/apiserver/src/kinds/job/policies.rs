//! Failure, success and completion policies of Jobs (API-282).

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{int, items, present, text};
use crate::kinds::names;

pub(super) fn validate_managed_by(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(manager) = present(spec, "managedBy").and_then(Value::as_str) else {
        return;
    };
    let path = path.field("managedBy");
    if manager.is_empty() {
        errors.required(&path, "");
        return;
    }
    match manager
        .split_once('/')
        .filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    {
        None => errors.invalid(
            &path,
            manager,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        Some((host, _)) => errors.invalid_each(&path, host, names::dns_subdomain(host)),
    }
    if manager.len() > 63 {
        errors.too_long(&path, 63);
    }
}

pub(super) fn validate_completion_mode(
    spec: &Value,
    indexed: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    const MOST: i64 = 100_000;
    errors.optional_one_of(path, spec, "completionMode", &["NonIndexed", "Indexed"]);
    let (failed, completions) = (int(spec, "maxFailedIndexes"), int(spec, "completions"));
    if indexed {
        if completions.is_none() {
            errors.required(
                &path.field("completions"),
                "when completion mode is Indexed",
            );
        }
        if let Some(parallelism) = int(spec, "parallelism").filter(|count| *count > MOST) {
            errors.invalid(
                &path.field("parallelism"),
                parallelism,
                format!("must be less than or equal to {MOST} when completion mode is Indexed"),
            );
        }
        if let (Some(failed), Some(completions)) = (failed, completions)
            && failed > completions
        {
            errors.invalid(
                &path.field("maxFailedIndexes"),
                failed,
                "must be less than or equal to completions",
            );
        }
    } else if matches!(text(spec, "completionMode"), "" | "NonIndexed") {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(value) = int(spec, field) {
                errors.invalid(
                    &path.field(field),
                    value,
                    "requires indexed completion mode",
                );
            }
        }
    }
}

pub(super) fn validate_failure_policy(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = present(spec, "podFailurePolicy") else {
        return;
    };

    let list = path.field("podFailurePolicy");
    let list = list.field("rules");
    for (index, rule) in items(policy, "rules").iter().enumerate() {
        let path = list.index(index);
        match text(rule, "action") {
            "" => errors.required(
                &path.field("action"),
                "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            ),
            action @ "FailIndex" if int(spec, "backoffLimitPerIndex").is_none() => {
                errors.invalid(
                    &path.field("action"),
                    action,
                    "requires the backoffLimitPerIndex to be set",
                );
            }
            "Count" | "FailIndex" | "FailJob" | "Ignore" => {}
            other => errors.not_supported(
                &path.field("action"),
                other,
                &["Count", "FailIndex", "FailJob", "Ignore"],
            ),
        }
        match (
            present(rule, "onExitCodes"),
            items(rule, "onPodConditions").is_empty(),
        ) {
            (Some(_), false) => {
                errors.invalid_omitted(
                    &path,
                    "specifying both OnExitCodes and OnPodConditions is not supported",
                );
            }
            (None, true) => {
                errors.invalid_omitted(
                    &path,
                    "specifying one of OnExitCodes and OnPodConditions is required",
                );
            }
            _ => {}
        }
        if let Some(codes) = present(rule, "onExitCodes") {
            validate_exit_codes(codes, &path.field("onExitCodes"), errors);
        }
    }
}

pub(super) fn validate_replacement_policy(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let allowed: &[&str] = if present(spec, "podFailurePolicy").is_some() {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    errors.optional_one_of(path, spec, "podReplacementPolicy", allowed);
}

fn validate_exit_codes(codes: &Value, path: &Path<'_>, errors: &mut Errors) {
    let operator = text(codes, "operator");
    match operator {
        "" => errors.required(&path.field("operator"), "valid values: [\"In\" \"NotIn\"]"),
        "In" | "NotIn" => {}
        other => errors.not_supported(&path.field("operator"), other, &["In", "NotIn"]),
    }
    let values = items(codes, "values");
    if values.is_empty() {
        errors.invalid(
            &path.field("values"),
            Value::Array(Vec::new()),
            "at least one value is required",
        );
    }
    for (index, code) in values.iter().enumerate() {
        if code == 0 && operator == "In" {
            errors.invalid(
                &path.field("values").index(index),
                0,
                "must not be 0 for the In operator",
            );
        }
    }
}

pub(super) fn validate_success_policy(
    spec: &Value,
    indexed: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(policy) = present(spec, "successPolicy") else {
        return;
    };
    let path = path.field("successPolicy");
    if !indexed {
        errors.invalid(&path, policy.clone(), "requires indexed completion mode");
        return;
    }
    if items(policy, "rules").is_empty() {
        errors.required(
            &path.field("rules"),
            "at least one rules must be specified when the successPolicy is specified",
        );
    }
}
