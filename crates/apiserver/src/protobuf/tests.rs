use wavetank_json::json;

use super::*;

fn tag(number: u8, wire: u8) -> Vec<u8> {
    let tag = u16::from(number) << 3 | u16::from(wire);
    if tag < 0x80 {
        vec![u8::try_from(tag).unwrap()]
    } else {
        vec![
            u8::try_from(tag & 0x7f).unwrap() | 0x80,
            u8::try_from(tag >> 7).unwrap(),
        ]
    }
}

/// A field of bytes: its number, and what stands in it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = tag(number, 2);
    out.push(u8::try_from(content.len()).unwrap());
    out.extend_from_slice(content);
    out
}

fn number(number: u8, value: u8) -> Vec<u8> {
    let mut out = tag(number, 0);
    out.push(value);
    out
}

fn message(fields: &[Vec<u8>]) -> Vec<u8> {
    fields.concat()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = message(&[field(1, api_version.as_bytes()), field(2, kind.as_bytes())]);
    let rest = message(&[field(1, &meta), field(2, raw), field(3, b""), field(4, b"")]);
    [MAGIC, &rest].concat()
}

#[test]
fn a_config_map_has_maps_and_empty_metadata() {
    let meta = message(&[
        field(1, b"c"),
        field(3, b""),
        number(7, 0),
        field(8, b""),
        field(11, &message(&[field(1, b"app"), field(2, b"web")])),
    ]);
    let entry = message(&[field(1, b"k"), field(2, b"v")]);
    let empty = message(&[field(1, b"empty")]);
    let binary = message(&[field(1, b"b"), field(2, &[0, 255])]);
    let raw = message(&[
        field(1, &meta),
        field(2, &entry),
        field(2, &empty),
        field(3, &binary),
        number(4, 1),
    ]);
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "", "generation": 0, "creationTimestamp": null, "labels": {"app": "web"}},
        "data": {"k": "v", "empty": ""}, "binaryData": {"b": "AP8="}, "immutable": true,
    });
    assert_eq!(decode(&body("v1", "ConfigMap", &raw)).unwrap(), expected);
}

#[test]
fn inlined_messages_numbers_and_times_are_read() {
    let port = message(&[
        field(1, b"http"),
        number(3, 80),
        field(4, &message(&[number(1, 1), number(2, 0), field(3, b"web")])),
    ]);
    let other = message(&[
        number(3, 81),
        field(4, &message(&[number(1, 0), number(2, 8)])),
    ]);
    let spec = message(&[field(1, &port), field(1, &other)]);
    let service = decode(&body("v1", "Service", &field(2, &spec))).unwrap();
    assert_eq!(
        service["spec"]["ports"],
        json!([{"name": "http", "port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 8}])
    );

    let volume = message(&[field(1, b"v"), field(2, &field(2, &field(1, b"Memory")))]);
    let pod = decode(&body("v1", "Pod", &field(2, &field(1, &volume)))).unwrap();
    assert_eq!(
        pod["spec"]["volumes"],
        json!([{"name": "v", "emptyDir": {"medium": "Memory"}}])
    );

    let renewed = message(&[number(1, 1), vec![2 << 3, 0xe8, 0x07]]);
    let lease = decode(&body(
        "coordination.k8s.io/v1",
        "Lease",
        &field(2, &field(4, &renewed)),
    ));
    assert_eq!(
        lease.unwrap()["spec"]["renewTime"],
        "1970-01-01T00:00:01.000001Z"
    );
}

#[test]
fn lists_of_numbers_may_be_packed() {
    let one_by_one = message(&[number(4, 5), number(4, 6)]);
    let packed = field(4, &[5, 6]);
    for groups in [one_by_one, packed] {
        let pod = decode(&body("v1", "Pod", &field(2, &field(14, &groups)))).unwrap();
        assert_eq!(
            pod["spec"]["securityContext"]["supplementalGroups"],
            json!([5, 6])
        );
    }
}

#[test]
fn a_schema_of_a_definition_keeps_what_it_stands_for() {
    let items = field(24, &field(1, &field(5, b"string")));
    let open = field(30, &number(1, 1));
    let default = field(8, &field(1, br#"{"a":1}"#));
    let schema = message(&[field(5, b"array"), items, open, default]);
    let version = message(&[field(1, b"v1"), field(4, &field(1, &schema))]);
    let raw = field(2, &field(7, &version));
    let definition = decode(&body(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &raw,
    ))
    .unwrap();
    assert_eq!(
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        json!({"type": "array", "items": {"type": "string"}, "additionalProperties": true, "default": {"a": 1}})
    );
}

#[test]
fn options_of_a_delete_are_read_in_any_group() {
    let raw = message(&[number(1, 30), field(4, b"Foreground")]);
    for version in ["v1", "meta.k8s.io/v1", "apps/v1"] {
        let options = decode(&body(version, "DeleteOptions", &raw)).unwrap();
        assert_eq!(options["propagationPolicy"], "Foreground");
        assert_eq!(options["gracePeriodSeconds"], 30);
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let why = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    assert!(why(b"{}").contains("does not appear to be a protobuf message"));
    assert!(why(&body("v1", "Nothing", b"")).contains(r#"no kind "Nothing" is registered"#));
    let unknown = field(15, b"x");
    assert!(why(&body("v1", "ConfigMap", &unknown)).contains("field number 15 within ConfigMap"));
    assert_eq!(why(&body("v1", "ConfigMap", &[10, 9])), "unexpected EOF");
    assert!(why(&body("v1", "ConfigMap", &number(1, 1))).contains("wrong wireType = 0"));
    assert!(why(&body("v1", "ConfigMap", &[11])).contains("wireType = 3"));
}

#[test]
fn nesting_has_an_end() {
    // Each level doubles the bytes of its length at most, so lengths are written by hand.
    let mut schema = Vec::new();
    for _ in 0..300 {
        let mut outer = vec![0xe2, 0x01]; // field 28, `not`
        let mut length = schema.len();
        while length >= 0x80 {
            outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        outer.push(u8::try_from(length).unwrap());
        outer.extend_from_slice(&schema);
        schema = outer;
    }
    let version = table::root("apiextensions.k8s.io/v1", "CustomResourceDefinition").unwrap();
    let spec = match table::message(version)[1].kind {
        Kind::Message(number) => number,
        other => panic!("{other:?}"),
    };
    let versions = table::message(spec)
        .iter()
        .find(|field| field.name == "versions");
    let Kind::Message(versions) = versions.unwrap().kind else {
        panic!()
    };
    let validation = table::message(versions)
        .iter()
        .find(|field| field.name == "schema");
    let Kind::Message(validation) = validation.unwrap().kind else {
        panic!()
    };
    let Kind::Message(schemas) = table::message(validation)[0].kind else {
        panic!()
    };
    let error = read_message(&schema, schemas, "", DEEPEST, &mut Map::new()).unwrap_err();
    assert!(matches!(error, DecodeError::TooDeep));
}
