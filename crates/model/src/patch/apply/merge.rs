//! Merging an applied configuration into an object, and taking fields out of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wavetank_json::{Map, Value};

use super::element::PathElement;
use super::set::FieldSet;
use super::walk::{Kind, kind};
use crate::schema::{ListType, SchemaRef};

/// `live` with `config` merged in: maps and list items merge, all else is taken from `config` (API-144, step 1).
///
/// # Errors
/// An item of an associative list has no identity, or `config` names one twice.
pub(super) fn merge(live: &Value, config: &Value, schema: SchemaRef<'_>) -> Result<Value, String> {
    Ok(merge_values(Some(live), Some(config), schema)?.unwrap_or_default())
}

fn merge_values(
    live: Option<&Value>,
    config: Option<&Value>,
    schema: SchemaRef<'_>,
) -> Result<Option<Value>, String> {
    let (live, config) = match (live, config) {
        (Some(live), None) => return Ok(Some(live.clone())),
        (None, Some(config)) => return Ok(Some(config.clone())),
        (None, None) => return Ok(None),
        (Some(live), Some(config)) => (live, config),
    };
    let walked = kind(schema, if config.is_null() { live } else { config });
    Ok(match (walked, live, config) {
        (Kind::Map, Value::Object(live), Value::Object(config))
            if !(live.is_empty() && config.is_empty()) =>
        {
            Some(Value::Object(merge_maps(live, config, schema)?))
        }
        // A null map or list in the configuration takes nothing away.
        (Kind::Map, Value::Object(map), Value::Null) if !map.is_empty() => Some(live.clone()),
        (Kind::List(..), Value::Array(list), Value::Null) if !list.is_empty() => Some(live.clone()),
        (Kind::List(list_type, items), Value::Array(live), Value::Array(config))
            if !(live.is_empty() && config.is_empty()) =>
        {
            Some(Value::Array(merge_lists(live, config, list_type, items)?))
        }
        _ => Some(config.clone()),
    })
}

fn merge_maps(live: &Map, config: &Map, schema: SchemaRef<'_>) -> Result<Map, String> {
    let mut out = live.clone();
    for (name, value) in config {
        let Some(field) = schema.field(name) else {
            continue;
        };
        if let Some(merged) = merge_values(live.get(name), Some(value), field)? {
            out.insert(name.clone(), merged);
        }
    }
    Ok(out)
}

/// Items of `config` in its order, and between them those that only `live` has, near their old neighbours (API-156).
fn merge_lists(
    live: &[Value],
    config: &[Value],
    list_type: &ListType,
    items: SchemaRef<'_>,
) -> Result<Vec<Value>, String> {
    let element = |item: &Value| PathElement::of_item(item, list_type, items);
    let lefts: Vec<PathElement> = live.iter().map(element).collect::<Result<_, _>>()?;
    let rights: Vec<PathElement> = config.iter().map(element).collect::<Result<_, _>>()?;
    let mut in_live: BTreeMap<&PathElement, Option<&Value>> = BTreeMap::new();
    for (element, item) in lefts.iter().zip(live) {
        // Items that stand twice are not merged with.
        in_live
            .entry(element)
            .and_modify(|item| *item = None)
            .or_insert(Some(item));
    }
    let in_config: BTreeSet<&PathElement> = rights.iter().collect();
    let mut shared: VecDeque<&PathElement> = rights
        .iter()
        .filter(|element| in_live.contains_key(element))
        .collect();
    let mut merged: BTreeSet<&PathElement> = BTreeSet::new();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let (mut left, mut right) = (0, 0);
    while left < lefts.len() || right < rights.len() {
        let (old, new) = (lefts.get(left), rights.get(right));
        if let (Some(old), Some(new)) = (old, new) {
            let turn = shared.front().copied();
            if old != new && in_config.contains(old) && turn.is_some_and(|turn| turn != old) {
                // Shared, but another shared item of the configuration comes first.
                left += 1;
                continue;
            }
        }
        if let Some(old) = old.filter(|old| new != Some(*old)) {
            if !in_config.contains(old) {
                out.push(live[left].clone());
                left += 1;
                continue;
            }
            if merged.contains(old) {
                left += 1;
            }
        }
        let Some(new) = new else { continue };
        left += usize::from(old == Some(new));
        let item = in_live.get(new).copied().flatten();
        out.extend(merge_values(item, Some(&config[right]), items)?);
        merged.insert(new);
        right += 1;
        if shared.front() == Some(&new) {
            shared.pop_front();
        }
    }
    Ok(out)
}

/// What becomes of a map or list that loses all it had: structured-merge-diff does it in both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emptied {
    /// It stays, empty (up to 6.4.0).
    Stays,
    /// It is null (since 6.4.2).
    IsNull,
}

/// Takes the fields and items of `set` out of `value`, whose type is `schema`.
pub fn remove_items(value: &mut Value, set: &FieldSet, schema: SchemaRef<'_>, emptied: Emptied) {
    if set.is_empty() {
        return;
    }
    match (kind(schema, value), &mut *value) {
        (Kind::Map, Value::Object(map)) => {
            for (element, member, below) in set.elements() {
                let PathElement::Field(name) = element else {
                    continue;
                };
                if member {
                    map.remove(name.as_ref());
                } else if let (Some(value), Some(field)) =
                    (map.get_mut(name.as_ref()), schema.field(name))
                {
                    remove_items(value, below, field, emptied);
                }
            }
        }
        (Kind::List(list_type, items), Value::Array(list)) => {
            list.retain_mut(|item| {
                let Ok(element) = PathElement::of_item(item, list_type, items) else {
                    return true;
                };
                match set.get(&element) {
                    Some((true, _)) => false,
                    Some((false, below)) => {
                        remove_items(item, below, items, emptied);
                        true
                    }
                    None => true,
                }
            });
        }
        _ => {}
    }
    let is_empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if is_empty && emptied == Emptied::IsNull {
        *value = Value::Null;
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::super::walk::fields;
    use super::*;
    use crate::schema::Schema;

    fn schema() -> Schema {
        let item = json!({"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "string"}}});
        Schema::from_structural(
            &json!({"type": "object", "properties": {"list": {"type": "array", "items": item,
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}}}),
        )
    }

    fn order(live: &str, config: &str) -> String {
        let list =
            |text: &str| json!({"set": text.chars().map(|c| c.to_string()).collect::<Vec<_>>()});
        let merged = merge(&list(live), &list(config), schema().root()).unwrap();
        merged["set"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect()
    }

    #[test]
    fn items_of_the_configuration_keep_its_order_and_others_their_place() {
        // API-156
        assert_eq!(order("abc", "bd"), "abcd");
        assert_eq!(order("abc", "cb"), "acb");
        assert_eq!(order("abc", "x"), "abcx");
        assert_eq!(order("", "ba"), "ba");
        assert_eq!(order("ab", ""), "ab");
        assert_eq!(order("abcd", "dxa"), "bcdxa");
    }

    #[test]
    fn maps_and_items_merge_and_leaves_are_replaced() {
        let live =
            json!({"list": [{"name": "a", "v": "1"}, {"name": "b"}], "map": {"x": "1", "y": "1"}});
        let config = json!({"list": [{"name": "a", "v": "2"}], "map": {"x": "2"}});
        assert_eq!(
            merge(&live, &config, schema().root()).unwrap(),
            json!({"list": [{"name": "a", "v": "2"}, {"name": "b"}], "map": {"x": "2", "y": "1"}})
        );
        assert!(merge(&live, &json!({"list": [{"v": "1"}]}), schema().root()).is_err());
    }

    #[test]
    fn removed_members_leave_their_containers_or_null() {
        let mut object = json!({"list": [{"name": "a", "v": "1"}, {"name": "b"}], "map": {"x": "1"}, "set": ["s"]});
        let gone = json!({"list": [{"name": "b"}], "map": {"x": "1"}, "set": ["s"]});
        let set = fields(&gone, schema().root()).unwrap();
        remove_items(&mut object, &set, schema().root(), Emptied::Stays);
        assert_eq!(
            object,
            json!({"list": [{"name": "a", "v": "1"}], "map": {}, "set": []})
        );
        remove_items(&mut object, &set, schema().root(), Emptied::IsNull);
        assert_eq!(
            object,
            json!({"list": [{"name": "a", "v": "1"}], "map": null, "set": null})
        );
    }
}
