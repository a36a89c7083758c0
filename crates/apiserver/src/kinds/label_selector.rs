//! `metav1.LabelSelector` inside specs: validation and matching against template labels.

use wavetank_json::Value;

use super::field::{Errors, Path};
use super::json::{entries, items, text};
use super::meta::validate_labels;
use super::names;

/// Checks the selector (API-277 and every kind with one).
pub(super) fn validate(selector: &Value, path: &Path<'_>, errors: &mut Errors) {
    validate_labels(selector, "matchLabels", path, errors);
    let list = path.field("matchExpressions");
    for (index, expression) in items(selector, "matchExpressions").iter().enumerate() {
        let path = list.index(index);
        let values = items(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(
                    &path.field("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.forbidden(
                    &path.field("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(
                &path.field("operator"),
                other,
                "not a valid selector operator",
            ),
        }
        let key = text(expression, "key");
        errors.invalid_each(&path.field("key"), key, names::label_key(key));
        for (number, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or_default();
            errors.invalid_each(
                &path.field("values").index(number),
                value,
                names::label_value(value),
            );
        }
    }
}

/// Whether the selector can be used at all.
pub(super) fn is_valid(selector: &Value) -> bool {
    let mut errors = Errors::default();
    validate(selector, &Path::new("selector"), &mut errors);
    errors.is_empty()
}

/// Whether the selector selects everything.
pub(super) fn is_empty(selector: &Value) -> bool {
    entries(selector, "matchLabels").next().is_none()
        && items(selector, "matchExpressions").is_empty()
}

/// Whether `labels` (an object, or null for none) match.
pub(super) fn matches(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .and_then(Value::as_str)
    };
    entries(selector, "matchLabels").all(|(key, value)| label(key) == value.as_str())
        && items(selector, "matchExpressions")
            .iter()
            .all(|expression| {
                let here = label(text(expression, "key"));
                let listed = here.is_some_and(|here| {
                    items(expression, "values")
                        .iter()
                        .any(|value| value == here)
                });
                match text(expression, "operator") {
                    "In" => listed,
                    "NotIn" => !listed,
                    "Exists" => here.is_some(),
                    "DoesNotExist" => here.is_none(),
                    _ => false,
                }
            })
}
