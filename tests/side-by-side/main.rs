//! The served fake and a real API server side by side: the same requests through the same client, in one run.
//!
//! `KUBEBUILDER_ASSETS=… cargo bench -p wavetank-cli --bench side-by-side` prints a Markdown table. Without the programs
//! of a real server only one column is measured, and a message says so. `WAVETANK_BENCH_OBJECTS` is the length of the
//! long list (10000).

#![expect(
    clippy::disallowed_methods,
    clippy::naive_bytecount,
    reason = "a benchmark measures real time; its answers are short"
)]

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::runtime::{Builder, Runtime};
use wavetank_json::{Value, json};
use wavetank_tests::wire::{self, ControlPlane, Serve};

type Failure = Box<dyn Error>;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Requests that are under way at once, where a row says so.
const AT_ONCE: usize = 16;

fn main() -> Result<(), Failure> {
    // `cargo bench` and `cargo test --benches` pass flags; only the former measures.
    if !env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let started = Instant::now();
    let serve = Serve::start(
        Path::new(env!("CARGO_BIN_EXE_wavetank")),
        &["--no-controllers"],
    )?;
    let start = started.elapsed();
    let mut columns = vec![measure(
        &runtime,
        &serve.kubeconfig(),
        start,
        &[serve.program.id()],
    )?];
    drop(serve);
    if let Some(assets) = wire::assets() {
        let started = Instant::now();
        let plane = ControlPlane::start(&assets)?;
        let start = started.elapsed();
        let processes = [plane.server.id(), plane.etcd.id()];
        columns.push(measure(&runtime, plane.kubeconfig(), start, &processes)?);
    } else {
        say("SKIPPED: no real API server; KUBEBUILDER_ASSETS names the folder of its programs")?;
    }
    say("| what | wavetank serve | kube-apiserver |\n|---|---|---|")?;
    for row in 0..columns[0].len() {
        let (name, ours) = &columns[0][row];
        let theirs = columns
            .get(1)
            .map_or("not measured", |column| &column[row].1);
        say(&format!("| {name} | {ours} | {theirs} |"))?;
    }
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

type Rows = Vec<(String, String)>;

fn measure(
    runtime: &Runtime,
    kubeconfig: &Path,
    start: Duration,
    processes: &[u32],
) -> Result<Rows, Failure> {
    let mut rows = vec![
        ("start until ready".to_owned(), millis(start)),
        ("memory when ready".to_owned(), memory(processes)?),
    ];
    let many: usize = env::var("WAVETANK_BENCH_OBJECTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    runtime.block_on(async {
        let client = wire::client(kubeconfig).await?;
        let name = |index: usize| format!("c{index:05}");
        let create = |index: usize| ("POST", MAPS.to_owned(), "", config_map(&name(index)));
        let one = |index: usize| format!("{MAPS}/{}", name(index));

        let rate = run(&client, 1, (0..500).map(create)).await?;
        rows.push(("create, one after the other".to_owned(), rate));
        let rate = run(&client, AT_ONCE, (500..1_000).map(create)).await?;
        rows.push((
            format!("create, {AT_ONCE} at once, the first 500 with their connections"),
            rate,
        ));
        let get = |index: usize| ("GET", one(index), "", Value::Null);
        rows.push((
            "get, one after the other".to_owned(),
            run(&client, 1, (0..500).map(get)).await?,
        ));
        rows.push((
            format!("get, {AT_ONCE} at once"),
            run(&client, AT_ONCE, (0..1_000).map(get)).await?,
        ));
        let patch = |index: usize| {
            (
                "PATCH",
                one(index),
                "application/merge-patch+json",
                json!({"data": {"k": "new"}}),
            )
        };
        rows.push((
            "merge patch".to_owned(),
            run(&client, 1, (0..500).map(patch)).await?,
        ));
        let apply = |index: usize| {
            let mut object = config_map(&name(index));
            object["data"]["applied"] = json!("yes");
            (
                "PATCH",
                format!("{}?fieldManager=bench&force=true", one(index)),
                "application/apply-patch+yaml",
                object,
            )
        };
        rows.push((
            "server-side apply".to_owned(),
            run(&client, 1, (0..500).map(apply)).await?,
        ));
        rows.push(("list of 1 000".to_owned(), list(&client).await?));
        rows.push((
            "100 watches of 100 changes each, until all have seen all".to_owned(),
            fan_out(&client).await?,
        ));
        let rate = run(&client, AT_ONCE, (1_000..many).map(create)).await?;
        rows.push((
            format!("create, {AT_ONCE} at once, from 1 000 to {many} of them"),
            rate,
        ));
        rows.push((format!("list of {many}"), list(&client).await?));
        rows.push((format!("memory with {many} ConfigMaps"), memory(processes)?));
        Ok::<_, Failure>(())
    })?;
    Ok(rows)
}

/// Of 600 bytes.
fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "bench"}}, "data": {"k": "x".repeat(492)}})
}

fn millis(time: Duration) -> String {
    if time < Duration::from_millis(100) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.0} ms", time.as_secs_f64() * 1e3)
    }
}

/// Resident memory of the processes together.
fn memory(processes: &[u32]) -> Result<String, Failure> {
    let mut kibibytes = 0_u64;
    for process in processes {
        let text = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        kibibytes += number.ok_or("no VmRSS")?.parse::<u64>()?;
    }
    Ok(format!("{} MiB", kibibytes / 1024))
}

async fn send(
    client: &Client,
    (method, uri, media, body): (&str, String, &str, Value),
) -> Result<Vec<u8>, Failure> {
    let mut request = http::Request::builder().method(method).uri(uri);
    if !body.is_null() {
        request = request.header(
            "content-type",
            if media.is_empty() {
                "application/json"
            } else {
                media
            },
        );
    }
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let response = client.send(request.body(Body::from(body))?).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        Ok(bytes.into())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)).into())
    }
}

/// Sends requests, so many at once; gives the rate.
async fn run(
    client: &Client,
    at_once: usize,
    requests: impl Iterator<Item = (&'static str, String, &'static str, Value)>,
) -> Result<String, Failure> {
    let requests: Vec<_> = requests.collect();
    let count = requests.len();
    let started = Instant::now();
    let mut answers = stream::iter(requests)
        .map(|request| send(client, request))
        .buffer_unordered(at_once);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    let count = u32::try_from(count)?;
    Ok(format!(
        "{:.0}/s",
        f64::from(count) / started.elapsed().as_secs_f64()
    ))
}

/// The median of five lists.
async fn list(client: &Client) -> Result<String, Failure> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        send(client, ("GET", MAPS.to_owned(), "", Value::Null)).await?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(millis(times[2]))
}

async fn fan_out(client: &Client) -> Result<String, Failure> {
    const WATCHES: usize = 100;
    const CHANGES: usize = 100;
    let path = "/api/v1/namespaces/default/secrets";
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let request = http::Request::get(format!("{path}?watch=true&resourceVersion=0"))
            .body(Body::empty())?;
        watches.push(client.send(request).await?.into_body());
    }
    let started = Instant::now();
    let readers = watches.into_iter().map(|mut body| async move {
        let mut seen = 0;
        while seen < CHANGES {
            let frame = body.frame().await.ok_or("a watch ended")??;
            if let Ok(data) = frame.into_data() {
                seen += data.iter().filter(|byte| **byte == b'\n').count();
            }
        }
        Ok::<_, Failure>(())
    });
    let writes = async {
        for index in 0..CHANGES {
            let object =
                json!({"metadata": {"name": format!("s{index}")}, "stringData": {"k": "v"}});
            send(client, ("POST", path.to_owned(), "", object)).await?;
        }
        Ok::<_, Failure>(())
    };
    let (read, written) = futures::join!(futures::future::join_all(readers), writes);
    written?;
    for one in read {
        one?;
    }
    Ok(millis(started.elapsed()))
}
