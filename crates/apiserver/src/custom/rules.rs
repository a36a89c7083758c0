//! CEL rules of definitions, `x-kubernetes-validations` (API-262 to 265).
//!
//! Expressions are compiled and evaluated by `kube-cel`; which rule is run on which value, in which order, and how its
//! failure is told, is decided here. Transition rules (of `oldSelf`) run where a value has an old one: fields, values of
//! maps, and items of lists that are known by keys. Costs are not limited.

use std::collections::BTreeMap;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema, validate_compiled};
use serde_json::Value;

use crate::kinds::{FieldError, FieldErrorKind};

const KEY: &str = "x-kubernetes-validations";

/// The rules of one version of a definition.
#[derive(Debug)]
pub(super) struct Rules(Node);

/// A place in a schema that has rules, or has such a place below it.
#[derive(Debug)]
struct Node {
    rules: Option<CompiledSchema>,
    /// Whether the value is shown in messages; objects and lists are not.
    scalar: bool,
    /// Fields whose values say which item of a list is which; empty for other lists.
    keys: Vec<String>,
    fields: BTreeMap<String, Node>,
    items: Option<Box<Node>>,
    additional: Option<Box<Node>>,
}

impl Rules {
    /// The rules of `openAPIV3Schema`; `None` when there are none. Rules that cannot be compiled are left out: they are
    /// refused with the definition, unless the server is told to pass over them.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        Node::of(schema).map(Self)
    }

    /// What is wrong with an object, whose schema has found `errors`; `old` is what it was before.
    pub(super) fn check(
        &self,
        object: &Value,
        old: Option<&Value>,
        errors: &[FieldError],
    ) -> Vec<FieldError> {
        // Rules may rely on the types (API-263).
        let blocking = [
            FieldErrorKind::NotSupported,
            FieldErrorKind::Required,
            FieldErrorKind::TooLong,
            FieldErrorKind::TooMany,
            FieldErrorKind::TypeInvalid,
        ];
        if errors.iter().any(|error| blocking.contains(&error.kind)) {
            return vec![FieldError {
                kind: FieldErrorKind::Invalid,
                field: "<nil>".to_owned(),
                value: Some(Value::from("null")),
                detail: "some validation rules were not checked because the object was invalid; correct the existing \
                         errors to complete validation"
                    .to_owned(),
            }];
        }
        let mut found = Vec::new();
        self.0.check(object, old, "", &mut found);
        found
    }
}

impl Node {
    fn of(schema: &Value) -> Option<Self> {
        let own = schema.get(KEY).is_some().then(|| {
            let mut alone = schema.clone();
            for child in children(&mut alone) {
                strip(child);
            }
            let mut compiled = compile_schema(&alone);
            compiled.validations.retain(Result::is_ok);
            compiled
        });
        let fields: BTreeMap<String, Self> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| Some((name.clone(), Self::of(schema)?)))
            .collect();
        let below = |name: &str| Self::of(schema.get(name)?).map(Box::new);
        let (items, additional) = (below("items"), below("additionalProperties"));
        if own.is_none() && fields.is_empty() && items.is_none() && additional.is_none() {
            return None;
        }
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let keys = keys.filter(|_| schema["x-kubernetes-list-type"] == "map");
        Some(Self {
            rules: own,
            scalar: !matches!(schema["type"].as_str(), Some("object" | "array")),
            keys: keys
                .into_iter()
                .flatten()
                .filter_map(|key| key.as_str().map(str::to_owned))
                .collect(),
            fields,
            items,
            additional,
        })
    }

    fn check(&self, value: &Value, old: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) {
        // What did not change was accepted before (API-265).
        if old == Some(value) {
            return;
        }
        if let Some(rules) = &self.rules
            && let Err(failed) = validate_compiled(rules, value, old)
        {
            errors.extend(failed.iter().map(|error| self.told(error, value, path)));
        }
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let node = self.fields.get(name).or(self.additional.as_deref());
                    if let Some(node) = node {
                        let old = old.and_then(|old| old.get(name));
                        let path = if self.fields.contains_key(name) {
                            join(path, name)
                        } else {
                            format!("{path}[{name}]")
                        };
                        node.check(value, old, &path, errors);
                    }
                }
            }
            Value::Array(list) => {
                let Some(node) = &self.items else { return };
                for (index, item) in list.iter().enumerate() {
                    let old = self.old_item(item, old);
                    node.check(item, old, &format!("{path}[{index}]"), errors);
                }
            }
            _ => {}
        }
    }

    /// What `item` was before: the item with the same keys.
    fn old_item<'a>(&self, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
        if self.keys.is_empty() {
            return None;
        }
        old?.as_array()?
            .iter()
            .find(|old| self.keys.iter().all(|key| old.get(key) == item.get(key)))
    }

    /// The failure of a rule in the words of a real server.
    fn told(&self, error: &ValidationError, value: &Value, path: &str) -> FieldError {
        let below = error.field_path.trim_start_matches('.');
        let mut field = match below {
            "" => path.to_owned(),
            below if below.starts_with('[') => format!("{path}{below}"),
            below => join(path, below),
        };
        if field.is_empty() {
            "<nil>".clone_into(&mut field);
        }
        let failed = error.kind == ErrorKind::ValidationFailure;
        let kind = match error.reason.as_deref().filter(|_| failed) {
            Some("FieldValueRequired") => FieldErrorKind::Required,
            Some("FieldValueForbidden") => FieldErrorKind::Forbidden,
            Some("FieldValueDuplicate") => FieldErrorKind::Duplicate,
            _ => FieldErrorKind::Invalid,
        };
        let shown = matches!(kind, FieldErrorKind::Invalid | FieldErrorKind::Duplicate);
        let detail = if failed {
            error.message.trim().to_owned()
        } else {
            format!("{} evaluating rule: {}", error.message, error.rule)
        };
        FieldError {
            kind,
            field,
            value: (shown && self.scalar).then(|| value.clone()),
            detail,
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The schemas right below a schema.
fn children(schema: &mut Value) -> Vec<&mut Value> {
    let Some(fields) = schema.as_object_mut() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, child) in fields {
        match (name.as_str(), child) {
            ("properties", Value::Object(properties)) => found.extend(properties.values_mut()),
            ("items" | "additionalProperties" | "not", child) => found.push(child),
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => found.extend(parts),
            _ => {}
        }
    }
    found
}

/// Takes the rules out of a schema.
fn strip(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove(KEY);
    }
    for child in children(schema) {
        strip(child);
    }
}

/// What is wrong with the rules that stand in `schema` itself: index of the rule, its text, and why it cannot be compiled.
pub(super) fn problems(schema: &Value) -> Vec<(usize, String, String)> {
    let Some(rules) = schema.get(KEY) else {
        return Vec::new();
    };
    let alone = serde_json::json!({KEY: rules});
    let text = |index: usize| rules[index]["rule"].as_str().unwrap_or_default().to_owned();
    compile_schema(&alone)
        .validations
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| {
            let error = rule.as_ref().err()?;
            Some((index, text(index), error.to_string()))
        })
        .collect()
}
