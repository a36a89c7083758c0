//! How rules see values: by the types of their schemas.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube_cel::cel::Value as CelValue;
use wavetank_json::Value;

use crate::expression::check::Type;
use crate::expression::{RESERVED, dialect, map, value};
use crate::kinds::json::{items, text};

/// The type that rules see values of a schema as; `None` for what they cannot see.
pub(super) fn type_of(schema: &Value, root: bool) -> Option<Type> {
    if schema["x-kubernetes-int-or-string"] == true {
        return Some(Type::Dyn);
    }
    match text(schema, "type") {
        "boolean" => Some(Type::Bool),
        "integer" => Some(Type::Int),
        "number" => Some(Type::Double),
        "string" => Some(match text(schema, "format") {
            "byte" => Type::Bytes,
            "date" | "date-time" | "duration" => Type::Unknown,
            _ => Type::String,
        }),
        "array" => Some(Type::List(Box::new(type_of(schema.get("items")?, false)?))),
        "object" => match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => None,
            Some(values @ Value::Object(_)) => {
                let values = type_of(values, false)?;
                Some(Type::Map(Box::new(Type::String), Box::new(values)))
            }
            _ => Some(Type::Object(Arc::new(fields_of(schema, root)))),
        },
        _ => None,
    }
}

fn fields_of(schema: &Value, root: bool) -> BTreeMap<String, Type> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut fields: BTreeMap<String, Type> = properties
        .filter_map(|(name, schema)| Some((escaped(name).into_owned(), type_of(schema, false)?)))
        .collect();
    if root || schema["x-kubernetes-embedded-resource"] == true {
        let texts = |names: [&str; 2]| names.map(|name| (name.to_owned(), Type::String));
        fields.extend(texts(["apiVersion", "kind"]));
        let metadata = BTreeMap::from(texts(["name", "generateName"]));
        fields.insert("metadata".to_owned(), Type::Object(Arc::new(metadata)));
    }
    fields
}

/// A value as rules see it: fields that are null are absent, and names that expressions cannot hold are escaped.
pub(super) fn value_of(json: &Value, schema: &Value) -> CelValue {
    match json {
        Value::Array(items) => {
            let of = schema.get("items").unwrap_or(&Value::Null);
            CelValue::List(Arc::new(
                items.iter().map(|item| value_of(item, of)).collect(),
            ))
        }
        Value::Object(fields) => {
            let values = schema
                .get("additionalProperties")
                .filter(|of| of.is_object());
            map(fields.iter().filter_map(|(name, json)| {
                if let Some(of) = values {
                    return Some((name.clone(), value_of(json, of)));
                }
                let of = schema["properties"].get(name).unwrap_or(&Value::Null);
                let seen = !json.is_null();
                seen.then(|| (escaped(name).into_owned(), value_of(json, of)))
            }))
        }
        Value::Null if text(schema, "type") == "object" => map(std::iter::empty()),
        Value::Number(number) if text(schema, "type") == "number" => {
            CelValue::Float(number.as_f64().unwrap_or(f64::NAN))
        }
        Value::String(written) if text(schema, "type") == "string" => {
            // What does not fit its format was told by the schema.
            let converted = |function, text: String| {
                let text = CelValue::String(Arc::new(text));
                dialect::converted(function, text).ok()
            };
            let seen = match text(schema, "format") {
                "byte" => STANDARD
                    .decode(written)
                    .ok()
                    .map(|bytes| CelValue::Bytes(Arc::new(bytes))),
                "date-time" => converted("timestamp", written.clone()),
                "date" => converted("timestamp", format!("{written}T00:00:00Z")),
                "duration" => converted("duration", written.clone()),
                _ => None,
            };
            seen.unwrap_or_else(|| value(json))
        }
        _ => value(json),
    }
}

/// Lists with more items than this are compared as they are.
const ALIGNED: usize = 1000;

/// What was before, with the items of lists that are sets or have keys in the order that they have now: such lists are
/// equal in any order.
pub(super) fn aligned(old: &Value, new: &Value, schema: &Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let values = &schema["additionalProperties"];
            let fields = old.iter().map(|(name, old)| {
                let of = schema["properties"].get(name).unwrap_or(values);
                let old = new
                    .get(name)
                    .map_or_else(|| old.clone(), |new| aligned(old, new, of));
                (name.clone(), old)
            });
            Value::Object(fields.collect())
        }
        (Value::Array(old), Value::Array(new)) if old.len().max(new.len()) <= ALIGNED => {
            let is_same: &dyn Fn(&Value, &Value) -> bool =
                match text(schema, "x-kubernetes-list-type") {
                    "set" => &|old, new| old == new,
                    "map" => &|old, new| {
                        let mut keys = items(schema, "x-kubernetes-list-map-keys").iter();
                        keys.all(|key| {
                            let key = key.as_str().unwrap_or_default();
                            old.get(key) == new.get(key)
                        })
                    },
                    _ => return Value::Array(old.clone()),
                };
            let (mut left, mut out) = (old.clone(), Vec::with_capacity(old.len()));
            for new in new {
                if let Some(at) = left.iter().position(|old| is_same(old, new)) {
                    out.push(aligned(&left.remove(at), new, &schema["items"]));
                }
            }
            out.append(&mut left);
            Value::Array(out)
        }
        (old, _) => old.clone(),
    }
}

/// The name of a field as expressions write it.
fn escaped(name: &str) -> Cow<'_, str> {
    if RESERVED.contains(&name) {
        return Cow::Owned(format!("__{name}__"));
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return Cow::Borrowed(name);
    }
    let escaped = name
        .replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__");
    Cow::Owned(escaped)
}
