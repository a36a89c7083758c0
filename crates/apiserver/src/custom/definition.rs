//! What may stand in the schemas of a definition (API-254, 255).

use regex::Regex;
use wavetank_json::Value;
use wavetank_model::object::{self, At};

use crate::kinds::{FieldError, FieldErrorKind};

/// What is wrong with the schemas of a definition. `rules` says whether CEL rules may stand there.
pub(crate) fn problems(definition: &Value, rules: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let versions = definition
        .at(&["spec", "versions"])
        .and_then(Value::as_array);
    let schemas: Vec<Option<&Value>> = versions
        .into_iter()
        .flatten()
        .map(|version| version.at(&["schema", "openAPIV3Schema"]))
        .collect();
    // One schema of all versions is told of once, by the name that it had when there was but one version.
    if let [Some(first), others @ ..] = schemas.as_slice()
        && others.iter().all(|other| *other == Some(first))
    {
        let path = "spec.validation.openAPIV3Schema";
        check(first, path, Place::root(rules), &mut errors);
    } else {
        for (index, schema) in schemas.iter().enumerate() {
            let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
            if let Some(schema) = schema {
                check(schema, &path, Place::root(rules), &mut errors);
            }
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

/// Where a schema stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Whether it is that of the whole object.
    root: bool,
    /// Whether CEL rules may be wrong.
    rules: bool,
    /// The path of the list or the like, below which old values are not known.
    uncorrelatable: Option<&'a str>,
}

impl Place<'_> {
    fn root(rules: bool) -> Self {
        Self {
            root: true,
            rules,
            uncorrelatable: None,
        }
    }
}

fn check(schema: &Value, path: &str, place: Place<'_>, errors: &mut Vec<FieldError>) {
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
    if !place.rules {
        errors.extend(super::rules::problems(
            schema,
            path,
            place.root,
            place.uncorrelatable,
        ));
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
    let below = Place {
        root: false,
        ..place
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.properties[{name}]");
        check(property, &path, below, errors);
    }
    for name in ["additionalProperties", "not"] {
        check(&schema[name], &format!("{path}.{name}"), below, errors);
    }
    let known = schema["x-kubernetes-list-type"] == "map";
    let items = Place {
        uncorrelatable: place.uncorrelatable.or((!known).then_some(path)),
        ..below
    };
    check(&schema["items"], &format!("{path}.items"), items, errors);
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, part) in schema[name].as_array().into_iter().flatten().enumerate() {
            check(part, &format!("{path}.{name}[{index}]"), below, errors);
        }
    }
}
