//! Comparing messages, some of which the engine builds from unordered sets.

use wavetank_scenario::MessagePattern;

/// Whether `observed` fits `wanted`.
///
/// The reasons of a failed operation are joined by commas in no particular order (SYNC-057): a literal text is compared
/// with them as a set.
pub(crate) fn fits(wanted: &MessagePattern, observed: &str) -> bool {
    match wanted {
        MessagePattern::Literal(text) => {
            text == observed || (text.len() == observed.len() && sorted(text) == sorted(observed))
        }
        MessagePattern::Regex(regex) => regex.is_match(observed),
    }
}

/// The message with the reasons of each line in order.
fn sorted(message: &str) -> Vec<String> {
    message
        .split('\n')
        .map(|line| {
            let Some((head, rest)) = line.split_once(", reason: ") else {
                return line.to_owned();
            };
            let (reasons, suffix) = rest.split_at(suffix(rest));
            let mut reasons: Vec<&str> = reasons.split(',').collect();
            reasons.sort_unstable();
            format!("{head}, reason: {}{suffix}", reasons.join(","))
        })
        .collect()
}

/// Where the controller's own words begin (SYNC-084).
fn suffix(text: &str) -> usize {
    let marks = [
        ". Retrying attempt #",
        " (retried ",
        ", triggered by controller sync timeout",
    ];
    marks
        .iter()
        .filter_map(|mark| text.rfind(mark))
        .min()
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a, reason: x,y", "a, reason: y,x", true)]
    #[case("a, reason: x,y", "a, reason: x,z", false)]
    #[case("a, reason: x,y", "b, reason: y,x", false)]
    #[case(
        "a, reason: x,y. Retrying attempt #1 at 3:04PM.",
        "a, reason: y,x. Retrying attempt #1 at 3:04PM.",
        true
    )]
    #[case(
        "a, reason: x,y (retried 2 times).",
        "a, reason: y,x (retried 2 times).",
        true
    )]
    #[case(
        "a, reason: x,y (retried 2 times).",
        "a, reason: y,x (retried 3 times).",
        false
    )]
    #[case(
        "a, reason: x\none or more SyncFail hooks failed, reason: p,q",
        "a, reason: x\none or more SyncFail hooks failed, reason: q,p",
        true
    )]
    #[case("waiting for b,a", "waiting for a,b", false)]
    fn reasons_are_compared_as_a_set(
        #[case] wanted: &str,
        #[case] observed: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(
            fits(&MessagePattern::Literal(wanted.to_owned()), observed),
            expected
        );
    }
}
