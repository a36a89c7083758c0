//! Replays the differential cases in `cases/` against the server in memory: one test per case.
//!
//! The same cases go to `wavetank serve` and to a real API server in the test `differential` of the command.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::UnboundedReceiver;
use http::Request;
use libtest_mimic::{Arguments, Failed, Trial};
use wavetank_apiserver::{ResponseBody, Server, ServerConfig};
use wavetank_json::{Value, json};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::Actor;
use wavetank_tests::cases::{self, Outgoing, Reply, Target};

fn main() {
    let arguments = Arguments::from_args();
    let trials = cases::all().into_iter().map(|case| {
        Trial::test(case.name(), move || {
            cases::replay(&case, &mut InProcess::new()).map_err(Failed::from)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// A fresh server with a namespace `t`.
struct InProcess {
    server: Server,
    now: SimTime,
    chooser: Chooser,
    watches: BTreeMap<String, UnboundedReceiver<Bytes>>,
}

impl InProcess {
    fn new() -> Self {
        let mut target = Self {
            server: Server::new(ServerConfig::default(), Seed(1)),
            now: SimTime::from_millis(1_000),
            chooser: Chooser::canonical(),
            watches: BTreeMap::new(),
        };
        let request = Request::post("/api/v1/namespaces")
            .body(Bytes::from(json!({"metadata": {"name": "t"}}).to_string()));
        target.server.handle(
            &request.expect("a request"),
            &Actor::new("setup"),
            target.now,
        );
        target
    }
}

impl Target for InProcess {
    fn send(&mut self, request: &Outgoing) -> Result<Reply, String> {
        let mut builder = Request::builder()
            .method(request.method.as_str())
            .uri(&request.uri);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let sent = builder
            .body(Bytes::from(request.body.clone()))
            .map_err(|error| error.to_string())?;
        let response = self.server.handle(&sent, &Actor::new("user"), self.now);
        let (parts, body) = response.into_parts();
        let body = match body {
            ResponseBody::Watch(receiver) => {
                let name = request.watch.clone().unwrap_or_default();
                self.watches.insert(name, receiver);
                None
            }
            ResponseBody::Full(bytes) => Some(bytes.into()),
        };
        Ok(Reply {
            code: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    fn look(&mut self, watch: &str) -> Result<(Vec<Value>, bool), String> {
        self.advance(Duration::from_millis(5));
        let receiver = self
            .watches
            .get_mut(watch)
            .ok_or_else(|| format!("no watch is called {watch}"))?;
        let mut seen = Vec::new();
        loop {
            match receiver.try_recv() {
                Ok(line) => seen.push(
                    serde_json::from_slice(&line).map_err(|error| format!("no JSON: {error}"))?,
                ),
                Err(error) => return Ok((seen, error.is_closed())),
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some((at, _)) = self.server.next_due().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.run_due(self.now, &mut self.chooser);
        }
        self.now = end;
    }

    fn compact(&mut self) -> Result<(), String> {
        self.server.compact();
        Ok(())
    }
}
