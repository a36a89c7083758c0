//! Field selectors.

use std::str::FromStr;

use wavetank_json::Value;

use crate::key::GroupKind;

/// Why a field selector could not be read; the texts are the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFieldError {
    /// A term without an operator.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    Term {
        /// The whole text.
        selector: String,
        /// The term.
        term: String,
    },
    /// A backslash before another character than `,`, `=` and `\`.
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    /// A `,` or `=` in a value without a backslash.
    #[error("invalid field selector: unescaped character in value: {}", u32::from(*.0))]
    Unescaped(char),
}

/// One condition on a field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// Label of the field, as `metadata.name`.
    pub field: String,
    /// The value compared with.
    pub value: String,
    /// Whether the field must differ from it.
    pub negated: bool,
}

/// A field selector: all terms must hold. Without any, it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// That a field has this value.
    pub fn one(field: &str, value: &str) -> Self {
        let term = FieldTerm {
            field: field.to_owned(),
            value: value.to_owned(),
            negated: false,
        };
        Self { terms: vec![term] }
    }

    /// The terms, sorted by their text as the server does.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// Whether it matches everything.
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that `field` must have, when a term says so: `metadata.name=x` makes a list a look-up.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let term = self
            .terms
            .iter()
            .find(|term| term.field == field && !term.negated)?;
        Some(&term.value)
    }

    /// Whether the fields of `object` fulfil it; a missing field is the empty text (API-196).
    pub fn matches(&self, object: &Value) -> bool {
        self.terms
            .iter()
            .all(|term| (field_text(object, &term.field) == term.value) != term.negated)
    }

    /// The first field label that is not one of `known`.
    pub fn unknown<'a>(&'a self, known: &[&str]) -> Option<&'a str> {
        self.terms
            .iter()
            .map(|term| term.field.as_str())
            .find(|field| !known.contains(field))
    }
}

/// The text of the field with this label: a path, but for the few labels that stand for something else.
fn field_text(object: &Value, label: &str) -> String {
    let at = |path: &str| {
        path.split('.')
            .try_fold(object, |value, name| value.get(name))
    };
    let value = match label {
        "status.podIPs" => {
            let ips = at(label).and_then(Value::as_array).into_iter().flatten();
            let ips: Vec<&str> = ips.filter_map(|entry| entry.get("ip")?.as_str()).collect();
            return ips.join(",");
        }
        "status.successful" => at("status.succeeded")
            .or(Some(&Value::Null))
            .map(|value| value.as_i64().unwrap_or(0)),
        "status.replicas" => Some(at(label).and_then(Value::as_i64).unwrap_or(0)),
        _ => None,
    };
    if let Some(number) = value {
        return number.to_string();
    }
    match (label, at(label)) {
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(Value::Bool(flag))) => flag.to_string(),
        (_, Some(Value::Number(number))) => number.to_string(),
        ("source", _) => text_of(at("source.component").or_else(|| at("reportingComponent"))),
        ("spec.unschedulable" | "spec.hostNetwork", _) => "false".to_owned(),
        _ => String::new(),
    }
}

fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl FromStr for FieldSelector {
    type Err = ParseFieldError;

    fn from_str(text: &str) -> Result<Self, ParseFieldError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::with_capacity(parts.len());
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let wrong = || ParseFieldError::Term {
                selector: text.to_owned(),
                term: part.to_owned(),
            };
            let starts_operator =
                |at: &usize| part[*at..].starts_with("!=") || part[*at..].starts_with('=');
            let at = part
                .char_indices()
                .map(|(at, _)| at)
                .find(starts_operator)
                .ok_or_else(wrong)?;
            let (field, rest) = part.split_at(at);
            let (negated, value) = match rest.strip_prefix("!=") {
                Some(value) => (true, value),
                None => (
                    false,
                    rest.strip_prefix("==")
                        .or_else(|| rest.strip_prefix('='))
                        .unwrap_or(rest),
                ),
            };
            terms.push(FieldTerm {
                field: field.to_owned(),
                value: unescape(value)?,
                negated,
            });
        }
        Ok(Self { terms })
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn unescape(text: &str) -> Result<String, ParseFieldError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                Some(other) => return Err(ParseFieldError::Escape(format!("\\{other}"))),
                None => return Err(ParseFieldError::Escape("\\".to_owned())),
            },
            ',' | '=' => return Err(ParseFieldError::Unescaped(c)),
            other => out.push(other),
        }
    }
    Ok(out)
}

const EVERY_KIND: &[&str] = &["metadata.name", "metadata.namespace"];

/// The field labels a built-in kind can be selected by (API-195). Custom resources add their `selectableFields`.
#[rustfmt::skip]
pub fn field_labels(kind: &GroupKind) -> &'static [&'static str] {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => &[
            "metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
        ],
        ("" | "events.k8s.io", "Event") => &[
            "metadata.name", "metadata.namespace", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
        ],
        ("", "Secret") => &["metadata.name", "metadata.namespace", "type"],
        ("", "Namespace") => &["metadata.name", "metadata.namespace", "status.phase"],
        ("", "Node") => &["metadata.name", "metadata.namespace", "spec.unschedulable"],
        ("", "Service") => &["metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"],
        ("batch", "Job") => &["metadata.name", "metadata.namespace", "status.successful"],
        ("apps", "ReplicaSet") | ("", "ReplicationController") => &["metadata.name", "metadata.namespace", "status.replicas"],
        ("certificates.k8s.io", "CertificateSigningRequest") => &["metadata.name", "metadata.namespace", "spec.signerName"],
        _ => EVERY_KIND,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    #[rstest]
    #[case("metadata.name=p", true)]
    #[case("metadata.name==p,status.phase!=Running", true)]
    #[case("spec.nodeName=n1", true)]
    #[case("spec.nodeName!=n1", false)]
    #[case("status.podIP=", true)]
    #[case("spec.hostNetwork=false", true)]
    #[case("", true)]
    fn field_selectors_match(#[case] text: &str, #[case] expected: bool) {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Pending"}});
        assert_eq!(
            text.parse::<FieldSelector>().unwrap().matches(&pod),
            expected
        );
    }

    #[test]
    fn values_are_unescaped_and_exact_terms_can_be_asked_for() {
        let selector: FieldSelector = r"metadata.name=a\,b\=c,reason!=x".parse().unwrap();
        assert_eq!(selector.exact("metadata.name"), Some("a,b=c"));
        assert_eq!(selector.exact("reason"), None);
        assert_eq!(selector.unknown(EVERY_KIND), Some("reason"));
        assert_eq!(
            selector.unknown(field_labels(&GroupKind::new("", "Event"))),
            None
        );
    }

    #[rstest]
    #[case("name", "invalid selector: 'name'; can't understand 'name'")]
    #[case(r"a=\x", r"invalid field selector: invalid escape sequence: \x")]
    #[case("a=b=c", "invalid field selector: unescaped character in value: 61")]
    fn bad_field_selectors_say_why(#[case] text: &str, #[case] message: &str) {
        assert_eq!(
            text.parse::<FieldSelector>().unwrap_err().to_string(),
            message
        );
    }
}
