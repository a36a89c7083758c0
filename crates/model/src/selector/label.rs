//! Label selectors.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;
use wavetank_json::{Map, Value};

use super::lexer::{Lexer, Token};

/// Why a label selector could not be read; the texts are the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseLabelError {
    /// The text ends or goes on where it may not.
    #[error("found '{found}', expected: {expected}")]
    Unexpected {
        /// What stands there.
        found: String,
        /// What might stand there.
        expected: &'static str,
    },
    /// The same, inside one requirement.
    #[error("unable to parse requirement: {0}")]
    Requirement(String),
    /// A requirement with a key, operator or values that are not allowed.
    #[error("{0}")]
    Invalid(String),
}

/// One condition on the labels of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The label has one of these values: `a=b`, `a in (b,c)`.
    In(String, Vec<String>),
    /// The label has none of these values, or is absent: `a!=b`, `a notin (b,c)`.
    NotIn(String, Vec<String>),
    /// The label is there: `a`.
    Exists(String),
    /// The label is not there: `!a`.
    Absent(String),
    /// The label is an integer above this: `a>1`.
    Above(String, i64),
    /// The label is an integer below this: `a<1`.
    Below(String, i64),
}

/// A label selector: all requirements must hold. Without any, it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// Matches every object.
    pub const fn everything() -> Self {
        Self {
            requirements: Vec::new(),
            nothing: false,
        }
    }

    /// Matches no object: what an absent selector of a workload or Service means.
    pub const fn nothing() -> Self {
        Self {
            requirements: Vec::new(),
            nothing: true,
        }
    }

    /// Reads a `metav1.LabelSelector` object; `None` and null match nothing, `{}` everything.
    ///
    /// # Errors
    /// An unknown operator, or values that do not fit it.
    pub fn from_object(selector: Option<&Value>) -> Result<Self, ParseLabelError> {
        let Some(selector) = selector.filter(|selector| !selector.is_null()) else {
            return Ok(Self::nothing());
        };
        let mut out = selector
            .get("matchLabels")
            .map_or_else(Self::everything, Self::from_map);
        let expressions = selector.get("matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            let text = |field: &str| {
                expression
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let values = expression.get("values").and_then(Value::as_array);
            let values: Vec<String> = values
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let operator = match text("operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::Absent,
                other => {
                    return Err(ParseLabelError::Invalid(format!(
                        "{other:?} is not a valid label selector operator"
                    )));
                }
            };
            out.requirements.push(
                requirement(text("key"), operator, values).map_err(ParseLabelError::Invalid)?,
            );
        }
        Ok(out)
    }

    /// Every label of `map` with its value, as a Service or `ReplicationController` says it.
    pub fn from_map(map: &Value) -> Self {
        let entries = map.as_object().into_iter().flatten();
        let requirement = |(key, value): (&String, &Value)| {
            Requirement::In(
                key.clone(),
                vec![value.as_str().unwrap_or_default().to_owned()],
            )
        };
        Self {
            requirements: entries.map(requirement).collect(),
            nothing: false,
        }
    }

    /// Whether it matches everything.
    pub const fn is_empty(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// The requirements, in the order of the text.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether the labels of `object` fulfil it.
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_labels(
            object
                .get("metadata")
                .and_then(|meta| meta.get("labels"))
                .and_then(Value::as_object),
        )
    }

    /// Whether these labels fulfil it; `None` is no labels.
    pub fn matches_labels(&self, labels: Option<&Map>) -> bool {
        !self.nothing
            && self
                .requirements
                .iter()
                .all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: Option<&Map>) -> bool {
        let label = |key: &str| labels?.get(key)?.as_str();
        let number = |key: &str| label(key)?.parse::<i64>().ok();
        match self {
            Self::In(key, values) => {
                label(key).is_some_and(|label| values.iter().any(|value| value == label))
            }
            Self::NotIn(key, values) => {
                label(key).is_none_or(|label| values.iter().all(|value| value != label))
            }
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::Above(key, bound) => number(key).is_some_and(|number| number > *bound),
            Self::Below(key, bound) => number(key).is_some_and(|number| number < *bound),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(key, values) if values.len() == 1 => write!(f, "{key}={}", values[0]),
            Self::NotIn(key, values) if values.len() == 1 => write!(f, "{key}!={}", values[0]),
            Self::In(key, values) => write!(f, "{key} in ({})", values.join(",")),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", values.join(",")),
            Self::Exists(key) => f.write_str(key),
            Self::Absent(key) => write!(f, "!{key}"),
            Self::Above(key, bound) => write!(f, "{key}>{bound}"),
            Self::Below(key, bound) => write!(f, "{key}<{bound}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    /// The query form; a selector that matches nothing has none and prints `<nothing>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nothing {
            return f.write_str("<nothing>");
        }
        for (index, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Equals,
    NotEquals,
    Exists,
    Absent,
    Above,
    Below,
}

static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").ok());
static SUBDOMAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok()
});

const NAME_TEXT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
                         (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
                          end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                          '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
                              and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(text))
}

/// What is wrong with a label key; empty when nothing is.
fn key_problems(key: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {NAME_TEXT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            problems.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            if !fits(&SUBDOMAIN, prefix) {
                problems.push(format!("prefix part {SUBDOMAIN_TEXT}"));
            }
            name
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    if !fits(&NAME, name) {
        problems.push(format!("name part {NAME_TEXT}"));
    }
    problems
}

fn value_problems(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > 63 {
        problems.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !fits(&NAME, value) {
        problems.push(VALUE_TEXT.to_owned());
    }
    problems
}

/// A checked requirement; the error is the list of problems as the server prints it.
fn requirement(key: &str, operator: Operator, values: Vec<String>) -> Result<Requirement, String> {
    let mut problems = Vec::new();
    let wrong_key = key_problems(key);
    if !wrong_key.is_empty() {
        problems.push(format!(
            "key: Invalid value: {key:?}: {}",
            wrong_key.join("; ")
        ));
    }
    let mut values_wrong = |text: &str| {
        let json = serde_json::to_string(&values).unwrap_or_default();
        problems.push(format!("values: Invalid value: {json}: {text}"));
    };
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            values_wrong("for 'in', 'notin' operators, values set can't be empty");
        }
        Operator::Exists | Operator::Absent if !values.is_empty() => {
            values_wrong("values set must be empty for exists and does not exist");
        }
        _ => {}
    }
    let mut bound = 0;
    if matches!(operator, Operator::Above | Operator::Below) {
        match values.first().map(|value| (value, value.parse())) {
            Some((_, Ok(number))) => bound = number,
            Some((value, Err(_))) => problems.push(format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )),
            None => {}
        }
    }
    for (index, value) in values.iter().enumerate() {
        let wrong = value_problems(value);
        if !wrong.is_empty() {
            problems.push(format!(
                "values[{index}][{key}]: Invalid value: {value:?}: {}",
                wrong.join("; ")
            ));
        }
    }
    match problems.len() {
        0 => {}
        1 => return Err(problems.remove(0)),
        _ => return Err(format!("[{}]", problems.join(", "))),
    }
    let key = key.to_owned();
    Ok(match operator {
        Operator::In | Operator::Equals => Requirement::In(key, values),
        Operator::NotIn | Operator::NotEquals => Requirement::NotIn(key, values),
        Operator::Exists => Requirement::Exists(key),
        Operator::Absent => Requirement::Absent(key),
        Operator::Above => Requirement::Above(key, bound),
        Operator::Below => Requirement::Below(key, bound),
    })
}

impl FromStr for LabelSelector {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, ParseLabelError> {
        let mut lexer = Lexer::new(text);
        let mut requirements = Vec::new();
        loop {
            match lexer.peek() {
                Token::End => break,
                Token::Word(_) | Token::Symbol("!") => {
                    requirements
                        .push(parse_requirement(&mut lexer).map_err(ParseLabelError::Requirement)?);
                }
                other => return Err(unexpected(&other, "!, identifier, or 'end of string'")),
            }
            match lexer.next() {
                Token::End => break,
                Token::Symbol(",") => {
                    let next = lexer.peek();
                    if !matches!(next, Token::Word(_) | Token::Symbol("!")) {
                        return Err(unexpected(&next, "identifier after ','"));
                    }
                }
                other => return Err(unexpected(&other, "',' or 'end of string'")),
            }
        }
        Ok(Self {
            requirements,
            nothing: false,
        })
    }
}

fn unexpected(found: &Token<'_>, expected: &'static str) -> ParseLabelError {
    ParseLabelError::Unexpected {
        found: found.to_string(),
        expected,
    }
}

fn parse_requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, String> {
    let mut token = lexer.next();
    let absent = token == Token::Symbol("!");
    if absent {
        token = lexer.next();
    }
    let Token::Word(key) = token else {
        return Err(unexpected(&token, "identifier").to_string());
    };
    let problems = key_problems(key);
    if !problems.is_empty() {
        return Err(format!(
            "<nil>: Invalid value: {key:?}: {}",
            problems.join("; ")
        ));
    }
    if absent {
        return requirement(key, Operator::Absent, Vec::new());
    }
    if matches!(lexer.peek(), Token::End | Token::Symbol(",")) {
        return requirement(key, Operator::Exists, Vec::new());
    }
    let token = lexer.next();
    let operator = match token {
        Token::Word("in") => Operator::In,
        Token::Word("notin") => Operator::NotIn,
        Token::Symbol("=" | "==") => Operator::Equals,
        Token::Symbol("!=") => Operator::NotEquals,
        Token::Symbol(">") => Operator::Above,
        Token::Symbol("<") => Operator::Below,
        _ => return Err(unexpected(&token, "in, notin, =, ==, !=, gt, lt").to_string()),
    };
    let values = if matches!(operator, Operator::In | Operator::NotIn) {
        parse_values(lexer)?
    } else {
        vec![parse_exact_value(lexer)?]
    };
    requirement(key, operator, values)
}

fn parse_exact_value(lexer: &mut Lexer<'_>) -> Result<String, String> {
    if matches!(lexer.peek(), Token::End | Token::Symbol(",")) {
        return Ok(String::new());
    }
    match lexer.next() {
        Token::Word(word) => Ok(word.to_owned()),
        other => Err(unexpected(&other, "identifier").to_string()),
    }
}

/// `(a, b)`: sorted, without duplicates; a place without a word is the empty value.
fn parse_values(lexer: &mut Lexer<'_>) -> Result<Vec<String>, String> {
    let open = lexer.next();
    if open != Token::Symbol("(") {
        return Err(format!("found '{open}' expected: '('"));
    }
    let mut values = Vec::new();
    let mut word_before = false;
    loop {
        match lexer.next() {
            Token::Word(word) if !word_before => {
                values.push(word.to_owned());
                word_before = true;
            }
            other @ Token::Word(_) => return Err(unexpected(&other, "',' or ')'").to_string()),
            Token::Symbol(",") => {
                if !word_before {
                    values.push(String::new());
                }
                word_before = false;
            }
            Token::Symbol(")") => {
                if !word_before {
                    values.push(String::new());
                }
                values.sort_unstable();
                values.dedup();
                return Ok(values);
            }
            other if word_before => return Err(unexpected(&other, "',' or ')'").to_string()),
            other if values.is_empty() => {
                return Err(unexpected(&other, "',', ')' or identifier").to_string());
            }
            other => return Err(unexpected(&other, "',', or identifier").to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    #[rstest]
    #[case("a=b", true)]
    #[case("a==b", true)]
    #[case("a!=b", false)]
    #[case("z!=b", true)]
    #[case(" a in ( b , c ) , n > 4", true)]
    #[case("a notin (b)", false)]
    #[case("z notin (b)", true)]
    #[case("a,!z", true)]
    #[case("!a", false)]
    #[case("n>5", false)]
    #[case("n<6", true)]
    #[case("a<6", false)]
    #[case("in in (x)", true)]
    #[case("e=", true)]
    #[case("e in ()", true)]
    #[case("e in (,b)", true)]
    #[case("", true)]
    fn label_selectors_match(#[case] text: &str, #[case] expected: bool) {
        let object = json!({"metadata": {"labels": {"a": "b", "n": "5", "e": "", "in": "x"}}});
        assert_eq!(
            text.parse::<LabelSelector>().unwrap().matches(&object),
            expected
        );
    }

    #[rstest]
    #[case(
        "a in (b",
        "unable to parse requirement: found '', expected: ',' or ')'"
    )]
    #[case("a in b", "unable to parse requirement: found 'b' expected: '('")]
    #[case(
        "a b",
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    )]
    #[case("=b", "found '=', expected: !, identifier, or 'end of string'")]
    #[case("a=b c", "found 'c', expected: ',' or 'end of string'")]
    #[case("a,", "found '', expected: identifier after ','")]
    #[case(
        "n>x",
        "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"
    )]
    #[case(
        "a=$",
        "unable to parse requirement: values[0][a]: Invalid value: \"$\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )]
    fn bad_label_selectors_say_what_was_expected(#[case] text: &str, #[case] message: &str) {
        assert_eq!(
            text.parse::<LabelSelector>().unwrap_err().to_string(),
            message
        );
    }

    #[test]
    fn selector_objects_match_like_their_query_form() {
        let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "t", "operator": "In", "values": ["x", "y"]}, {"key": "z", "operator": "DoesNotExist"}]});
        let selector = LabelSelector::from_object(Some(&selector)).unwrap();
        assert_eq!(selector.to_string(), "a=b,t in (x,y),!z");
        assert!(selector.matches(&json!({"metadata": {"labels": {"a": "b", "t": "y"}}})));
        assert!(!selector.matches(&json!({"metadata": {"labels": {"a": "b"}}})));
        assert!(
            !LabelSelector::from_object(None)
                .unwrap()
                .matches(&json!({}))
        );
        assert!(
            LabelSelector::from_object(Some(&json!({})))
                .unwrap()
                .matches(&json!({}))
        );
        let bad = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
        assert_eq!(
            LabelSelector::from_object(Some(&bad))
                .unwrap_err()
                .to_string(),
            "\"Like\" is not a valid label selector operator"
        );
    }
}
