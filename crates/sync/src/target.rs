//! Desired objects made comparable: scope, namespace, tracking, duplicates (SYNC-011, SYNC-012, SYNC-018).

use std::sync::Arc;

use indexmap::{Equivalent, IndexMap, IndexSet};
use wavetank_json::{Map, Value, json};
use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::kinds::is_definition;
use wavetank_model::object::At;
use wavetank_model::{ArgoVersion, GroupVersionKind, ObjectKey, Phase, object};

use crate::engine::{AppIdentity, TrackingMethod};
use crate::kinds::Kinds;
use crate::options::ManagedNamespaceMetadata;

/// The label of label tracking.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// One desired object, normalised, with what its annotations say.
#[derive(Clone, Debug)]
pub struct Target {
    /// The object as it will be sent: namespace settled, tracking set, hooks with their finalizer (SYNC-026).
    pub object: Arc<Value>,
    /// Kind and version.
    pub gvk: Arc<GroupVersionKind>,
    /// Its key: the namespace is empty for cluster-scoped kinds.
    pub key: ObjectKey,
    /// Key of its results: an empty namespace is the destination's, whatever the scope (SYNC-027).
    pub result_key: Arc<ObjectKey>,
    /// Rank of its kind (SYNC-040).
    pub kind_rank: u8,
    /// Whether the kind is namespaced; `None` when it is not known.
    pub namespaced: Option<bool>,
    /// Whether the kind is served in this version.
    pub served: bool,
    /// Whether it is a hook (SYNC-017).
    pub hook: bool,
    /// Phases it takes part in (SYNC-020).
    pub phases: Vec<Phase>,
    /// The wave its annotations give (SYNC-034).
    pub wave: i64,
    /// Delete policies; empty on resources (SYNC-072).
    pub policies: Vec<DeletePolicy>,
}

/// A remark about the desired state that Argo CD makes as a condition, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The object.
    pub key: ObjectKey,
    /// What is remarkable.
    pub text: String,
    /// Whether Argo CD makes it the condition `RepeatedResourceWarning`.
    pub repeated: bool,
}

/// The desired objects of an app, normalised.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// What the engine works with; nearly in the order of a plan, so that sorting that is cheap.
    pub list: Vec<Arc<Target>>,
    /// Group and kind of what its CRDs define.
    pub defined: Vec<(String, String)>,
    /// Remarks: duplicates, objects that are dropped silently.
    pub warnings: Vec<Warning>,
    /// Places in the list by key.
    index: IndexMap<ObjectKey, usize>,
    /// Desired objects that are not in the list: delete hooks, and hooks without a type.
    passed_over: IndexSet<ObjectKey>,
}

/// Remembers the last normalisation: a pure function of its inputs, so this is no state (SYNC-002).
#[derive(Debug, Default)]
pub struct TargetMemo(Option<Remembered>);

#[derive(Debug)]
struct Remembered {
    given: Arc<[Arc<Value>]>,
    app: AppIdentity,
    kinds: Arc<Kinds>,
    version: ArgoVersion,
    targets: Arc<Targets>,
}

impl TargetMemo {
    /// The normalised targets.
    pub fn targets(
        &mut self,
        given: &Arc<[Arc<Value>]>,
        app: &AppIdentity,
        kinds: &Arc<Kinds>,
        version: ArgoVersion,
    ) -> Arc<Targets> {
        if let Some(old) = &self.0
            && Arc::ptr_eq(&old.given, given)
            && old.app == *app
            && old.version == version
            && (Arc::ptr_eq(&old.kinds, kinds) || old.kinds == *kinds)
        {
            return old.targets.clone();
        }
        let targets = Arc::new(normalise(given, app, kinds, version));
        self.0 = Some(Remembered {
            given: given.clone(),
            app: app.clone(),
            kinds: kinds.clone(),
            version,
            targets: targets.clone(),
        });
        targets
    }
}

/// Normalises the desired objects (SYNC-011) and drops those the engine never sees (SYNC-012, SYNC-018).
pub fn normalise(
    given: &[Arc<Value>],
    app: &AppIdentity,
    kinds: &Kinds,
    version: ArgoVersion,
) -> Targets {
    let mut warnings = Vec::new();
    let mut unique: IndexMap<ObjectKey, (usize, Target)> = IndexMap::with_capacity(given.len());
    let mut unnamed = Vec::new();
    for (place, object) in given.iter().enumerate() {
        let Some(target) = read(object, app, kinds, Purpose::Sync(version)) else {
            continue;
        };
        if target.key.name.is_empty() {
            unnamed.push((place, target));
            continue;
        }
        // Keep the last of equal keys, at its own place.
        let times = unique
            .shift_remove(&target.key)
            .map_or(0, |(times, _)| times);
        unique.insert(target.key.clone(), (times + 1, target));
    }
    for (key, (times, _)) in unique.iter().filter(|(_, (times, _))| *times > 1) {
        let id = format!("{}/{}/{}/{}", key.group, key.kind, key.namespace, key.name);
        let text = format!("Resource {id} appeared {times} times among application resources.");
        warnings.push(Warning {
            key: key.clone(),
            text,
            repeated: true,
        });
    }
    let named = unique.into_values().map(|(_, target)| target);
    let list = named.chain(unnamed.into_iter().map(|(_, target)| target));
    let mut passed_over = IndexSet::new();
    let list = list.filter_map(|target| {
        let dropped = |key| passed_over.insert(key);
        admit(target, &mut warnings).map_err(dropped).ok()
    });
    let mut list: Vec<Arc<Target>> = list.map(Arc::new).collect();
    list.sort_by(|a, b| {
        (a.wave, a.kind_rank, &a.key.name, &a.key).cmp(&(b.wave, b.kind_rank, &b.key.name, &b.key))
    });
    let defined = list
        .iter()
        .filter_map(|target| crate::plan::defined_kind(&target.object));
    let defined = defined
        .map(|(group, kind)| (group.to_owned(), kind.to_owned()))
        .collect();
    let mut targets = Targets {
        list,
        defined,
        warnings,
        index: IndexMap::default(),
        passed_over,
    };
    targets.index_keys();
    targets
}

/// Borrowed parts of an [`ObjectKey`], hashed and compared as that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyRef<'a> {
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> KeyRef<'a> {
    /// The key of an object, without copying; `None` without kind.
    pub(crate) fn of(object: &'a Value) -> Option<Self> {
        let api_version = object.at(&["apiVersion"])?.as_str()?;
        let (group, _) = wavetank_model::key::split_api_version(api_version);
        Some(Self {
            group,
            kind: object.at(&["kind"])?.as_str()?,
            namespace: object::namespace(object),
            name: object::name(object),
        })
    }
}

impl Equivalent<ObjectKey> for KeyRef<'_> {
    fn equivalent(&self, key: &ObjectKey) -> bool {
        self.name == key.name
            && self.kind == key.kind
            && self.group == key.group
            && self.namespace == key.namespace
    }
}

impl Targets {
    /// The place of the target with that key; a kind of unknown scope is also found without namespace (SYNC-009).
    pub(crate) fn place(&self, key: KeyRef<'_>) -> Option<usize> {
        self.index.get(&key).copied()
    }

    /// Whether that is the key of a desired object that a sync passes over.
    pub(crate) fn passes_over(&self, key: KeyRef<'_>) -> bool {
        !self.passed_over.is_empty() && self.passed_over.contains(&key)
    }

    fn index_keys(&mut self) {
        let mut index = IndexMap::with_capacity(self.list.len());
        for (place, target) in self.list.iter().enumerate() {
            index.insert(target.key.clone(), place);
        }
        for (place, target) in self
            .list
            .iter()
            .enumerate()
            .filter(|(_, target)| target.namespaced.is_none())
        {
            let key = ObjectKey {
                namespace: String::new(),
                ..target.key.clone()
            };
            index.entry(key).or_insert(place);
        }
        self.index = index;
    }
}

/// The hooks of a delete phase, with tracking and namespace, without finalizer (SYNC-143, SYNC-146).
pub fn delete_hooks(
    given: &[Arc<Value>],
    app: &AppIdentity,
    kinds: &Kinds,
    phase: Phase,
) -> Vec<Target> {
    let hooks = given
        .iter()
        .filter(|object| argo::is_delete_hook(object, phase));
    hooks
        .filter_map(|object| read(object, app, kinds, Purpose::Deletion))
        .collect()
}

/// Drops delete hooks and hooks without a type, with a remark; gives the key of what is dropped.
fn admit(target: Target, warnings: &mut Vec<Warning>) -> Result<Target, ObjectKey> {
    if target.hook && target.phases.is_empty() {
        // SYNC-012: a delete hook is not for a sync. SYNC-018: anything else without a type is dropped silently.
        if !argo::is_any_delete_hook(&target.object) {
            let value = object::annotation(&target.object, argo::HOOK)
                .or_else(|| object::annotation(&target.object, argo::HELM_HOOK))
                .unwrap_or_default();
            let text = format!(
                "no item of the hook annotation `{value}` is a hook type: the object is dropped, never applied nor pruned (SYNC-018)"
            );
            warnings.push(Warning {
                key: target.key.clone(),
                text,
                repeated: false,
            });
        }
        return Err(target.key);
    }
    Ok(target)
}

/// What a desired object is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A sync, or a comparison, by this version of Argo CD.
    Sync(ArgoVersion),
    /// A hook of the deletion of the app.
    Deletion,
    /// The namespace of the app, which nobody desires by itself.
    Namespace,
}

impl Target {
    /// The namespace called `name` as its managed metadata make it; it is not tracked.
    pub(crate) fn managed_namespace(
        name: &str,
        metadata: &ManagedNamespaceMetadata,
        app: &AppIdentity,
    ) -> Option<Self> {
        let mut namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        metadata.put_into(&mut namespace);
        read(
            &Arc::new(namespace),
            app,
            &Kinds::builtin(),
            Purpose::Namespace,
        )
    }
}

/// Reads one desired object, as a sync takes it or the deletion of the app; `None` when it has no kind.
fn read(given: &Arc<Value>, app: &AppIdentity, kinds: &Kinds, purpose: Purpose) -> Option<Target> {
    let gvk = GroupVersionKind::of(given)?;
    let namespaced = kinds.namespaced(&gvk.group_kind());
    let mut key = ObjectKey::of(given)?;
    let mut object = Value::clone(given);
    let meta = metadata(&mut object);
    let stated = key.namespace.clone();
    if namespaced == Some(false) {
        meta.remove("namespace");
        key.namespace.clear();
    } else if key.namespace.is_empty() && !app.namespace.is_empty() {
        meta.insert("namespace".to_owned(), app.namespace.clone().into());
        key.namespace.clone_from(&app.namespace);
    }
    // What is settled of the namespace is tracked anew since 3.5.
    let anew = matches!(purpose, Purpose::Sync(version) if version > ArgoVersion::V3_4)
        && stated != key.namespace;
    let places = [
        if anew { "" } else { &stated },
        &key.namespace,
        &app.namespace,
    ];
    let place = places.into_iter().find(|place| !place.is_empty());
    // Argo CD does not track a definition, but for that.
    let tracked = match purpose {
        Purpose::Sync(_) => anew || !is_definition(&gvk.group, &gvk.kind),
        Purpose::Deletion => true,
        Purpose::Namespace => false,
    };
    if tracked {
        track(
            meta,
            app,
            &tracking_id(&app.name, &key, place.unwrap_or_default()),
        );
    }
    let (hook, phases) = (argo::is_hook(&object), argo::phases(&object));
    if purpose != Purpose::Deletion
        && hook
        && !object::finalizers(&object).any(|entry| entry == argo::HOOK_FINALIZER)
    {
        let finalizers = metadata(&mut object)
            .entry("finalizers")
            .or_insert(Value::Null);
        if !finalizers.is_array() {
            *finalizers = Value::Array(Vec::new());
        }
        if let Some(list) = finalizers.as_array_mut() {
            list.push(argo::HOOK_FINALIZER.into());
        }
    }
    let policies = if hook {
        argo::delete_policies(&object)
    } else {
        Vec::new()
    };
    let mut result_key = key.clone();
    if result_key.namespace.is_empty() {
        result_key.namespace.clone_from(&app.namespace);
    }
    Some(Target {
        wave: argo::wave(&object),
        kind_rank: crate::plan::kind_rank(&gvk.kind),
        object: Arc::new(object),
        served: kinds.resource(&gvk).is_some(),
        gvk: Arc::new(gvk),
        key,
        result_key: Arc::new(result_key),
        namespaced,
        hook,
        phases,
        policies,
    })
}

/// The metadata of an object, made when it is missing.
pub(crate) fn metadata(object: &mut Value) -> &mut Map {
    child(object, "metadata")
}

/// The annotations of an object, made when they are missing.
pub(crate) fn annotations(object: &mut Value) -> &mut Map {
    child_of(metadata(object), "annotations")
}

/// The mapping at `field`, made when it is missing or no mapping.
fn child<'a>(value: &'a mut Value, field: &str) -> &'a mut Map {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else {
        unreachable!("made an object above")
    };
    child_of(map, field)
}

fn child_of<'a>(map: &'a mut Map, field: &str) -> &'a mut Map {
    let entry = map.entry(field).or_insert(Value::Null);
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    let Value::Object(entry) = entry else {
        unreachable!("made an object above")
    };
    entry
}

/// `<app>:<group>/<kind>:<namespace>/<name>`; a cluster-scoped object shows the destination namespace.
fn tracking_id(app: &str, key: &ObjectKey, namespace: &str) -> String {
    format!("{app}:{}/{}:{namespace}/{}", key.group, key.kind, key.name)
}

fn track(meta: &mut Map, app: &AppIdentity, id: &str) {
    if app.tracking != TrackingMethod::Label {
        child_of(meta, "annotations").insert(argo::TRACKING_ID.to_owned(), id.into());
    }
    let label = match app.tracking {
        TrackingMethod::Annotation => return,
        TrackingMethod::Label => app.name.as_str(),
        TrackingMethod::AnnotationAndLabel => label_value(&app.name),
    };
    child_of(meta, "labels").insert(INSTANCE_LABEL.to_owned(), label.into());
}

/// As much of a name as a label may hold. Only where the annotation decides: label tracking sends the whole name.
fn label_value(name: &str) -> &str {
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim_end_matches(|last: char| !last.is_ascii_alphanumeric())
}

/// The app a live object says it belongs to.
pub fn owner_app(live: &Value, tracking: TrackingMethod) -> Option<&str> {
    match tracking {
        TrackingMethod::Label => object::label(live, INSTANCE_LABEL),
        TrackingMethod::Annotation | TrackingMethod::AnnotationAndLabel => Some(
            object::annotation(live, argo::TRACKING_ID)?
                .split_once(':')?
                .0,
        ),
    }
}

/// A live object as annotation tracking would have left it (SYNC-149): with the tracking id where it has only a label of an
/// instance, and without that label where nobody desires it. So a change from label tracking, or from another tool that
/// writes the label, is no difference.
pub(crate) fn as_if_annotated(
    target: &Value,
    live: &Arc<Value>,
    tracking: TrackingMethod,
) -> Arc<Value> {
    let instance = |object: &Value| {
        let label = object::label(object, INSTANCE_LABEL);
        label.is_some_and(|label| !label.is_empty())
    };
    let defines = || {
        let key = ObjectKey::of(live);
        key.is_some_and(|key| is_definition(&key.group, &key.kind))
    };
    if tracking == TrackingMethod::Label || !instance(live) || defines() {
        return Arc::clone(live);
    }
    let mut out = Value::clone(live);
    let id = object::annotation(target, argo::TRACKING_ID).unwrap_or_default();
    if object::annotation(live, argo::TRACKING_ID).is_none_or(str::is_empty) {
        annotations(&mut out).insert(argo::TRACKING_ID.to_owned(), id.into());
    }
    if !instance(target) {
        let meta = metadata(&mut out);
        let labels = child_of(meta, "labels");
        labels.remove(INSTANCE_LABEL);
        if labels.is_empty() {
            meta.remove("labels");
        }
    }
    Arc::new(out)
}

/// Whether a live object's tracking id, if it has one, describes that very object (SYNC-013).
pub fn is_self_referenced(live: &Value, tracking: TrackingMethod) -> bool {
    if tracking == TrackingMethod::Label {
        return true;
    }
    let Some(id) = object::annotation(live, argo::TRACKING_ID) else {
        return true;
    };
    let mut parts = id.splitn(3, ':');
    let (_, Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return true;
    };
    let (Some(key), Some((group, kind)), Some((namespace, name))) = (
        ObjectKey::of(live),
        kind.split_once('/'),
        name.split_once('/'),
    ) else {
        return true;
    };
    (key.namespace.is_empty() || key.namespace == namespace)
        && key.name == name
        && key.group == group
        && key.kind == kind
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    fn app(tracking: TrackingMethod) -> AppIdentity {
        AppIdentity {
            name: "shop".to_owned(),
            namespace: "prod".to_owned(),
            tracking,
        }
    }

    fn normalised(objects: Vec<Value>) -> Targets {
        normalised_by(objects, ArgoVersion::default())
    }

    fn normalised_by(objects: Vec<Value>, version: ArgoVersion) -> Targets {
        let objects: Vec<Arc<Value>> = objects.into_iter().map(Arc::new).collect();
        let app = app(TrackingMethod::Annotation);
        normalise(&objects, &app, &Kinds::builtin(), version)
    }

    /// SYNC-011, SYNC-013: a definition has the tracking id that is written in it, or since 3.5 one because a namespace is
    /// taken from it; a hook of the deletion always has one.
    #[test]
    fn definitions_are_not_tracked() {
        let definition = |namespace: &str, marks: Value| {
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "ws.example.com", "namespace": namespace, "annotations": marks},
            })
        };
        let id = |namespace: &str, marks: Value, version| {
            let targets = normalised_by(vec![definition(namespace, marks)], version);
            let id = object::annotation(&targets.list[0].object, argo::TRACKING_ID);
            id.map(str::to_owned)
        };
        let all = "shop:apiextensions.k8s.io/CustomResourceDefinition:prod/ws.example.com";
        let own = || json!({argo::TRACKING_ID: "mine:x/y:z/n"});
        for version in ArgoVersion::ALL {
            assert_eq!(id("", json!({}), version), None);
            assert_eq!(id("", own(), version).as_deref(), Some("mine:x/y:z/n"));
            let moved = (version > ArgoVersion::V3_4).then_some(all);
            assert_eq!(id("x", json!({}), version).as_deref(), moved, "{version:?}");
        }
        let hook = Arc::new(definition("", json!({argo::HOOK: "PreDelete"})));
        let app = app(TrackingMethod::Annotation);
        let hooks = delete_hooks(&[hook], &app, &Kinds::builtin(), Phase::PreDelete);
        assert_eq!(
            object::annotation(&hooks[0].object, argo::TRACKING_ID),
            Some(all)
        );
    }

    /// SYNC-011, U-193: scope decides about the namespace; before 3.5 the tracking id kept that of a cluster-scoped object.
    #[rstest]
    #[case(ArgoVersion::V3_4, "x")]
    #[case(ArgoVersion::V3_5, "prod")]
    #[case(ArgoVersion::V3_6, "prod")]
    fn cluster_scoped_targets_lose_their_namespace_and_others_get_one(
        #[case] version: ArgoVersion,
        #[case] tracked: &str,
    ) {
        let objects = vec![
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r", "namespace": "x"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d", "namespace": "other"}}),
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}),
        ];
        let targets = normalised_by(objects, version);
        let shown: Vec<String> = targets
            .list
            .iter()
            .map(|target| {
                let id = object::annotation(&target.object, argo::TRACKING_ID).unwrap_or_default();
                format!("{} {id}", target.key)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "ConfigMap/prod/c shop:/ConfigMap:prod/c",
                "ConfigMap/other/d shop:/ConfigMap:other/d",
                &format!(
                    "ClusterRole.rbac.authorization.k8s.io/r shop:rbac.authorization.k8s.io/ClusterRole:{tracked}/r"
                ),
                "Widget.example.com/prod/w shop:example.com/Widget:prod/w",
            ]
        );
    }

    /// SYNC-011, U-191: the last of equal keys stays, with a warning; generateName-only targets are never duplicates.
    #[test]
    fn the_last_duplicate_stays() {
        let config = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": value}});
        let job = || json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-", "annotations": {argo::HOOK: "Sync"}}});
        let targets = normalised(vec![config("1"), config("2"), job(), job()]);
        assert_eq!(targets.list.len(), 3);
        assert_eq!(targets.list[0].object["data"]["k"], "2");
        assert_eq!(
            targets.warnings[0].text,
            "Resource /ConfigMap/prod/c appeared 2 times among application resources."
        );
    }

    /// SYNC-012, SYNC-018, SYNC-026.
    #[test]
    fn hooks_are_sorted_out_and_get_their_finalizer() {
        let hook = |name: &str, types: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": {argo::HOOK: types}}});
        let targets = normalised(vec![
            hook("typo", "Presync"),
            hook("delete", "PreDelete"),
            hook("both", "PreDelete,PreSync"),
        ]);
        let names: Vec<&str> = targets
            .list
            .iter()
            .map(|target| target.key.name.as_str())
            .collect();
        assert_eq!(names, ["both"]);
        assert_eq!(
            targets.list[0].object["metadata"]["finalizers"],
            json!([argo::HOOK_FINALIZER])
        );
        assert_eq!(targets.warnings.len(), 1, "only the typo is remarkable");
        assert!(targets.warnings[0].text.contains("`Presync`"));
    }

    /// SYNC-011: with both ways of tracking a long name is cut for the label, so that it ends well; with labels alone the
    /// server will refuse it.
    #[test]
    fn long_names_are_cut_for_the_label() {
        let name = format!("{}-{}", "a".repeat(62), "b".repeat(10));
        let label = |tracking| {
            let app = AppIdentity {
                name: name.clone(),
                ..app(tracking)
            };
            let given = [Arc::new(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
            )];
            let targets = normalise(&given, &app, &Kinds::builtin(), ArgoVersion::default());
            object::label(&targets.list[0].object, INSTANCE_LABEL).map(str::to_owned)
        };
        assert_eq!(
            label(TrackingMethod::AnnotationAndLabel),
            Some("a".repeat(62))
        );
        assert_eq!(label(TrackingMethod::Label), Some(name.clone()));
        assert_eq!(label(TrackingMethod::Annotation), None);
    }

    /// SYNC-013: a copy that another controller made carries the id of its original.
    #[test]
    fn a_copied_tracking_id_does_not_describe_the_copy() {
        let config = |name: &str, id: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "prod", "annotations": {argo::TRACKING_ID: id}}});
        let (own, copy) = (
            config("c", "shop:/ConfigMap:prod/c"),
            config("copy", "shop:/ConfigMap:prod/c"),
        );
        assert!(is_self_referenced(&own, TrackingMethod::Annotation));
        assert!(!is_self_referenced(&copy, TrackingMethod::Annotation));
        assert!(is_self_referenced(&copy, TrackingMethod::Label));
        assert_eq!(owner_app(&copy, TrackingMethod::Annotation), Some("shop"));
    }
}
