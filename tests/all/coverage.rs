//! Every rule of the sync engine, and every upstream case, is cited by a test or a scenario.
//!
//! The lists are `tests/data/sync-rules.txt` and `tests/data/upstream-cases.txt`. A citation is the id in the text of a
//! scenario, in a table of cases, or in a test function or the comment above it. `UPDATE_COVERAGE=1 cargo test -p
//! wavetank-tests --test all coverage` writes the page `docs/src/reference/coverage.md` anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use wavetank_tests::{files, root};

const PAGE: &str = "docs/src/reference/coverage.md";

/// One line of a list: id, columns.
struct Entry {
    id: String,
    columns: Vec<String>,
}

/// The lines of a list in `tests/data`; empty ones and comments are left out.
fn list(name: &str) -> Vec<Entry> {
    let text =
        fs::read_to_string(root().join("tests/data").join(name)).expect("a list of the tests");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.split(" | ").map(|column| column.trim().to_owned());
            Entry {
                id: columns.next().unwrap_or_default(),
                columns: columns.collect(),
            }
        })
        .collect()
}

/// The ids `<prefix>nnn` in a text.
fn ids(text: &str, prefix: &str) -> BTreeSet<String> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).count();
    text.split(prefix)
        .skip(1)
        .filter(|rest| digits(rest) == 3)
        .filter_map(|rest| Some(format!("{prefix}{}", rest.get(..3)?)))
        .collect()
}

/// The tests of a Rust file: name, and the text from the first line of its comment to the end of its body.
fn tests_of(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let is_test = ["#[test]", "#[tokio::test", "#[case", "#[rstest"]
            .iter()
            .any(|mark| line.trim_start().starts_with(mark));
        let counted = found
            .last()
            .is_some_and(|(_, _, end): &(String, String, usize)| place <= *end);
        if !is_test || counted {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let mut start = place;
        while start > 0
            && ["//", "#["]
                .iter()
                .any(|mark| lines[start - 1].trim_start().starts_with(mark))
        {
            start -= 1;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let end = (place..lines.len())
            .find(|&at| lines[at] == closing)
            .unwrap_or(lines.len() - 1);
        let name = lines[place..=end]
            .iter()
            .find_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next());
        if let Some(name) = name {
            found.push((name.to_owned(), lines[start..=end].join("\n"), end));
        }
    }
    found
        .into_iter()
        .map(|(name, text, _)| (name, text))
        .collect()
}

/// Where each id is cited: scenarios as `` `folder/name` ``, tests as `` `crate file::name` ``.
fn citations() -> BTreeMap<String, BTreeSet<String>> {
    let mut cited: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut enter = |text: &str, place: &str| {
        for id in ids(text, "SYNC-").into_iter().chain(ids(text, "U-")) {
            cited.entry(id).or_default().insert(place.to_owned());
        }
    };
    let relative = |path: &Path| {
        let path = path.strip_prefix(root()).unwrap_or(path);
        path.with_extension("").display().to_string()
    };
    for path in files("scenarios", "yaml") {
        enter(
            &fs::read_to_string(&path).expect("a file of the project"),
            &relative(&path),
        );
    }
    for path in files("crates", "yaml") {
        enter(
            &fs::read_to_string(&path).expect("a file of the project"),
            &relative(&path),
        );
    }
    for path in ["crates", "tests"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
    {
        for (name, text) in tests_of(&fs::read_to_string(&path).expect("a file of the project")) {
            enter(&text, &format!("{}::{name}", relative(&path)));
        }
    }
    cited
}

/// The places in one cell: scenarios first.
fn cell(places: Option<&BTreeSet<String>>, mark: Option<&str>) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(mark) = mark {
        parts.push(format!("*{mark}*"));
    }
    let places = places.into_iter().flatten();
    let (scenarios, tests): (Vec<&String>, Vec<&String>) =
        places.partition(|place| place.starts_with("scenarios/"));
    for place in scenarios {
        parts.push(format!("`{}`", place.trim_start_matches("scenarios/")));
    }
    for place in tests {
        parts.push(format!("`{}`", place.trim_start_matches("crates/")));
    }
    parts.join(", ")
}

fn page() -> String {
    let cited = citations();
    let mut text = String::from(
        "# What is proven by which test\n\n\
         Made by `UPDATE_COVERAGE=1 cargo test -p wavetank-tests --test all coverage`; do not edit. Scenarios are named by \
         folder and file below `scenarios/`, tests by file below `crates/` and function.\n\n\
         A rule that nothing cites fails the tests.\n\n\
         ## Rules of the sync engine\n\n| rule | title | cited by |\n|---|---|---|\n",
    );
    for rule in list("sync-rules.txt") {
        let (title, mark) = (&rule.columns[0], rule.columns.get(1));
        let places = cell(cited.get(&rule.id), mark.map(String::as_str));
        writeln!(text, "| {} | {title} | {places} |", rule.id).expect("text grows");
    }
    text.push_str(
        "\n## Upstream cases\n\nTests of Argo CD (commit 37ee0097) that say what a sync does. What is set in italics has no test here, \
         and why.\n\n| case | upstream | about | cited by |\n|---|---|---|---|\n",
    );
    for case in list("upstream-cases.txt") {
        let (upstream, about, mark) = (&case.columns[0], &case.columns[1], case.columns.get(2));
        let places = cell(cited.get(&case.id), mark.map(String::as_str));
        writeln!(text, "| {} | `{upstream}` | {about} | {places} |", case.id).expect("text grows");
    }
    text
}

/// What nothing cites and nothing excuses.
fn uncited(name: &str, columns: usize) -> Vec<String> {
    let cited = citations();
    list(name)
        .into_iter()
        .filter(|entry| entry.columns.len() == columns && !cited.contains_key(&entry.id))
        .map(|entry| entry.id)
        .collect()
}

#[test]
fn every_rule_is_cited_by_a_test() {
    assert_eq!(uncited("sync-rules.txt", 1), Vec::<String>::new());
}

#[test]
fn every_upstream_case_is_cited_by_a_test() {
    assert_eq!(uncited("upstream-cases.txt", 2), Vec::<String>::new());
}

#[test]
fn every_cited_id_is_in_the_lists() {
    let known: BTreeSet<String> = ["sync-rules.txt", "upstream-cases.txt"]
        .iter()
        .flat_map(|name| list(name))
        .map(|entry| entry.id)
        .collect();
    let unknown: Vec<(String, BTreeSet<String>)> = citations()
        .into_iter()
        .filter(|(id, _)| !known.contains(id))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn the_page_of_coverage_is_current() {
    let (path, current) = (root().join(PAGE), page());
    if std::env::var_os("UPDATE_COVERAGE").is_some() {
        fs::write(&path, current).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|text| text == current),
        "{PAGE} is not current: run the tests with UPDATE_COVERAGE=1"
    );
}
