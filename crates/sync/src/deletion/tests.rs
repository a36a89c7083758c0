use rstest::rstest;

use super::*;
use crate::testing::{Cluster, app, block_on, objects, tracked};

fn cluster_with(text: &str) -> Cluster {
    let mut cluster = Cluster::new();
    for object in tracked(text) {
        cluster.put(Value::clone(&object));
    }
    cluster
}

struct Deletion {
    targets: Arc<[Arc<Value>]>,
    finalizers: Vec<String>,
    confirmed: bool,
    options: SyncOptions,
}

impl Deletion {
    fn new(targets: &str, cascade: &[&str]) -> Self {
        let targets: Arc<[Arc<Value>]> = objects(targets).into();
        let finalizers = hook_finalizers(&targets)
            .into_iter()
            .chain(cascade.iter().copied());
        Self {
            finalizers: finalizers.map(str::to_owned).collect(),
            targets,
            confirmed: false,
            options: SyncOptions::default(),
        }
    }

    fn pass(&mut self, cluster: &mut Cluster) -> DeletionOutput {
        let input = DeletionInput {
            app: app(),
            targets: self.targets.clone(),
            live: cluster
                .objects
                .values()
                .map(|object| Arc::new(object.clone()))
                .collect(),
            kinds: Arc::new(Kinds::builtin()),
            options: Arc::new(self.options.clone()),
            finalizers: self.finalizers.clone(),
            confirmed: self.confirmed,
        };
        let output = block_on(deletion_pass(&input, &Assessor::new(), cluster));
        self.finalizers.clone_from(&output.finalizers);
        output
    }
}

/// SYNC-145, SYNC-142: the first of several finalizers says how; the last takes the place of one that goes.
#[test]
fn the_first_finalizer_says_how_resources_are_deleted() {
    let mut cluster = cluster_with("ConfigMap/a");
    let both = [FOREGROUND_FINALIZER, BACKGROUND_FINALIZER];
    Deletion::new("", &both).pass(&mut cluster);
    assert_eq!(cluster.propagations, [Propagation::Foreground]);

    let mut cluster = cluster_with("ConfigMap/a");
    let mut deletion = Deletion::new("", &[PRE_DELETE_FINALIZER, both[0], both[1]]);
    deletion.pass(&mut cluster);
    assert_eq!(cluster.propagations, [Propagation::Background]);
    assert_eq!(deletion.finalizers, [both[1], both[0]]);
}

/// SYNC-145, SYNC-147: who deletes a resource that is gone by then is told; a hook that is gone is what was wanted.
#[test]
fn a_resource_that_is_gone_is_an_error() {
    let mut cluster = cluster_with("ConfigMap/a");
    cluster.refuse_delete.insert("a".to_owned(), 404);
    let output = Deletion::new("", &[RESOURCES_FINALIZER]).pass(&mut cluster);
    assert_eq!(output.error.as_deref(), Some("refused with 404"));

    let mut cluster = cluster_with("ConfigMap/h hook=PostDelete,Sync policy=HookSucceeded");
    cluster.refuse_delete.insert("h".to_owned(), 404);
    let mut deletion = Deletion::new("", &[POST_DELETE_CLEANUP_FINALIZER]);
    assert_eq!(deletion.pass(&mut cluster).error, None);
    cluster.refuse_delete.insert("h".to_owned(), 403);
    let output = deletion.pass(&mut cluster);
    assert_eq!(output.error.as_deref(), Some("refused with 403"));
}

/// SYNC-145: highest wave first, each gone before the next; leftover hooks go like resources, CRDs stay (SYNC-211).
#[test]
fn waves_are_deleted_in_descending_order() {
    let mut cluster = cluster_with(
        "
        ConfigMap/a wave=-1
        Deployment/b
        ConfigMap/c wave=2
        Job/left hook=PreSync wave=2
        ConfigMap/kept option=Delete=false
        CustomResourceDefinition/widgets ns=demo crd=example.com/Widget
    ",
    );
    for name in ["ConfigMap/c", "Job/left"] {
        cluster.edit(name)["metadata"]["finalizers"] = Value::Null;
    }
    cluster.lingering.insert("b".to_owned());
    let mut deletion = Deletion::new("", &[RESOURCES_FINALIZER]);
    for _ in 0..4 {
        deletion.pass(&mut cluster);
    }
    assert_eq!(
        cluster.take_log(),
        "delete configmap/c\ndelete job/left\ndelete deployment/b",
        "b is awaited"
    );
    cluster.remove("Deployment/b");
    deletion.pass(&mut cluster);
    assert_eq!(deletion.finalizers, [RESOURCES_FINALIZER]);
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "delete configmap/a");
    assert!(deletion.finalizers.is_empty());
}

/// SYNC-145: a confirmation is waited for.
#[test]
fn an_unconfirmed_deletion_waits() {
    let mut cluster = cluster_with("ConfigMap/a option=Delete=confirm\nConfigMap/b wave=1");
    let mut deletion = Deletion::new("", &[BACKGROUND_FINALIZER]);
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "");
    deletion.confirmed = true;
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "delete configmap/b");
}

/// SYNC-144, SYNC-146: hooks before, then the resources, then the hooks after.
#[test]
fn delete_hooks_frame_the_deletion() {
    let mut cluster = cluster_with("ConfigMap/a");
    let mut deletion = Deletion::new(
        "
        Job/before hook=PreDelete
        Job/after hook=PostDelete
    ",
        &[RESOURCES_FINALIZER],
    );
    deletion.pass(&mut cluster);
    deletion.pass(&mut cluster);
    assert_eq!(
        cluster.take_log(),
        "-- PreDelete/*\ncreate job/before\n-- PreDelete/*"
    );
    assert!(
        cluster.edit("Job/before")["metadata"]
            .get("finalizers")
            .is_none(),
        "no finalizer"
    );
    cluster.finish("Job/before");
    let output = deletion.pass(&mut cluster);
    assert_eq!(output.completed, Some(Phase::PreDelete));
    assert_eq!(cluster.take_log(), "delete configmap/a\ndelete job/before");
    deletion.pass(&mut cluster);
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "-- PostDelete/*\ncreate job/after");
    cluster.finish("Job/after");
    for _ in 0..4 {
        deletion.pass(&mut cluster);
    }
    assert!(deletion.finalizers.is_empty());
    assert_eq!(cluster.take_log(), "", "without policy it stays (SYNC-212)");
}

/// SYNC-146: a failed hook is deleted, reported and made anew.
#[test]
fn a_failed_delete_hook_is_made_anew() {
    let mut cluster = Cluster::new();
    let mut deletion = Deletion::new("Job/before hook=PreDelete", &[]);
    deletion.pass(&mut cluster);
    cluster.fail("Job/before");
    let output = deletion.pass(&mut cluster);
    assert_eq!(
        output.error.as_deref(),
        Some("error executing pre-delete hooks: PreDelete hook(s) failed: demo/before")
    );
    assert_eq!(output.failed, Some(Phase::PreDelete));
    deletion.pass(&mut cluster);
    assert_eq!(
        cluster.take_log(),
        "-- PreDelete/*\ncreate job/before\ndelete job/before\n-- PreDelete/*\ncreate job/before"
    );
}

/// SYNC-146, SYNC-032: what the project does not permit is not made, nor what stands beside it.
#[test]
fn delete_hooks_must_be_permitted() {
    let mut cluster = Cluster::new();
    let hooks = "Job/fine hook=PreDelete\nJob/away hook=PreDelete ns=elsewhere";
    let mut deletion = Deletion::new(hooks, &[]);
    deletion.options.project = Some(only_here());
    let error = deletion.pass(&mut cluster).error;
    assert_eq!(
        error.as_deref(),
        Some(
            "error executing pre-delete hooks: PreDelete hook {batch Job elsewhere away} is not permitted: \
             namespace elsewhere is not permitted in project 'team'"
        )
    );
    assert_eq!(cluster.take_log(), "");
}

fn only_here() -> Arc<crate::project::Project> {
    let here = crate::project::Destination {
        server: "*".to_owned(),
        namespace: "demo".to_owned(),
        ..crate::project::Destination::default()
    };
    Arc::new(crate::project::Project {
        name: "team".to_owned(),
        destinations: vec![here],
        ..crate::project::Project::default()
    })
}

/// SYNC-145, SYNC-010: what the project does not permit is neither deleted nor waited for.
#[test]
fn objects_that_are_not_permitted_stay() {
    let mut cluster = cluster_with("ConfigMap/here\nConfigMap/there ns=elsewhere");
    let mut deletion = Deletion::new("", &[RESOURCES_FINALIZER]);
    deletion.options.project = Some(only_here());
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "delete configmap/here");
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "");
    assert!(deletion.finalizers.is_empty());
}

/// SYNC-145: a desired object asks for confirmation as well as the live one, which may not have heard of it.
#[test]
fn what_is_desired_asks_for_confirmation_too() {
    let mut cluster = cluster_with("ConfigMap/a");
    let mut deletion = Deletion::new("ConfigMap/a option=Delete=confirm", &[RESOURCES_FINALIZER]);
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "");
    deletion.confirmed = true;
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "delete configmap/a");
}

/// SYNC-146, SYNC-147: a health check that fails is an error of the pass.
#[rstest]
#[case(
    PRE_DELETE_FINALIZER,
    "PreDelete",
    "error executing pre-delete hooks: "
)]
#[case(
    PRE_DELETE_CLEANUP_FINALIZER,
    "PreDelete",
    "error cleaning up pre-delete hooks: "
)]
#[case(POST_DELETE_FINALIZER, "PostDelete", "")]
#[case(POST_DELETE_CLEANUP_FINALIZER, "PostDelete", "")]
fn hooks_whose_health_cannot_be_told_hold_the_app(
    #[case] finalizer: &str,
    #[case] phase: &str,
    #[case] head: &str,
) {
    let hook = format!("Job/a hook={phase},Sync");
    let mut cluster = cluster_with(&hook);
    cluster.edit("Job/a")["apiVersion"] = "batch/v2".into();
    let mut deletion = Deletion::new("", &[finalizer]);
    let error = deletion.pass(&mut cluster).error.unwrap_or_default();
    assert_eq!(
        error,
        format!("{head}unsupported Job GVK: batch/v2, Kind=Job")
    );
    assert_eq!(deletion.finalizers, [finalizer]);
}

/// SYNC-146: a hook of a kind that is not served has no scope.
#[test]
fn delete_hooks_must_have_a_scope() {
    let mut deletion = Deletion::new("Widget.example.com/w hook=PostDelete", &[]);
    let error = deletion.pass(&mut Cluster::new()).error;
    assert_eq!(
        error.as_deref(),
        Some(
            "failed to determine scope of PostDelete hook {example.com Widget  w}: \
             .example.com \"\" not found"
        )
    );
}

/// SYNC-147: by policy and worst health.
#[test]
fn delete_hooks_are_cleaned_up_by_policy() {
    let mut cluster = cluster_with(
        "
        Job/a hook=PostDelete,Sync policy=HookSucceeded
        Job/b hook=PostDelete,Sync policy=HookFailed
    ",
    );
    for name in ["Job/a", "Job/b"] {
        cluster.edit(name)["metadata"]["finalizers"] = Value::Null;
        cluster.finish(name);
    }
    let mut deletion = Deletion::new("", &[POST_DELETE_CLEANUP_FINALIZER]);
    deletion.pass(&mut cluster);
    deletion.pass(&mut cluster);
    assert_eq!(cluster.take_log(), "delete job/a");
    assert!(deletion.finalizers.is_empty());
}

/// SYNC-214, SYNC-146: all hooks of a phase are made at once, whatever waves they name.
#[test]
fn delete_hooks_have_no_waves() {
    let mut cluster = Cluster::new();
    let hooks = "Job/late hook=PreDelete wave=5\nJob/early hook=PreDelete wave=-5\nJob/weighed hook=PreDelete weight=9";
    let mut deletion = Deletion::new(hooks, &[]);
    deletion.pass(&mut cluster);
    let log = cluster.take_log();
    let mut made: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("create"))
        .collect();
    made.sort_unstable();
    assert_eq!(
        made,
        ["create job/early", "create job/late", "create job/weighed"]
    );
}

/// SYNC-213: a generateName hook is made on every pass.
#[test]
fn a_generated_name_never_finishes() {
    let mut cluster = Cluster::new();
    let mut deletion = Deletion::new("Job/ generate=x- hook=PreDelete", &[]);
    for _ in 0..3 {
        deletion.pass(&mut cluster);
    }
    assert_eq!(cluster.take_log().matches("create job/").count(), 3);
}
