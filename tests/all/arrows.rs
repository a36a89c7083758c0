//! The map in `crates/README.md` says what is there: every crate, and which crate may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use wavetank_tests::{metadata, root};

/// The folder of a package of this workspace; the facade alone has no prefix.
fn crate_name(package: &str) -> Option<&str> {
    if package == FACADE {
        Some(FACADE)
    } else {
        package.strip_prefix("wavetank-")
    }
}

type Arrows = BTreeMap<String, BTreeSet<String>>;

const FACADE: &str = "wavetank";

/// Crates that all may use.
const FOR_ALL: [&str; 3] = ["json", "kernel", "model"];

fn map() -> String {
    fs::read_to_string(root().join("crates/README.md")).expect("crates/README.md can be read")
}

/// The arrows of the fenced block: `a, b -> c, d` by `;` or line.
fn drawn() -> Arrows {
    let map = map();
    let block = map
        .split("```arrows\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let mut arrows = Arrows::new();
    for line in block
        .expect("crates/README.md has a block of arrows")
        .lines()
    {
        let (from, to) = line
            .split_once(" -> ")
            .unwrap_or_else(|| panic!("no arrow in `{line}`"));
        let names = |text: &str| -> BTreeSet<String> {
            text.split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty() && name != "nothing")
                .collect()
        };
        for name in names(from) {
            arrows.entry(name).or_default().extend(names(to));
        }
    }
    arrows
}

/// The arrows of the manifests, without those to crates that all may use and without tests' own.
fn built() -> Arrows {
    let metadata = metadata(&["--no-deps"]);
    let mut arrows = Arrows::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(name) = package["name"].as_str().and_then(crate_name) else {
            continue;
        };
        if name == "tests" {
            continue;
        }
        let uses = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|dependency| dependency["kind"].is_null());
        let uses = uses.filter_map(|dependency| dependency["name"].as_str().and_then(crate_name));
        let uses = uses
            .filter(|name| !FOR_ALL.contains(name))
            .map(str::to_owned)
            .collect();
        arrows.insert(name.to_owned(), uses);
    }
    arrows
}

#[test]
fn every_dependency_between_crates_is_drawn_on_the_map_and_the_other_way_round() {
    assert_eq!(
        built(),
        drawn(),
        "left: Cargo.toml files, right: crates/README.md"
    );
}

#[test]
fn every_crate_has_a_row_on_the_map() {
    let map = map();
    let rows: BTreeSet<String> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let crates: BTreeSet<String> = built().into_keys().collect();
    assert_eq!(crates, rows, "left: crates/, right: crates/README.md");
}

#[test]
fn a_package_is_named_after_its_folder() {
    let metadata = metadata(&["--no-deps"]);
    for package in metadata["packages"].as_array().unwrap() {
        let folder = package["manifest_path"]
            .as_str()
            .unwrap()
            .rsplit(['/', '\\'])
            .nth(1)
            .unwrap();
        let name = package["name"].as_str().unwrap();
        assert_eq!(crate_name(name), Some(folder), "package {name}");
    }
}
