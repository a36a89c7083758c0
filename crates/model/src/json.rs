//! JSON text: what is kept of an object where its tree would be many times larger.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wavetank_json::Value;

/// A JSON value as its text, a tenth of the size of its tree. Serialises as the value itself.
#[derive(Clone)]
pub struct Json(Bytes);

impl Json {
    /// The text of `value`.
    pub fn of(value: &Value) -> Self {
        Self::written(wavetank_json::to_vec(value))
    }

    /// A text that [`wavetank_json::write()`] and its like made.
    pub fn written(text: Vec<u8>) -> Self {
        Self(text.into_boxed_slice().into())
    }

    /// A text that somebody has written already, which is shared.
    pub fn shared(text: &Bytes) -> Self {
        Self(text.clone())
    }

    /// The value.
    pub fn value(&self) -> Value {
        // What was serialised here parses again.
        self.part().unwrap_or_default()
    }

    /// Whether the text has `part` somewhere: a cheap look before the whole is read.
    pub fn mentions(&self, part: &str) -> bool {
        memchr::memmem::find(&self.0, part.as_bytes()).is_some()
    }

    /// What `T` takes from the value; `None` where it does not fit.
    pub fn part<'de, T: Deserialize<'de>>(&'de self) -> Option<T> {
        serde_json::from_slice(&self.0).ok()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::of(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn a_text_is_the_value_that_was_written() {
        let value = json!({"text": "a\"b\\c\nä\u{1}", "list": [1, -2.5, null, true, [], {}], "": {"x": ""}});
        let text = Json::of(&value);
        assert_eq!(&*text.0, serde_json::to_vec(&value).unwrap());
        assert_eq!(text.value(), value);
        assert_eq!(wavetank_json::to_value(&text).unwrap(), value);
        assert_eq!(wavetank_json::from_value::<Json>(value).unwrap(), text);
    }
}
