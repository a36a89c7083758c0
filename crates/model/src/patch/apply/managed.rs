//! `metadata.managedFields`, apart from its object: its entries, their identity, order and cap (API-165…173).

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use wavetank_json::Value;

use super::set::FieldSet;

/// The most entries of the operation Update; older ones are merged into `ancient-changes` (API-173).
const MAX_UPDATE_ENTRIES: usize = 10;
const ANCIENT: &str = "ancient-changes";
const FIELD: &str = "managedFields";

/// How a manager came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Whose fields these are: one Apply entry per manager and subresource, one Update entry per version as well (API-169).
///
/// Ordered as conflicts are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) manager: String,
    pub(super) operation: Operation,
    /// Empty for Apply.
    pub(super) version: String,
    pub(super) subresource: String,
}

/// Fields as a set and as text, each made of the other when it is asked for.
#[derive(Debug)]
struct Fields {
    set: OnceLock<FieldSet>,
    text: OnceLock<Box<[u8]>>,
}

impl Fields {
    fn of(set: FieldSet) -> Arc<Self> {
        Arc::new(Self {
            set: OnceLock::from(set),
            text: OnceLock::new(),
        })
    }

    fn set(&self) -> &FieldSet {
        self.set.get_or_init(|| {
            // What is known by its text alone was written here.
            let fields = self
                .text
                .get()
                .and_then(|text| serde_json::from_slice(text).ok());
            FieldSet::from_fields_v1(&fields.unwrap_or_default()).unwrap_or_default()
        })
    }

    fn text(&self) -> &[u8] {
        self.text.get_or_init(|| {
            let mut out = Vec::with_capacity(256);
            self.set().write_fields_v1(&mut out);
            out.into()
        })
    }
}

/// One entry. Its parts are shared with the versions of the object before and after.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    head: Arc<Head>,
    time: Option<Arc<str>>,
    fields: Arc<Fields>,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    owner: Owner,
    api_version: String,
    /// What stands before the fields, as text.
    before: Box<[u8]>,
    /// What stands behind them, but for the time.
    behind: Box<[u8]>,
}

impl Head {
    fn new(owner: Owner, api_version: String) -> Arc<Self> {
        let mut before = Vec::with_capacity(64);
        before.extend_from_slice(b"{\"apiVersion\":");
        wavetank_json::write_text(&mut before, &api_version);
        before.extend_from_slice(b",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":");
        let mut behind = Vec::with_capacity(96);
        behind.extend_from_slice(b",\"manager\":");
        wavetank_json::write_text(&mut behind, &owner.manager);
        behind.extend_from_slice(b",\"operation\":");
        wavetank_json::write_text(&mut behind, owner.operation.as_str());
        if !owner.subresource.is_empty() {
            behind.extend_from_slice(b",\"subresource\":");
            wavetank_json::write_text(&mut behind, &owner.subresource);
        }
        Arc::new(Self {
            owner,
            api_version,
            before: before.into(),
            behind: behind.into(),
        })
    }
}

impl Entry {
    pub(super) fn new(owner: Owner, api_version: &str, time: Option<&str>, set: FieldSet) -> Self {
        Self {
            head: Head::new(owner, api_version.to_owned()),
            time: time.map(Arc::from),
            fields: Fields::of(set),
        }
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.head.owner
    }

    pub(super) fn set(&self) -> &FieldSet {
        self.fields.set()
    }

    pub(super) fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }

    /// Makes this the time of its last write.
    pub(super) fn stamp(&mut self, time: Option<&str>) {
        if self.time() != time {
            self.time = time.map(Arc::from);
        }
    }

    /// Takes the paths of `other` away; whether any are left.
    pub(super) fn take_away(&mut self, other: &FieldSet) -> bool {
        let set = self.set();
        if !set.is_disjoint(other) {
            self.fields = Fields::of(set.clone().difference(other));
        }
        !self.set().is_empty()
    }

    /// Adds the paths of `other`.
    pub(super) fn add(&mut self, other: FieldSet) {
        let set = self.set();
        if !set.contains_all(&other) {
            self.fields = Fields::of(other.with_all(set));
        }
    }

    /// Who owns what, whenever that was written.
    fn says_as(&self, other: &Self) -> bool {
        self.head == other.head
            && (Arc::ptr_eq(&self.fields, &other.fields) || self.set() == other.set())
    }

    fn in_order(&self, other: &Self) -> Ordering {
        let (one, two) = (self.owner(), other.owner());
        one.operation
            .cmp(&two.operation)
            .then_with(|| self.time.cmp(&other.time))
            .then_with(|| one.manager.cmp(&two.manager))
            .then_with(|| self.head.api_version.cmp(&other.head.api_version))
            .then_with(|| one.subresource.cmp(&two.subresource))
    }

    fn write(&self, out: &mut Vec<u8>) {
        for part in [&self.head.before, self.fields.text(), &self.head.behind] {
            out.extend_from_slice(part);
        }
        if let Some(time) = &self.time {
            out.extend_from_slice(b",\"time\":");
            wavetank_json::write_text(out, time);
        }
        out.push(b'}');
    }
}

/// Who owns which fields of an object: its `metadata.managedFields`, kept apart from the rest of it.
///
/// An object changes far more often than who owns what, and most readers do not ask. Versions of an object share what
/// they have in common, so a clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct ManagedFields {
    /// In the server's order (API-167) once an object is written.
    pub(super) entries: Vec<Entry>,
}

impl PartialEq for ManagedFields {
    fn eq(&self, other: &Self) -> bool {
        self.says_as(other)
            && self
                .entries
                .iter()
                .zip(&other.entries)
                .all(|(one, other)| one.time == other.time)
    }
}

impl ManagedFields {
    /// Takes `metadata.managedFields`, as a server wrote it, out of an object.
    pub fn take_stored(object: &mut Value) -> Self {
        let list = take(object);
        let list = list.as_ref().and_then(Value::as_array);
        let read = |(index, entry)| {
            let (head, time) = decode(index, entry).ok()?;
            let mut text = Vec::with_capacity(256);
            wavetank_json::write(&mut text, entry.get("fieldsV1")?);
            Some(Entry {
                head,
                time,
                fields: Arc::new(Fields {
                    set: OnceLock::new(),
                    text: OnceLock::from(Box::from(text)),
                }),
            })
        };
        Self {
            entries: list
                .into_iter()
                .flatten()
                .enumerate()
                .filter_map(read)
                .collect(),
        }
    }

    /// Reads the `metadata.managedFields` of an object; there may be none.
    ///
    /// # Errors
    /// What is wrong with an entry.
    pub fn of(object: &Value) -> Result<Self, String> {
        let list = find(object).and_then(Value::as_array);
        Self::decode(list.map_or(&[], Vec::as_slice))
    }

    pub(super) fn decode(list: &[Value]) -> Result<Self, String> {
        let mut out = Self::default();
        for (index, entry) in list.iter().enumerate() {
            let (head, time) = decode(index, entry)?;
            let fields = entry.get("fieldsV1").unwrap_or(&Value::Null);
            out.put(Entry {
                head,
                time,
                fields: Fields::of(FieldSet::from_fields_v1(fields)?),
            });
        }
        Ok(out)
    }

    /// Whether nobody is known to own anything: `metadata.managedFields` is not there.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the same managers own the same fields, whenever they wrote them.
    pub fn says_as(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self
                .entries
                .iter()
                .zip(&other.entries)
                .all(|(one, other)| one.says_as(other))
    }

    /// Writes the JSON of `metadata.managedFields`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, entry) in self.entries.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            entry.write(out);
        }
        out.push(b']');
    }

    /// Makes this the `metadata.managedFields` of an object.
    pub fn put_into(&self, object: &mut Value) {
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        if self.is_empty() {
            metadata.remove(FIELD);
            return;
        }
        let mut text = Vec::with_capacity(1024);
        self.write(&mut text);
        // What was written here can be read.
        let list = serde_json::from_slice(&text).unwrap_or_default();
        metadata.insert(FIELD.to_owned(), list);
    }

    pub(super) fn position(&self, owner: &Owner) -> Option<usize> {
        self.entries.iter().position(|entry| entry.owner() == owner)
    }

    /// Adds an entry, or replaces that of the same owner.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.position(entry.owner()) {
            Some(at) => self.entries[at] = entry,
            None => self.entries.push(entry),
        }
    }

    /// Brings the entries into the server's order (API-167).
    pub(super) fn sort(&mut self) {
        self.entries.sort_by(Entry::in_order);
    }

    /// Merges the oldest Update entries into `ancient-changes` of their version until there are few enough.
    pub(super) fn cap(&mut self) {
        let is_update = |entry: &&Entry| entry.owner().operation == Operation::Update;
        let mut count = self.entries.iter().filter(is_update).count();
        if count <= MAX_UPDATE_ENTRIES {
            return;
        }
        let mut oldest: Vec<(Option<Arc<str>>, Owner)> = self
            .entries
            .iter()
            .filter(is_update)
            .map(|entry| (entry.time.clone(), entry.owner().clone()))
            .collect();
        oldest.sort_unstable();
        let mut first_of_version: Vec<Owner> = Vec::new();
        for (_, owner) in oldest {
            if count <= MAX_UPDATE_ENTRIES {
                return;
            }
            match first_of_version
                .iter()
                .find(|first| first.version == owner.version)
                .cloned()
            {
                Some(first) => {
                    self.merge_into_ancient(&first, &owner);
                    count -= 1;
                }
                None => first_of_version.push(owner),
            }
        }
    }

    fn merge_into_ancient(&mut self, first: &Owner, owner: &Owner) {
        let Some(at) = self.position(owner) else {
            return;
        };
        let newer = self.entries.remove(at);
        let bucket = Owner {
            manager: ANCIENT.to_owned(),
            operation: Operation::Update,
            version: owner.version.clone(),
            subresource: String::new(),
        };
        let Some(at) = self.position(&bucket).or_else(|| self.position(first)) else {
            return;
        };
        let entry = &mut self.entries[at];
        let set = entry.set().clone().union(newer.set().clone());
        *entry = Entry::new(bucket, &entry.head.api_version, newer.time(), set);
    }
}

/// Takes `metadata.managedFields` out of an object.
pub(super) fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove(FIELD)
}

/// The `metadata.managedFields` of an object.
pub(super) fn find(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get(FIELD)
}

/// Reads an entry but for its fields.
fn decode(index: usize, entry: &Value) -> Result<(Arc<Head>, Option<Arc<str>>), String> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = text("apiVersion").to_owned();
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => {
            return Err(format!(
                "missing fieldsType in managed fields entry {index}"
            ));
        }
        other => {
            return Err(format!(
                "invalid fieldsType {other:?} in managed fields entry {index}"
            ));
        }
    }
    let version = if operation == Operation::Update {
        api_version.clone()
    } else {
        String::new()
    };
    let owner = Owner {
        manager: text("manager").to_owned(),
        operation,
        version,
        subresource: text("subresource").to_owned(),
    };
    let time = entry.get("time").and_then(Value::as_str).map(Arc::from);
    Ok((Head::new(owner, api_version), time))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wavetank_json::json;

    use super::super::set::tests::set;
    use super::*;

    fn entry(set: FieldSet) -> Entry {
        let owner = Owner {
            manager: "m\"n".to_owned(),
            operation: Operation::Update,
            version: "v1".to_owned(),
            subresource: "status".to_owned(),
        };
        Entry::new(owner, "v1", Some("2026-01-01T00:00:00Z"), set)
    }

    proptest! {
        #[test]
        fn entries_change_as_their_sets_do(a in set(), b in set()) {
            let mut taken = entry(a.clone());
            let left = taken.take_away(&b);
            let difference = a.clone().difference(&b);
            prop_assert_eq!(left, !difference.is_empty());
            prop_assert_eq!(taken.set(), &difference);
            let mut added = entry(a.clone());
            added.add(b.clone());
            prop_assert_eq!(added.set(), &a.union(b));
        }

        #[test]
        fn what_is_written_reads_back(a in set(), b in set()) {
            let owners = ManagedFields { entries: vec![entry(a), Entry::new(Owner { manager: String::new(), operation: Operation::Apply,
                version: String::new(), subresource: String::new() }, "apps/v1", None, b)] };
            let mut object = json!({"metadata": {"name": "x"}});
            owners.put_into(&mut object);
            prop_assert_eq!(&ManagedFields::of(&object).unwrap(), &owners);
            prop_assert_eq!(&ManagedFields::take_stored(&mut object), &owners);
            prop_assert_eq!(object, json!({"metadata": {"name": "x"}}));
        }
    }
}
