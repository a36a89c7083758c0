//! Reading and filling JSON objects the way Go structs are read and filled: null, absent and zero are one.

use wavetank_json::{Map, Value};

/// An object's members.
pub type Members = Map;

/// The text at `key`, empty when absent or of another type.
pub fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at `key`.
pub fn int(object: &Value, key: &str) -> Option<i64> {
    object.get(key).and_then(Value::as_i64)
}

/// The boolean at `key`, false when absent.
pub fn flag(object: &Value, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// The items at `key`, none when absent.
pub fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The entries of the map at `key`.
pub fn entries<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object
        .get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// The value at `key` unless it is absent or null.
pub fn present<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// The items at `key`, to be changed.
pub fn items_mut<'a>(object: &'a mut Value, key: &str) -> &'a mut [Value] {
    object
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .map_or(&mut [], Vec::as_mut_slice)
}

/// The object at `key`, made when absent; `None` when `parent` or what is there is no object.
pub fn ensure<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let members = parent.as_object_mut()?;
    let child = members
        .entry(key)
        .or_insert_with(|| Value::Object(Members::new()));
    if child.is_null() {
        *child = Value::Object(Members::new());
    }
    child.is_object().then_some(child)
}

/// The list at `key`, made when absent; `None` when `parent` is no object or what is there is no list.
pub fn ensure_list<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    let members = parent.as_object_mut()?;
    let child = members
        .entry(key)
        .or_insert_with(|| Value::Array(Vec::new()));
    if child.is_null() {
        *child = Value::Array(Vec::new());
    }
    child.as_array_mut()
}

/// Sets `key` unless it is there (a pointer in Go).
pub fn default_to(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut()
        && members.get(key).is_none_or(Value::is_null)
    {
        members.insert(key.to_owned(), value.into());
    }
}

/// Sets the text `key` unless it is there and not empty (a string in Go).
pub fn default_text(object: &mut Value, key: &str, value: &str) {
    if let Some(members) = object.as_object_mut()
        && members
            .get(key)
            .is_none_or(|old| old.is_null() || old.as_str() == Some(""))
    {
        members.insert(key.to_owned(), Value::from(value));
    }
}

/// Sets the number `key` unless it is there and not 0 (an int in Go).
pub fn default_int(object: &mut Value, key: &str, value: i64) {
    if let Some(members) = object.as_object_mut()
        && members
            .get(key)
            .is_none_or(|old| old.is_null() || old.as_i64() == Some(0))
    {
        members.insert(key.to_owned(), Value::from(value));
    }
}

/// Sets `key` to `value`, or removes it.
pub fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(members) = object.as_object_mut() {
        match value {
            Some(value) => {
                members.insert(key.to_owned(), value);
            }
            None => {
                members.remove(key);
            }
        }
    }
}

/// Takes `key` over from `old`, absent included.
pub fn restore(new: &mut Value, old: &Value, key: &str) {
    // What is the same stays one piece of memory.
    if new.get(key) != old.get(key) {
        set(new, key, old.get(key).cloned());
    }
}

/// Makes an absent or empty list null: built-in kinds are stored in a form that knows no empty lists, and one that is always
/// written comes back as null.
pub fn null_when_empty(object: &mut Value, key: &str) {
    if items(object, key).is_empty() {
        set(object, key, Some(Value::Null));
    }
}
