use super::*;
use crate::testing::{Cluster, Operation, block_on, tracked};

/// The tasks by wave, each with what moved it.
fn shown(operation: &Operation, cluster: &mut Cluster) -> String {
    let input = operation.input(cluster);
    let targets = crate::target::normalise(
        &input.targets,
        &input.app,
        &input.kinds,
        input.options.version,
    );
    let mut ledger = Ledger::new(input.results.clone());
    let plan = block_on(build(&input, &targets, &mut ledger, cluster));
    let mut lines: Vec<String> = Vec::new();
    let mut slot = None;
    for task in &plan.tasks {
        if slot != Some((task.phase, task.wave())) {
            slot = Some((task.phase, task.wave()));
            lines.push(format!("{}/{}:", task.phase, task.wave()));
        }
        let several = task
            .reasons()
            .into_iter()
            .filter(|reason| matches!(reason, Reason::SeveralPhases(_)));
        let moved: Vec<String> = several
            .chain(task.moved.iter().cloned())
            .map(|reason| reason.to_string())
            .collect();
        let moved = if moved.is_empty() {
            String::new()
        } else {
            format!(" ({})", moved.join("; "))
        };
        let prune = if task.is_prune() { "-" } else { "" };
        lines.push(format!("  {prune}{}{moved}", task.key.short("demo")));
    }
    for result in ledger.results() {
        lines.push(format!("{:?} {}", result.status, result.message));
    }
    lines.join("\n")
}

fn plan_of(targets: &str) -> String {
    shown(&Operation::new(targets), &mut Cluster::new())
}

fn plan_with(targets: &str, extra: &str, options: impl FnOnce(&mut crate::SyncOptions)) -> String {
    let mut cluster = Cluster::new();
    for object in tracked(extra) {
        cluster.put(Value::clone(&object));
    }
    shown(&Operation::new(targets).with(options), &mut cluster)
}

/// SYNC-039, SYNC-040.
#[test]
fn phase_then_wave_then_kind_then_name() {
    insta::assert_snapshot!(plan_of("
        Job/after hook=PostSync
        Deployment/web wave=1
        ConfigMap/env wave=1
        ConfigMap/also wave=1
        Widget.apps/none wave=1
        Job/rescue hook=SyncFail wave=-5
        Namespace/other wave=0
        Job/before hook=PreSync wave=7
        ServiceAccount/sa wave=-1
    "), @r#"
    PreSync/7:
      Job/before
    Sync/-1:
      ServiceAccount/sa
    Sync/0:
      Namespace/other
    Sync/1:
      ConfigMap/also
      ConfigMap/env
      Deployment/web
      Widget.apps/none
    PostSync/0:
      Job/after
    SyncFail/-5:
      Job/rescue
    Some(SyncFailed) failed to discover server resources for group version apps/v1: the server could not find the requested resource
    "#);
}

/// SYNC-034, SYNC-192: Helm's weight counts on any object, unless there is a valid wave.
#[test]
fn helm_weight_is_a_wave_where_there_is_none() {
    insta::assert_snapshot!(plan_of("
        ConfigMap/a weight=5
        ConfigMap/b weight=5 wave=1.5
        ConfigMap/c weight=5 wave=+2
    "), @r"
    Sync/2:
      ConfigMap/c
    Sync/5:
      ConfigMap/a
      ConfigMap/b
    ");
}

/// SYNC-020, SYNC-038: one task for each phase. SYNC-015: both install and upgrade are one task.
#[test]
fn a_hook_of_two_phases_has_two_tasks() {
    insta::assert_snapshot!(plan_of("
        Job/both hook=PreSync,PostSync
        Job/helm helm=pre-install,pre-upgrade
        Job/test helm=test
        Job/skipped hook=Skip
    "), @r"
    PreSync/0:
      Job/both (one task for each of PreSync, PostSync (SYNC-038))
      Job/helm
    PostSync/0:
      Job/both (one task for each of PreSync, PostSync (SYNC-038))
    ");
}

/// SYNC-024: the name is made of revision, phase and start; SYNC-026 keeps generateName.
#[test]
fn generated_names_are_stable_and_differ_by_phase() {
    insta::assert_snapshot!(plan_of("
        Job/ generate=db- hook=PreSync,PostSync
    "), @r"
    PreSync/0:
      Job/db-0a1b2c3-presync-1700000000 (one task for each of PreSync, PostSync (SYNC-038))
    PostSync/0:
      Job/db-0a1b2c3-postsync-1700000000 (one task for each of PreSync, PostSync (SYNC-038))
    ");
}

/// SYNC-172: with several sources the revision is empty.
#[test]
fn a_generated_name_without_revision_has_two_hyphens() {
    let mut operation = Operation::new("Job/ generate=db- hook=PreSync");
    operation.revision = String::new();
    insta::assert_snapshot!(shown(&operation, &mut Cluster::new()), @r"
    PreSync/0:
      Job/db--presync-1700000000
    ");
}

/// SYNC-023: neither the apply strategy nor a selective sync runs hooks.
#[test]
fn hooks_are_left_out_of_selective_and_apply_syncs() {
    let select = |options: &mut crate::SyncOptions| {
        let web = crate::ResourceFilter {
            kind: "ConfigMap".into(),
            name: "a".into(),
            ..Default::default()
        };
        options.resources.push(web);
    };
    let targets = "
        Job/hook hook=PreSync
        ConfigMap/a
        ConfigMap/b
        ConfigMap/a ns=other
    ";
    insta::assert_snapshot!(plan_with(targets, "ConfigMap/extra", select), @r"
    Sync/0:
      ConfigMap/a
      ConfigMap/other/a
    ");
    insta::assert_snapshot!(plan_with("Job/hook hook=PreSync\nConfigMap/a", "", |options| {
        options.strategy = crate::options::SyncStrategy::Apply;
    }), @r"
    Sync/0:
      ConfigMap/a
    ");
}

/// SYNC-021, SYNC-215, SYNC-216: hooks and skipped objects are never pruned.
#[test]
fn hooks_in_the_cluster_are_not_pruned() {
    insta::assert_snapshot!(plan_with("", "
        ConfigMap/extra
        Job/old-hook hook=PreSync
        ConfigMap/skipped hook=Skip
    ", |_| {}), @r"
    Sync/0:
      -ConfigMap/extra
    ");
}

/// SYNC-035: only the set of the prunes' own waves is mirrored.
#[test]
fn prune_waves_are_mirrored() {
    insta::assert_snapshot!(plan_with("ConfigMap/target wave=2", "
        ConfigMap/one wave=1
        ConfigMap/three wave=3
        ConfigMap/four wave=4
    ", |_| {}), @r"
    Sync/1:
      -ConfigMap/four (prune waves are mirrored: 4 becomes 1 (SYNC-035))
    Sync/2:
      ConfigMap/target
    Sync/3:
      -ConfigMap/three
    Sync/4:
      -ConfigMap/one (prune waves are mirrored: 1 becomes 4 (SYNC-035))
    ");
}

/// SYNC-036: after everything of phase Sync, mirrored prunes included.
#[test]
fn prune_last_goes_after_everything() {
    insta::assert_snapshot!(plan_with("ConfigMap/target wave=2", "
        ConfigMap/one wave=1
        ConfigMap/seven wave=7
    ", |options| options.prune_last = true), @r"
    Sync/2:
      ConfigMap/target
    Sync/8:
      -ConfigMap/one (prune waves are mirrored: 1 becomes 7 (SYNC-035); PruneLast=true: wave 8 (SYNC-036))
      -ConfigMap/seven (prune waves are mirrored: 7 becomes 1 (SYNC-035); PruneLast=true: wave 8 (SYNC-036))
    ");
}

/// SYNC-184: the wave of `PruneLast` is at least 1. By annotation for one object alone.
#[test]
fn prune_last_wave_is_at_least_one() {
    insta::assert_snapshot!(plan_with("ConfigMap/target wave=-4", "
        ConfigMap/last wave=-9 option=PruneLast=true
        ConfigMap/other wave=-9
    ", |_| {}), @r"
    Sync/-9:
      -ConfigMap/other
    Sync/-4:
      ConfigMap/target
    Sync/1:
      -ConfigMap/last (PruneLast=true: wave 1 (SYNC-036))
    ");
}

/// SYNC-041: a namespace goes where its first object goes; a CRD likewise.
#[test]
fn namespaces_and_definitions_are_pulled_forward() {
    let mut cluster = Cluster::new();
    cluster.remove("Namespace/demo");
    let operation = Operation::new(
        "
        Namespace/demo wave=5
        Job/migrate hook=PreSync wave=-1
        ConfigMap/other ns=elsewhere wave=-9
        Widget.example.com/w wave=2
        CustomResourceDefinition/widgets wave=3 crd=example.com/Widget
    ",
    );
    insta::assert_snapshot!(shown(&operation, &mut cluster), @r"
    PreSync/-1:
      Namespace/demo (pulled forward from Sync/5 for Job.batch/demo/migrate (SYNC-041))
      Job/migrate
    Sync/-9:
      ConfigMap/elsewhere/other
    Sync/2:
      CustomResourceDefinition/widgets (pulled forward from Sync/3 for Widget.example.com/demo/w (SYNC-041))
      Widget.example.com/w
    ");
}

/// SYNC-187: a cluster-scoped object refers to the destination namespace too.
#[test]
fn cluster_scoped_objects_pull_the_namespace_forward() {
    insta::assert_snapshot!(plan_of("
        Namespace/demo
        ClusterRole/r wave=-1
    "), @r"
    Sync/-1:
      Namespace/demo (pulled forward from Sync/0 for ClusterRole.rbac.authorization.k8s.io/demo/r (SYNC-041))
      ClusterRole/r
    ");
}

/// SYNC-028, SYNC-029, U-202, U-204: made when it is missing, left alone when it is there, synced always with managed metadata.
#[test]
fn the_destination_namespace_is_made_when_it_is_missing() {
    let create = |options: &mut crate::SyncOptions| options.create_namespace = true;
    let mut cluster = Cluster::new();
    cluster.remove("Namespace/demo");
    insta::assert_snapshot!(shown(&Operation::new("ConfigMap/a").with(create), &mut cluster), @r"
    PreSync/0:
      Namespace/demo (made by CreateNamespace=true (SYNC-028))
    Sync/0:
      ConfigMap/a
    ");
    insta::assert_snapshot!(plan_with("ConfigMap/a", "", create), @r"
    Sync/0:
      ConfigMap/a
    ");
    insta::assert_snapshot!(plan_with("ConfigMap/a", "", |options| {
        create(options);
        options.managed_namespace = Some(crate::options::ManagedNamespaceMetadata::default());
    }), @r"
    PreSync/0:
      Namespace/demo (made by CreateNamespace=true (SYNC-028))
    Sync/0:
      ConfigMap/a
    ");
}

/// SYNC-029, U-204: configured labels and annotations, and the option that makes the apply the server's.
#[test]
fn managed_metadata_is_that_of_the_namespace() {
    let managed = |labels: &[(&str, &str)], annotations: &[(&str, &str)]| {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let (labels, annotations) = (map(labels), map(annotations));
        let mut cluster = Cluster::new();
        let input = Operation::new("ConfigMap/a")
            .with(|options| {
                options.create_namespace = true;
                options.managed_namespace = Some(crate::options::ManagedNamespaceMetadata {
                    labels,
                    annotations,
                });
            })
            .input(&cluster);
        let targets = crate::target::normalise(
            &input.targets,
            &input.app,
            &input.kinds,
            input.options.version,
        );
        let tasks = block_on(build(
            &input,
            &targets,
            &mut Ledger::default(),
            &mut cluster,
        ))
        .tasks;
        tasks[0].target.as_deref().unwrap()["metadata"].clone()
    };
    let option = "argocd.argoproj.io/sync-options";
    assert_eq!(
        managed(&[], &[]),
        json!({"name": "demo", "annotations": {option: "ServerSideApply=true"}})
    );
    assert_eq!(
        managed(&[("foo", "bar")], &[("a", "b"), (option, "Prune=false")]),
        json!({"name": "demo", "labels": {"foo": "bar"}, "annotations": {"a": "b", option: "ServerSideApply=true"}})
    );
}

/// SYNC-185: a hook namespace suppresses nothing. SYNC-186: a filtered-out namespace target does.
#[test]
fn who_suppresses_the_automatic_namespace() {
    let mut cluster = Cluster::new();
    cluster.remove("Namespace/demo");
    let hook = Operation::new("Namespace/demo hook=PreSync")
        .with(|options| options.create_namespace = true);
    insta::assert_snapshot!(shown(&hook, &mut cluster), @r"
    PreSync/0:
      Namespace/demo (made by CreateNamespace=true (SYNC-028))
      Namespace/demo
    ");
    let filtered = Operation::new("Namespace/demo\nConfigMap/a").with(|options| {
        options.create_namespace = true;
        options.resources.push(crate::ResourceFilter {
            kind: "ConfigMap".into(),
            name: "a".into(),
            ..Default::default()
        });
    });
    insta::assert_snapshot!(shown(&filtered, &mut cluster), @r"
    Sync/0:
      ConfigMap/a
    ");
}

/// SYNC-031, SYNC-033: unknown kinds are errors, unless something says that they will come.
#[test]
fn unknown_kinds_are_errors_unless_their_definition_comes() {
    insta::assert_snapshot!(plan_of("
        Widget.example.com/w
        Gadget.example.org/g
        Thing.example.net/t option=SkipDryRunOnMissingResource=true
        CustomResourceDefinition/widgets crd=example.com/Widget
    "), @r#"
    Sync/0:
      CustomResourceDefinition/widgets
      Gadget.example.org/g
      Thing.example.net/t
      Widget.example.com/w
    Some(SyncFailed) failed to discover server resources for group version example.org/v1: the server could not find the requested resource
    "#);
}

/// SYNC-030: a hook finds its live object by group, kind, name and namespace.
#[test]
fn hooks_find_their_live_object() {
    let mut cluster = Cluster::new();
    for object in tracked("Job/migrate hook=PreSync") {
        cluster.put(Value::clone(&object));
    }
    let operation =
        Operation::new("Job/migrate hook=PreSync,PostSync\nJob/migrate ns=other hook=Sync");
    let input = operation.input(&cluster);
    let targets = crate::target::normalise(
        &input.targets,
        &input.app,
        &input.kinds,
        input.options.version,
    );
    let plan = block_on(build(
        &input,
        &targets,
        &mut Ledger::default(),
        &mut cluster,
    ));
    let live: Vec<(Phase, bool)> = plan
        .tasks
        .iter()
        .map(|task| (task.phase, task.live.is_some()))
        .collect();
    assert_eq!(
        live,
        [
            (Phase::PreSync, true),
            (Phase::Sync, false),
            (Phase::PostSync, true)
        ]
    );
}

/// SYNC-001, SYNC-021, SYNC-042: a pair, a hook and an object that left the desired state; a prune sorts like the others.
#[test]
fn tasks_are_made_of_pairs_and_hooks() {
    insta::assert_snapshot!(plan_with(
        "ConfigMap/both\nConfigMap/desired wave=1\nJob/hook hook=PreSync",
        "ConfigMap/both\nConfigMap/a-left\nConfigMap/left wave=1",
        |options| options.prune = true,
    ), @r"
    PreSync/0:
      Job/hook
    Sync/0:
      ConfigMap/both
      -ConfigMap/left (prune waves are mirrored: 1 becomes 0 (SYNC-035))
    Sync/1:
      -ConfigMap/a-left (prune waves are mirrored: 0 becomes 1 (SYNC-035))
      ConfigMap/desired
    ");
}

/// SYNC-191, U-032, U-034: the rank is that of the kind, whatever its group; unknown kinds come last.
#[test]
fn the_group_does_not_matter_for_the_rank() {
    let mut cluster = Cluster::new();
    let operation = Operation::new(
        "Workflow.a.io/a\nService.a.io/s\nDeployment/d\nNamespace/z\nCustomResourceDefinition/w crd=a.io/Workflow\nCustomResourceDefinition/x crd=a.io/Service",
    );
    insta::assert_snapshot!(shown(&operation, &mut cluster), @r"
    Sync/0:
      Namespace/z
      CustomResourceDefinition/w
      CustomResourceDefinition/x
      Service.a.io/s
      Deployment/d
      Workflow.a.io/a
    ");
}

/// SYNC-027, SYNC-188, U-053: the key of a cluster-scoped target's result carries the destination namespace.
#[test]
fn cluster_scoped_results_carry_a_namespace() {
    let mut cluster = Cluster::new();
    let input = Operation::new("ClusterRole/r").input(&cluster);
    let targets = crate::target::normalise(
        &input.targets,
        &input.app,
        &input.kinds,
        input.options.version,
    );
    let plan = block_on(build(
        &input,
        &targets,
        &mut Ledger::default(),
        &mut cluster,
    ));
    assert_eq!(plan.tasks[0].key.namespace, "demo");
}

/// The same plan without a request.
#[test]
fn a_plan_can_be_made_from_the_view_alone() {
    let cluster = Cluster::new();
    let input = Operation::new("ConfigMap/a")
        .with(|options| options.create_namespace = true)
        .input(&cluster);
    let targets = crate::target::normalise(
        &input.targets,
        &input.app,
        &input.kinds,
        input.options.version,
    );
    let mut asks = ViewAsks::new(input.kinds.clone(), input.live.clone());
    let plan = block_on(build(&input, &targets, &mut Ledger::default(), &mut asks));
    assert!(plan.valid);
    assert_eq!(plan.tasks.len(), 1);
}

/// SYNC-031, SYNC-032, SYNC-010, SYNC-190, U-186: the project is asked about every task whose kind is known.
#[test]
fn what_the_project_does_not_permit_is_an_error() {
    let project = crate::project::Project {
        name: "team".to_owned(),
        destinations: vec![crate::project::Destination {
            server: "*".to_owned(),
            namespace: "demo".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let plan = plan_with(
        "ConfigMap/a\nConfigMap/b ns=other\nClusterRole/r\nWidget.example.com/w ns=other option=SkipDryRunOnMissingResource=true",
        "ClusterRole/extra",
        |options| options.project = Some(std::sync::Arc::new(project)),
    );
    insta::assert_snapshot!(plan, @r"
    Sync/0:
      ConfigMap/a
      ConfigMap/other/b
      ClusterRole/r
      Widget.example.com/other/w
    Some(SyncFailed) namespace other is not permitted in project 'team'
    Some(SyncFailed) resource rbac.authorization.k8s.io:ClusterRole is not permitted in project team
    ");
}

proptest::proptest! {
    /// The plan depends on what is desired, not on the order of the manifests (SYNC-039).
    #[test]
    fn the_order_of_the_manifests_does_not_matter(
        drawn in proptest::collection::vec((0..5_usize, 0..6_usize, -2..3_i64), 1..14),
        turn in 0..14_usize,
    ) {
        const KINDS: [&str; 5] = ["ConfigMap", "Namespace", "Deployment", "Job", "ClusterRole"];
        const HOOKS: [&str; 6] = ["", "", " hook=PreSync", " hook=Sync,PostSync", " hook=SyncFail", " ns=n2"];
        let line = |(number, (kind, hook, wave)): (usize, &(usize, usize, i64))| {
            format!("{}/n{number} wave={wave}{}", KINDS[*kind], HOOKS[*hook])
        };
        let mut lines: Vec<String> = drawn.iter().enumerate().map(line).collect();
        let plan = plan_of(&lines.join("\n"));
        let turn = turn % lines.len();
        lines.rotate_left(turn);
        lines.reverse();
        proptest::prop_assert_eq!(plan, plan_of(&lines.join("\n")));
    }
}
