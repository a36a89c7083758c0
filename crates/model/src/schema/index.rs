//! Where in a struct a field is, found by its name with one comparison of texts.

use std::borrow::Cow;

/// The places of named things, in a table of which half stays empty.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Places counted from 1; 0 where nothing is.
    slots: Box<[u32]>,
}

impl Index {
    /// The places of `fields`.
    pub(super) fn of<T>(fields: &[(Cow<'static, str>, T)]) -> Self {
        let mut slots = vec![0; (fields.len() * 2).next_power_of_two()];
        for ((name, _), place) in fields.iter().zip(1..) {
            let mut at = slot(name) & (slots.len() - 1);
            while slots[at] != 0 {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = place;
        }
        Self {
            slots: slots.into(),
        }
    }

    /// The field `name` of `fields`, which are those that the index was made of.
    pub(super) fn find<'a, T>(
        &self,
        fields: &'a [(Cow<'static, str>, T)],
        name: &str,
    ) -> Option<&'a T> {
        let last = self.slots.len().checked_sub(1)?;
        let mut at = slot(name) & last;
        loop {
            let place = self.slots[at].checked_sub(1)?;
            let (field, value) = fields.get(place as usize)?;
            if **field == *name {
                return Some(value);
            }
            at = (at + 1) & last;
        }
    }
}

/// A number that tells most names of one struct apart.
fn slot(name: &str) -> usize {
    let bytes = name.as_bytes();
    let letter = |at: usize| bytes.get(at).map_or(0, |byte| usize::from(*byte));
    let length = bytes.len();
    length + 5 * letter(0) + 11 * letter(length / 2) + 17 * letter(length.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_others_are_not() {
        for count in [0, 1, 2, 17, 100] {
            let fields: Vec<_> = (0..count)
                .map(|n| (Cow::Owned(format!("f{n}")), n))
                .collect();
            let index = Index::of(&fields);
            for (name, value) in &fields {
                assert_eq!(index.find(&fields, name), Some(value));
            }
            for name in ["", "f", "f100", "é"] {
                assert_eq!(index.find(&fields, name), None);
            }
        }
        assert_eq!(Index::default().find(&[(Cow::Borrowed("a"), 1)], "a"), None);
    }
}
