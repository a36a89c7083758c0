//! The JSON Schema of the format, printed from the same table that the loader reads by.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

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
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://wavetank.dev/schemas/scenario.v1.json",
        "title": "wavetank scenario, version 1",
        "$ref": format!("#/$defs/{}", id(&format::DOCUMENT)),
        "$defs": sorted(definitions),
    })
}

fn sorted(map: Map<String, Value>) -> Value {
    let ordered: std::collections::BTreeMap<String, Value> = map.into_iter().collect();
    json!(ordered)
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
        let mut property = of(&key.ty, todo);
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
        Ty::Text => json!({"type": "string"}),
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
        Ty::Message => json!({"type": "string"}),
        Ty::Choice(words) if words.len() == 1 => json!({"const": words[0]}),
        Ty::Choice(words) => json!({"enum": words}),
        Ty::List(item) => json!({"type": "array", "items": of(item, todo)}),
        Ty::Map(shape) => {
            todo.push(shape);
            json!({"$ref": format!("#/$defs/{}", id(shape))})
        }
        Ty::Dict(key, value) => {
            let mut out = json!({"type": "object", "additionalProperties": of(value, todo)});
            if !matches!(key, Ty::Text) {
                out["propertyNames"] = of(key, todo);
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

const DURATION: &str = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const REFERENCE: &str = "^[A-Z][^/\\s]*/[^/\\s]+(/[^/\\s]+)?$";

fn inner(pattern: &str) -> &str {
    pattern.trim_start_matches('^').trim_end_matches('$')
}
