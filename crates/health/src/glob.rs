//! The patterns of Argo CD's settings, projects and sync windows: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`, `{one,two}`, `\` before a special character.
//!
//! `*` and `?` also match `/` (SYNC-124: the key is matched as one text).

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
}
