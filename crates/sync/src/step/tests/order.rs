//! In which order a pass does things, and what survives it.

use super::{cluster_with, terminate, without_namespace};
use crate::testing::{Cluster, Operation};

/// SYNC-043: finalizers, waiting, failure and the next wave come in this order, and each may end the pass.
#[test]
fn a_pass_looks_before_it_acts() {
    let mut cluster = cluster_with("ConfigMap/x");
    let mut operation = Operation::new("Job/h hook=PreSync\nJob/old hook=Sync\nConfigMap/a")
        .with(|options| options.prune = true);
    for object in crate::testing::tracked("Job/old hook=Sync") {
        cluster.put(wavetank_json::Value::clone(&object));
    }
    cluster.lingering.insert("old".to_owned());
    operation.pass(&mut cluster);
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply job/h (dry run)
    apply configmap/a (dry run)
    apply job/old (dry run)
    -- PreSync/0
    apply job/h
    delay PreSync/0
    ");
    cluster.finish("Job/h");
    // S8, then S12: R1, R3, R4; R5 waits for the next pass.
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for deletion of hook batch/Job/old"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/h
    -- Sync/0
    strip job/old
    delete configmap/x
    delete job/old
    delay Sync/0 final
    ");
    cluster.remove("Job/old");
    operation.pass(&mut cluster);
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- Sync/0
    apply configmap/a
    apply job/old
    delay Sync/0 final
    ");
}

/// SYNC-042, SYNC-062: all prunes of a wave come before anything is applied, whatever their kind.
#[test]
fn prunes_of_a_wave_come_first() {
    let mut cluster = cluster_with("Deployment/z\nConfigMap/x");
    let mut operation =
        Operation::new("Namespace/n\nConfigMap/a").with(|options| options.prune = true);
    operation.pass(&mut cluster);
    let log = cluster.take_log();
    let wet: Vec<&str> = log.lines().filter(|line| !line.contains("dry")).collect();
    assert_eq!(
        wet,
        [
            "-- Sync/0",
            "delete configmap/x",
            "delete deployment/z",
            "apply namespace/n",
            "apply configmap/a",
            "delay Sync/0 final"
        ]
    );
}

/// SYNC-045, SYNC-028: a namespace that could not be looked at is a result, so that the attempt counts as started: no dry run.
#[test]
fn a_failed_namespace_task_is_a_start() {
    let mut cluster = without_namespace();
    cluster.refuse_get = Some(500);
    let mut operation =
        Operation::new("ConfigMap/a").with(|options| options.create_namespace = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: namespace auto creation failed: refused with 500"
    );
    assert_eq!(cluster.take_log(), "");
    insta::assert_snapshot!(operation.shown(), @r#"PreSync demo: SyncFailed/Error "namespace auto creation failed: refused with 500""#);
}

/// SYNC-055, SYNC-071: the wave that is run is that of the first task that has no result.
#[test]
fn the_first_pending_task_names_the_wave() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("ConfigMap/c wave=2\nConfigMap/b wave=1\nConfigMap/a");
    let mut waves = Vec::new();
    for _ in 0..3 {
        operation.pass(&mut cluster);
        let log = cluster.take_log();
        waves.extend(
            log.lines()
                .filter(|line| line.starts_with("--"))
                .map(str::to_owned),
        );
    }
    assert_eq!(waves, ["-- Sync/0", "-- Sync/1", "-- Sync/2"]);
    assert_eq!(operation.message, "successfully synced (all tasks run)");
}

/// SYNC-059: the worst member decides about a run: one failure makes it failed, whatever came before or after.
#[test]
fn the_worst_outcome_is_that_of_the_run() {
    for failing in ["a", "b", "c"] {
        let mut cluster = Cluster::new();
        cluster.reject.insert(failing.to_owned(), "no".to_owned());
        let mut operation = Operation::new("ConfigMap/a\nSecret/b\nService/c\nConfigMap/d wave=1");
        operation.pass(&mut cluster);
        assert!(
            !cluster.take_log().contains("apply configmap/d\n"),
            "{failing}"
        );
        assert!(!operation.shown().contains("Sync d"), "{failing}");
    }
}

/// SYNC-037, SYNC-002, SYNC-004, SYNC-008: a task takes up what its own result says; the other phase of a hook has one of its own.
#[test]
fn results_are_found_by_object_and_phase() {
    let mut cluster = Cluster::new();
    let mut operation =
        Operation::new("Job/h hook=PreSync,PostSync policy=HookFailed\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.finish("Job/h");
    operation.pass(&mut cluster);
    operation.pass(&mut cluster);
    insta::assert_snapshot!(operation.shown(), @r#"
    PreSync h: Synced/Succeeded "Reached expected number of succeeded pods"
    Sync a: Synced/Succeeded "configmap/a created"
    PostSync h: Synced/Running "job.batch/h configured"
    "#);
    // U-023: the type is the phase that ran; resources have none.
    let types: Vec<String> = operation
        .results
        .iter()
        .map(|result| format!("{:?}", result.hook_type))
        .collect();
    assert_eq!(types, ["Some(PreSync)", "None", "Some(PostSync)"]);
    let orders: Vec<u32> = operation
        .results
        .iter()
        .map(|result| result.order)
        .collect();
    assert_eq!(orders, [1, 2, 3]);
}

/// SYNC-077: hooks are deleted at the end without waiting; what cannot be deleted is recorded, and changes nothing.
#[test]
fn a_hook_that_cannot_be_deleted_does_not_change_the_outcome() {
    for (code, shown) in [(404, "Succeeded"), (403, "Error")] {
        let mut cluster = Cluster::new();
        let mut operation = Operation::new("Job/h hook=Sync policy=HookSucceeded");
        operation.pass(&mut cluster);
        cluster.finish("Job/h");
        cluster.refuse_delete.insert("h".to_owned(), code);
        assert_eq!(
            operation.pass(&mut cluster),
            "Succeeded successfully synced (no more tasks)"
        );
        assert!(
            operation.shown().contains(&format!("Synced/{shown}")),
            "{}",
            operation.shown()
        );
    }
}

/// SYNC-128, SYNC-174, SYNC-175: each pass that only waited for deletions has the delay of its wave again.
#[test]
fn a_wave_that_only_waited_has_its_delay() {
    let mut cluster = cluster_with("Job/h hook=Sync");
    cluster.lingering.insert("h".to_owned());
    let mut operation = Operation::new("Job/h hook=Sync\nConfigMap/a wave=1");
    for _ in 0..2 {
        operation.pass(&mut cluster);
        let log = cluster.take_log();
        assert!(log.ends_with("delete job/h\ndelay Sync/0"), "{log}");
    }
    terminate(&mut cluster, "Job/h");
    cluster.remove("Job/h");
    operation.pass(&mut cluster);
    assert!(cluster.take_log().ends_with("apply job/h\ndelay Sync/0"));
}

/// SYNC-003, SYNC-024: start, revision and options are those of the operation: a name made of them stays.
#[test]
fn names_are_made_of_what_a_pass_is_given() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/x generate=db- hook=PreSync\nConfigMap/a");
    for _ in 0..2 {
        assert_eq!(
            operation.pass(&mut cluster),
            "Running waiting for completion of hook batch/Job/db-0a1b2c3-presync-1700000000"
        );
    }
}

/// SYNC-089, SYNC-210: a dry run is the client's, also of what the server will apply; what the server would refuse comes later.
#[test]
fn a_dry_run_does_not_ask_the_server() {
    let mut cluster = Cluster::new();
    cluster.reject.insert("a".to_owned(), "too big".to_owned());
    let mut operation =
        Operation::new("ConfigMap/a").with(|options| options.server_side_apply = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more objects failed to apply, reason: too big"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply configmap/a (dry run)
    -- Sync/0
    serversideapply configmap/a
    ");
}

/// SYNC-138, U-109: a termination releases completed hooks and keeps their results; U-107: those that run are deleted.
#[test]
fn a_termination_releases_completed_hooks() {
    let mut cluster = Cluster::new();
    let mut operation =
        Operation::new("Job/done hook=PreSync\nJob/going hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.finish("Job/done");
    operation.pass(&mut cluster);
    cluster.take_log();
    assert_eq!(
        operation.terminate(&mut cluster),
        "Failed Operation terminated"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    strip job/done
    strip job/going
    delete job/going
    ");
    insta::assert_snapshot!(operation.shown(), @r#"
    PreSync done: Synced/Succeeded "Reached expected number of succeeded pods"
    PreSync going: Synced/Failed "Terminated"
    "#);
}

/// SYNC-139: a hook that ended since the last look keeps its outcome; with HookFailed it is deleted all the same.
#[test]
fn a_termination_deletes_hooks_with_hook_failed() {
    for (policy, deleted) in [("HookFailed", true), ("HookSucceeded", false)] {
        let mut cluster = Cluster::new();
        let mut operation =
            Operation::new(&format!("Job/h hook=PreSync policy={policy}\nConfigMap/a"));
        operation.pass(&mut cluster);
        cluster.finish("Job/h");
        cluster.take_log();
        operation.terminate(&mut cluster);
        assert_eq!(
            cluster.take_log().contains("delete job/h"),
            deleted,
            "{policy}"
        );
        assert!(
            operation.shown().contains("Synced/Succeeded"),
            "{}",
            operation.shown()
        );
    }
}
