//! The store: one table per kind, one revision counter, the past of each table.
//!
//! Objects are kept as the bytes that go over the wire; their parsed form is in a bounded cache, where who owns its
//! fields stands apart from the object. Reads are cheap and never change a revision. Nothing here knows a rule of
//! Kubernetes but the shape of metadata.

mod written;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use wavetank_json::{Map, Value};
use wavetank_model::Change;
use wavetank_model::object::{self, At};
use wavetank_model::patch::apply::{ManagedFields, Tracked};

use crate::config::HistoryLimits;
use crate::registry::{Resource, TableId};

use self::written::Layout;
pub(crate) use self::written::{Past, write_object};

const TAIL: &str = "}\n";

/// One version of one object.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Key in its table.
    pub(crate) key: Arc<str>,
    /// The commit that wrote it; names this version of this object.
    pub(crate) revision: u64,
    pub(crate) uid: Box<str>,
    pub(crate) labels: Option<Map>,
    /// Uids of the owners.
    pub(crate) owners: Vec<Box<str>>,
    pub(crate) terminating: bool,
    /// The watch line that tells of this version; the object is a part of it.
    line: Bytes,
    /// How the line begins.
    head: &'static str,
    layout: Layout,
}

impl Stored {
    /// Serialises an object, which carries its resourceVersion.
    ///
    /// `head` is [`Change::ADDED`] or [`Change::MODIFIED`], `past` the version before, where it is at hand, `scratch`
    /// any memory to write in.
    pub(crate) fn new(
        key: Arc<str>,
        revision: u64,
        object: Tracked<'_>,
        head: &'static str,
        past: Option<Past<'_>>,
        scratch: &mut Vec<u8>,
    ) -> Self {
        scratch.clear();
        scratch.extend_from_slice(head.as_bytes());
        let layout = written::write(scratch, object, past);
        scratch.extend_from_slice(TAIL.as_bytes());
        let value = object.object;
        Self {
            key,
            revision,
            uid: object::uid(value).into(),
            labels: value
                .at(&["metadata", "labels"])
                .and_then(Value::as_object)
                .cloned(),
            owners: object::owners(value)
                .map(|owner| owner.uid.into())
                .collect(),
            terminating: object::is_terminating(value),
            line: Bytes::copy_from_slice(scratch),
            head,
            layout,
        }
    }

    fn object(&self) -> &[u8] {
        &self.line[self.head.len()..self.line.len() - TAIL.len()]
    }

    /// The object as it goes over the wire.
    pub(crate) fn json(&self) -> Bytes {
        self.line.slice_ref(self.object())
    }

    /// The object without the opening brace and without `kind` and `apiVersion`, as lists of built-in kinds have it
    /// (API-187); a list writes the brace.
    pub(crate) fn list_item(&self) -> &[u8] {
        &self.object()[self.layout.types..]
    }

    /// The watch line with a type.
    pub(crate) fn line(&self, event: &str) -> Bytes {
        let head = match event {
            "ADDED" => Change::ADDED,
            "MODIFIED" => Change::MODIFIED,
            _ => "",
        };
        if self.head == head {
            return self.line.clone();
        }
        watch_line(event, self.object())
    }

    /// As what a later version is written over; `object` is this one.
    fn past<'a>(&'a self, object: &'a Value) -> Past<'a> {
        Past {
            object,
            text: self.object(),
            layout: &self.layout,
        }
    }

    fn weight(&self) -> usize {
        self.line.len()
    }
}

/// A watch line around a serialised object (API-198).
pub(crate) fn watch_line(event: &str, object: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + 40);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(TAIL.as_bytes());
    out.into()
}

/// One committed change of one table.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    /// The version before.
    pub(crate) old: Option<Arc<Stored>>,
    /// The version after; of a deletion its last state with the deletion's revision.
    pub(crate) new: Arc<Stored>,
    pub(crate) deleted: bool,
}

/// The objects of a table at one revision.
pub(crate) type Objects = imbl::OrdMap<Arc<str>, Arc<Stored>>;

#[derive(Debug, Default)]
struct Table {
    objects: Objects,
    history: VecDeque<Event>,
    history_bytes: usize,
    /// Revision of the last event that was dropped from the history.
    compacted: u64,
}

/// A version as it is worked with.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// The object, without `managedFields`.
    pub(crate) value: Arc<Value>,
    pub(crate) managed: ManagedFields,
}

impl Parsed {
    /// The object with who owns its fields.
    pub(crate) fn tracked(&self) -> Tracked<'_> {
        Tracked {
            object: &self.value,
            managed: &self.managed,
        }
    }

    /// The object with its `managedFields` in it.
    pub(crate) fn whole(&self) -> Value {
        let mut whole = Value::clone(&self.value);
        self.managed.put_into(&mut whole);
        whole
    }
}

/// Parsed objects by revision, bounded by the bytes of their serialised form; the oldest entry goes first.
#[derive(Debug)]
struct Cache {
    values: BTreeMap<u64, (Parsed, usize)>,
    order: VecDeque<u64>,
    bytes: usize,
    limit: usize,
}

impl Cache {
    fn insert(&mut self, revision: u64, parsed: Parsed, weight: usize) {
        if self.values.insert(revision, (parsed, weight)).is_some() {
            return;
        }
        self.order.push_back(revision);
        self.bytes += weight;
        while self.bytes > self.limit && self.order.len() > 1 {
            if let Some(oldest) = self.order.pop_front() {
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, revision: u64) {
        if let Some((_, weight)) = self.values.remove(&revision) {
            self.bytes -= weight;
        }
    }
}

/// An object that an index names: its table and its key there.
pub(crate) type Place = (TableId, Arc<str>);

/// All tables.
#[derive(Debug)]
pub(crate) struct Store {
    tables: Vec<Table>,
    revision: u64,
    limits: HistoryLimits,
    cache: RefCell<Cache>,
    by_owner: BTreeMap<Box<str>, BTreeSet<Place>>,
    /// Memory in which the next version is serialised.
    scratch: Vec<u8>,
}

impl Store {
    pub(crate) fn new(first_revision: u64, limits: HistoryLimits, cache_bytes: usize) -> Self {
        let cache = Cache {
            values: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            limit: cache_bytes,
        };
        Self {
            tables: Vec::new(),
            revision: first_revision.max(1),
            limits,
            cache: RefCell::new(cache),
            by_owner: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// The revision of the last commit.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    fn table(&self, table: TableId) -> Option<&Table> {
        self.tables.get(table.0)
    }

    fn table_mut(&mut self, table: TableId) -> &mut Table {
        if table.0 >= self.tables.len() {
            self.tables.resize_with(table.0 + 1, Table::default);
        }
        &mut self.tables[table.0]
    }

    /// The object at `key`.
    pub(crate) fn get(&self, table: TableId, key: &str) -> Option<&Arc<Stored>> {
        self.table(table)?.objects.get(key)
    }

    /// The objects of a table.
    pub(crate) fn objects(&self, table: TableId) -> Objects {
        self.table(table)
            .map(|table| table.objects.clone())
            .unwrap_or_default()
    }

    /// How many objects a table holds.
    pub(crate) fn len(&self, table: TableId) -> usize {
        self.table(table).map_or(0, |table| table.objects.len())
    }

    /// The objects of a namespace, or all when `namespace` is empty, in order of their keys.
    pub(crate) fn scan(
        &self,
        table: TableId,
        namespace: &str,
    ) -> impl Iterator<Item = &Arc<Stored>> + use<'_> {
        let objects = self.table(table).map(|table| &table.objects);
        scan(objects, namespace)
    }

    /// The objects of a table as they were at `revision`; `None` when that is compacted.
    pub(crate) fn objects_at(&self, table: TableId, revision: u64) -> Option<Objects> {
        let Some(table) = self.table(table) else {
            return Some(Objects::new());
        };
        if revision < table.compacted {
            return None;
        }
        let mut objects = table.objects.clone();
        for event in table
            .history
            .iter()
            .rev()
            .take_while(|event| event.revision > revision)
        {
            match &event.old {
                Some(old) => objects.insert(Arc::clone(&old.key), Arc::clone(old)),
                None => objects.remove(&event.new.key),
            };
        }
        Some(objects)
    }

    /// The events of a table after `revision`; `Err` gives the revision up to which events were dropped.
    pub(crate) fn events_after(&self, table: TableId, revision: u64) -> Result<Vec<Event>, u64> {
        let Some(table) = self.table(table) else {
            return Ok(Vec::new());
        };
        if revision < table.compacted {
            return Err(table.compacted);
        }
        let first = table
            .history
            .partition_point(|event| event.revision <= revision);
        Ok(table.history.range(first..).cloned().collect())
    }

    /// Drops the past of all tables, so that older watches and lists answer 410.
    pub(crate) fn compact(&mut self) {
        let revision = self.revision;
        for table in &mut self.tables {
            table.history.clear();
            table.history_bytes = 0;
            table.compacted = revision;
        }
    }

    /// The parsed form of a version, without `managedFields`.
    pub(crate) fn value(&self, stored: &Stored) -> Arc<Value> {
        self.cached(stored, |parsed| Arc::clone(&parsed.value))
    }

    /// The parsed form of a version, and who owns its fields.
    pub(crate) fn parsed(&self, stored: &Stored) -> Parsed {
        self.cached(stored, Parsed::clone)
    }

    /// What `take` takes of the parsed form of a version, which is parsed first unless it is in the cache.
    fn cached<T>(&self, stored: &Stored, take: impl FnOnce(&Parsed) -> T) -> T {
        if let Some((parsed, _)) = self.cache.borrow().values.get(&stored.revision) {
            return take(parsed);
        }
        take(&self.parse(stored))
    }

    fn parse(&self, stored: &Stored) -> Parsed {
        // What was serialised here parses again.
        let mut value: Value = serde_json::from_slice(&stored.json()).unwrap_or_default();
        let managed = ManagedFields::take_stored(&mut value);
        let value = Arc::new(value);
        let parsed = Parsed { value, managed };
        self.cache
            .borrow_mut()
            .insert(stored.revision, parsed.clone(), stored.weight());
        parsed
    }

    /// Says that a version is of no interest any longer.
    pub(crate) fn forget(&mut self, stored: &Stored) {
        self.cache.get_mut().forget(stored.revision);
    }

    /// Where the objects are that name `uid` as an owner.
    pub(crate) fn owned(&self, uid: &str) -> impl Iterator<Item = &Place> {
        self.by_owner.get(uid).into_iter().flatten()
    }

    /// Writes `new` at `key`, or deletes the object there; gives what was committed with its parsed form.
    ///
    /// For a deletion `new` is the last state.
    pub(crate) fn commit(
        &mut self,
        resource: &Resource,
        key: &str,
        mut new: Value,
        managed: ManagedFields,
        deleted: bool,
    ) -> (Event, Parsed) {
        self.revision += 1;
        let revision = self.revision;
        if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert(
                "resourceVersion".to_owned(),
                Value::String(revision.to_string()),
            );
        }
        let old = self.get(resource.table, key).cloned();
        let key = old
            .as_ref()
            .map_or_else(|| Arc::from(key), |old| Arc::clone(&old.key));
        let parsed = Parsed {
            value: Arc::new(new),
            managed,
        };
        let cache = self.cache.get_mut();
        let before = old
            .as_ref()
            .and_then(|old| Some((old, cache.values.get(&old.revision)?)));
        let past = before.map(|(stored, (parsed, _))| stored.past(&parsed.value));
        let written = parsed.tracked();
        let head = if old.is_some() {
            Change::MODIFIED
        } else {
            Change::ADDED
        };
        let stored = Stored::new(key, revision, written, head, past, &mut self.scratch);
        let stored = Arc::new(stored);
        self.index(
            resource.table,
            old.as_deref(),
            (!deleted).then_some(&*stored),
        );
        let limits = self.limits;
        self.cache
            .get_mut()
            .insert(revision, parsed.clone(), stored.weight());
        let table = self.table_mut(resource.table);
        if deleted {
            table.objects.remove(&stored.key);
        } else {
            table
                .objects
                .insert(Arc::clone(&stored.key), Arc::clone(&stored));
        }
        let event = Event {
            revision,
            old,
            new: stored,
            deleted,
        };
        table.history_bytes += event.new.weight();
        table.history.push_back(event.clone());
        while table.history.len() > limits.events || table.history_bytes > limits.bytes {
            let Some(dropped) = table.history.pop_front() else {
                break;
            };
            table.history_bytes -= dropped.new.weight();
            table.compacted = dropped.revision;
        }
        (event, parsed)
    }

    fn index(&mut self, table: TableId, old: Option<&Stored>, new: Option<&Stored>) {
        if old.map(|stored| &stored.owners) == new.map(|stored| &stored.owners) {
            return;
        }
        for (stored, add) in [(old, false), (new, true)] {
            let Some(stored) = stored else { continue };
            for uid in &stored.owners {
                let place = (table, Arc::clone(&stored.key));
                if add {
                    self.by_owner.entry(uid.clone()).or_default().insert(place);
                } else if let Some(places) = self.by_owner.get_mut(uid) {
                    places.remove(&place);
                    if places.is_empty() {
                        self.by_owner.remove(uid);
                    }
                }
            }
        }
    }
}

/// The part of `objects` in a namespace, or all of it when `namespace` is empty.
pub(crate) fn scan<'a>(
    objects: Option<&'a Objects>,
    namespace: &str,
) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
    let prefix = if namespace.is_empty() {
        String::new()
    } else {
        format!("{namespace}/")
    };
    let start: Arc<str> = Arc::from(prefix.as_str());
    objects
        .into_iter()
        .flat_map(move |objects| objects.range(Arc::clone(&start)..))
        .map(|(_, stored)| stored)
        .take_while(move |stored| stored.key.starts_with(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn kind_and_version_stand_first_and_can_be_left_out() {
        let value = json!({"apiVersion": "v1", "data": {"a": "1"}, "kind": "ConfigMap", "metadata": {"name": "c"}});
        let stored = |object: &Value| {
            let managed = &ManagedFields::default();
            let object = Tracked { object, managed };
            Stored::new(
                Arc::from("t/c"),
                7,
                object,
                Change::ADDED,
                None,
                &mut Vec::new(),
            )
        };
        let bare = stored(&json!({"kind": "X"}));
        let stored = stored(&value);
        assert_eq!(
            stored.json(),
            r#"{"kind":"ConfigMap","apiVersion":"v1","data":{"a":"1"},"metadata":{"name":"c"}}"#
        );
        assert_eq!(
            stored.list_item(),
            br#""data":{"a":"1"},"metadata":{"name":"c"}}"#
        );
        let told = |event| {
            let line = stored.line(event);
            let text = String::from_utf8_lossy(&stored.json()).into_owned();
            assert_eq!(
                line,
                format!("{{\"type\":\"{event}\",\"object\":{text}}}\n")
            );
        };
        for event in ["ADDED", "MODIFIED", "DELETED"] {
            told(event);
        }
        assert_eq!(
            (bare.json(), bare.list_item()),
            (Bytes::from_static(b"{\"kind\":\"X\"}"), &b"}"[..])
        );
    }
}
