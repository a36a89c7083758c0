//! Builds the tree of one document from the parser's events.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle};

use super::{Node, NodeValue, Scalar, Span, Tag};

/// How much a document may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeLimits {
    /// Nesting.
    pub depth: usize,
    /// Nodes, aliases expanded.
    pub nodes: usize,
}

/// Why a document could not be read.
#[derive(Debug)]
pub(crate) struct TreeError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the source.
    pub span: Span,
    /// What to do.
    pub label: String,
}

struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A collection that is being read.
struct Open {
    span: Span,
    anchor: usize,
    map: bool,
    items: Vec<Node>,
    nodes: usize,
    depth: usize,
}

struct Builder {
    limits: TreeLimits,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    root: Option<Node>,
    nodes: usize,
}

/// Reads the document `text`, which begins at byte `offset` of source number `source`; `None` when it is empty.
pub(crate) fn read(
    text: &str,
    source: u32,
    offset: usize,
    limits: TreeLimits,
) -> Result<Option<Node>, TreeError> {
    let mut builder = Builder {
        limits,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
        nodes: 0,
    };
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits.depth + 8,
        block_nesting_limit: limits.depth + 8,
    };
    let place = |start: usize, end: usize| Span {
        source,
        start: u32::try_from(offset + start).unwrap_or(u32::MAX),
        end: u32::try_from(offset + end).unwrap_or(u32::MAX),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
            if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
                return too_deep(limits, place(at, at));
            }
            TreeError {
                message: syntax_message(&error.info(), text, at),
                span: place(at, at),
                label: String::new(),
            }
        })?;
        let range = span.byte_range().unwrap_or(0..0);
        builder.event(event, place(range.start, range.end))?;
    }
    Ok(builder.root)
}

fn too_deep(limits: TreeLimits, span: Span) -> TreeError {
    TreeError {
        message: format!(
            "this document is nested deeper than the limit of {} levels",
            limits.depth
        ),
        span,
        label: "this level is one too many".to_owned(),
    }
}

/// The parser's words, with a hint for the commonest slips.
fn syntax_message(info: &str, text: &str, at: usize) -> String {
    let line = text[..at].rfind('\n').map_or(0, |start| start + 1);
    let line = text[line..].lines().next().unwrap_or_default();
    let hint = if line.trim_start_matches(' ').starts_with('\t') {
        " (indentation must be spaces, this line begins with a tab)"
    } else if line.contains("{{") {
        " (this looks like a template that was not rendered)"
    } else {
        ""
    };
    format!("this is no YAML: {info}{hint}")
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), TreeError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.and_then(|tag| match tag.core_suffix() {
                    Some("str") => Some(Tag::Str),
                    Some("binary") => Some(Tag::Binary),
                    Some("int" | "float" | "bool" | "null") => Some(Tag::Plain),
                    _ if tag.original() == "!" => Some(Tag::Str),
                    _ => None,
                });
                let scalar = Scalar {
                    text: text.into(),
                    plain: style == ScalarStyle::Plain,
                    tag,
                };
                let span = trim_block(span, style, &scalar.text);
                self.push(
                    Node {
                        span,
                        value: NodeValue::Scalar(scalar),
                    },
                    anchor,
                    1,
                    0,
                )
            }
            Event::SequenceStart(_, anchor, _) => self.open(span, anchor, false),
            Event::MappingStart(_, anchor, _) => self.open(span, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span),
            _ => Ok(()),
        }
    }

    fn open(&mut self, span: Span, anchor: usize, map: bool) -> Result<(), TreeError> {
        if self.stack.len() >= self.limits.depth {
            return Err(too_deep(self.limits, span));
        }
        self.stack.push(Open {
            span,
            anchor,
            map,
            items: Vec::new(),
            nodes: 1,
            depth: 0,
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), TreeError> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let whole = Span {
            end: span.end.max(open.span.end),
            ..open.span
        };
        let value = if open.map {
            NodeValue::Map(merged(open.items)?)
        } else {
            NodeValue::List(open.items)
        };
        self.push(
            Node { span: whole, value },
            open.anchor,
            open.nodes,
            open.depth + 1,
        )
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), TreeError> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(TreeError {
                message: "this alias stands within the very node it names".to_owned(),
                span,
                label: "a document cannot hold itself".to_owned(),
            });
        };
        if self.stack.len() + anchored.depth > self.limits.depth {
            return Err(too_deep(self.limits, span));
        }
        let (nodes, depth) = (anchored.nodes, anchored.depth);
        self.count(nodes, span)?;
        let node = Node {
            span,
            ..self.anchors[&id].node.clone()
        };
        self.place(node, nodes, depth);
        Ok(())
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), TreeError> {
        self.nodes += nodes;
        if self.nodes <= self.limits.nodes {
            return Ok(());
        }
        Err(TreeError {
            message: format!(
                "this document has more than {} nodes, aliases expanded, which is the limit",
                self.limits.nodes
            ),
            span,
            label: "the limit is met here".to_owned(),
        })
    }

    fn push(
        &mut self,
        node: Node,
        anchor: usize,
        nodes: usize,
        depth: usize,
    ) -> Result<(), TreeError> {
        self.count(1, node.span)?;
        if anchor != 0 {
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    depth,
                },
            );
        }
        self.place(node, nodes, depth);
        Ok(())
    }

    fn place(&mut self, node: Node, nodes: usize, depth: usize) {
        match self.stack.last_mut() {
            Some(open) => {
                open.nodes += nodes;
                open.depth = open.depth.max(depth);
                open.items.push(node);
            }
            None => self.root = Some(node),
        }
    }
}

/// A block scalar's span reaches to the next token; for messages its first line is enough.
fn trim_block(span: Span, style: ScalarStyle, text: &str) -> Span {
    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        return Span {
            end: span.end.min(span.start.saturating_add(length)),
            ..span
        };
    }
    span
}

/// Pairs keys and values; `<<` brings the entries of other mappings, which never win over written ones.
fn merged(items: Vec<Node>) -> Result<Vec<(Node, Node)>, TreeError> {
    let mut written = Vec::with_capacity(items.len() / 2);
    let mut sources = Vec::new();
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        let is_merge = matches!(&key.value, NodeValue::Scalar(scalar) if scalar.plain && &*scalar.text == "<<");
        match value.value {
            _ if !is_merge => written.push((key, value)),
            NodeValue::List(items) => sources.extend(items),
            other => sources.push(Node {
                span: value.span,
                value: other,
            }),
        }
    }
    if sources.is_empty() {
        return Ok(written);
    }
    let mut known: BTreeSet<Box<str>> = written
        .iter()
        .filter_map(|(key, _)| key.scalar_text().map(Box::from))
        .collect();
    let mut entries = Vec::new();
    for source in sources {
        let NodeValue::Map(inherited) = source.value else {
            return Err(TreeError {
                message: "a merge key takes a mapping, or a list of mappings".to_owned(),
                span: source.span,
                label: "this is none".to_owned(),
            });
        };
        let fresh = inherited.into_iter().filter(|(key, _)| {
            key.scalar_text()
                .is_none_or(|text| known.insert(text.into()))
        });
        entries.extend(fresh);
    }
    entries.extend(written);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TreeLimits = TreeLimits {
        depth: 20,
        nodes: 1000,
    };

    fn refusal(text: &str) -> String {
        read(text, 0, 0, LIMITS).unwrap_err().message
    }

    #[test]
    fn merge_keys_lose_against_written_ones() {
        let tree = read("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n", 0, 0, LIMITS)
            .unwrap()
            .unwrap();
        let used = tree.get("use").unwrap();
        assert_eq!(used.get("x").unwrap().scalar_text(), Some("1"));
        assert_eq!(used.get("y").unwrap().scalar_text(), Some("3"));
        assert_eq!(used.entries().len(), 2);
    }

    #[test]
    fn spans_are_bytes_of_the_source() {
        let text = "ä: 'x y'\nb: [1, two]\n";
        let tree = read(text, 0, 0, LIMITS).unwrap().unwrap();
        assert_eq!(&text[tree.get("ä").unwrap().span.range()], "'x y'");
        assert_eq!(&text[tree.get("b").unwrap().items()[1].span.range()], "two");
    }

    #[test]
    fn cycles_bombs_and_depth_are_refused() {
        assert_eq!(
            refusal("a: &a [*a]\n"),
            "this alias stands within the very node it names"
        );
        assert_eq!(
            refusal(&format!("{}{}", "[".repeat(30), "]".repeat(30))),
            "this document is nested deeper than the limit of 20 levels"
        );
        let mut bomb = "a0: &a0 [x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let item = format!("*a{}", level - 1);
            bomb.push_str(
                &[
                    "a",
                    &level.to_string(),
                    ": &a",
                    &level.to_string(),
                    " [",
                    &vec![item; 4].join(", "),
                    "]\n",
                ]
                .concat(),
            );
        }
        assert_eq!(
            refusal(&bomb),
            "this document has more than 1000 nodes, aliases expanded, which is the limit"
        );
    }

    #[test]
    fn tabs_are_named() {
        assert!(refusal("a:\n\tb: 1\n").contains("begins with a tab"));
    }
}
