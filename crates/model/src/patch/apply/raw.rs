//! Set algebra on stored `managedFields`: what a write does not touch is neither read nor rebuilt.
//!
//! The entries are in the form this module's parent writes: a member without anything below is `{}`, one with something
//! below holds `.`, and nothing else is empty.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::managed::{Managed, Operation, Owner};
use super::set::FieldSet;

/// The fields of an entry.
fn fields_mut(entry: &mut Value) -> Option<&mut Map<String, Value>> {
    entry.get_mut("fieldsV1")?.as_object_mut()
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether `entry` is the Update entry of `owner`.
pub(super) fn is_update_of(entry: &Value, owner: &Owner) -> bool {
    text(entry, "manager") == owner.manager
        && text(entry, "operation") == Operation::Update.as_str()
        && text(entry, "apiVersion") == owner.version
        && text(entry, "subresource") == owner.subresource
}

/// Takes the paths of `set` away from an entry; whether any are left.
pub(super) fn take_away(entry: &mut Value, set: &FieldSet) -> bool {
    fields_mut(entry).is_some_and(|fields| {
        remove(fields, set, &mut String::new());
        !fields.is_empty()
    })
}

/// Adds the paths of `set` to an entry.
pub(super) fn add_to(entry: &mut Value, set: &FieldSet) {
    if let Some(fields) = fields_mut(entry) {
        add(fields, set);
    }
}

fn remove(fields: &mut Map<String, Value>, set: &FieldSet, key: &mut String) {
    for (element, member, below) in set.elements() {
        element.key_into(key);
        let Some(Value::Object(child)) = fields.get_mut(key.as_str()) else {
            continue;
        };
        let goes = if child.is_empty() {
            member
        } else {
            if member {
                child.remove(".");
            }
            remove(child, below, key);
            let nothing_below = child.keys().all(|left| left == ".");
            let is_member = nothing_below && !child.is_empty();
            if is_member {
                child.clear();
            }
            nothing_below && !is_member
        };
        if goes {
            element.key_into(key);
            fields.remove(key.as_str());
        }
    }
}

fn add(fields: &mut Map<String, Value>, set: &FieldSet) {
    let dot = || (".".to_owned(), Value::Object(Map::new()));
    for (element, member, below) in set.elements() {
        let Some(Value::Object(child)) = fields.get_mut(&element.to_key()) else {
            fields.insert(element.to_key(), Value::Object(below.encode(member)));
            continue;
        };
        let is_member = member || child.is_empty() || child.contains_key(".");
        add(child, below);
        if is_member && !child.is_empty() {
            child.extend([dot()]);
        }
    }
}

/// Brings the entries into the server's order (API-167), and their number below the limit (API-173).
pub(super) fn settle(entries: &mut Vec<Value>) {
    let updates = entries
        .iter()
        .filter(|entry| text(entry, "operation") == Operation::Update.as_str())
        .count();
    if updates > super::managed::MAX_UPDATE_ENTRIES
        && let Ok(mut managed) = Managed::decode(entries)
    {
        managed.cap();
        *entries = managed.encode();
        return;
    }
    entries.sort_by(in_order);
}

fn in_order(a: &Value, b: &Value) -> Ordering {
    fn time(entry: &Value) -> Option<&str> {
        entry.get("time")?.as_str()
    }
    text(a, "operation")
        .cmp(text(b, "operation"))
        .then_with(|| time(a).cmp(&time(b)))
        .then_with(|| text(a, "manager").cmp(text(b, "manager")))
        .then_with(|| text(a, "apiVersion").cmp(text(b, "apiVersion")))
        .then_with(|| text(a, "subresource").cmp(text(b, "subresource")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::set::tests::set;
    use super::*;

    fn entry(set: &FieldSet) -> Value {
        json!({"fieldsV1": set.to_fields_v1()})
    }

    proptest! {
        #[test]
        fn stored_sets_change_as_parsed_ones_do(a in set(), b in set()) {
            let mut raw = entry(&a);
            let left = take_away(&mut raw, &b);
            let difference = a.clone().difference(&b);
            prop_assert_eq!(left, !difference.is_empty());
            prop_assert_eq!(raw, entry(&difference));
            let mut raw = entry(&a);
            add_to(&mut raw, &b);
            prop_assert_eq!(raw, entry(&a.union(b)));
        }
    }
}
