//! The documentation holds together.

use std::fs;

use wavetank_tests::{files, root};

/// Targets of `](…)` in a Markdown text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let pages = files("docs/src", "md")
        .into_iter()
        .chain(["README.md", "crates/README.md"].map(|name| root().join(name)));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap_or(link);
            let target = page.parent().unwrap().join(file);
            assert!(
                file.is_empty() || target.exists(),
                "{}: `{link}` leads nowhere",
                page.display()
            );
        }
    }
}

#[test]
fn every_page_is_in_the_summary() {
    let folder = root().join("docs/src");
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
    let listed: Vec<&str> = links(&summary).collect();
    for page in files("docs/src", "md") {
        let name = page.strip_prefix(&folder).unwrap().display().to_string();
        assert!(
            name == "SUMMARY.md" || listed.contains(&name.as_str()),
            "{name} is not in SUMMARY.md"
        );
    }
}

/// Issue 7: the examples and at least one scenario of every folder.
#[test]
fn the_tables_of_kind_have_a_scenario_of_every_folder() {
    let folder = root().join("scenarios");
    let script = fs::read_to_string(root().join("tools/kind-table")).unwrap();
    let named: Vec<&str> = script
        .split_whitespace()
        .filter(|word| {
            let path = folder.join(word);
            path.is_dir() || path.extension().is_some_and(|end| end == "yaml")
        })
        .collect();
    for word in &named {
        assert!(folder.join(word).exists(), "scenarios/{word} is not there");
    }
    for found in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let name = found.file_name().into_string().unwrap();
        let is_of_it = |word: &&str| word.split('/').next() == Some(&name);
        assert!(
            !found.path().is_dir() || named.iter().any(is_of_it),
            "tools/kind-table has nothing of scenarios/{name}"
        );
    }
}

#[test]
fn the_latency_page_shows_the_table_of_the_code() {
    let page = fs::read_to_string(root().join("docs/src/reference/latency.md")).unwrap();
    let table = wavetank_workload::latency::markdown();
    assert!(
        page.contains(&table),
        "docs/src/reference/latency.md must hold:\n\n{table}"
    );
}

#[test]
fn the_page_of_known_differences_shows_the_list_of_the_code() {
    let page = root().join("docs/src/reference/known-differences.md");
    let text = fs::read_to_string(page).unwrap();
    let table = wavetank_apiserver::differences::markdown();
    assert!(
        text.contains(&table),
        "docs/src/reference/known-differences.md must hold:\n\n{table}"
    );
}

#[test]
fn the_page_of_conformance_counts_the_cases() {
    let page = root().join("docs/src/reference/conformance.md");
    let text = fs::read_to_string(page).unwrap();
    let table = wavetank_tests::cases::markdown();
    assert!(
        text.contains(&table),
        "docs/src/reference/conformance.md must hold:\n\n{table}"
    );
}

#[test]
fn the_page_of_lint_codes_shows_the_list_of_the_code() {
    let page = fs::read_to_string(root().join("docs/src/reference/lint.md")).unwrap();
    assert!(
        page.ends_with(&wavetank_lint::code::markdown()),
        "docs/src/reference/lint.md must end with what `wavetank explain --page` prints"
    );
}
