//! The list of mutants fits the code: a mutant whose place is gone would not be tried at all.

use std::fs;

use wavetank_tests::root;

/// The value of `key` in a table of the list: a basic string, or a literal one over several lines.
fn value(table: &str, key: &str) -> Option<String> {
    let (_, rest) = table.split_once(&format!("\n{key} = "))?;
    if let Some(literal) = rest.strip_prefix("'''") {
        let (text, _) = literal.split_once("'''")?;
        return Some(text.strip_prefix('\n').unwrap_or(text).to_owned());
    }
    // A basic string is written as in JSON.
    let line = rest.lines().next()?;
    serde_json::from_str(line).ok()
}

#[test]
fn each_mutant_has_one_place() {
    let list = fs::read_to_string(root().join("tools/mutants.toml")).unwrap();
    let mut count = 0;
    for table in list.split("[[mutant]]").skip(1) {
        let field = |key| value(table, key).unwrap_or_else(|| panic!("no `{key}` in {table}"));
        let (file, old) = (field("file"), field("old"));
        let code = fs::read_to_string(root().join(&file)).unwrap();
        assert_eq!(
            code.matches(&old).count(),
            1,
            "{} ({}) must stand once in {file}:\n{old}",
            field("rule"),
            field("what")
        );
        assert_ne!(field("new"), old);
        count += 1;
    }
    assert!(count >= 40, "{count} mutants are too few to prove anything");
}
