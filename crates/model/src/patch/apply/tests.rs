use wavetank_json::json;

use super::*;
use crate::key::GroupVersionKind;
use crate::schema::{builtin, complete, decode, schemaless};

const EARLY: &str = "2026-01-01T00:00:00Z";
static NO_RESET: FieldSet = FieldSet::EMPTY;
const LATE: &str = "2026-01-01T00:01:00Z";

fn schema_of(object: &Value) -> SchemaRef<'static> {
    builtin(&GroupVersionKind::of(object).unwrap()).unwrap()
}

fn writer<'a>(manager: &'a str, object: &'a Value, time: &'a str) -> Writer<'a> {
    let api_version = object["apiVersion"].as_str().unwrap();
    Writer {
        manager,
        api_version,
        subresource: "",
        time,
        reset: &NO_RESET,
    }
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": data})
}

/// An apply to an object with its `managedFields` in it.
fn apply(
    live: Option<&Value>,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
    schema: SchemaRef<'_>,
) -> Result<Value, ApplyError> {
    let owners = live.map(|live| ManagedFields::of(live).unwrap());
    let live = live.zip(owners.as_ref());
    let live = live.map(|(object, owners)| Tracked {
        object,
        managed: owners,
    });
    let (mut object, owners) = super::apply(live, config, writer, force, schema)?;
    owners.put_into(&mut object);
    Ok(object)
}

/// A write of an object with its `managedFields` in it.
fn update(old: Option<&Value>, new: &mut Value, writer: &Writer<'_>, schema: SchemaRef<'_>) {
    let owners = old.map(|old| ManagedFields::of(old).unwrap());
    let old = old.zip(owners.as_ref());
    let old = old.map(|(object, owners)| Tracked {
        object,
        managed: owners,
    });
    super::update(old, new, writer, schema).put_into(new);
}

fn applied(
    live: Option<&Value>,
    config: &Value,
    manager: &str,
    force: bool,
) -> Result<Value, ApplyError> {
    apply(
        live,
        config,
        &writer(manager, config, EARLY),
        force,
        schema_of(config),
    )
}

fn stored(mut object: Value, manager: &str, time: &str) -> Value {
    let schema = schema_of(&object);
    decode(schema, &mut object).unwrap();
    complete(schema, &mut object);
    let like = object.clone();
    update(None, &mut object, &writer(manager, &like, time), schema);
    object
}

/// `manager operation fieldsV1` of each entry.
fn entries(object: &Value) -> Vec<String> {
    let list = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |entry: &Value| {
        format!(
            "{} {} {}",
            entry["manager"].as_str().unwrap(),
            entry["operation"].as_str().unwrap(),
            entry["fieldsV1"]
        )
    };
    list.iter().map(text).collect()
}

#[test]
fn the_first_apply_owns_what_it_sets() {
    // T-041, T-042
    let config = config_map(json!({"a": "1"}));
    let object = applied(None, &config, "m1", false).unwrap();
    assert_eq!(entries(&object), [r#"m1 Apply {"f:data":{"f:a":{}}}"#]);
    assert_eq!(
        applied(Some(&object), &config, "m1", false).unwrap(),
        object
    );
}

#[test]
fn another_value_is_a_conflict_and_the_same_is_shared() {
    // T-043…T-047
    let one = applied(None, &config_map(json!({"a": "1"})), "m1", false).unwrap();
    let error = applied(Some(&one), &config_map(json!({"a": "2"})), "m2", false).unwrap_err();
    let status = error.status();
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"m1\": .data.a"
    );
    let details = status.details.unwrap();
    assert_eq!(
        (
            details.causes[0].reason.as_str(),
            details.causes[0].message.as_str(),
            details.causes[0].field.as_str()
        ),
        ("FieldManagerConflict", "conflict with \"m1\"", ".data.a")
    );
    let both = applied(Some(&one), &config_map(json!({"a": "1"})), "m2", false).unwrap();
    assert_eq!(
        entries(&both),
        [
            r#"m2 Apply {"f:data":{"f:a":{}}}"#,
            r#"m1 Apply {"f:data":{"f:a":{}}}"#
        ]
    );
    // An apply that changes no field of the object makes an entry without time, which sorts first.
    assert!(both["metadata"]["managedFields"][0].get("time").is_none());
    let left = applied(Some(&both), &config_map(json!({})), "m1", false).unwrap();
    assert_eq!(left["data"], json!({"a": "1"}));
    let gone = applied(Some(&left), &config_map(json!({})), "m2", false).unwrap();
    assert!(gone["data"].get("a").is_none());
    let forced = applied(Some(&one), &config_map(json!({"a": "2"})), "m2", true).unwrap();
    assert_eq!(entries(&forced), [r#"m2 Apply {"f:data":{"f:a":{}}}"#]);
}

#[test]
fn conflicts_name_update_managers_with_their_version_and_are_sorted() {
    // T-048, T-051
    let live = stored(config_map(json!({"a": "1", "b": "1"})), "u", EARLY);
    let error = applied(Some(&live), &config_map(json!({"a": "2"})), "m1", false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"u\" using v1: .data.a"
    );
    let live = applied(Some(&live), &config_map(json!({"c": "1"})), "b", false).unwrap();
    let error = applied(
        Some(&live),
        &config_map(json!({"a": "2", "b": "2", "c": "2"})),
        "m1",
        false,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"b\":\n- .data.c\nconflicts with \"u\" using v1:\n- .data.a\n- .data.b"
    );
}

fn deployment(containers: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": containers}}}})
}

fn names(object: &Value) -> Vec<&str> {
    let list = object["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    list.iter()
        .map(|container| container["name"].as_str().unwrap())
        .collect()
}

#[test]
fn items_given_up_are_removed_unless_others_own_them() {
    // T-052
    let c = deployment(json!([{"name": "c", "image": "x"}]));
    let mut object = applied(None, &c, "m1", false).unwrap();
    object["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    let object = applied(
        Some(&object),
        &deployment(json!([{"name": "d", "image": "y"}])),
        "m2",
        false,
    )
    .unwrap();
    assert_eq!(names(&object), ["c", "d"]);
    let left = applied(Some(&object), &deployment(json!([])), "m1", false).unwrap();
    assert_eq!(names(&left), ["d"]);
    let mut live = object.clone();
    live["spec"]["template"]["spec"]["containers"][0]["image"] = json!("z");
    update(
        Some(&object),
        &mut live,
        &writer("kubectl-edit", &c, LATE),
        schema_of(&c),
    );
    let left = applied(Some(&live), &deployment(json!([])), "m1", false).unwrap();
    // The item goes although another manager owns a field inside it: only its own entry `.` counts.
    assert_eq!(names(&left), ["d"]);
}

#[test]
fn ports_are_told_apart_by_port_and_protocol() {
    // T-053
    let service = |protocol: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80, "protocol": protocol}]}})
    };
    let object = applied(None, &service("TCP"), "m1", false).unwrap();
    let object = applied(Some(&object), &service("UDP"), "m2", false).unwrap();
    assert_eq!(
        object["spec"]["ports"],
        json!([{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}])
    );
}

#[test]
fn configurations_that_do_not_fit_are_refused() {
    // T-049, T-050, API-143, API-155
    let message = |config: &Value| {
        let status = applied(None, config, "m", false).unwrap_err().status();
        (status.code, status.message)
    };
    let mut config = config_map(json!({}));
    config["metadata"]["managedFields"] = json!([]);
    assert_eq!(
        message(&config),
        (400, "metadata.managedFields must be nil".into())
    );
    let mut config = deployment(json!([]));
    config["spec"]["foo"] = json!(1);
    assert_eq!(
        message(&config),
        (500, "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema".into())
    );
    let config = deployment(json!([{"name": "a"}, {"name": "a"}]));
    assert_eq!(
        message(&config).1,
        "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"a\"]"
    );
    let config = config_map(json!({"a": 1}));
    assert_eq!(
        message(&config).1,
        "failed to create typed patch object (/n; /v1, Kind=ConfigMap): .data.a: expected string, got &value.valueUnstructured{Value:1}"
    );
}

#[test]
fn fields_of_an_untracked_object_belong_to_before_first_apply() {
    // API-160, T-055
    let mut live = stored(config_map(json!({"a": "1"})), "u", EARLY);
    live["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    let object = applied(Some(&live), &config_map(json!({"b": "1"})), "m1", false).unwrap();
    assert_eq!(
        entries(&object),
        [
            r#"m1 Apply {"f:data":{"f:b":{}}}"#,
            r#"before-first-apply Update {"f:data":{".":{},"f:a":{}}}"#
        ]
    );
}

#[test]
fn kubectl_takes_over_what_client_side_apply_set() {
    // API-161
    let mut live = config_map(json!({"a": "1"}));
    live["metadata"]["annotations"] =
        json!({LAST_APPLIED: config_map(json!({"a": "1"})).to_string()});
    let live = stored(live, "kubectl-client-side-apply", EARLY);
    let config = config_map(json!({"a": "2"}));
    assert!(matches!(
        applied(Some(&live), &config, "other", false),
        Err(ApplyError::Conflict(_))
    ));
    let object = applied(Some(&live), &config, "kubectl", false).unwrap();
    assert_eq!(object["data"]["a"], "2");
    assert_eq!(
        object["metadata"]["annotations"][LAST_APPLIED],
        format!("{config}\n")
    );
}

#[test]
fn a_create_is_recorded_as_a_real_server_does() {
    let object = stored(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "1"}}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"a": "1"}}, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}}}),
        "kubectl-create",
        EARLY,
    );
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1", "time": EARLY, "fieldsType": "FieldsV1", "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {"f:replicas": {}, "f:selector": {}, "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                "f:template": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:image": {}, "f:name": {}, "f:resources": {},
                    "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}}}])
    );
}

#[test]
fn an_update_moves_what_it_changes_and_a_no_op_changes_nothing() {
    let old = stored(config_map(json!({"a": "1", "b": "1"})), "u1", EARLY);
    let schema = schema_of(&old);
    let mut same = old.clone();
    update(Some(&old), &mut same, &writer("u2", &old, LATE), schema);
    assert_eq!(same, old);
    let mut new = old.clone();
    new["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    new["data"] = json!({"a": "2", "c": "1"});
    update(Some(&old), &mut new, &writer("u2", &old, LATE), schema);
    assert_eq!(
        entries(&new),
        [
            r#"u1 Update {"f:data":{}}"#,
            r#"u2 Update {"f:data":{"f:a":{},"f:c":{}}}"#
        ]
    );
    assert_eq!(new["metadata"]["managedFields"][1]["time"], LATE);
    assert_eq!(new["metadata"]["managedFields"][0]["time"], EARLY);
}

#[test]
fn clients_may_clear_and_replace_managed_fields() {
    // API-175
    let old = stored(config_map(json!({"a": "1"})), "u1", EARLY);
    let schema = schema_of(&old);
    let written = |sent: Value, data: Value| {
        let mut new = old.clone();
        new["metadata"]["managedFields"] = sent;
        new["data"] = data;
        update(Some(&old), &mut new, &writer("u2", &old, LATE), schema);
        entries(&new)
    };
    assert!(written(json!([]), json!({"a": "2"})).is_empty());
    assert!(written(json!([{}]), json!({"a": "1"})).is_empty());
    assert_eq!(
        written(json!([{"manager": "x"}]), json!({"a": "1"})),
        entries(&old)
    );
    let mine = json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}]);
    assert_eq!(
        written(mine.clone(), json!({"a": "1"})),
        [r#"x Apply {"f:data":{"f:a":{}}}"#]
    );
    assert_eq!(
        written(mine, json!({"a": "2"})),
        [r#"u2 Update {"f:data":{"f:a":{}}}"#]
    );
}

#[test]
fn untracked_objects_stay_untracked() {
    let mut old = stored(config_map(json!({"a": "1"})), "u1", EARLY);
    old["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    let mut new = old.clone();
    new["data"] = json!({"a": "2"});
    update(
        Some(&old),
        &mut new,
        &writer("u2", &old, LATE),
        schema_of(&old),
    );
    assert!(entries(&new).is_empty());
}

#[test]
fn the_oldest_of_more_than_ten_updates_become_ancient_changes() {
    // API-173
    let mut object = stored(
        config_map(json!({"k00": "0"})),
        "m00",
        "2026-01-01T00:00:00Z",
    );
    let schema = schema_of(&object);
    for number in 1..12 {
        let mut new = object.clone();
        new["data"][format!("k{number:02}")] = json!("0");
        let (manager, time) = (
            format!("m{number:02}"),
            format!("2026-01-01T00:00:{number:02}Z"),
        );
        update(
            Some(&object),
            &mut new,
            &writer(&manager, &object, &time),
            schema,
        );
        object = new;
    }
    let texts = entries(&object);
    assert_eq!(texts.len(), 10);
    assert_eq!(
        texts[0],
        r#"ancient-changes Update {"f:data":{".":{},"f:k00":{},"f:k01":{},"f:k02":{}}}"#
    );
    assert_eq!(
        object["metadata"]["managedFields"][0]["time"],
        "2026-01-01T00:00:02Z"
    );
}

#[test]
fn reset_fields_are_owned_by_nobody() {
    // T-054, API-159
    let kind = GroupKind::new("apps", "Deployment");
    let reset = reset_fields(&kind, "", true, false);
    let mut config = deployment(json!([{"name": "c", "image": "x"}]));
    config["status"] = json!({"replicas": 3});
    let writer = Writer {
        manager: "m",
        api_version: "apps/v1",
        subresource: "",
        time: EARLY,
        reset: &reset,
    };
    let object = apply(None, &config, &writer, false, schema_of(&config)).unwrap();
    assert!(!entries(&object)[0].contains("f:status"));
    let reset = reset_fields(&kind, "status", true, false);
    let writer = Writer {
        manager: "c",
        subresource: "status",
        reset: &reset,
        ..writer
    };
    let mut new = object.clone();
    new["status"]["readyReplicas"] = json!(1);
    update(Some(&object), &mut new, &writer, schema_of(&config));
    let last = &new["metadata"]["managedFields"][1];
    assert_eq!(
        (&last["subresource"], &last["fieldsV1"]),
        (
            &json!("status"),
            &json!({"f:status": {"f:readyReplicas": {}}})
        )
    );
}

#[test]
fn custom_resources_are_tracked_by_their_schema_or_without() {
    let schema = schemaless();
    let config = json!({"apiVersion": "x.io/v1", "kind": "Foo", "metadata": {"name": "f"}, "spec": {"a": 1, "l": [1]}});
    let object = apply(None, &config, &writer("m", &config, EARLY), false, schema).unwrap();
    assert_eq!(
        entries(&object),
        [r#"m Apply {"f:spec":{".":{},"f:a":{},"f:l":{}}}"#]
    );
    let mut created = config.clone();
    update(None, &mut created, &writer("u", &config, EARLY), schema);
    assert_eq!(
        entries(&created),
        [r#"u Update {"f:spec":{".":{},"f:a":{},"f:l":{}}}"#]
    );
}
