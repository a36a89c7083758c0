//! What kubectl would send, and that it brings about what it should.

use proptest::prelude::*;
use wavetank_json::json;

use super::super::{merge, strategic};
use super::*;
use crate::key::GroupVersionKind;
use crate::schema::builtin;

fn deployment() -> SchemaRef<'static> {
    builtin(&GroupVersionKind::new("apps/v1", "Deployment")).unwrap()
}

fn containers(list: Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": list}}}})
}

#[test]
fn nothing_differs_and_the_patch_is_empty() {
    // API-136
    let object = containers(json!([{"name": "a", "image": "x"}]));
    let mut live = object.clone();
    live["spec"]["replicas"] = json!(1);
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    assert_eq!(
        three_way_strategic(&object, &object, &live, deployment()).unwrap(),
        json!({})
    );
    assert_eq!(three_way_merge(&object, &object, &object), json!({}));
}

#[test]
fn a_changed_image_sends_the_order_of_the_list() {
    // API-135: recorded from kubectl.
    let old = containers(json!([{"name": "c", "image": "x"}]));
    let new = containers(json!([{"name": "c", "image": "y"}]));
    assert_eq!(
        three_way_strategic(&old, &new, &old, deployment()).unwrap(),
        json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "c"}], "containers": [{"image": "y", "name": "c"}]}}}})
    );
}

#[test]
fn items_and_fields_gone_since_the_last_apply_are_deleted_and_others_stay() {
    let original = containers(
        json!([{"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "x"}]),
    );
    let modified = containers(json!([{"name": "a", "image": "x"}]));
    let mut current = original.clone();
    let live = current["spec"]["template"]["spec"]["containers"]
        .as_array_mut()
        .unwrap();
    live.push(json!({"name": "sidecar", "image": "s"}));
    let patch = three_way_strategic(&original, &modified, &current, deployment()).unwrap();
    assert_eq!(
        patch,
        json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "args": null}, {"name": "b", "$patch": "delete"}]}}}})
    );
    strategic(&mut current, patch.clone(), deployment()).unwrap();
    assert_eq!(
        current,
        containers(json!([{"name": "a", "image": "x"}, {"name": "sidecar", "image": "s"}]))
    );
    assert_eq!(
        three_way_strategic(&Value::Null, &modified, &original, deployment()).unwrap(),
        json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}]}}}})
    );
}

#[test]
fn a_union_sends_retain_keys() {
    let strategy = |value: Value| json!({"spec": {"strategy": value}});
    let patch = three_way_strategic(
        &strategy(json!({"type": "RollingUpdate"})),
        &strategy(json!({"type": "Recreate"})),
        &strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})),
        deployment(),
    );
    assert_eq!(
        patch.unwrap(),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    );
}

#[test]
fn finalizers_are_deleted_from_the_list_of_primitives() {
    let finalizers = |list: Value| json!({"metadata": {"finalizers": list}});
    let patch = three_way_strategic(
        &finalizers(json!(["a", "b"])),
        &finalizers(json!(["a"])),
        &finalizers(json!(["a", "b", "x"])),
        deployment(),
    );
    assert_eq!(
        patch.unwrap(),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["a"]}})
    );
}

#[test]
fn merge_patches_replace_lists_and_delete_by_null() {
    let patch = three_way_merge(
        &json!({"spec": {"a": 1, "gone": {"x": 1}}, "list": [1]}),
        &json!({"spec": {"a": 2, "empty": {}}, "list": [1, 2]}),
        &json!({"spec": {"a": 1, "gone": {"x": 1}, "other": true}, "list": [1]}),
    );
    assert_eq!(
        patch,
        json!({"spec": {"a": 2, "empty": {}, "gone": null}, "list": [1, 2]})
    );
}

/// Two items of one merge key, as two ports of one number: the last is compared with the last, and one that has no
/// counterpart comes or goes.
#[test]
fn items_of_one_key_are_compared_from_the_end() {
    let service = builtin(&GroupVersionKind::new("v1", "Service")).unwrap();
    let ports = |list: Value| json!({"spec": {"ports": list}});
    let (udp, tcp) = (
        json!({"port": 53, "protocol": "UDP"}),
        json!({"port": 53, "protocol": "TCP"}),
    );
    let both = ports(json!([udp, tcp]));
    let patch = |original: &Value, modified: &Value, live: &Value| {
        three_way_strategic(original, modified, live, service).unwrap()
    };
    assert_eq!(patch(&both, &both, &both), json!({}));
    let one = ports(json!([tcp]));
    assert_eq!(
        patch(&one, &one, &both),
        json!({"spec": {"$setElementOrder/ports": [{"port": 53}]}})
    );
    assert_eq!(
        patch(&both, &one, &both),
        json!({"spec": {"$setElementOrder/ports": [{"port": 53}], "ports": [{"port": 53, "$patch": "delete"}]}})
    );
}

/// Nulls that a merge patch says in a map that was not there.
#[test]
fn nulls_below_what_is_new_are_said() {
    let said = json!({"spec": {"nothing": null, "some": 1}});
    let patch = |original: &Value, live: &Value| three_way_merge(original, &said, live);
    assert_eq!(patch(&json!({}), &said), json!({"spec": {"nothing": null}}));
    assert_eq!(
        patch(&json!({"spec": null}), &json!({"spec": {"nothing": 1}})),
        json!({"spec": {"nothing": null, "some": 1}})
    );
    assert_eq!(patch(&said, &said), json!({}));
}

fn env() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-c]", "[0-2]", 0..3).prop_map(|map| {
        map.into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect()
    })
}

prop_compose! {
    fn container_list()(entries in proptest::collection::btree_map("[a-d]", ("[x-z]", proptest::option::of(env()), proptest::collection::vec("[0-2]", 0..3)), 0..4), turn in 0_usize..4) -> Value {
        let mut list: Vec<Value> = entries.into_iter().map(|(name, (image, env, args))| {
            let mut container = json!({"name": name, "image": image});
            if let Some(env) = env { container["env"] = env; }
            if !args.is_empty() { container["args"] = json!(args); }
            container
        }).collect();
        if !list.is_empty() { let by = turn % list.len(); list.rotate_left(by); }
        Value::Array(list)
    }
}

prop_compose! {
    fn object()(list in container_list(), labels in proptest::option::of(proptest::collection::btree_map("[a-c]", "[0-1]", 0..3)), finalizers in proptest::collection::btree_set("[a-c]", 0..3), replicas in proptest::option::of(0..3)) -> Value {
        let mut object = containers(list);
        object["metadata"] = json!({"finalizers": finalizers});
        if let Some(labels) = labels { object["metadata"]["labels"] = json!(labels); }
        if let Some(replicas) = replicas { object["spec"]["replicas"] = json!(replicas); }
        object
    }
}

/// Empty maps and lists say the same as absent ones.
fn without_empties(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(without_empties);
            map.retain(|_, value| {
                !matches!(value, Value::Object(map) if map.is_empty())
                    && !matches!(value, Value::Array(list) if list.is_empty())
            });
        }
        Value::Array(list) => list.iter_mut().for_each(without_empties),
        _ => {}
    }
}

proptest! {
    #[test]
    fn the_strategic_patch_applied_to_the_original_gives_the_modified(original in object(), modified in object()) {
        let patch = three_way_strategic(&original, &modified, &original, deployment()).unwrap();
        let mut result = original.clone();
        strategic(&mut result, patch.clone(), deployment()).unwrap();
        let mut expected = modified.clone();
        without_empties(&mut result);
        without_empties(&mut expected);
        prop_assert_eq!(&result, &expected, "patch {}", patch);
        let again = three_way_strategic(&modified, &modified, &result, deployment()).unwrap();
        let mut applied = result.clone();
        strategic(&mut applied, again, deployment()).unwrap();
        without_empties(&mut applied);
        prop_assert_eq!(applied, result);
    }

    #[test]
    fn the_merge_patch_applied_to_the_current_gives_what_was_asked(original in object(), modified in object(), current in object()) {
        let patch = three_way_merge(&original, &modified, &current);
        let mut result = current.clone();
        merge(&mut result, &patch).unwrap();
        prop_assert_eq!(three_way_merge(&original, &modified, &result), three_way_merge(&original, &modified, &modified));
        let whole = three_way_merge(&current, &modified, &current);
        let mut result = current.clone();
        merge(&mut result, &whole).unwrap();
        prop_assert_eq!(result, modified);
    }
}
