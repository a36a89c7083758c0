//! Protobuf bodies of built-in kinds: read into JSON, and written from it (API-060, 062, appendix A).
//!
//! A body is a `runtime.Unknown` behind four magic bytes. What stands in it is read by a table of field numbers into the
//! JSON that a client would have sent: a field that is there is set, an empty time is null. Field numbers that are not
//! known are refused, for dropping them would change what the client asked for.
//!
//! Answers are made as JSON and written anew for who asks for protobuf.

mod encode;
mod table;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use wavetank_json::{Map, Number, Value};

pub(crate) use encode::{WATCH_MEDIA_TYPE, encode, watch_frame};
use table::{Field, Kind, Shape};
use wire::{Payload, Reader};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// Messages within messages; only schemas of definitions nest without a bound of their own.
const DEEPEST: usize = 100;

/// Why a body is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The first bytes are not the magic ones.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Magic,
    /// What is in the envelope is no protobuf.
    #[error("the content type {0:?} within a protobuf envelope is not supported by this server")]
    Content(String),
    /// Nobody knows such a kind.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    Unregistered {
        /// `apiVersion` of the envelope.
        api_version: String,
        /// `kind` of the envelope.
        kind: String,
    },
    /// The body ends within a value.
    #[error("unexpected EOF")]
    Truncated,
    /// A value is not of the type of its field.
    #[error("proto: wrong wireType = {wire} for field number {number}")]
    WireType {
        /// What stands there.
        wire: u64,
        /// Where.
        number: u64,
    },
    /// A field that is not in the table.
    #[error("field number {number} within {within} is not known to this server")]
    UnknownField {
        /// The number.
        number: u64,
        /// The JSON name of the field that the message is the value of, or the kind.
        within: String,
    },
    /// A text is no text.
    #[error("string field contains invalid UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// JSON within the message is none.
    #[error("{0}")]
    Json(serde_json::Error),
    /// Messages nest too deep.
    #[error("nested too deep")]
    TooDeep,
}

/// The object in a body, as JSON with `apiVersion` and `kind`.
pub(crate) fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let body = body.strip_prefix(MAGIC).ok_or(DecodeError::Magic)?;
    let (mut api_version, mut kind, mut raw) = ("", "", &b""[..]);
    let mut fields = Reader::new(body);
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => {
                let mut meta = Reader::new(payload.bytes(number)?);
                while let Some((number, payload)) = meta.next()? {
                    match number {
                        1 => api_version = payload.text(number)?,
                        2 => kind = payload.text(number)?,
                        _ => {}
                    }
                }
            }
            2 => raw = payload.bytes(number)?,
            3 | 4 => {
                let text = payload.text(number)?;
                if !matches!(text, "" | MEDIA_TYPE) {
                    return Err(DecodeError::Content(text.to_owned()));
                }
            }
            _ => {}
        }
    }
    let root = table::root(api_version, kind).ok_or_else(|| DecodeError::Unregistered {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    })?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), Value::from(api_version));
    object.insert("kind".to_owned(), Value::from(kind));
    read_message(raw, root, kind, DEEPEST, &mut object)?;
    Ok(Value::Object(object))
}

/// Reads the fields of message `number` into `object`; `name` is that of the field it is the value of.
fn read_message(
    bytes: &[u8],
    number: usize,
    name: &str,
    deepest: usize,
    object: &mut Map,
) -> Result<(), DecodeError> {
    let deepest = deepest.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    let known = table::message(number);
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.next()? {
        let field = known.iter().find(|field| field.number == number);
        let field = field.ok_or_else(|| DecodeError::UnknownField {
            number,
            within: name.to_owned(),
        })?;
        match (field.shape, field.kind) {
            (Shape::One, Kind::Inlined(message)) => {
                read_message(payload.bytes(number)?, message, name, deepest, object)?;
            }
            (Shape::One, _) => {
                let value = read_value(field, payload, deepest)?;
                object.insert(field.name.to_owned(), value);
            }
            (Shape::List, kind) => {
                let list = object
                    .entry(field.name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    match payload {
                        // Numbers may stand one by one, or all in one.
                        Payload::Bytes(packed) if matches!(kind, Kind::Integer | Kind::Flag) => {
                            let mut reader = Reader::new(packed);
                            while let Some(number) = reader.packed()? {
                                list.push(read_value(field, Payload::Varint(number), deepest)?);
                            }
                        }
                        _ => list.push(read_value(field, payload, deepest)?),
                    }
                }
            }
            (Shape::Map, _) => {
                let (key, value) = read_entry(field, payload, deepest)?;
                let map = object
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
        }
    }
    Ok(())
}

fn read_entry(
    field: &Field,
    payload: Payload<'_>,
    deepest: usize,
) -> Result<(String, Value), DecodeError> {
    let mut reader = Reader::new(payload.bytes(field.number)?);
    let (mut key, mut value) = ("", None);
    while let Some((number, payload)) = reader.next()? {
        match number {
            1 => key = payload.text(number)?,
            2 => value = Some(read_value(field, payload, deepest)?),
            _ => {}
        }
    }
    // A value that is left out is an empty one.
    let value = match value {
        Some(value) => value,
        None => match field.kind {
            Kind::Integer | Kind::Flag | Kind::Double => {
                read_value(field, Payload::Varint(0), deepest)?
            }
            _ => read_value(field, Payload::Bytes(b""), deepest)?,
        },
    };
    Ok((key.to_owned(), value))
}

fn read_value(field: &Field, payload: Payload<'_>, deepest: usize) -> Result<Value, DecodeError> {
    let number = field.number;
    Ok(match field.kind {
        Kind::Text => Value::from(payload.text(number)?),
        Kind::Flag => Value::from(payload.integer(number)? != 0),
        Kind::Integer => Value::from(payload.integer(number)?),
        Kind::Double => {
            Number::from_f64(payload.double(number)?).map_or(Value::Null, Value::Number)
        }
        Kind::Bytes => Value::from(STANDARD.encode(payload.bytes(number)?)),
        Kind::Time => read_time(payload.bytes(number)?, "%Y-%m-%dT%H:%M:%SZ")?,
        Kind::MicroTime => read_time(payload.bytes(number)?, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        Kind::Quantity => Value::from(first_text(payload.bytes(number)?)?),
        Kind::IntOrString => read_int_or_string(payload.bytes(number)?)?,
        Kind::Json => match first(payload.bytes(number)?)? {
            b"" => Value::Null,
            raw => serde_json::from_slice(raw).map_err(DecodeError::Json)?,
        },
        Kind::Texts => {
            let mut reader = Reader::new(payload.bytes(number)?);
            let mut list = Vec::new();
            while let Some((number, payload)) = reader.next()? {
                list.push(Value::from(payload.text(number)?));
            }
            Value::Array(list)
        }
        Kind::Message(message) | Kind::Inlined(message) => {
            let mut object = Map::new();
            let bytes = payload.bytes(number)?;
            read_message(bytes, message, field.name, deepest, &mut object)?;
            Value::Object(object)
        }
        Kind::Either(message) => {
            let mut object = Map::new();
            let bytes = payload.bytes(number)?;
            read_message(bytes, message, field.name, deepest, &mut object)?;
            let schema = object.remove("schema");
            schema
                .or_else(|| object.into_iter().next().map(|(_, value)| value))
                .unwrap_or_default()
        }
    })
}

/// Seconds (1) and nanoseconds (2); null when nothing is set.
fn read_time(bytes: &[u8], format: &str) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut seconds, mut nanos) = (None, 0);
    while let Some((number, payload)) = reader.next()? {
        match number {
            1 => seconds = Some(payload.integer(number)?),
            2 => nanos = i32::try_from(payload.integer(number)?).unwrap_or(0),
            _ => {}
        }
    }
    let time = seconds.and_then(|seconds| Timestamp::new(seconds, nanos).ok());
    Ok(time.map_or(Value::Null, |time| {
        Value::from(time.strftime(format).to_string())
    }))
}

/// Type (1), number (2), text (3).
fn read_int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut is_text, mut integer, mut text) = (false, 0, "");
    while let Some((number, payload)) = reader.next()? {
        match number {
            1 => is_text = payload.integer(number)? != 0,
            2 => integer = payload.integer(number)?,
            3 => text = payload.text(number)?,
            _ => {}
        }
    }
    Ok(if is_text {
        Value::from(text)
    } else {
        Value::from(integer)
    })
}

/// Field 1 of a message, empty when it is not set.
fn first(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut found = &b""[..];
    while let Some((number, payload)) = reader.next()? {
        if number == 1 {
            found = payload.bytes(number)?;
        }
    }
    Ok(found)
}

fn first_text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(first(bytes)?).map_err(DecodeError::Text)
}

#[cfg(test)]
mod tests;
