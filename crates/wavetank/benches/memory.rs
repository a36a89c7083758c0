//! Memory of a cluster of many Deployments with their `ReplicaSets` and Pods: `cargo bench -p wavetank --bench memory`.
//!
//! Prints how much the process grew, in whole, and per Deployment, when all are rolled out, for 1000 and 10000 of them.

use std::fs;
use std::time::Duration;

use serde_json::json;
use wavetank_apiserver::{Server, ServerApi, ServerConfig};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::Api;
use wavetank_workload::{Config, Controllers};

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PAGE: usize = 4096;

/// Bytes of the process that are in memory.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * PAGE
}

struct World {
    server: Server,
    controllers: Controllers,
    chooser: Chooser,
    now: SimTime,
}

impl World {
    fn new() -> Self {
        let config = Config::default();
        let start = wavetank_workload::bootstrap(&config);
        let mut world = Self {
            server: Server::new(ServerConfig::default(), Seed(0)),
            controllers: Controllers::new(Vec::new(), "default".to_owned(), config, Seed(0)),
            chooser: Chooser::canonical(),
            now: SimTime::ZERO,
        };
        for object in start {
            world.create(object);
        }
        world.run();
        world
    }

    fn create(&mut self, object: serde_json::Value) {
        let created = ServerApi::new(&mut self.server, self.now).create("user", object);
        created.unwrap_or_else(|refusal| panic!("{}", refusal.message));
        self.settle();
    }

    fn settle(&mut self) {
        for change in self.server.drain_changes() {
            self.controllers.observe(&change);
        }
        drop(self.server.drain_requests());
    }

    /// Until nothing is pending that is work.
    fn run(&mut self) {
        while self.server.next_work().is_some() || self.controllers.next_work().is_some() {
            let (server, controllers) = (self.server.next_due(), self.controllers.next_due());
            let Some((at, _)) = server.into_iter().chain(controllers).min() else {
                return;
            };
            self.now = self.now.max(at);
            let first =
                server.is_some_and(|server| controllers.is_none_or(|other| server <= other));
            if first {
                self.server.run_due(at, &mut self.chooser);
            } else {
                let mut api = ServerApi::new(&mut self.server, at);
                self.controllers.run_next(at, &mut api, &mut self.chooser);
            }
            self.settle();
        }
    }
}

/// Prints to the terminal: benchmarks have no other way.
#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
fn say(text: &str) {
    println!("{text}");
}

fn main() {
    for count in [1000, 10_000] {
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
        let start = std::time::Instant::now();
        let before = resident();
        let mut world = World::new();
        for number in 0..count {
            let name = format!("web-{number:05}");
            world.create(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
                "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
                    "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx:1"}]}}},
            }));
        }
        world.run();
        let grown = resident().saturating_sub(before);
        let spent: Duration = start.elapsed();
        say(&format!(
            "{count} Deployments with ReplicaSets and Pods: {} MB, {} kB each, rolled out in {} ms",
            grown / 1_000_000,
            grown / count / 1000,
            spent.as_millis()
        ));
        drop(world);
    }
}
