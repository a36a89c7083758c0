//! Ignored differences, and what is never compared (SYNC-103, SYNC-149).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wavetank_model::{ObjectKey, object, reference::glob};

/// One entry of an Application's `ignoreDifferences`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoredDifference {
    /// API group; `*` for any.
    pub group: String,
    /// Kind; `*` for any.
    pub kind: String,
    /// Name; empty for any.
    pub name: String,
    /// Namespace; empty for any.
    pub namespace: String,
    /// JSON pointers of ignored fields.
    pub json_pointers: Vec<String>,
    /// jq paths of ignored fields: not supported, see [`IgnoredDifference::unsupported`].
    pub jq_path_expressions: Vec<String>,
    /// Fields of these managers are ignored.
    pub managed_fields_managers: Vec<String>,
}

impl IgnoredDifference {
    /// The parts of the entry that this engine does not carry out.
    pub fn unsupported(&self) -> &[String] {
        &self.jq_path_expressions
    }

    /// Whether the entry is about `key`.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        glob(&self.group, &key.group)
            && glob(&self.kind, &key.kind)
            && (self.name.is_empty() || self.name == key.name)
            && (self.namespace.is_empty() || self.namespace == key.namespace)
    }
}

/// Takes ignored fields out of a desired and a live object, for comparison.
pub(crate) fn normalise_pair(ignored: &[IgnoredDifference], target: &mut Value, live: &mut Value) {
    let Some(key) = ObjectKey::of(live) else {
        return;
    };
    for entry in ignored.iter().filter(|entry| entry.matches(&key)) {
        for pointer in &entry.json_pointers {
            remove(target, pointer);
            remove(live, pointer);
        }
        for fields in fields_of_managers(live, &entry.managed_fields_managers) {
            strip_fields(target, &fields);
            strip_fields(live, &fields);
        }
    }
    always(target);
    always(live);
}

/// What no comparison looks at: the status and the time of creation; Secrets are compared by `data`.
fn always(object: &mut Value) {
    if let Value::Object(map) = object {
        map.remove("status");
        if let Some(Value::Object(meta)) = map.get_mut("metadata") {
            meta.remove("creationTimestamp");
        }
        if map.get("kind").is_some_and(|kind| kind == "Secret")
            && map.get("apiVersion").is_some_and(|version| version == "v1")
        {
            fold_string_data(map);
        }
    }
}

fn fold_string_data(secret: &mut Map<String, Value>) {
    use base64::Engine as _;
    let Some(Value::Object(plain)) = secret.remove("stringData") else {
        return;
    };
    let data = secret
        .entry("data")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(data) = data {
        for (key, value) in plain {
            let encoded = base64::engine::general_purpose::STANDARD
                .encode(value.as_str().unwrap_or_default());
            data.insert(key, encoded.into());
        }
    }
}

/// The desired object with the live values of ignored fields (SYNC-103); `status` is left alone.
pub(crate) fn with_live_values(
    ignored: &[IgnoredDifference],
    target: &Value,
    live: &Value,
) -> Value {
    let mut out = target.clone();
    let Some(key) = ObjectKey::of(live) else {
        return out;
    };
    for entry in ignored.iter().filter(|entry| entry.matches(&key)) {
        for pointer in entry
            .json_pointers
            .iter()
            .filter(|pointer| !is_status(pointer))
        {
            match live.pointer(pointer) {
                Some(value) => insert(&mut out, pointer, value.clone()),
                None => remove(&mut out, pointer),
            }
        }
        for fields in fields_of_managers(live, &entry.managed_fields_managers) {
            copy_fields(&mut out, live, &fields);
        }
    }
    out
}

fn is_status(pointer: &str) -> bool {
    pointer == "/status" || pointer.starts_with("/status/")
}

fn parts(pointer: &str) -> Option<Vec<String>> {
    let rest = pointer.strip_prefix('/')?;
    Some(
        rest.split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect(),
    )
}

/// Removes what a pointer names, if it is there.
fn remove(object: &mut Value, pointer: &str) {
    let Some(parts) = parts(pointer) else { return };
    let Some((end, path)) = parts.split_last() else {
        return;
    };
    let mut at = object;
    for part in path {
        let next = match at {
            Value::Object(map) => map.get_mut(part),
            Value::Array(list) => part
                .parse()
                .ok()
                .and_then(|place: usize| list.get_mut(place)),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    match at {
        Value::Object(map) => {
            map.remove(end);
        }
        Value::Array(list) => {
            if let Some(place) = end.parse().ok().filter(|place: &usize| *place < list.len()) {
                list.remove(place);
            }
        }
        _ => {}
    }
}

/// Puts a value where a pointer says; mappings are made on the way, list elements are not.
fn insert(object: &mut Value, pointer: &str, value: Value) {
    let Some(parts) = parts(pointer) else { return };
    let mut at = object;
    for part in &parts {
        let next = match at {
            Value::Object(map) => Some(
                map.entry(part.clone())
                    .or_insert_with(|| Value::Object(Map::new())),
            ),
            Value::Array(list) => part
                .parse()
                .ok()
                .and_then(|place: usize| list.get_mut(place)),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    *at = value;
}

fn fields_of_managers(live: &Value, managers: &[String]) -> Vec<Value> {
    let entries = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let owned = |entry: &&Value| {
        let manager = entry
            .get("manager")
            .and_then(Value::as_str)
            .unwrap_or_default();
        managers.iter().any(|wanted| wanted == manager)
    };
    let entries = entries.into_iter().flatten().filter(owned);
    entries
        .filter_map(|entry| entry.get("fieldsV1").cloned())
        .collect()
}

/// Finds the element of a list that a `k:{…}` names.
fn element_place(list: &[Value], key: &str) -> Option<usize> {
    let wanted: Map<String, Value> = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    list.iter().position(|item| {
        wanted
            .iter()
            .all(|(field, value)| item.get(field) == Some(value))
    })
}

/// Removes the fields that a `FieldsV1` trie names.
fn strip_fields(object: &mut Value, fields: &Value) {
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let leaf = inner.as_object().is_none_or(Map::is_empty);
        match (object as &mut Value, key.strip_prefix("f:")) {
            (Value::Object(map), Some(field)) => {
                if leaf {
                    map.remove(field);
                } else if let Some(child) = map.get_mut(field) {
                    strip_fields(child, inner);
                }
            }
            (Value::Array(list), None) => {
                if let Some(place) = element_place(list, key) {
                    strip_fields(&mut list[place], inner);
                }
            }
            _ => {}
        }
    }
}

/// Copies the fields that a `FieldsV1` trie names from the live object.
fn copy_fields(object: &mut Value, live: &Value, fields: &Value) {
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let leaf = inner.as_object().is_none_or(Map::is_empty);
        match (object as &mut Value, live, key.strip_prefix("f:")) {
            (Value::Object(map), Value::Object(live), Some(field)) if field != "status" => {
                match (map.get_mut(field), live.get(field)) {
                    (Some(child), Some(live)) if !leaf => copy_fields(child, live, inner),
                    (_, Some(value)) => {
                        map.insert(field.to_owned(), value.clone());
                    }
                    (_, None) => {}
                }
            }
            (Value::Array(list), Value::Array(live), None) => {
                if let (Some(own), Some(other)) =
                    (element_place(list, key), element_place(live, key))
                {
                    copy_fields(&mut list[own], &live[other], inner);
                }
            }
            _ => {}
        }
    }
}

/// Whether the annotation `argocd.argoproj.io/compare-options` holds `option`.
pub(crate) fn has_compare_option(live: &Value, option: &str) -> bool {
    let value = object::annotation(live, "argocd.argoproj.io/compare-options").unwrap_or_default();
    wavetank_model::argo::items(value).contains(&option)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: u32, image: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})
    }

    fn ignoring(pointers: &[&str], managers: &[&str]) -> IgnoredDifference {
        IgnoredDifference {
            group: "apps".to_owned(),
            kind: "*".to_owned(),
            json_pointers: pointers.iter().map(|&pointer| pointer.to_owned()).collect(),
            managed_fields_managers: managers.iter().map(|&manager| manager.to_owned()).collect(),
            ..IgnoredDifference::default()
        }
    }

    /// SYNC-103: ignored fields carry live values, the others the desired ones.
    #[test]
    fn ignored_fields_carry_live_values() {
        let ignored = [ignoring(&["/spec/replicas", "/status/x"], &[])];
        let out = with_live_values(&ignored, &deployment(1, "new"), &deployment(5, "old"));
        assert_eq!(out, deployment(5, "new"));
    }

    /// SYNC-103: by manager, into lists by their key.
    #[test]
    fn fields_of_a_manager_carry_live_values() {
        let mut live = deployment(5, "injected");
        live["metadata"]["managedFields"] = json!([{"manager": "injector", "operation": "Update", "fieldsV1":
            {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}}}}]);
        let ignored = [ignoring(&[], &["injector"])];
        assert_eq!(
            with_live_values(&ignored, &deployment(1, "new"), &live),
            deployment(1, "injected")
        );
    }

    #[test]
    fn other_kinds_are_not_touched() {
        let mut other = ignoring(&["/spec/replicas"], &[]);
        other.group = "batch".to_owned();
        assert_eq!(
            with_live_values(&[other], &deployment(1, "a"), &deployment(5, "a")),
            deployment(1, "a")
        );
    }
}
