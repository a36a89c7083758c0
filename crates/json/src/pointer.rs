//! JSON pointers (RFC 6901).

use std::borrow::Cow;

use crate::Value;

impl Value {
    /// The part at a JSON pointer, as `/spec/containers/0`; the value itself for the empty one.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        tokens(pointer)?.try_fold(self, |value, token| match value {
            Self::Object(fields) => fields.get(&token),
            Self::Array(items) => items.get(number(&token)?),
            _ => None,
        })
    }

    /// The part at a JSON pointer, to be changed.
    pub fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Self> {
        tokens(pointer)?.try_fold(self, |value, token| match value {
            Self::Object(fields) => fields.get_mut(&token),
            Self::Array(items) => items.get_mut(number(&token)?),
            _ => None,
        })
    }
}

/// The parts of a pointer; `None` when it is none.
fn tokens(pointer: &str) -> Option<impl Iterator<Item = Cow<'_, str>>> {
    let mut tokens = pointer.split('/');
    if tokens.next() != Some("") {
        return None;
    }
    Some(tokens.map(|token| {
        if token.contains('~') {
            Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(token)
        }
    }))
}

/// The number of an item: digits without a zero in front.
fn number(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    plain.then(|| token.parse().ok())?
}

#[cfg(test)]
mod tests {
    use crate::json;

    #[test]
    fn pointers_lead_through_objects_and_lists() {
        let mut value = json!({"a": [{"b/c": 1}, 2], "~": {"": 3}, "": 4});
        for (pointer, found) in [
            ("/a/0/b~1c", Some(json!(1))),
            ("/a/1", Some(json!(2))),
            ("/~0/", Some(json!(3))),
            ("/", Some(json!(4))),
            ("", Some(value.clone())),
            ("/a/01", None),
            ("/a/+1", None),
            ("/a/2", None),
            ("/a/1/b", None),
            ("a", None),
        ] {
            assert_eq!(value.pointer(pointer).cloned(), found, "{pointer:?}");
            assert_eq!(value.pointer_mut(pointer).cloned(), found, "{pointer:?}");
        }
    }
}
