//! `lint`, `explain`, and plans of manifests without a scenario.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::{code, folder, stdout, text, wavetank};

/// What the command prints when `input` comes on standard input, and its exit code.
fn with_input(arguments: &[&str], input: &str) -> (String, i32) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .args(arguments)
        .current_dir(folder("tests/fixtures"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    (
        text(output.stdout),
        output.status.code().expect("it is not killed"),
    )
}

#[test]
fn manifests_are_linted_without_a_scenario() {
    insta::assert_snapshot!(wavetank(&["lint", "lint/manifests.yaml"]));
}

#[test]
fn manifests_come_on_standard_input() {
    let manifests = std::fs::read_to_string(folder("tests/fixtures/lint/manifests.yaml")).unwrap();
    let from_file = stdout(&["lint", "lint"]);
    let (from_input, code) = with_input(&["lint", "-"], &manifests);
    assert_eq!(
        from_input,
        from_file
            .replace("lint/manifests.yaml", "-")
            .replace("     -->", " -->")
    );
    assert_eq!(code, 1);
    let (plan, code) = with_input(&["plan", "-", "--namespace", "shop"], &manifests);
    insta::assert_snapshot!(plan);
    assert_eq!(code, 0);
}

#[test]
fn codes_can_be_left_out() {
    let arguments = [
        "lint",
        "lint",
        "--no-notes",
        "--allow",
        "WT001,WT101,wt105,needs-what-comes-later",
    ];
    assert_eq!(stdout(&arguments), "0 warnings\n");
    assert_eq!(code(&arguments), 0);
    assert_eq!(code(&["lint", "lint", "--allow", "WT999"]), 3);
}

#[test]
fn findings_are_data_too() {
    let document: wavetank_json::Value =
        serde_json::from_str(&stdout(&["lint", "lint", "--format", "json"])).unwrap();
    assert_eq!(document["findings"][0]["code"], "WT001");
    assert_eq!(document["findings"][0]["line"], 32);
}

#[test]
fn what_cannot_be_read_leaves_with_3() {
    assert_eq!(code(&["lint", "three-problems.yaml"]), 3);
    assert_eq!(code(&["lint", "nowhere"]), 3);
    assert_eq!(with_input(&["lint", "-"], "kind: [").1, 3);
}

#[test]
fn a_scenario_is_linted_with_what_it_says() {
    insta::assert_snapshot!(wavetank(&["lint", "stuck.yaml"]));
}

#[test]
fn a_code_is_explained() {
    insta::assert_snapshot!(wavetank(&["explain", "wt201"]));
    assert_eq!(code(&["explain", "WT999"]), 3);
    assert!(stdout(&["explain"]).starts_with("WT001 warning  a hook of a type"));
}
