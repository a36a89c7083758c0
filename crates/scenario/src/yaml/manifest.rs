//! A tree as a JSON value.

use wavetank_json::{Map, Value};

use super::scalar::{Dialect, resolve};
use super::{Node, NodeValue, Span};

/// Something worth telling about a conversion.
#[derive(Debug)]
pub(crate) enum Finding {
    /// The key stands twice; the last one wins.
    Duplicate {
        /// The key.
        key: String,
        /// The second place.
        span: Span,
    },
    /// The scalar has no value in JSON.
    NoValue {
        /// Why.
        reason: String,
        /// Where.
        span: Span,
    },
    /// A mapping key that is itself a collection, or null.
    Key {
        /// Where.
        span: Span,
    },
}

/// The JSON value of `node`. What is wrong is put to `findings`; the value is then a stand-in.
pub(crate) fn to_json(node: &Node, dialect: Dialect, findings: &mut Vec<Finding>) -> Value {
    match &node.value {
        NodeValue::Scalar(scalar) => resolve(scalar, dialect).unwrap_or_else(|reason| {
            findings.push(Finding::NoValue {
                reason,
                span: node.span,
            });
            Value::Null
        }),
        NodeValue::List(items) => items
            .iter()
            .map(|item| to_json(item, dialect, findings))
            .collect(),
        NodeValue::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let Some(name) = key_text(key, dialect) else {
                    findings.push(Finding::Key { span: key.span });
                    continue;
                };
                let value = to_json(value, dialect, findings);
                if map.contains_key(&name) {
                    findings.push(Finding::Duplicate {
                        key: name.clone(),
                        span: key.span,
                    });
                }
                map.insert(name, value);
            }
            Value::Object(map)
        }
    }
}

/// A key as text: kubectl writes `on` as `true` and `0x10` as `16`.
fn key_text(key: &Node, dialect: Dialect) -> Option<String> {
    let NodeValue::Scalar(scalar) = &key.value else {
        return None;
    };
    if dialect == Dialect::Scenario || !scalar.plain {
        return Some(scalar.text.to_string());
    }
    match resolve(scalar, dialect).ok()? {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::super::tree::{TreeLimits, read};
    use super::*;

    #[test]
    fn kubectl_reads_boolean_keys_and_the_last_duplicate() {
        let text = "on: push\na: 1\na: {x: [y, 0644, 8.0]}\n? [k]\n: v\n";
        let tree = read(
            text,
            0,
            0,
            TreeLimits {
                depth: 20,
                nodes: 100,
            },
        )
        .unwrap()
        .unwrap();
        let mut findings = Vec::new();
        assert_eq!(
            to_json(&tree, Dialect::Manifest, &mut findings),
            json!({"true": "push", "a": {"x": [true, 420, 8]}})
        );
        assert_eq!(findings.len(), 2);
        assert_eq!(
            to_json(&tree, Dialect::Scenario, &mut findings)["on"],
            json!("push")
        );
    }
}
