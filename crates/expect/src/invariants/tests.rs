//! Each invariant with what it catches and what it lets pass.

use rstest::rstest;

use super::*;
use crate::testing::{HOME, object, show, trace_of};

/// The judgements that do not hold.
fn judged(text: &str, desired: &[wavetank_json::Value]) -> String {
    let mut invariants = Invariants::new(HOME, &BTreeMap::new());
    let entries = trace_of(text, desired);
    for entry in &entries {
        invariants.push(entry);
    }
    let judgements = invariants.judge(&entries);
    assert_eq!(judgements.len(), NAMES.len());
    let broken: Vec<_> = judgements
        .into_iter()
        .filter(|judgement| !judgement.holds())
        .collect();
    show(&broken)
}

fn shop() -> Vec<wavetank_json::Value> {
    vec![
        object("Job/migrate", &[("hook", "PreSync")]),
        object("ConfigMap/env", &[("sync-wave", "-1")]),
        object("Deployment/web", &[]),
        object("Job/smoke", &[("hook", "PostSync")]),
    ]
}

const GOOD: &str = r#"
    0  operation started
    0  pass 1
    1  Job/migrate created = {"metadata": {"finalizers": ["argocd.argoproj.io/hook-finalizer"]}}
    1  Job/migrate progressing
    1  Job/migrate applied in PreSync/0 hook
    5  Job/migrate succeeded
    5  Job/migrate healthy
    10 pass 2
    10 Job/migrate updated = {"metadata": {"finalizers": null}}
    11 ConfigMap/env created
    11 ConfigMap/env applied in Sync/-1
    13 pass 3
    13 Deployment/web created
    13 Deployment/web progressing
    13 Deployment/web applied in Sync/0
    20 Deployment/web healthy
    25 pass 4
    25 Job/smoke created = {"metadata": {"finalizers": ["argocd.argoproj.io/hook-finalizer"]}}
    25 Job/smoke progressing
    25 Job/smoke applied in PostSync/0 hook
    30 Job/smoke healthy
    35 pass 5
    35 Job/smoke updated = {"metadata": {"finalizers": []}}
    35 operation succeeded: successfully synced (no more tasks)"#;

/// `GOOD` without the lines that contain `text`.
fn without(text: &str) -> String {
    GOOD.lines()
        .filter(|line| !line.contains(text))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_good_sync_violates_nothing() {
    assert_eq!(judged(GOOD, &shop()), "");
}

#[test]
fn a_phase_waits_for_the_hooks_of_the_one_before() {
    insta::assert_snapshot!(judged(&without("Job/migrate healthy"), &shop()), @r"
        invariant.phase-order, ConfigMap/env
          expected  Sync/-1 only after Job/migrate of PreSync/0 is healthy
          observed  ConfigMap/env applied at 11.0s; Job/migrate applied at 1.0s, progressing since 1.0s
               1.0s  Job/migrate applied (PreSync/0)
               5.0s  Job/migrate succeeded
              11.0s  ConfigMap/env created (by engine)
              11.0s  ConfigMap/env applied (Sync/-1)
        invariant.phase-order, Deployment/web
          expected  Sync/0 only after Job/migrate of PreSync/0 is healthy
          observed  Deployment/web applied at 13.0s; Job/migrate applied at 1.0s, progressing since 1.0s
               1.0s  Job/migrate applied (PreSync/0)
               5.0s  Job/migrate succeeded
              13.0s  Deployment/web created (by engine)
              13.0s  Deployment/web progressing
              13.0s  Deployment/web applied (Sync/0)
        invariant.phase-order, Job/smoke
          expected  PostSync/0 only after Job/migrate of PreSync/0 is healthy
          observed  Job/smoke applied at 25.0s; Job/migrate applied at 1.0s, progressing since 1.0s
               1.0s  Job/migrate applied (PreSync/0)
               5.0s  Job/migrate succeeded
              25.0s  Job/smoke created (by engine)
              25.0s  Job/smoke progressing
              25.0s  Job/smoke applied (PostSync/0)
        ");
}

#[test]
fn a_phase_waits_for_the_resources_of_the_one_before() {
    insta::assert_snapshot!(judged(&without("Deployment/web healthy"), &shop()), @r"
        invariant.phase-order, Job/smoke
          expected  PostSync/0 only after Deployment/web of Sync/0 is healthy
          observed  Job/smoke applied at 25.0s; Deployment/web applied at 13.0s, progressing since 13.0s
              13.0s  Deployment/web applied (Sync/0)
              25.0s  Job/smoke created (by engine)
              25.0s  Job/smoke progressing
              25.0s  Job/smoke applied (PostSync/0)
        ");
}

/// SYNC-158: what is healthy for a moment only has passed its gate.
#[test]
fn a_moment_of_health_opens_the_gate() {
    let text = GOOD.replace("25 pass 4", "21 Deployment/web degraded\n25 pass 4");
    assert_eq!(judged(&text, &shop()), "");
}

#[test]
fn a_hook_must_not_be_left_out() {
    insta::assert_snapshot!(judged(&without("Job/migrate"), &shop()), @r"
        invariant.phase-order, Job/smoke
          expected  PostSync/0 only after the hook Job/migrate of PreSync/0
          observed  Job/smoke applied at 25.0s; no task for the hook
               0.0s  operation started
              25.0s  Job/smoke created (by engine)
              25.0s  Job/smoke progressing
              25.0s  Job/smoke applied (PostSync/0)
        ");
}

/// SYNC-023: a sync without hooks runs none.
#[test]
fn hooks_are_not_missed_where_none_runs() {
    let text = "0 operation started\n1 ConfigMap/env applied in Sync/-1\n3 Deployment/web applied in Sync/0";
    assert_eq!(judged(text, &shop()), "");
}

#[test]
fn an_earlier_phase_or_wave_does_not_come_back() {
    let text = "0 operation started
        1 Deployment/web applied in Sync/0
        3 ConfigMap/env applied in Sync/-1
        4 Job/migrate applied in PreSync/0 hook";
    insta::assert_snapshot!(judged(text, &shop()), @r"
        invariant.phase-order, Job/migrate
          expected  nothing of PreSync/0 once Sync/0 began
          observed  Job/migrate applied in PreSync/0 at 4.0s; Deployment/web applied in Sync/0 at 1.0s already
               1.0s  Deployment/web applied (Sync/0)
               4.0s  Job/migrate applied (PreSync/0)
        invariant.wave-order, ConfigMap/env
          expected  nothing of Sync/-1 once Sync/0 began
          observed  ConfigMap/env applied in Sync/-1 at 3.0s; Deployment/web applied in Sync/0 at 1.0s already
               1.0s  Deployment/web applied (Sync/0)
               3.0s  ConfigMap/env applied (Sync/-1)
        ");
}

#[test]
fn a_wave_waits_for_the_one_before() {
    let desired = [
        object("Deployment/a", &[]),
        object("Deployment/b", &[("sync-wave", "1")]),
    ];
    let text = "0 operation started
        0 pass 1
        1 Deployment/a created
        1 Deployment/a progressing
        1 Deployment/a applied in Sync/0
        3 pass 2
        3 Deployment/b applied in Sync/1";
    insta::assert_snapshot!(judged(text, &desired), @r"
        invariant.wave-order, Deployment/b
          expected  Sync/1 only after Deployment/a of Sync/0 is healthy
          observed  Deployment/b applied at 3.0s; Deployment/a applied at 1.0s, progressing since 1.0s
               1.0s  Deployment/a applied (Sync/0)
               3.0s  Deployment/b applied (Sync/1)
        ");
}

/// A rejected task fails the attempt: no later wave runs.
#[test]
fn nothing_follows_a_rejected_task() {
    let desired = [
        object("ConfigMap/a", &[]),
        object("ConfigMap/b", &[("sync-wave", "1")]),
    ];
    let text = "0 operation started\n1 ConfigMap/a rejected in Sync/0: boom\n3 ConfigMap/b applied in Sync/1";
    insta::assert_snapshot!(judged(text, &desired), @r"
        invariant.wave-order, ConfigMap/b
          expected  Sync/1 only after ConfigMap/a of Sync/0 is applied
          observed  ConfigMap/b applied at 3.0s; ConfigMap/a rejected at 1.0s, which failed the attempt
               1.0s  ConfigMap/a rejected (Sync/0): boom
               3.0s  ConfigMap/b applied (Sync/1)
        ");
}

/// SYNC-051.
#[test]
fn a_wave_waits_until_pruned_objects_are_gone() {
    let run = |gone: &str| {
        format!(
            "0 ConfigMap/x created
             0 operation started
             0 pass 1
             1 ConfigMap/x deleting
             1 ConfigMap/x pruned in Sync/0
             {gone}
             4 pass 2
             4 ConfigMap/y applied in Sync/1"
        )
    };
    assert_eq!(judged(&run("2 ConfigMap/x deleted"), &[]), "");
    insta::assert_snapshot!(judged(&run(""), &[]), @r"
        invariant.wave-order, ConfigMap/y
          expected  Sync/1 only after ConfigMap/x of Sync/0 is gone
          observed  ConfigMap/y applied at 4.0s; ConfigMap/x pruned at 1.0s, is still there
               1.0s  ConfigMap/x pruned (Sync/0)
               4.0s  ConfigMap/y applied (Sync/1)
        ");
}

/// SYNC-178: a pass that began right after a task has not seen what came of it.
#[test]
fn what_the_view_cannot_know_is_not_held_against_the_engine() {
    let run = |pass: &str| {
        format!(
            "0 operation started
             0 pass 1
             1 Deployment/a progressing
             1 Deployment/a applied in Sync/0
             {pass}
             2.5 ConfigMap/b applied in Sync/1"
        )
    };
    assert_eq!(judged(&run("1.5 pass 2"), &[]), "");
    assert!(judged(&run("2.4 pass 2"), &[]).contains("invariant.wave-order"));
    assert!(
        judged(&run(""), &[]).contains("invariant.wave-order"),
        "within one pass"
    );
}

/// SYNC-034, SYNC-020.
#[rstest]
#[case::wrong_wave("Sync/1", "ConfigMap/env in Sync/-1", "invariant.wave-order")]
#[case::wrong_phase("PostSync/-1", "ConfigMap/env in Sync/-1", "invariant.phase-order")]
fn objects_run_where_they_say(
    #[case] place: &str,
    #[case] expected: &str,
    #[case] invariant: &str,
) {
    let text = format!("0 operation started\n1 ConfigMap/env applied in {place}");
    let text = judged(&text, &shop());
    assert!(
        text.contains(expected) && text.starts_with(invariant),
        "{text}"
    );
}

/// SYNC-041: forward only.
#[rstest]
#[case("PreSync/-5", true)]
#[case("Sync/5", true)]
#[case("Sync/6", false)]
fn namespaces_and_crds_may_be_pulled_forward(#[case] place: &str, #[case] holds: bool) {
    let desired = [object("Namespace/other", &[("sync-wave", "5")])];
    let text = format!("0 operation started\n1 Namespace/other applied in {place}");
    assert_eq!(judged(&text, &desired).is_empty(), holds);
}

/// SYNC-046.
#[test]
fn the_destination_namespace_comes_first_whatever_its_place() {
    let desired = [
        object("Namespace/shop", &[("hook", "PostSync")]),
        object("ConfigMap/a", &[]),
    ];
    let text = "0 operation started\n1 Namespace/shop applied in PostSync/0 hook\n1 ConfigMap/a applied in Sync/0";
    assert_eq!(judged(text, &desired), "");
}

/// SYNC-177.
#[test]
fn waves_of_prunes_are_derived_anew() {
    let text = "0 operation started\n1 ConfigMap/a applied in Sync/3\n3 Pod/p pruned in Sync/1";
    assert_eq!(judged(text, &[]), "");
}

/// Each attempt begins anew (SYNC-071, SYNC-134).
#[test]
fn a_retry_starts_over() {
    let text = "0 operation started
        1 Deployment/web progressing
        1 Deployment/web applied in Sync/0
        2 operation retrying: one or more synchronization tasks completed unsuccessfully
        12 operation started
        13 Job/migrate applied in PreSync/0 hook
        14 ConfigMap/env applied in Sync/-1";
    assert_eq!(judged(text, &shop()), "");
}

#[rstest]
#[case::rejected("2 ConfigMap/a rejected", true)]
#[case::degraded("2 Deployment/web applied\n3 Deployment/web degraded", true)]
#[case::degraded_before("1 Deployment/web degraded\n2 Deployment/web applied", true)]
#[case::lost(
    "1 Deployment/web created\n1 Deployment/web progressing\n2 Deployment/web applied\n3 Deployment/web deleted",
    true
)]
#[case::a_refused_request("2 request update Job/x 500", true)]
#[case::a_fault("2 fault/x fired", true)]
#[case::nothing("2 Deployment/web applied", false)]
#[case::something_else("2 Deployment/web applied\n3 Deployment/other degraded", false)]
#[case::a_dry_run("2 request patch Deployment/web 422 dry-run", false)]
fn sync_fail_needs_a_failure(#[case] failure: &str, #[case] holds: bool) {
    let text = format!("0 operation started\n{failure}\n9 Job/alarm applied in SyncFail/* hook");
    let text = judged(&text, &[]);
    assert_eq!(text.is_empty(), holds, "{text}");
}

#[test]
fn sync_fail_without_a_failure_says_so() {
    let text = "0 operation started\n1 ConfigMap/a applied\n2 Job/alarm applied in SyncFail/* hook";
    insta::assert_snapshot!(judged(text, &[]), @r"
        invariant.sync-fail-only-after-failure, Job/alarm
          expected  Job/alarm only after a failure in the same attempt
          observed  applied at 2.0s; nothing was rejected, degraded, unknown or lost
               0.0s  operation started
               2.0s  Job/alarm applied (SyncFail/*)
        ");
}

#[test]
fn finalizers_of_hooks_are_released() {
    insta::assert_snapshot!(judged(&without("Job/smoke updated"), &shop()), @r"
        invariant.hook-finalizer-released, Job/smoke
          expected  Job/smoke without argocd.argoproj.io/hook-finalizer when the attempt ends
          observed  it still carries the finalizer at 35.0s
              25.0s  Job/smoke applied (PostSync/0)
              30.0s  Job/smoke healthy
              35.0s  operation succeeded: successfully synced (no more tasks)
        ");
}

#[rstest]
#[case::terminated("40 operation terminating: x\n41 operation failed: Operation terminated")]
#[case::outside_its_waves("41 operation error: ComparisonError: x")]
#[case::a_refused_removal(
    "40 request update Job/a 500\n41 operation failed: one or more synchronization tasks completed unsuccessfully"
)]
#[case::hidden_by_a_fault(
    "40 fault/x fired on Job/a\n41 operation succeeded: successfully synced (no more tasks)"
)]
#[case::gone("40 Job/a deleted\n41 operation succeeded: successfully synced (no more tasks)")]
fn finalizers_may_stay_where_the_rules_say_so(#[case] end: &str) {
    let hook =
        r#"1 Job/a created = {"metadata": {"finalizers": ["argocd.argoproj.io/hook-finalizer"]}}"#;
    let text = format!("0 operation started\n{hook}\n1 Job/a applied in PreSync/0 hook\n{end}");
    assert_eq!(judged(&text, &[]), "");
}

/// SYNC-170, SYNC-178: a hook of the last wave is finished when it is applied, no wave delay follows, and the next
/// pass sees it as it was before its finalizer came back.
#[test]
fn a_finalizer_that_the_view_cannot_know_is_not_held_against_the_engine() {
    let run = |pass: &str| {
        format!(
            r#"0 Job/a created
            0 Job/a healthy
            1 operation started
            1 pass 1
            1 Job/a updated = {{"metadata": {{"finalizers": ["argocd.argoproj.io/hook-finalizer"]}}}}
            1 Job/a applied in PostSync/0 hook
            {pass}
            9 operation succeeded: successfully synced (no more tasks)"#
        )
    };
    assert_eq!(judged(&run("1 pass 2"), &[]), "");
    assert!(judged(&run("2 pass 2"), &[]).contains("invariant.hook-finalizer-released"));
}

/// Section 8 of the format: what a fault hit is not judged.
#[test]
fn faults_exempt_their_objects() {
    let text = GOOD.replace("5  Job/migrate healthy", "5 fault/x fired on Job/migrate");
    assert_eq!(judged(&text, &shop()), "");
    let other = GOOD.replace("5  Job/migrate healthy", "5 fault/x fired on Job/other");
    assert!(judged(&other, &shop()).contains("invariant.phase-order"));
}

#[test]
fn disabled_invariants_are_not_judged() {
    let disabled = BTreeMap::from([("phase-order".to_owned(), "because".to_owned())]);
    let mut invariants = Invariants::new(HOME, &disabled);
    for entry in trace_of(&without("Deployment/web healthy"), &shop()) {
        invariants.push(&entry);
    }
    assert!(!invariants.is_violated());
    let names: Vec<String> = invariants
        .judge(&[])
        .into_iter()
        .map(|judgement| judgement.name)
        .collect();
    assert_eq!(
        names,
        [
            "invariant.wave-order",
            "invariant.sync-fail-only-after-failure",
            "invariant.hook-finalizer-released"
        ]
    );
}
