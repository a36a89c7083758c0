//! Objects in JSON, written as protobuf (API-060 to 062).
//!
//! The reverse of reading: what the JSON has is set, what it lacks is left out, which readers take for the empty value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use wavetank_json::{Map, Value};

use super::table::{self, Field, Kind, Shape};
use super::wire::Writer;
use super::{MAGIC, MEDIA_TYPE};

/// An object as a body: magic bytes and envelope. `None` when its kind has no protobuf form.
pub(crate) fn encode(object: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let raw = match table::root(api_version, kind) {
        Some(message) => message_of(object, message),
        None => list(object, api_version, kind)?,
    };
    let mut out = Writer::default();
    out.message(1, |meta| {
        meta.bytes(1, api_version.as_bytes());
        meta.bytes(2, kind.as_bytes());
    });
    out.bytes(2, &raw);
    out.bytes(3, b"");
    out.bytes(4, b"");
    Some([MAGIC, &out.finish()].concat())
}

/// A frame of a watch: four bytes of length, and a `WatchEvent` whose object is a whole body (API-062). `None` when the
/// line is none or its object has no protobuf form.
pub(crate) fn watch_frame(line: &[u8]) -> Option<Vec<u8>> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let object = encode(&event["object"])?;
    let mut out = Writer::default();
    out.bytes(1, event["type"].as_str()?.as_bytes());
    out.message(2, |raw| raw.bytes(1, &object));
    let event = out.finish();
    let length = u32::try_from(event.len()).ok()?;
    Some([&length.to_be_bytes()[..], &event].concat())
}

/// The content type of watches in this form.
pub(crate) const WATCH_MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const _: () = assert!(WATCH_MEDIA_TYPE.len() > MEDIA_TYPE.len());

/// All lists are alike: metadata (1) and items (2).
fn list(object: &Value, api_version: &str, kind: &str) -> Option<Vec<u8>> {
    let item = table::root(api_version, kind.strip_suffix("List")?)?;
    let meta = table::root("meta.k8s.io/v1", "ListMeta")?;
    let mut out = Writer::default();
    out.bytes(
        1,
        &object
            .get("metadata")
            .map(|value| message_of(value, meta))
            .unwrap_or_default(),
    );
    for value in object["items"].as_array().into_iter().flatten() {
        out.bytes(2, &message_of(value, item));
    }
    Some(out.finish())
}

fn message_of(value: &Value, message: usize) -> Vec<u8> {
    let mut out = Writer::default();
    if let Some(object) = value.as_object() {
        write_message(&mut out, object, message);
    }
    out.finish()
}

fn write_message(out: &mut Writer, object: &Map, message: usize) {
    for field in table::message(message) {
        if let (Shape::One, Kind::Inlined(inner)) = (field.shape, field.kind) {
            let mut inlined = Writer::default();
            write_message(&mut inlined, object, inner);
            out.bytes(field.number, &inlined.finish());
            continue;
        }
        let Some(value) = object.get(field.name).filter(|value| !value.is_null()) else {
            continue;
        };
        match (field.shape, value) {
            (Shape::One, value) => write_value(out, field, field.number, value),
            (Shape::List, Value::Array(items)) => {
                for item in items {
                    write_value(out, field, field.number, item);
                }
            }
            (Shape::Map, Value::Object(entries)) => {
                for (key, value) in entries {
                    out.message(field.number, |entry| {
                        entry.bytes(1, key.as_bytes());
                        write_value(entry, field, 2, value);
                    });
                }
            }
            // What is stored fits the types; what does not cannot be said.
            (Shape::List | Shape::Map, _) => {}
        }
    }
}

fn write_value(out: &mut Writer, field: &Field, number: u64, value: &Value) {
    match field.kind {
        Kind::Text => out.bytes(number, value.as_str().unwrap_or_default().as_bytes()),
        Kind::Flag => out.varint(number, u64::from(value.as_bool().unwrap_or_default())),
        Kind::Integer => out.varint(number, integer(value).cast_unsigned()),
        Kind::Double => out.double(number, value.as_f64().unwrap_or_default()),
        Kind::Bytes => {
            let decoded = STANDARD.decode(value.as_str().unwrap_or_default());
            out.bytes(number, &decoded.unwrap_or_default());
        }
        Kind::Time | Kind::MicroTime => write_time(out, number, value),
        Kind::Quantity => {
            let shown = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            out.message(number, |quantity| quantity.bytes(1, shown.as_bytes()));
        }
        Kind::IntOrString => out.message(number, |either| match value {
            Value::String(text) => {
                either.varint(1, 1);
                either.varint(2, 0);
                either.bytes(3, text.as_bytes());
            }
            other => {
                either.varint(1, 0);
                either.varint(2, integer(other).cast_unsigned());
                either.bytes(3, b"");
            }
        }),
        Kind::Json => {
            let text = value.to_string();
            out.message(number, |raw| raw.bytes(1, text.as_bytes()));
        }
        Kind::Texts => out.message(number, |texts| {
            for text in value.as_array().into_iter().flatten() {
                texts.bytes(1, text.as_str().unwrap_or_default().as_bytes());
            }
        }),
        Kind::Message(message) | Kind::Inlined(message) => {
            out.bytes(number, &message_of(value, message));
        }
        Kind::Either(message) => out.message(number, |either| write_either(either, message, value)),
    }
}

/// Writes the field that fits the value; a flag stands beside an object, which says yes.
fn write_either(out: &mut Writer, message: usize, value: &Value) {
    for field in table::message(message) {
        match (field.shape, field.kind, value) {
            (Shape::One, Kind::Flag, Value::Bool(_))
            | (Shape::One, Kind::Message(_), Value::Object(_)) => {
                write_value(out, field, field.number, value);
            }
            (Shape::One, Kind::Flag, Value::Object(_)) => out.varint(field.number, 1),
            (Shape::List, _, Value::Array(items)) => {
                for item in items {
                    write_value(out, field, field.number, item);
                }
            }
            _ => {}
        }
    }
}

/// A whole number, also where it was written with a fraction of nothing.
fn integer(value: &Value) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fields of whole numbers were checked to hold such"
    )]
    let rounded = || value.as_f64().unwrap_or_default() as i64;
    value.as_i64().unwrap_or_else(rounded)
}

/// Seconds (1) and nanoseconds (2).
fn write_time(out: &mut Writer, number: u64, value: &Value) {
    let time: Option<Timestamp> = value.as_str().and_then(|text| text.parse().ok());
    let Some(time) = time else { return };
    out.message(number, |parts| {
        parts.varint(1, time.as_second().cast_unsigned());
        parts.varint(2, i64::from(time.subsec_nanosecond()).cast_unsigned());
    });
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;
    use crate::protobuf::decode;

    fn there_and_back(object: &Value) {
        let body = encode(object).unwrap();
        assert_eq!(&decode(&body).unwrap(), object);
    }

    #[test]
    fn what_is_written_is_read_again() {
        there_and_back(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "labels": {"a": "b", "c": ""}, "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3,
                "managedFields": [{"manager": "m", "fieldsV1": {"f:metadata": {"f:labels": {}}}, "time": "2026-01-01T00:00:01Z"}],
            },
            "spec": {
                "containers": [{
                    "name": "c", "image": "i", "args": ["", "x"], "resources": {"limits": {"cpu": "100m"}},
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "initialDelaySeconds": 0},
                    "readinessProbe": {"tcpSocket": {"port": 8080}},
                    "securityContext": {"runAsUser": 0, "privileged": false},
                }],
                "volumes": [{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c", "defaultMode": 420}}],
                "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": -1}],
            },
        }));
        there_and_back(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "AP8="}, "type": "Opaque",
        }));
        there_and_back(&json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
            "spec": {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.000250Z", "leaseDurationSeconds": 15},
        }));
    }

    #[test]
    fn schemas_of_definitions_are_written_with_their_unions() {
        there_and_back(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"}, "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "a": {"type": "array", "items": {"type": "string"}, "default": ["x"]},
                    "m": {"type": "object", "additionalProperties": {"type": "integer", "maximum": 1.5}},
                    "f": {"type": "object", "additionalProperties": false},
                }}},
            }]},
        }));
    }

    #[test]
    fn lists_events_and_failures_are_written() {
        let list = json!({
            "apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7", "remainingItemCount": 2},
            "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}, "data": {"k": "v"}}],
        });
        assert!(encode(&list).is_some());
        let status = json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": "no", "reason": "NotFound",
            "code": 404, "details": {"name": "x", "kind": "pods", "causes": [{"reason": "r", "message": "m", "field": "f"}]},
        });
        there_and_back(&status);
        let line = json!({"type": "ERROR", "object": status}).to_string();
        let frame = watch_frame(line.as_bytes()).unwrap();
        let length = u32::from_be_bytes(*frame.first_chunk().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), frame.len() - 4);
        assert!(encode(&json!({"apiVersion": "example.com/v1", "kind": "Foo"})).is_none());
    }
}
