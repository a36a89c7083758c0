//! The state at any point of a trace, by replaying it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use wavetank_model::{ChangeKind, ObjectKey, patch};

use crate::entry::{ApiEvent, Content, Entry, Event, OperationState};

/// The objects and the operation as they stand after the entries pushed so far.
#[derive(Clone, Debug, Default)]
pub struct World {
    objects: BTreeMap<ObjectKey, Arc<Value>>,
    operation: Option<OperationState>,
}

impl World {
    /// Nothing is there yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry.
    pub fn push(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Api(api) => self.push_api(api),
            Event::Operation(operation) => self.operation = Some(operation.state.clone()),
            _ => {}
        }
    }

    fn push_api(&mut self, api: &ApiEvent) {
        match (&api.content, api.verb) {
            (_, ChangeKind::Deleted) => {
                self.objects.remove(&api.key);
            }
            (Some(Content::Object(object)), _) => {
                self.objects.insert(api.key.clone(), Arc::clone(object));
            }
            (Some(Content::Patch(content)), _) => {
                let object = self.objects.entry(api.key.clone()).or_default();
                // What is no mapping replaces the whole (RFC 7386).
                if patch::merge(Arc::make_mut(object), content).is_err() {
                    *object = Arc::clone(content);
                }
            }
            (None, _) => {}
        }
    }

    /// One object.
    pub fn object(&self, key: &ObjectKey) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// All objects by key.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Arc<Value>)> {
        self.objects.iter()
    }

    /// The stored state of the last operation.
    pub fn operation(&self) -> Option<&OperationState> {
        self.operation.as_ref()
    }
}

/// The content that turns `old` into `new`: a merge patch, or the whole object where a null is new that a merge patch
/// cannot express.
pub fn content(old: Option<&Value>, new: &Arc<Value>) -> Content {
    match old.and_then(|old| difference(old, new)) {
        Some(patch) => Content::Patch(Arc::new(patch)),
        None => Content::Object(Arc::clone(new)),
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

/// The merge patch from `old` to `new`; `None` when there is none.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (!holds_null(new)).then(|| new.clone());
    };
    let mut out = serde_json::Map::new();
    let mut before = old.iter().peekable();
    for (key, value) in new {
        while let Some((gone, _)) = before.next_if(|(other, _)| *other < key) {
            out.insert(gone.clone(), Value::Null);
        }
        let changed = match before.next_if(|(other, _)| *other == key) {
            Some((_, before)) if before == value => continue,
            Some((_, before)) => difference(before, value)?,
            None if holds_null(value) => return None,
            None => value.clone(),
        };
        out.insert(key.clone(), changed);
    }
    out.extend(before.map(|(gone, _)| (gone.clone(), Value::Null)));
    Some(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_leads_from_old_to_new() {
        let old = json!({"a": {"b": 1, "c": [1]}, "d": 1, "e": {}});
        let new = Arc::new(json!({"a": {"b": 2, "c": [1]}, "e": {"x": {}}, "f": "x"}));
        let Content::Patch(patch) = content(Some(&old), &new) else {
            panic!("not a patch")
        };
        assert_eq!(
            *patch,
            json!({"a": {"b": 2}, "d": null, "e": {"x": {}}, "f": "x"})
        );
        let mut replayed = old;
        patch::merge(&mut replayed, &patch).unwrap();
        assert_eq!(replayed, *new);
    }

    #[test]
    fn an_object_with_a_null_is_written_whole() {
        let new = Arc::new(json!({"a": null}));
        assert_eq!(
            content(Some(&json!({"a": 1})), &new),
            Content::Object(new.clone())
        );
    }
}
