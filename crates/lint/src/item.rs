//! The desired objects as a sync sees them: when each of them is applied, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use wavetank_json::Value;
use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::{ObjectKey, Phase, kinds, object};
use wavetank_scenario::{Location, Placed};

use crate::input::{Input, allowed};

/// When a task runs: phase and wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) phase: Phase,
    pub(crate) wave: i64,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.phase == Phase::SyncFail {
            return f.write_str("SyncFail/*");
        }
        write!(f, "{}/{}", self.phase, self.wave)
    }
}

/// A desired object.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) placed: &'a Placed,
    pub(crate) object: &'a Value,
    /// With the namespace that a sync gives it.
    pub(crate) key: ObjectKey,
    /// As people write it.
    pub(crate) name: String,
    pub(crate) hook: bool,
    /// The moments of a sync in which it is applied, in order.
    pub(crate) moments: Vec<Moment>,
    pub(crate) policies: Vec<DeletePolicy>,
    allowed: BTreeSet<String>,
}

/// All of them.
pub(crate) struct Items<'a> {
    pub(crate) input: &'a Input,
    pub(crate) list: Vec<Item<'a>>,
    /// Positions in `list` by kind, namespace and name.
    index: BTreeMap<(String, String, String), usize>,
    there: BTreeSet<(String, String, String)>,
}

impl<'a> Items<'a> {
    pub(crate) fn of(input: &'a Input) -> Self {
        let list: Vec<Item<'a>> = input
            .objects
            .iter()
            .map(|placed| Item::of(placed, &input.namespace))
            .collect();
        let mut index = BTreeMap::new();
        for (position, item) in list.iter().enumerate() {
            if !item.key.name.is_empty() {
                index.entry(identity(&item.key)).or_insert(position);
            }
        }
        let there = input
            .there
            .iter()
            .filter_map(|object| ObjectKey::of(object))
            .map(|mut key| {
                if key.namespace.is_empty() && is_namespaced(&key) {
                    "default".clone_into(&mut key.namespace);
                }
                identity(&key)
            })
            .collect();
        Self {
            input,
            list,
            index,
            there,
        }
    }

    /// The desired object of that kind and name in `namespace`, or cluster-scoped.
    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Item<'a>> {
        let key = |namespace: &str| (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.index
            .get(&key(namespace))
            .or_else(|| self.index.get(&key("")))
            .map(|position| &self.list[*position])
    }

    /// Whether it is there before the first sync.
    pub(crate) fn is_there(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let key = |namespace: &str| (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.there.contains(&key(namespace)) || self.there.contains(&key(""))
    }

    /// The last moment of the sync in which anything is applied, failures aside.
    pub(crate) fn last_moment(&self) -> Option<Moment> {
        self.list
            .iter()
            .flat_map(|item| &item.moments)
            .filter(|moment| moment.phase != Phase::SyncFail)
            .max()
            .copied()
    }
}

impl<'a> Item<'a> {
    fn of(placed: &'a Placed, home: &str) -> Self {
        let object = &*placed.object;
        let mut key = ObjectKey::of(object).unwrap_or_default();
        if key.namespace.is_empty() && is_namespaced(&key) {
            home.clone_into(&mut key.namespace);
        }
        let mut shown = key.clone();
        if shown.name.is_empty() {
            shown.name = format!("{}*", object::meta_str(object, "generateName"));
        }
        let wave = argo::wave(object);
        let moments = argo::phases(object)
            .into_iter()
            .map(|phase| Moment { phase, wave })
            .collect();
        Self {
            placed,
            object,
            name: shown.short(home),
            key,
            hook: argo::is_hook(object) || argo::is_any_delete_hook(object),
            moments,
            policies: argo::delete_policies(object),
            allowed: allowed(object),
        }
    }

    /// Whether findings with `code` are wanted about it.
    pub(crate) fn wants(&self, code: &str) -> bool {
        !self.allowed.contains(code)
    }

    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.key.group == group && self.key.kind == kind
    }

    /// Whether its name is made up in each sync.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.key.name.is_empty()
    }

    /// Whether it ends by itself: what a hook mostly is.
    pub(crate) fn is_finite(&self) -> bool {
        self.is("batch", "Job") || self.is("", "Pod") || self.is("argoproj.io", "Workflow")
    }

    pub(crate) fn has(&self, policy: DeletePolicy) -> bool {
        self.policies.contains(&policy)
    }

    /// When it is applied first, failures aside.
    pub(crate) fn first(&self) -> Option<Moment> {
        self.moments
            .iter()
            .find(|moment| moment.phase != Phase::SyncFail)
            .copied()
    }

    /// Where its annotation `key` was written.
    pub(crate) fn annotation(&self, key: &str) -> Location {
        self.placed
            .find(&["metadata", "annotations", key])
            .unwrap_or_else(|| self.placed.name())
    }

    /// Where the annotation that makes it a hook was written.
    pub(crate) fn hook_annotation(&self) -> Location {
        let key = if object::annotation(self.object, argo::HOOK).is_some() {
            argo::HOOK
        } else {
            argo::HELM_HOOK
        };
        self.annotation(key)
    }

    /// Where its delete policy was written; the hook annotation where none was.
    pub(crate) fn policy_annotation(&self) -> Location {
        [argo::HOOK_DELETE_POLICY, argo::HELM_HOOK_DELETE_POLICY]
            .into_iter()
            .find_map(|key| self.placed.find(&["metadata", "annotations", key]))
            .unwrap_or_else(|| self.hook_annotation())
    }

    /// Where its wave was written.
    pub(crate) fn wave_annotation(&self) -> Location {
        [argo::SYNC_WAVE, argo::HELM_HOOK_WEIGHT]
            .into_iter()
            .find_map(|key| self.placed.find(&["metadata", "annotations", key]))
            .unwrap_or_else(|| self.placed.name())
    }

    /// The line of its name, for "(line 41)".
    pub(crate) fn line(&self) -> usize {
        self.placed.name().line_and_column().0
    }
}

/// Kinds that nobody knows are taken for namespaced ones, as most are.
fn is_namespaced(key: &ObjectKey) -> bool {
    kinds::find(&key.group, &key.kind).is_none_or(|kind| kind.namespaced)
}

/// References in Pods name a kind without its group.
fn identity(key: &ObjectKey) -> (String, String, String) {
    (key.kind.clone(), key.namespace.clone(), key.name.clone())
}
