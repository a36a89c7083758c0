//! Pruning and defaulting by a structural schema (API-260, 261).

use wavetank_json::{Map, Value};

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The schema of the field `name`, if the schema knows it.
fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    match schema
        .get("properties")
        .and_then(|properties| properties.get(name))
    {
        Some(found) => Some(found),
        None => schema
            .get("additionalProperties")
            .filter(|more| more.is_object()),
    }
}

fn allows_any(schema: &Value) -> bool {
    flag(schema, "x-kubernetes-preserve-unknown-fields")
        || schema.get("additionalProperties") == Some(&Value::Bool(true))
}

/// Drops fields that `schema` does not know, and adds their paths to `unknown`. `resource` says that the value is a whole
/// object, with `apiVersion`, `kind` and `metadata` beyond its schema.
pub(crate) fn prune(
    schema: &Value,
    value: &mut Value,
    resource: bool,
    path: &str,
    unknown: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => {
            let typed = |name: &str| resource && matches!(name, "apiVersion" | "kind" | "metadata");
            if !allows_any(schema) {
                fields.retain(|name, _| {
                    let known = typed(name) || field(schema, name).is_some();
                    if !known {
                        unknown.push(join(path, name));
                    }
                    known
                });
            }
            for (name, value) in fields.iter_mut().filter(|(name, _)| !typed(name)) {
                if let Some(schema) = field(schema, name) {
                    let embedded = flag(schema, "x-kubernetes-embedded-resource");
                    prune(schema, value, embedded, &join(path, name), unknown);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else {
                return;
            };
            let embedded = flag(schema, "x-kubernetes-embedded-resource");
            for (index, item) in items.iter_mut().enumerate() {
                prune(schema, item, embedded, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Fills in defaults; a null where none is allowed gives way to the default, or goes.
pub(crate) fn default(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => default_fields(schema, fields),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    default(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn default_fields(schema: &Value, fields: &mut Map) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        let null = fields.get(name).is_some_and(Value::is_null) && !flag(schema, "nullable");
        if null {
            fields.remove(name);
        }
        if !fields.contains_key(name)
            && let Some(value) = schema.get("default")
        {
            fields.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in fields.iter_mut() {
        if let Some(schema) = field(schema, name) {
            default(schema, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn unknown_fields_go_except_where_they_are_preserved() {
        let schema = json!({"properties": {
            "spec": {"properties": {"a": {"type": "string"}, "free": {"x-kubernetes-preserve-unknown-fields": true}}},
            "list": {"items": {"properties": {"b": {}}}},
            "map": {"additionalProperties": {"properties": {"c": {}}}},
        }});
        let mut value = json!({
            "apiVersion": "x/v1", "kind": "X", "metadata": {"name": "n"}, "spec": {"a": "1", "z": 1, "free": {"q": 1}},
            "list": [{"b": 1, "y": 2}], "map": {"k": {"c": 1, "d": 2}}, "top": 1,
        });
        let mut unknown = Vec::new();
        prune(&schema, &mut value, true, "", &mut unknown);
        assert_eq!(unknown, ["top", "list[0].y", "map.k.d", "spec.z"]);
        assert_eq!(value["spec"], json!({"a": "1", "free": {"q": 1}}));
        assert_eq!(value["metadata"]["name"], "n");
    }

    #[test]
    fn defaults_apply_inside_objects_that_exist() {
        let schema = json!({"properties": {
            "spec": {"properties": {"a": {"default": 1}, "n": {"type": "string"}, "deep": {"properties": {"b": {"default": 2}}}}},
            "made": {"default": {}, "properties": {"c": {"default": 3}}},
        }});
        let mut value = json!({"spec": {"a": null, "n": null}});
        default(&schema, &mut value);
        assert_eq!(value, json!({"spec": {"a": 1}, "made": {"c": 3}}));
    }
}
