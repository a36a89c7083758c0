//! The JSON Schema of the format, printed from the same table that the loader reads by.

use std::collections::BTreeSet;

use wavetank_json::{Map, Value, json};

use crate::format;
use crate::shape::{FAULT_VERBS, REQUEST_VERBS, Shape, Ty};

/// The JSON Schema (draft 2020-12) of the Scenario document.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut todo: Vec<&'static Shape> = vec![&format::DOCUMENT, &format::SOURCE];
    let mut known: BTreeSet<&str> = BTreeSet::new();
    while let Some(shape) = todo.pop() {
        if known.insert(shape.name) {
            let definition = object(shape, &mut todo);
            definitions.insert(id(shape), definition);
        }
    }
    let parameter = json!({
        "type": "string",
        "pattern": "\\$\\{[^}]+\\}",
        "description": "A parameter of `cases`, put in before the file is read.",
    });
    definitions.insert("parameter".to_owned(), parameter);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "scenario.v1.json",
        "title": "wavetank scenario, version 1",
        "$ref": format!("#/$defs/{}", id(&format::DOCUMENT)),
        "$defs": definitions,
    })
}

/// A name for `$defs`: `a workload rule` becomes `workload-rule`.
fn id(shape: &Shape) -> String {
    let words: Vec<&str> = shape
        .name
        .split_whitespace()
        .filter(|word| !matches!(*word, "a" | "an" | "the"))
        .collect();
    words.join("-").replace(['(', ')'], "")
}

fn object(shape: &'static Shape, todo: &mut Vec<&'static Shape>) -> Value {
    let mut properties = Map::new();
    for key in shape.keys {
        let mut property = or_parameter(&key.ty, of(&key.ty, todo));
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), Value::from(key.doc));
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required: Vec<&str> = shape
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut out =
        json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    let known = |names: &[&'static str]| -> Vec<&'static str> {
        names
            .iter()
            .copied()
            .filter(|name| shape.keys.iter().any(|key| key.name == *name))
            .collect()
    };
    let one_of = known(shape.one_of);
    if !one_of.is_empty() {
        let choices: Vec<Value> = one_of
            .iter()
            .map(|name| json!({"required": [name]}))
            .collect();
        out["oneOf"] = json!(choices);
    }
    let exclusive = known(shape.exclusive);
    if !exclusive.is_empty() {
        let mut choices: Vec<Value> = exclusive
            .iter()
            .map(|name| json!({"required": [name]}))
            .collect();
        choices.push(json!({"not": {"anyOf": choices.clone()}}));
        out["oneOf"] = json!(choices);
    }
    out
}

fn of(ty: &'static Ty, todo: &mut Vec<&'static Shape>) -> Value {
    match ty {
        Ty::Object => json!({"type": "object"}),
        Ty::Text | Ty::Message | Ty::Cel | Ty::TimeZone => json!({"type": "string"}),
        Ty::Bool => json!({"type": "boolean"}),
        Ty::Exactly(value) => json!({"const": value}),
        Ty::Int(low, high) => {
            let mut out = json!({"type": "integer"});
            if *low != i64::MIN {
                out["minimum"] = json!(low);
            }
            if *high != i64::MAX {
                out["maximum"] = json!(high);
            }
            out
        }
        Ty::Unsigned => json!({"type": "integer", "minimum": 0}),
        Ty::Duration => json!({"type": "string", "pattern": DURATION}),
        Ty::ArgoDuration => {
            json!({"anyOf": [{"type": "string", "pattern": DURATION}, {"type": "string", "pattern": "^[0-9]+$"}, {"type": "integer", "minimum": 0}]})
        }
        Ty::Event => {
            json!({"type": "string", "pattern": "^\\s*\\S+\\s+[a-z]+\\s*$", "examples": ["Job/smoke succeeded", "Sync/1 started"]})
        }
        Ty::Reference => {
            json!({"type": "string", "pattern": REFERENCE, "examples": ["Deployment/web", "Job/smoke-*"]})
        }
        Ty::Choice(words) if words.len() == 1 => json!({"const": words[0]}),
        Ty::Choice(words) => json!({"enum": words}),
        Ty::List(item) => json!({"type": "array", "items": or_parameter(item, of(item, todo))}),
        Ty::Map(shape) => {
            todo.push(shape);
            json!({"$ref": format!("#/$defs/{}", id(shape))})
        }
        Ty::Dict(key, value) => {
            let mut out = json!({"type": "object", "additionalProperties": or_parameter(value, of(value, todo))});
            if !matches!(key, Ty::Text) {
                out["propertyNames"] = or_parameter(key, of(key, todo));
            }
            out
        }
        Ty::Either(choices) => {
            let choices: Vec<Value> = choices.iter().map(|choice| of(choice, todo)).collect();
            json!({"anyOf": choices})
        }
        Ty::Wave => {
            json!({"type": "string", "pattern": "^(\\*|[A-Z][A-Za-z]+/(\\*|[+-]?[0-9]+))$"})
        }
        Ty::ResultKey => {
            json!({"type": "string", "pattern": format!("^(\\*|([A-Z][A-Za-z]+ )?{})$", inner(REFERENCE))})
        }
        Ty::RequestKey => {
            json!({"type": "string", "pattern": format!("^(dry-run )?({})( .+)?$", REQUEST_VERBS.join("|"))})
        }
        Ty::FaultTarget => {
            json!({"type": "string", "pattern": format!("^({})( .+)?$", FAULT_VERBS.join("|"))})
        }
    }
}

/// In files with cases a parameter may stand wherever a value may.
fn or_parameter(ty: &Ty, schema: Value) -> Value {
    if matches!(ty, Ty::Text | Ty::Message | Ty::TimeZone) {
        return schema;
    }
    json!({"anyOf": [schema, {"$ref": "#/$defs/parameter"}]})
}

const DURATION: &str = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const REFERENCE: &str = "^[A-Z][^/\\s]*/[^/\\s]+(/[^/\\s]+)?$";

fn inner(pattern: &str) -> &str {
    pattern.trim_start_matches('^').trim_end_matches('$')
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::sources::collect;
    use crate::yaml::manifest::to_json;
    use crate::yaml::scalar::Dialect;
    use crate::yaml::split::split;
    use crate::yaml::tree::{TreeLimits, read};

    fn repository(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(path)
    }

    /// Holds `value` against the keywords that this module writes; returns the path of the first misfit.
    fn misfit(schema: &Value, value: &Value, root: &Value, path: &str) -> Option<String> {
        let fits = |schema: &Value, value: &Value| misfit(schema, value, root, path).is_none();
        let wrong = |what: &str| Some(format!("{path}: {what}"));
        let list = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
        if let Some(reference) = schema["$ref"].as_str() {
            let target = root.pointer(reference.trim_start_matches('#')).unwrap();
            return misfit(target, value, root, path);
        }
        let type_fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            _ => true,
        };
        if !type_fits || schema.get("const").is_some_and(|only| only != value) {
            return wrong("type or constant");
        }
        if list("enum").is_some_and(|words| !words.contains(value)) {
            return wrong("not in the enumeration");
        }
        if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
            && !regex::Regex::new(pattern).unwrap().is_match(text)
        {
            return wrong(pattern);
        }
        let low = schema["minimum"]
            .as_i64()
            .zip(value.as_i64())
            .is_some_and(|(low, value)| value < low);
        let high = schema["maximum"]
            .as_i64()
            .zip(value.as_i64())
            .is_some_and(|(high, value)| value > high);
        if low || high {
            return wrong("out of range");
        }
        if list("anyOf").is_some_and(|choices| !choices.iter().any(|choice| fits(choice, value))) {
            return wrong("none of the alternatives");
        }
        if list("oneOf")
            .is_some_and(|choices| choices.iter().filter(|choice| fits(choice, value)).count() != 1)
        {
            return wrong("not exactly one");
        }
        if schema.get("not").is_some_and(|not| fits(not, value)) {
            return wrong("excluded");
        }
        if let (Some(object), Some(required)) = (value.as_object(), list("required"))
            && let Some(missing) = required
                .iter()
                .find(|key| !object.contains_key(key.as_str().unwrap()))
        {
            return wrong(&format!("{missing} is missing"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let found = schema
                .get("items")
                .and_then(|items| misfit(items, item, root, &format!("{path}/{index}")));
            if found.is_some() {
                return found;
            }
        }
        for (key, item) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{key}");
            let known = schema.get("properties").and_then(|known| known.get(key));
            let found = match (known, schema.get("additionalProperties")) {
                (Some(known), _) => misfit(known, item, root, &path),
                (None, Some(Value::Bool(false))) => Some(format!("{path}: unknown")),
                (None, Some(others)) => misfit(others, item, root, &path),
                (None, None) => None,
            };
            let name = schema
                .get("propertyNames")
                .and_then(|names| misfit(names, &json!(key), root, &path));
            if found.is_some() || name.is_some() {
                return found.or(name);
            }
        }
        None
    }

    fn scenario_documents() -> Vec<(PathBuf, Value)> {
        let mut files = Vec::new();
        collect(&repository("scenarios"), &mut files);
        files.sort();
        let mut out = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for range in split(&text) {
                let tree = read(
                    &text[range],
                    0,
                    0,
                    TreeLimits {
                        depth: 100,
                        nodes: 100_000,
                    },
                )
                .unwrap()
                .unwrap();
                let value = to_json(&tree, Dialect::Scenario, &mut Vec::new());
                if value["apiVersion"] == format::API_VERSION {
                    out.push((file.clone(), value));
                }
            }
        }
        out
    }

    #[test]
    fn every_scenario_of_the_library_fits_the_schema() {
        let schema = schema();
        let documents = scenario_documents();
        assert!(!documents.is_empty());
        for (file, document) in documents {
            assert_eq!(
                misfit(&schema, &document, &schema, ""),
                None,
                "{}",
                file.display()
            );
        }
    }

    #[test]
    fn unknown_keys_and_wrong_types_do_not_fit() {
        let schema = schema();
        let document = |spec: Value| json!({"apiVersion": "wavetank/v1", "kind": "Scenario", "metadata": {"name": "x"}, "spec": spec});
        let fits = |spec: Value| misfit(&schema, &document(spec), &schema, "").is_none();
        assert!(fits(
            json!({"steps": [{"sync": {}}, {"settle": {}, "name": "end"}]})
        ));
        assert!(!fits(json!({"stepz": []})));
        assert!(!fits(json!({"steps": [{"sync": {}, "settle": {}}]})));
        assert!(!fits(json!({"limits": {"time": "5 minutes"}})));
        assert!(!fits(
            json!({"workloads": [{"match": "Job/x", "hang": {}, "ready": {}}]})
        ));
        assert!(fits(
            json!({"expect": {"count": {"Job/x created": "${n}"}}})
        ));
        assert!(!fits(
            json!({"expect": {"count": {"Job/x created": "many"}}})
        ));
    }

    /// Maps may keep the order of insertion, depending on what else is built: the file is sorted.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Object(map) => {
                let mut entries: Vec<_> = map
                    .iter()
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(entries.into_iter().collect())
            }
            other => other.clone(),
        }
    }

    /// `UPDATE_SCHEMAS=1 cargo test -p wavetank-scenario` writes it anew.
    #[test]
    fn the_schema_in_the_repository_is_current() {
        let path = repository("schemas/scenario.v1.json");
        let text = serde_json::to_string_pretty(&sorted(&schema())).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default())
                .unwrap_or_default();
        assert!(
            stored == schema(),
            "schemas/scenario.v1.json is not current: run the tests with UPDATE_SCHEMAS=1"
        );
    }
}
