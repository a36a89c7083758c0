use wavetank_json::json;

use super::*;
use crate::key::GroupVersionKind;
use crate::schema::{builtin, schemaless};

fn deployment() -> SchemaRef<'static> {
    builtin(&GroupVersionKind::new("apps/v1", "Deployment")).unwrap()
}

#[test]
fn an_object_sets_its_leaves_and_list_items() {
    let object = json!({"metadata": {"labels": {"a": "1"}, "annotations": {}}, "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "1"}},
        "template": {"spec": {"containers": [{"name": "c", "args": ["x"], "ports": [{"containerPort": 80}]}], "nodeSelector": {"x": "y"}}}}});
    assert_eq!(
        fields(&object, deployment()).unwrap().to_fields_v1(),
        json!({"f:metadata": {"f:labels": {"f:a": {}}, "f:annotations": {}}, "f:spec": {"f:replicas": {}, "f:selector": {},
            "f:template": {"f:spec": {"f:nodeSelector": {}, "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:args": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}})
    );
}

#[test]
fn where_nothing_is_declared_every_key_is_a_member() {
    let schema = schemaless();
    let object = json!({"spec": {"a": {"b": 1, "c": [{"d": 1}]}}});
    assert_eq!(
        fields(&object, schema).unwrap().to_fields_v1(),
        json!({"f:spec": {".": {}, "f:a": {".": {}, "f:b": {}, "f:c": {}}}})
    );
}

#[test]
fn objects_are_compared_by_item_and_leaf() {
    let object = |containers: Value, rest: Value| {
        let mut object = json!({"metadata": {"name": "x", "generation": 1}, "spec": {"template": {"spec": {"containers": containers}}}});
        crate::patch::merge(&mut object, &rest).unwrap();
        object
    };
    let old = object(
        json!([{"name": "a", "image": "1"}, {"name": "b"}]),
        json!({"metadata": {"labels": {"x": "1"}}}),
    );
    let new = object(
        json!([{"name": "c"}, {"name": "a", "image": "2"}]),
        json!({"metadata": {"generation": 2}, "spec": {"replicas": 1}}),
    );
    let comparison = compare(&old, &new, deployment()).unwrap();
    let containers =
        |item: Value| json!({"f:spec": {"f:template": {"f:spec": {"f:containers": item}}}});
    let mut added = containers(json!({"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}));
    added["f:spec"]["f:replicas"] = json!({});
    assert_eq!(comparison.added.to_fields_v1(), added);
    assert_eq!(
        comparison.modified.to_fields_v1(),
        containers(json!({"k:{\"name\":\"a\"}": {"f:image": {}}}))
    );
    let mut removed = containers(json!({"k:{\"name\":\"b\"}": {".": {}, "f:name": {}}}));
    removed["f:metadata"] = json!({"f:labels": {".": {}, "f:x": {}}});
    assert_eq!(comparison.removed.to_fields_v1(), removed);
    assert!(compare(&new, &new, deployment()).unwrap().is_empty());
    assert!(
        compare(
            &json!({"spec": {"a": 1.0}}),
            &json!({"spec": {"a": 1}}),
            schemaless()
        )
        .unwrap()
        .is_empty()
    );
}

#[test]
fn a_map_that_becomes_a_scalar_is_modified_and_its_entries_removed() {
    let schema = schemaless();
    let comparison = compare(
        &json!({"spec": {"a": {"b": 1}}}),
        &json!({"spec": {"a": 1}}),
        schema,
    )
    .unwrap();
    assert_eq!(
        comparison.modified.to_fields_v1(),
        json!({"f:spec": {"f:a": {}}})
    );
    assert_eq!(
        comparison.removed.to_fields_v1(),
        json!({"f:spec": {"f:a": {"f:b": {}}}})
    );
}

#[test]
fn what_comes_is_found_as_what_goes_is() {
    let with = |rest: Value| {
        let mut object = json!({"metadata": {"labels": {"x": "1"}}, "spec": {"replicas": 1}});
        crate::patch::merge(&mut object, &rest).unwrap();
        object
    };
    let ports =
        json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP", "name": "u"}]);
    let twice = json!([{"containerPort": 80}, {"containerPort": 80}]);
    for containers in [
        json!([]),
        json!([{"name": "a", "args": ["x"], "ports": ports, "resources": {}}, {"name": "b", "ports": []}]),
        json!([{"name": "a", "ports": twice}]),
        json!([{"name": "a"}, {"name": "a", "image": "i"}]),
    ] {
        let template = json!({"metadata": {"labels": {"a": "b"}, "annotations": {}},
            "spec": {"containers": containers, "nodeSelector": {"x": "y"}}});
        let more = with(
            json!({"spec": {"template": template, "selector": {}}, "status": {"conditions": [{"type": "A"}]}}),
        );
        let less = with(json!({}));
        let (comes, goes) = (
            compare(&less, &more, deployment()).unwrap(),
            compare(&more, &less, deployment()).unwrap(),
        );
        assert_eq!(comes.added, goes.removed, "{more}");
        assert!(comes.modified.is_empty() && comes.removed.is_empty());
    }
}
