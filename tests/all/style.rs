//! House rules that no compiler and no lint checks.

use std::fs;

use wavetank_tests::{files, root};

/// Path in the repository, and text, of every Rust file.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let paths = files("crates", "rs")
        .into_iter()
        .chain(files("tests", "rs"));
    paths
        .map(|path| {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (
                path.strip_prefix(&root)
                    .unwrap_or(&path)
                    .display()
                    .to_string(),
                text,
            )
        })
        .collect()
}

#[test]
fn a_module_stands_beside_its_folder() {
    let found: Vec<String> = sources()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.ends_with("/mod.rs"))
        .collect();
    assert!(found.is_empty(), "move to the folder's name: {found:?}");
}

#[test]
fn every_crate_inherits_the_lints() {
    for manifest in files("crates", "toml")
        .into_iter()
        .chain([root().join("tests/Cargo.toml")])
    {
        if manifest
            .file_name()
            .is_some_and(|name| name == "Cargo.toml")
        {
            let text = fs::read_to_string(&manifest).unwrap();
            assert!(
                text.contains("[lints]\nworkspace = true\n"),
                "{}",
                manifest.display()
            );
        }
    }
}

/// `tokio::select!` without `biased` draws its order from a generator that is different in each process.
#[test]
fn every_select_is_biased() {
    // Written in two parts so that this file does not find itself.
    let needle = concat!("select", "! {");
    for (name, text) in sources() {
        for (at, _) in text.match_indices(needle) {
            let before = &text[..at];
            let shuffles = before.ends_with("futures::") || before.ends_with("futures_util::");
            assert!(
                !shuffles,
                "{name}: use select_biased from futures, or tokio's with `biased;`"
            );
            let body = text[at + needle.len()..].trim_start();
            assert!(
                body.starts_with("biased;"),
                "{name}: select without `biased;`"
            );
        }
    }
}

/// Only `cli` and examples, which are programs, may print: the lint catches the macros, this catches the handles.
#[test]
fn only_the_command_writes_to_the_standard_streams() {
    for (name, text) in sources() {
        let is_ours = name.starts_with("crates/")
            && !name.starts_with("crates/cli/")
            && !name.contains("/tests/")
            && !name.contains("/examples/");
        for needle in [
            "io::stdout()",
            "io::stderr()",
            "env::var(",
            "process::exit(",
        ] {
            assert!(
                !(is_ours && text.contains(needle)),
                "{name}: `{needle}` belongs into the cli"
            );
        }
    }
}
