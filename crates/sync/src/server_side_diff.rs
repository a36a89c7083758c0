//! Comparison by a dry run of the server: what a server-side apply would make of an object (SYNC-149).
//!
//! Since 3.6 the objects of an app with `ServerSideApply=true` are compared so, before only where the app says
//! `ServerSideDiff=true`. [`questions`] says what is to be asked, [`crate::apply::KubeAsks::predict`] asks, and
//! [`is_modified`] judges an answer; nothing here does I/O. What a mutating webhook adds is no difference: only fields
//! that the engine's manager owns count, unless the app says `IncludeMutationWebhook=true`.
//!
//! Not here: types of fields. An answer is compared value by value, and lists by the order of our items.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Map, Value};
use wavetank_model::patch::apply::LAST_APPLIED;
use wavetank_model::{ArgoVersion, GroupVersionKind, ObjectKey};

use crate::diff;
use crate::engine::{AppIdentity, ResourceRef};
use crate::ignore::{self, IgnoredDifference, element_place, owned_fields};
use crate::kinds::Kinds;
use crate::options::SyncOptions;
use crate::reconcile::reconcile;
use crate::target;

/// What dry runs said: whether the live object of that key differs.
pub type Answers = BTreeMap<ObjectKey, bool>;

/// One object to be asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// Key of the live object.
    pub key: ObjectKey,
    /// Where it is.
    pub resource: ResourceRef,
    /// The desired object as it is sent: in the form in which it is compared, and without the fields of ignored managers
    /// that are otherwise in the live one.
    pub target: Arc<Value>,
    /// The live object, with its `managedFields` and without those fields.
    pub live: Arc<Value>,
}

impl Question {
    /// The question about a pair; `None` where the live object has no kind.
    pub fn new(target: &Value, mut live: Arc<Value>, options: &SyncOptions) -> Option<Self> {
        let key = ObjectKey::of(&live)?;
        let resource = ResourceRef {
            gvk: GroupVersionKind::of(target)?,
            resource: None,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        };
        let mut target = target.clone();
        let ignored = options.ignored(&target);
        if ignored.iter().any(IgnoredDifference::names_managers) {
            let live = Arc::make_mut(&mut live);
            ignore::strip_conflicts(&ignored, options.version, &mut target, live);
        }
        diff::read(&mut target);
        ignore::normalise_form(&mut target, options);
        Some(Self {
            key,
            resource,
            target: Arc::new(target),
            live,
        })
    }

    /// The text of a comparison that could not be made, as the app's condition `ComparisonError` has it.
    pub(crate) fn failed(&self, at: &str, error: &str) -> String {
        let gvk = &self.resource.gvk;
        format!(
            "Failed to compare desired state to live state: failed to calculate diff: error calculating server side diff: \
             serverSideDiff error: error {at} for resource {}/{}: {error}",
            gvk.kind, self.resource.name
        )
    }
}

/// The pairs that are compared by the server, in the order of the targets; none where it is not asked.
pub fn questions(
    given: &[Arc<Value>],
    live: &[Arc<Value>],
    app: &AppIdentity,
    kinds: &Kinds,
    options: &SyncOptions,
) -> Vec<Question> {
    if !options.server_side_diff {
        return Vec::new();
    }
    let targets = target::normalise(given, app, kinds, options.version);
    let pairs = reconcile(&targets, live, app, options).pairs;
    let question = |pair: crate::reconcile::Pair| {
        let (target, live) = (&pair.target?.object, pair.live?);
        let live = target::as_if_annotated(target, &live, app.tracking);
        Question::new(target, live, options)
    };
    pairs.into_iter().filter_map(question).collect()
}

/// Whether the object that the server predicts differs from the live one.
///
/// # Errors
/// The text of the app's condition `ComparisonError` when the prediction says nothing of the engine's fields.
pub fn is_modified(
    question: &Question,
    predicted: &Value,
    options: &SyncOptions,
) -> Result<bool, String> {
    let (mut predicted, mut live) = (predicted.clone(), Value::clone(&question.live));
    let is_ours = |manager: &str| manager == options.manager;
    let owned = owned_fields(&predicted, is_ours);
    if !options.include_mutation_webhook && owned.iter().all(is_leaf) {
        let error = format!("no managed fields found for manager: {}", options.manager);
        return Err(question.failed("removing non config mutations", &error));
    }
    // Before 3.6 what is gone counted whoever owned it.
    let of_anybody = options.version < ArgoVersion::V3_6;
    let owned_before = owned_fields(&live, |manager| of_anybody || is_ours(manager));
    let ignored = options.ignored(&question.target);
    for object in [&mut predicted, &mut live] {
        ignore::normalise(&ignored, options, object);
        without_bookkeeping(object, options.version);
    }
    if options.include_mutation_webhook {
        return Ok(predicted != live);
    }
    // What is not there goes only where it was ours. Null is a value: custom resources keep it.
    let differs = |fields| {
        any_leaf(fields, Some(&predicted), Some(&live), &|new, old| {
            new.is_some() && new != old
        })
    };
    let goes = |fields| {
        any_leaf(fields, Some(&predicted), Some(&live), &|new, old| {
            new.is_none() && old.is_some()
        })
    };
    let in_order = |fields| is_in_order(fields, &predicted, &live);
    Ok(owned.iter().any(differs) || owned_before.iter().any(goes) || !owned.iter().all(in_order))
}

/// Whether the items of lists that a `FieldsV1` trie names stand in one order in both objects; what others own between them
/// says nothing.
fn is_in_order(fields: &Value, new: &Value, old: &Value) -> bool {
    let place = |list: &Value, key: &str| list.as_array().and_then(|list| item_place(list, key));
    let keys = fields.as_object().into_iter().flat_map(Map::keys);
    let places = keys.filter_map(|key| Some((place(new, key)?, place(old, key)?)));
    let mut places: Vec<(usize, usize)> = places.collect();
    places.sort_unstable();
    places.is_sorted_by_key(|&(_, old)| old)
        && fields
            .as_object()
            .into_iter()
            .flatten()
            .all(
                |(key, inner)| match (step(Some(new), key), step(Some(old), key)) {
                    (Some(new), Some(old)) => is_in_order(inner, new, old),
                    _ => true,
                },
            )
}

/// The place of the item that one key of a `FieldsV1` trie names, by its keys or its value.
fn item_place(list: &[Value], key: &str) -> Option<usize> {
    let Some(text) = key.strip_prefix("v:") else {
        return element_place(list, key);
    };
    let wanted: Value = serde_json::from_str(text).ok()?;
    list.iter().position(|item| *item == wanted)
}

/// What no comparison looks at: who owns what, versions, and what client-side apply notes. Generations count before 3.6.
fn without_bookkeeping(object: &mut Value, version: ArgoVersion) {
    let meta = target::metadata(object);
    meta.remove("managedFields");
    meta.remove("resourceVersion");
    if version >= ArgoVersion::V3_6 {
        meta.remove("generation");
    }
    if let Some(Value::Object(annotations)) = meta.get_mut("annotations") {
        annotations.remove(LAST_APPLIED);
    }
}

fn is_leaf(fields: &Value) -> bool {
    fields
        .as_object()
        .is_none_or(|fields| fields.keys().all(|key| key == "."))
}

/// Whether `test` holds for the values of any leaf of a `FieldsV1` trie in two objects; `None` is no value.
fn any_leaf(
    fields: &Value,
    new: Option<&Value>,
    old: Option<&Value>,
    test: &dyn Fn(Option<&Value>, Option<&Value>) -> bool,
) -> bool {
    if is_leaf(fields) {
        // An element or a map that is owned as such, whatever it holds.
        let there = |value: Option<&Value>| value.is_some();
        return if fields.get(".").is_some() {
            there(new) != there(old) && test(new, old)
        } else {
            test(new, old)
        };
    }
    // What stands around ignored fields stays: a map that has only those is there in one object and not in the other.
    let whole = new.is_some() != old.is_some() && test(new, old);
    whole
        || fields
            .as_object()
            .into_iter()
            .flatten()
            .any(|(key, inner)| key != "." && any_leaf(inner, step(new, key), step(old, key), test))
}

/// What one item of a path leads to: a field, an element by its keys, by its value, or by its place.
fn step<'a>(value: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => value?.get(rest),
        "k" | "v" => {
            let list = value?.as_array()?;
            list.get(item_place(list, key)?)
        }
        "i" => value?.as_array()?.get(rest.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;
    use crate::testing::app;

    fn deployment(image: &str, replicas: u32) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "main", "image": image}]}}}})
    }

    /// Who owns the image of the container `main`, and with `replicas` those too.
    fn owning(mut object: Value, manager: &str, replicas: bool) -> Value {
        let mut fields = json!({"f:spec": {"f:template": {"f:spec": {"f:containers":
            {"k:{\"name\":\"main\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}});
        if replicas {
            fields["f:spec"]["f:replicas"] = json!({});
        }
        let entry = json!({"manager": manager, "operation": "Apply", "fieldsV1": fields});
        match object["metadata"].get("managedFields").cloned() {
            Some(Value::Array(mut entries)) => {
                entries.push(entry);
                object["metadata"]["managedFields"] = Value::Array(entries);
            }
            _ => object["metadata"]["managedFields"] = json!([entry]),
        }
        object
    }

    fn asked(live: Value) -> Question {
        let options = SyncOptions {
            server_side_diff: true,
            ..SyncOptions::default()
        };
        let targets = [Arc::new(deployment("a", 1))];
        let live = [Arc::new(live)];
        let mut questions = questions(&targets, &live, &app(), &Kinds::builtin(), &options);
        assert_eq!(questions.len(), 1);
        questions.remove(0)
    }

    fn ours(object: Value) -> Value {
        owning(object, crate::options::FIELD_MANAGER, false)
    }

    /// SYNC-149: only pairs are asked about, and only where the app is compared so.
    #[test]
    fn pairs_are_asked_about() {
        let targets = [Arc::new(deployment("a", 1))];
        let live = [Arc::new(deployment("a", 1))];
        let mut options = SyncOptions::default();
        let count = |live: &[Arc<Value>], options: &SyncOptions| {
            questions(&targets, live, &app(), &Kinds::builtin(), options).len()
        };
        assert_eq!(count(&live, &options), 0);
        options.server_side_diff = true;
        assert_eq!((count(&live, &options), count(&[], &options)), (1, 0));
    }

    /// SYNC-149: what others add, webhooks or people, is no difference; with the compare option it is.
    #[test]
    fn only_fields_of_the_engine_count() {
        let question = asked(ours(deployment("a", 1)));
        let mut options = SyncOptions::default();
        let said = |predicted: Value, options: &SyncOptions| {
            is_modified(&question, &predicted, options).unwrap()
        };
        assert!(!said(ours(deployment("a", 1)), &options));
        assert!(
            !said(ours(deployment("a", 7)), &options),
            "replicas are of others"
        );
        assert!(said(ours(deployment("b", 1)), &options));
        options.include_mutation_webhook = true;
        assert!(said(ours(deployment("a", 7)), &options));
    }

    /// SYNC-149: what goes is a difference where it was ours; before 3.6 whoever owned it.
    #[test]
    fn what_goes_counts_where_it_was_ours() {
        let mut predicted = ours(deployment("a", 1));
        if let Some(Value::Object(spec)) = predicted.get_mut("spec") {
            spec.remove("replicas");
        }
        let mine = asked(owning(
            deployment("a", 1),
            crate::options::FIELD_MANAGER,
            true,
        ));
        let theirs = asked(owning(ours(deployment("a", 1)), "somebody", true));
        let mut options = SyncOptions::default();
        assert!(is_modified(&mine, &predicted, &options).unwrap());
        assert!(!is_modified(&theirs, &predicted, &options).unwrap());
        options.version = ArgoVersion::V3_5;
        assert!(is_modified(&theirs, &predicted, &options).unwrap());
    }

    /// SYNC-149: items of ours in another order are a difference; where those of others stand is none.
    #[test]
    fn the_order_of_our_items_counts() {
        let with = |names: &[&str]| {
            let items = names.iter().map(|name| json!({"name": name, "image": "a"}));
            let mut object = deployment("a", 1);
            object["spec"]["template"]["spec"]["containers"] = items.collect();
            let owned = ["main", "side"].map(|name| {
                (
                    format!("k:{{\"name\":\"{name}\"}}"),
                    json!({".": {}, "f:name": {}, "f:image": {}}),
                )
            });
            let fields = Value::Object(owned.into_iter().collect());
            let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": fields}}}});
            let manager = crate::options::FIELD_MANAGER;
            object["metadata"]["managedFields"] =
                json!([{"manager": manager, "operation": "Apply", "fieldsV1": fields}]);
            object
        };
        let question = asked(with(&["main", "theirs", "side"]));
        let said =
            |names: &[&str]| is_modified(&question, &with(names), &SyncOptions::default()).unwrap();
        assert!(!said(&["main", "theirs", "side"]) && !said(&["theirs", "main", "side"]));
        assert!(said(&["side", "theirs", "main"]));
    }

    /// SYNC-149: what is sent is in the form in which objects are compared, without what an ignored manager has otherwise;
    /// neither has the live object it then.
    #[test]
    fn the_form_of_comparison_is_sent() {
        let options = SyncOptions {
            ignore_differences: vec![IgnoredDifference {
                managed_fields_managers: vec!["hpa".to_owned()],
                ..IgnoredDifference::of_kind("apps/Deployment")
            }],
            ..SyncOptions::default()
        };
        let asked =
            |target: Value, live: Value| Question::new(&target, Arc::new(live), &options).unwrap();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "demo"},
            "stringData": {"a": "b"}});
        let question = asked(secret.clone(), secret);
        assert_eq!(question.target["data"], json!({"a": "Yg=="}));
        assert_eq!(question.target.get("stringData"), None);
        let mut live = deployment("a", 5);
        live["metadata"]["managedFields"] = json!([
            {"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        let question = asked(deployment("b", 1), live);
        for object in [&question.target, &question.live] {
            assert_eq!(object["spec"].get("replicas"), None);
        }
        assert_eq!(
            *asked(deployment("a", 1), deployment("a", 5)).target,
            deployment("a", 1)
        );
    }

    /// SYNC-149: ignored differences are taken from what the server predicts, too.
    #[test]
    fn ignored_differences_do_not_count() {
        let question = asked(ours(deployment("a", 1)));
        let entry =
            json!({"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/template"]});
        let options = SyncOptions {
            ignore_differences: vec![wavetank_json::from_value(entry).unwrap()],
            ..SyncOptions::default()
        };
        assert!(!is_modified(&question, &ours(deployment("b", 1)), &options).unwrap());
    }

    /// SYNC-149: a field that becomes null is one that changes.
    #[test]
    fn null_is_a_value() {
        let with = |value: Value| {
            let fields = json!({"f:spec": {"f:nothing": {}}});
            let manager = crate::options::FIELD_MANAGER;
            json!({"apiVersion": "example.org/v1", "kind": "Widget", "spec": {"nothing": value}, "metadata": {"name": "web",
                "namespace": "demo", "managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": fields}]}})
        };
        let mut question = asked(ours(deployment("a", 1)));
        question.live = Arc::new(with("x".into()));
        let said = |value| is_modified(&question, &with(value), &SyncOptions::default()).unwrap();
        assert!(said(Value::Null) && !said("x".into()));
    }

    /// SYNC-149: a label that is ignored leaves its map, and that is a difference where the live object has none.
    #[test]
    fn an_ignored_field_leaves_the_map_around_it() {
        let labelled = |mut object: Value| {
            object["metadata"]["labels"] = json!({"new": "1"});
            let fields = json!({"f:metadata": {"f:labels": {"f:new": {}}}});
            let manager = crate::options::FIELD_MANAGER;
            object["metadata"]["managedFields"] =
                json!([{"manager": manager, "operation": "Apply", "fieldsV1": fields}]);
            object
        };
        let entry = json!({"group": "*", "kind": "*", "jsonPointers": ["/metadata/labels/new"]});
        let options = SyncOptions {
            ignore_differences: vec![wavetank_json::from_value(entry).unwrap()],
            ..SyncOptions::default()
        };
        let predicted = labelled(deployment("a", 1));
        let said = |live: Value| is_modified(&asked(live), &predicted, &options).unwrap();
        assert!(said(deployment("a", 1)));
        assert!(!said(labelled(deployment("a", 1))));
    }

    /// SYNC-149: a prediction without our fields cannot be judged.
    #[test]
    fn a_prediction_must_say_what_is_ours() {
        let question = asked(ours(deployment("a", 1)));
        let error = is_modified(&question, &deployment("a", 1), &SyncOptions::default());
        let said = error.unwrap_err();
        assert!(
            said.ends_with(
                "serverSideDiff error: error removing non config mutations for resource Deployment/web: \
                 no managed fields found for manager: argocd-controller"
            ),
            "{said}"
        );
    }

    /// SYNC-149, SYNC-227: since 3.6 the app's sync options imply it; its compare options decide.
    #[test]
    fn compare_options_decide_who_compares() {
        for (version, items, applies, expected) in [
            (ArgoVersion::V3_6, "", false, false),
            (ArgoVersion::V3_6, "", true, true),
            (ArgoVersion::V3_5, "", true, false),
            (ArgoVersion::V3_5, "ServerSideDiff=true", false, true),
            (ArgoVersion::V3_6, "ServerSideDiff=false", true, false),
            (
                ArgoVersion::V3_6,
                "ServerSideDiff=false,ServerSideDiff=true",
                true,
                false,
            ),
        ] {
            let mut options = SyncOptions {
                version,
                ..SyncOptions::default()
            };
            options.compare_as(items, applies);
            assert_eq!(
                options.server_side_diff, expected,
                "{version:?} {items} {applies}"
            );
        }
    }
}
