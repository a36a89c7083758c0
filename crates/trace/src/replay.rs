//! The state at any point of a trace, by replaying it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wavetank_json::{Value, side_by_side};
use wavetank_model::json::Json;
use wavetank_model::patch::apply::ManagedFields;
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
                self.objects
                    .insert(api.key.clone(), Arc::new(object.value()));
            }
            (Some(Content::Patch(content)), _) => {
                let object = self.objects.entry(api.key.clone()).or_default();
                let content = content.value();
                // What is no mapping replaces the whole (RFC 7386).
                if patch::merge(Arc::make_mut(object), &content).is_err() {
                    *object = Arc::new(content);
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

/// The `managedFields` of an object before and after, where they are kept apart from it.
#[derive(Clone, Copy, Debug)]
pub struct Managed<'a> {
    /// Of the object before; empty where there was none.
    pub old: &'a ManagedFields,
    /// Of the object after.
    pub new: &'a ManagedFields,
}

/// The content that turns `old` into `new`: a merge patch, or the whole object where a null is new that a merge patch
/// cannot express. `text` is that of `new`, whole, where it is at hand.
pub fn content(
    old: Option<&Value>,
    new: &Value,
    managed: Option<Managed<'_>>,
    text: Option<&Bytes>,
) -> Content {
    let mut patch = Vec::new();
    let rest = match managed {
        Some(Managed { old, new }) if new != old => Rest::OfObject(new),
        _ => Rest::Nothing,
    };
    match old.map(|old| write_difference(&mut patch, old, new, rest)) {
        Some(Ok(())) => Content::Patch(Json::written(patch)),
        Some(Err(NullIsNew)) | None => Content::Object(match (text, managed) {
            (Some(text), _) => Json::shared(text),
            (None, Some(managed)) => {
                let mut whole = new.clone();
                managed.new.put_into(&mut whole);
                Json::of(&whole)
            }
            (None, None) => Json::of(new),
        }),
    }
}

const MANAGED_FIELDS: &str = "managedFields";

/// A difference that a merge patch cannot express: a null that is new.
struct NullIsNew;

/// What goes into a patch beside the difference of two values.
#[derive(Clone, Copy)]
enum Rest<'a> {
    Nothing,
    /// The values are objects, whose metadata get these `managedFields`.
    OfObject(&'a ManagedFields),
    /// The values are metadata, which get these `managedFields`.
    OfMetadata(&'a ManagedFields),
}

/// Writes the merge patch from `old` to `new`, which differ.
fn write_difference(
    out: &mut Vec<u8>,
    old: &Value,
    new: &Value,
    rest: Rest<'_>,
) -> Result<(), NullIsNew> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return write_new(out, new);
    };
    out.push(b'{');
    let start = out.len();
    for (key, old, new) in side_by_side(Some(old), Some(new)) {
        let Some(new) = new else {
            write_gone(out, key);
            continue;
        };
        let below = match rest {
            Rest::OfObject(managed) if key == "metadata" => Rest::OfMetadata(managed),
            _ => Rest::Nothing,
        };
        if matches!(below, Rest::Nothing) && old == Some(new) {
            continue;
        }
        wavetank_json::write_text(out, key);
        out.push(b':');
        match old {
            Some(old) => write_difference(out, old, new, below)?,
            None => write_new(out, new)?,
        }
        out.push(b',');
    }
    match rest {
        Rest::OfMetadata(managed) if managed.is_empty() => write_gone(out, MANAGED_FIELDS),
        Rest::OfMetadata(managed) => {
            wavetank_json::write_text(out, MANAGED_FIELDS);
            out.push(b':');
            managed.write(out);
            out.push(b',');
        }
        _ => {}
    }
    if out.len() > start {
        out.pop();
    }
    out.push(b'}');
    Ok(())
}

fn write_new(out: &mut Vec<u8>, value: &Value) -> Result<(), NullIsNew> {
    if holds_null(value) {
        return Err(NullIsNew);
    }
    wavetank_json::write(out, value);
    Ok(())
}

fn write_gone(out: &mut Vec<u8>, key: &str) {
    wavetank_json::write_text(out, key);
    out.extend_from_slice(b":null,");
}

/// Whether a merge patch would take a part of `value` for a removal. Lists it takes as they are.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn a_patch_leads_from_old_to_new() {
        let old = json!({"a": {"b": 1, "c": [1]}, "d": 1, "e": {}});
        let new = json!({"a": {"b": 2, "c": [1]}, "e": {"x": {}}, "f": "x", "g": [{"h": null}]});
        let Content::Patch(patch) = content(Some(&old), &new, None, None) else {
            panic!("not a patch")
        };
        assert_eq!(
            patch.value(),
            json!({"a": {"b": 2}, "d": null, "e": {"x": {}}, "f": "x", "g": [{"h": null}]})
        );
        let mut replayed = old;
        patch::merge(&mut replayed, &patch.value()).unwrap();
        assert_eq!(replayed, new);
        assert_eq!(
            content(Some(&new), &new, None, None),
            Content::Patch(Json::of(&json!({})))
        );
    }

    #[test]
    fn managed_fields_are_a_part_of_what_is_recorded() {
        let field = |name: &str| json!({"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {name: {}}}});
        let object = |version: &str, fields: &[&str]| {
            let fields: Vec<_> = fields.iter().map(|name| field(name)).collect();
            let mut object =
                json!({"metadata": {"resourceVersion": version, "managedFields": fields}});
            let whole = object.clone();
            (ManagedFields::take_stored(&mut object), object, whole)
        };
        let ((first, old, whole), (second, new, expected)) =
            (object("1", &["f:a"]), object("2", &["f:b"]));
        let none = ManagedFields::default();
        let created = Managed {
            old: &none,
            new: &first,
        };
        assert_eq!(
            content(None, &old, Some(created), None),
            Content::Object(Json::of(&whole))
        );
        let changed = Managed {
            old: &first,
            new: &second,
        };
        let Content::Patch(patch) = content(Some(&old), &new, Some(changed), None) else {
            panic!("not a patch")
        };
        let mut replayed = whole.clone();
        patch::merge(&mut replayed, &patch.value()).unwrap();
        assert_eq!(replayed, expected);
        let gone = Managed {
            old: &second,
            new: &none,
        };
        let Content::Patch(patch) = content(Some(&new), &new, Some(gone), None) else {
            panic!("not a patch")
        };
        assert_eq!(patch.value(), json!({"metadata": {"managedFields": null}}));
    }

    #[test]
    fn an_object_with_a_null_is_written_whole() {
        let new = json!({"a": null});
        assert_eq!(
            content(Some(&json!({"a": 1})), &new, None, None),
            Content::Object(Json::of(&new))
        );
    }
}
