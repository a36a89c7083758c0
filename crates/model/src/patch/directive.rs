//! The special keys of strategic merge patches (API-131).

/// In a map: what to do with it instead of merging.
pub(super) const PATCH: &str = "$patch";
/// The fields that stay; all others of the map are cleared.
pub(super) const RETAIN_KEYS: &str = "$retainKeys";

const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// A key of a patch map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// `$setElementOrder/field`; `None` where the field is missing.
    SetOrder(Option<&'a str>),
    /// `$deleteFromPrimitiveList/field`.
    DeleteFrom(Option<&'a str>),
    /// Any other.
    Field(&'a str),
}

/// Whether a key may be a special one.
pub(super) fn is_one(key: &str) -> bool {
    key.starts_with('$')
}

pub(super) fn read(key: &str) -> Key<'_> {
    let field = |prefix: &str| key.strip_prefix(prefix).map(|rest| rest.strip_prefix('/'));
    if let Some(field) = field(SET_ORDER) {
        Key::SetOrder(field)
    } else if let Some(field) = field(DELETE_FROM) {
        Key::DeleteFrom(field)
    } else {
        Key::Field(key)
    }
}

pub(super) fn set_order(field: &str) -> String {
    format!("{SET_ORDER}/{field}")
}

pub(super) fn delete_from(field: &str) -> String {
    format!("{DELETE_FROM}/{field}")
}
