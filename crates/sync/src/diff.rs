//! The comparison of one pair on the client's side (SYNC-149): whether an apply of the desired object would change the live
//! one.
//!
//! It is Argo CD's three-way comparison, and two-way for objects that were not made by an apply. Objects of built-in kinds
//! are read into their types first, as Go does, and what the patch makes of the live one is filled up with defaults, as is
//! the live one itself: neither the way a quantity is written nor a default that nobody wrote is a difference. Objects that
//! are applied from the server are merged as the server would before 3.6, custom resources without their schema, which is
//! not known here: their lists are one thing each.

use std::borrow::Cow;

use wavetank_json::{Map, Value};
use wavetank_model::patch::apply::{FieldSet, ManagedFields, Tracked, Writer};
use wavetank_model::schema::SchemaRef;
use wavetank_model::{ArgoVersion, GroupVersionKind, argo, defaults, patch, schema};

use crate::apply::{last_applied_of, typed};
use crate::ignore;
use crate::options::SyncOptions;
use crate::target;

/// Whether an apply of `target` would change `live`. What cannot be compared counts as modified.
pub(crate) fn is_modified(target: &Value, live: &Value, options: &SyncOptions) -> bool {
    let ignored = options.ignored(target);
    // Since 3.6 the merge is the server's business: without a dry run the object is compared as any other.
    let merges_as_the_server = options.version < ArgoVersion::V3_6
        && (options.server_side_apply || argo::has_option(target, "ServerSideApply=true"));
    let (mut target, mut live) = (target.clone(), live.clone());
    ignore::strip_conflicts(&ignored, options.version, &mut target, &mut live);
    for object in [&mut target, &mut live] {
        read(object);
        ignore::normalise(&ignored, options, object);
    }
    if merges_as_the_server && let Some(modified) = differs_from_the_server(&target, &live, options)
    {
        return modified;
    }
    let with_original = last_applied(&live).and_then(|mut original| {
        ignore::normalise(&ignored, options, &mut original);
        differs(original, &target, &live, options.version)
    });
    with_original
        .or_else(|| differs(target.clone(), &target, &live, options.version))
        .unwrap_or(true)
}

/// Makes of an object what Go reads and writes of it.
pub(crate) fn read(object: &mut Value) {
    match through_its_type(object) {
        Some(read) => *object = read,
        None => whole_numbers(object),
    }
}

/// An object as its Go type holds it, with the fields that it had; `None` where it does not fit its type, or has none.
fn through_its_type(object: &Value) -> Option<Value> {
    let schema = typed(&GroupVersionKind::of(object)?)?;
    let mut read = object.clone();
    let unknown = schema::decode(schema, &mut read).ok()?;
    if !unknown.is_empty() {
        return None;
    }
    schema::complete(schema, &mut read);
    Some(only_what_is_in(object, &read))
}

/// `object` without what `mask` has not: fields by name, items of lists by place. Items beyond those of `mask` stay.
fn only_what_is_in(mask: &Value, object: &Value) -> Value {
    match (mask, object) {
        (Value::Object(mask), Value::Object(object)) => {
            let both = mask.iter().filter_map(|(key, mask)| {
                let value = object.get(key)?;
                Some((key.clone(), only_what_is_in(mask, value)))
            });
            Value::Object(both.collect())
        }
        (Value::Array(mask), Value::Array(object)) => {
            let masks = mask.iter().map(Some).chain(std::iter::repeat(None));
            let items = object.iter().zip(masks).map(|(item, mask)| match mask {
                Some(mask) => only_what_is_in(mask, item),
                None => item.clone(),
            });
            Value::Array(items.collect())
        }
        (_, object) => object.clone(),
    }
}

/// What was applied last, if the live object says so.
fn last_applied(live: &Value) -> Option<Value> {
    let mut written = last_applied_of(live);
    whole_numbers(&mut written);
    let kind = written.get("kind").and_then(Value::as_str);
    kind.is_some_and(|kind| !kind.is_empty()).then_some(written)
}

/// Numbers without a fraction are whole, however they are written.
fn whole_numbers(value: &mut Value) {
    const EXACT: f64 = 9e15;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            if let Some(whole) = whole {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a whole number within the bounds"
                )]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// Whether the patch from `original` to `target` changes `live`; `None` where there is no such patch.
fn differs(
    mut original: Value,
    target: &Value,
    live: &Value,
    version: ArgoVersion,
) -> Option<bool> {
    let mut target = target.clone();
    strip_place(&mut original);
    strip_place(&mut target);
    let gvk = GroupVersionKind::of(&original)?;
    let mut predicted = live.clone();
    let Some(schema) = typed(&gvk) else {
        // Fields that were never applied take no part in the patch.
        let known = only_what_is_in(&original, live);
        let patch = patch::three_way_merge(&original, &target, &known);
        patch::merge(&mut predicted, &patch).ok()?;
        return Some(predicted != *live);
    };
    let stored = without_claim_defaults(&gvk, &original, live);
    let patch = patch::three_way_strategic(&original, &target, &stored, schema).ok()?;
    if patch.as_object().is_some_and(Map::is_empty) {
        return Some(false);
    }
    patch::strategic(&mut predicted, patch, schema).ok()?;
    differs_when_filled(&gvk, schema, predicted, live, version)
}

/// Neither the namespace nor an empty map of annotations is a difference.
fn strip_place(object: &mut Value) {
    let Some(Value::Object(meta)) = object.get_mut("metadata") else {
        return;
    };
    meta.remove("namespace");
    let annotations = meta.get("annotations");
    if annotations.is_some_and(|all| all.is_null() || all.as_object().is_some_and(Map::is_empty)) {
        meta.remove("annotations");
    }
}

/// The claims of a `StatefulSet` without the defaults that the server gave them: no type of the client fills those.
fn without_claim_defaults<'a>(
    gvk: &GroupVersionKind,
    original: &Value,
    live: &'a Value,
) -> Cow<'a, Value> {
    const CLAIMS: &str = "volumeClaimTemplates";
    let claims = |object: &Value| {
        object
            .get("spec")?
            .get(CLAIMS)
            .cloned()
            .filter(Value::is_array)
    };
    if gvk.kind != "StatefulSet" || gvk.group != "apps" {
        return Cow::Borrowed(live);
    }
    let (Some(wanted), Some(stored)) = (claims(original), claims(live)) else {
        return Cow::Borrowed(live);
    };
    let mut out = live.clone();
    if let Some(Value::Object(spec)) = out.get_mut("spec") {
        spec.insert(CLAIMS.to_owned(), only_what_is_in(&wanted, &stored));
    }
    Cow::Owned(out)
}

/// Whether two objects differ when both have the defaults of their type; `None` where they cannot be given.
fn differs_when_filled(
    gvk: &GroupVersionKind,
    schema: SchemaRef<'_>,
    predicted: Value,
    live: &Value,
    version: ArgoVersion,
) -> Option<bool> {
    if predicted == *live {
        return Some(false);
    }
    let [predicted, live] =
        [predicted, live.clone()].map(|object| filled(gvk, schema, object, version));
    Some(predicted? != live?)
}

/// The object with the defaults of its type; what does not fit the type gets none.
fn filled(
    gvk: &GroupVersionKind,
    schema: SchemaRef<'_>,
    mut object: Value,
    version: ArgoVersion,
) -> Option<Value> {
    let mut before = object.clone();
    if schema::decode(schema, &mut before).is_err() {
        return Some(object);
    }
    let mut after = before.clone();
    defaults::of(&gvk.group, &gvk.kind).fill_typed(&gvk.version, &mut after);
    if version < ArgoVersion::V3_6 {
        with_its_accounts(&before, &mut after);
    }
    for side in [&mut before, &mut after] {
        schema::complete(schema, side);
    }
    let patch = patch::three_way_strategic(&before, &after, &before, schema).ok()?;
    patch::strategic(&mut object, patch, schema).ok()?;
    Some(object)
}

/// Puts the two names of a Pod's service account back as they were: that each follows the other is in the types since 3.6.
fn with_its_accounts(before: &Value, after: &mut Value) {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return;
    };
    for name in ["serviceAccountName", "serviceAccount"] {
        match before.get(name) {
            Some(account) => after.insert(name.to_owned(), account.clone()),
            None => after.remove(name),
        };
    }
    for name in ["spec", "template", "jobTemplate"] {
        if let (Some(before), Some(after)) = (before.get(name), after.get_mut(name)) {
            with_its_accounts(before, after);
        }
    }
}

/// Whether a server-side apply would change the object: a field that we own and no longer want goes by it. `None` where
/// the merge is not known.
fn differs_from_the_server(target: &Value, live: &Value, options: &SyncOptions) -> Option<bool> {
    let gvk = GroupVersionKind::of(target)?;
    let known = schema::builtin(&gvk);
    let schema = known.unwrap_or_else(schema::schemaless);
    let (version, reset) = (gvk.api_version(), FieldSet::default());
    let writer = Writer {
        manager: &options.manager,
        api_version: &version,
        subresource: "",
        time: "",
        reset: &reset,
    };
    let managed = ManagedFields::of(live).ok()?;
    let mut live = live.clone();
    target::metadata(&mut live).remove("managedFields");
    let tracked = Tracked {
        object: &live,
        managed: &managed,
    };
    let (predicted, _) = patch::apply::apply(Some(tracked), target, &writer, true, schema).ok()?;
    if known.is_none() {
        return Some(predicted != live);
    }
    differs_when_filled(&gvk, schema, predicted, &live, options.version)
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_model::patch::apply::LAST_APPLIED;

    use super::*;
    use crate::engine::TrackingMethod;
    use crate::ignore::IgnoredDifference;

    /// A pair as it was recorded, and whether Argo CD found a difference or could not tell.
    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        of: String,
        #[serde(default)]
        target: Vec<Value>,
        #[serde(default, deserialize_with = "some")]
        applied: Option<Value>,
        #[serde(default)]
        live: Vec<Value>,
        owners: Option<Map>,
        #[serde(default)]
        ignored: Vec<IgnoredDifference>,
        #[serde(default)]
        merged: bool,
        #[serde(default)]
        respected: bool,
        argo: Option<String>,
        modified: Option<Value>,
        sent: Option<Value>,
    }

    #[derive(serde::Deserialize)]
    struct Recorded {
        objects: std::collections::BTreeMap<String, Pair>,
        cases: Vec<Case>,
    }

    #[derive(Clone, serde::Deserialize)]
    struct Pair {
        target: Value,
        live: Value,
    }

    /// Null is something else than nothing.
    fn some<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
        serde::Deserialize::deserialize(value).map(Some)
    }

    fn patched(object: &mut Value, operations: Vec<Value>) {
        patch::json(object, &Value::Array(operations)).unwrap();
    }

    /// What the recording did to the objects of a case.
    fn changed(mut pair: Pair, case: &Case) -> Pair {
        let Pair { target, live } = &mut pair;
        let annotations = target::annotations(live);
        match &case.applied {
            Some(Value::Array(operations)) => {
                let text = annotations.get(LAST_APPLIED).and_then(Value::as_str);
                let mut applied = serde_json::from_str(text.unwrap()).unwrap();
                patched(&mut applied, operations.clone());
                annotations.insert(LAST_APPLIED.to_owned(), applied.to_string().into());
            }
            Some(_) => {
                annotations.remove(LAST_APPLIED);
            }
            None => {}
        }
        patched(target, case.target.clone());
        patched(live, case.live.clone());
        if let Some(owners) = &case.owners {
            let version = live["apiVersion"].clone();
            let entry = |(manager, fields): (&String, &Value)| {
                let operation = if manager == "argocd-controller" {
                    "Apply"
                } else {
                    "Update"
                };
                json!({"manager": manager, "operation": operation, "apiVersion": version.clone(),
                    "fieldsType": "FieldsV1", "fieldsV1": fields.clone()})
            };
            live["metadata"]["managedFields"] = owners.iter().map(entry).collect();
        }
        pair
    }

    /// SYNC-103, SYNC-149: as Argo CD 3.6.1 and 3.5.7 answer (`tools/argo/record.py`).
    #[test]
    fn the_recorded_comparisons_of_argo_cd() {
        let recorded: Recorded = serde_json::from_str(include_str!("diff/recorded.json")).unwrap();
        let mut others = Vec::new();
        for case in &recorded.cases {
            let Pair { target, live } = changed(recorded.objects[&case.of].clone(), case);
            let version = case.argo.as_deref().map(ArgoVersion::parse);
            let options = SyncOptions {
                ignore_differences: case.ignored.clone(),
                server_side_apply: case.merged,
                version: version.map_or_else(ArgoVersion::default, Option::unwrap),
                ..SyncOptions::default()
            };
            let ours = if case.respected {
                let ignored = options.ignored(&target);
                ignore::with_live_values(&ignored, &target, &live, options.version)
            } else {
                let live = live.into();
                let tracking = TrackingMethod::Annotation;
                crate::compare::is_modified(&target, &live, tracking, &options).into()
            };
            let theirs = case.modified.as_ref().or(case.sent.as_ref()).unwrap();
            if *theirs != ours {
                others.push(format!("{}: {theirs} there, {ours} here", case.name));
            }
        }
        assert!(others.is_empty(), "{others:#?}");
        assert!(recorded.cases.len() > 100);
    }

    /// SYNC-149: defaults of the server are no difference; a field that left the annotation's object is one.
    #[test]
    fn only_what_an_apply_would_change_is_a_difference() {
        let target = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
        let mut live = crate::apply::annotated(&target);
        live["metadata"]["uid"] = "u".into();
        live["data"]["defaulted"] = "x".into();
        assert!(!is_modified(&target, &live, &SyncOptions::default()));
        let mut before = target.clone();
        before["data"]["gone"] = "x".into();
        let live = crate::apply::annotated(&before);
        assert!(is_modified(&target, &live, &SyncOptions::default()));
        let ignored = IgnoredDifference {
            kind: "ConfigMap".to_owned(),
            json_pointers: vec!["/data/gone".to_owned()],
            ..IgnoredDifference::default()
        };
        let options = SyncOptions {
            ignore_differences: vec![ignored],
            ..SyncOptions::default()
        };
        assert!(!is_modified(&target, &live, &options));
    }

    /// SYNC-149: before 3.6, too, quantities in other words are none, nor are defaults.
    #[test]
    fn server_side_applied_objects_have_types() {
        let target = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "demo"},
            "spec": {"containers": [{"name": "a", "image": "b:1", "resources": {"requests": {"cpu": "1000m"}}}]}});
        let mut live = target.clone();
        let container = &mut live["spec"]["containers"][0];
        container["resources"]["requests"]["cpu"] = "1".into();
        container["imagePullPolicy"] = "IfNotPresent".into();
        let items = json!({"f:name": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:resources": {"f:requests": {"f:cpu": {}}}});
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": items}}});
        live["metadata"]["managedFields"] = json!([{"manager": "argocd-controller", "operation": "Apply",
            "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-01-01T00:00:00Z", "fieldsV1": fields}]);
        let options = SyncOptions {
            version: ArgoVersion::V3_5,
            server_side_apply: true,
            ..SyncOptions::default()
        };
        assert!(!is_modified(&target, &live, &options));
        let mut other = target;
        other["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1001m".into();
        assert!(is_modified(&other, &live, &options));
    }

    /// SYNC-149: what is applied from the server is merged as the server does: what we own and no longer want goes, what
    /// others own is no difference.
    #[test]
    fn server_side_applied_objects_are_merged_as_the_server_does() {
        let target = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "demo"}, "data": {"a": "1"}});
        let mut live = target.clone();
        live["data"]["b"] = "2".into();
        let owned = |manager: &str, operation: &str, fields: Value| {
            json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": fields}})
        };
        let before = SyncOptions {
            version: ArgoVersion::V3_5,
            ..SyncOptions::default()
        };
        let options = SyncOptions {
            server_side_apply: true,
            ..before.clone()
        };
        live["metadata"]["managedFields"] = json!([
            owned("argocd-controller", "Apply", json!({"f:a": {}})),
            owned("somebody", "Update", json!({"f:b": {}})),
        ]);
        assert!(!is_modified(&target, &live, &options));
        live["metadata"]["managedFields"] = json!([owned(
            "argocd-controller",
            "Apply",
            json!({"f:a": {}, "f:b": {}})
        )]);
        assert!(is_modified(&target, &live, &options));
        assert!(!is_modified(&target, &live, &SyncOptions::default()));
        let mut by_annotation = target.clone();
        by_annotation["metadata"]["annotations"] =
            json!({argo::SYNC_OPTIONS: "ServerSideApply=true"});
        live["metadata"]["annotations"] = by_annotation["metadata"]["annotations"].clone();
        assert!(is_modified(&by_annotation, &live, &before));
        assert!(!is_modified(&by_annotation, &live, &SyncOptions::default()));
    }

    /// SYNC-149: Secrets are compared by `data`, whatever the manifest says it in.
    #[test]
    fn string_data_is_folded_into_data() {
        let target = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}});
        let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "dg=="}, "type": "Opaque"});
        assert!(!is_modified(&target, &live, &SyncOptions::default()));
    }
}
