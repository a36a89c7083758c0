//! The shape of the format: which keys there are and what may stand behind them.
//!
//! One table ([`crate::format`]) says it; [`check`] holds a document against it and the JSON Schema is printed from it,
//! so that the two cannot differ. Checking reports every unknown key and wrong type; readers that come after it may
//! take what they find for granted and pass over what they cannot read.

use wavetank_json::Value;
use wavetank_model::{EventPattern, Phase, Reference, Subject, Verb, WaveNumber, time_zone};

use crate::context::Context;
use crate::problem::nearest;
use crate::yaml::scalar::{Dialect, resolve};
use crate::yaml::{Node, NodeValue};

/// A mapping with known keys.
pub(crate) struct Shape {
    /// What it is called, in messages and in the JSON Schema.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Exactly one of these is there; none are named when anything goes.
    pub one_of: &'static [&'static str],
    /// At most one of these is there.
    pub exclusive: &'static [&'static str],
}

/// A key of a [`Shape`].
pub(crate) struct Key {
    /// The key.
    pub name: &'static str,
    /// What stands behind it.
    pub ty: Ty,
    /// Whether it must be there.
    pub required: bool,
    /// What it means, for people.
    pub doc: &'static str,
}

/// What may stand behind a key.
pub(crate) enum Ty {
    /// Any mapping.
    Object,
    /// Text.
    Text,
    /// `true` or `false`.
    Bool,
    /// Only this truth value.
    Exactly(bool),
    /// An integer within bounds.
    Int(i64, i64),
    /// An integer from 0 to 2⁶⁴-1.
    Unsigned,
    /// `250ms`, `20s`, `1m30s`, `2h`.
    Duration,
    /// The same, or seconds, as Argo CD reads them.
    ArgoDuration,
    /// An event.
    Event,
    /// A reference.
    Reference,
    /// Text, or `/…/`.
    Message,
    /// An expression of the Common Expression Language.
    Cel,
    /// `Europe/Paris`; another text is no error.
    TimeZone,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Ty),
    /// A mapping with known keys.
    Map(&'static Shape),
    /// A mapping whose keys have a form.
    Dict(&'static Ty, &'static Ty),
    /// One of these; the first that fits the kind of node is meant.
    Either(&'static [Ty]),
    /// `Sync/1`.
    Wave,
    /// `Job/x`, `PostSync Job/x`, `*`.
    ResultKey,
    /// `write Deployment/web`, `dry-run create Job/x`.
    RequestKey,
    /// `create Job/smoke`, `watch Job`, `discover`.
    FaultTarget,
}

/// An optional key.
pub(crate) const fn key(name: &'static str, ty: Ty, doc: &'static str) -> Key {
    Key {
        name,
        ty,
        required: false,
        doc,
    }
}

/// A key that must be there.
pub(crate) const fn required(name: &'static str, ty: Ty, doc: &'static str) -> Key {
    Key {
        name,
        ty,
        required: true,
        doc,
    }
}

/// A mapping whose keys are independent of each other.
pub(crate) const fn shape(name: &'static str, keys: &'static [Key]) -> Shape {
    Shape {
        name,
        keys,
        one_of: &[],
        exclusive: &[],
    }
}

impl Ty {
    /// What is expected, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Object | Self::Map(_) | Self::Dict(..) => "a mapping".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Exactly(value) => format!("`{value}`"),
            Self::Int(i64::MIN, i64::MAX) => "an integer".to_owned(),
            Self::Int(low, i64::MAX) => format!("an integer from {low} on"),
            Self::Int(low, high) => format!("an integer from {low} to {high}"),
            Self::Unsigned => "an integer from 0 on".to_owned(),
            Self::Duration => "a duration such as `250ms`, `20s`, `1m30s` or `2h`".to_owned(),
            Self::ArgoDuration => "a duration such as `20s`, or seconds".to_owned(),
            Self::Event => "an event such as `Job/smoke succeeded`".to_owned(),
            Self::Reference => "a reference such as `Job/smoke`".to_owned(),
            Self::Message => "text, or a regular expression `/…/`".to_owned(),
            Self::Cel => "an expression such as `operation.retries == 0`".to_owned(),
            Self::TimeZone => "a time zone such as `Europe/Paris`".to_owned(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or "),
            Self::List(_) => "a list".to_owned(),
            Self::Wave => "a wave such as `Sync/1`".to_owned(),
            Self::ResultKey => "a reference, perhaps with its phase before it, or `*`".to_owned(),
            Self::RequestKey => "a verb and a reference, as `write Deployment/web`".to_owned(),
            Self::FaultTarget => "a verb and a reference, as `create Job/smoke`".to_owned(),
            Self::Either(choices) => choices
                .iter()
                .map(Self::describe)
                .collect::<Vec<_>>()
                .join(", or "),
        }
    }

    /// Whether a node of this kind can be meant at all.
    fn suits(&self, node: &Node, value: &Value) -> bool {
        match self {
            Self::Object | Self::Map(_) | Self::Dict(..) => node.is_map(),
            Self::List(_) => matches!(node.value, NodeValue::List(_)),
            Self::Bool => value.is_boolean(),
            Self::Exactly(exact) => value.as_bool() == Some(*exact),
            Self::Int(..) => value.is_i64() || value.is_u64(),
            Self::Unsigned => value.is_u64(),
            Self::ArgoDuration => value.is_string() || value.is_u64(),
            Self::Choice(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Self::Either(choices) => choices.iter().any(|choice| choice.suits(node, value)),
            _ => value.is_string(),
        }
    }
}

/// Holds `node` against `ty`; every problem and every name that is used goes to `context`.
pub(crate) fn check(node: &Node, ty: &Ty, context: &mut Context) {
    let value = match &node.value {
        NodeValue::Scalar(scalar) => match resolve(scalar, Dialect::Scenario) {
            Ok(value) => value,
            Err(reason) => return context.error(node.span, reason, ""),
        },
        _ => Value::Null,
    };
    match ty {
        Ty::Either(choices) => match choices.iter().find(|choice| choice.suits(node, &value)) {
            Some(choice) => check(node, choice, context),
            None => wrong_type(node, &value, ty, context),
        },
        Ty::Choice(words) => choice(node, &value, words, ty, context),
        _ if !ty.suits(node, &value) => wrong_type(node, &value, ty, context),
        Ty::Object => any(node, context),
        Ty::Int(low, high) => {
            if !value
                .as_i64()
                .is_some_and(|number| (*low..=*high).contains(&number))
            {
                context.error(
                    node.span,
                    "this number is out of range",
                    format!("expected {}", ty.describe()),
                );
            }
        }
        Ty::List(item) => {
            for node in node.items() {
                check(node, item, context);
            }
        }
        Ty::Map(shape) => check_map(node, shape, context),
        Ty::Dict(key, value) => {
            for (name, node) in node.entries() {
                check(name, key, context);
                check(node, value, context);
            }
        }
        _ => text(node, value.as_str().unwrap_or_default(), ty, context),
    }
}

/// Below free values only numbers that JSON does not have can be wrong.
fn any(node: &Node, context: &mut Context) {
    match &node.value {
        NodeValue::Scalar(scalar) => {
            if let Err(reason) = resolve(scalar, Dialect::Scenario) {
                context.error(node.span, reason, "");
            }
        }
        NodeValue::List(items) => items.iter().for_each(|item| any(item, context)),
        NodeValue::Map(entries) => entries.iter().for_each(|(_, value)| any(value, context)),
    }
}

fn wrong_type(node: &Node, value: &Value, ty: &Ty, context: &mut Context) {
    let seen = match (&node.value, value) {
        (NodeValue::List(_), _) => "a list",
        (NodeValue::Map(_), _) => "a mapping",
        (_, Value::Null) => "nothing",
        (_, Value::Bool(_)) => "a truth value",
        (_, Value::Number(_)) => "a number",
        _ => "text",
    };
    let hint = match (ty, value, &node.value) {
        (Ty::Text | Ty::Message | Ty::TimeZone, Value::Bool(_) | Value::Number(_), _) => {
            "; quote it"
        }
        (Ty::Map(_) | Ty::Object, Value::Null, NodeValue::Scalar(_)) => {
            "; write `{}` for one without keys"
        }
        (Ty::Duration, Value::Number(_), _) => "; the unit is missing",
        _ => "",
    };
    context.error(
        node.span,
        format!("{seen} cannot stand here"),
        format!("expected {}{hint}", ty.describe()),
    );
}

fn choice(node: &Node, value: &Value, words: &[&'static str], ty: &Ty, context: &mut Context) {
    let Some(text) = value.as_str() else {
        return wrong_type(node, value, ty, context);
    };
    if words.contains(&text) {
        return;
    }
    let label = match nearest(text, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("expected {}", ty.describe()),
    };
    context.error(node.span, format!("`{text}` is not known here"), label);
}

fn check_map(node: &Node, shape: &Shape, context: &mut Context) {
    let mut present: Vec<&str> = Vec::new();
    for (name, value) in node.entries() {
        let text = name.scalar_text().unwrap_or_default();
        let Some(key) = shape.keys.iter().find(|key| key.name == text) else {
            if let Some(known) = shape.one_of.iter().find(|known| **known == text) {
                // What takes time is an action of steps only (section 7).
                present.push(known);
                context.error(
                    name.span,
                    format!("`{text}` cannot be bound to an event"),
                    "it takes time; write it as a step",
                );
                continue;
            }
            unknown_key(name, text, shape, context);
            continue;
        };
        present.push(key.name);
        check(value, &key.ty, context);
    }
    for key in shape
        .keys
        .iter()
        .filter(|key| key.required && !present.contains(&key.name))
    {
        context.error(
            node.span,
            format!("the key `{}` is missing in {}", key.name, shape.name),
            key.doc,
        );
    }
    groups(node, shape, &present, context);
}

fn unknown_key(name: &Node, text: &str, shape: &Shape, context: &mut Context) {
    let label = if let Some(known) = nearest(text, shape.keys.iter().map(|key| key.name)) {
        format!("did you mean `{known}`?")
    } else {
        let known: Vec<String> = shape
            .keys
            .iter()
            .map(|key| format!("`{}`", key.name))
            .collect();
        format!("known are {}", known.join(", "))
    };
    context.error(
        name.span,
        format!("there is no key `{text}` in {}", shape.name),
        label,
    );
}

fn groups(node: &Node, shape: &Shape, present: &[&str], context: &mut Context) {
    for (group, at_least_one) in [(shape.one_of, true), (shape.exclusive, false)] {
        let found: Vec<&str> = present
            .iter()
            .copied()
            .filter(|name| group.contains(name))
            .collect();
        if found.len() > 1 {
            let (first, second) = (found[0], found[1]);
            let span = node
                .entries()
                .iter()
                .find(|(key, _)| key.scalar_text() == Some(second))
                .map_or(node.span, |(key, _)| key.span);
            context.error(
                span,
                format!("`{first}` and `{second}` exclude each other"),
                format!("one of them is enough in {}", shape.name),
            );
        } else if found.is_empty() && at_least_one && !group.is_empty() {
            let words: Vec<String> = group.iter().map(|word| format!("`{word}`")).collect();
            context.error(
                node.span,
                format!("nothing says what {} does", shape.name),
                format!("one of {} is needed", words.join(", ")),
            );
        }
    }
}

fn text(node: &Node, text: &str, ty: &Ty, context: &mut Context) {
    match ty {
        Ty::Duration | Ty::ArgoDuration
            if duration(text).is_none()
                && !(matches!(ty, Ty::ArgoDuration)
                    && text.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            context.error(
                node.span,
                format!("`{text}` is no duration"),
                format!("expected {}", ty.describe()),
            );
        }
        Ty::Event => event(node, text, context),
        Ty::Reference => reference(node, text, context),
        Ty::Message => message(node, text, context),
        Ty::Cel => cel(node, text, context),
        Ty::TimeZone => zone(node, text, context),
        Ty::Wave if text != "*" && wave(text).is_none() => {
            context.error(
                node.span,
                format!("`{text}` is no wave"),
                "a wave reads `Sync/1`, and `SyncFail/*`",
            );
        }
        Ty::ResultKey if text != "*" => {
            let object = text
                .split_once(' ')
                .map_or(text, |(_, object)| object.trim());
            if let Some((phase, _)) = text.split_once(' ')
                && Phase::parse(phase).is_none()
            {
                context.error(
                    node.span,
                    format!("there is no phase `{phase}`"),
                    format!("expected {}", ty.describe()),
                );
            }
            reference(node, object, context);
        }
        Ty::RequestKey => {
            let words = text.strip_prefix("dry-run ").unwrap_or(text);
            request(node, words, REQUEST_VERBS, ty, context);
        }
        Ty::FaultTarget => request(node, text, FAULT_VERBS, ty, context),
        _ => {}
    }
}

fn cel(node: &Node, text: &str, context: &mut Context) {
    let Err(errors) = kube_cel::cel::Program::compile(text) else {
        return;
    };
    let first = errors.errors.first();
    // A place within the expression is known where it stands in the file as it is, in one line.
    let part = first
        .filter(|error| error.pos.0 == 1 && !text.contains('\n'))
        .and_then(|error| usize::try_from(error.pos.1 - 1).ok())
        .and_then(|column| text.char_indices().nth(column))
        .map(|(at, _)| &text[at..]);
    let span = part.map_or(node.span, |part| context.part_of(node, part));
    let reason = first.map_or(String::new(), |error| {
        let words: Vec<&str> = error.msg.split_whitespace().collect();
        words.join(" ")
    });
    context.error(span, "this expression cannot be read", reason);
}

/// Argo CD goes by UTC where it does not know the zone.
fn zone(node: &Node, text: &str, context: &mut Context) {
    if text.is_empty() || time_zone::named(text).is_some() {
        return;
    }
    let hint = nearest(text, time_zone::names()).map(|name| format!("; did you mean `{name}`?"));
    context.warning(
        node.span,
        format!("there is no time zone `{text}`"),
        format!(
            "it is taken for UTC, as in Argo CD{}",
            hint.unwrap_or_default()
        ),
    );
}

fn message(node: &Node, text: &str, context: &mut Context) {
    match regex_of(text) {
        Some(Err(error)) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            context.error(node.span, "this regular expression cannot be read", reason);
        }
        // Without quotes ` #` begins a comment, and the rest of the pattern is lost.
        None if text.starts_with('/') => context.warning(
            node.span,
            "this begins like a regular expression and does not end with `/`",
            "it is compared literally; a pattern with ` #` in it needs quotes",
        ),
        Some(Ok(_)) | None => {}
    }
}

/// Verbs of requests.
pub(crate) const REQUEST_VERBS: &[&str] = &[
    "get", "list", "create", "update", "patch", "delete", "write", "discover", "any",
];
/// Verbs of faults.
pub(crate) const FAULT_VERBS: &[&str] = &[
    "get", "list", "create", "update", "patch", "delete", "write", "discover", "any", "watch",
    "view",
];

/// The object words after a verb: a reference, or a kind alone, which means all its objects.
pub(crate) fn request_target(
    text: &str,
) -> Result<Reference, wavetank_model::reference::ReferenceError> {
    if text.contains('/') {
        text.parse()
    } else {
        format!("{text}/*/*").parse()
    }
}

fn request(node: &Node, text: &str, verbs: &[&str], ty: &Ty, context: &mut Context) {
    let (verb, object) = text
        .split_once(' ')
        .map_or((text, None), |(verb, object)| (verb, Some(object.trim())));
    if !verbs.contains(&verb) {
        let label = match nearest(verb, verbs.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("verbs are {}", verbs.join(", ")),
        };
        return context.error(
            context.part_of(node, verb),
            format!("there is no verb `{verb}` of requests"),
            label,
        );
    }
    match object {
        None if verb == "discover" => {}
        None => context.error(
            node.span,
            "this names no objects",
            format!("expected {}", ty.describe()),
        ),
        Some(object) => match request_target(object) {
            Ok(parsed) if object.contains('/') => context.use_reference(node, object, parsed),
            Ok(_) => {}
            Err(error) => context.error(context.part_of(node, object), error.to_string(), ""),
        },
    }
}

fn reference(node: &Node, text: &str, context: &mut Context) {
    match text.parse::<Reference>() {
        Ok(reference) => context.use_reference(node, text, reference),
        Err(error) => context.error(context.part_of(node, text), error.to_string(), ""),
    }
}

fn event(node: &Node, text: &str, context: &mut Context) {
    use wavetank_model::event::EventError;
    let (subject, verb) = text
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((text, ""));
    match text.parse::<EventPattern>() {
        Ok(event) => {
            context.names_app |= event.subject == Subject::App;
            context.use_subject(node, subject, event.subject);
        }
        Err(error) => {
            let label = match &error {
                EventError::Verb { verb } => {
                    let verbs = subject
                        .parse::<Subject>()
                        .map_or(Verb::ALL, |subject| Verb::of(&subject));
                    match nearest(verb, verbs.iter().map(|verb| verb.as_str())) {
                        Some(known) => format!("did you mean `{known}`?"),
                        None => format!(
                            "known are {}",
                            verbs
                                .iter()
                                .map(|verb| verb.as_str())
                                .collect::<Vec<_>>()
                                .join(", ")
                        ),
                    }
                }
                EventError::Subject(_) => {
                    let words = ["operation", "app", "engine"]
                        .into_iter()
                        .chain(Phase::ALL.map(Phase::as_str));
                    nearest(subject, words)
                        .map(|word| format!("did you mean `{word}`?"))
                        .unwrap_or_default()
                }
                _ => String::new(),
            };
            let part = if matches!(error, EventError::Verb { .. }) {
                verb.trim()
            } else {
                subject
            };
            let span = if matches!(error, EventError::Words(_)) {
                node.span
            } else {
                context.part_of(node, part)
            };
            context.error(span, error.to_string(), label);
        }
    }
}

/// Reads `Sync/1`, `SyncFail/*`.
pub(crate) fn wave(text: &str) -> Option<(Phase, WaveNumber)> {
    match text.parse().ok()? {
        Subject::Wave(phase, wave) => Some((phase, wave)),
        _ => None,
    }
}

/// `Some` when `text` is written as a regular expression.
pub(crate) fn regex_of(text: &str) -> Option<Result<regex::Regex, regex::Error>> {
    let inner = text.strip_prefix('/')?.strip_suffix('/')?;
    Some(regex::Regex::new(inner))
}

/// Reads `250ms`, `20s`, `1m30s`, `2h`: whole numbers, units from large to small, each at most once; `None` for
/// anything else.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut total, mut from) = (text, 0u64, 0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = UNITS
            .iter()
            .position(|(unit, _)| *unit == &rest[..letters])
            .filter(|unit| *unit >= from)?;
        total = total.checked_add(number.checked_mul(UNITS[unit].1)?)?;
        rest = &rest[letters..];
        from = unit + 1;
    }
    Some(std::time::Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, millis) in [
            ("250ms", 250),
            ("20s", 20_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "20",
            "s",
            "1s1m",
            "1.5s",
            "-1s",
            "1m1m",
            "99999999999999999999h",
            "1 s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
