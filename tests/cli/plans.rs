//! Plans: nothing runs, nothing is written.

use crate::{code, stdout, wavetank};

#[test]
fn a_plan_gives_order_and_reasons() {
    insta::assert_snapshot!(wavetank(&["plan", "plan.yaml"]));
}

#[test]
fn a_plan_of_one_case() {
    insta::assert_snapshot!(wavetank(&["plan", "two-cases.yaml", "--case", "good"]));
}

#[test]
fn a_plan_as_json() {
    let document: wavetank_json::Value =
        serde_json::from_str(&stdout(&["plan", "plan.yaml", "--format", "json"])).unwrap();
    assert_eq!(document["plans"][0]["tasks"][0]["phase"], "PreSync");
}

#[test]
fn a_file_that_is_no_scenario_has_no_plan() {
    assert_eq!(code(&["plan", "three-problems.yaml"]), 3);
}
