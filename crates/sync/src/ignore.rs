//! Ignored differences, and what is never compared (SYNC-103, SYNC-149).

mod form;
mod jq;
mod respect;
mod updates;

use serde::{Deserialize, Serialize};
use wavetank_health::glob::matches as glob;
use wavetank_json::{Map, Value};
use wavetank_model::object::At;
use wavetank_model::patch::apply::{Emptied, FieldSet, compare, remove_items, validate};
use wavetank_model::{ArgoVersion, GroupVersionKind, ObjectKey, argo, object, schema};

use crate::options::SyncOptions;
pub use respect::with_live_values;
pub use updates::ResourceUpdates;

/// One entry of an Application's `ignoreDifferences`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoredDifference {
    /// API group; `*` for any.
    pub group: String,
    /// Kind; `*` for any.
    pub kind: String,
    /// Name; empty for any.
    pub name: String,
    /// Namespace; empty for any.
    pub namespace: String,
    /// JSON pointers of ignored fields.
    pub json_pointers: Vec<String>,
    /// jq paths of ignored fields.
    pub jq_path_expressions: Vec<String>,
    /// Fields of these managers are ignored.
    pub managed_fields_managers: Vec<String>,
}

impl IgnoredDifference {
    /// An entry about all objects of a kind, `<group>/<Kind>` or `<Kind>`, that ignores nothing yet.
    pub fn of_kind(kind: &str) -> Self {
        let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    /// The first jq path that cannot be read.
    pub fn unreadable(&self) -> Option<&str> {
        let mut paths = self.jq_path_expressions.iter();
        paths.find(|path| !jq::check(path)).map(String::as_str)
    }

    /// Whether fields are ignored by who owns them.
    pub const fn names_managers(&self) -> bool {
        !self.managed_fields_managers.is_empty()
    }

    /// Whether the entry is about `key`.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        glob(&self.group, &key.group)
            && glob(&self.kind, &key.kind)
            && (self.name.is_empty() || self.name == key.name)
            && (self.namespace.is_empty() || self.namespace == key.namespace)
    }
}

/// What the annotation of a desired object ignores of it: JSON pointers, nothing else (since 3.6). A text that cannot be
/// read ignores nothing, and nobody is told.
pub(crate) fn of_annotation(target: &Value) -> Option<IgnoredDifference> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        json_pointers: Vec<String>,
    }
    let text = object::annotation(target, argo::IGNORE_DIFFERENCES)?;
    let written: Written = serde_saphyr::from_str(text).ok()?;
    let key = ObjectKey::of(target)?;
    Some(IgnoredDifference {
        group: key.group,
        kind: key.kind,
        name: key.name,
        namespace: key.namespace,
        json_pointers: written.json_pointers,
        ..IgnoredDifference::default()
    })
}

/// What the normalisation of a pair leaves of one of its objects, before they are compared: no ignored fields by path, no
/// status, no time of creation; Secrets by their `data`, and small differences of form of two more kinds.
pub(crate) fn normalise(ignored: &[IgnoredDifference], options: &SyncOptions, object: &mut Value) {
    normalise_form(object, options);
    strip_paths(ignored, object);
    if let Value::Object(map) = object {
        map.remove("status");
    }
}

/// Brings an object into the form in which it is compared; what is ignored stays.
pub(crate) fn normalise_form(object: &mut Value, options: &SyncOptions) {
    form::normalise(object, options.ignore_aggregated_roles);
}

/// Takes out what is ignored by its path.
fn strip_paths(ignored: &[IgnoredDifference], object: &mut Value) {
    let Some(key) = ObjectKey::of(object).filter(|_| !ignored.is_empty()) else {
        return;
    };
    for entry in ignored.iter().filter(|entry| entry.matches(&key)) {
        for pointer in &entry.json_pointers {
            remove(object, pointer);
        }
        for path in &entry.jq_path_expressions {
            jq::delete(object, path);
        }
    }
}

/// The managers whose fields are ignored in the object of this key.
fn managers<'a>(ignored: &'a [IgnoredDifference], key: &ObjectKey) -> Vec<&'a str> {
    let entries = ignored.iter().filter(|entry| entry.matches(key));
    let names = entries.flat_map(|entry| &entry.managed_fields_managers);
    names.map(String::as_str).collect()
}

/// Takes out of both objects what an ignored manager owns and the desired object has otherwise. What only one of them has
/// stays: a field that is desired no longer is a difference, whoever owns it.
pub(crate) fn strip_conflicts(
    ignored: &[IgnoredDifference],
    version: ArgoVersion,
    target: &mut Value,
    live: &mut Value,
) {
    let Some(key) = ObjectKey::of(target) else {
        return;
    };
    let managers = managers(ignored, &key);
    if managers.is_empty() {
        return;
    }
    let known = GroupVersionKind::of(target).and_then(|gvk| schema::builtin(&gvk));
    let schema = known.unwrap_or_else(schema::schemaless);
    // What does not fit its type ignores nothing, and neither do two items of one key.
    if [&*target, live]
        .iter()
        .any(|object| validate(object, schema, false).is_some())
    {
        return;
    }
    let Ok(differences) = compare(live, target, schema) else {
        return;
    };
    let emptied = if version < ArgoVersion::V3_6 {
        Emptied::Stays
    } else {
        Emptied::IsNull
    };
    for fields in owned_fields(live, |manager| managers.contains(&manager)) {
        let Ok(owned) = FieldSet::from_fields_v1(&fields) else {
            continue;
        };
        let conflicts = owned.intersection(&differences.modified);
        for object in [&mut *target, &mut *live] {
            remove_items(object, &conflicts, schema, emptied);
        }
    }
}

fn parts(pointer: &str) -> Option<Vec<String>> {
    let rest = pointer.strip_prefix('/')?;
    Some(
        rest.split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect(),
    )
}

/// Removes what a pointer names, if it is there.
fn remove(object: &mut Value, pointer: &str) {
    let Some(parts) = parts(pointer) else { return };
    let Some((end, path)) = parts.split_last() else {
        return;
    };
    let mut at = object;
    for part in path {
        let next = match at {
            Value::Object(map) => map.get_mut(part),
            Value::Array(list) => part
                .parse()
                .ok()
                .and_then(|place: usize| list.get_mut(place)),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    match at {
        Value::Object(map) => {
            map.remove(end);
        }
        Value::Array(list) => {
            if let Some(place) = end.parse().ok().filter(|place: &usize| *place < list.len()) {
                list.remove(place);
            }
        }
        _ => {}
    }
}

/// The `fieldsV1` of the managers that are `wanted`.
pub(crate) fn owned_fields(object: &Value, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let entries = object
        .at(&["metadata", "managedFields"])
        .and_then(Value::as_array);
    let is_wanted = |entry: &&Value| {
        let manager = entry.get("manager").and_then(Value::as_str);
        wanted(manager.unwrap_or_default())
    };
    let entries = entries.into_iter().flatten().filter(is_wanted);
    entries
        .filter_map(|entry| entry.get("fieldsV1").cloned())
        .collect()
}

/// Finds the element of a list that a `k:{…}` names.
pub(crate) fn element_place(list: &[Value], key: &str) -> Option<usize> {
    let wanted: Map = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    list.iter().position(|item| {
        wanted
            .iter()
            .all(|(field, value)| item.get(field) == Some(value))
    })
}

/// Whether the compare options of an object hold `option`.
pub(crate) fn has_compare_option(live: &Value, option: &str) -> bool {
    let value = object::annotation(live, argo::COMPARE_OPTIONS).unwrap_or_default();
    argo::items(value).contains(&option)
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_model::ArgoVersion;

    use super::*;

    fn respected(ignored: &[IgnoredDifference], target: &Value, live: &Value) -> Value {
        with_live_values(ignored, target, live, ArgoVersion::default())
    }

    fn deployment(replicas: u32, image: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})
    }

    fn ignoring(pointers: &[&str], managers: &[&str]) -> IgnoredDifference {
        IgnoredDifference {
            group: "apps".to_owned(),
            kind: "*".to_owned(),
            json_pointers: pointers.iter().map(|&pointer| pointer.to_owned()).collect(),
            managed_fields_managers: managers.iter().map(|&manager| manager.to_owned()).collect(),
            ..IgnoredDifference::default()
        }
    }

    /// SYNC-103: ignored fields carry live values, the others the desired ones.
    #[test]
    fn ignored_fields_carry_live_values() {
        let ignored = [ignoring(&["/spec/replicas", "/status/x"], &[])];
        let out = respected(&ignored, &deployment(1, "new"), &deployment(5, "old"));
        assert_eq!(out, deployment(5, "new"));
    }

    /// SYNC-103: by manager, into lists by their key.
    #[test]
    fn fields_of_a_manager_carry_live_values() {
        let mut live = deployment(5, "injected");
        live["metadata"]["managedFields"] = json!([{"manager": "injector", "operation": "Update", "fieldsV1":
            {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}}}}]);
        let ignored = [ignoring(&[], &["injector"])];
        assert_eq!(
            respected(&ignored, &deployment(1, "new"), &live),
            deployment(1, "injected")
        );
    }

    fn by_jq(paths: &[&str]) -> IgnoredDifference {
        IgnoredDifference {
            group: "*".to_owned(),
            kind: "*".to_owned(),
            jq_path_expressions: paths.iter().map(|path| (*path).to_owned()).collect(),
            ..IgnoredDifference::default()
        }
    }

    /// SYNC-103, U-162: lists of built-in kinds by their merge keys, those of custom resources whole where elements go.
    #[test]
    fn ignored_elements_of_lists_carry_live_values() {
        let proxy = |routes: Value| json!({"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "metadata": {"name": "p"}, "spec": {"routes": routes}});
        let (target, live) = (
            proxy(json!([{"services": [{"name": "new", "weight": 1}]}, {"services": []}])),
            proxy(json!([{"services": [{"name": "old", "weight": 2}]}])),
        );
        assert_eq!(
            respected(&[by_jq(&[".spec.routes[]"])], &target, &live),
            live
        );

        let with_env = |env: Value| {
            let mut object = deployment(1, "a");
            object["spec"]["template"]["spec"]["containers"][0]["env"] = env;
            object
        };
        let path = ".spec.template.spec.containers[] | select(.name == \"a\") | .env[] | select(.name == \"LIVE\")";
        let target = with_env(
            json!([{"name": "ONE", "value": "1"}, {"name": "LIVE", "value": "new"}, {"name": "TWO", "value": "2"}]),
        );
        let live =
            with_env(json!([{"name": "ONE", "value": "old"}, {"name": "LIVE", "value": "kept"}]));
        let out = respected(&[by_jq(&[path])], &target, &live);
        let mut env: Vec<String> = out["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        env.sort();
        assert_eq!(
            env,
            [
                "{\"name\":\"LIVE\",\"value\":\"kept\"}",
                "{\"name\":\"ONE\",\"value\":\"1\"}",
                "{\"name\":\"TWO\",\"value\":\"2\"}"
            ]
        );

        let mut target = deployment(4, "new");
        target["metadata"]["labels"] = json!({"added": "yes"});
        target["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({"limits": {"cpu": "1"}});
        let mut expected = target.clone();
        expected["spec"]["replicas"] = 1.into();
        expected["spec"]["template"]["spec"]["containers"][0]["image"] = "alpine:3".into();
        let ignored = [by_jq(&[
            ".spec.replicas",
            ".spec.template.spec.containers[].image",
        ])];
        assert_eq!(
            respected(&ignored, &target, &deployment(1, "alpine:3")),
            expected
        );
    }

    /// SYNC-103, U-163: a list of a custom resource is the live one, with what nobody ignores in it.
    #[test]
    fn lists_of_custom_resources_are_taken_whole() {
        let servers = |list: Value| json!({"apiVersion": "example.com/v1", "kind": "Pool", "metadata": {"name": "p"}, "spec": {"servers": list}});
        let target = servers(
            json!([{"name": "a", "port": 1, "enabled": true}, {"name": "b", "port": 2, "enabled": true}]),
        );
        let live = servers(
            json!([{"name": "x", "port": 91, "enabled": false}, {"name": "y", "port": 92, "enabled": false}]),
        );
        let by_path = by_jq(&[".spec.servers[1].enabled", ".spec.servers[0].port"]);
        let mut by_pointer = ignoring(&["/spec/servers/1/enabled", "/spec/servers/0/port"], &[]);
        (by_pointer.group, by_pointer.kind) = ("example.com".to_owned(), "Pool".to_owned());
        for ignored in [by_path, by_pointer] {
            for version in ArgoVersion::ALL {
                let ignored = [ignored.clone()];
                assert_eq!(with_live_values(&ignored, &target, &live, version), live);
            }
        }
        // A child application whose ignored field is not there on either side.
        let app = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "c"}, "spec": {"project": "default"}});
        assert_eq!(
            respected(&[by_jq(&[".spec.syncPolicy.automated"])], &app, &app),
            app
        );
    }

    /// SYNC-149: of the object itself, by pointers only; what cannot be read ignores nothing.
    #[test]
    fn an_annotation_ignores_fields_of_its_object() {
        let ignored = |text: &str| {
            let mut object = deployment(1, "a");
            object["metadata"]["annotations"] = json!({argo::IGNORE_DIFFERENCES: text});
            of_annotation(&object)
        };
        let wanted = IgnoredDifference {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            namespace: "demo".to_owned(),
            ..ignoring(&["/spec/replicas"], &[])
        };
        assert_eq!(
            ignored("jsonPointers:\n- /spec/replicas\njqPathExpressions: [.spec]\n"),
            Some(wanted)
        );
        for text in [
            "",
            "[",
            "- /spec/replicas",
            "jsonPointers: 1",
            "jqPathExpressions: [.spec]",
        ] {
            assert_eq!(ignored(text), None, "{text}");
        }
    }

    /// SYNC-103, SYNC-227: since 3.6 the lists of a custom resource's `metadata` have their merge keys.
    #[test]
    fn finalizers_of_custom_resources_merge_since_3_6() {
        let widget = |finalizers: Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "finalizers": finalizers}});
        let target = widget(json!(["own/new", "other/kept"]));
        let live = widget(json!(["own/old", "other/kept"]));
        let ignored = [by_jq(&[
            r#".metadata.finalizers[] | select(. == "other/kept")"#,
        ])];
        for version in [ArgoVersion::V3_4, ArgoVersion::V3_5] {
            assert_eq!(with_live_values(&ignored, &target, &live, version), live);
        }
        let out = with_live_values(&ignored, &target, &live, ArgoVersion::V3_6);
        let finalizers = out["metadata"]["finalizers"].as_array().unwrap();
        let mut names: Vec<&str> = finalizers.iter().filter_map(Value::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["other/kept", "own/new"]);
        // A list in which nothing of what is desired is ignored is not ignored.
        let target = widget(json!(["own/new"]));
        for version in ArgoVersion::ALL {
            assert_eq!(with_live_values(&ignored, &target, &live, version), target);
        }
    }

    /// SYNC-103: a map that patches replace whole keeps what is not ignored, in all three ways it could be lost.
    #[test]
    fn what_is_not_ignored_beside_it_is_as_desired() {
        let budget = |labels: Value| {
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "demo"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}}})
        };
        let target = budget(json!({"app": "new", "tier": "front", "hash": "git"}));
        let live = budget(json!({"app": "old", "hash": "live", "left": "over"}));
        let mut ignored = ignoring(&["/spec/selector/matchLabels/hash"], &[]);
        ignored.group = "policy".to_owned();
        assert_eq!(
            respected(&[ignored], &target, &live),
            budget(json!({"app": "new", "tier": "front", "hash": "live"}))
        );
    }

    /// SYNC-103: `status` is ignored always, and no live one takes its place.
    #[test]
    fn status_is_neither_desired_nor_copied() {
        let ignored = [ignoring(&["/spec/replicas", "/status/x"], &[])];
        let (mut target, mut live) = (deployment(1, "new"), deployment(5, "old"));
        target["status"] = json!({"replicas": 1});
        live["status"] = json!({"x": 1, "replicas": 5});
        for version in ArgoVersion::ALL {
            let out = with_live_values(&ignored, &target, &live, version);
            assert_eq!(out, deployment(5, "new"));
            // Whatever else is ignored.
            let out = with_live_values(&[], &target, &live, version);
            assert_eq!(out, deployment(1, "new"));
        }
    }

    #[test]
    fn other_kinds_are_not_touched() {
        let mut other = ignoring(&["/spec/replicas"], &[]);
        other.group = "batch".to_owned();
        assert_eq!(
            respected(&[other], &deployment(1, "a"), &deployment(5, "a")),
            deployment(1, "a")
        );
    }
}
