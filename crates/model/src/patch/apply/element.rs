//! One step of a path into an object: a field, an item of a list.

use std::fmt::{self, Write};
use std::sync::Arc;

use wavetank_json::Value;

use crate::schema::{ListType, SchemaRef};

/// A scalar that names an item of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// An integer.
    Integer(i64),
    /// Another number, as JSON writes it.
    Number(Box<str>),
    /// Text.
    Text(Arc<str>),
    /// A flag.
    Flag(bool),
    /// Null, or a value that is no scalar.
    Null,
}

impl Atom {
    fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Number(number.to_string().into()), Self::Integer),
            Value::Null | Value::Array(_) | Value::Object(_) => Self::Null,
        }
    }

    /// As JSON, escaped as Go does.
    fn write_json(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Text(text) => write_go_string(text, out),
            other => write!(out, "{other}"),
        }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// Whether Go writes `text` between quotation marks as it is.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&'))
}

/// Whether a key of an item is a plain text under a plain name, as it mostly is.
fn is_plain_key((name, value): &(Arc<str>, Atom)) -> bool {
    is_plain(name) && matches!(value, Atom::Text(text) if is_plain(text))
}

/// Writes [`PathElement::Key`] of plain texts as JSON: in it, only quotation marks are escaped.
fn write_plain_keys(keys: &[(Arc<str>, Atom)], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"k:{");
    for (index, (name, value)) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let text = if let Atom::Text(text) = value {
            text
        } else {
            ""
        };
        for part in [comma, "\\\"", name, "\\\":\\\"", text, "\\\""] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"}\"");
}

fn write_go_string(text: &str, out: &mut impl Write) -> fmt::Result {
    if is_plain(text) {
        return write!(out, "\"{text}\"");
    }
    let json = serde_json::to_string(text).map_err(|_| fmt::Error)?;
    for c in json.chars() {
        match c {
            '<' | '>' | '&' => write!(out, "\\u{:04x}", u32::from(c))?,
            other => out.write_char(other)?,
        }
    }
    Ok(())
}

/// One step of a path, ordered as the server orders them: fields, items by key, items by value, items by place.
/// Copies share their texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A field of a struct or a key of a map.
    Field(Arc<str>),
    /// An item of a list-map: its keys by name, with their values.
    Key(Arc<[(Arc<str>, Atom)]>),
    /// An item of a set.
    Value(Atom),
    /// An item by its place.
    Index(i64),
}

impl PathElement {
    /// The field `name`.
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// The element that stands for `item` of an associative list whose items are of type `items`.
    ///
    /// # Errors
    /// The server's text for an item that has no identity.
    pub(super) fn of_item(
        item: &Value,
        list_type: &ListType,
        items: SchemaRef<'_>,
    ) -> Result<Self, String> {
        let ListType::Map(keys) = list_type else {
            let wrong = match item {
                Value::Object(_) => {
                    "associative list without keys has an element that's a map type"
                }
                Value::Array(_) => "not supported: associative list with lists as elements",
                Value::Null => {
                    "associative list without keys has an element that's an explicit null"
                }
                scalar => return Ok(Self::Value(Atom::of(scalar))),
            };
            return Err(wrong.to_owned());
        };
        let map = match item {
            Value::Object(map) => map,
            Value::Null => {
                return Err("associative list with keys may not have a null element".to_owned());
            }
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut out = Vec::with_capacity(keys.len());
        for key in keys {
            let value = map.get(key).or_else(|| items.field(key)?.default_value());
            if let Some(value) = value {
                out.push((key.clone(), Atom::of(value)));
            }
        }
        if out.is_empty() {
            let names = keys
                .iter()
                .map(|key| format!("{key:?}"))
                .collect::<Vec<_>>()
                .join(" ");
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{names}] (and doesn't have default values for any key fields)"
            ));
        }
        if out.len() > 1 {
            out.sort_unstable();
        }
        Ok(Self::Key(out.into()))
    }

    /// As a key of `fieldsV1` (API-166).
    pub fn to_key(&self) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _written = self.write_key(&mut out);
        out
    }

    /// Writes the key of `fieldsV1` as JSON.
    pub(super) fn write_json_key(&self, out: &mut Vec<u8>) {
        match self {
            Self::Field(name) => wavetank_json::write_joined(out, "f:", name),
            Self::Key(keys) if keys.iter().all(is_plain_key) => write_plain_keys(keys, out),
            _ => wavetank_json::write_text(out, &self.to_key()),
        }
    }

    fn write_key(&self, out: &mut String) -> fmt::Result {
        match self {
            Self::Field(name) => {
                out.reserve_exact(2 + name.len());
                out.push_str("f:");
                out.push_str(name);
                Ok(())
            }
            Self::Key(keys) => {
                out.push_str("k:{");
                for (index, (name, value)) in keys.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_go_string(name, out)?;
                    out.push(':');
                    value.write_json(out)?;
                }
                out.push('}');
                Ok(())
            }
            Self::Value(value) => {
                out.push_str("v:");
                value.write_json(out)
            }
            Self::Index(index) => write!(out, "i:{index}"),
        }
    }

    /// Reads a key of `fieldsV1`; `Ok(None)` for kinds of elements that are not known.
    ///
    /// # Errors
    /// The text is no key at all.
    pub fn from_key(key: &str) -> Result<Option<Self>, String> {
        let (kind, rest) = key
            .split_once(':')
            .ok_or_else(|| format!("missing colon: {key}"))?;
        let json =
            |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
        Ok(Some(match kind {
            "f" => Self::field(rest),
            "v" => Self::Value(Atom::of(&json(rest)?)),
            "i" => Self::Index(
                rest.parse()
                    .map_err(|error: std::num::ParseIntError| error.to_string())?,
            ),
            "k" => {
                let Value::Object(map) = json(rest)? else {
                    return Err(format!("no object: {rest}"));
                };
                let mut keys: Vec<_> = map
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), Atom::of(value)))
                    .collect();
                keys.sort_unstable();
                Self::Key(keys.into())
            }
            _ => return Ok(None),
        }))
    }
}

impl fmt::Display for PathElement {
    /// As it stands in messages (API-151): `.spec`, `[name="x"]`, `[="x"]`, `[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                f.write_char('[')?;
                for (index, (name, value)) in keys.iter().enumerate() {
                    write!(f, "{}{name}={value}", if index == 0 { "" } else { "," })?;
                }
                f.write_char(']')
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}
