//! Typed reads of objects, and of conditions in them.

use wavetank_json::{Map, Value, json};
use wavetank_model::object::At;
pub(crate) use wavetank_model::object::{condition, is_true};

/// The text at `path`, empty when absent.
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    object.at(path).and_then(Value::as_str).unwrap_or_default()
}

/// The number at `path`.
pub(crate) fn int(object: &Value, path: &[&str]) -> Option<i64> {
    object.at(path).and_then(Value::as_i64)
}

/// The flag at `path`, false when absent.
pub(crate) fn flag(object: &Value, path: &[&str]) -> bool {
    object.at(path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `path`, empty when absent.
pub(crate) fn list<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    object
        .at(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The map at `path`.
pub(crate) fn map<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Map> {
    object.at(path).and_then(Value::as_object)
}

/// Whether a Pod ended.
pub(crate) fn pod_ended(pod: &Value) -> bool {
    matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed")
}

/// Whether every pair of `labels` is among the object's labels.
pub(crate) fn has_labels(object: &Value, labels: &Map) -> bool {
    let own = map(object, &["metadata", "labels"]);
    labels
        .iter()
        .all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
}

/// An owner reference that names `owner` as managing controller.
pub(crate) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": text(owner, &["apiVersion"]),
        "kind": text(owner, &["kind"]),
        "name": text(owner, &["metadata", "name"]),
        "uid": text(owner, &["metadata", "uid"]),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Sets `status.<field>` to `value`, or takes it away when it is 0 (API-385).
pub(crate) fn set_counter(status: &mut Map, field: &str, value: i64) {
    if value == 0 {
        status.remove(field);
    } else {
        status.insert(field.to_owned(), value.into());
    }
}

/// `object` with another status.
pub(crate) fn with_status(object: &Value, status: Map) -> Value {
    let mut out = object.as_object().cloned().unwrap_or_default();
    out.insert("status".to_owned(), Value::Object(status));
    Value::Object(out)
}

/// A copy of `status`.
pub(crate) fn status_of(object: &Value) -> Map {
    map(object, &["status"]).cloned().unwrap_or_default()
}
