//! Pairing desired objects with live ones (SYNC-009, SYNC-010, SYNC-013).

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;
use wavetank_model::{GroupVersionKind, ObjectKey, object};

use crate::engine::AppIdentity;
use crate::target::{self, Target, Targets};

/// A desired object and the live one of the same key; at least one side is there.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The desired object.
    pub target: Option<Arc<Target>>,
    /// The live object.
    pub live: Option<Arc<Value>>,
    /// Whether the live object is a copy that another controller made: it takes no part in the sync (SYNC-013).
    pub foreign_copy: bool,
}

/// Borrowed group, kind, namespace and name.
type KeyRef<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Desired and live state, paired.
#[derive(Clone, Debug, Default)]
pub struct Reconciled {
    /// Resources, and live objects without a target (hooks' live objects among them).
    pub pairs: Vec<Pair>,
    /// The hooks among the targets.
    pub hooks: Vec<Arc<Target>>,
}

/// Splits an object's key out of it without copying; `None` without kind.
fn key_of(object: &Value) -> Option<KeyRef<'_>> {
    let api_version = object.get("apiVersion")?.as_str()?;
    let (group, _) = wavetank_model::key::split_api_version(api_version);
    Some((
        group,
        object.get("kind")?.as_str()?,
        object::namespace(object),
        object::name(object),
    ))
}

fn as_ref(key: &ObjectKey) -> KeyRef<'_> {
    (&key.group, &key.kind, &key.namespace, &key.name)
}

/// Pairs `targets` with the app's objects among `live`.
///
/// The pool is what is tracked by the app and has no owner, and what has the key of a target (SYNC-010). The order is
/// that of the targets, then that of `live`.
pub fn reconcile(targets: &Targets, live: &[Arc<Value>], app: &AppIdentity) -> Reconciled {
    let mut wanted: IndexMap<KeyRef<'_>, &Arc<Target>> =
        IndexMap::with_capacity(targets.list.len());
    for target in &targets.list {
        wanted.insert(as_ref(&target.key), target);
        // A kind of unknown scope may turn out to be cluster-scoped (SYNC-009).
        if target.namespaced.is_none() {
            wanted
                .entry((&target.key.group, &target.key.kind, "", &target.key.name))
                .or_insert(target);
        }
    }
    let mut pool: IndexMap<KeyRef<'_>, &Arc<Value>> = IndexMap::new();
    for object in live {
        let Some(key) = key_of(object) else { continue };
        let owned = || object::owners(object).next().is_some();
        let tracked = || target::owner_app(object, app.tracking) == Some(app.name.as_str());
        if wanted.contains_key(&key) || (tracked() && !owned()) {
            pool.insert(key, object);
        }
    }
    drop_twins(&mut pool, &wanted);
    let mut out = Reconciled::default();
    let mut taken: Vec<bool> = vec![false; pool.len()];
    for target in &targets.list {
        if target.hook {
            out.hooks.push(target.clone());
            continue;
        }
        let cluster = (
            target.key.group.as_str(),
            target.key.kind.as_str(),
            "",
            target.key.name.as_str(),
        );
        let place = match target.namespaced {
            Some(_) => pool.get_index_of(&as_ref(&target.key)),
            None => pool
                .get_index_of(&as_ref(&target.key))
                .or_else(|| pool.get_index_of(&cluster)),
        };
        let live = place.map(|place| {
            taken[place] = true;
            Arc::clone(pool[place])
        });
        out.pairs.push(Pair {
            target: Some(target.clone()),
            live,
            foreign_copy: false,
        });
    }
    for (object, _) in pool.values().zip(taken).filter(|(_, taken)| !taken) {
        let foreign_copy = !target::is_self_referenced(object, app.tracking);
        out.pairs.push(Pair {
            target: None,
            live: Some(Arc::clone(object)),
            foreign_copy,
        });
    }
    out
}

/// Leaves one object per uid: the one that a target names, else the last (SYNC-009).
fn drop_twins(
    pool: &mut IndexMap<KeyRef<'_>, &Arc<Value>>,
    wanted: &IndexMap<KeyRef<'_>, &Arc<Target>>,
) {
    // Twins are the same object under another group: only names that occur in several groups can be twins.
    let mut by_uid: BTreeMap<&str, Vec<KeyRef<'_>>> = BTreeMap::new();
    for (key, object) in pool.iter() {
        let uid = object::uid(object);
        if !uid.is_empty() {
            by_uid.entry(uid).or_default().push(*key);
        }
    }
    let mut dropped = Vec::new();
    for keys in by_uid.into_values().filter(|keys| keys.len() > 1) {
        let keep = keys
            .iter()
            .position(|key| wanted.contains_key(key))
            .unwrap_or(keys.len() - 1);
        dropped.extend(
            keys.iter()
                .enumerate()
                .filter(|(place, _)| *place != keep)
                .map(|(_, key)| *key),
        );
    }
    if !dropped.is_empty() {
        pool.retain(|key, _| !dropped.contains(key));
    }
}

/// Finds live objects for tasks that have none (SYNC-030).
#[derive(Debug)]
pub struct LiveIndex<'a>(IndexMap<(&'a str, &'a str, &'a str), Vec<(&'a str, &'a Arc<Value>)>>);

impl<'a> LiveIndex<'a> {
    /// Over the live objects of all pairs.
    pub fn new(pairs: &'a [Pair]) -> Self {
        let mut index: IndexMap<_, Vec<_>> = IndexMap::with_capacity(pairs.len());
        for live in pairs.iter().filter_map(|pair| pair.live.as_ref()) {
            if let Some((group, kind, namespace, name)) = key_of(live) {
                index
                    .entry((group, kind, name))
                    .or_default()
                    .push((namespace, live));
            }
        }
        Self(index)
    }

    /// The live object of that kind and name in `namespace`, or without a namespace.
    pub fn find(&self, gvk: &GroupVersionKind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let found = self.0.get(&(gvk.group.as_str(), gvk.kind.as_str(), name))?;
        let (_, live) = found
            .iter()
            .find(|(of, _)| of.is_empty() || *of == namespace)?;
        Some(Arc::clone(live))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavetank_model::argo;

    use super::*;
    use crate::engine::TrackingMethod;
    use crate::kinds::Kinds;

    fn config(group: &str, name: &str, meta: &Value) -> Arc<Value> {
        let mut object = json!({"apiVersion": group, "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}});
        for (key, value) in meta.as_object().into_iter().flatten() {
            object["metadata"][key] = value.clone();
        }
        Arc::new(object)
    }

    fn tracked(name: &str) -> Value {
        json!({"annotations": {argo::TRACKING_ID: format!("shop:/ConfigMap:shop/{name}")}})
    }

    fn pairs_of(targets: &[Arc<Value>], live: &[Arc<Value>]) -> Vec<String> {
        let app = AppIdentity {
            name: "shop".to_owned(),
            namespace: "shop".to_owned(),
            tracking: TrackingMethod::Annotation,
        };
        let targets = target::normalise(targets, &app, &Kinds::builtin());
        let reconciled = reconcile(&targets, live, &app);
        let show = |pair: &Pair| {
            let target = pair
                .target
                .as_ref()
                .map_or("-", |target| target.key.name.as_str());
            let live = pair.live.as_ref().map_or("-", |live| object::name(live));
            format!(
                "{target} {live}{}",
                if pair.foreign_copy { " copy" } else { "" }
            )
        };
        reconciled.pairs.iter().map(show).collect()
    }

    /// SYNC-009, SYNC-010: by key whoever tracks it; owned objects are nobody's.
    #[test]
    fn live_objects_are_paired_by_key_and_by_tracking() {
        let mut owned = tracked("owned");
        owned["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]);
        let live = [
            config("v1", "a", &json!({})),
            config("v1", "extra", &tracked("extra")),
            config("v1", "owned", &owned),
            config("v1", "stranger", &json!({})),
            config("v1", "copy", &tracked("extra")),
        ];
        let targets = [
            config("v1", "a", &json!({})),
            config("v1", "new", &json!({})),
        ];
        assert_eq!(
            pairs_of(&targets, &live),
            ["a a", "new -", "- extra", "- copy copy"]
        );
    }

    /// SYNC-009, item 2: one object served under two groups is one object.
    #[test]
    fn twins_of_one_uid_are_one_object() {
        let mut meta = tracked("a");
        meta["uid"] = "u1".into();
        let live = [config("old/v1", "a", &meta), config("v1", "a", &meta)];
        assert_eq!(pairs_of(&[config("v1", "a", &json!({}))], &live), ["a a"]);
    }
}
