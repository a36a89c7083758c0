//! The patches that `kubectl apply` computes on the client's side (API-135, SYNC-091).
//!
//! `original` is what was applied last (from the annotation), `modified` what is to be, `current` what is stored. The patch
//! is what differs from `current` to `modified` without deletions, and the deletions from `original` to `modified`.

use std::collections::BTreeSet;

use wavetank_json::{Map, Value};

use super::directive;
use super::strategic::{Mode, StrategicError, merge_map};
use crate::schema::{PatchStrategy, SchemaRef};

/// The strategic merge patch for a built-in kind; an empty object when nothing differs.
///
/// Pass `Value::Null` as `original` when there is no last-applied annotation: then nothing is deleted.
///
/// # Errors
/// [`StrategicError`] when an element of a merging list lacks its key or lists hold mixed types.
pub fn three_way_strategic(
    original: &Value,
    modified: &Value,
    current: &Value,
    schema: SchemaRef<'_>,
) -> Result<Value, StrategicError> {
    let empty = Map::new();
    let map = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let modified = modified.as_object().unwrap_or(&empty);
    let delta = Diff {
        additions: true,
        deletions: false,
    }
    .maps(&map(current), modified, Some(schema), false)?;
    let mut patch = Diff {
        additions: false,
        deletions: true,
    }
    .maps(&map(original), modified, Some(schema), false)?;
    merge_map(&mut patch, delta, Some(schema), Mode::Combine)?;
    Ok(Value::Object(patch))
}

/// The merge patch for a custom resource; an empty object when nothing differs.
///
/// Pass `Value::Null` as `original` when there is no last-applied annotation: then nothing is deleted.
pub fn three_way_merge(original: &Value, modified: &Value, current: &Value) -> Value {
    let empty = Map::new();
    let map = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let modified = modified.as_object().unwrap_or(&empty);
    let mut patch = deletions(&map(original), modified);
    overlay(&mut patch, additions(&map(current), modified));
    Value::Object(patch)
}

/// What `modified` adds to `current` or changes, without nulls.
fn additions(current: &Map, modified: &Map) -> Map {
    let mut out = Map::new();
    for (key, value) in modified {
        let added = match (current.get(key), value) {
            (_, Value::Null) => continue,
            (Some(old), new) if old == new => continue,
            (Some(Value::Object(old)), Value::Object(new)) => {
                Some(additions(old, new)).filter(|map| !map.is_empty())
            }
            (_, Value::Object(new)) if !new.is_empty() => {
                Some(additions(&Map::new(), new)).filter(|map| !map.is_empty())
            }
            (_, new) => {
                out.insert(key.clone(), new.clone());
                continue;
            }
        };
        if let Some(added) = added {
            out.insert(key.clone(), Value::Object(added));
        }
    }
    out
}

/// Nulls for what `original` has and `modified` lacks or sets to null.
fn deletions(original: &Map, modified: &Map) -> Map {
    let mut out = Map::new();
    for (key, old) in original {
        match (old, modified.get(key)) {
            (Value::Null, Some(Value::Null)) => {}
            (_, None | Some(Value::Null)) => {
                out.insert(key.clone(), Value::Null);
            }
            (Value::Object(old), Some(Value::Object(new))) => {
                let inner = deletions(old, new);
                if !inner.is_empty() {
                    out.insert(key.clone(), Value::Object(inner));
                }
            }
            _ => {}
        }
    }
    // Nulls that are said: where nothing was, and within a map where none was.
    for (key, new) in modified {
        match (original.get(key), new) {
            (None, Value::Null) => {
                out.insert(key.clone(), Value::Null);
            }
            (Some(Value::Object(_)), _) => {}
            (_, Value::Object(new)) => {
                let inner = deletions(&Map::new(), new);
                if !inner.is_empty() {
                    out.insert(key.clone(), Value::Object(inner));
                }
            }
            _ => {}
        }
    }
    out
}

fn overlay(patch: &mut Map, additions: Map) {
    for (key, value) in additions {
        match (patch.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => overlay(old, new),
            (_, value) => {
                patch.insert(key, value);
            }
        }
    }
}

/// What in `other` is the item at `place` of `list`: of items with one merge key, as two ports of one number, the last is the
/// last, the one before it the one before it. (Kubernetes sorts both lists by the key, with a sort that turns equals round.)
fn counterpart<'a>(
    other: &'a [Value],
    list: &[Value],
    place: usize,
    key: &str,
) -> Option<&'a Value> {
    let wanted = list[place].get(key);
    let same = |item: &&Value| item.get(key) == wanted;
    let behind = list[place + 1..].iter().filter(same).count();
    other.iter().rev().filter(same).nth(behind)
}

/// The places of a list, those of items with one merge key turned round among themselves.
fn equals_turned(list: &[Value], key: &str) -> Vec<usize> {
    let turned = |place: usize| {
        let wanted = list[place].get(key);
        let same = |&at: &usize| list[at].get(key) == wanted;
        let before = (0..place).filter(same).count();
        (0..list.len()).rev().filter(same).nth(before)
    };
    (0..list.len()).filter_map(turned).collect()
}

/// Which differences a patch holds.
#[derive(Clone, Copy)]
struct Diff {
    additions: bool,
    deletions: bool,
}

/// The parts of a patch that stand for one merging list.
#[derive(Default)]
struct ListDiff {
    items: Vec<Value>,
    delete_from: Vec<Value>,
    set_order: Vec<Value>,
}

impl Diff {
    /// The strategic merge patch from `original` to `modified`, as far as this asks for it.
    fn maps(
        self,
        original: &Map,
        modified: &Map,
        schema: Option<SchemaRef<'_>>,
        retain_keys: bool,
    ) -> Result<Map, StrategicError> {
        let mut patch = Map::new();
        for (key, new) in modified {
            let field = schema.and_then(|schema| schema.field(key));
            let strategy = field.map(SchemaRef::patch_strategy);
            match (original.get(key), new) {
                (Some(Value::Object(old)), Value::Object(new)) => {
                    self.map_field(&mut patch, key, old, new, field)?;
                }
                (Some(Value::Array(old)), Value::Array(new))
                    if strategy.is_some_and(|strategy| strategy.merge) =>
                {
                    self.list_field(&mut patch, key, old, new, field)?;
                }
                (Some(old), new) if old == new => {}
                _ if self.additions => {
                    patch.insert(key.clone(), new.clone());
                }
                _ => {}
            }
        }
        if self.deletions {
            let gone = original.keys().filter(|key| !modified.contains_key(key));
            patch.extend(gone.map(|key| (key.clone(), Value::Null)));
        }
        if retain_keys {
            add_retain_keys(&mut patch, original, modified);
        }
        Ok(patch)
    }

    fn map_field(
        self,
        patch: &mut Map,
        key: &str,
        original: &Map,
        modified: &Map,
        field: Option<SchemaRef<'_>>,
    ) -> Result<(), StrategicError> {
        let strategy = field.map(SchemaRef::patch_strategy);
        if strategy.is_some_and(|strategy| strategy.replace) {
            // Sent even when nothing differs: kubectl does not compare maps that are replaced whole.
            if self.additions {
                patch.insert(key.to_owned(), Value::Object(modified.clone()));
            }
            return Ok(());
        }
        let inner = self.maps(
            original,
            modified,
            field,
            strategy.is_some_and(|strategy| strategy.retain_keys),
        )?;
        if !inner.is_empty() {
            patch.insert(key.to_owned(), Value::Object(inner));
        }
        Ok(())
    }

    fn list_field(
        self,
        patch: &mut Map,
        key: &str,
        original: &[Value],
        modified: &[Value],
        field: Option<SchemaRef<'_>>,
    ) -> Result<(), StrategicError> {
        let diff = self.lists(original, modified, field)?;
        if !diff.items.is_empty() {
            patch.insert(key.to_owned(), Value::Array(diff.items));
        }
        if !diff.delete_from.is_empty() {
            patch.insert(directive::delete_from(key), Value::Array(diff.delete_from));
        }
        if !diff.set_order.is_empty() {
            patch.insert(directive::set_order(key), Value::Array(diff.set_order));
        }
        Ok(())
    }

    fn lists(
        self,
        original: &[Value],
        modified: &[Value],
        field: Option<SchemaRef<'_>>,
    ) -> Result<ListDiff, StrategicError> {
        let Some(first) = original.first() else {
            let items = if self.additions {
                modified.to_vec()
            } else {
                Vec::new()
            };
            return Ok(ListDiff {
                items,
                ..ListDiff::default()
            });
        };
        if first.is_array() {
            return Err(StrategicError::ListOfLists);
        }
        let strategy = field.map(SchemaRef::patch_strategy);
        match strategy.and_then(|strategy: &PatchStrategy| strategy.merge_key.as_deref()) {
            Some(key) if first.is_object() => self.lists_of_maps(
                original,
                modified,
                field.and_then(SchemaRef::items),
                field,
                key,
            ),
            _ => Ok(self.lists_of_scalars(original, modified)),
        }
    }

    fn lists_of_maps(
        self,
        original: &[Value],
        modified: &[Value],
        items: Option<SchemaRef<'_>>,
        field: Option<SchemaRef<'_>>,
        key: &str,
    ) -> Result<ListDiff, StrategicError> {
        let retain_keys = field.is_some_and(|field| field.patch_strategy().retain_keys);
        let identity = |item: &Value| {
            item.get(key)
                .cloned()
                .ok_or_else(|| StrategicError::no_merge_key(item, key))
        };
        let mut out = ListDiff::default();
        for place in equals_turned(modified, key) {
            let item = &modified[place];
            let id = identity(item)?;
            match (counterpart(original, modified, place, key), item) {
                (Some(Value::Object(old)), Value::Object(new)) => {
                    let mut patch = self.maps(old, new, items, retain_keys)?;
                    if !patch.is_empty() {
                        patch.insert(key.to_owned(), id);
                        out.items.push(Value::Object(patch));
                    }
                }
                _ if self.additions => out.items.push(item.clone()),
                _ => {}
            }
        }
        let mut gone = Vec::new();
        for (place, item) in original.iter().enumerate() {
            let id = identity(item)?;
            if self.deletions && counterpart(modified, original, place, key).is_none() {
                gone.push(id);
            }
        }
        // Sorted by the text of the key, as kubectl does.
        gone.sort_by_cached_key(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        let delete = Value::from("delete");
        out.items.extend(gone.into_iter().map(|id| {
            Value::Object(Map::from_iter([
                (key.to_owned(), id),
                (directive::PATCH.to_owned(), delete.clone()),
            ]))
        }));
        let same_order = original.len() == modified.len()
            && original
                .iter()
                .zip(modified)
                .all(|(old, new)| old.get(key) == new.get(key));
        if !out.items.is_empty() || self.additions && !same_order {
            let only_key = |item: &Value| {
                item.get(key)
                    .map(|id| Value::Object(Map::from_iter([(key.to_owned(), id.clone())])))
            };
            out.set_order = modified.iter().filter_map(only_key).collect();
        }
        Ok(out)
    }

    fn lists_of_scalars(self, original: &[Value], modified: &[Value]) -> ListDiff {
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let mut sorted = original.to_vec();
        sorted.sort_by_cached_key(text);
        let mut out = ListDiff::default();
        if self.additions {
            out.items = modified
                .iter()
                .filter(|item| !original.contains(item))
                .cloned()
                .collect();
        }
        if self.deletions {
            out.delete_from = sorted
                .iter()
                .filter(|item| !modified.contains(item))
                .cloned()
                .collect();
            out.delete_from.dedup();
        }
        // kubectl compares with the sorted list, so an order that is not alphabetical is always sent.
        if !out.delete_from.is_empty() || self.additions && sorted != modified {
            out.set_order = modified.to_vec();
        }
        out
    }
}

/// Names the fields that stay, where the patch would not clear the others by itself.
fn add_retain_keys(patch: &mut Map, original: &Map, modified: &Map) {
    let keys: BTreeSet<&str> = modified
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, _)| key.as_str())
        .collect();
    let clears = original
        .iter()
        .any(|(key, value)| !value.is_null() && !modified.contains_key(key));
    if !keys.is_empty() && (!patch.is_empty() || clears) {
        patch.insert(
            directive::RETAIN_KEYS.to_owned(),
            keys.into_iter().collect(),
        );
    }
}

#[cfg(test)]
mod tests;
