//! What a run that does not settle says of itself: who waits, since when, who holds what, what would help.
//!
//! The scenarios are stuck on purpose, each for another reason.

use std::path::Path;
use std::sync::Arc;

use wavetank::{Options, RunOutcome, check};
use wavetank_report::{Layout, terminal};
use wavetank_scenario::{LoadOptions, load_bytes};

/// The report of a scenario of this `spec` and these documents, from the line `waits` to the next verdict.
fn waits(spec: &str, documents: &str) -> String {
    let shown = terminal::run(&outcome(spec, documents), &Layout::plain());
    let explained = shown
        .lines()
        .skip_while(|line| !line.starts_with("  waits "))
        .take_while(|line| !line.starts_with("FAILED") && !line.starts_with("  again "));
    let explained: Vec<&str> = explained.collect();
    assert!(!explained.is_empty(), "{shown}");
    explained.join("\n")
}

fn outcome(spec: &str, documents: &str) -> RunOutcome {
    let spec = spec
        .lines()
        .fold(String::new(), |text, line| text + "  " + line + "\n");
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: stuck}}\nspec:\n  seed: 1\n{spec}{documents}"
    );
    let loaded = load_bytes(
        Path::new("stuck.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    );
    let mut loaded = loaded.unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(false)));
    check(&Arc::new(loaded.scenarios.remove(0)), Options::default())
}

/// A Job with these annotations and this in its Pods.
fn job(name: &str, annotations: &str, pod: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec:\n  template:\n    spec: {{restartPolicy: Never, containers: [{{name: main, image: x}}], {pod}}}\n"
    )
}

const PRE_SYNC: &str = "argocd.argoproj.io/hook: PreSync";
const SETTINGS: &str = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";

#[test]
fn a_hook_that_hangs() {
    let text = waits(
        "workloads: [{match: Job/migrate, hang: {}}]",
        &(job("migrate", PRE_SYNC, "") + SETTINGS),
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_hook_whose_image_is_not_there() {
    let spec = "workloads: [{match: Job/migrate, hang: {state: ImagePullBackOff}}]";
    insta::assert_snapshot!(waits(spec, &job("migrate", PRE_SYNC, "")));
}

#[test]
fn a_hook_that_needs_what_comes_after_it() {
    let volumes = "volumes: [{name: v, configMap: {name: settings}}]";
    insta::assert_snapshot!(waits("", &(job("migrate", PRE_SYNC, volumes) + SETTINGS)));
}

#[test]
fn a_hook_without_its_account() {
    insta::assert_snapshot!(waits(
        "",
        &job("migrate", PRE_SYNC, "serviceAccountName: migrator")
    ));
}

#[test]
fn a_claim_that_waits_for_its_consumer() {
    let documents = r#"---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {argocd.argoproj.io/sync-wave: "-1"}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: nginx}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"#;
    insta::assert_snapshot!(waits(
        "cluster: {storage: {bindingMode: WaitForFirstConsumer}}",
        documents
    ));
}

#[test]
fn a_hook_of_old_that_somebody_holds() {
    let held = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, finalizers: [example.com/hold], annotations: {argocd.argoproj.io/hook: PreSync}}\n";
    let spec = "steps: [{sync: {}}, {sync: {}}]";
    insta::assert_snapshot!(waits(spec, held));
}

#[test]
fn a_prune_that_nobody_confirms() {
    let precious = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: precious, annotations: {argocd.argoproj.io/sync-options: Prune=confirm}}\n";
    let spec =
        "steps: [{sync: {}}, {commit: {remove: [ConfigMap/precious]}}, {sync: {prune: true}}]";
    insta::assert_snapshot!(waits(spec, &(precious.to_owned() + SETTINGS)));
}

#[test]
fn a_service_without_an_address() {
    let documents = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    let later = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: later, annotations: {argocd.argoproj.io/sync-wave: \"1\"}}\n";
    insta::assert_snapshot!(waits(
        "cluster: {loadBalancers: false}",
        &(documents.to_owned() + later)
    ));
}

#[test]
fn a_rollout_that_does_not_come_up() {
    let documents = r"---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: db}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: after, annotations: {argocd.argoproj.io/hook: PostSync}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: x}]}}}
";
    insta::assert_snapshot!(waits(
        "workloads: [{match: StatefulSet/db, hang: {state: Pending}}]",
        documents
    ));
}

/// The engine's view hides the Job: the cluster knows better.
#[test]
fn an_engine_that_does_not_see_the_end() {
    let spec = "limits: {time: 5m}\nfaults: [{name: silence, on: watch Job, after: 2, drop: {events: 100}}]";
    insta::assert_snapshot!(waits(spec, &job("migrate", PRE_SYNC, "")));
}

#[test]
fn a_deletion_that_a_finalizer_holds() {
    let held = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n";
    insta::assert_snapshot!(waits("steps: [{sync: {}}, {deleteApp: {}}]", held));
}

#[test]
fn a_delete_hook_that_hangs() {
    let spec = "workloads: [{match: Job/goodbye, hang: {}}]\nsteps: [{sync: {}}, {deleteApp: {}}]";
    insta::assert_snapshot!(waits(
        spec,
        &(job("goodbye", "argocd.argoproj.io/hook: PreDelete", "") + SETTINGS)
    ));
}

#[test]
fn a_sync_outside_of_its_window() {
    let spec = "app: {project: {syncWindows: [{kind: deny, schedule: \"* * * * *\", duration: 24h, applications: [\"*\"]}]}}\nlimits: {time: 5m}";
    insta::assert_snapshot!(waits(spec, SETTINGS));
}

/// Waves are told with their operation where there are several, and prunes with what held them up.
#[test]
fn what_waves_have_waited_for() {
    let slow = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: slow, annotations: {argocd.argoproj.io/sync-wave: \"1\"}}\n";
    let spec = "workloads: [{match: ConfigMap/slow, deletion: {after: 20s}}]\n\
                steps: [{sync: {}}, {commit: {remove: [ConfigMap/slow, ConfigMap/settings]}}, {sync: {prune: true}}]";
    let mut outcome = outcome(spec, &(slow.to_owned() + SETTINGS));
    outcome.explain(true);
    insta::assert_snapshot!(terminal::run(&outcome, &Layout::plain()));
}
