//! What may stand in the schemas of a definition (API-254, 255).

use regex::Regex;
use serde_json::Value;
use wavetank_model::object::{self, At};

use crate::kinds::{FieldError, FieldErrorKind};

/// What is wrong with the schemas of a definition. `rules` says whether CEL rules may stand there.
pub(crate) fn problems(definition: &Value, rules: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let versions = definition
        .at(&["spec", "versions"])
        .and_then(Value::as_array);
    for (index, version) in versions.into_iter().flatten().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        if let Some(schema) = version.at(&["schema", "openAPIV3Schema"]) {
            check(schema, &path, rules, &mut errors);
        }
    }
    if definition
        .at(&["spec", "conversion", "strategy"])
        .is_some_and(|strategy| strategy == "Webhook")
    {
        errors.push(FieldError {
            kind: FieldErrorKind::Forbidden,
            field: "spec.conversion.strategy".to_owned(),
            value: None,
            detail: "conversion webhooks are not supported by this server".to_owned(),
        });
    }
    errors
}

/// What is wrong with a change of an established definition (API-255).
pub(crate) fn change_problems(new: &Value, old: &Value) -> Vec<FieldError> {
    let established = object::is_true(old, "Established");
    let mut errors = Vec::new();
    let mut immutable = |pointer: &str| {
        if established && new.pointer(pointer) != old.pointer(pointer) {
            errors.push(FieldError {
                kind: FieldErrorKind::Invalid,
                field: pointer.trim_start_matches('/').replace('/', "."),
                value: Some(new.pointer(pointer).cloned().unwrap_or_default()),
                detail: "field is immutable".to_owned(),
            });
        }
    };
    immutable("/spec/group");
    immutable("/spec/scope");
    immutable("/spec/names/kind");
    immutable("/spec/names/plural");
    errors
}

fn check(schema: &Value, path: &str, rules: bool, errors: &mut Vec<FieldError>) {
    let Some(fields) = schema.as_object() else {
        return;
    };
    let mut add = |field: &str, detail: &str| {
        let field = format!("{path}.{field}");
        errors.push(FieldError {
            kind: FieldErrorKind::Forbidden,
            field,
            value: None,
            detail: detail.to_owned(),
        });
    };
    for name in [
        "$ref",
        "definitions",
        "dependencies",
        "deprecated",
        "discriminator",
        "id",
        "patternProperties",
        "readOnly",
        "writeOnly",
        "xml",
    ] {
        if fields.contains_key(name) {
            add(name, &format!("{name} is not supported"));
        }
    }
    if schema["uniqueItems"] == true {
        add(
            "uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    if schema["properties"]
        .as_object()
        .is_some_and(|properties| !properties.is_empty())
        && fields
            .get("additionalProperties")
            .is_some_and(|more| *more != Value::Bool(false))
    {
        add(
            "additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        );
    }
    if !rules {
        for (index, rule, why) in super::rules::problems(schema) {
            errors.push(FieldError {
                kind: FieldErrorKind::Invalid,
                field: format!("{path}.x-kubernetes-validations[{index}].rule"),
                value: Some(Value::from(rule)),
                detail: format!("compilation failed: {why}"),
            });
        }
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Err(error) = Regex::new(pattern)
    {
        errors.push(FieldError {
            kind: FieldErrorKind::Invalid,
            field: format!("{path}.pattern"),
            value: Some(Value::from(pattern)),
            detail: format!("must be a valid regular expression, but isn't: {error}"),
        });
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        check(
            property,
            &format!("{path}.properties[{name}]"),
            rules,
            errors,
        );
    }
    for name in ["items", "additionalProperties", "not"] {
        check(&schema[name], &format!("{path}.{name}"), rules, errors);
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, part) in schema[name].as_array().into_iter().flatten().enumerate() {
            check(part, &format!("{path}.{name}[{index}]"), rules, errors);
        }
    }
}
