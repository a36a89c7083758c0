//! Cases: parameter sets that are put in before a file is read (section 9).

use std::collections::BTreeSet;

use crate::context::Context;
use crate::yaml::{Node, NodeValue, Scalar, Span};

/// One case.
pub(crate) struct Case {
    /// Its name.
    pub name: String,
    /// Its parameters.
    with: Vec<(String, Node)>,
}

/// Reads `spec.cases`; problems of form are left to the check of shapes.
pub(crate) fn read(node: &Node) -> Vec<Case> {
    node.items()
        .iter()
        .filter_map(|item| {
            let name = item.get("name")?.scalar_text()?.to_owned();
            let with = item.get("with").map_or(&[][..], Node::entries);
            let with = with
                .iter()
                .filter_map(|(key, value)| Some((key.scalar_text()?.to_owned(), value.clone())))
                .collect();
            Some(Case { name, with })
        })
        .collect()
}

/// Puts the parameters of a case in.
pub(crate) struct Substitution<'a> {
    case: &'a Case,
    /// Parameters that were used so far.
    pub used: BTreeSet<String>,
    /// Parameters that are not known in a document where all must be: where, and which.
    pub unknown: Vec<(Span, String)>,
}

impl<'a> Substitution<'a> {
    /// Of `case`.
    pub(crate) fn new(case: &'a Case) -> Self {
        Self {
            case,
            used: BTreeSet::new(),
            unknown: Vec::new(),
        }
    }

    /// `node` with every parameter put in. Unknown ones are left alone, and noted when `strict`.
    pub(crate) fn put_in(&mut self, node: &Node, strict: bool) -> Node {
        let value = match &node.value {
            NodeValue::Scalar(scalar) => return self.scalar(scalar, node.span, strict),
            NodeValue::List(items) => {
                NodeValue::List(items.iter().map(|item| self.put_in(item, strict)).collect())
            }
            NodeValue::Map(entries) => {
                let entries = entries.iter().filter_map(|(key, value)| {
                    let replaced = self.put_in(value, strict);
                    let became_null = is_null(&replaced) && !is_null(value);
                    (!became_null).then(|| (self.put_in(key, strict), replaced))
                });
                NodeValue::Map(entries.collect())
            }
        };
        Node {
            span: node.span,
            value,
        }
    }

    fn scalar(&mut self, scalar: &Scalar, span: Span, strict: bool) -> Node {
        let text = &*scalar.text;
        if let Some(name) = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            && let Some((_, value)) = self.case.with.iter().find(|(known, _)| known == name)
        {
            self.used.insert(name.to_owned());
            return Node {
                span,
                value: value.value.clone(),
            };
        }
        let text = if text.contains("${") {
            self.text(text, span, strict)
        } else {
            text.to_owned()
        };
        Node {
            span,
            value: NodeValue::Scalar(Scalar {
                text: text.into(),
                ..scalar.clone()
            }),
        }
    }

    fn text(&mut self, text: &str, span: Span, strict: bool) -> String {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                out.push_str(&rest[..at - 1]);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else {
                break;
            };
            let name = &rest[at + 2..at + end];
            let known = self.case.with.iter().find(|(known, _)| known == name);
            if let Some(value) = known.and_then(|(_, value)| value.scalar_text()) {
                self.used.insert(name.to_owned());
                out.push_str(value);
            } else {
                if strict {
                    self.unknown.push((span, name.to_owned()));
                }
                out.push_str(&rest[at..=at + end]);
            }
            rest = &rest[at + end + 1..];
        }
        out.push_str(rest);
        out
    }
}

fn is_null(node: &Node) -> bool {
    matches!(&node.value, NodeValue::Scalar(scalar) if scalar.plain && matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL"))
}

/// Whether anything in `node` could be a parameter.
pub(crate) fn has_parameters(node: &Node) -> bool {
    match &node.value {
        NodeValue::Scalar(scalar) => scalar.text.contains("${"),
        NodeValue::List(items) => items.iter().any(has_parameters),
        NodeValue::Map(entries) => entries
            .iter()
            .any(|(key, value)| has_parameters(key) || has_parameters(value)),
    }
}

/// Parameters that stand in `with` of `cases` and that no case used.
pub(crate) fn report_unused(cases: &Node, used: &BTreeSet<String>, context: &mut Context) {
    for case in cases.items() {
        for (key, _) in case.get("with").map_or(&[][..], Node::entries) {
            let name = key.scalar_text().unwrap_or_default();
            if !used.contains(name) {
                context.error(
                    key.span,
                    format!("the parameter `{name}` is not used in this file"),
                    format!("`${{{name}}}` stands nowhere"),
                );
            }
        }
    }
}
