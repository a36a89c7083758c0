//! The shortest way from a created object to its first `managedFields` entry: nothing is compared that cannot differ.

use wavetank_json::{Map, Value};

use super::element::PathElement;
use super::set::FieldSet;
use super::walk::{Kind, UNTRACKED, is_empty, kind};
use crate::schema::SchemaRef;

/// What [`super::compare`] finds added or modified from `blank` to `new`.
///
/// `None` where the long way is needed: an item of a list has no identity or shares it, or `reset` names fields below the
/// first level.
pub(super) fn created_fields(
    blank: &Value,
    new: &Value,
    schema: SchemaRef<'_>,
    reset: &FieldSet,
) -> Option<FieldSet> {
    if reset.elements().any(|(_, _, below)| !below.is_empty()) {
        return None;
    }
    let mut out = FieldSet::EMPTY;
    for (name, value) in new.as_object()? {
        let Some(field) = schema.field(name) else {
            continue;
        };
        if matches!(name.as_str(), "apiVersion" | "kind")
            || !reset.is_empty() && reset.contains(&[PathElement::field(name)])
        {
            continue;
        }
        let old = blank.get(name);
        let (member, below) = match (name.as_str(), old, value) {
            ("metadata", Some(Value::Object(old)), Value::Object(new)) => (
                false,
                map_fields(Some(old), new, field, |name| !UNTRACKED.contains(&name))?,
            ),
            _ => fields(old, value, field)?,
        };
        out.push(|| PathElement::field(name), member, below);
    }
    Some(out)
}

fn map_fields(
    old: Option<&Map>,
    new: &Map,
    schema: SchemaRef<'_>,
    wanted: impl Fn(&str) -> bool,
) -> Option<FieldSet> {
    let mut out = FieldSet::EMPTY;
    for (name, value) in new {
        let Some(field) = schema.field(name).filter(|_| wanted(name)) else {
            continue;
        };
        let (member, below) = fields(old.and_then(|old| old.get(name)), value, field)?;
        out.push(|| PathElement::field(name), member, below);
    }
    Some(out)
}

/// Whether the place itself is new or changed, and what is below it. `None` where the long way is needed.
pub(super) fn fields(
    old: Option<&Value>,
    new: &Value,
    schema: SchemaRef<'_>,
) -> Option<(bool, FieldSet)> {
    let member = old.is_none();
    if is_empty(old) && is_empty(Some(new)) {
        return Some((old.is_none_or(|old| old != new), FieldSet::EMPTY));
    }
    match (kind(schema, new), new) {
        (Kind::Map, Value::Object(map)) => Some((
            member,
            map_fields(old.and_then(Value::as_object), map, schema, |_| true)?,
        )),
        (Kind::List(list_type, items), Value::Array(list)) if is_empty(old) => {
            let mut out = FieldSet::EMPTY;
            for item in list {
                let element = PathElement::of_item(item, list_type, items).ok()?;
                if out.get(&element).is_some() {
                    return None;
                }
                let (member, below) = fields(None, item, items)?;
                out.push(|| element, member, below);
            }
            Some((member, out))
        }
        (Kind::List(..), _) => None,
        _ => Some((old != Some(new), FieldSet::EMPTY)),
    }
}
