//! Walking objects under their schema: the fields an object sets, and how two objects differ.

use wavetank_json::{Map, Value, side_by_side};

use super::create;
use super::element::PathElement;
use super::set::FieldSet;
use crate::schema::{ListType, SchemaRef, Shape};

/// How one object differs from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Paths only the new object has.
    pub added: FieldSet,
    /// Leaves with another value.
    pub modified: FieldSet,
    /// Paths only the old object has.
    pub removed: FieldSet,
}

impl Comparison {
    /// Whether the objects are the same.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Without the paths of `reset` and what lies below them.
    #[must_use]
    pub(super) fn without(self, reset: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(reset),
            modified: self.modified.recursive_difference(reset),
            removed: self.removed.recursive_difference(reset),
        }
    }
}

/// Where values of no particular type are one thing in every walk.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Compared and owned whole: scalars, atomic lists and maps.
    Leaf,
    /// A map whose entries are walked.
    Map,
    /// A list whose items have an identity.
    List(&'a ListType, SchemaRef<'a>),
}

impl Kind<'_> {
    const fn is_map(self) -> bool {
        matches!(self, Self::Map)
    }
}

/// How `value` of type `schema` is walked.
pub(super) fn kind<'a>(schema: SchemaRef<'a>, value: &Value) -> Kind<'a> {
    match (schema.shape(), value) {
        (Shape::Any, Value::Object(_)) => Kind::Map,
        (Shape::Struct(_) | Shape::Map { .. }, Value::Object(_) | Value::Null)
            if !schema.is_atomic_map() =>
        {
            Kind::Map
        }
        (Shape::List { items, list_type }, Value::Array(_) | Value::Null)
            if *list_type != ListType::Atomic =>
        {
            Kind::List(list_type, items)
        }
        _ => Kind::Leaf,
    }
}

/// The fields that `object` sets: its leaves, its list items, and maps that are explicitly empty (API-146).
///
/// # Errors
/// An item of an associative list has no identity.
pub fn fields(object: &Value, schema: SchemaRef<'_>) -> Result<FieldSet, String> {
    Ok(fields_below(object, schema)?.1)
}

/// Whether the place itself is a member, and what lies below.
fn fields_below(value: &Value, schema: SchemaRef<'_>) -> Result<(bool, FieldSet), String> {
    let mut out = FieldSet::EMPTY;
    match (kind(schema, value), value) {
        (Kind::Leaf, _) => return Ok((true, out)),
        (Kind::Map, Value::Object(map)) => {
            let declares = declared(schema);
            for (name, value) in map {
                let Some(field) = schema.field(name) else {
                    continue;
                };
                let (member, below) = fields_below(value, field)?;
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                out.push(
                    || PathElement::field(name),
                    member || empty || !declares(name),
                    below,
                );
            }
        }
        (Kind::List(list_type, items), Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                let element = PathElement::of_item(item, list_type, items)?;
                if is_repeated(list, index, &element, list_type, items) {
                    out.push(|| element, true, FieldSet::EMPTY);
                    continue;
                }
                let (_, below) = fields_below(item, items)?;
                out.push(|| element, true, below);
            }
        }
        _ => {}
    }
    Ok((false, out))
}

/// Says which names are declared fields, as opposed to keys of a map.
fn declared(schema: SchemaRef<'_>) -> impl Fn(&str) -> bool {
    let definition = match schema.shape() {
        Shape::Struct(definition) => Some(definition),
        _ => None,
    };
    move |name| definition.is_some_and(|definition| definition.field(name).is_some())
}

/// Whether another item of the list has the same identity: such items are owned whole.
fn is_repeated(
    list: &[Value],
    index: usize,
    element: &PathElement,
    list_type: &ListType,
    items: SchemaRef<'_>,
) -> bool {
    let other = |(at, item): (usize, &Value)| {
        at != index
            && PathElement::of_item(item, list_type, items).is_ok_and(|other| other == *element)
    };
    list.len() > 1 && list.iter().enumerate().any(other)
}

/// Metadata that is never tracked (API-168); comparing it would be in vain.
pub(super) const UNTRACKED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// How `new` differs from `old`, metadata that is never tracked left out.
///
/// # Errors
/// An item of an associative list has no identity.
pub fn compare(old: &Value, new: &Value, schema: SchemaRef<'_>) -> Result<Comparison, String> {
    compare_outside(&FieldSet::EMPTY, old, new, schema)
}

/// [`compare`] without the paths of `reset` and what lies below them.
pub(super) fn compare_outside(
    reset: &FieldSet,
    old: &Value,
    new: &Value,
    schema: SchemaRef<'_>,
) -> Result<Comparison, String> {
    let mut out = Comparison::default();
    zip(old.as_object(), new.as_object(), |name, old, new| {
        let skipped = !reset.is_empty() && reset.contains(&[PathElement::field(name)]);
        let Some(field) = schema.field(name).filter(|_| !skipped) else {
            return Ok(());
        };
        match (name, old, new) {
            ("apiVersion" | "kind", ..) => Ok(()),
            ("metadata", Some(Value::Object(old)), Some(Value::Object(new))) => {
                let below = compare_maps(Some(old), Some(new), field, |name| {
                    !UNTRACKED.contains(&name)
                })?;
                out.push(
                    || PathElement::field(name),
                    Difference {
                        below,
                        ..Difference::default()
                    },
                );
                Ok(())
            }
            _ => {
                let below = compare_values(old, new, field)?;
                out.push(|| PathElement::field(name), below);
                Ok(())
            }
        }
    })?;
    // What is reset whole was passed over.
    let is_flat = reset.elements().all(|(_, _, below)| below.is_empty());
    Ok(if is_flat { out } else { out.without(reset) })
}

/// What is different at one place and below it.
#[derive(Default)]
struct Difference {
    added: bool,
    modified: bool,
    removed: bool,
    below: Comparison,
}

impl Comparison {
    fn push(&mut self, element: impl Fn() -> PathElement, difference: Difference) {
        let Difference {
            added,
            modified,
            removed,
            below,
        } = difference;
        self.added.push(&element, added, below.added);
        self.modified.push(&element, modified, below.modified);
        self.removed.push(&element, removed, below.removed);
    }
}

/// Calls `visit` for each key with different values in the two maps, in order.
fn zip<'a>(
    old: Option<&'a Map>,
    new: Option<&'a Map>,
    mut visit: impl FnMut(&'a str, Option<&'a Value>, Option<&'a Value>) -> Result<(), String>,
) -> Result<(), String> {
    side_by_side(old, new)
        .filter(|(_, old, new)| old != new)
        .try_for_each(|(name, old, new)| visit(name, old, new))
}

fn compare_maps(
    old: Option<&Map>,
    new: Option<&Map>,
    schema: SchemaRef<'_>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Comparison, String> {
    let mut below = Comparison::default();
    zip(old, new, |name, old, new| {
        if !wanted(name) {
            return Ok(());
        }
        let Some(field) = schema.field(name) else {
            return Ok(());
        };
        let difference = compare_values(old, new, field)?;
        below.push(|| PathElement::field(name), difference);
        Ok(())
    })?;
    Ok(below)
}

/// How two values differ that are not equal.
fn compare_values(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: SchemaRef<'_>,
) -> Result<Difference, String> {
    if let (None, Some(new)) = (old, new)
        && let Some((added, below)) = create::fields(None, new, schema)
    {
        return Ok(Difference {
            added,
            below: Comparison {
                added: below,
                ..Comparison::default()
            },
            ..Difference::default()
        });
    }
    let leaf = || Difference {
        added: old.is_none(),
        removed: new.is_none(),
        modified: matches!((old, new), (Some(old), Some(new)) if !equal(old, new)),
        below: Comparison::default(),
    };
    let old_kind = old
        .filter(|old| !old.is_null())
        .map(|old| kind(schema, old));
    let new_kind = new
        .filter(|new| !new.is_null())
        .map(|new| kind(schema, new));
    let walked = match (old_kind, new_kind) {
        (Some(old_kind), Some(new_kind)) if old_kind.is_map() != new_kind.is_map() => {
            return changed_kind(old, new, schema);
        }
        (_, Some(kind)) | (Some(kind), None) => kind,
        (None, None) => Kind::Leaf,
    };
    let below = match walked {
        Kind::Leaf => return Ok(leaf()),
        _ if is_empty(old) && is_empty(new) => return Ok(leaf()),
        Kind::Map => compare_maps(
            old.and_then(Value::as_object),
            new.and_then(Value::as_object),
            schema,
            |_| true,
        )?,
        Kind::List(list_type, items) => compare_lists(list(old), list(new), list_type, items)?,
    };
    Ok(Difference {
        added: old.is_none(),
        removed: new.is_none(),
        modified: false,
        below,
    })
}

/// Whether there is nothing there: no value, null, an empty map or list.
pub(super) fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A map became a scalar or list, or the other way round: possible only where the type follows from the value.
fn changed_kind(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: SchemaRef<'_>,
) -> Result<Difference, String> {
    let removed = compare_values(old, None, schema)?.below.removed;
    let added = compare_values(None, new, schema)?.below.added;
    let below = Comparison {
        added,
        removed,
        modified: FieldSet::EMPTY,
    };
    Ok(Difference {
        modified: true,
        below,
        ..Difference::default()
    })
}

/// An item of one of two lists, under what tells it from others.
struct Placed<'a> {
    element: PathElement,
    is_new: bool,
    item: &'a Value,
}

impl<'a> Placed<'a> {
    fn item(&self) -> &'a Value {
        self.item
    }
}

fn compare_lists<'a>(
    old: &'a [Value],
    new: &'a [Value],
    list_type: &ListType,
    items: SchemaRef<'_>,
) -> Result<Comparison, String> {
    let mut places = Vec::with_capacity(old.len() + new.len());
    for (list, is_new) in [(old, false), (new, true)] {
        for item in list {
            let element = PathElement::of_item(item, list_type, items)?;
            places.push(Placed {
                element,
                is_new,
                item,
            });
        }
    }
    // Stable: the old items of an element stay before its new ones, each in their order.
    places.sort_by(|one, other| one.element.cmp(&other.element));
    let mut out = Comparison::default();
    for place in places.chunk_by(|one, other| one.element == other.element) {
        let (old, new) = place.split_at(place.partition_point(|placed| !placed.is_new));
        if old
            .iter()
            .map(Placed::item)
            .eq(new.iter().map(Placed::item))
        {
            continue;
        }
        let first = |list: &'_ [Placed<'a>]| list.first().map(Placed::item);
        let difference = match (old, new) {
            ([] | [_], [] | [_]) => compare_values(first(old), first(new), items)?,
            // Items with one identity are compared as if they were one atomic value.
            ([_, _, ..], [_, _, ..]) => Difference {
                modified: true,
                ..Difference::default()
            },
            ([_, _, ..], new) => Difference {
                removed: true,
                ..first(new).map_or(Ok(Difference::default()), |new| {
                    compare_values(None, Some(new), items)
                })?
            },
            (old, _) => Difference {
                added: true,
                ..first(old).map_or(Ok(Difference::default()), |old| {
                    compare_values(Some(old), None, items)
                })?
            },
        };
        out.push(|| place[0].element.clone(), difference);
    }
    Ok(out)
}

/// Equality of leaves: numbers by value, `1` is `1.0`.
fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => {
            old == new || old.as_f64() == new.as_f64() && old.is_f64() != new.is_f64()
        }
        _ => old == new,
    }
}

#[cfg(test)]
mod tests;
