//! What is wrong with rules, found when their definition is written.

use wavetank_json::Value;

use crate::expression::Expression;
use crate::expression::check::{Scope, Type, check};
use crate::kinds::json::text;
use crate::kinds::{FieldError, FieldErrorKind};

use super::KEY;
use super::types::type_of;

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// What is wrong with the rules that stand in `schema` itself, which is at `path`. `uncorrelatable` is the path of a list
/// above it whose items have no keys: there are no old values below.
pub(in crate::custom) fn problems(
    schema: &Value,
    path: &str,
    root: bool,
    uncorrelatable: Option<&str>,
) -> Vec<FieldError> {
    let rules = || schema[KEY].as_array().into_iter().flatten().enumerate();
    let mut errors = Vec::new();
    for (index, rule) in rules() {
        written(rule, schema, &format!("{path}.{KEY}[{index}]"), &mut errors);
    }
    // Only what is written well is compiled.
    if !errors.is_empty() {
        return errors;
    }
    for (index, rule) in rules() {
        let path = format!("{path}.{KEY}[{index}]");
        for (field, why) in compile(rule, schema, root) {
            errors.push(FieldError {
                kind: FieldErrorKind::Invalid,
                field: format!("{path}.{field}"),
                value: None,
                detail: format!("{}: {why}", as_go(rule)),
            });
        }
        if let Some(list) = uncorrelatable
            && Expression::new(text(rule, "rule")).uses("oldSelf")
        {
            errors.push(FieldError {
                kind: FieldErrorKind::Invalid,
                field: format!("{path}.rule"),
                value: Some(rule["rule"].clone()),
                detail: format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}"),
            });
        }
    }
    errors
}

/// What is wrong with the fields of a rule, expressions aside.
fn written(rule: &Value, schema: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let mut add = |kind, field: &str, value: Option<&str>, detail: &str| {
        errors.push(FieldError {
            kind,
            field: format!("{path}.{field}"),
            value: value.map(Value::from),
            detail: detail.to_owned(),
        });
    };
    let is_blank = |name: &str| {
        let written = text(rule, name);
        !written.is_empty() && written.trim().is_empty()
    };
    let (message, field) = (text(rule, "message"), text(rule, "fieldPath"));
    if text(rule, "rule").trim().is_empty() {
        add(
            FieldErrorKind::Required,
            "rule",
            None,
            "rule is not specified",
        );
    }
    if is_blank("message") {
        add(
            FieldErrorKind::Invalid,
            "message",
            Some(message),
            "must be non-empty if specified",
        );
    } else if message.contains(['\n', '\r']) {
        add(
            FieldErrorKind::Invalid,
            "message",
            Some(message),
            "must not contain line breaks",
        );
    } else if message.is_empty() && text(rule, "rule").trim().contains(['\n', '\r']) {
        add(
            FieldErrorKind::Required,
            "message",
            None,
            "message must be specified if rule contains line breaks",
        );
    }
    if is_blank("messageExpression") {
        add(
            FieldErrorKind::Required,
            "messageExpression",
            None,
            "messageExpression must be non-empty if specified",
        );
    }
    let reason = text(rule, "reason");
    if !reason.is_empty() && !REASONS.contains(&reason) {
        let all = REASONS.map(|known| format!("{known:?}")).join(", ");
        add(
            FieldErrorKind::NotSupported,
            "reason",
            Some(reason),
            &format!("supported values: {all}"),
        );
    }
    if is_blank("fieldPath") {
        add(
            FieldErrorKind::Invalid,
            "fieldPath",
            Some(field),
            "must be non-empty if specified",
        );
    }
    if !field.is_empty() && path_below(field, schema).is_none() {
        add(
            FieldErrorKind::Invalid,
            "fieldPath",
            Some(field),
            "must be a valid path",
        );
    }
}

/// Why the expressions of a rule do not compile, with the names of their fields.
pub(super) fn compile(rule: &Value, schema: &Value, root: bool) -> Vec<(&'static str, String)> {
    let of = type_of(schema, root).unwrap_or(Type::Unknown);
    let scope = Scope::rule(of, rule["optionalOldSelf"] == true);
    match check(text(rule, "rule"), &scope) {
        Ok(Type::Bool | Type::Unknown) => {}
        Ok(_) => return vec![("rule", "cel expression must evaluate to a bool".to_owned())],
        Err(why) => return vec![("rule", format!("compilation failed: {why}"))],
    }
    let message = text(rule, "messageExpression");
    if message.is_empty() {
        return Vec::new();
    }
    let why = match check(message, &scope) {
        Ok(Type::String | Type::Unknown) => return Vec::new(),
        Ok(_) => "messageExpression must evaluate to a string".to_owned(),
        Err(why) => format!("messageExpression compilation failed: {why}"),
    };
    vec![("messageExpression", why)]
}

/// A `fieldPath` (`.a['k']`) as paths are printed (`.a[k]` where `a` is a map); `None` when it leads nowhere. Lists cannot
/// be gone into.
pub(super) fn path_below(written: &str, schema: &Value) -> Option<String> {
    let (mut rest, mut at, mut below) = (written, schema, String::new());
    while !rest.is_empty() {
        let name: String;
        if let Some(after) = rest.strip_prefix("['") {
            let (quoted, after) = after.split_once("']")?;
            name = quoted.to_owned();
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            name = after[..end].to_owned();
            rest = &after[end..];
        }
        if let Some(of) = at["properties"].get(&name) {
            below.push('.');
            below.push_str(&name);
            at = of;
        } else {
            at = at.get("additionalProperties").filter(|of| of.is_object())?;
            below.push('[');
            below.push_str(&name);
            below.push(']');
        }
    }
    Some(below)
}

/// A rule as a message shows it: Go's type as JSON that may stand in HTML.
fn as_go(rule: &Value) -> String {
    let or_null = |name: &str| rule.get(name).cloned().unwrap_or_default();
    let fields = [
        ("Rule", Value::from(text(rule, "rule"))),
        ("Message", Value::from(text(rule, "message"))),
        (
            "MessageExpression",
            Value::from(text(rule, "messageExpression")),
        ),
        ("Reason", or_null("reason")),
        ("FieldPath", Value::from(text(rule, "fieldPath"))),
        ("OptionalOldSelf", or_null("optionalOldSelf")),
    ];
    let fields = fields.map(|(name, value)| format!("\"{name}\":{value}"));
    let safe = fields
        .join(",")
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e");
    format!("{{{safe}}}")
}
