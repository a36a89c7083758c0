//! The patterns of Argo CD's settings, projects and sync windows: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`, `{one,two}`, `\` before a special character.
//!
//! `*` and `?` also match `/` (SYNC-124: the key is matched as one text). Kinds in projects have patterns of file names.

/// Whether `key` is more than a plain name.
pub fn is_pattern(key: &str) -> bool {
    key.contains(['*', '?', '[', '{'])
}

/// Whether the whole of `text` fits `pattern`. A pattern that is not closed fits nothing.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    let mut tail = text.chars();
    let next = tail.next();
    let tail = tail.as_str();
    match first {
        '*' => matches(rest, text) || (next.is_some() && matches(pattern, tail)),
        '?' => next.is_some() && matches(rest, tail),
        '[' => match (rest.find(']'), next) {
            (Some(end), Some(next)) => {
                in_class(&rest[..end], next) && matches(&rest[end + 1..], tail)
            }
            _ => false,
        },
        '{' => match rest.find('}') {
            Some(end) => rest[..end]
                .split(',')
                .any(|choice| matches(&format!("{choice}{}", &rest[end + 1..]), text)),
            None => false,
        },
        '\\' => match rest.chars().next() {
            Some(literal) => next == Some(literal) && matches(&rest[literal.len_utf8()..], tail),
            None => false,
        },
        literal => next == Some(literal) && matches(rest, tail),
    }
}

/// Whether the whole of `text` fits `pattern`, a pattern of file names as Go has them: `*` and `?` do not match `/`, classes
/// are `[abc]`, `[a-z]`, `[^abc]`, and there are no choices. One that is ill-formed fits nothing.
pub fn matches_as_file(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    fits_as_file(&pattern, &text)
}

fn fits_as_file(pattern: &[char], text: &[char]) -> bool {
    let inner = |next: &char| *next != '/';
    match (pattern, text) {
        ([], _) => text.is_empty(),
        (['*', rest @ ..], _) => {
            let most = text.iter().take_while(|next| inner(next)).count();
            (0..=most).any(|taken| fits_as_file(rest, &text[taken..]))
        }
        (['?', rest @ ..], [next, tail @ ..]) => inner(next) && fits_as_file(rest, tail),
        (['[', rest @ ..], [next, tail @ ..]) => {
            file_class(rest, *next).is_some_and(|(fits, rest)| fits && fits_as_file(rest, tail))
        }
        (['\\', literal, rest @ ..], [next, tail @ ..]) => {
            literal == next && fits_as_file(rest, tail)
        }
        ([literal, rest @ ..], [next, tail @ ..]) if *literal != '\\' => {
            literal == next && fits_as_file(rest, tail)
        }
        _ => false,
    }
}

/// Whether a class, whose `[` was read, has `wanted`, and what stands behind it; `None` where it is ill-formed.
fn file_class(class: &[char], wanted: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match class {
        ['^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let one = |from: &'_ [char]| -> Option<(char, usize)> {
        match from {
            ['\\', literal, ..] => Some((*literal, 2)),
            ['-' | ']' | '\\', ..] | [] => None,
            [literal, ..] => Some((*literal, 1)),
        }
    };
    let (mut found, mut first) = (false, true);
    loop {
        if let [']', behind @ ..] = rest
            && !first
        {
            return Some((found != negated, behind));
        }
        let (low, taken) = one(rest)?;
        rest = &rest[taken..];
        let mut high = low;
        if let ['-', behind @ ..] = rest {
            let (end, taken) = one(behind)?;
            (high, rest) = (end, &behind[taken..]);
        }
        found |= (low..=high).contains(&wanted);
        first = false;
    }
}

fn in_class(class: &str, wanted: char) -> bool {
    let (class, negated) = class
        .strip_prefix('!')
        .map_or((class, false), |class| (class, true));
    let chars: Vec<char> = class.chars().collect();
    let found = match chars.as_slice() {
        [low, '-', high] => (*low..=*high).contains(&wanted),
        _ => chars.contains(&wanted),
    };
    found != negated
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*.crossplane.io/*", "db.aws.crossplane.io/Instance", true)]
    #[case("*.crossplane.io/*", "crossplane.io/Instance", false)]
    #[case("*", "apps/Deployment", true)]
    #[case("apps/{Deployment,DaemonSet}", "apps/DaemonSet", true)]
    #[case("apps/[!D]*", "apps/DaemonSet", false)]
    #[case("apps/[A-E]*", "apps/DaemonSet", true)]
    #[case("?od", "Pod", true)]
    #[case("Pod", "Pods", false)]
    #[case("apps/[D", "apps/D", false)]
    #[case(r"a\*b", "a*b", true)]
    fn patterns_fit_whole_keys(#[case] pattern: &str, #[case] key: &str, #[case] fits: bool) {
        assert_eq!(matches(pattern, key), fits);
    }

    #[rstest]
    #[case("Jo?", "Job", true)]
    #[case("a*", "apps", true)]
    #[case("*", "a/b", false)]
    #[case("[a-c]*", "batch", true)]
    #[case("[^a-c]*", "batch", false)]
    #[case("[!b]", "b", true)]
    #[case(r"[\-a]", "-", true)]
    #[case("[-a]", "a", false)]
    #[case("[]", "]", false)]
    #[case("[a", "a", false)]
    #[case("{a,b}", "a", false)]
    #[case("{a,b}", "{a,b}", true)]
    #[case(r"a\*", "a*", true)]
    #[case("a\\", "a", false)]
    #[case("", "", true)]
    fn file_patterns(#[case] pattern: &str, #[case] text: &str, #[case] fits: bool) {
        assert_eq!(matches_as_file(pattern, text), fits);
    }
}
