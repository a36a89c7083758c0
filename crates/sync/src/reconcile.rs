//! Pairing desired objects with live ones (SYNC-009, SYNC-010, SYNC-013).

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use wavetank_json::Value;
use wavetank_model::{GroupVersionKind, ObjectKey, kinds, object};

use crate::engine::AppIdentity;
use crate::options::SyncOptions;
use crate::target::{self, KeyRef, Target, Targets};

/// A desired object and the live one of the same key; at least one side is there.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The desired object.
    pub target: Option<Arc<Target>>,
    /// The live object.
    pub live: Option<Arc<Value>>,
    /// Whether the live object is a copy that another controller made: it takes no part in the sync (SYNC-013).
    pub foreign_copy: bool,
}

/// Desired and live state, paired.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reconciled {
    /// Resources, and live objects without a target (hooks' live objects among them).
    pub pairs: Vec<Pair>,
    /// The hooks among the targets.
    pub hooks: Vec<Arc<Target>>,
}

/// Pairs `targets` with the app's objects among `live`.
///
/// The pool is what is tracked by the app and has no owner, and what has the key of a desired object, of a delete hook
/// too (SYNC-010). A tracked namespace of the app whose metadata are managed is desired, though nothing names it (SYNC-104).
/// The order is that of the targets, then that of `live`.
pub(crate) fn reconcile(
    targets: &Targets,
    live: &[Arc<Value>],
    app: &AppIdentity,
    options: &SyncOptions,
) -> Reconciled {
    let mut matched: Vec<Option<&Arc<Value>>> = vec![None; targets.list.len()];
    let mut extra: Vec<&Arc<Value>> = Vec::new();
    for object in live {
        let Some(key) = KeyRef::of(object) else {
            continue;
        };
        if let Some(place) = targets.place(key) {
            let target = &targets.list[place];
            // Where a kind of unknown scope has both, the namespaced one is meant.
            let better = matched[place].is_none() || key.namespace == target.key.namespace;
            let displaced = if better {
                matched[place].replace(object)
            } else {
                Some(object)
            };
            extra.extend(displaced);
        } else if targets.passes_over(key)
            || (target::owner_app(object, app.tracking) == Some(app.name.as_str())
                && object::owners(object).next().is_none())
        {
            extra.push(object);
        }
    }
    drop_twins(&matched, &mut extra);
    let mut out = Reconciled::default();
    for (target, live) in targets.list.iter().zip(matched) {
        if target.hook {
            out.hooks.push(target.clone());
            extra.extend(live);
            continue;
        }
        out.pairs.push(Pair {
            target: Some(target.clone()),
            live: live.map(|live| in_version_of(target, live)),
            foreign_copy: false,
        });
    }
    for object in extra {
        if let Some(target) = managed_namespace(object, targets, app, options) {
            out.pairs.push(Pair {
                target: Some(target),
                live: Some(Arc::clone(object)),
                foreign_copy: false,
            });
            continue;
        }
        let foreign_copy = !target::is_self_referenced(object, app.tracking);
        out.pairs.push(Pair {
            target: None,
            live: Some(Arc::clone(object)),
            foreign_copy,
        });
    }
    out
}

/// The namespace of the app as its managed metadata make it; `None` for another object, and where it is desired itself.
fn managed_namespace(
    live: &Value,
    targets: &Targets,
    app: &AppIdentity,
    options: &SyncOptions,
) -> Option<Arc<Target>> {
    let metadata = options.managed_namespace.as_ref()?;
    let key = ObjectKey::of(live).filter(|key| options.manages_namespace(key, app))?;
    let desired = KeyRef::of(live)?;
    if targets.place(desired).is_some() || targets.passes_over(desired) {
        return None;
    }
    Target::managed_namespace(&key.name, metadata, app).map(Arc::new)
}

/// A live custom resource in the version of its target: where that is served Argo CD reads it again in it, and without
/// conversion it is the same but for the version's name.
fn in_version_of(target: &Target, live: &Arc<Value>) -> Arc<Value> {
    let wanted = target.object.get("apiVersion");
    let gvk = &target.gvk;
    if live.get("apiVersion") == wanted
        || !target.served
        || kinds::is_builtin(&gvk.group, &gvk.kind)
    {
        return Arc::clone(live);
    }
    let mut live = Value::clone(live);
    if let (Some(wanted), Some(fields)) = (wanted, live.as_object_mut()) {
        fields.insert("apiVersion".to_owned(), wanted.clone());
    }
    Arc::new(live)
}

/// Leaves one object per uid: the one that a target names, else the last (SYNC-009).
fn drop_twins(matched: &[Option<&Arc<Value>>], extra: &mut Vec<&Arc<Value>>) {
    if extra.is_empty() {
        return;
    }
    let mut seen: BTreeSet<&str> = matched
        .iter()
        .flatten()
        .map(|live| object::uid(live))
        .collect();
    let mut kept: Vec<&Arc<Value>> = Vec::with_capacity(extra.len());
    for &live in extra.iter().rev() {
        let uid = object::uid(live);
        if uid.is_empty() || seen.insert(uid) {
            kept.push(live);
        }
    }
    kept.reverse();
    *extra = kept;
}

/// A live object and its namespace.
type Placed<'a> = (&'a str, &'a Arc<Value>);

/// Finds live objects for tasks that have none (SYNC-030): by group, kind and name.
#[derive(Debug)]
pub(crate) struct LiveIndex<'a>(IndexMap<(&'a str, &'a str, &'a str), Vec<Placed<'a>>>);

impl<'a> LiveIndex<'a> {
    /// Over the live objects of all pairs.
    pub(crate) fn new(pairs: &'a [Pair]) -> Self {
        let mut index: IndexMap<_, Vec<_>> = IndexMap::with_capacity(pairs.len());
        for live in pairs.iter().filter_map(|pair| pair.live.as_ref()) {
            if let Some(key) = KeyRef::of(live) {
                index
                    .entry((key.group, key.kind, key.name))
                    .or_default()
                    .push((key.namespace, live));
            }
        }
        Self(index)
    }

    /// The live object of that kind and name in `namespace`, or without a namespace.
    pub(crate) fn find(
        &self,
        gvk: &GroupVersionKind,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Value>> {
        let found = self.0.get(&(gvk.group.as_str(), gvk.kind.as_str(), name))?;
        let (_, live) = found
            .iter()
            .find(|(of, _)| of.is_empty() || *of == namespace)?;
        Some(Arc::clone(live))
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_model::{GroupKind, argo};

    use super::*;
    use crate::engine::TrackingMethod;
    use crate::kinds::{ApiResource, Kinds, KnownKind};

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
        let targets = target::normalise(
            targets,
            &app,
            &Kinds::builtin(),
            wavetank_model::ArgoVersion::default(),
        );
        let reconciled = reconcile(&targets, live, &app, &SyncOptions::default());
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

    /// SYNC-007: the version is no part of the key.
    #[test]
    fn versions_do_not_matter_for_a_pair() {
        let live = [config("example.com/v1beta1", "a", &json!({}))];
        assert_eq!(
            pairs_of(&[config("example.com/v1", "a", &json!({}))], &live),
            ["a a"]
        );
        let live = [config("other.com/v1", "a", &json!({}))];
        assert_eq!(
            pairs_of(&[config("example.com/v1", "a", &json!({}))], &live),
            ["a -"]
        );
    }

    /// SYNC-010: what a target names is seen in the target's version, where that is served.
    #[test]
    fn live_custom_resources_are_seen_in_the_version_of_their_target() {
        let app = AppIdentity {
            name: "shop".to_owned(),
            namespace: "shop".to_owned(),
            tracking: TrackingMethod::Annotation,
        };
        let mut kinds = Kinds::builtin();
        let known = KnownKind {
            versions: vec!["v2".to_owned(), "v1".to_owned()],
            resource: ApiResource {
                plural: "configmaps".to_owned(),
                namespaced: true,
            },
        };
        kinds.insert(GroupKind::new("example.com", "ConfigMap"), known);
        for (written, seen) in [("v2", "v2"), ("v1", "v1"), ("v3", "v1")] {
            let written = config(&format!("example.com/{written}"), "a", &json!({}));
            let live = [config("example.com/v1", "a", &json!({}))];
            let targets = target::normalise(
                &[written],
                &app,
                &kinds,
                wavetank_model::ArgoVersion::default(),
            );
            let reconciled = reconcile(&targets, &live, &app, &SyncOptions::default());
            let live = reconciled.pairs[0].live.as_deref().unwrap();
            assert_eq!(live["apiVersion"], format!("example.com/{seen}"));
        }
    }

    /// SYNC-009, U-189: a kind of unknown scope is found with and without namespace.
    #[test]
    fn unknown_scopes_are_paired_too() {
        let target =
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
        let mut live = target.clone();
        live["metadata"]["annotations"] =
            json!({argo::TRACKING_ID: "shop:example.com/Widget:shop/w"});
        assert_eq!(
            pairs_of(&[Arc::new(target.clone())], &[Arc::new(live.clone())]),
            ["w w"]
        );
        live["metadata"]["namespace"] = "shop".into();
        assert_eq!(pairs_of(&[Arc::new(target)], &[Arc::new(live)]), ["w w"]);
    }

    /// SYNC-030, U-055: by group, kind, name and namespace; what has no namespace fits every one.
    #[test]
    fn the_index_finds_by_kind_and_name() {
        let role = Arc::new(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wide"}}),
        );
        let pairs: Vec<Pair> = [config("v1", "a", &json!({})), role]
            .into_iter()
            .map(|live| Pair {
                target: None,
                live: Some(live),
                foreign_copy: false,
            })
            .collect();
        let index = LiveIndex::new(&pairs);
        let gvk = GroupVersionKind::new("v1", "ConfigMap");
        assert!(index.find(&gvk, "shop", "a").is_some());
        assert!(index.find(&gvk, "other", "a").is_none());
        assert!(index.find(&gvk, "shop", "b").is_none());
        assert!(index.find(&gvk, "shop", "wide").is_some());
        assert!(
            index
                .find(&GroupVersionKind::new("apps/v1", "ConfigMap"), "shop", "a")
                .is_none()
        );
        let none = LiveIndex::new(&[]);
        assert!(none.find(&gvk, "shop", "a").is_none());
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
