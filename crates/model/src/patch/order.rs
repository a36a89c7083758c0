//! The order of merged lists: items of the patch in the patch's order, the others kept near their old neighbours.

use wavetank_json::Value;

/// What tells one item of a list from another: the value of the merge key, or the item itself.
pub(super) fn identity<'a>(item: &'a Value, merge_key: Option<&str>) -> Option<&'a Value> {
    merge_key.map_or(Some(item), |key| item.get(key))
}

/// The place of `item` in `list`.
pub(super) fn position(list: &[Value], item: &Value, merge_key: Option<&str>) -> Option<usize> {
    let wanted = identity(item, merge_key)?;
    list.iter()
        .position(|other| identity(other, merge_key) == Some(wanted))
}

/// What tells the items of `list` apart, in its order; items without an identity are left out.
pub(super) fn identities(list: &[Value], merge_key: Option<&str>) -> Vec<Value> {
    list.iter()
        .filter_map(|item| identity(item, merge_key))
        .cloned()
        .collect()
}

/// Arranges `merged`: items of the identities `wanted` in their order, and between them the others, in the order of `old`
/// (the identities of the list as it was), each before the first wanted item that stood behind it there.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &[Value],
    old: &[Value],
    merge_key: Option<&str>,
) -> Vec<Value> {
    struct Placed {
        item: Value,
        wanted: Option<usize>,
        old: Option<usize>,
    }
    let placed = merged.into_iter().map(|item| {
        let own = identity(&item, merge_key);
        let place = |list: &[Value]| own.and_then(|own| list.iter().position(|one| one == own));
        let (wanted, old) = (place(wanted), place(old));
        Placed { item, wanted, old }
    });
    let (mut named, mut others): (Vec<_>, Vec<_>) =
        placed.partition(|placed| placed.wanted.is_some());
    named.sort_by_key(|placed| placed.wanted);
    others.sort_by_key(|placed| placed.old.unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for named in named {
        while let Some(other) = others.next_if(|other| match (other.old, named.old) {
            (Some(other), Some(place)) => other < place,
            _ => false,
        }) {
            out.push(other.item);
        }
        out.push(named.item);
    }
    out.extend(others.map(|other| other.item));
    out
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    fn arranged(merged: &str, wanted: &str, old: &str) -> String {
        let list = |text: &str| {
            text.chars()
                .map(|c| json!(c.to_string()))
                .collect::<Vec<_>>()
        };
        let out = arrange(list(merged), &list(wanted), &list(old), None);
        out.iter().filter_map(Value::as_str).collect()
    }

    #[test]
    fn others_keep_their_place_before_the_wanted_items_they_preceded() {
        assert_eq!(arranged("abcd", "db", "abcd"), "acdb");
        assert_eq!(arranged("abcx", "x", "abc"), "xabc");
        assert_eq!(arranged("abc", "", "abc"), "abc");
        assert_eq!(arranged("abcd", "bx", "abcd"), "abcd");
    }
}
