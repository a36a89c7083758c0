//! Engines that are programs: what a person sees when one misbehaves. None of them may hang the run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{code, output, stdout, text};

const HELLO: &str =
    r#"echo '{"type":"hello","protocol":"wavetank-engine/v1","engine":"test","version":"1"}'"#;

/// Runs a small scenario with a shell script as the engine; gives both streams and the exit code.
fn run(script: &str) -> (String, i32) {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = folder.path().join("engine");
    fs::write(&engine, format!("#!/bin/sh\n{script}\n")).expect("the script is written");
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).expect("it may be run");
    let output = output(&[
        "run",
        "two-cases.yaml",
        "--case",
        "good",
        "--engine",
        engine.to_str().expect("a path in UTF-8"),
    ]);
    let code = output.status.code().expect("an exit code");
    (text(output.stdout) + &text(output.stderr), code)
}

#[track_caller]
fn is_unavailable(script: &str, reason: &str) {
    let (shown, code) = run(script);
    assert!(shown.contains(reason), "`{reason}` is not said:\n{shown}");
    assert_eq!(code, 4, "{shown}");
}

#[test]
fn an_engine_that_ends_at_once_is_unavailable() {
    is_unavailable("echo no licence >&2; exit 3", "it said: no licence");
}

#[test]
fn an_engine_that_says_no_hello_is_unavailable() {
    is_unavailable("echo hi; read -r x", "it said what is no message");
}

#[test]
fn an_engine_of_another_protocol_is_unavailable() {
    is_unavailable(
        r#"echo '{"type":"hello","protocol":"other/v9","engine":"test","version":"1"}'; read -r x"#,
        "it speaks `other/v9`",
    );
}

#[test]
fn garbage_during_a_pass_ends_the_run() {
    is_unavailable(
        &format!("{HELLO}; read -r start; read -r order; echo '<html>'; read -r x"),
        "it said what is no message",
    );
}

#[test]
fn an_engine_that_ends_during_a_pass_is_lost() {
    is_unavailable(
        &format!("{HELLO}; read -r start; read -r order; exit 7"),
        "it ended with exit status: 7",
    );
}

/// Whether the second word is there before the next pass begins or comes after, it is the same mistake.
#[test]
fn an_engine_may_not_end_a_pass_twice() {
    let done = r#"done='{"type":"done","n":1,"phase":"Running","message":"waiting"}'"#;
    let at_once = r#"printf '%s\n%s\n' "$done" "$done"; read -r order"#;
    let late = r#"echo "$done"; read -r order; echo "$done""#;
    for twice in [at_once, late] {
        is_unavailable(
            &format!("{HELLO}; {done}; read -r start; read -r order; {twice}; read -r x"),
            "it spoke between two passes",
        );
    }
}

/// The outcome is the program's word; the trace knows no task, so the expectations of the scenario fail.
#[test]
fn an_engine_may_do_nothing_at_all() {
    let done = r#"{\"type\":\"done\",\"n\":$n,\"phase\":\"Succeeded\",\"message\":\"all well\"}"#;
    let (shown, code) = run(&format!(
        "{HELLO}; n=0; read -r start; while read -r order; do n=$((n + 1)); echo \"{done}\"; done"
    ));
    assert_eq!(code, 1, "{shown}");
    assert!(!shown.contains("UNAVAILABLE"), "{shown}");
}

#[test]
fn unknown_engines_are_refused() {
    assert_eq!(
        code(&["run", "two-cases.yaml", "--engine", "argocd-0.1"]),
        3
    );
    assert_eq!(code(&["run", "two-cases.yaml", "--engine", "./no/such"]), 3);
    assert_eq!(
        code(&["compare", "two-cases.yaml", "--engines", "builtin"]),
        3
    );
}

#[test]
fn the_built_in_engine_agrees_with_itself() {
    let shown = stdout(&["compare", "two-cases.yaml", "--engines", "builtin,builtin"]);
    assert!(shown.ends_with(" agree, 0 differ\n"), "{shown}");
}

/// The exit codes are those of runs, of engines and of targets alike.
#[test]
fn comparisons_leave_with_the_code_of_what_they_met() {
    for what in [["--engines", "builtin,builtin"], ["--targets", "fake,fake"]] {
        let compared = |file: &str, more: &[&str]| {
            let arguments = [&["compare", file], &what[..], more].concat();
            code(&arguments)
        };
        assert_eq!(compared("two-cases.yaml", &[]), 0, "{what:?}");
        assert_eq!(compared("three-problems.yaml", &[]), 3, "{what:?}");
    }
    let nothing = "compare stuck.yaml --targets fake,fake --at-most 1ms";
    let arguments: Vec<&str> = nothing.split(' ').collect();
    assert_eq!(code(&arguments), 4);
}
