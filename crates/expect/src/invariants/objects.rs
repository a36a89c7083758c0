//! What the trace tells of each object so far.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::json::Json;
use wavetank_model::{ChangeKind, GroupKind, ObjectKey, Verb, argo};
use wavetank_trace::{ApiEvent, Content};

/// The objects of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    objects: IndexMap<ObjectKey, Facts>,
    /// Kinds whose collection a fault hit: a list, or the deliveries of a watch.
    faulted_kinds: BTreeSet<GroupKind>,
}

/// What is known of one object.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each learnt from another entry"
)]
pub(super) struct Facts {
    /// Whether it is there.
    pub(super) exists: bool,
    /// Its health and since when; `None` for kinds without health.
    pub(super) health: Option<(Verb, SimTime)>,
    /// Whether it carries the hook finalizer.
    pub(super) finalizer: bool,
    /// Whether a write of the engine was refused.
    pub(super) refused: bool,
    faulted: bool,
}

impl Facts {
    /// Whether the gates are open for it.
    pub(super) fn is_good(&self, hook: bool) -> bool {
        self.health.is_none_or(|(verb, _)| is_good(verb, hook))
    }

    /// Whether it is a failure to the engine.
    pub(super) fn is_bad(&self) -> bool {
        self.health.is_some_and(|(verb, _)| is_bad(verb))
    }
}

/// Healthy is a good end, and for a hook Missing too (SYNC-048, SYNC-049).
pub(super) fn is_good(verb: Verb, hook: bool) -> bool {
    verb == Verb::Healthy || (hook && verb == Verb::Missing)
}

/// Degraded fails hooks and resources, Unknown fails hooks (SYNC-048, SYNC-160).
pub(super) fn is_bad(verb: Verb) -> bool {
    matches!(verb, Verb::Degraded | Verb::Unknown)
}

impl Objects {
    /// What is known of `key`.
    pub(super) fn get(&self, key: &ObjectKey) -> Facts {
        self.objects.get(key).copied().unwrap_or_default()
    }

    fn facts(&mut self, key: &ObjectKey) -> &mut Facts {
        let index = match self.objects.get_index_of(key) {
            Some(index) => index,
            None => self.objects.insert_full(key.clone(), Facts::default()).0,
        };
        &mut self.objects[index]
    }

    /// Takes a commit; whether the object is gone by it.
    pub(super) fn change(&mut self, api: &ApiEvent) -> bool {
        let finalizers = match &api.content {
            Some(Content::Object(object)) => finalizers(object).or(Some(Value::Null)),
            Some(Content::Patch(patch)) => finalizers(patch),
            None => None,
        };
        // Most commits: they change nothing that is kept here.
        if api.verb == ChangeKind::Updated && finalizers.is_none() {
            return false;
        }
        let facts = self.facts(&api.key);
        match api.verb {
            ChangeKind::Deleted => {
                (facts.exists, facts.health, facts.finalizer) = (false, None, false);
                return true;
            }
            ChangeKind::Created => (facts.exists, facts.health) = (true, None),
            ChangeKind::Updated | ChangeKind::Deleting => facts.exists = true,
        }
        if let Some(finalizers) = finalizers {
            facts.finalizer = holds_finalizer(&finalizers);
        }
        false
    }

    /// Takes a change of health.
    pub(super) fn health(&mut self, key: &ObjectKey, verb: Verb, time: SimTime) {
        self.facts(key).health = Some((verb, time));
    }

    /// A fault hit a request for `key`, or, with an empty name, one for all of its kind.
    pub(super) fn fault(&mut self, key: &ObjectKey) {
        if key.name.is_empty() {
            self.faulted_kinds.insert(key.group_kind());
        } else {
            self.facts(key).faulted = true;
        }
    }

    /// A write of the engine was refused.
    pub(super) fn refused(&mut self, key: &ObjectKey) {
        self.facts(key).refused = true;
    }

    /// Whether a fault hit the object.
    pub(super) fn is_faulted(&self, key: &ObjectKey) -> bool {
        self.get(key).faulted
            || (!self.faulted_kinds.is_empty() && self.faulted_kinds.contains(&key.group_kind()))
    }
}

/// The finalizers that an object or a patch names; null where a patch removes them.
fn finalizers(content: &Json) -> Option<Value> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        #[serde(default, deserialize_with = "present")]
        finalizers: Option<Value>,
    }
    fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }
    if !content.mentions("\"finalizers\":") {
        return None;
    }
    content.part::<Part>()?.metadata.finalizers
}

fn holds_finalizer(finalizers: &Value) -> bool {
    let mut finalizers = finalizers.as_array().into_iter().flatten();
    finalizers.any(|name| name.as_str() == Some(argo::HOOK_FINALIZER))
}
