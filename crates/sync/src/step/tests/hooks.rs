//! Hooks: when they are deleted, and what they are worth.

use wavetank_json::json;
use wavetank_model::ArgoVersion;

use super::{cluster_with, terminate};
use crate::testing::{Cluster, Operation};

/// SYNC-049: a hook without health check succeeds at the first look.
#[test]
fn a_config_map_hook_succeeds_at_once() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("ConfigMap/cm hook=PreSync\nConfigMap/a");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook /ConfigMap/cm"
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    insta::assert_snapshot!(operation.shown(), @r#"
    PreSync cm: Synced/Succeeded "cm created"
    Sync a: Synced/Running "configmap/a created"
    "#);
}

/// SYNC-074, SYNC-167: HookSucceeded fires when the attempt succeeded, not when the hook did.
#[test]
fn hook_succeeded_means_the_attempt() {
    let targets = "Job/pre hook=PreSync policy=HookSucceeded\nConfigMap/a";
    let mut cluster = Cluster::new();
    let mut operation = Operation::new(targets);
    operation.pass(&mut cluster);
    cluster.finish("Job/pre");
    cluster.take_log();
    operation.pass(&mut cluster);
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/pre
    -- Sync/0
    apply configmap/a
    delay Sync/0 final
    delete job/pre
    ");
    let mut cluster = Cluster::new();
    cluster.reject.insert("a".to_owned(), "boom".to_owned());
    let mut operation = Operation::new(targets);
    operation.pass(&mut cluster);
    cluster.finish("Job/pre");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more objects failed to apply, reason: boom"
    );
    assert!(!cluster.take_log().contains("delete"));
}

/// SYNC-075, SYNC-168: HookFailed deletes also hooks that went well.
#[test]
fn hook_failed_means_the_attempt() {
    let mut cluster = Cluster::new();
    cluster.reject.insert("a".to_owned(), "boom".to_owned());
    let mut operation = Operation::new("Job/pre hook=PreSync policy=HookFailed\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.finish("Job/pre");
    cluster.take_log();
    operation.pass(&mut cluster);
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/pre
    -- Sync/0
    apply configmap/a
    delete job/pre
    ");
}

/// SYNC-075, SYNC-054, U-081: in S10 as well; without a failed task there is no reason.
#[test]
fn a_failed_hook_is_deleted_when_the_attempt_fails() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/pre hook=PreSync policy=HookFailed\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.fail("Job/pre");
    cluster.take_log();
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/pre
    delete job/pre
    ");
}

/// SYNC-169, SYNC-053: a left-over SyncFail hook is pending, and goes when a later sync succeeds.
#[test]
fn a_left_over_sync_fail_hook_goes_with_the_next_success() {
    let mut cluster = cluster_with("Job/f hook=SyncFail policy=HookSucceeded");
    let mut operation = Operation::new("ConfigMap/a\nJob/f hook=SyncFail policy=HookSucceeded");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    assert!(cluster.take_log().ends_with("delete job/f"));
}

/// SYNC-170, SYNC-060, SYNC-073: a left-over finished hook counts as success without running.
#[test]
fn a_left_over_finished_hook_is_not_run_again() {
    let mut cluster = cluster_with("Job/pre hook=PreSync policy=HookSucceeded");
    cluster.finish("Job/pre");
    let mut operation = Operation::new("Job/pre hook=PreSync policy=HookSucceeded\nConfigMap/a");
    operation.pass(&mut cluster);
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply job/pre (dry run)
    apply configmap/a (dry run)
    -- PreSync/0
    strip job/pre
    apply job/pre
    delay PreSync/0
    ");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
}

/// SYNC-077, SYNC-047: a dry run deletes hooks that its end asks for.
#[test]
fn a_dry_run_deletes_hooks_all_the_same() {
    let mut cluster = cluster_with("Job/post hook=PostSync policy=HookSucceeded");
    cluster.finish("Job/post");
    let mut operation = Operation::new("Job/post hook=PostSync policy=HookSucceeded\nConfigMap/a")
        .with(|options| options.dry_run = true);
    while !operation.phase.completed() {
        operation.pass(&mut cluster);
    }
    let log = cluster.take_log();
    assert!(log.ends_with("delete job/post"), "{log}");
}

/// SYNC-063: a hook that is gone meanwhile is created in this very run.
#[test]
fn a_hook_that_is_gone_meanwhile_is_created_at_once() {
    let mut cluster = cluster_with("Job/pre hook=PreSync");
    cluster.refuse_delete.insert("pre".to_owned(), 404);
    let mut operation = Operation::new("Job/pre hook=PreSync\nConfigMap/a");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/pre"
    );
}

/// SYNC-063: another error fails the hook before anything of the wave is created.
#[test]
fn a_hook_that_cannot_be_deleted_fails_the_wave() {
    let mut cluster = cluster_with("Job/pre hook=PreSync");
    cluster.refuse_delete.insert("pre".to_owned(), 500);
    let mut operation =
        Operation::new("Job/pre hook=PreSync\nConfigMap/b hook=PreSync\nConfigMap/a");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more objects failed to apply"
    );
    insta::assert_snapshot!(operation.shown(), @r#"PreSync pre: /Error "failed to delete resource: failed to delete resource: refused with 500""#);
    assert!(!cluster.take_log().contains("apply configmap/b\n"));
}

/// SYNC-174: while a hook of the wave is being deleted nothing else of it is applied.
#[test]
fn a_hook_delete_holds_back_the_whole_wave() {
    let mut cluster = cluster_with("Job/h hook=Sync");
    cluster.lingering.insert("h".to_owned());
    let mut operation = Operation::new("ConfigMap/a\nJob/h hook=Sync");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of hook batch/Job/h"
    );
    assert!(!cluster.take_log().contains("apply configmap/a\n"));
}

/// SYNC-038: the second phase of a hook runs it again.
#[test]
fn a_hook_of_two_phases_runs_twice() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/h hook=PreSync,PostSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.finish("Job/h");
    operation.pass(&mut cluster);
    cluster.take_log();
    // The ConfigMap has no health: the pass goes straight on to the PostSync hook, whose old object is in the way.
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of hook batch/Job/h"
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/h"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- PostSync/0
    delete job/h
    delay PostSync/0 final
    -- PostSync/0
    apply job/h
    delay PostSync/0 final
    ");
}

/// SYNC-078, SYNC-106: a hook deleted from outside keeps its health until it is done.
#[test]
fn a_terminating_hook_with_finalizer_can_still_succeed() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/pre hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    terminate(&mut cluster, "Job/pre");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/pre"
    );
    cluster.finish("Job/pre");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
}

/// SYNC-176: without the finalizer it disappears, and the attempt fails.
#[test]
fn a_terminating_hook_without_finalizer_is_pending_deletion() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/pre hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.edit("Job/pre")["metadata"]["finalizers"] = json!([]);
    terminate(&mut cluster, "Job/pre");
    operation.pass(&mut cluster);
    insta::assert_snapshot!(operation.shown(), @r#"PreSync pre: Synced/Running "Pending deletion""#);
}

/// A hook is seen healthy, and is hidden from the view in the pass that ends the attempt.
fn ends_without_seeing_its_hook(version: ArgoVersion) -> (String, Cluster) {
    let mut cluster = Cluster::new();
    let targets = "
        Job/a hook=Sync policy=HookSucceeded
        Job/b hook=Sync
    ";
    let mut operation = Operation::new(targets).with(|options| options.version = version);
    operation.pass(&mut cluster);
    cluster.finish("Job/a");
    operation.pass(&mut cluster);
    cluster.finish("Job/b");
    cluster.hidden.insert("a".to_owned());
    cluster.take_log();
    let outcome = operation.pass(&mut cluster);
    (outcome, cluster)
}

/// SYNC-052, SYNC-068: since 3.6 a completed hook that the view misses is looked up, released and deleted.
#[test]
fn a_completed_hook_that_the_view_misses_is_looked_up_since_3_6() {
    let (outcome, mut cluster) = ends_without_seeing_its_hook(ArgoVersion::V3_6);
    assert_eq!(outcome, "Succeeded successfully synced (no more tasks)");
    let log = cluster.take_log();
    assert!(log.contains("strip job/a"), "{log}");
    assert!(log.contains("delete job/a"), "{log}");
    let (outcome, mut cluster) = ends_without_seeing_its_hook(ArgoVersion::V3_5);
    assert_eq!(outcome, "Succeeded successfully synced (no more tasks)");
    let log = cluster.take_log();
    assert!(!log.contains("job/a"), "{log}");
}

/// SYNC-139: what a terminated hook's result is, by its health.
#[test]
fn termination_records_the_outcome_of_finished_hooks() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new(
        "
        Job/done hook=PreSync
        Job/failed hook=PreSync
        Job/gone hook=PreSync
        Job/stuck hook=PreSync
        Job/later hook=PostSync
    ",
    );
    operation.pass(&mut cluster);
    cluster.finish("Job/done");
    cluster.fail("Job/failed");
    cluster.remove("Job/gone");
    cluster.refuse_delete.insert("stuck".to_owned(), 500);
    cluster.take_log();
    assert_eq!(
        operation.terminate(&mut cluster),
        "Error Operation termination had errors"
    );
    insta::assert_snapshot!(operation.shown(), @r#"
    PreSync done: Synced/Succeeded "Reached expected number of succeeded pods"
    PreSync failed: Synced/Failed "Job has reached the specified backoff limit"
    PreSync gone: Synced/Succeeded "Terminated"
    PreSync stuck: Synced/Failed "Failed to delete: failed to delete resource: refused with 500"
    "#);
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/done
    strip job/failed
    strip job/stuck
    delete job/stuck
    ");
}
