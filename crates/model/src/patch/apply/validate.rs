//! What an applied configuration must be like before it is merged (API-143, API-155).

use wavetank_json::Value;

use super::element::PathElement;
use crate::schema::{ListType, Scalar, SchemaRef, Shape};

/// Checks `object` against `schema`: all fields are known, values have the JSON types that belong to them, and items have
/// their keys. The text is the server's, `None` when all is well.
///
/// Items that stand twice in an associative list are wrong unless `allow_duplicates`.
pub fn validate(object: &Value, schema: SchemaRef<'_>, allow_duplicates: bool) -> Option<String> {
    let mut checker = Checker {
        problems: Vec::new(),
        allow_duplicates,
    };
    checker.value(object, schema, &Path::Root);
    match checker.problems.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.iter().fold("errors:".to_owned(), |text, problem| {
            text + "\n  " + problem
        })),
    }
}

enum Path<'a> {
    Root,
    Below(&'a Path<'a>, PathElement),
}

impl Path<'_> {
    fn text(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Below(parent, element) => parent.text() + &element.to_string(),
        }
    }
}

struct Checker {
    problems: Vec<String>,
    allow_duplicates: bool,
}

impl Checker {
    fn wrong(&mut self, path: &Path<'_>, text: impl std::fmt::Display) {
        let path = path.text();
        self.problems.push(if path.is_empty() {
            text.to_string()
        } else {
            format!("{path}: {text}")
        });
    }

    fn value(&mut self, value: &Value, schema: SchemaRef<'_>, path: &Path<'_>) {
        match (schema.shape(), value) {
            (Shape::Any | Shape::Raw, _) | (_, Value::Null) => {}
            (Shape::Scalar(scalar), _) => {
                if let Some(text) = scalar_problem(scalar, value) {
                    self.wrong(path, text);
                }
            }
            (Shape::Struct(_) | Shape::Map { .. }, Value::Object(map)) => {
                for (name, value) in map {
                    let path = Path::Below(path, PathElement::field(name));
                    let Some(field) = schema.field(name) else {
                        self.wrong(&path, "field not declared in schema");
                        return;
                    };
                    self.value(value, field, &path);
                }
            }
            (Shape::Struct(_) | Shape::Map { .. }, _) => {
                self.wrong(path, format_args!("expected map, got {}", go(value)));
            }
            (Shape::List { items, list_type }, Value::Array(list)) => {
                self.list(list, items, list_type, path);
            }
            (Shape::List { .. }, _) => {
                self.wrong(path, format_args!("expected list, got {}", go(value)));
            }
        }
    }

    fn list(
        &mut self,
        list: &[Value],
        items: SchemaRef<'_>,
        list_type: &ListType,
        path: &Path<'_>,
    ) {
        let mut seen: Vec<PathElement> = Vec::new();
        for (index, item) in list.iter().enumerate() {
            let element = if *list_type == ListType::Atomic {
                PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX))
            } else {
                match PathElement::of_item(item, list_type, items) {
                    Ok(element) => element,
                    Err(text) => {
                        self.wrong(path, format_args!("element {index}: {text}"));
                        return;
                    }
                }
            };
            if *list_type != ListType::Atomic && !self.allow_duplicates {
                if seen.contains(&element) {
                    self.wrong(path, format_args!("duplicate entries for key {element}"));
                }
                seen.push(element.clone());
            }
            self.value(item, items, &Path::Below(path, element));
        }
    }
}

fn scalar_problem(scalar: Scalar, value: &Value) -> Option<String> {
    let (fits, expected) = match scalar {
        Scalar::Int32 | Scalar::Int64 | Scalar::Number => {
            (value.is_number(), "numeric (int or float)")
        }
        Scalar::String | Scalar::Bytes => (value.is_string(), "string"),
        Scalar::Boolean => (value.is_boolean(), "boolean"),
        _ => (!value.is_array() && !value.is_object(), "any scalar"),
    };
    if fits {
        return None;
    }
    let got = match expected {
        "string" => format!("&value.valueUnstructured{{Value:{}}}", go_syntax(value)),
        "boolean" | "any scalar" => go(value),
        _ => go_type(value).to_owned(),
    };
    Some(format!("expected {expected}, got {got}"))
}

const fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As Go's `%v` prints the wrapped value.
fn go(value: &Value) -> String {
    format!("&{{{}}}", go_plain(value))
}

fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!(
            "[{}]",
            list.iter().map(go_plain).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(name, value)| format!("{name}:{}", go_plain(value)));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// As Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(list) => {
            format!(
                "[]interface {{}}{{{}}}",
                list.iter().map(go_syntax).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", go_syntax(value)));
            format!(
                "map[string]interface {{}}{{{}}}",
                entries.collect::<Vec<_>>().join(", ")
            )
        }
        other => go_plain(other),
    }
}
