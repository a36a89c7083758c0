//! A JSON value.

use std::fmt;
use std::ops;

use crate::{Map, Number};

/// A JSON value.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

static NULL: Value = Value::Null;

impl Value {
    /// The part that `index` names: a field of an object by name, an item of a list by number.
    #[inline]
    pub fn get<I: Index>(&self, index: I) -> Option<&Self> {
        index.of(self)
    }

    /// The part that `index` names, to be changed.
    pub fn get_mut<I: Index>(&mut self, index: I) -> Option<&mut Self> {
        index.of_mut(self)
    }

    /// The value; null stays in its place.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it is a list.
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Whether it is a text.
    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Whether it is `true` or `false`.
    pub fn is_boolean(&self) -> bool {
        matches!(self, Self::Bool(_))
    }

    /// Whether it is null.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is a whole number from -2^63 to 2^63 - 1.
    pub fn is_i64(&self) -> bool {
        self.as_i64().is_some()
    }

    /// Whether it is a whole number from 0 to 2^64 - 1.
    pub fn is_u64(&self) -> bool {
        self.as_u64().is_some()
    }

    /// Whether it is a number that is kept as a float.
    pub fn is_f64(&self) -> bool {
        matches!(self, Self::Number(number) if number.is_f64())
    }

    /// The fields of an object.
    #[inline]
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The fields of an object, to be changed.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The items of a list.
    #[inline]
    pub fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a list, to be changed.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// The number, if it is whole and fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number().and_then(Number::as_u64)
    }

    /// The number as a float.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().and_then(Number::as_f64)
    }

    /// `true` or `false`.
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("Null"),
            Self::Bool(flag) => write!(out, "Bool({flag})"),
            Self::Number(number) => fmt::Debug::fmt(number, out),
            Self::String(text) => write!(out, "String({text:?})"),
            Self::Array(items) => {
                out.write_str("Array ")?;
                fmt::Debug::fmt(items, out)
            }
            Self::Object(fields) => {
                out.write_str("Object ")?;
                fmt::Debug::fmt(fields, out)
            }
        }
    }
}

/// What names a part of a value: the name of a field, or the number of an item.
pub trait Index {
    /// The part.
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value>;
    /// The part, to be changed.
    fn of_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value>;
    /// The part, to be changed; a field that is missing is made.
    ///
    /// # Panics
    /// Where there is no such part and none can be made.
    fn of_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value;
}

impl Index for str {
    #[inline]
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_object()?.get(self)
    }

    fn of_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value.as_object_mut()?.get_mut(self)
    }

    fn of_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(fields) => fields.entry(self).or_insert(Value::Null),
            other => panic!("{other} has no field {self:?}"),
        }
    }
}

impl Index for String {
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.as_str().of(value)
    }

    fn of_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.as_str().of_mut(value)
    }

    fn of_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        self.as_str().of_or_insert(value)
    }
}

impl Index for usize {
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        value.as_array()?.get(*self)
    }

    fn of_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value.as_array_mut()?.get_mut(*self)
    }

    fn of_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        match value {
            Value::Array(items) => &mut items[*self],
            other => panic!("{other} has no item {self}"),
        }
    }
}

impl<I: Index + ?Sized> Index for &I {
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        (**self).of(value)
    }

    fn of_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        (**self).of_mut(value)
    }

    fn of_or_insert<'a>(&self, value: &'a mut Value) -> &'a mut Value {
        (**self).of_or_insert(value)
    }
}

impl<I: Index> ops::Index<I> for Value {
    type Output = Self;

    /// The part that `index` names; null where there is none.
    fn index(&self, index: I) -> &Self {
        index.of(self).unwrap_or(&NULL)
    }
}

impl<I: Index> ops::IndexMut<I> for Value {
    /// # Panics
    /// Where there is no such part and none can be made: fields are made in objects and in null.
    fn index_mut(&mut self, index: I) -> &mut Self {
        index.of_or_insert(self)
    }
}
