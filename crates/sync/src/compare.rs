//! Whether an app is in sync (SYNC-148, SYNC-149), and what a comparison finds beside that (SYNC-102).
//!
//! The comparison is Argo CD's three-way one, and two-way for objects that were not made by an apply; objects that are
//! applied from the server are merged as the server would before 3.6; custom resources of those, whose schema is not known
//! here, are answered by the two-way comparison. What the server was asked about ([`crate::server_side_diff`]) is as it
//! said.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_json::Value;
use wavetank_model::{ObjectKey, argo};

use crate::diff;
use crate::engine::{AppIdentity, TrackingMethod};
use crate::ignore;
use crate::kinds::Kinds;
use crate::options::SyncOptions;
use crate::reconcile::{Pair, reconcile};
use crate::server_side_diff::Answers;
use crate::target::{self, Targets, Warning};

/// Sync status of an app or of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SyncCode {
    /// As desired.
    Synced,
    /// Different, missing, or no longer desired.
    OutOfSync,
    /// It could not be found out.
    Unknown,
}

/// One object of a comparison that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceComparison {
    /// The object.
    pub key: ObjectKey,
    /// Its status.
    pub status: SyncCode,
    /// Whether it is no longer desired.
    pub requires_pruning: bool,
    /// The live object, if there is one.
    pub live: Option<Arc<Value>>,
    /// Whether a difference does not count for the app (compare option `IgnoreExtraneous`).
    pub extraneous: bool,
}

/// What a comparison found.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Status of the app.
    pub status: SyncCode,
    /// The objects that count: no hooks, skipped or ignored ones, no copies (SYNC-013).
    pub resources: Vec<ResourceComparison>,
    /// Whether beside them there are some without a status that pruning would not take: skipped ones, copies, and what is
    /// desired as no hook while the live object is one.
    pub others: bool,
    /// Live objects without a target and without a status whose health counts all the same: copies (SYNC-126).
    pub copies: Vec<Arc<Value>>,
    /// Objects without a status whose kind the project does not permit: they are Unknown.
    pub unpermitted: Vec<ObjectKey>,
    /// Live objects that another app claims, with its name (SYNC-102).
    pub shared: Vec<(ObjectKey, String)>,
    /// Remarks about the desired state.
    pub warnings: Vec<Warning>,
}

impl Comparison {
    /// As it is when the comparison failed: nothing is known of any object (SYNC-148).
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.status = SyncCode::Unknown;
        for resource in &mut self.resources {
            resource.status = SyncCode::Unknown;
        }
        self
    }
}

/// Compares desired and live state; `answers` are what the server was asked.
pub fn compare(
    given: &[Arc<Value>],
    live: &[Arc<Value>],
    app: &AppIdentity,
    kinds: &Kinds,
    options: &SyncOptions,
    answers: &Answers,
) -> Comparison {
    let targets = target::normalise(given, app, kinds, options.version);
    let pairs = permitted_pairs(&targets, live, app, options);
    let mut resources: Vec<ResourceComparison> = pairs
        .iter()
        .filter(|pair| is_counted(pair))
        .filter_map(|pair| status_of(pair, app, options, answers))
        .collect();
    let differs =
        |resource: &ResourceComparison| resource.status != SyncCode::Synced && !resource.extraneous;
    let status = if resources.iter().any(differs) {
        SyncCode::OutOfSync
    } else {
        SyncCode::Synced
    };
    // Their difference counts for the app all the same.
    let is_permitted = |key: &ObjectKey| {
        let project = options.project.as_deref();
        project.is_none_or(|project| {
            project.permits_kind(&key.group_kind(), &key.name, !key.namespace.is_empty())
        })
    };
    for resource in &mut resources {
        if !is_permitted(&resource.key) {
            resource.status = SyncCode::Unknown;
        }
    }
    let uncounted = pairs.iter().filter(|pair| !is_counted(pair));
    let unpermitted = uncounted
        .filter_map(key_of)
        .filter(|key| !is_permitted(key))
        .collect();
    let others = pairs
        .iter()
        .any(|pair| pair.foreign_copy || (pair.target.is_some() && !counts(pair)));
    Comparison {
        status,
        resources,
        others,
        copies: copies(&pairs),
        unpermitted,
        shared: shared(&pairs, app),
        warnings: targets.warnings,
    }
}

/// What can be told of an app's objects without comparing any.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The objects whose health counts, as in [`Comparison`]: whether each is desired, and the live one.
    pub objects: Vec<(bool, Option<Arc<Value>>)>,
    /// Live objects that another app claims, with its name (SYNC-102).
    pub shared: Vec<(ObjectKey, String)>,
}

/// Pairs desired and live state as [`compare`] does.
pub fn standing(
    given: &[Arc<Value>],
    live: &[Arc<Value>],
    app: &AppIdentity,
    kinds: &Kinds,
    options: &SyncOptions,
) -> Standing {
    let targets = target::normalise(given, app, kinds, options.version);
    let pairs = permitted_pairs(&targets, live, app, options);
    let counted = pairs.iter().filter(|pair| is_counted(pair));
    let counted = counted.map(|pair| (pair.target.is_some(), pair.live.clone()));
    let copies = copies(&pairs).into_iter().map(|copy| (false, Some(copy)));
    Standing {
        objects: counted.chain(copies).collect(),
        shared: shared(&pairs, app),
    }
}

/// What the project does not permit is as if it were not there (SYNC-010).
fn permitted_pairs(
    targets: &Targets,
    live: &[Arc<Value>],
    app: &AppIdentity,
    options: &SyncOptions,
) -> Vec<Pair> {
    let Some(project) = options.project.as_deref() else {
        return reconcile(targets, live, app, options).pairs;
    };
    let permits = |live: &&Arc<Value>| {
        ObjectKey::of(live).is_none_or(|key| project.permits_live(&key, options.version))
    };
    let permitted: Vec<Arc<Value>> = live.iter().filter(permits).cloned().collect();
    reconcile(targets, &permitted, app, options).pairs
}

fn is_counted(pair: &Pair) -> bool {
    !pair.foreign_copy && counts(pair)
}

fn shared(pairs: &[Pair], app: &AppIdentity) -> Vec<(ObjectKey, String)> {
    let claimed = pairs.iter().filter_map(|pair| shared_with(pair, app));
    claimed.collect()
}

fn copies(pairs: &[Pair]) -> Vec<Arc<Value>> {
    let copies = pairs.iter().filter(|pair| pair.foreign_copy);
    copies.filter_map(|pair| pair.live.clone()).collect()
}

/// Hooks, by the live object where there is one, ignored objects and skipped targets have no status.
fn counts(pair: &Pair) -> bool {
    let is_hook = pair.live.as_deref().is_some_and(is_any_hook);
    let is_skipped = |target: &Arc<target::Target>| target.hook || target.phases.is_empty();
    !is_hook && !pair.target.as_ref().is_some_and(is_skipped)
}

fn key_of(pair: &Pair) -> Option<ObjectKey> {
    match (&pair.live, &pair.target) {
        (Some(live), _) => ObjectKey::of(live),
        (None, target) => target.as_ref().map(|target| target.key.clone()),
    }
}

/// Whether it is a hook of a sync or of a deletion; one that is skipped may be one for Helm.
fn is_any_hook(live: &Value) -> bool {
    argo::is_hook(live) || argo::is_any_delete_hook(live)
}

fn status_of(
    pair: &Pair,
    app: &AppIdentity,
    options: &SyncOptions,
    answers: &Answers,
) -> Option<ResourceComparison> {
    let key = key_of(pair)?;
    let (status, requires_pruning) = match (&pair.target, &pair.live) {
        // The sync makes it (SYNC-104).
        (Some(_), None) if options.manages_namespace(&key, app) => (SyncCode::Synced, false),
        (Some(target), Some(live)) if !differs(&target.object, live, app, options, answers) => {
            (SyncCode::Synced, false)
        }
        (Some(_), _) => (SyncCode::OutOfSync, false),
        (None, _) => (SyncCode::OutOfSync, true),
    };
    let extraneous = requires_pruning
        && pair
            .live
            .as_deref()
            .is_some_and(|live| ignore::has_compare_option(live, "IgnoreExtraneous"));
    Some(ResourceComparison {
        key,
        status,
        requires_pruning,
        live: pair.live.clone(),
        extraneous,
    })
}

fn shared_with(pair: &Pair, app: &AppIdentity) -> Option<(ObjectKey, String)> {
    let live = pair.live.as_ref()?;
    let other = target::owner_app(live, app.tracking).filter(|other| *other != app.name)?;
    Some((ObjectKey::of(live)?, other.to_owned()))
}

/// Whether an apply of `target` would change `live`, by what the server said of it, else by [`is_modified`].
pub(crate) fn differs(
    target: &Value,
    live: &Arc<Value>,
    app: &AppIdentity,
    options: &SyncOptions,
    answers: &Answers,
) -> bool {
    let asked = || answers.get(&ObjectKey::of(live)?).copied();
    asked().unwrap_or_else(|| is_modified(target, live, app.tracking, options))
}

/// Whether an apply of `target` would change `live`, found out without asking the server (SYNC-149).
pub fn is_modified(
    target: &Value,
    live: &Arc<Value>,
    tracking: TrackingMethod,
    options: &SyncOptions,
) -> bool {
    let live = target::as_if_annotated(target, live, tracking);
    diff::is_modified(target, &live, options)
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;
    use crate::options::ManagedNamespaceMetadata;
    use crate::testing::{app, objects, tracked};

    fn shown(targets: &str, live: &[Arc<Value>]) -> String {
        let comparison = compare(
            &objects(targets),
            live,
            &app(),
            &Kinds::builtin(),
            &SyncOptions::default(),
            &Answers::new(),
        );
        let mut lines = vec![format!("{:?}", comparison.status)];
        lines.extend(comparison.resources.iter().map(|resource| {
            let prune = if resource.requires_pruning {
                " prune"
            } else {
                ""
            };
            format!(
                "{} {:?}{prune}",
                resource.key.short("demo"),
                resource.status
            )
        }));
        lines.join(", ")
    }

    /// SYNC-148: missing, extra and changed objects; hooks and skipped ones have no status, but `Skip` counts on desired
    /// objects only.
    #[test]
    fn missing_and_extra_objects_are_out_of_sync() {
        let live = tracked(
            "ConfigMap/a\nConfigMap/extra\nJob/old hook=PreSync\nConfigMap/skipped hook=Skip",
        );
        assert_eq!(
            shown(
                "ConfigMap/a\nConfigMap/b\nJob/h hook=PreSync\nConfigMap/s hook=Skip",
                &live
            ),
            "OutOfSync, ConfigMap/a Synced, ConfigMap/b OutOfSync, ConfigMap/extra OutOfSync prune, \
             ConfigMap/skipped OutOfSync prune"
        );
        assert_eq!(
            shown("ConfigMap/skipped hook=Skip", &live[3..]),
            "Synced",
            "desired, and skipped"
        );
        assert_eq!(
            shown("ConfigMap/a", &live[..1]),
            "Synced, ConfigMap/a Synced"
        );
    }

    /// SYNC-126, SYNC-148: a live hook has no status, although nobody desires it as a hook; of a copy only the health counts.
    #[test]
    fn some_live_objects_have_no_status() {
        let live = tracked("ConfigMap/a hook=PreSync");
        assert_eq!(shown("ConfigMap/a", &live), "Synced");
        let mut copy = Value::clone(&tracked("ConfigMap/x")[0]);
        copy["metadata"]["name"] = "copy".into();
        let live = [Arc::new(copy)];
        let (app, kinds, options) = (app(), Kinds::builtin(), SyncOptions::default());
        let found = compare(&[], &live, &app, &kinds, &options, &Answers::new());
        assert!(found.resources.is_empty() && found.others);
        assert_eq!(found.copies, live);
        let objects = standing(&[], &live, &app, &kinds, &options).objects;
        assert_eq!(objects, [(false, Some(Arc::clone(&live[0])))]);
    }

    /// SYNC-148: an extra object that says so is no matter for the app.
    #[test]
    fn ignored_extra_objects_leave_the_app_in_sync() {
        let mut extra = Value::clone(&tracked("ConfigMap/x")[0]);
        extra["metadata"]["annotations"][argo::COMPARE_OPTIONS] = "IgnoreExtraneous".into();
        assert_eq!(
            shown("", &[Arc::new(extra)]),
            "Synced, ConfigMap/x OutOfSync prune"
        );
    }

    /// SYNC-148, SYNC-010: what the project does not permit is not looked at where it is, and Unknown where it is desired.
    #[test]
    fn what_is_not_permitted_has_no_status() {
        let entry = |text: &str| wavetank_json::from_value(serde_json::from_str(text).unwrap());
        let project = entry(
            r#"{"destinations": [{"name": "in-cluster", "namespace": "demo"}], "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}"#,
        );
        let options = SyncOptions {
            project: Some(Arc::new(project.unwrap())),
            ..SyncOptions::default()
        };
        let found = compare(
            &objects("ConfigMap/a\nSecret/s"),
            &tracked("ConfigMap/a\nSecret/s\nConfigMap/x ns=elsewhere"),
            &app(),
            &Kinds::builtin(),
            &options,
            &Answers::new(),
        );
        let shown =
            |one: &ResourceComparison| (one.key.name.clone(), one.status, one.live.is_some());
        let shown: Vec<_> = found.resources.iter().map(shown).collect();
        assert_eq!(found.status, SyncCode::OutOfSync);
        assert_eq!(
            shown,
            [
                ("s".to_owned(), SyncCode::Unknown, false),
                ("a".to_owned(), SyncCode::Synced, true)
            ]
        );
    }

    /// SYNC-102.
    #[test]
    fn objects_of_another_app_are_shared() {
        let mut live = Value::clone(&tracked("ConfigMap/a")[0]);
        live["metadata"]["annotations"][argo::TRACKING_ID] = "other:/ConfigMap:demo/a".into();
        let live = [Arc::new(live)];
        let comparison = compare(
            &objects("ConfigMap/a"),
            &live,
            &app(),
            &Kinds::builtin(),
            &SyncOptions::default(),
            &Answers::new(),
        );
        assert_eq!(comparison.shared[0].1, "other");
    }

    /// SYNC-104: nothing names the namespace, and with managed metadata it is no thing to prune all the same.
    #[test]
    fn a_namespace_with_managed_metadata_is_not_extra() {
        let mut namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}});
        namespace["metadata"]["annotations"][argo::TRACKING_ID] =
            "shop:/Namespace:demo/demo".into();
        let compared = |namespace: &Value, managed_namespace| {
            let options = SyncOptions {
                managed_namespace,
                ..SyncOptions::default()
            };
            let (kinds, answers) = (Kinds::builtin(), Answers::new());
            let live = [Arc::new(namespace.clone())];
            let found = compare(&[], &live, &app(), &kinds, &options, &answers);
            (found.status, found.resources[0].requires_pruning)
        };
        let metadata = ManagedNamespaceMetadata::default();
        assert_eq!(compared(&namespace, None), (SyncCode::OutOfSync, true));
        // The sync applies it from the server, and says so in it.
        let kept = compared(&namespace, Some(metadata.clone()));
        assert_eq!(kept, (SyncCode::OutOfSync, false));
        namespace["metadata"]["annotations"][argo::SYNC_OPTIONS] = "ServerSideApply=true".into();
        let kept = compared(&namespace, Some(metadata));
        assert_eq!(kept, (SyncCode::Synced, false));
    }

    /// SYNC-104, SYNC-148: the sync makes a managed namespace that is desired and missing.
    #[test]
    fn a_missing_managed_namespace_is_in_sync() {
        let status = |managed_namespace| {
            let options = SyncOptions {
                managed_namespace,
                ..SyncOptions::default()
            };
            let (kinds, answers) = (Kinds::builtin(), Answers::new());
            let targets = objects("Namespace/demo");
            compare(&targets, &[], &app(), &kinds, &options, &answers).status
        };
        assert_eq!(status(None), SyncCode::OutOfSync);
        let managed = Some(ManagedNamespaceMetadata::default());
        assert_eq!(status(managed), SyncCode::Synced);
    }

    /// SYNC-010, SYNC-148: what has the key of a delete hook is looked at, whoever made it; what is not permitted is Unknown,
    /// a hook too.
    #[test]
    fn delete_hooks_are_compared_in_part() {
        let mut live = Value::clone(&tracked("ConfigMap/a")[0]);
        live["metadata"]["annotations"][argo::TRACKING_ID] = "other:/ConfigMap:demo/a".into();
        let live = [Arc::new(live)];
        let found = |project: &str| {
            let options = SyncOptions {
                project: Some(Arc::new(
                    wavetank_json::from_slice(project.as_bytes()).unwrap(),
                )),
                ..SyncOptions::default()
            };
            let (kinds, answers) = (Kinds::builtin(), Answers::new());
            let targets = objects("ConfigMap/a hook=PreDelete\nJob/h hook=Skip");
            compare(&targets, &live, &app(), &kinds, &options, &answers)
        };
        let everywhere = r#"{"destinations": [{"server": "*", "namespace": "*"}]}"#;
        let all = found(everywhere);
        assert!(all.resources[0].requires_pruning && all.unpermitted.is_empty());
        assert_eq!(all.shared[0].1, "other");
        let jobs = r#"{"destinations": [{"server": "*", "namespace": "*"}], "namespaceResourceBlacklist": [{"group": "batch", "kind": "Job"}]}"#;
        assert_eq!(found(jobs).unpermitted[0].short("demo"), "Job/h");
    }
}
