//! `metadata.managedFields`: its entries, their identity, order and cap (API-165…173).

use serde_json::{Map, Value};

use super::set::FieldSet;

/// The most entries of the operation Update; older ones are merged into `ancient-changes` (API-173).
pub(super) const MAX_UPDATE_ENTRIES: usize = 10;
const ANCIENT: &str = "ancient-changes";

/// How a manager came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub(super) const fn as_str(self) -> &'static str {
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

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) owner: Owner,
    pub(super) api_version: String,
    pub(super) time: Option<String>,
    pub(super) set: FieldSet,
}

/// All entries of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Managed {
    pub(super) entries: Vec<Entry>,
}

impl Managed {
    /// Reads `metadata.managedFields`.
    pub(super) fn decode(list: &[Value]) -> Result<Self, String> {
        let mut out = Self::default();
        for (index, entry) in list.iter().enumerate() {
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
            let (manager, subresource) =
                (text("manager").to_owned(), text("subresource").to_owned());
            out.put(Entry {
                owner: Owner {
                    manager,
                    operation,
                    version,
                    subresource,
                },
                api_version,
                time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
                set: FieldSet::from_fields_v1(entry.get("fieldsV1").unwrap_or(&Value::Null))?,
            });
        }
        Ok(out)
    }

    pub(super) fn position(&self, owner: &Owner) -> Option<usize> {
        self.entries.iter().position(|entry| entry.owner == *owner)
    }

    /// Adds an entry, or replaces that of the same owner.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.position(&entry.owner) {
            Some(at) => self.entries[at] = entry,
            None => self.entries.push(entry),
        }
    }

    /// Merges the oldest Update entries into `ancient-changes` of their version until there are few enough.
    pub(super) fn cap(&mut self) {
        let is_update = |entry: &&Entry| entry.owner.operation == Operation::Update;
        let mut count = self.entries.iter().filter(is_update).count();
        if count <= MAX_UPDATE_ENTRIES {
            return;
        }
        let mut oldest: Vec<(Option<String>, Owner)> = self
            .entries
            .iter()
            .filter(is_update)
            .map(|entry| (entry.time.clone(), entry.owner.clone()))
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
        entry.owner = bucket;
        entry.set = std::mem::take(&mut entry.set).union(newer.set);
        entry.time = newer.time;
    }

    /// As `metadata.managedFields`, in the server's order (API-167).
    pub(super) fn encode(mut self) -> Vec<Value> {
        self.entries.sort_unstable_by(|a, b| {
            let key = |entry: &'_ Entry| (entry.owner.operation, entry.time.clone());
            key(a).cmp(&key(b)).then_with(|| {
                let rest = |entry: &Entry| {
                    (
                        entry.owner.manager.clone(),
                        entry.api_version.clone(),
                        entry.owner.subresource.clone(),
                    )
                };
                rest(a).cmp(&rest(b))
            })
        });
        self.entries.into_iter().map(Entry::encode).collect()
    }
}

impl Entry {
    pub(super) fn encode(self) -> Value {
        let fields = self.set.to_fields_v1();
        self.encode_with(fields)
    }

    /// With `fields` in place of its set.
    pub(super) fn encode_with(self, fields: Value) -> Value {
        let mut out = Map::new();
        let mut text =
            |name: &str, value: String| out.insert(name.to_owned(), Value::String(value));
        text("manager", self.owner.manager);
        text("operation", self.owner.operation.as_str().to_owned());
        text("apiVersion", self.api_version);
        text("fieldsType", "FieldsV1".to_owned());
        if let Some(time) = self.time {
            text("time", time);
        }
        if !self.owner.subresource.is_empty() {
            text("subresource", self.owner.subresource);
        }
        out.insert("fieldsV1".to_owned(), fields);
        Value::Object(out)
    }
}
