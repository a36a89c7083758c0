//! The fields of an object.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::{slice, vec};

use crate::Value;

/// Up to how many fields are gone through one by one: comparing lengths of names beats a search that compares texts.
const FEW: usize = 16;

/// The order of two names, which mostly begin with different letters.
#[inline]
fn order(one: &str, other: &str) -> Ordering {
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(one), Some(other)) if one != other => one.cmp(other),
        _ => one.cmp(other),
    }
}

/// The fields of a JSON object, ordered by name, each once. A copy is the same piece of memory until one of the two is
/// written to.
#[derive(Clone, Default)]
pub struct Map(Arc<Vec<(String, Value)>>);

impl Map {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fields in any order; of those with one name the last one counts.
    pub(crate) fn from_fields(mut fields: Vec<(String, Value)>) -> Self {
        if !fields.is_sorted_by(|(name, _), (next, _)| name < next) {
            // Stable, so that the last of a name is the first when read backwards.
            fields.reverse();
            fields.sort_by(|(name, _), (other, _)| name.cmp(other));
            fields.dedup_by(|(name, _), (first, _)| name == first);
        }
        Self(Arc::new(fields))
    }

    fn fields_mut(&mut self) -> &mut Vec<(String, Value)> {
        Arc::make_mut(&mut self.0)
    }

    /// Where a field is.
    #[inline]
    fn position(&self, name: &str) -> Option<usize> {
        if self.0.len() <= FEW {
            self.0.iter().position(|(known, _)| known == name)
        } else {
            self.place(name).ok()
        }
    }

    /// Where a field is, or where it belongs.
    fn place(&self, name: &str) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if order(last, name).is_lt() => Err(self.0.len()),
            None => Err(0),
            _ => self.0.binary_search_by(|(known, _)| order(known, name)),
        }
    }

    /// How many fields there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a copy of it: the first change of either copies the fields.
    #[inline]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Takes all fields away.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The value of a field.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.get_key_value(name).map(|(_, value)| value)
    }

    /// A field with its name.
    #[inline]
    pub fn get_key_value(&self, name: &str) -> Option<(&String, &Value)> {
        let (name, value) = &self.0[self.position(name)?];
        Some((name, value))
    }

    /// The value of a field, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        let at = self.position(name)?;
        Some(&mut self.fields_mut()[at].1)
    }

    /// Whether a field is there.
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// Sets a field; gives the value it had.
    pub fn insert(&mut self, name: String, value: Value) -> Option<Value> {
        match self.place(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.fields_mut()[at].1, value)),
            Err(at) => {
                self.fields_mut().insert(at, (name, value));
                None
            }
        }
    }

    /// Takes a field away; gives its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.remove_entry(name).map(|(_, value)| value)
    }

    /// Takes a field away; gives its name and value.
    pub fn remove_entry(&mut self, name: &str) -> Option<(String, Value)> {
        let at = self.position(name)?;
        Some(self.fields_mut().remove(at))
    }

    /// The field `name`, whether it is there or not.
    pub fn entry<N: AsRef<str> + Into<String>>(&mut self, name: N) -> Entry<'_, N> {
        let place = self.place(name.as_ref());
        Entry {
            map: self,
            name,
            place,
        }
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut Value) -> bool) {
        self.fields_mut()
            .retain_mut(|(name, value)| keep(name, value));
    }

    /// The fields in order.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// The fields in order, with values to be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        IterMut(self.fields_mut().iter_mut())
    }

    /// The names in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &String> + ExactSizeIterator + Clone {
        self.0.iter().map(|(name, _)| name)
    }

    /// The values in the order of their names.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values in the order of their names, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> {
        self.fields_mut().iter_mut().map(|(_, value)| value)
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Map {}

impl fmt::Debug for Map {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self).finish()
    }
}

impl FromIterator<(String, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Self::from_fields(fields.into_iter().collect())
    }
}

impl Extend<(String, Value)> for Map {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.insert(name, value);
        }
    }
}

/// A field that is there or not.
#[derive(Debug)]
pub struct Entry<'a, N> {
    map: &'a mut Map,
    name: N,
    place: Result<usize, usize>,
}

impl<'a, N: AsRef<str> + Into<String>> Entry<'a, N> {
    /// The value of the field; `value` where there was none.
    pub fn or_insert(self, value: Value) -> &'a mut Value {
        self.or_insert_with(|| value)
    }

    /// The value of the field; what `make` gives where there was none.
    pub fn or_insert_with(self, make: impl FnOnce() -> Value) -> &'a mut Value {
        let Self { map, name, place } = self;
        let fields = map.fields_mut();
        let (Ok(at) | Err(at)) = place;
        if place.is_err() {
            fields.insert(at, (name.into(), make()));
        }
        &mut fields[at].1
    }
}

/// The fields of a [`Map`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(slice::Iter<'a, (String, Value)>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a String, &'a Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(name, value)| (name, value))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// The fields of a [`Map`] with values to be changed.
#[derive(Debug)]
pub struct IterMut<'a>(slice::IterMut<'a, (String, Value)>);

impl<'a> Iterator for IterMut<'a> {
    type Item = (&'a String, &'a mut Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (&*name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for IterMut<'_> {}

/// The fields of two objects side by side, in order: each name once, with the value here and there. What is not there has
/// no fields.
pub fn side_by_side<'a>(one: Option<&'a Map>, other: Option<&'a Map>) -> SideBySide<'a> {
    let fields = |map: Option<&'a Map>| map.map_or(&[][..], |map| map.0.as_slice());
    SideBySide {
        one: fields(one),
        other: fields(other),
    }
}

/// See [`side_by_side`].
#[derive(Clone, Debug)]
pub struct SideBySide<'a> {
    one: &'a [(String, Value)],
    other: &'a [(String, Value)],
}

impl<'a> Iterator for SideBySide<'a> {
    type Item = (&'a str, Option<&'a Value>, Option<&'a Value>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.one, self.other) {
            ([], []) => return None,
            ([_, ..], []) => Ordering::Less,
            ([], [_, ..]) => Ordering::Greater,
            ([(one, _), ..], [(other, _), ..]) => one.cmp(other),
        };
        let one = order.is_le().then(|| self.one.split_off_first()).flatten();
        let other = order
            .is_ge()
            .then(|| self.other.split_off_first())
            .flatten();
        let (name, _) = one.or(other)?;
        let value = |field: &'a (String, Value)| &field.1;
        Some((name, one.map(value), other.map(value)))
    }
}

/// The fields of a [`Map`] that is given up.
pub type IntoIter = vec::IntoIter<(String, Value)>;

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a String, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a String, &'a mut Value);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> IterMut<'a> {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(String, i64),
        Remove(String),
        Entry(String, i64),
        Change(String),
        Retain(i64),
        Copy,
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = || "[a-d]{1,3}";
        prop_oneof![
            4 => (name(), 0..9_i64).prop_map(|(name, value)| Step::Insert(name, value)),
            2 => name().prop_map(Step::Remove),
            2 => (name(), 0..9_i64).prop_map(|(name, value)| Step::Entry(name, value)),
            1 => name().prop_map(Step::Change),
            1 => (0..9_i64).prop_map(Step::Retain),
            1 => Just(Step::Copy),
        ]
    }

    proptest! {
        #[test]
        fn a_map_does_what_an_ordered_map_does(steps in prop::collection::vec(step(), 0..80)) {
            let (mut map, mut model) = (Map::new(), BTreeMap::<String, Value>::new());
            let mut copies: Vec<(Map, BTreeMap<String, Value>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(name, value) => {
                        let before = map.insert(name.clone(), value.into());
                        prop_assert_eq!(before, model.insert(name, value.into()));
                    }
                    Step::Remove(name) => prop_assert_eq!(map.remove(&name), model.remove(&name)),
                    Step::Entry(name, value) => {
                        let found = map.entry(name.as_str()).or_insert_with(|| value.into()).clone();
                        prop_assert_eq!(&found, model.entry(name).or_insert(value.into()));
                    }
                    Step::Change(name) => {
                        if let Some(value) = map.get_mut(&name) {
                            *value = Value::Null;
                        }
                        model.entry(name).and_modify(|value| *value = Value::Null);
                    }
                    Step::Retain(least) => {
                        map.retain(|_, value| value.as_i64() >= Some(least));
                        model.retain(|_, value| value.as_i64() >= Some(least));
                    }
                    Step::Copy => copies.push((map.clone(), model.clone())),
                }
                copies.push((map.clone(), model.clone()));
                for name in ["a", "bb", "abc"] {
                    prop_assert_eq!(map.get(name), model.get(name));
                }
            }
            // What was written later changed none of the copies.
            for (map, model) in copies {
                prop_assert!(map.iter().eq(model.iter()));
                prop_assert!(map.values().rev().eq(model.values().rev()));
                prop_assert_eq!(map.into_iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
            }
        }

        #[test]
        fn side_by_side_each_name_stands_once(
            one in prop::collection::btree_map("[a-c]{1,2}", 0..3_i64, 0..9),
            other in prop::collection::btree_map("[a-c]{1,2}", 0..3_i64, 0..9),
        ) {
            let map = |model: &BTreeMap<String, i64>| -> Map {
                model.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect()
            };
            let (left, right) = (map(&one), map(&other));
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let expected = names.into_iter().map(|name| (name.as_str(), left.get(name), right.get(name)));
            prop_assert!(side_by_side(Some(&left), Some(&right)).eq(expected));
            let alone = left.iter().map(|(name, value)| (name.as_str(), None, Some(value)));
            prop_assert!(side_by_side(None, Some(&left)).eq(alone));
        }

        #[test]
        fn of_fields_with_one_name_the_last_counts(fields in prop::collection::vec(("[a-c]{1,2}", 0..9_i64), 0..30)) {
            let fields: Vec<(String, Value)> = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
            let model: BTreeMap<String, Value> = fields.iter().cloned().collect();
            let map: Map = fields.into_iter().collect();
            prop_assert!(map.iter().eq(model.iter()));
        }
    }

    #[test]
    fn a_copy_is_the_same_memory_until_it_is_written_to() {
        let mut outer = Map::new();
        outer.insert("inner".to_owned(), Value::Object(Map::new()));
        let copy = outer.clone();
        assert!(Arc::ptr_eq(&outer.0, &copy.0));
        outer.insert("more".to_owned(), Value::Null);
        assert!(!Arc::ptr_eq(&outer.0, &copy.0));
        assert_eq!(copy.len(), 1);
        let inner = |map: &Map| match map.get("inner") {
            Some(Value::Object(inner)) => Arc::as_ptr(&inner.0),
            other => panic!("{other:?}"),
        };
        assert_eq!(inner(&outer), inner(&copy));
    }
}
