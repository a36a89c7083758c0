//! Runs that fail, each in its own way, and what surrounds them.

use std::fs;

use crate::{code, stdout, wavetank};

#[test]
fn a_wrong_order_shows_what_came_first() {
    insta::assert_snapshot!(wavetank(&["run", "wrong-order.yaml"]));
}

#[test]
fn a_missing_hook_shows_the_phases_that_ran() {
    insta::assert_snapshot!(wavetank(&["run", "missing-hook.yaml"]));
}

#[test]
fn a_wrong_message_shows_both() {
    insta::assert_snapshot!(wavetank(&["run", "wrong-message.yaml"]));
}

#[test]
fn a_stuck_run_says_what_waits_for_what() {
    insta::assert_snapshot!(wavetank(&["run", "stuck.yaml"]));
}

#[test]
fn verbose_shows_the_timeline() {
    insta::assert_snapshot!(wavetank(&["run", "wrong-order.yaml", "--verbose"]));
}

#[test]
fn everything_runs_and_the_gravest_code_wins() {
    insta::assert_snapshot!(wavetank(&[
        "run",
        "two-cases.yaml",
        "three-problems.yaml",
        "stuck.yaml"
    ]));
}

/// What makes the run what it was is part of the command line that makes it again.
#[test]
fn the_command_line_that_runs_it_again_has_the_options() {
    let arguments = ["run", "wrong-order.yaml", "--allow-outside", "--seed", "7"];
    let shown = stdout(&arguments);
    let again = "again     wavetank run wrong-order.yaml --seed 7 --allow-outside\n";
    assert!(shown.contains(again), "{shown}");
}

#[test]
fn fail_fast_stops_at_the_first_in_file_order() {
    insta::assert_snapshot!(wavetank(&[
        "run",
        "--fail-fast",
        "--jobs",
        "4",
        "two-cases.yaml",
        "stuck.yaml",
        "wrong-order.yaml"
    ]));
}

#[test]
fn repeating_counts_the_seed_up() {
    insta::assert_snapshot!(wavetank(&[
        "run",
        "two-cases.yaml",
        "--case",
        "good",
        "--seed",
        "7",
        "--repeat",
        "3"
    ]));
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let files = [
        "two-cases.yaml",
        "stuck.yaml",
        "three-problems.yaml",
        "wrong-order.yaml",
        "missing-hook.yaml",
    ];
    let run = |jobs: &str| {
        stdout(&[&["run", "--repeat", "3", "--jobs", jobs], files.as_slice()].concat())
    };
    assert!(run("1").ends_with("16 runs: 3 passed, 9 failed, 3 not settled, 1 invalid\n"));
    assert_eq!(run("1"), run("5"));
}

#[test]
fn the_command_line_under_again_gives_the_same_text() {
    let first = stdout(&["run", "two-cases.yaml", "--filter", "bad"]);
    let again = first
        .lines()
        .find_map(|line| line.strip_prefix("  again     wavetank "))
        .unwrap();
    let words: Vec<&str> = again.split(' ').collect();
    assert_eq!(stdout(&words), first);
}

#[test]
fn json_carries_the_exit_code() {
    let document: wavetank_json::Value =
        serde_json::from_str(&stdout(&["run", "two-cases.yaml", "--format", "json"])).unwrap();
    assert_eq!(document["exitCode"], 1);
    assert_eq!(
        document["runs"][1]["failures"][0]["name"],
        "expect.operation"
    );
}

#[test]
fn junit_goes_to_a_file_and_the_summary_to_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.xml");
    let shown = wavetank(&[
        "run",
        "two-cases.yaml",
        "--format",
        "junit",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert!(
        shown.contains("---- standard error\n2 runs: 1 passed, 1 failed\n---- exit code: 1"),
        "{shown}"
    );
    let xml = fs::read_to_string(file).unwrap();
    assert!(
        xml.contains(
            r#"<testsuite name="two-cases.yaml" tests="2" skipped="0" errors="0" failures="1">"#
        ),
        "{xml}"
    );
}

#[test]
fn traces_are_written_one_per_run() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("traces");
    assert_eq!(
        code(&[
            "run",
            "two-cases.yaml",
            "--trace-dir",
            dir.to_str().unwrap()
        ]),
        1
    );
    let mut names: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["two-cases@bad.jsonl", "two-cases@good.jsonl"]);
    let text = fs::read_to_string(dir.join("two-cases@bad.jsonl")).unwrap();
    assert!(
        text.starts_with(r#"{"version":"v0","scenario":"two-cases@bad","seed":0,"#),
        "{text}"
    );
}

#[test]
fn the_failure_in_the_readme_is_a_real_one() {
    let readme = fs::read_to_string(crate::folder("README.md")).unwrap();
    let output = crate::output_in(
        &crate::folder(""),
        &["run", "tests/fixtures/wrong-order.yaml"],
    );
    let shown = crate::text(output.stdout);
    let failure = shown.split("\n\n").next().unwrap();
    assert!(
        readme.contains(&format!("```text\n{failure}\n```")),
        "README.md must hold:\n\n{failure}"
    );
}

/// The tutorial promises that its file passes as it stands.
#[test]
fn the_scenario_of_the_tutorial_passes() {
    let page = fs::read_to_string(crate::folder("docs/src/tutorial.md")).unwrap();
    let block = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("smoke.yaml");
    fs::write(&file, block).unwrap();
    let shown = wavetank(&["run", file.to_str().unwrap()]);
    assert!(shown.ends_with("---- exit code: 0\n"), "{shown}");
}

#[test]
fn explain_tells_what_the_waves_waited_for() {
    let run = wavetank(&["run", "two-cases.yaml", "stuck.yaml", "--explain"]);
    insta::assert_snapshot!(run);
}
