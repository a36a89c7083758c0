//! Applying strategic merge patches (API-130…134).

use wavetank_json::{Map, Value};

use super::directive::{self, Key, PATCH, RETAIN_KEYS};
use super::{json_type, order};
use crate::schema::{PatchStrategy, SchemaRef};

/// A strategic merge patch that cannot be applied; see [`StrategicError::code`] (API-133).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// The body is no JSON object.
    #[error("json: cannot unmarshal {0} into Go value of type map[string]interface {{}}")]
    NotAnObject(&'static str),
    /// `$deleteFromPrimitiveList` without a field.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$retainKeys` is no list, or does not name all fields of the patch.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$setElementOrder` without a field, or no list.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// A list of lists would have to be merged.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// An element of a merging list lacks the merge key.
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey {
        /// The element, as Go prints it.
        map: String,
        /// The merge key.
        key: String,
    },
    /// `$patch` with a value that means nothing here.
    #[error("unknown patch type: {directive} in map: {map}")]
    UnknownDirective {
        /// Value of `$patch`.
        directive: String,
        /// The map, as Go prints it.
        map: String,
    },
    /// `$patch: merge` as an element of a list.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeInList,
    /// The elements of a list and its `$setElementOrder` contradict each other.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    OrderMismatch {
        /// The list in the patch, as Go prints it.
        patch: String,
        /// The order, as Go prints it.
        order: String,
    },
    /// A list holds elements of several types.
    #[error("list element types are not identical: {0}")]
    MixedList(String),
    /// A value has another type than the patch needs.
    #[error("expected a {expected}, but received a {found}")]
    WrongType {
        /// As Go says it.
        expected: &'static str,
        /// As Go says it.
        found: &'static str,
    },
    /// A merging list of objects without a merge key.
    #[error("cannot merge lists without merge key for {0}")]
    NoKeyDeclared(String),
}

impl StrategicError {
    pub(super) fn no_merge_key(item: &Value, key: &str) -> Self {
        Self::NoMergeKey {
            map: go_text(item),
            key: key.to_owned(),
        }
    }

    /// The HTTP status a server answers with.
    pub const fn code(&self) -> u16 {
        match self {
            Self::NotAnObject(_)
            | Self::PrimitiveList
            | Self::RetainKeys
            | Self::SetElementOrder => 400,
            Self::ListOfLists => 422,
            _ => 500,
        }
    }
}

/// Applies a strategic merge patch to `object`, whose type is `schema`.
///
/// # Errors
/// [`StrategicError`]; `object` may then be half patched.
pub fn strategic(
    object: &mut Value,
    patch: Value,
    schema: SchemaRef<'_>,
) -> Result<(), StrategicError> {
    let Value::Object(patch) = patch else {
        return Err(StrategicError::NotAnObject(json_type(&patch)));
    };
    let Value::Object(original) = object else {
        return Err(StrategicError::WrongType {
            expected: GO_MAP,
            found: go_type(object),
        });
    };
    merge_map(original, patch, Some(schema), Mode::Apply)
}

/// What becomes of directives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are carried out on an object.
    Apply,
    /// Two patches become one: directives and nulls are kept.
    Combine,
}

const GO_MAP: &str = "map[string]interface {}";
const GO_LIST: &str = "[]interface {}";

const fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => GO_LIST,
        Value::Object(_) => GO_MAP,
    }
}

/// A value as Go's `%v` prints it: `map[a:1 b:[x y]]`.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => go_list(list),
        Value::Object(map) => go_map(map),
        other => other.to_string(),
    }
}

fn go_list(list: &[Value]) -> String {
    format!(
        "[{}]",
        list.iter().map(go_text).collect::<Vec<_>>().join(" ")
    )
}

fn go_map(map: &Map) -> String {
    let mut entries: Vec<_> = map
        .iter()
        .map(|(key, value)| format!("{key}:{}", go_text(value)))
        .collect();
    entries.sort_unstable();
    format!("map[{}]", entries.join(" "))
}

static PLAIN: PatchStrategy = PatchStrategy {
    merge: false,
    merge_key: None,
    retain_keys: false,
    replace: false,
};

/// Schema and strategy of a field.
fn lookup<'a>(
    schema: Option<SchemaRef<'a>>,
    name: &str,
) -> (Option<SchemaRef<'a>>, &'a PatchStrategy) {
    let field = schema.and_then(|schema| schema.field(name));
    (field, field.map_or(&PLAIN, SchemaRef::patch_strategy))
}

/// Merges `patch` into `original`.
pub(super) fn merge_map(
    original: &mut Map,
    mut patch: Map,
    schema: Option<SchemaRef<'_>>,
    mode: Mode,
) -> Result<(), StrategicError> {
    if patch.keys().any(|key| directive::is_one(key)) {
        if let Some(directive) = patch.remove(PATCH) {
            *original = whole_map(directive, patch)?;
            return Ok(());
        }
        if let Some(keys) = patch.remove(RETAIN_KEYS) {
            retain_keys(original, &patch, keys, mode)?;
        }
        merge_ordered_lists(original, &mut patch, schema, mode)?;
    }
    for (key, value) in patch {
        let (name, deletes) = match directive::read(&key) {
            Key::DeleteFrom(_) if mode == Mode::Combine => {
                original.insert(key, value);
                continue;
            }
            Key::DeleteFrom(field) => (field.ok_or(StrategicError::PrimitiveList)?, true),
            // The ordered lists are gone; a plain field, or an order without a field, which was refused there.
            Key::SetOrder(_) | Key::Field(_) => (key.as_str(), false),
        };
        merge_field(original, name, value, schema, mode, deletes)?;
    }
    Ok(())
}

fn whole_map(directive: Value, patch: Map) -> Result<Map, StrategicError> {
    match directive.as_str() {
        Some("replace") => Ok(patch),
        Some("delete") => Ok(Map::new()),
        _ => {
            let mut map = patch;
            let text = go_text(&directive);
            map.insert(PATCH.to_owned(), directive);
            Err(StrategicError::UnknownDirective {
                directive: text,
                map: go_map(&map),
            })
        }
    }
}

fn retain_keys(
    original: &mut Map,
    patch: &Map,
    keys: Value,
    mode: Mode,
) -> Result<(), StrategicError> {
    if mode == Mode::Combine {
        original.entry(RETAIN_KEYS).or_insert(keys);
        return Ok(());
    }
    let Value::Array(keys) = keys else {
        return Err(StrategicError::RetainKeys);
    };
    let named = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    for (name, value) in patch {
        if !value.is_null() && matches!(directive::read(name), Key::Field(_)) && !named(name) {
            return Err(StrategicError::RetainKeys);
        }
    }
    original.retain(|name, _| named(name));
    Ok(())
}

/// Carries out each `$setElementOrder` together with the list it belongs to, and takes both out of the patch.
fn merge_ordered_lists(
    original: &mut Map,
    patch: &mut Map,
    schema: Option<SchemaRef<'_>>,
    mode: Mode,
) -> Result<(), StrategicError> {
    let orders: Vec<String> = patch
        .keys()
        .filter(|key| matches!(directive::read(key), Key::SetOrder(_)))
        .cloned()
        .collect();
    for key in orders {
        let Some(order) = patch.remove(&key) else {
            continue;
        };
        let Key::SetOrder(Some(field)) = directive::read(&key) else {
            return Err(StrategicError::SetElementOrder);
        };
        if mode == Mode::Combine {
            match original.get(&key) {
                Some(present) if *present != order => return Err(StrategicError::SetElementOrder),
                _ => original.insert(key.clone(), order.clone()),
            };
        }
        let order = into_list(order)?;
        let patch_list = patch.remove(field).map(into_list).transpose()?;
        merge_ordered_list(original, field, patch_list, &order, schema, mode)?;
    }
    Ok(())
}

fn into_list(value: Value) -> Result<Vec<Value>, StrategicError> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(StrategicError::WrongType {
            expected: GO_LIST,
            found: go_type(&other),
        }),
    }
}

fn merge_ordered_list(
    original: &mut Map,
    field: &str,
    patch: Option<Vec<Value>>,
    order: &[Value],
    schema: Option<SchemaRef<'_>>,
    mode: Mode,
) -> Result<(), StrategicError> {
    let (list_schema, strategy) = lookup(schema, field);
    let key = strategy.merge_key.as_deref();
    if let Some(patch) = &patch {
        check_order(patch, order, key)?;
    }
    let old = original.remove(field).map(into_list).transpose()?;
    let before = order::identities(old.as_deref().unwrap_or_default(), key);
    let merged = match (old, patch) {
        (None, None) => return Ok(()),
        (Some(old), None) => old,
        (None, Some(patch)) => without_directives(patch),
        (Some(old), Some(patch)) => {
            if strategy.merge {
                merge_list(old, patch, list_schema, key, mode)?
            } else {
                patch
            }
        }
    };
    check_keys(&merged, key)?;
    check_keys(order, key)?;
    let arranged = order::arrange(merged, &order::identities(order, key), &before, key);
    original.insert(field.to_owned(), Value::Array(arranged));
    Ok(())
}

fn check_keys(list: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    let Some(key) = key else { return Ok(()) };
    match list.iter().find(|item| item.get(key).is_none()) {
        Some(item) => Err(StrategicError::no_merge_key(item, key)),
        None => Ok(()),
    }
}

/// The items of the patch must stand in the order in the same sequence.
fn check_order(patch: &[Value], wanted: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    if patch.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let mut rest = wanted.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let identity = order::identity(item, key);
        if let (None, Some(key)) = (identity, key) {
            return Err(StrategicError::no_merge_key(item, key));
        }
        if !rest.any(|other| order::identity(other, key) == identity) {
            return Err(StrategicError::OrderMismatch {
                patch: go_list(patch),
                order: go_list(wanted),
            });
        }
    }
    Ok(())
}

fn merge_field(
    original: &mut Map,
    name: &str,
    mut value: Value,
    schema: Option<SchemaRef<'_>>,
    mode: Mode,
    deletes: bool,
) -> Result<(), StrategicError> {
    if value.is_null() {
        original.remove(name);
        if mode == Mode::Combine {
            original.insert(name.to_owned(), Value::Null);
        }
        return Ok(());
    }
    let (field, strategy) = lookup(schema, name);
    if is_scalar(&value) && original.get(name) == Some(&value) {
        // What does not change stays shared with the other versions.
        return Ok(());
    }
    match (original.get_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(patch)) => {
            if strategy.replace {
                *old = patch;
                return Ok(());
            }
            return merge_map(old, patch, field, mode);
        }
        (Some(Value::Array(old)), Value::Array(patch)) => {
            let old_list = std::mem::take(old);
            *old = if deletes {
                old_list
                    .into_iter()
                    .filter(|item| !patch.contains(item))
                    .collect()
            } else if strategy.merge {
                merge_list(old_list, patch, field, strategy.merge_key.as_deref(), mode)?
            } else {
                patch
            };
            return Ok(());
        }
        (_, other) => value = other,
    }
    if deletes {
        return Ok(());
    }
    if mode == Mode::Apply && holds_null(&value) {
        drop_nulls(&mut value);
    }
    match without_directive(value) {
        Some(value) => original.insert(name.to_owned(), value),
        None => original.remove(name),
    };
    Ok(())
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// Whether [`drop_nulls`] would take something away.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .values()
            .any(|value| value.is_null() || holds_null(value)),
        Value::Array(list) => list.iter().any(holds_null),
        _ => false,
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Whether a map with `$patch` is in a value.
fn holds_directive(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key(PATCH) || map.values().any(holds_directive),
        Value::Array(list) => list.iter().any(holds_directive),
        _ => false,
    }
}

/// Maps with `$patch` inside a value that is taken as it is have nothing to act on: they vanish.
fn without_directive(value: Value) -> Option<Value> {
    if !holds_directive(&value) {
        return Some(value);
    }
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let entries = map
                .into_iter()
                .filter_map(|(key, value)| Some((key, without_directive(value)?)));
            Some(Value::Object(entries.collect()))
        }
        Value::Array(list) => Some(Value::Array(without_directives(list))),
        other => Some(other),
    }
}

fn without_directives(list: Vec<Value>) -> Vec<Value> {
    list.into_iter().filter_map(without_directive).collect()
}

/// Merges two lists whose strategy is merge.
fn merge_list(
    original: Vec<Value>,
    patch: Vec<Value>,
    schema: Option<SchemaRef<'_>>,
    key: Option<&str>,
    mode: Mode,
) -> Result<Vec<Value>, StrategicError> {
    let Some(first) = original.first().or(patch.first()) else {
        return Ok(original);
    };
    if first.is_array() {
        return Err(StrategicError::ListOfLists);
    }
    let kind = std::mem::discriminant(first);
    if original
        .iter()
        .chain(&patch)
        .any(|item| std::mem::discriminant(item) != kind)
    {
        return Err(StrategicError::MixedList(format!(
            "[{} {}]",
            go_list(&original),
            go_list(&patch)
        )));
    }
    if !first.is_object() {
        let mut merged = original.clone();
        for item in &patch {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(order::arrange(merged, &patch, &original, None));
    }
    let Some(key) = key else {
        return Err(StrategicError::NoKeyDeclared(
            schema.map_or_else(String::new, |schema| schema.go_type().into_owned()),
        ));
    };
    merge_objects(original, patch, schema, key, mode)
}

fn merge_objects(
    original: Vec<Value>,
    patch: Vec<Value>,
    schema: Option<SchemaRef<'_>>,
    key: &str,
    mode: Mode,
) -> Result<Vec<Value>, StrategicError> {
    let Split {
        remaining,
        items,
        replace,
    } = split(original, patch, key)?;
    if replace {
        check_keys(&items, Some(key))?;
        return Ok(items);
    }
    let item_schema = schema.and_then(SchemaRef::items);
    let before = order::identities(&remaining, Some(key));
    let mut merged = remaining;
    let mut wanted = Vec::with_capacity(items.len());
    for item in items {
        let identity = item
            .get(key)
            .ok_or_else(|| StrategicError::no_merge_key(&item, key))?;
        wanted.push(identity.clone());
        match order::position(&merged, &item, Some(key)).map(|at| &mut merged[at]) {
            Some(Value::Object(old)) => {
                if let Value::Object(patch) = item {
                    merge_map(old, patch, item_schema, mode)?;
                }
            }
            _ => merged.push(item),
        }
    }
    check_keys(&merged, Some(key))?;
    Ok(order::arrange(merged, &wanted, &before, Some(key)))
}

struct Split {
    /// The list without the elements that the patch deletes.
    remaining: Vec<Value>,
    /// The patch without its directives.
    items: Vec<Value>,
    /// The items are the new list.
    replace: bool,
}

fn split(original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Split, StrategicError> {
    let mut out = Split {
        remaining: original,
        items: Vec::with_capacity(patch.len()),
        replace: false,
    };
    for item in patch {
        let Some(directive) = item.get(PATCH) else {
            out.items.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let identity = item
                    .get(key)
                    .ok_or_else(|| StrategicError::no_merge_key(&item, key))?;
                out.remaining
                    .retain(|other| other.get(key) != Some(identity));
            }
            Some("replace") => out.replace = true,
            Some("merge") => return Err(StrategicError::MergeInList),
            _ => {
                return Err(StrategicError::UnknownDirective {
                    directive: go_text(directive),
                    map: go_text(&item),
                });
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
