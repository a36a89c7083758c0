//! Types of custom resources, from the structural schema in their definition.

use std::borrow::Cow;
use std::sync::Arc;

use wavetank_json::Value;

use super::{Facts, ListType, Node, NodeKind, Scalar, Struct};

/// The type of a custom resource; `apiVersion`, `kind` and `metadata` are those of every object.
pub(super) fn root(schema: Option<&Value>) -> Node {
    let mut node = match schema {
        Some(schema) if schema.is_object() => node(schema, false),
        _ => Node::plain(NodeKind::Any),
    };
    if !matches!(node.kind, NodeKind::Struct(_)) {
        let additional = Some(Box::new(Node::plain(NodeKind::Any)));
        node.kind = NodeKind::Struct(Box::new(Struct {
            additional,
            ..Struct::default()
        }));
    }
    add_object_fields(&mut node);
    node
}

fn add_object_fields(node: &mut Node) {
    let NodeKind::Struct(definition) = &mut node.kind else {
        return;
    };
    let mut fields = std::mem::take(&mut definition.fields).into_vec();
    fields.retain(|(name, _)| !matches!(name.as_ref(), "apiVersion" | "kind" | "metadata"));
    fields.push((
        Cow::Borrowed("apiVersion"),
        Node::plain(NodeKind::Scalar(Scalar::String)),
    ));
    fields.push((
        Cow::Borrowed("kind"),
        Node::plain(NodeKind::Scalar(Scalar::String)),
    ));
    fields.push((
        Cow::Borrowed("metadata"),
        Node::plain(NodeKind::Definition(0)),
    ));
    fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    **definition = Struct {
        additional: definition.additional.take(),
        ..Struct::with_fields(fields.into())
    };
}

/// `preserve` holds below a node with `x-kubernetes-preserve-unknown-fields`.
fn node(schema: &Value, preserve: bool) -> Node {
    let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or(false);
    let preserve = preserve || flag("x-kubernetes-preserve-unknown-fields");
    let kind = match schema.get("type").and_then(Value::as_str) {
        _ if flag("x-kubernetes-int-or-string") => NodeKind::Scalar(Scalar::IntOrString),
        Some("string") => NodeKind::Scalar(Scalar::String),
        Some("boolean") => NodeKind::Scalar(Scalar::Boolean),
        Some("integer") if schema.get("format").and_then(Value::as_str) == Some("int32") => {
            NodeKind::Scalar(Scalar::Int32)
        }
        Some("integer") => NodeKind::Scalar(Scalar::Int64),
        Some("number") => NodeKind::Scalar(Scalar::Number),
        Some("array") => NodeKind::List {
            items: Box::new(
                schema
                    .get("items")
                    .map_or(Node::plain(NodeKind::Raw), |items| node(items, preserve)),
            ),
            list_type: list_type(schema),
        },
        Some("object") => object(schema, preserve),
        _ if schema.get("properties").is_some() => object(schema, preserve),
        _ => NodeKind::Any,
    };
    let atomic = schema
        .get("x-kubernetes-map-type")
        .and_then(Value::as_str)
        .map(|text| text == "atomic");
    let facts = Facts {
        atomic,
        default: schema.get("default").cloned(),
        ..Facts::NONE
    };
    let mut out = Node { kind, facts };
    if flag("x-kubernetes-embedded-resource") {
        add_object_fields(&mut out);
    }
    out
}

fn object(schema: &Value, preserve: bool) -> NodeKind {
    let additional = match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(values @ Value::Object(_)) => Some(node(values, preserve)),
        Some(_) => Some(Node::plain(NodeKind::Any)),
        None if preserve => Some(Node::plain(NodeKind::Any)),
        None => None,
    };
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .filter(|properties| !properties.is_empty());
    match (properties, additional) {
        // An object without properties is free-form.
        (None, values) => NodeKind::Map(Box::new(values.unwrap_or(Node::plain(NodeKind::Any)))),
        (Some(properties), additional) => {
            let field = |(name, schema): (&String, &Value)| {
                (Cow::Owned(name.clone()), node(schema, preserve))
            };
            let mut fields: Vec<_> = properties.iter().map(field).collect();
            fields.sort_unstable_by(|(a, _): &(Cow<'static, str>, Node), (b, _)| a.cmp(b));
            let additional = additional.map(Box::new);
            NodeKind::Struct(Box::new(Struct {
                additional,
                ..Struct::with_fields(fields.into())
            }))
        }
    }
}

fn list_type(schema: &Value) -> ListType {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => {
            let keys = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array);
            ListType::Map(
                keys.into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(Arc::from)
                    .collect(),
            )
        }
        _ => ListType::Atomic,
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::super::{ListType, Schema, Shape};

    #[test]
    fn a_structural_schema_is_navigable_like_a_built_in_type() {
        let schema = Schema::from_structural(
            &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
                "replicas": {"type": "integer", "format": "int32"},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "properties": {"name": {"type": "string", "default": "a"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            }}}}),
        );
        let spec = schema.root().field("spec").unwrap();
        let parts = spec.field("parts").unwrap();
        assert_eq!(parts.list_type(), &ListType::Map(["name".into()].into()));
        assert_eq!(
            parts
                .items()
                .unwrap()
                .field("name")
                .unwrap()
                .default_value(),
            Some(&json!("a"))
        );
        assert!(spec.field("whole").unwrap().is_atomic_map());
        assert!(matches!(
            spec.field("free").unwrap().field("x").unwrap().shape(),
            Shape::Any
        ));
        assert!(spec.field("other").is_none());
        assert_eq!(
            schema
                .root()
                .field("metadata")
                .unwrap()
                .field("finalizers")
                .unwrap()
                .list_type(),
            &ListType::Set
        );
        assert!(matches!(
            super::super::schemaless().field("spec").unwrap().shape(),
            Shape::Any
        ));
    }
}
