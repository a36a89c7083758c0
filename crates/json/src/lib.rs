//! JSON values whose copies share what they have in common.
//!
//! A Kubernetes object is copied with every write and differs in few places from what it was; who watches keeps both.
//! [`Value`] has the shape and the methods of [`serde_json::Value`], but an object in it is one shared piece: a copy of
//! a value costs no more than its outermost arrays and texts, and a write copies only the objects on the way to what it
//! changes. Text is read by `serde_json`.

mod convert;
mod make;
mod map;
mod pointer;
mod text;
mod value;
mod write;

pub use convert::ToValue;
pub use map::{Entry, IntoIter, Iter, IterMut, Map, SideBySide, side_by_side};
pub use serde_json::{Error, Number};
pub use text::{from_slice, from_value, to_value};
pub use value::{Index, Value};
pub use write::{to_vec, write, write_joined, write_text};
