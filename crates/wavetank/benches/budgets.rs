//! The budgets of the architecture: run with `cargo bench -p wavetank`.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wavetank::{Options, RunEnd, simulate};
use wavetank_apiserver::{ResponseBody, Server, ServerApi, ServerConfig};
use wavetank_cluster::{Cluster, Observer};
use wavetank_cluster_sim::{SimCluster, SimConfig, drive, runtime};
use wavetank_json::{Value, json};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::{Actor, Api, Change, object};
use wavetank_scenario::{LoadOptions, Scenario, load_bytes};

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn load(text: &str) -> Vec<Arc<Scenario>> {
    let loaded = load_bytes(
        Path::new("bench.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    );
    loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .scenarios
        .into_iter()
        .map(Arc::new)
        .collect()
}

fn run(scenario: &Arc<Scenario>) -> usize {
    let simulation = simulate(scenario, Options::default());
    assert_eq!(
        simulation.end,
        RunEnd::Completed(Vec::new()),
        "{}",
        scenario.name
    );
    simulation.trace.entries.len()
}

const HEAD: &str = "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: bench}\nspec: {limits: {time: 24h}}\n";

fn job(name: &str, hook: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: {hook}}}}}\n\
         spec: {{backoffLimit: 0, template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: alpine, command: [sleep, '20']}}]}}}}}}\n"
    )
}

fn deployment(name: &str, wave: usize) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, annotations: {{argocd.argoproj.io/sync-wave: '{wave}'}}}}\n\
         spec: {{selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: c, image: nginx}}]}}}}}}\n"
    )
}

fn config_map(name: &str, wave: usize) -> String {
    let text = "x".repeat(400);
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{argocd.argoproj.io/sync-wave: '{wave}'}}}}\ndata: {{text: {text}}}\n"
    )
}

fn ten_objects() -> String {
    let mut text = HEAD.to_owned() + &job("migrate", "PreSync") + &job("smoke", "PostSync");
    for number in 0..3 {
        text += &deployment(&format!("web-{number}"), 0);
        text += &config_map(&format!("settings-{number}"), 0);
    }
    text + &job("report", "PostSync") + &config_map("last", 1)
}

/// The same with all that a real cluster does unasked, Events above all.
const NOISY: &str = "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: bench}\nspec: {limits: {time: 24h}, cluster: {noise: true}}\n";

fn many(head: &str, count: usize, object: impl Fn(&str, usize) -> String) -> Arc<Scenario> {
    let mut text = head.to_owned();
    for number in 0..count {
        text += &object(&format!("object-{number:05}"), number * 20 / count);
    }
    load(&text).remove(0)
}

/// Notes when a Job has succeeded or failed.
struct JobEnd(Mutex<Option<futures::channel::oneshot::Sender<()>>>);

impl Observer for JobEnd {
    fn committed(&self, change: &Change) {
        if change.key.kind == "Job"
            && object::outcome("batch", "Job", &change.new).is_some()
            && let Some(sender) = self.0.lock().ok().and_then(|mut sender| sender.take())
        {
            sender.send(()).ok();
        }
    }

    fn idle(&self) {}
}

fn cluster() -> Arc<SimCluster> {
    let config = SimConfig {
        seed: Seed(0),
        chooser: Chooser::canonical(),
        server: ServerConfig::default(),
        workload: wavetank_workload::Config::default(),
        rules: Vec::new(),
        namespace: "default".to_owned(),
        time_scale: 1,
        controllers: true,
    };
    Arc::new(SimCluster::new(config).unwrap_or_else(|error| panic!("{error}")))
}

/// A cluster with the runtime it lives on.
fn fresh() -> (tokio::runtime::Runtime, Arc<SimCluster>) {
    let runtime = runtime().unwrap_or_else(|error| panic!("{error}"));
    let cluster = runtime.block_on(async { cluster() });
    (runtime, cluster)
}

/// A Job from its create to its end, on a cluster of its own, which is given back.
fn hook_job(
    (runtime, cluster): (tokio::runtime::Runtime, Arc<SimCluster>),
) -> (tokio::runtime::Runtime, Arc<SimCluster>) {
    runtime.block_on(async {
        let pace = tokio::spawn(drive(Arc::clone(&cluster)));
        let (sender, ended) = futures::channel::oneshot::channel();
        cluster.observe(Arc::new(JobEnd(Mutex::new(Some(sender)))));
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {
            "backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "alpine", "command": ["sleep", "20"]}]}}}});
        create(&cluster.client(&Actor::new(Actor::USER)), "/apis/batch/v1/namespaces/default/jobs", &job).await;
        ended.await.unwrap_or_else(|_| panic!("the Job did not end"));
        pace.abort();
    });
    (runtime, cluster)
}

async fn create(client: &kube::Client, path: &str, body: &Value) {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(bytes);
    let answer = client.request_text(request.unwrap_or_default()).await;
    answer.unwrap_or_else(|error| panic!("{error}"));
}

/// Time for `count` creates of 600-byte `ConfigMap`s through a `kube::Client`, the cluster's start left out.
fn creates(count: u64) -> Duration {
    let runtime = runtime().unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        let cluster = cluster();
        let pace = tokio::spawn(drive(Arc::clone(&cluster)));
        let client = cluster.client(&Actor::new(Actor::USER));
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
        let start = Instant::now();
        for number in 0..count {
            let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c-{number}")},
                "data": {"text": "x".repeat(480)}});
            create(&client, "/api/v1/namespaces/default/configmaps", &body).await;
        }
        let spent = start.elapsed();
        pace.abort();
        spent
    })
}

/// A server that has `count` Deployments with status.
fn deployments(count: usize) -> Server {
    let mut server = Server::new(ServerConfig::default(), Seed(0));
    for number in 0..count {
        let name = format!("web-{number:05}");
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx:1"}]}}},
        });
        let mut api = ServerApi::new(&mut server, SimTime::ZERO);
        api.create("user", deployment)
            .unwrap_or_else(|refusal| panic!("{}", refusal.message));
    }
    server
}

/// The length of the answer to a LIST.
fn list(server: &mut Server, query: &str) -> usize {
    let request = http::Request::get(format!(
        "/apis/apps/v1/namespaces/default/deployments{query}"
    ));
    let request = request.body(bytes::Bytes::new()).unwrap_or_default();
    let answer = server.handle(&request, &Actor::new(Actor::USER), SimTime::ZERO);
    match answer.into_body() {
        ResponseBody::Full(bytes) => bytes.len(),
        ResponseBody::Watch(_) => 0,
    }
}

fn library() -> Vec<Arc<Scenario>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files =
        wavetank_scenario::discover(&[root]).unwrap_or_else(|problems| panic!("{problems}"));
    let load = |file| wavetank_scenario::load(file, &LoadOptions::default());
    let loaded = files
        .iter()
        .map(|file| load(file).unwrap_or_else(|problems| panic!("{problems}")));
    loaded
        .flat_map(|loaded| loaded.scenarios)
        .map(Arc::new)
        .collect()
}

fn budgets(criterion: &mut Criterion) {
    criterion.bench_function("hook Job of 20 s, create to done", |bencher| {
        bencher.iter_batched(fresh, hook_job, BatchSize::SmallInput);
    });
    let text = ten_objects();
    criterion.bench_function("10 objects in 3 phases, parsing included", |bencher| {
        bencher.iter(|| run(&load(&text)[0]));
    });
    criterion.bench_function("the scenario library, one thread", |bencher| {
        bencher.iter_batched(
            library,
            |scenarios| {
                for scenario in &scenarios {
                    simulate(scenario, Options::default());
                }
            },
            BatchSize::LargeInput,
        );
    });
    let mut group = criterion.benchmark_group("creates through kube::Client");
    group.throughput(Throughput::Elements(1));
    group.bench_function("600-byte ConfigMap", |bencher| bencher.iter_custom(creates));
    group.finish();
    let mut group = criterion.benchmark_group("LIST of 10000 Deployments");
    let mut server = deployments(10_000);
    for (name, query) in [
        ("whole", ""),
        ("a page of 500", "?limit=500"),
        ("by label", "?labelSelector=app%3Dweb-00500"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| list(&mut server, query)));
    }
    group.finish();
    drop(server);
    let mut group = criterion.benchmark_group("an app in 20 waves");
    group.sample_size(10);
    for count in [1000, 5000] {
        let mut name = String::new();
        write!(name, "{count} ConfigMaps").ok();
        let scenario = many(HEAD, count, config_map);
        group.bench_function(name, |bencher| bencher.iter(|| run(&scenario)));
    }
    for (name, head, count) in [
        ("500 one-replica Deployments", HEAD, 500),
        ("500 one-replica Deployments with Events", NOISY, 500),
        ("5000 one-replica Deployments", HEAD, 5000),
    ] {
        let scenario = many(head, count, deployment);
        group.bench_function(name, |bencher| bencher.iter(|| run(&scenario)));
    }
    group.finish();
}

criterion_group!(benches, budgets);
criterion_main!(benches);
