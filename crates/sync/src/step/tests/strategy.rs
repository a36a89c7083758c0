//! How an object is written.

use rstest::rstest;

use wavetank_model::ArgoVersion;

use super::cluster_with;
use crate::SyncOptions;
use crate::testing::{Cluster, Operation};

fn no_option(_: &mut SyncOptions) {}

fn replace(options: &mut SyncOptions) {
    options.replace = true;
}

fn server_side(options: &mut SyncOptions) {
    options.server_side_apply = true;
}

/// SYNC-088, SYNC-089, SYNC-090, SYNC-101: by option of the operation, of the target or of the live object.
#[rstest]
#[case("ConfigMap/a", "", no_option, "apply configmap/a")]
#[case("ConfigMap/a", "", replace, "create configmap/a")]
#[case("ConfigMap/a", "ConfigMap/a", replace, "replace configmap/a")]
#[case(
    "ConfigMap/a option=Replace=true",
    "ConfigMap/a",
    no_option,
    "replace configmap/a"
)]
#[case(
    "ConfigMap/a",
    "ConfigMap/a option=Replace=true",
    no_option,
    "replace configmap/a"
)]
#[case("Namespace/n", "Namespace/n", replace, "update namespace/n")]
#[case(
    "CustomResourceDefinition/c crd=a/B",
    "CustomResourceDefinition/c crd=a/B",
    replace,
    "update customresourcedefinition/c"
)]
#[case("ConfigMap/a", "", server_side, "serversideapply configmap/a")]
#[case(
    "ConfigMap/a option=ServerSideApply=true",
    "",
    no_option,
    "serversideapply configmap/a"
)]
#[case(
    "ConfigMap/a option=ServerSideApply=false",
    "",
    server_side,
    "apply configmap/a"
)]
#[case(
    "ConfigMap/a",
    "ConfigMap/a option=ServerSideApply=true",
    no_option,
    "apply configmap/a"
)]
#[case(
    "ConfigMap/a option=Replace=true",
    "ConfigMap/a",
    server_side,
    "replace configmap/a"
)]
fn options_choose_the_strategy(
    #[case] target: &str,
    #[case] live: &str,
    #[case] change: fn(&mut SyncOptions),
    #[case] expected: &str,
) {
    let mut cluster = cluster_with(live);
    let mut operation = Operation::new(target).with(change);
    operation.pass(&mut cluster);
    let log = cluster.take_log();
    assert!(log.lines().any(|line| line == expected), "{log}");
    assert!(
        !log.contains("serversideapply") || log.contains("apply configmap/a (dry run)"),
        "dry runs are the client's"
    );
}

/// SYNC-092: since 3.6 force is left out where the server applies; before, kubectl refused the two together.
#[rstest]
#[case(
    "ConfigMap/a option=Force=true",
    ArgoVersion::V3_5,
    "serversideapply configmap/a by force"
)]
#[case(
    "ConfigMap/a option=Force=true",
    ArgoVersion::V3_6,
    "serversideapply configmap/a"
)]
#[case(
    "ConfigMap/a option=Force=true,ServerSideApply=false",
    ArgoVersion::V3_6,
    "apply configmap/a by force"
)]
fn force_and_server_side_apply(
    #[case] target: &str,
    #[case] version: ArgoVersion,
    #[case] expected: &str,
) {
    let mut cluster = cluster_with("");
    let mut operation = Operation::new(target).with(|options| {
        options.server_side_apply = true;
        options.version = version;
    });
    operation.pass(&mut cluster);
    let log = cluster.take_log();
    assert!(log.lines().any(|line| line == expected), "{log}");
}

/// SYNC-081, SYNC-004: an empty message keeps the text of before; key, order and type stay as first recorded.
#[test]
fn an_empty_health_message_keeps_the_text_of_the_apply() {
    let mut cluster = Cluster::new();
    let mut operation = Operation::new("Deployment/web\nConfigMap/a wave=1");
    operation.pass(&mut cluster);
    let before = operation.results[0].clone();
    cluster.finish("Deployment/web");
    operation.pass(&mut cluster);
    let after = &operation.results[0];
    assert_eq!(
        (&after.key, after.order, &after.message),
        (&before.key, before.order, &before.message)
    );
    assert_eq!(
        after.hook_phase,
        Some(wavetank_model::OperationPhase::Succeeded)
    );
}

/// SYNC-104: a tracked namespace that is managed is applied like a resource, and not pruned although nothing names it.
#[test]
fn a_managed_namespace_is_kept() {
    let mut cluster = cluster_with("Namespace/demo");
    let mut operation = Operation::new("ConfigMap/a").with(|options| {
        options.prune = true;
        options.create_namespace = true;
        options.managed_namespace = Some(crate::options::ManagedNamespaceMetadata {
            labels: [("team".to_owned(), "a".to_owned())].into(),
            ..Default::default()
        });
    });
    assert_eq!(
        operation.pass(&mut cluster),
        "Succeeded successfully synced (all tasks run)"
    );
    assert_eq!(
        cluster.edit("Namespace/demo")["metadata"]["labels"]["team"],
        "a"
    );
    let log = cluster.take_log();
    assert!(
        log.contains("serversideapply namespace/demo") && !log.contains("delete"),
        "{log}"
    );
}

/// SYNC-103: ignored fields are sent with their live values, where the option says so.
#[test]
fn ignored_differences_are_respected_where_wanted() {
    let sent = |respect: bool| {
        let mut cluster = cluster_with("Deployment/web");
        cluster.edit("Deployment/web")["spec"]["replicas"] = 5.into();
        let mut operation = Operation::new("Deployment/web").with(|options| {
            options.respect_ignore_differences = respect;
            options
                .ignore_differences
                .push(crate::ignore::IgnoredDifference {
                    group: "apps".to_owned(),
                    kind: "Deployment".to_owned(),
                    json_pointers: vec!["/spec/replicas".to_owned()],
                    ..Default::default()
                });
        });
        operation.pass(&mut cluster);
        cluster.edit("Deployment/web")["spec"]["replicas"].clone()
    };
    assert_eq!((sent(true), sent(false)), (5.into(), 1.into()));
}
