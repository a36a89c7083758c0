//! What fails, when, and with which words.

use wavetank_json::json;
use wavetank_model::ArgoVersion;

use super::{cluster_with, without_namespace};
use crate::testing::{Cluster, Operation};

fn rejecting(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::new();
    for name in names {
        cluster
            .reject
            .insert((*name).to_owned(), format!("no {name}"));
    }
    cluster
}

/// SYNC-044: all reasons, sorted; no hook runs (SYNC-165).
#[test]
fn invalid_tasks_fail_before_anything_runs() {
    let mut cluster = Cluster::new();
    let mut operation =
        Operation::new("Widget.example.com/w\nGadget.a.io/g\nConfigMap/a\nJob/f hook=SyncFail");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks are not valid: \
         failed to discover server resources for group version a.io/v1: the server could not find the requested resource; \
         failed to discover server resources for group version example.com/v1: the server could not find the requested resource"
    );
    assert_eq!(cluster.take_log(), "");
    assert!(
        operation
            .shown()
            .contains("SyncFailed/ \"The Kubernetes API could not find")
    );
}

/// SYNC-044, SYNC-227: before 3.5 no reason is given.
#[test]
fn invalid_tasks_had_no_reasons() {
    let mut operation = Operation::new("Widget.example.com/w");
    operation.options.version = ArgoVersion::V3_4;
    assert_eq!(
        operation.pass(&mut Cluster::new()),
        "Failed one or more synchronization tasks are not valid"
    );
}

/// SYNC-031, SYNC-227: since 3.5 a lookup that failed stands for all objects of its kind; before, each had its own.
#[test]
fn a_failed_lookup_is_remembered_since_3_5() {
    for (version, expected) in [
        (ArgoVersion::V3_4, vec!["a"]),
        (ArgoVersion::V3_5, vec!["a", "b"]),
        (ArgoVersion::V3_6, vec!["a", "b"]),
    ] {
        let mut operation = Operation::new("ConfigMap/a\nConfigMap/b\nDeployment/c");
        operation.options.version = version;
        let mut cluster = Cluster::new();
        cluster.failing_lookups = 1;
        assert!(operation.pass(&mut cluster).starts_with("Failed"));
        let names = operation
            .results
            .iter()
            .map(|result| result.key.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), expected, "{version:?}");
    }
}

/// SYNC-046: the namespace fails alone.
#[test]
fn a_failing_namespace_fails_the_attempt() {
    let mut cluster = without_namespace();
    cluster
        .reject
        .insert("demo".to_owned(), "forbidden".to_owned());
    let mut operation =
        Operation::new("ConfigMap/a").with(|options| options.create_namespace = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed the namespace failed to apply, reason: forbidden"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- PreSync/0
    apply namespace/demo
    ");
}

/// SYNC-047, SYNC-076, SYNC-165: a failed dry run records the failures only and runs nothing.
#[test]
fn a_failed_dry_run_ends_the_attempt() {
    let mut cluster = cluster_with("Job/old hook=PostSync policy=HookFailed");
    cluster
        .reject_dry
        .insert("a".to_owned(), "invalid".to_owned());
    let mut operation = Operation::new(
        "ConfigMap/a\nConfigMap/b\nJob/old hook=PostSync policy=HookFailed\nJob/f hook=SyncFail",
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more objects failed to apply (dry run)"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply configmap/a (dry run)
    apply configmap/b (dry run)
    apply job/old (dry run)
    apply job/f (dry run)
    ");
    insta::assert_snapshot!(operation.shown(), @r#"Sync a: SyncFailed/Failed "invalid""#);
}

/// SYNC-162, U-079: alone, the text of the apply; SYNC-163: later kinds of the wave are applied nevertheless.
#[test]
fn the_message_depends_on_what_else_was_applied() {
    let mut cluster = rejecting(&["a", "b"]);
    let mut operation = Operation::new("ConfigMap/a\nConfigMap/b");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more objects failed to apply, reason: no a,no b"
    );
    let mut cluster = rejecting(&["a"]);
    let mut operation = Operation::new("ConfigMap/a\nDeployment/web");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of apps/Deployment/web"
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: no a"
    );
}

/// SYNC-161: between waves the applied ones are awaited first.
#[test]
fn a_failed_apply_waits_for_the_rest_of_its_wave() {
    let mut cluster = rejecting(&["b"]);
    let mut operation = Operation::new("Deployment/a\nService/b\nConfigMap/c wave=1");
    for _ in 0..3 {
        assert_eq!(
            operation.pass(&mut cluster),
            "Running waiting for healthy state of apps/Deployment/a"
        );
    }
    cluster.finish("Deployment/a");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: no b"
    );
    assert!(!operation.shown().contains("Sync c"));
}

/// SYNC-057, SYNC-164: all SyncFail hooks in one run; one that is rejected adds a line.
#[test]
fn sync_fail_hooks_run_together() {
    let mut cluster = rejecting(&["a", "f2"]);
    let mut operation = Operation::new(
        "
        ConfigMap/a
        Pod/f1 hook=SyncFail wave=1
        Pod/f2 hook=SyncFail wave=2
    ",
    );
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook /Pod/f1 and 1 more hooks"
    );
    cluster.edit("Pod/f1")["status"] = json!({"phase": "Failed", "message": "f1 ran and failed"});
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: no a\n\
         one or more SyncFail hooks failed, reason: no f2"
    );
    insta::assert_snapshot!(operation.shown(), @r#"
    Sync a: SyncFailed/Failed "no a"
    SyncFail f1: Synced/Failed "f1 ran and failed"
    SyncFail f2: SyncFailed/Failed "no f2"
    "#);
}

/// SYNC-056, SYNC-164, U-082: SyncFail hooks may start while the rest of the wave runs.
#[test]
fn sync_fail_hooks_start_while_others_run() {
    let mut cluster = rejecting(&["a"]);
    let mut operation = Operation::new("ConfigMap/a\nJob/h hook=Sync\nJob/f hook=SyncFail");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/h and 1 more hooks"
    );
    cluster.finish("Job/f");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/h"
    );
    cluster.finish("Job/h");
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: no a"
    );
}

/// SYNC-050, SYNC-085: a running object that is gone is an error, one step before the attempt fails.
#[test]
fn a_running_object_that_is_gone_fails_the_attempt() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/h hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.remove("Job/h");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/h"
    );
    insta::assert_snapshot!(operation.shown(), @r#"PreSync h: SyncFailed/Error "Resource batch/Job/h is missing, it might have been deleted""#);
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully, reason: Resource batch/Job/h is missing, it might have been deleted"
    );
}

/// SYNC-050: what the view does not show yet but the API has is waited for.
#[test]
fn an_object_that_only_the_view_lacks_is_waited_for() {
    let mut cluster = Cluster::new();
    cluster.hidden.insert("h".to_owned());
    let mut operation = Operation::new("Job/h hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.finish("Job/h");
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for completion of hook batch/Job/h"
    );
    cluster.hidden.clear();
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
}

/// SYNC-056, SYNC-139: an error of the wave hook ends the running hooks of the wave.
#[test]
fn an_error_of_the_wave_hook_is_an_error() {
    let mut cluster = Cluster::new();
    cluster.delay_error = Some("no time".to_owned());
    let mut operation = Operation::new("Job/h hook=PreSync\nConfigMap/a");
    assert_eq!(
        operation.pass(&mut cluster),
        "Error SyncWaveHook failed: no time"
    );
}

/// SYNC-048, SYNC-159, SYNC-160: what is Suspended or Unknown keeps a wave waiting; a hook that is Unknown failed.
#[test]
fn unknown_health_blocks_a_wave_and_fails_a_hook() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("PersistentVolumeClaim/c\nConfigMap/a wave=1");
    operation.pass(&mut cluster);
    cluster.edit("PersistentVolumeClaim/c")["status"] = json!({"phase": "Strange"});
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for healthy state of /PersistentVolumeClaim/c"
    );
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("PersistentVolumeClaim/c hook=PreSync\nConfigMap/a wave=1");
    operation.pass(&mut cluster);
    cluster.edit("PersistentVolumeClaim/c")["status"] = json!({"phase": "Strange"});
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more synchronization tasks completed unsuccessfully"
    );
}

/// SYNC-166: a SyncFail hook makes a single wave multi-step.
#[test]
fn a_sync_fail_hook_makes_a_sync_wait_for_resources() {
    let run = |targets: &str| {
        let mut cluster = Cluster::new();
        let mut operation = Operation::new(targets);
        operation.pass(&mut cluster);
        cluster.finish("Job/h");
        operation.pass(&mut cluster)
    };
    assert_eq!(
        run("Deployment/web\nJob/h hook=Sync"),
        "Succeeded successfully synced (no more tasks)"
    );
    assert_eq!(
        run("Deployment/web\nJob/h hook=Sync\nJob/f hook=SyncFail"),
        "Running waiting for healthy state of apps/Deployment/web"
    );
}

/// SYNC-086: stored results tell a missing kind from a missing version; the operation's message stays as it is.
#[test]
fn missing_kinds_and_versions_are_put_into_words() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Widget.example.com/w");
    let mut old = Operation::new("Deployment/web").targets[0].as_ref().clone();
    old["apiVersion"] = "apps/v1beta1".into();
    operation.targets = operation
        .targets
        .iter()
        .cloned()
        .chain([std::sync::Arc::new(old)])
        .collect();
    assert!(
        operation
            .pass(&mut cluster)
            .contains("failed to discover server resources")
    );
    let mut lines: Vec<String> = operation.shown().lines().map(str::to_owned).collect();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    Sync w: SyncFailed/ "The Kubernetes API could not find example.com/Widget for requested resource demo/w. Make sure the "Widget" CRD is installed on the destination cluster."
    Sync web: SyncFailed/ "The Kubernetes API could not find version "v1beta1" of apps/Deployment for requested resource demo/web. Version "v1" of apps/Deployment is installed on the destination cluster."
    "#);
}

/// SYNC-049, SYNC-105: a hook whose health cannot be told is an error, worded as it comes up through the engine.
#[test]
fn a_hook_whose_health_cannot_be_told_is_an_error() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Job/h hook=PreSync\nConfigMap/a");
    operation.pass(&mut cluster);
    cluster.edit("Job/h")["status"] = json!({"conditions": "none"});
    operation.pass(&mut cluster);
    let shown = operation.shown();
    let twice = "Synced/Error \"failed to get resource health: failed to get resource health: failed to convert";
    assert!(shown.contains(twice), "{shown}");
}
