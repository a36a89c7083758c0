//! The worked traces A to J (SYNC-217..226).

use super::{cluster_with, terminate, without_namespace};
use crate::testing::{Cluster, Operation};

/// SYNC-217: a single wave without hooks is done in one step, without delay.
#[test]
fn trace_a_single_wave() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Deployment/web\nService/web");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply service/web (dry run)
    apply deployment/web (dry run)
    -- Sync/0
    apply service/web
    apply deployment/web
    delay Sync/0 final
    ");
    insta::assert_snapshot!(operation.shown(), @r#"
    Sync web: Synced/Running "service/web created"
    Sync web: Synced/Running "deployment.apps/web created"
    "#);
}

/// SYNC-218: the phases wait for each other.
#[test]
fn trace_b_three_phases() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new(
        "
        Job/pre hook=PreSync
        Deployment/web
        Job/post hook=PostSync policy=HookSucceeded
    ",
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/pre"
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/pre"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply job/pre (dry run)
    apply deployment/web (dry run)
    apply job/post (dry run)
    -- PreSync/0
    apply job/pre
    delay PreSync/0
    ");
    cluster.finish("Job/pre");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of apps/Deployment/web"
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of apps/Deployment/web"
    );
    cluster.finish("Deployment/web");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/post"
    );
    cluster.finish("Job/post");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (no more tasks)"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/pre
    -- Sync/0
    apply deployment/web
    delay Sync/0
    -- PostSync/0
    apply job/post
    delay PostSync/0 final
    strip job/post
    delete job/post
    ");
    insta::assert_snapshot!(operation.shown(), @r#"
    PreSync pre: Synced/Succeeded "Reached expected number of succeeded pods"
    Sync web: Synced/Succeeded "deployment.apps/web created"
    PostSync post: Synced/Succeeded "Reached expected number of succeeded pods"
    "#);
    let types: Vec<_> = operation
        .results
        .iter()
        .map(|result| (result.order, result.hook_type.is_some()))
        .collect();
    assert_eq!(types, [(1, true), (2, false), (3, true)]);
}

/// SYNC-219: the hook of last time goes first, step by step.
#[test]
fn trace_c_the_hook_exists_from_last_time() {
    let mut cluster = cluster_with("Job/pre hook=PreSync");
    cluster.lingering.insert("pre".to_owned());
    let mut operation = Operation::new("Job/pre hook=PreSync\nConfigMap/a");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of hook batch/Job/pre"
    );
    assert!(operation.results.is_empty());
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply job/pre (dry run)
    apply configmap/a (dry run)
    -- PreSync/0
    strip job/pre
    delete job/pre
    delay PreSync/0
    ");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of hook batch/Job/pre"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply job/pre (dry run)
    apply configmap/a (dry run)
    -- PreSync/0
    delete job/pre
    delay PreSync/0
    ");
    cluster.remove("Job/pre");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/pre"
    );
    insta::assert_snapshot!(operation.shown(), @r#"PreSync pre: Synced/Running "job.batch/pre created""#);
}

/// SYNC-220: a rejected object, and the hook for it.
#[test]
fn trace_d_failure_with_a_sync_fail_hook() {
    let mut cluster = Cluster::new();
    cluster.reject.insert("p".to_owned(), "boom".to_owned());
    let mut operation = Operation::new("Pod/p\nPod/f hook=SyncFail wave=3");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook /Pod/f"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply pod/p (dry run)
    apply pod/f (dry run)
    -- Sync/0
    apply pod/p
    -- SyncFail/*
    apply pod/f
    ");
    cluster.edit("Pod/f")["status"] = wavetank_json::json!({"phase": "Succeeded"});
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: boom"
    );
    insta::assert_snapshot!(operation.shown(), @r#"
    Sync p: SyncFailed/Failed "boom"
    SyncFail f: Synced/Succeeded "pod/f created"
    "#);
}

/// SYNC-221, SYNC-157: the namespace is made before the dry run; its result stays Running.
#[test]
fn trace_e_the_namespace_is_made_first() {
    let mut cluster = without_namespace();
    let mut operation =
        Operation::new("ConfigMap/a").with(|options| options.create_namespace = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of /Namespace/demo"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- PreSync/0
    apply namespace/demo
    apply configmap/a (dry run)
    ");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- Sync/0
    apply configmap/a
    delay Sync/0 final
    ");
    insta::assert_snapshot!(operation.shown(), @r#"
    PreSync demo: Synced/Running "namespace/demo created"
    Sync a: Synced/Running "configmap/a created"
    "#);
}

/// SYNC-222, SYNC-179: prunes in mirrored waves; the last is not awaited.
#[test]
fn trace_f_mirrored_prunes() {
    let mut cluster = cluster_with("Pod/a wave=1\nPod/b wave=2\nPod/c wave=3");
    let mut operation = Operation::new("").with(|options| options.prune = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of /Pod/c"
    );
    cluster.lingering.insert("b".to_owned());
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of /Pod/b"
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of /Pod/b"
    );
    cluster.remove("Pod/b");
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- Sync/1
    delete pod/c
    delay Sync/1
    -- Sync/1
    delete pod/b
    delay Sync/1
    -- Sync/1
    delete pod/a
    delay Sync/1 final
    ");
}

/// SYNC-223: a prune that wants a confirmation.
#[test]
fn trace_g_prune_confirm() {
    let mut cluster = cluster_with("Pod/x option=Prune=confirm");
    let mut operation = Operation::new("").with(|options| options.prune = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for pruning confirmation of /Pod/x"
    );
    assert!(operation.results.is_empty());
    operation.confirmed = true;
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    insta::assert_snapshot!(operation.shown(), @r#"Sync x: Pruned/Succeeded "pruned""#);
}

/// SYNC-224, SYNC-158: Degraded between waves fails for good, without a reason.
#[test]
fn trace_h_degraded_between_waves() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Deployment/web\nService/web wave=1");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of apps/Deployment/web"
    );
    cluster.fail("Deployment/web");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully"
    );
    insta::assert_snapshot!(operation.shown(), @r#"Sync web: Synced/Failed "Deployment "web" exceeded its progress deadline""#);
}

/// SYNC-225: a dry run of the operation records everything in one step.
#[test]
fn trace_i_dry_run_of_the_operation() {
    let mut cluster = cluster_with("ConfigMap/extra wave=2");
    let mut operation = Operation::new("ConfigMap/a\nConfigMap/b wave=1").with(|options| {
        options.dry_run = true;
        options.prune = true;
    });
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (no more tasks)"
    );
    insta::assert_snapshot!(operation.shown(), @r#"
    Sync extra: Pruned/Succeeded "pruned (dry run)"
    Sync a: Synced/Succeeded "configmap/a created (dry run)"
    Sync b: Synced/Succeeded "configmap/b created (dry run)"
    "#);
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply configmap/a (dry run)
    apply configmap/b (dry run)
    ");
}

/// SYNC-226, SYNC-138: termination during a hook; later waves have no result.
#[test]
fn trace_j_terminate_during_a_hook() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/pre hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.take_log();
    assert_eq!(
        operation.terminate(&mut cluster),
        "Failed Operation terminated"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/pre
    delete job/pre
    ");
    insta::assert_snapshot!(operation.shown(), @r#"PreSync pre: Synced/Failed "Terminated""#);
}

/// SYNC-051: a pruned object that is being deleted is awaited, one without deletionTimestamp is not (SYNC-178).
#[test]
fn terminating_prunes_are_awaited() {
    let mut cluster = cluster_with("ConfigMap/x\nConfigMap/y wave=1");
    cluster.lingering.insert("y".to_owned());
    let mut operation = Operation::new("").with(|options| options.prune = true);
    operation.pass(&mut cluster);
    terminate(&mut cluster, "ConfigMap/y");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of /ConfigMap/y"
    );
    let stamp = cluster.edit("ConfigMap/y")["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("deletionTimestamp");
    assert!(stamp.is_some());
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
}
