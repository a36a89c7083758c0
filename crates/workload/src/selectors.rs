//! Which Pods a label selector picks, and which Services and budgets pick a Pod, without looking at all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_json::{Map, Value};
use wavetank_model::{Api, ObjectKey, object};

use crate::read::{list, map, text};

/// Names by one label of one namespace.
#[derive(Debug, Default)]
struct ByLabel<T: Ord>(BTreeMap<String, BTreeSet<T>>);

fn slot(namespace: &str, key: &str, value: &str) -> String {
    let mut out = String::with_capacity(namespace.len() + key.len() + value.len() + 2);
    for part in [namespace, "\n", key, "\n", value] {
        out.push_str(part);
    }
    out
}

impl<T: Ord> ByLabel<T> {
    fn insert(&mut self, slot: String, item: T) {
        self.0.entry(slot).or_default().insert(item);
    }

    fn remove(&mut self, slot: &str, item: &T) {
        if let Some(items) = self.0.get_mut(slot) {
            items.remove(item);
            if items.is_empty() {
                self.0.remove(slot);
            }
        }
    }
}

/// Objects by each of their labels.
#[derive(Debug, Default)]
pub(crate) struct Labelled(ByLabel<Arc<ObjectKey>>);

impl Labelled {
    /// An object came.
    pub(crate) fn insert(&mut self, key: &Arc<ObjectKey>, object: &Value) {
        for slot in slots(&key.namespace, object) {
            self.0.insert(slot, Arc::clone(key));
        }
    }

    /// An object, which looked like that, went.
    pub(crate) fn remove(&mut self, key: &Arc<ObjectKey>, object: &Value) {
        if self.0.0.is_empty() {
            return;
        }
        for slot in slots(&key.namespace, object) {
            self.0.remove(&slot, key);
        }
    }

    /// Those that the selector may pick.
    pub(crate) fn candidates(&self, namespace: &str, selector: &Value) -> Vec<Arc<ObjectKey>> {
        if self.0.0.is_empty() {
            return Vec::new();
        }
        let (label, value) = handle(selector);
        let found = self.0.0.get(&slot(namespace, label, value));
        found.into_iter().flatten().map(Arc::clone).collect()
    }
}

/// The slots an object stands in.
fn slots<'a>(namespace: &'a str, object: &'a Value) -> impl Iterator<Item = String> + 'a {
    labels(Some(object))
        .chain(std::iter::once(("", "")))
        .map(move |(key, value)| slot(namespace, key, value))
}

/// The index of Pods by label, and of Services and budgets.
#[derive(Debug, Default)]
pub(crate) struct Selectors {
    pods: ByLabel<Arc<str>>,
    pickers: Pickers,
}

/// Selecting objects by one label they ask for.
#[derive(Debug, Default)]
pub(crate) struct Pickers(ByLabel<Arc<ObjectKey>>);

impl Pickers {
    /// An object with a selector came, changed it or went.
    pub(crate) fn note(&mut self, key: &Arc<ObjectKey>, old: Option<&Value>, new: Option<&Value>) {
        if let Some(selector) = old {
            let (label, value) = handle(selector);
            self.0.remove(&slot(&key.namespace, label, value), key);
        }
        if let Some(selector) = new {
            let (label, value) = handle(selector);
            self.0
                .insert(slot(&key.namespace, label, value), Arc::clone(key));
        }
    }

    /// The objects that may pick an object with these labels.
    pub(crate) fn of(&self, namespace: &str, picked: &Value) -> BTreeSet<Arc<ObjectKey>> {
        if self.0.0.is_empty() {
            return BTreeSet::new();
        }
        slots(namespace, picked)
            .filter_map(|slot| self.0.0.get(&slot))
            .flatten()
            .map(Arc::clone)
            .collect()
    }
}

/// The label by which a selecting object is found; every Pod when it names none.
fn handle(selector: &Value) -> (&str, &str) {
    let labels = selector.get("matchLabels").unwrap_or(selector).as_object();
    // The hash of a template is shared by fewer than other labels.
    let hash = labels.and_then(|labels| labels.get_key_value("pod-template-hash"));
    let mut all = hash.into_iter().chain(labels.into_iter().flatten());
    let first = all.find_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    first.unwrap_or(("", ""))
}

fn labels(object: Option<&Value>) -> impl Iterator<Item = (&str, &str)> {
    let labels = object.and_then(|object| map(object, &["metadata", "labels"]));
    labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

impl Selectors {
    /// A Pod came, changed its labels or went.
    pub(crate) fn note_pod(
        &mut self,
        namespace: &str,
        name: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let same = matches!((old, new), (Some(old), Some(new)) if map(old, &["metadata", "labels"]) == map(new, &["metadata", "labels"]));
        if same {
            return;
        }
        let name: Arc<str> = Arc::from(name);
        for (key, value) in labels(old) {
            self.pods.remove(&slot(namespace, key, value), &name);
        }
        if old.is_some() {
            self.pods.remove(&slot(namespace, "", ""), &name);
        }
        if new.is_some() {
            self.pods.insert(slot(namespace, "", ""), Arc::clone(&name));
        }
        for (key, value) in labels(new) {
            self.pods
                .insert(slot(namespace, key, value), Arc::clone(&name));
        }
    }

    /// An object with a selector came, changed it or went.
    pub(crate) fn note_picker(
        &mut self,
        key: &Arc<ObjectKey>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        self.pickers.note(key, old, new);
    }

    /// The objects that may pick a Pod with these labels.
    pub(crate) fn pickers(&self, namespace: &str, pod: &Value) -> BTreeSet<Arc<ObjectKey>> {
        self.pickers.of(namespace, pod)
    }

    /// The Pods that a selector picks, by name.
    pub(crate) fn pods(&self, api: &dyn Api, namespace: &str, selector: &Value) -> Vec<Arc<Value>> {
        let (key, value) = handle(selector);
        let names = self
            .pods
            .0
            .get(&slot(namespace, key, value))
            .into_iter()
            .flatten();
        names
            .filter_map(|name| api.get(&ObjectKey::new("", "Pod", namespace, &**name)))
            .filter(|pod| picks(selector, pod))
            .collect()
    }
}

/// Whether a selector (a map of labels, or `matchLabels` and `matchExpressions`) picks the object.
pub(crate) fn picks(selector: &Value, object: &Value) -> bool {
    let no_labels = Map::new();
    let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
    let labels = if plain {
        selector.as_object()
    } else {
        map(selector, &["matchLabels"])
    }
    .unwrap_or(&no_labels);
    crate::read::has_labels(object, labels)
        && list(selector, &["matchExpressions"]).iter().all(|need| {
            let value = object::label(object, text(need, &["key"]));
            let listed = value
                .is_some_and(|value| list(need, &["values"]).iter().any(|listed| listed == value));
            match text(need, &["operator"]) {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
