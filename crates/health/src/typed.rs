//! Reading fields as the typed form of an object would hold them (SYNC-109).
//!
//! Absent and null fields are zero, pointers to them `None`. Errors carry the texts of Kubernetes' converter.

use wavetank_json::Value;

use crate::status::HealthError;

/// Why a field does not fit its type; the text of Kubernetes' converter.
#[derive(Debug)]
pub(crate) struct ConversionError(String);

impl ConversionError {
    /// The error of assessing an object of `kind`.
    pub(crate) fn of(self, kind: &str) -> HealthError {
        HealthError(format!(
            "failed to convert unstructured {kind} to typed: {}",
            self.0
        ))
    }
}

pub(crate) type Result<T> = std::result::Result<T, ConversionError>;

/// A struct of the typed form; every field of an absent struct is absent.
#[derive(Clone, Copy)]
pub(crate) struct Struct<'a>(Option<&'a wavetank_json::Map>);

impl<'a> Struct<'a> {
    /// The struct that `value` holds.
    pub(crate) fn of(value: &'a Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self(Some(map))),
            Value::Null => Ok(Self(None)),
            other => Err(ConversionError(format!(
                "cannot restore struct from: {}",
                go_kind(other)
            ))),
        }
    }

    fn field(self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there.
    pub(crate) fn has(self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// A pointer to a struct.
    pub(crate) fn pointer(self, name: &str) -> Result<Option<Self>> {
        self.field(name).map(Self::of).transpose()
    }

    /// A struct in place.
    pub(crate) fn get(self, name: &str) -> Result<Self> {
        Ok(self.pointer(name)?.unwrap_or(Self(None)))
    }

    /// A pointer to a whole number of the Go type `go_type`.
    pub(crate) fn int_pointer(self, name: &str, go_type: &str) -> Result<Option<i64>> {
        let Some(value) = self.field(name) else {
            return Ok(None);
        };
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(number) => Ok(Some(number)),
                None => whole(number.as_f64().unwrap_or(f64::NAN))
                    .map(Some)
                    .ok_or_else(|| ConversionError(format!("cannot convert float64 to {go_type}"))),
            },
            _ => Err(ConversionError(format!("unrecognized type: {go_type}"))),
        }
    }

    /// An `int32` in place.
    pub(crate) fn int32(self, name: &str) -> Result<i64> {
        Ok(self.int_pointer(name, "int32")?.unwrap_or(0))
    }

    /// An `int64` in place.
    pub(crate) fn int64(self, name: &str) -> Result<i64> {
        Ok(self.int_pointer(name, "int64")?.unwrap_or(0))
    }

    /// A text whose Go type is `go_type`, as `string` or `v1.PodPhase`.
    pub(crate) fn text(self, name: &str, go_type: &str) -> Result<&'a str> {
        match self.field(name) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) if number.is_i64() => Err(ConversionError(format!(
                "cannot convert int64 to {go_type}"
            ))),
            Some(_) => Err(ConversionError("unrecognized type: string".to_owned())),
        }
    }

    /// A `bool` in place.
    pub(crate) fn flag(self, name: &str) -> Result<bool> {
        match self.field(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(ConversionError("unrecognized type: bool".to_owned())),
        }
    }

    /// A list of structs.
    pub(crate) fn list(self, name: &str) -> Result<&'a [Value]> {
        match self.field(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(ConversionError(format!(
                "cannot restore slice from {}",
                go_kind(other)
            ))),
        }
    }
}

/// `number` if it is whole and exact.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the exact range of f64"
    )]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// The kind of Go value that a JSON value is decoded to.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}
