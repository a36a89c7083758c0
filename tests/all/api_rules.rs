//! Every rule of the API server's semantics is cited, or stands in `tests/data/api-rules.txt` with the reason why not.

use std::collections::BTreeSet;
use std::fs;

use wavetank_tests::{files, root};

const LAST: u16 = 395;

/// The rules that a text cites: `API-123`, `API-001, 002`, `API-101 to 103`, `API-101…103`.
fn cited(text: &str, found: &mut BTreeSet<u16>) {
    for rest in text.split("API-").skip(1) {
        let (mut rest, mut from) = (rest, None);
        while let Some(number) = rest.get(..3).and_then(|digits| digits.parse::<u16>().ok()) {
            found.extend(from.unwrap_or(number)..=number);
            let behind = &rest[3..];
            let next = |word| behind.strip_prefix(word);
            (rest, from) = match (
                next(" to ").or_else(|| next("…")),
                next(", ").or_else(|| next(" and ")),
            ) {
                (Some(next), _) => (next, Some(number)),
                (None, Some(next)) => (next, None),
                (None, None) => break,
            };
        }
    }
}

#[test]
fn every_rule_of_the_api_server_is_cited_or_said_not_to_be() {
    let mut found = BTreeSet::new();
    for folder in ["crates", "tests", "docs/src"] {
        for extension in ["rs", "yaml", "md"] {
            for file in files(folder, extension) {
                cited(&fs::read_to_string(&file).unwrap_or_default(), &mut found);
            }
        }
    }
    let text = fs::read_to_string(root().join("tests/data/api-rules.txt")).unwrap();
    let mut left = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("API-")) {
        let (id, why) = line.split_once(" | ").unwrap_or((line, ""));
        assert!(!why.is_empty(), "{id} has no reason");
        cited(id, &mut left);
    }
    let neither: Vec<u16> = (1..=LAST)
        .filter(|rule| !found.contains(rule) && !left.contains(rule))
        .collect();
    assert!(neither.is_empty(), "nothing cites API-{neither:?}");
    let both: Vec<&u16> = left.intersection(&found).collect();
    assert!(
        both.is_empty(),
        "API-{both:?} are cited after all: take them out of the list"
    );
}
