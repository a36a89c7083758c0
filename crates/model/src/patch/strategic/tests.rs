//! Every directive, as data (API-130…134, T-034…T-037).

use rstest::rstest;
use wavetank_json::{Value, json};

use super::*;
use crate::key::GroupVersionKind;
use crate::schema::builtin;

fn deployment() -> SchemaRef<'static> {
    builtin(&GroupVersionKind::new("apps/v1", "Deployment")).unwrap()
}

fn pod_spec(spec: Value) -> Value {
    json!({"spec": {"template": {"spec": spec}}})
}

fn patched(spec: Value, patch: Value) -> Result<Value, StrategicError> {
    let mut object = pod_spec(spec);
    strategic(&mut object, pod_spec(patch), deployment())?;
    Ok(object["spec"]["template"]["spec"].take())
}

#[rstest]
// T-034: a new item is put where the patch has it; without an order the patch's items stand first.
#[case(json!({"containers": [{"name": "b", "image": "y"}]}), json!({"containers": [{"name": "b", "image": "y"}, {"name": "a", "image": "x", "args": ["1"]}]}))]
#[case(json!({"containers": [{"name": "a", "image": "y", "args": null}]}), json!({"containers": [{"name": "a", "image": "y"}]}))]
// T-035
#[case(json!({"containers": [{"name": "a", "$patch": "delete"}]}), json!({"containers": []}))]
#[case(json!({"containers": [{"name": "b"}, {"$patch": "replace"}]}), json!({"containers": [{"name": "b"}]}))]
#[case(json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "b"}]}), json!({"containers": [{"name": "b"}]}))]
// T-036
#[case(
    json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b", "image": "y"}]}),
    json!({"containers": [{"name": "b", "image": "y"}, {"name": "a", "image": "x", "args": ["1"]}]})
)]
#[case(
    json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b", "image": "y"}]}),
    json!({"containers": [{"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "y"}]})
)]
// Lists without merge strategy are replaced.
#[case(json!({"containers": [{"name": "a", "args": ["2", "3"]}]}), json!({"containers": [{"name": "a", "image": "x", "args": ["2", "3"]}]}))]
#[case(json!({"securityContext": {"runAsUser": 1, "fsGroup": null}}), json!({"containers": [{"name": "a", "image": "x", "args": ["1"]}], "securityContext": {"runAsUser": 1}}))]
fn lists_merge_by_key(#[case] patch: Value, #[case] expected: Value) {
    assert_eq!(
        patched(
            json!({"containers": [{"name": "a", "image": "x", "args": ["1"]}]}),
            patch
        )
        .unwrap(),
        expected
    );
}

#[test]
fn maps_are_deleted_and_replaced_by_directive() {
    let spec = json!({"securityContext": {"runAsUser": 1, "fsGroup": 2}});
    assert_eq!(
        patched(
            spec.clone(),
            json!({"securityContext": {"$patch": "replace", "runAsGroup": 3}})
        )
        .unwrap(),
        json!({"securityContext": {"runAsGroup": 3}})
    );
    assert_eq!(
        patched(
            spec.clone(),
            json!({"securityContext": {"$patch": "delete"}})
        )
        .unwrap(),
        json!({"securityContext": {}})
    );
    assert_eq!(
        patched(spec, json!({"securityContext": null})).unwrap(),
        json!({})
    );
    assert_eq!(
        patched(json!({}), json!({"securityContext": {"$patch": "delete"}})).unwrap(),
        json!({})
    );
}

#[test]
fn retain_keys_clears_what_it_does_not_name() {
    // T-037
    let mut object =
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    strategic(&mut object, patch, deployment()).unwrap();
    assert_eq!(object, json!({"spec": {"strategy": {"type": "Recreate"}}}));
    let bad = json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}});
    let error = strategic(&mut object, bad, deployment()).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string()),
        (400, "invalid patch format of retainKeys".into())
    );
}

#[rstest]
#[case(json!({"finalizers": ["c"]}), json!(["c", "a", "b"]))]
#[case(json!({"$deleteFromPrimitiveList/finalizers": ["a", "x"]}), json!(["b"]))]
#[case(json!({"$setElementOrder/finalizers": ["b", "a"]}), json!(["b", "a"]))]
#[case(json!({"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"], "$setElementOrder/finalizers": ["b", "c"]}), json!(["b", "c"]))]
fn primitive_lists_merge_as_sets(#[case] patch: Value, #[case] expected: Value) {
    let mut object = json!({"metadata": {"finalizers": ["a", "b"]}});
    strategic(&mut object, json!({"metadata": patch}), deployment()).unwrap();
    assert_eq!(object["metadata"]["finalizers"], expected);
}

#[test]
fn maps_with_patch_strategy_replace_are_replaced() {
    let schema = builtin(&GroupVersionKind::new("policy/v1", "PodDisruptionBudget")).unwrap();
    let mut object = json!({"spec": {"selector": {"matchLabels": {"a": "1"}}}});
    strategic(
        &mut object,
        json!({"spec": {"selector": {"matchLabels": {"b": "2"}}}}),
        schema,
    )
    .unwrap();
    assert_eq!(
        object,
        json!({"spec": {"selector": {"matchLabels": {"b": "2"}}}})
    );
}

#[rstest]
#[case(json!({"containers": [{"image": "y"}]}), 500, "map: map[image:y] does not contain declared merge key: name")]
#[case(json!({"containers": [{"name": "a", "$patch": "jump"}]}), 500, "unknown patch type: jump in map: map[$patch:jump name:a]")]
#[case(json!({"securityContext": {"$patch": "jump"}}), 500, "unknown patch type: jump in map: map[$patch:jump]")]
#[case(json!({"$setElementOrder": []}), 400, "invalid patch format of setElementOrder list")]
#[case(json!({"$deleteFromPrimitiveList": []}), 400, "invalid patch format of primitive list")]
#[case(
    json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b"}, {"name": "a"}]}),
    500,
    "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:b]]\n"
)]
fn malformed_patches_are_refused(#[case] patch: Value, #[case] code: u16, #[case] text: &str) {
    let spec = json!({"containers": [{"name": "a"}], "securityContext": {"runAsUser": 1}});
    let error = patched(spec, patch).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (code, text));
}

#[test]
fn what_a_patch_says_again_stays_one_piece_of_memory() {
    let spec = || {
        let container = json!({"name": "a", "image": "x"});
        json!({"containers": [container], "nodeSelector": {"x": "y"}})
    };
    let mut object = pod_spec(spec());
    let before = object.clone();
    let mut patch = spec();
    patch["hostname"] = json!("h");
    strategic(&mut object, pod_spec(patch), deployment()).unwrap();
    let before = &before["spec"]["template"]["spec"];
    let container = &before["containers"][0];
    for (part, is_kept) in [
        (before, false),
        (container, true),
        (&before["nodeSelector"], true),
    ] {
        assert_eq!(
            part.as_object().map(Map::is_shared),
            Some(is_kept),
            "{part}"
        );
    }
    assert_eq!(object["spec"]["template"]["spec"]["hostname"], "h");
}
