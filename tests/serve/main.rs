//! `wavetank serve` as a process: accounts come in, what it records can be judged, it stops cleanly, and it holds under
//! load.

mod accounts;
mod judged;
mod load;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::runtime::{Builder, Runtime};
use wavetank_json::Value;
use wavetank_tests::wire::Serve;

fn wavetank() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_wavetank"))
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the operating system gives a runtime")
}

/// Asks, and gives the code and the body of the answer.
async fn send(client: &Client, method: &str, uri: &str, body: &Value) -> (u16, Value) {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let request = http::Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json")
        .body(Body::from(bytes))
        .expect("a request");
    let response = client.send(request).await.expect("an answer");
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    let body = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    (code, body)
}

/// Sends a signal and waits for the end; gives the exit code.
fn stop(mut server: Serve, signal: &str) -> Option<i32> {
    let sent = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(server.program.id().to_string())
        .status()
        .expect("kill can be started");
    assert!(sent.success(), "the server was running");
    for _ in 0..600 {
        if let Some(status) = server
            .program
            .0
            .try_wait()
            .expect("a child can be waited for")
        {
            assert!(
                !server.kubeconfig().exists(),
                "the kubeconfig goes with the server"
            );
            return status.code();
        }
        #[expect(clippy::disallowed_methods, reason = "a process ends in its own time")]
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server does not stop")
}

#[test]
fn it_stops_cleanly_on_both_signals() {
    for signal in ["INT", "TERM"] {
        let server = Serve::start(wavetank(), &[]).expect("the server starts");
        assert_eq!(stop(server, signal), Some(0), "{signal}");
    }
}
