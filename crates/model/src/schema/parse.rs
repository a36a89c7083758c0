//! JSON text to a value, with the duplicate keys on the way (API-181).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use wavetank_json::{Map, Value};

/// What strict field validation finds in a body; printed as the server prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldProblem {
    /// A field that the type does not have.
    Unknown {
        /// As `spec.template.spec.containers[0].foo`.
        path: String,
    },
    /// A key that stands twice in one map.
    Duplicate {
        /// As `spec.replicas`.
        path: String,
    },
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { path } => write!(f, "unknown field {path:?}"),
            Self::Duplicate { path } => write!(f, "duplicate field {path:?}"),
        }
    }
}

/// A place inside the text, kept on the stack and printed only when something is wrong there.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads JSON text and reports keys that stand twice in one map; the last value wins.
///
/// # Errors
/// The text is not one JSON value.
pub fn parse(text: &[u8]) -> Result<(Value, Vec<FieldProblem>), serde_json::Error> {
    // Text that is known to be UTF-8 is read faster; what is wrong with other text is found on the way.
    match str::from_utf8(text) {
        Ok(text) => read(serde_json::Deserializer::from_str(text)),
        Err(_) => read(serde_json::Deserializer::from_slice(text)),
    }
}

fn read<'de, R: serde_json::de::Read<'de>>(
    mut input: serde_json::Deserializer<R>,
) -> Result<(Value, Vec<FieldProblem>), serde_json::Error> {
    let mut problems = Vec::new();
    let value = Seed {
        path: Path::Root,
        problems: &mut problems,
    }
    .deserialize(&mut input)?;
    input.end()?;
    Ok((value, problems))
}

struct Seed<'a> {
    path: Path<'a>,
    problems: &'a mut Vec<FieldProblem>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(wavetank_json::Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(Seed {
            path: Path::Item(&self.path, out.len()),
            problems: self.problems,
        })? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Field(&self.path, &key);
            let value = entries.next_value_seed(Seed {
                path,
                problems: self.problems,
            })?;
            if out.contains_key(&key) {
                let problem = FieldProblem::Duplicate {
                    path: path.to_string(),
                };
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    #[test]
    fn duplicate_keys_are_reported_with_their_path_and_the_last_wins() {
        let text = br#"{"spec":{"replicas":1,"replicas":2,"items":[{},{"a":1,"a":{"b":[1,-2,0.5,null,true]}}]}}"#;
        let (value, problems) = parse(text).unwrap();
        assert_eq!(
            value,
            json!({"spec": {"replicas": 2, "items": [{}, {"a": {"b": [1, -2, 0.5, null, true]}}]}})
        );
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"duplicate field "spec.replicas""#,
                r#"duplicate field "spec.items[1].a""#
            ]
        );
        assert!(parse(b"{} x").is_err());
        assert!(parse(b"{").is_err());
    }
}
