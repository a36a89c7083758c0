//! The table of built-in types: `data/types.txt`, written by `tools/generate-types.py`, which also explains its format.
//!
//! The lines are found once; a definition is parsed when it is first needed.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use wavetank_json::{Map, Value};

use super::{Facts, ListType, Node, NodeKind, PatchStrategy, Scalar, SchemaRef, Struct, complete};
use crate::key::{GroupVersionKind, split_api_version};

const TEXT: &str = include_str!("../../data/types.txt");

struct Table {
    /// Group, version and kind, and the node that refers to the definition; sorted.
    roots: Vec<((&'static str, &'static str, &'static str), Node)>,
    definitions: Vec<Definition>,
}

struct Definition {
    line: &'static str,
    parsed: OnceLock<Struct>,
    zero: OnceLock<Value>,
}

static TABLE: OnceLock<Table> = OnceLock::new();

fn table() -> &'static Table {
    TABLE.get_or_init(|| {
        let (mut roots, mut definitions) = (Vec::new(), Vec::new());
        for line in TEXT.lines() {
            if let Some(root) = line.strip_prefix('=') {
                let mut words = root.split(' ');
                let mut next = || words.next().unwrap_or_default();
                let (group, version) = split_api_version(next());
                roots.push((
                    (group, version, next()),
                    Node::plain(NodeKind::Definition(next().parse().unwrap_or(0))),
                ));
            } else if !line.starts_with('#') {
                definitions.push(Definition {
                    line,
                    parsed: OnceLock::new(),
                    zero: OnceLock::new(),
                });
            }
        }
        roots.sort_unstable_by_key(|(kind, _)| *kind);
        Table { roots, definitions }
    })
}

/// The type of the built-in kind `kind`, in that version; also of `Scale`, `Eviction`, `TokenRequest`, `DeleteOptions`.
pub fn builtin(kind: &GroupVersionKind) -> Option<SchemaRef<'static>> {
    let wanted = (
        kind.group.as_str(),
        kind.version.as_str(),
        kind.kind.as_str(),
    );
    let roots = &table().roots;
    let at = roots
        .binary_search_by(|(root, _)| (*root).cmp(&wanted))
        .ok()?;
    Some(SchemaRef(&roots[at].1))
}

/// The definition `number`; 0 is `ObjectMeta`.
///
/// # Panics
/// When the table refers to a definition it does not hold, which a test excludes.
pub(super) fn definition(number: u32) -> &'static Struct {
    let definition = &table().definitions[number as usize];
    definition
        .parsed
        .get_or_init(|| parse_definition(definition.line))
}

/// An object of definition `number` before anything is set.
pub(super) fn zero(number: u32) -> &'static Value {
    let definition = &table().definitions[number as usize];
    definition.zero.get_or_init(|| {
        let mut object = Value::Object(Map::new());
        complete(
            SchemaRef(&Node::plain(NodeKind::Definition(number))),
            &mut object,
        );
        object
    })
}

fn parse_definition(line: &'static str) -> Struct {
    let mut parts = line.split('|');
    let mut next = || parts.next().unwrap_or_default();
    let (name, package, flags) = (next(), next(), next());
    let fields = parts.filter_map(|field| {
        let (name, rest) = field.split_once(':')?;
        Some((Cow::Borrowed(name), parse_field(rest)))
    });
    Struct {
        name: Cow::Borrowed(name),
        package: Cow::Borrowed(package),
        atomic: flags.contains('A'),
        ..Struct::with_fields(fields.collect())
    }
}

fn parse_field(text: &'static str) -> Node {
    let mut words = text.split(' ');
    let mut kind = parse_kind(words.next().unwrap_or_default());
    let mut facts = Facts::NONE;
    for word in words {
        let (name, value) = word
            .split_once('=')
            .map_or((word, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("~", _) => facts.omit_empty = true,
            ("0", _) => facts.omit_zero = true,
            ("*", _) => facts.pointer = true,
            ("A", _) => facts.atomic = Some(true),
            ("G", _) => facts.atomic = Some(false),
            ("M", key) => {
                facts.patch = PatchStrategy {
                    merge: true,
                    merge_key: key.map(Box::from),
                    ..facts.patch
                };
            }
            ("R", _) => facts.patch.retain_keys = true,
            ("W", _) => facts.patch.replace = true,
            ("D", Some(json)) => facts.default = serde_json::from_str(json).ok(),
            ("T", Some(go_type)) => facts.go_type = Some(go_type.into()),
            ("L", Some(keys)) => {
                if let NodeKind::List { list_type, .. } = &mut kind {
                    *list_type = parse_list_type(keys);
                }
            }
            _ => {}
        }
    }
    Node { kind, facts }
}

fn parse_list_type(keys: &str) -> ListType {
    if keys == "set" {
        ListType::Set
    } else {
        ListType::Map(keys.split(',').map(Arc::from).collect())
    }
}

fn parse_kind(text: &str) -> NodeKind {
    let (code, rest) = text.split_at_checked(1).unwrap_or_default();
    let inner = || Box::new(Node::plain(parse_kind(rest)));
    NodeKind::Scalar(match code {
        "s" => Scalar::String,
        "b" => Scalar::Boolean,
        "i" => Scalar::Int32,
        "l" => Scalar::Int64,
        "n" => Scalar::Number,
        "y" => Scalar::Bytes,
        "t" => Scalar::Time,
        "u" => Scalar::MicroTime,
        "d" => Scalar::Duration,
        "q" => Scalar::Quantity,
        "o" => Scalar::IntOrString,
        "r" => return NodeKind::Raw,
        "@" => return NodeKind::Definition(rest.parse().unwrap_or(0)),
        "[" => {
            return NodeKind::List {
                items: inner(),
                list_type: ListType::Atomic,
            };
        }
        "{" => return NodeKind::Map(inner()),
        _ => return NodeKind::Any,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;

    #[test]
    fn every_reference_of_the_table_is_in_it() {
        fn check(kind: &NodeKind) {
            match kind {
                NodeKind::Definition(number) => {
                    assert!((*number as usize) < table().definitions.len());
                }
                NodeKind::List { items, .. } => check(&items.kind),
                NodeKind::Map(values) => check(&values.kind),
                _ => {}
            }
        }
        for number in 0..table().definitions.len() {
            let definition = definition(u32::try_from(number).unwrap());
            assert!(
                definition.fields.is_sorted_by(|a, b| a.0 < b.0),
                "{}",
                definition.name
            );
            definition
                .fields
                .iter()
                .for_each(|(_, node)| check(&node.kind));
        }
        for (_, node) in &table().roots {
            check(&node.kind);
        }
        assert_eq!(definition(0).name, "ObjectMeta");
    }

    #[test]
    fn every_served_version_of_every_built_in_kind_has_a_type() {
        for kind in crate::kinds::KINDS {
            for version in kind.versions {
                let gvk = kind.group_kind().with_version(*version);
                let schema = builtin(&gvk).unwrap_or_else(|| panic!("no type for {gvk}"));
                let Shape::Struct(definition) = schema.shape() else {
                    panic!("{gvk} is no struct")
                };
                assert_eq!(definition.name(), kind.kind);
            }
        }
        assert!(builtin(&GroupVersionKind::new("apps/v1beta1", "Deployment")).is_none());
        assert!(builtin(&GroupVersionKind::new("autoscaling/v1", "Scale")).is_some());
    }

    #[test]
    fn list_types_and_merge_keys_are_navigable() {
        let deployment = builtin(&GroupVersionKind::new("apps/v1", "Deployment")).unwrap();
        let walk = |path: &str| {
            path.split('.').fold(deployment, |at, name| {
                if name == "[]" {
                    at.items()
                } else {
                    at.field(name)
                }
                .unwrap()
            })
        };
        let ports = walk("spec.template.spec.containers.[].ports");
        assert_eq!(
            ports.list_type(),
            &ListType::Map(["containerPort".into(), "protocol".into()].into())
        );
        assert_eq!(
            ports.patch_strategy().merge_key.as_deref(),
            Some("containerPort")
        );
        let protocol = ports.items().unwrap().field("protocol").unwrap();
        assert_eq!(protocol.default_value(), Some(&"TCP".into()));
        assert!(walk("spec.selector").is_atomic_map());
        assert!(walk("spec.template.spec.nodeSelector").is_atomic_map());
        assert!(!walk("metadata.labels").is_atomic_map());
        assert!(walk("spec.strategy").patch_strategy().retain_keys);
        assert_eq!(
            walk("spec.template.spec.containers").go_type(),
            "[]v1.Container"
        );
        assert_eq!(walk("metadata.finalizers").list_type(), &ListType::Set);
    }
}
