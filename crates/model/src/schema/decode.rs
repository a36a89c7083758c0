//! Decoding the body of a built-in kind as a Go server does: into its types and back.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wavetank_json::{Map, Number, Value};

use super::parse::{FieldProblem, Path};
use super::{Scalar, SchemaRef, Shape, StructRef};
use crate::quantity::Quantity;
use crate::timestamp;

/// A body that does not fit its type. The texts are Go's (API-073).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value of another JSON type than the field has (T-012).
    #[error("json: cannot unmarshal {found} into Go {target} of type {go_type}")]
    Type {
        /// `string`, `number 1.5`, `object`…
        found: String,
        /// `struct field ConfigMap.data`: the innermost type, and the path from the root without indices.
        target: String,
        /// Go type of the field.
        go_type: String,
    },
    /// A quantity that is none.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Quantity,
    /// A time that is none.
    #[error("parsing time {0:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {0:?} as \"2006\"")]
    Time(String),
    /// Text that is no base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
}

/// Brings `object`, the body of a built-in kind, into the form the types give it, and reports unknown fields.
///
/// Unknown fields are dropped (API-182, 384). Null is the same as absent in a field; in a list or map it is the zero value
/// of the type (API-387). Empty values of optional fields without a pointer are dropped, as serialising them would.
/// Quantities and times are brought into canonical form (API-272). Custom resources are not decoded this way.
///
/// # Errors
/// The first value of a wrong type, in the order of field names. `object` is then half decoded.
pub fn decode(schema: SchemaRef<'_>, object: &mut Value) -> Result<Vec<FieldProblem>, DecodeError> {
    let mut decoder = Decoder {
        problems: Vec::new(),
    };
    let place = Place {
        path: Path::Root,
        owner: "",
        fields: None,
    };
    decoder.value(schema, object, place)?;
    Ok(decoder.problems)
}

/// Adds the fields that a Go server serialises even when they are empty: `status: {}` of a Deployment, `resources: {}`
/// of a container, `rules: null` of a `ClusterRole` (API-386).
///
/// To be called on a decoded and defaulted object of a built-in kind, just before it is stored.
pub fn complete(schema: SchemaRef<'_>, object: &mut Value) {
    match (schema.shape(), object) {
        (Shape::Struct(definition), Value::Object(map)) => complete_struct(definition, map),
        (Shape::List { items, .. }, Value::Array(list)) if holds_structs(items) => {
            for item in list {
                complete(items, item);
            }
        }
        (Shape::Map { values }, Value::Object(map)) if holds_structs(values) => {
            for value in map.values_mut() {
                complete(values, value);
            }
        }
        _ => {}
    }
}

fn holds_structs(schema: SchemaRef<'_>) -> bool {
    matches!(
        schema.shape(),
        Shape::Struct(_) | Shape::List { .. } | Shape::Map { .. }
    )
}

/// Whether [`complete`] would add nothing.
fn is_complete(schema: SchemaRef<'_>, object: &Value) -> bool {
    match (schema.shape(), object) {
        (Shape::Struct(definition), Value::Object(map)) => is_complete_struct(definition, map),
        (Shape::List { items, .. }, Value::Array(list)) if holds_structs(items) => {
            list.iter().all(|item| is_complete(items, item))
        }
        (Shape::Map { values }, Value::Object(map)) if holds_structs(values) => {
            map.values().all(|value| is_complete(values, value))
        }
        _ => true,
    }
}

fn is_complete_struct(definition: StructRef<'_>, map: &Map) -> bool {
    definition.kept().all(|(name, _)| map.contains_key(name))
        && map
            .iter()
            .filter(|(_, value)| value.is_object() || value.is_array())
            .all(|(name, value)| {
                let field = definition.field(name);
                field.is_none_or(|field| is_complete(field, value))
            })
}

fn complete_struct(definition: StructRef<'_>, map: &mut Map) {
    // What others have as well is mostly theirs as it was stored, and stays one piece of memory.
    if map.is_shared() && is_complete_struct(definition, map) {
        return;
    }
    for (name, value) in map.iter_mut() {
        if (value.is_object() || value.is_array())
            && let Some(field) = definition.field(name)
        {
            complete(field, value);
        }
    }
    for (name, field) in definition.kept() {
        if !map.contains_key(name) {
            map.insert(name.to_owned(), zero(field));
        }
    }
}

/// Go's zero value of a field, serialised.
fn zero(schema: SchemaRef<'_>) -> Value {
    match schema.shape() {
        _ if schema.0.facts.pointer => Value::Null,
        Shape::Scalar(Scalar::String) => Value::String(String::new()),
        Shape::Scalar(Scalar::Duration) => Value::String("0s".into()),
        Shape::Scalar(Scalar::Quantity) => Value::String("0".into()),
        Shape::Scalar(Scalar::Boolean) => Value::Bool(false),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Number | Scalar::IntOrString) => {
            Value::from(0)
        }
        Shape::Struct(definition) => {
            let mut map = Map::new();
            complete_struct(definition, &mut map);
            Value::Object(map)
        }
        _ => Value::Null,
    }
}

/// The stack of field names, for messages.
#[derive(Clone, Copy)]
struct Fields<'a> {
    parent: Option<&'a Fields<'a>>,
    name: &'a str,
}

impl Fields<'_> {
    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
            out.push('.');
        }
        out.push_str(self.name);
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    path: Path<'a>,
    /// Go name of the innermost struct.
    owner: &'a str,
    fields: Option<Fields<'a>>,
}

impl Place<'_> {
    fn wrong(&self, found: &Value, go_type: Cow<'_, str>) -> DecodeError {
        let target = self.fields.map_or_else(
            || "value".to_owned(),
            |fields| {
                let mut out = format!("struct field {}.", self.owner);
                fields.write(&mut out);
                out
            },
        );
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) if matches!(go_type.as_ref(), "int32" | "int64") => {
                format!("number {number}")
            }
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        DecodeError::Type {
            found,
            target,
            go_type: go_type.into_owned(),
        }
    }
}

struct Decoder {
    problems: Vec<FieldProblem>,
}

impl Decoder {
    fn value(
        &mut self,
        schema: SchemaRef<'_>,
        value: &mut Value,
        place: Place<'_>,
    ) -> Result<(), DecodeError> {
        match schema.shape() {
            Shape::Any | Shape::Raw => Ok(()),
            // Nothing among the data of a Secret is stored as no bytes.
            Shape::Scalar(Scalar::Bytes) if value.is_null() => {
                *value = Value::String(String::new());
                Ok(())
            }
            _ if value.is_null() => {
                *value = zero(schema);
                Ok(())
            }
            Shape::Scalar(scalar) => decode_scalar(scalar, schema, value, place),
            Shape::Struct(definition) => match value {
                Value::Object(map) => self.fields(definition, map, place),
                other => Err(place.wrong(other, schema.go_type())),
            },
            Shape::Map { values } => {
                let Value::Object(map) = value else {
                    return Err(place.wrong(value, schema.go_type()));
                };
                if map.is_shared() && map.values().all(|value| is_decoded(values, value)) {
                    return Ok(());
                }
                for (key, value) in map.iter_mut() {
                    self.value(
                        values,
                        value,
                        Place {
                            path: Path::Field(&place.path, key),
                            ..place
                        },
                    )?;
                }
                Ok(())
            }
            Shape::List { items, .. } => {
                let Value::Array(list) = value else {
                    return Err(place.wrong(value, schema.go_type()));
                };
                for (index, item) in list.iter_mut().enumerate() {
                    self.value(
                        items,
                        item,
                        Place {
                            path: Path::Item(&place.path, index),
                            ..place
                        },
                    )?;
                }
                Ok(())
            }
        }
    }

    fn fields(
        &mut self,
        definition: StructRef<'_>,
        map: &mut Map,
        place: Place<'_>,
    ) -> Result<(), DecodeError> {
        if map.is_shared() && are_decoded(definition, map) {
            return Ok(());
        }
        let mut dropped = false;
        for (name, value) in map.iter_mut() {
            let path = Path::Field(&place.path, name);
            let Some(field) = definition.field(name) else {
                self.problems.push(FieldProblem::Unknown {
                    path: path.to_string(),
                });
                // Marked for the sweep below.
                *value = Value::Null;
                dropped = true;
                continue;
            };
            if !value.is_null() {
                let fields = Fields {
                    parent: place.fields.as_ref(),
                    name,
                };
                self.value(
                    field,
                    value,
                    Place {
                        path,
                        owner: definition.name(),
                        fields: Some(fields),
                    },
                )?;
                if is_dropped(field, value) {
                    *value = Value::Null;
                }
            }
            dropped |= value.is_null();
        }
        if dropped {
            map.retain(|_, value| !value.is_null());
        }
        Ok(())
    }
}

/// Whether decoding would leave the fields as they are: what others have as well then stays one piece of memory.
fn are_decoded(definition: StructRef<'_>, map: &Map) -> bool {
    map.iter().all(|(name, value)| {
        definition.field(name).is_some_and(|field| {
            !(value.is_null() || is_dropped(field, value)) && is_decoded(field, value)
        })
    })
}

fn is_decoded(schema: SchemaRef<'_>, value: &Value) -> bool {
    match (schema.shape(), value) {
        (Shape::Any | Shape::Raw, _) => true,
        (Shape::Struct(definition), Value::Object(map)) => are_decoded(definition, map),
        (Shape::Map { values }, Value::Object(map)) => {
            map.values().all(|value| is_decoded(values, value))
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            list.iter().all(|item| is_decoded(items, item))
        }
        (Shape::Scalar(scalar), value) => is_canonical(scalar, value),
        _ => false,
    }
}

/// Whether a scalar is known to be in the form that decoding gives it.
fn is_canonical(scalar: Scalar, value: &Value) -> bool {
    match (scalar, value) {
        (Scalar::Any, value) => !value.is_null(),
        (Scalar::Boolean, Value::Bool(_))
        | (Scalar::String | Scalar::IntOrString | Scalar::Duration, Value::String(_)) => true,
        (Scalar::Int64, Value::Number(number)) => number.is_i64(),
        (Scalar::Int32 | Scalar::IntOrString, Value::Number(number)) => is_int32(number),
        (Scalar::Time, Value::String(text)) => timestamp::is_plain(text),
        // The rest is rare.
        _ => false,
    }
}

/// Whether serialising would leave the field out.
fn is_dropped(field: SchemaRef<'_>, value: &Value) -> bool {
    is_empty(value) && field.omits_empty() && !field.0.facts.pointer
}

fn is_int32(number: &Number) -> bool {
    number
        .as_i64()
        .is_some_and(|number| i32::try_from(number).is_ok())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn decode_scalar(
    scalar: Scalar,
    schema: SchemaRef<'_>,
    value: &mut Value,
    place: Place<'_>,
) -> Result<(), DecodeError> {
    let fits = match (scalar, &*value) {
        (Scalar::Any, _)
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::String | Scalar::IntOrString | Scalar::Duration, Value::String(_))
        | (Scalar::Number, Value::Number(_)) => true,
        (Scalar::Int64, Value::Number(number)) => number.is_i64(),
        (Scalar::Int32 | Scalar::IntOrString, Value::Number(number)) => is_int32(number),
        (Scalar::Bytes, Value::String(text)) => return decode_bytes(text),
        (Scalar::Time | Scalar::MicroTime, Value::String(text)) => {
            if let Some(canonical) = decode_time(scalar, text)? {
                *value = Value::String(canonical);
            }
            return Ok(());
        }
        (Scalar::Quantity, Value::String(_) | Value::Number(_)) => return decode_quantity(value),
        (Scalar::Quantity, _) => return Err(DecodeError::Quantity),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let go_type = match scalar {
        Scalar::Time | Scalar::MicroTime | Scalar::IntOrString => Cow::Borrowed(scalar.go_type()),
        _ => schema.go_type(),
    };
    Err(place.wrong(value, go_type))
}

fn decode_bytes(text: &str) -> Result<(), DecodeError> {
    match STANDARD.decode(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _),
        ) => Err(DecodeError::Base64(at)),
        Err(_) => Err(DecodeError::Base64(text.len() / 4 * 4)),
    }
}

/// The canonical text of a time where it differs.
fn decode_time(scalar: Scalar, text: &str) -> Result<Option<String>, DecodeError> {
    if scalar == Scalar::Time && timestamp::is_plain(text) {
        return Ok(None);
    }
    let time = timestamp::parse(text).ok_or_else(|| DecodeError::Time(text.to_owned()))?;
    let format = if scalar == Scalar::MicroTime {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    let canonical = time.strftime(format).to_string();
    Ok((canonical != text).then_some(canonical))
}

fn decode_quantity(value: &mut Value) -> Result<(), DecodeError> {
    let text = match &*value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    let canonical = text
        .parse::<Quantity>()
        .map_err(|_| DecodeError::Quantity)?
        .to_string();
    if matches!(text, Cow::Owned(_)) || canonical != *text {
        *value = Value::String(canonical);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::super::builtin;
    use super::*;
    use crate::key::GroupVersionKind;

    fn run(mut object: Value) -> (Value, Result<Vec<String>, String>) {
        let schema = builtin(&GroupVersionKind::of(&object).unwrap()).unwrap();
        let result = decode(schema, &mut object)
            .map(|problems| problems.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string());
        (object, result)
    }

    #[test]
    fn a_number_in_a_text_map_is_refused_as_go_says_it() {
        // T-012
        let (_, result) = run(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": 1}}));
        assert_eq!(
            result.unwrap_err(),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
        );
    }

    #[test]
    fn type_errors_name_the_innermost_struct_and_the_whole_path() {
        let deployment = |spec: Value| {
            run(json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec})).1
        };
        assert_eq!(
            deployment(json!({"replicas": "3"})).unwrap_err(),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        assert_eq!(
            deployment(json!({"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}})).unwrap_err(),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string"
        );
        assert_eq!(
            deployment(json!({"template": {"spec": {"containers": {}}}})).unwrap_err(),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"
        );
    }

    #[test]
    fn unknown_fields_are_dropped_and_reported_with_indices() {
        let (object, result) = run(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "spec": {"Replicas": 2, "template": {"spec": {"containers": [{"name": "c", "foo": 1}]}}}}));
        assert_eq!(
            result.unwrap(),
            [
                r#"unknown field "spec.Replicas""#,
                r#"unknown field "spec.template.spec.containers[0].foo""#
            ]
        );
        assert_eq!(
            object["spec"],
            json!({"template": {"spec": {"containers": [{"name": "c"}]}}})
        );
    }

    #[test]
    fn nulls_and_empty_optional_values_vanish_but_pointers_and_map_values_stay() {
        let (object, _) = run(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"creationTimestamp": null, "labels": {}},
            "data": {"a": null, "b": ""}, "immutable": false}),
        );
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"a": "", "b": ""}, "immutable": false})
        );
    }

    #[test]
    fn null_among_the_data_of_a_secret_is_no_bytes() {
        let (object, _) = run(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"a": null, "b": "eA=="}}),
        );
        assert_eq!(object["data"], json!({"a": "", "b": "eA=="}));
    }

    #[test]
    fn quantities_and_times_become_canonical() {
        let (object, _) = run(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": "2026-01-01T01:00:00.5+01:00"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1000m", "memory": 1024}}}]}}),
        );
        assert_eq!(
            object["spec"]["containers"][0]["resources"]["limits"],
            json!({"cpu": "1", "memory": "1024"})
        );
        assert_eq!(
            object["metadata"]["creationTimestamp"],
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn what_is_shared_is_decoded_and_completed_as_what_is_not() {
        let deployment = |template: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1, "template": template}});
        let container = |container: Value| json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
        for (template, same) in [
            (
                json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}}),
                true,
            ),
            (
                container(json!({"name": "c", "resources": {"limits": {"cpu": "1000m"}}})),
                false,
            ),
            (
                container(json!({"name": "c", "resources": {}, "foo": 1})),
                false,
            ),
            (
                container(json!({"name": "c", "resources": {}, "image": ""})),
                false,
            ),
            (
                container(json!({"name": "c", "resources": {}, "image": null})),
                false,
            ),
            (
                container(
                    json!({"name": "c", "resources": {}, "env": [{"name": "A", "value": 1}]}),
                ),
                true,
            ),
            (container(json!({"name": "c"})), true),
            (
                json!({"metadata": {"labels": {"a": null}}, "spec": {}}),
                false,
            ),
            (
                json!({"metadata": {"creationTimestamp": "2026-01-01T01:00:00+01:00"}}),
                false,
            ),
        ] {
            let object = deployment(template);
            let text = object.to_string();
            let (mut shared, shared_result) = run(object.clone());
            let (mut alone, alone_result) = run(text.parse().unwrap());
            assert_eq!((&shared, &shared_result), (&alone, &alone_result), "{text}");
            assert_eq!(shared == object, same, "{text}");
            let schema = builtin(&GroupVersionKind::new("apps/v1", "Deployment")).unwrap();
            let kept = shared.clone();
            complete(schema, &mut shared);
            complete(schema, &mut alone);
            assert_eq!(shared, alone, "{text}");
            assert_eq!(object.to_string(), text);
            drop(kept);
        }
    }

    #[test]
    fn fields_serialised_when_empty_are_added() {
        let schema = builtin(&GroupVersionKind::new("apps/v1", "Deployment")).unwrap();
        let mut object = json!({"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}});
        complete(schema, &mut object);
        assert_eq!(
            object,
            json!({"metadata": {}, "spec": {"selector": null, "strategy": {},
                "template": {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": {}}]}}}, "status": {}})
        );
    }
}
