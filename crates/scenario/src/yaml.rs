//! YAML as a tree in which every node knows its place.
//!
//! The stream is split at its document separators ([`split`]) and every document is read on its own ([`tree`]). Scalars
//! keep their text; what a plain one means depends on who reads it ([`scalar`]): the Scenario is YAML 1.2, every other
//! document is read as kubectl reads it ([`manifest`]).

pub(crate) mod manifest;
pub(crate) mod scalar;
pub(crate) mod split;
pub(crate) mod tree;

use std::ops::Range;

/// Bytes of one of the sources of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// Number of the source.
    pub source: u32,
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

impl Span {
    /// As a range of bytes.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One node of a document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    /// A scalar.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping: all keys in file order, repeated ones too; merge keys are resolved.
    Map(Vec<(Node, Node)>),
}

/// A scalar as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text, escapes resolved.
    pub text: Box<str>,
    /// Whether it was written without quotes, so that its text decides its type.
    pub plain: bool,
    /// A tag of YAML's core schema, as `str`.
    pub tag: Option<Tag>,
}

/// The tags that change how a scalar is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `!!str`, and `!`.
    Str,
    /// `!!binary`.
    Binary,
    /// `!!int`, `!!float`, `!!bool`, `!!null`: read like a plain scalar.
    Plain,
}

impl Node {
    /// A tree of no place from JSON.
    pub(crate) fn of_json(value: &wavetank_json::Value) -> Self {
        use wavetank_json::Value;
        let scalar = |text: &str, plain| {
            NodeValue::Scalar(Scalar {
                text: text.into(),
                plain,
                tag: None,
            })
        };
        let value = match value {
            Value::String(text) => scalar(text, false),
            Value::Array(items) => NodeValue::List(items.iter().map(Self::of_json).collect()),
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| {
                    let key = Self {
                        span: Span::default(),
                        value: scalar(key, false),
                    };
                    (key, Self::of_json(value))
                };
                NodeValue::Map(map.iter().map(entry).collect())
            }
            other => scalar(&other.to_string(), true),
        };
        Self {
            span: Span::default(),
            value,
        }
    }

    /// The text, when it is a scalar.
    pub(crate) fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The entries of a mapping; none for other nodes.
    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for other nodes.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            NodeValue::List(items) => items,
            _ => &[],
        }
    }

    /// The value of the last key `name`, as every reader of YAML takes it.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .rev()
            .find(|(key, _)| key.scalar_text() == Some(name))
            .map(|(_, value)| value)
    }

    /// The value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Whether it is an empty mapping or a list without items.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.value, NodeValue::Map(_))
    }
}
