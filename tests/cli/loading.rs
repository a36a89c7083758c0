//! What is said of files before anything runs.

use crate::{code, wavetank};

#[test]
fn a_scenario_with_three_problems_shows_all_of_them() {
    insta::assert_snapshot!(wavetank(&["run", "three-problems.yaml"]));
}

#[test]
fn a_path_that_is_not_there_leaves_with_3() {
    insta::assert_snapshot!(wavetank(&["run", "no-such-file.yaml"]));
}

#[test]
fn a_folder_without_scenarios_leaves_with_3() {
    insta::assert_snapshot!(wavetank(&["run", "empty"]));
}

#[test]
fn a_selection_that_nothing_fits_leaves_with_3() {
    insta::assert_snapshot!(wavetank(&[
        "run",
        "two-cases.yaml",
        "--select",
        "team=none"
    ]));
}

#[test]
fn two_scenarios_of_one_name_leave_with_3() {
    insta::assert_snapshot!(wavetank(&["run", "stuck.yaml", "same-name"]));
}

/// The line under `again` names one file: what it may read must not depend on how it was found.
#[test]
fn a_file_reads_the_same_alone_and_in_its_folder() {
    assert_eq!(code(&["run", "sources/scenario"]), 0);
    assert_eq!(code(&["run", "sources/scenario/above.yaml"]), 0);
}

#[test]
fn a_path_out_of_the_current_folder_is_refused() {
    insta::assert_snapshot!(wavetank(&["run", "sources/outside.yaml"]));
    assert_eq!(code(&["run", "sources/outside.yaml", "--allow-outside"]), 0);
}

#[test]
fn list_shows_names_files_and_labels() {
    insta::assert_snapshot!(wavetank(&["list", "two-cases.yaml", "stuck.yaml"]));
}

#[test]
fn list_tells_of_files_that_are_no_scenarios() {
    insta::assert_snapshot!(wavetank(&["list", "two-cases.yaml", "three-problems.yaml"]));
}

#[test]
fn the_schema_is_json() {
    let schema: wavetank_json::Value = serde_json::from_str(&crate::stdout(&["schema"])).unwrap();
    assert!(schema.get("$schema").is_some());
}
