//! A scenario is served, a client acts as its engine, and the trace is judged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::ApiResource;
use kube::{Client, Config};
use tokio::time::{sleep, timeout};
use wavetank_json::{Value, json};
use wavetank_tests::wire::Serve;

use crate::{runtime, stop, wavetank};

/// A Deployment, then a Job that takes a minute, or fails.
const SCENARIO: &str = r#"
apiVersion: wavetank/v1
kind: Scenario
metadata: {name: served}
spec:
  workloads:
    - match: Job/after
      attempts: [{succeed: {after: 60s}}]
  expect:
    order:
      - Deployment/web applied
      - Deployment/web healthy
      - Job/after applied
      - Job/after succeeded
    within:
      Job/after succeeded: {since: Job/after applied, min: 61s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: after}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: [sleep, "1"]}]
"#;

/// The client of the engine's token: what it writes counts as applied.
async fn engine(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let options = KubeConfigOptions {
        context: Some("wavetank-engine".to_owned()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options).await;
    Client::try_from(config.expect("a context")).expect("a client")
}

fn api(client: &Client, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{group}/v1").trim_start_matches('/').to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::default_namespaced_with(client.clone(), &resource)
}

async fn apply(api: &Api<DynamicObject>, name: &str, object: &Value) {
    let params = PatchParams::apply("engine").force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .expect("an apply is accepted");
}

async fn until(api: &Api<DynamicObject>, name: &str, pointer: &str) {
    let waited = timeout(Duration::from_secs(60), async {
        loop {
            let found = api.get(name).await.expect("the object is there");
            if found.data.pointer(pointer).is_some_and(|count| count == 1) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("it happens within a minute");
}

/// Serves the scenario, applies both objects in order or at once, and judges; gives the exit code and the report.
fn judge(in_order: bool) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("a folder");
    let (scenario, trace) = (
        home.path().join("served.yaml"),
        home.path().join("trace.jsonl"),
    );
    fs::write(&scenario, SCENARIO).expect("the scenario is written");
    let texts = [&scenario, &trace].map(|path| path.to_string_lossy().into_owned());
    let arguments = [
        texts[0].as_str(),
        "--time-scale",
        "50",
        "--trace",
        &texts[1],
    ];
    let server = Serve::start(wavetank(), &arguments).expect("the server starts");
    runtime().block_on(async {
        let client = engine(&server.kubeconfig()).await;
        let deployments = api(&client, "apps", "Deployment", "deployments");
        let jobs = api(&client, "batch", "Job", "jobs");
        let pod = |restart: &str| json!({"restartPolicy": restart, "containers": [{"name": "c", "image": "nginx"}]});
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod("Always")}}});
        let after = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "after"}, "spec": {"template": {"spec": pod("Never")}}});
        if in_order {
            apply(&deployments, "web", &web).await;
            until(&deployments, "web", "/status/availableReplicas").await;
            apply(&jobs, "after", &after).await;
        } else {
            apply(&jobs, "after", &after).await;
            apply(&deployments, "web", &web).await;
            until(&deployments, "web", "/status/availableReplicas").await;
        }
        until(&jobs, "after", "/status/succeeded").await;
    });
    assert_eq!(stop(server, "TERM"), Some(0));
    let output = Command::new(wavetank())
        .arg("judge")
        .args([&trace, &scenario])
        .output()
        .expect("judge can be started");
    let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
    shown.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code(), shown)
}

#[test]
fn a_trace_of_a_good_engine_passes() {
    let (code, shown) = judge(true);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("PASSED"), "{shown}");
}

#[test]
fn a_trace_of_an_impatient_engine_fails() {
    let (code, shown) = judge(false);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("FAILED"), "{shown}");
}

#[test]
fn a_deletion_is_held_until_its_event() {
    const HELD: &str = "{apiVersion: wavetank/v1, kind: Scenario, metadata: {name: held}, spec: {\
         cluster: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: held}}]},\
         workloads: [{match: ConfigMap/held, deletion: {until: ConfigMap/key created}}],\
         steps: [{apply: [{apiVersion: v1, kind: ConfigMap, metadata: {name: key}}]}]}}\n";
    let home = tempfile::tempdir().expect("a folder");
    let scenario = home.path().join("held.yaml");
    fs::write(&scenario, HELD).expect("the scenario is written");
    let server = Serve::start(wavetank(), &[&scenario.to_string_lossy()]).expect("it starts");
    runtime().block_on(async {
        let client = engine(&server.kubeconfig()).await;
        let maps = api(&client, "", "ConfigMap", "configmaps");
        maps.delete("held", &DeleteParams::default())
            .await
            .expect("a delete is accepted");
        let held = maps.get("held").await.expect("it is held");
        assert!(held.metadata.deletion_timestamp.is_some());
        let key = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "key"}});
        apply(&maps, "key", &key).await;
        let gone = timeout(Duration::from_secs(60), async {
            while maps.get_opt("held").await.expect("an answer").is_some() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        gone.await.expect("it goes within a minute");
    });
    assert_eq!(stop(server, "TERM"), Some(0));
}

#[test]
fn health_scripts_of_the_scenario_are_used() {
    const SCRIPTED: &str = "{apiVersion: wavetank/v1, kind: Scenario, metadata: {name: scripted}, spec: {\
         app: {settings: {resourceCustomizations: [{kind: ConfigMap, health.lua: 'return {status = \"Degraded\"}'}]}},\
         cluster: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: here}}]},\
         expect: {count: {ConfigMap/here degraded: 1}}}}\n";
    let home = tempfile::tempdir().expect("a folder");
    let paths = ["scripted.yaml", "trace.jsonl"].map(|name| home.path().join(name));
    fs::write(&paths[0], SCRIPTED).expect("the scenario is written");
    let [scenario, trace] = paths.each_ref().map(|path| path.to_string_lossy());
    let server =
        Serve::start(wavetank(), &[&*scenario, "--trace", &*trace]).expect("the server starts");
    assert_eq!(stop(server, "TERM"), Some(0));
    let output = Command::new(wavetank())
        .args(["judge", &*trace, &*scenario])
        .output()
        .expect("judge can be started");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
}
