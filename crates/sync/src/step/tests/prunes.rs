//! Prunes and their confirmation.

use rstest::rstest;

use super::cluster_with;
use crate::testing::{Cluster, Operation};

/// SYNC-066: who is pruned, and what is said of the others.
#[rstest]
#[case(
    "ConfigMap/x",
    None,
    false,
    "PruneSkipped/Succeeded \"ignored (requires pruning)\""
)]
#[case("ConfigMap/x", None, true, "Pruned/Succeeded \"pruned\"")]
#[case(
    "ConfigMap/x option=Prune=false",
    None,
    true,
    "PruneSkipped/Succeeded \"ignored (no prune)\""
)]
#[case(
    "ConfigMap/x",
    Some("false"),
    true,
    "PruneSkipped/Succeeded \"ignored (no prune)\""
)]
#[case(
    "ConfigMap/x option=Prune=true",
    Some("false"),
    true,
    "Pruned/Succeeded \"pruned\""
)]
#[case(
    "ConfigMap/x option=Prune=False",
    None,
    true,
    "Pruned/Succeeded \"pruned\""
)]
fn options_decide_about_a_prune(
    #[case] extra: &str,
    #[case] default: Option<&str>,
    #[case] prune: bool,
    #[case] result: &str,
) {
    let mut cluster = cluster_with(extra);
    let mut operation = Operation::new("").with(|options| {
        options.prune = prune;
        options.default_prune = default.map(str::to_owned);
    });
    operation.pass(&mut cluster);
    assert_eq!(operation.shown(), format!("Sync x: {result}"));
}

/// SYNC-066: an object that is being deleted is pruned without a call.
#[test]
fn a_terminating_object_is_pruned_without_a_call() {
    let mut cluster = cluster_with("ConfigMap/x");
    super::terminate(&mut cluster, "ConfigMap/x");
    let mut operation = Operation::new("").with(|options| options.prune = true);
    operation.pass(&mut cluster);
    assert_eq!(operation.shown(), "Sync x: Pruned/Succeeded \"pruned\"");
    assert_eq!(cluster.take_log(), "delay Sync/0 final");
}

/// SYNC-062, SYNC-163, SYNC-180: a failed prune, 404 included, stops the wave.
#[test]
fn a_failed_prune_stops_the_wave() {
    let mut cluster = cluster_with("ConfigMap/x");
    cluster.refuse_delete.insert("x".to_owned(), 404);
    let mut operation = Operation::new("ConfigMap/a").with(|options| options.prune = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Failed one or more objects failed to apply, reason: refused with 404"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply configmap/a (dry run)
    -- Sync/0
    delete configmap/x
    ");
}

/// SYNC-181, SYNC-182, SYNC-183: an unconfirmed prune blocks its wave and every dry run, even without pruning.
#[test]
fn an_unconfirmed_prune_blocks_its_wave() {
    let mut cluster = cluster_with("ConfigMap/x option=Prune=confirm wave=1");
    let mut operation = Operation::new("ConfigMap/a\nConfigMap/b wave=1");
    operation.pass(&mut cluster);
    assert_eq!(
        operation.pass(&mut cluster),
        "Running waiting for pruning confirmation of /ConfigMap/x"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    -- Sync/0
    apply configmap/a
    delay Sync/0
    delay Sync/1 final
    ");
    operation.confirmed = true;
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    assert!(operation.shown().contains("ignored (requires pruning)"));
}

/// SYNC-177: mirrored waves are computed anew in each step.
#[test]
fn mirrored_waves_are_computed_in_each_step() {
    let mut cluster = cluster_with("ConfigMap/p1 wave=1\nConfigMap/p3 wave=3");
    let mut operation = Operation::new("ConfigMap/t wave=2").with(|options| options.prune = true);
    while !operation.phase.completed() {
        operation.pass(&mut cluster);
    }
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply configmap/t (dry run)
    -- Sync/1
    delete configmap/p3
    delay Sync/1
    -- Sync/1
    delete configmap/p1
    delay Sync/1
    -- Sync/2
    apply configmap/t
    delay Sync/2 final
    ");
}

/// SYNC-155, SYNC-071: every attempt starts from the first wave.
#[test]
fn healthy_waves_are_not_skipped() {
    let mut cluster = Cluster::new();
    for _ in 0..2 {
        let mut operation = Operation::new("ConfigMap/a\nConfigMap/b wave=1");
        while !operation.phase.completed() {
            operation.pass(&mut cluster);
        }
        assert!(
            cluster
                .take_log()
                .contains("-- Sync/0\napply configmap/a\ndelay Sync/0\n-- Sync/1")
        );
    }
}

/// SYNC-058, SYNC-195: what is in sync is left out, and its health is not awaited.
#[test]
fn objects_in_sync_are_left_out_where_wanted() {
    let mut cluster = cluster_with("Deployment/database\nConfigMap/changed");
    cluster.edit("ConfigMap/changed")["data"] = wavetank_json::json!({"k": "old"});
    cluster.edit("ConfigMap/changed")["metadata"]["annotations"]
        [wavetank_model::patch::apply::LAST_APPLIED] =
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"data\":{\"k\":\"old\"}}".into();
    let mut operation =
        Operation::new("Deployment/database\nConfigMap/changed wave=1\nConfigMap/new wave=1")
            .with(|options| options.apply_out_of_sync_only = true);
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    insta::assert_snapshot!(cluster.take_log(), @r"
    apply configmap/changed (dry run)
    apply configmap/new (dry run)
    -- Sync/1
    apply configmap/changed
    apply configmap/new
    delay Sync/1 final
    ");
}
