//! Many clients at once: no update is lost, no watch misses or repeats an event, and who does not read costs little.
//!
//! `WAVETANK_LOAD=full` sends ten times as much.

use std::env;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;
use wavetank_json::{Value, json};
use wavetank_tests::wire::{self, Serve};

use crate::{runtime, send, wavetank};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn times() -> usize {
    if env::var_os("WAVETANK_LOAD").is_some_and(|value| value == "full") {
        10
    } else {
        1
    }
}

#[test]
fn concurrent_writers_on_one_object_lose_no_update() {
    let server = Serve::start(wavetank(), &["--no-controllers"]).expect("the server starts");
    let each = 40 * times();
    runtime().block_on(async {
        let client = wire::client(&server.kubeconfig()).await.expect("a client");
        let first = json!({"metadata": {"name": "counter"}, "data": {"n": "0"}});
        assert_eq!(send(&client, "POST", MAPS, &first).await.0, 201);
        let uri = format!("{MAPS}/counter");
        let writers = (0..8).map(|_| async {
            let mut conflicts = 0_usize;
            for _ in 0..each {
                loop {
                    let (_, mut object) = send(&client, "GET", &uri, &Value::Null).await;
                    let number: usize = object["data"]["n"]
                        .as_str()
                        .unwrap_or_default()
                        .parse()
                        .expect("a number");
                    object["data"]["n"] = json!((number + 1).to_string());
                    match send(&client, "PUT", &uri, &object).await {
                        (200, _) => break,
                        (409, status) => {
                            assert_eq!(status["reason"], "Conflict");
                            conflicts += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            conflicts
        });
        let conflicts: usize = join_all(writers).await.into_iter().sum();
        assert!(conflicts > 0, "the writers met each other");
        let (_, object) = send(&client, "GET", &uri, &Value::Null).await;
        assert_eq!(object["data"]["n"], (8 * each).to_string());
    });
}

/// Reads a watch, ending and resuming it after each `step` events, until revision `last`; gives what it saw.
async fn follow(
    client: Client,
    mut from: String,
    step: usize,
    last: Arc<tokio::sync::watch::Receiver<u64>>,
) -> Result<Vec<u64>, String> {
    let mut seen = Vec::new();
    loop {
        let uri = format!("{MAPS}?watch=true&resourceVersion={from}");
        let request = http::Request::get(uri)
            .body(Body::empty())
            .expect("a request");
        let mut body = client
            .send(request)
            .await
            .map_err(|error| error.to_string())?
            .into_body();
        let (mut pending, mut count) = (Vec::new(), 0);
        while count < step {
            let wanted = *last.borrow();
            if wanted > 0 && seen.last().is_some_and(|last| *last >= wanted) {
                return Ok(seen);
            }
            let Ok(frame) = timeout(Duration::from_millis(500), body.frame()).await else {
                continue;
            };
            let frame = frame
                .ok_or("the watch ended by itself")?
                .map_err(|error| error.to_string())?;
            pending.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let event: Value =
                    serde_json::from_slice(&line).map_err(|error| error.to_string())?;
                let version = event["object"]["metadata"]["resourceVersion"]
                    .as_str()
                    .ok_or_else(|| format!("{event}"))?;
                version.clone_into(&mut from);
                seen.push(version.parse::<u64>().map_err(|error| error.to_string())?);
                count += 1;
            }
        }
    }
}

#[test]
fn watches_that_resume_miss_and_repeat_nothing() {
    let server = Serve::start(wavetank(), &["--no-controllers"]).expect("the server starts");
    let (watches, writes) = (
        20 * if times() > 1 { 5 } else { 1 },
        500 * times() * times().min(2),
    );
    runtime().block_on(async {
        let client = wire::client(&server.kubeconfig()).await.expect("a client");
        let (_, found) = send(&client, "GET", MAPS, &Value::Null).await;
        let start = found["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let (tell, last) = tokio::sync::watch::channel(0_u64);
        let last = Arc::new(last);
        let followers = (0..watches).map(|index| {
            follow(
                client.clone(),
                start.clone(),
                7 + index * 13,
                Arc::clone(&last),
            )
        });
        let changes = async {
            let mut versions = Vec::new();
            for index in 0..writes {
                let name = format!("c{}", index / 3);
                let (code, object) = match index % 3 {
                    0 => send(&client, "POST", MAPS, &json!({"metadata": {"name": name}})).await,
                    1 => {
                        send(
                            &client,
                            "PUT",
                            &format!("{MAPS}/{name}"),
                            &json!({"metadata": {"name": name}, "data": {"k": "v"}}),
                        )
                        .await
                    }
                    // The answer to a delete tells no version; the next write's is one higher than the delete's.
                    _ => {
                        let answer =
                            send(&client, "DELETE", &format!("{MAPS}/{name}"), &Value::Null).await;
                        versions.push(versions.last().copied().unwrap_or(0) + 1);
                        assert_eq!(answer.0, 200);
                        continue;
                    }
                };
                assert!(code < 300, "{code}: {object}");
                let version = object["metadata"]["resourceVersion"]
                    .as_str()
                    .unwrap_or_default();
                versions.push(version.parse::<u64>().expect("a version"));
            }
            tell.send(versions.last().copied().unwrap_or(0))
                .expect("somebody listens");
            versions
        };
        let (seen, versions) = futures::join!(try_join_all(followers), changes);
        for one in seen.expect("no watch fails") {
            assert_eq!(one, versions, "every event once, in order");
        }
    });
}

/// Resident memory of the server in MiB, where the system tells.
fn memory(server: &Serve) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", server.program.id())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes / 1024)
}

#[test]
fn what_is_past_takes_no_memory() {
    let server = Serve::start(wavetank(), &["--no-controllers"]).expect("the server starts");
    runtime().block_on(async {
        let client = wire::client(&server.kubeconfig()).await.expect("a client");
        let before = memory(&server);
        let big = "x".repeat(400_000);
        let uri = format!("{MAPS}/big");
        for index in 0..300 * times() {
            let object =
                json!({"metadata": {"name": "big"}, "data": {"k": format!("{index}{big}")}});
            let (method, uri) = if index == 0 {
                ("POST", MAPS)
            } else {
                ("PUT", uri.as_str())
            };
            let code = send(&client, method, uri, &object).await.0;
            assert!(code < 300, "{code}");
        }
        // A trace that nobody asked for would hold 120 MB; the history of watches is 16 MiB.
        if let (Some(before), Some(after)) = (before, memory(&server)) {
            assert!(after < before + 60, "from {before} MiB to {after} MiB");
        }
    });
}

#[test]
fn clients_that_do_not_read_or_vanish_cost_little() {
    let server = Serve::start(wavetank(), &["--no-controllers"]).expect("the server starts");
    runtime().block_on(async {
        let client = wire::client(&server.kubeconfig()).await.expect("a client");
        let watch = || async {
            let request = http::Request::get(format!("{MAPS}?watch=true")).body(Body::empty());
            client.send(request.expect("a request")).await.expect("a watch").into_body()
        };
        let before = memory(&server);
        let slow = join_all((0..20).map(|_| watch())).await;
        drop(join_all((0..50).map(|_| watch())).await);
        let big = "x".repeat(20_000);
        for index in 0..200 * times() {
            let object = json!({"metadata": {"name": format!("c{}", index % 10)}, "data": {"k": format!("{index}{big}")}});
            let uri = format!("{MAPS}/c{}", index % 10);
            let code = send(&client, if index < 10 { "POST" } else { "PUT" }, if index < 10 { MAPS } else { &uri }, &object).await.0;
            assert!(code < 300, "{code}");
        }
        // 20 watches times 200 events of 20 kB would be 80 MB if each had its own copy.
        if let (Some(before), Some(after)) = (before, memory(&server)) {
            let limit = 60 * u64::try_from(times()).unwrap_or(1);
            assert!(after < before + limit, "from {before} MiB to {after} MiB");
        }
        let (code, text) = {
            let request = http::Request::get("/metrics").body(Vec::new()).expect("a request");
            let text = client.request_text(request).await.expect("metrics");
            (200, text)
        };
        assert_eq!(code, 200);
        assert!(text.contains("apiserver_longrunning_requests{verb=\"WATCH\"} 20"), "{text}");
        drop(slow);
    });
}
