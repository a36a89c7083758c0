//! The table of field numbers: `data/protobuf.txt`, written by `tools/generate-protobuf.py`, which explains its format.
//!
//! The lines are found once; a message is parsed when it is first needed.

use std::sync::OnceLock;

const TEXT: &str = include_str!("../../data/protobuf.txt");

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) kind: Kind,
}

/// How often a field may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    /// A message of key (1, text) and value (2).
    Map,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Integer,
    Double,
    /// Base64 in JSON.
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON text in field 1 of a message.
    Json,
    /// A message whose field 1 is a list of strings; the list in JSON.
    Texts,
    Message(usize),
    /// A message whose fields stand beside this one in JSON.
    Inlined(usize),
    /// A message that stands for the one of its fields that is set.
    Either(usize),
}

#[derive(Debug)]
struct Table {
    /// `apiVersion`, `kind` and number of message, in the order of the file.
    roots: Vec<(&'static str, &'static str, usize)>,
    messages: Vec<(&'static str, OnceLock<Vec<Field>>)>,
}

static TABLE: OnceLock<Table> = OnceLock::new();

fn table() -> &'static Table {
    TABLE.get_or_init(|| {
        let (mut roots, mut messages) = (Vec::new(), Vec::new());
        for line in TEXT.lines() {
            if let Some(root) = line.strip_prefix('=') {
                let mut words = root.split(' ');
                let mut next = || words.next().unwrap_or_default();
                roots.push((next(), next(), next().parse().unwrap_or(0)));
            } else if !line.starts_with('#') {
                messages.push((line, OnceLock::new()));
            }
        }
        Table { roots, messages }
    })
}

/// The message of a kind. `DeleteOptions` are the same in every version.
pub(super) fn root(api_version: &str, kind: &str) -> Option<usize> {
    table()
        .roots
        .iter()
        .find(|(version, name, _)| {
            *name == kind && (*version == api_version || kind == "DeleteOptions")
        })
        .map(|(_, _, message)| *message)
}

/// The fields of message `number`, by number.
///
/// # Panics
/// When the table refers to a message it does not hold, which a test excludes.
pub(super) fn message(number: usize) -> &'static [Field] {
    let (line, parsed) = &table().messages[number];
    parsed.get_or_init(|| line.split('|').filter_map(parse_field).collect())
}

fn parse_field(text: &'static str) -> Option<Field> {
    let mut words = text.split(' ');
    let number = words.next()?.parse().ok()?;
    let name = words.next()?;
    let code = words.next()?;
    let (shape, code) = match code.as_bytes().first()? {
        b'[' => (Shape::List, &code[1..]),
        b'{' => (Shape::Map, &code[1..]),
        _ => (Shape::One, code),
    };
    let (letter, rest) = code.split_at_checked(1)?;
    let message = || rest.parse().unwrap_or(0);
    let kind = match letter {
        "s" => Kind::Text,
        "b" => Kind::Flag,
        "i" => Kind::Integer,
        "n" => Kind::Double,
        "y" => Kind::Bytes,
        "t" => Kind::Time,
        "u" => Kind::MicroTime,
        "q" => Kind::Quantity,
        "o" => Kind::IntOrString,
        "r" | "j" => Kind::Json,
        "e" => Kind::Texts,
        "@" => Kind::Message(message()),
        "!" => Kind::Inlined(message()),
        "~" => Kind::Either(message()),
        _ => return None,
    };
    Some(Field {
        number,
        name,
        shape,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use wavetank_model::kinds::KINDS;

    use super::*;

    #[test]
    fn every_field_of_the_table_can_be_read() {
        let table = table();
        for (number, (line, _)) in table.messages.iter().enumerate() {
            let fields = message(number);
            let written = line.split('|').filter(|field| !field.is_empty()).count();
            assert_eq!(fields.len(), written, "{line}");
            for field in fields {
                if let Kind::Message(to) | Kind::Inlined(to) | Kind::Either(to) = field.kind {
                    assert!(to < table.messages.len(), "{line}");
                }
            }
        }
    }

    #[test]
    fn every_built_in_kind_has_a_message() {
        for kind in KINDS {
            for version in kind.versions {
                let api_version = kind.group_kind().with_version(*version).api_version();
                assert!(
                    root(&api_version, kind.kind).is_some(),
                    "{api_version} {}",
                    kind.kind
                );
            }
        }
    }
}
