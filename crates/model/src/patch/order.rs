//! The order of merged lists: items of the patch in the patch's order, the others kept near their old neighbours.

use serde_json::Value;

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

/// Sorts `items` like `order`; items it does not name come last, as they stood.
pub(super) fn sort_like(items: &mut [Value], order: &[Value], merge_key: Option<&str>) {
    items.sort_by_cached_key(|item| position(order, item, merge_key).unwrap_or(usize::MAX));
}

/// Arranges `merged`: items named by `wanted` in its order, and between them the others, in the order of `old` (the list
/// as it was), each before the first wanted item that stood behind it there.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &[Value],
    old: &[Value],
    merge_key: Option<&str>,
) -> Vec<Value> {
    let (mut named, mut others): (Vec<_>, Vec<_>) = merged
        .into_iter()
        .partition(|item| position(wanted, item, merge_key).is_some());
    sort_like(&mut named, wanted, merge_key);
    sort_like(&mut others, old, merge_key);
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let place = position(old, &item, merge_key);
        while let Some(other) =
            others.next_if(|other| match (position(old, other, merge_key), place) {
                (Some(other), Some(place)) => other < place,
                _ => false,
            })
        {
            out.push(other);
        }
        out.push(item);
    }
    out.extend(others);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
