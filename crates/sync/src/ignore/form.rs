//! Differences of form that no comparison looks at, by kind (SYNC-149).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wavetank_json::{Map, Value};
use wavetank_model::key::GroupKind;
use wavetank_model::{GroupVersionKind, defaults, schema};

/// Brings an object into the form in which it is compared: without a time of creation; the plain texts of a Secret among
/// its data, no rules as null (with `aggregated`, those that somebody else aggregates, too), addresses in order.
pub(super) fn normalise(object: &mut Value, aggregated: bool) {
    let kind = GroupVersionKind::of(object).map(|gvk| gvk.group_kind());
    let Value::Object(map) = object else { return };
    if let Some(Value::Object(meta)) = map.get_mut("metadata")
        && meta.contains_key("creationTimestamp")
    {
        meta.remove("creationTimestamp");
    }
    let Some(GroupKind { group, kind }) = kind else {
        return;
    };
    match (group.as_str(), kind.as_str()) {
        ("", "Secret") => secret(map),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => role(map, aggregated),
        ("", "Endpoints") => endpoints(object),
        _ => {}
    }
}

/// No rules are null, and so are those that are aggregated, where they do not count.
fn role(map: &mut Map, aggregated: bool) {
    let is_aggregated = map.get("aggregationRule").is_some_and(Value::is_object);
    let rules = map.get("rules").and_then(Value::as_array);
    if aggregated && is_aggregated || rules.is_some_and(Vec::is_empty) {
        map.insert("rules".to_owned(), Value::Null);
    }
}

/// `stringData` goes into `data`, where null is the empty text.
fn secret(map: &mut Map) {
    if map.get("stringData").is_some_and(Value::is_object)
        && let Some(Value::Object(plain)) = map.remove("stringData")
    {
        let data = map.entry("data").or_insert(Value::Null);
        if !data.is_object() {
            *data = Value::Object(Map::new());
        }
        if let Value::Object(data) = data {
            for (key, value) in plain {
                let encoded = match value.as_str() {
                    Some(text) => STANDARD.encode(text).into(),
                    None => value,
                };
                data.insert(key, encoded);
            }
        }
    }
    let Some(Value::Object(data)) = map.get_mut("data") else {
        return;
    };
    let is_bytes = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => STANDARD.decode(text).is_ok(),
        _ => false,
    };
    if !data.iter().all(|(_, value)| is_bytes(value)) {
        return;
    }
    if data.is_empty() {
        map.insert("data".to_owned(), Value::Null);
    } else if data.iter().any(|(_, value)| value.is_null()) {
        for value in data.values_mut().filter(|value| value.is_null()) {
            *value = "".into();
        }
    }
}

/// Endpoints are read into their type, where there is no unknown field, and get their defaults; the order of subsets,
/// addresses and ports says nothing.
fn endpoints(object: &mut Value) {
    let schema = GroupVersionKind::of(object).and_then(|gvk| schema::builtin(&gvk));
    let mut read = object.clone();
    match schema.map(|schema| schema::decode(schema, &mut read)) {
        Some(Ok(_)) => *object = read,
        Some(Err(_)) | None => return,
    }
    defaults::of("", "Endpoints").fill_typed("v1", object);
    let Some(Value::Array(subsets)) = object.get_mut("subsets") else {
        return;
    };
    for subset in subsets.iter_mut() {
        for list in ["addresses", "notReadyAddresses", "ports"] {
            if let Some(Value::Array(items)) = subset.get_mut(list) {
                items.sort_by_cached_key(Value::to_string);
            }
        }
    }
    subsets.sort_by_cached_key(Value::to_string);
}
