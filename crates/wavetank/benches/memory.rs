//! Memory of a cluster of many Deployments with their `ReplicaSets` and Pods: `cargo bench -p wavetank --bench memory`.
//!
//! Prints how much the process grew, in whole, and per Deployment, when 10000 of them are rolled out, and at most on the
//! way. Numbers behind `--` are how many Deployments to take instead, and how many `ConfigMap`s beside them:
//! `cargo bench -p wavetank --bench memory -- 0 50000`.

use std::env;
use std::fs;
use std::time::Duration;

use wavetank_apiserver::{Server, ServerApi, ServerConfig};
use wavetank_json::json;
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::Api;
use wavetank_workload::{Config, Controllers};

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many Deployments, and how many `ConfigMap`s.
fn counts() -> (usize, usize) {
    let numbers: Vec<usize> = env::args().filter_map(|text| text.parse().ok()).collect();
    match numbers.as_slice() {
        [] => (10_000, 0),
        [deployments] => (*deployments, 0),
        [deployments, maps, ..] => (*deployments, *maps),
    }
}

/// Bytes of the process that are in memory, now or at most: a line of its status.
fn resident(line: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|status| status.strip_prefix(line));
    let kilobytes = line.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0_usize) * 1024
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

    fn create(&mut self, object: wavetank_json::Value) {
        let created = ServerApi::new(&mut self.server, self.now).create("user", object);
        created.unwrap_or_else(|refusal| panic!("{}", refusal.message));
        self.settle();
    }

    fn settle(&mut self) {
        for change in self.server.drain_changes() {
            self.controllers.observe(&change);
        }
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
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let start = std::time::Instant::now();
    let before = resident("VmRSS:");
    let mut world = World::new();
    let (deployments, maps) = counts();
    for number in 0..deployments {
        let name = format!("web-{number:05}");
        world.create(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx:1"}]}}},
        }));
    }
    let text = "x".repeat(400);
    for number in 0..maps {
        let name = format!("map-{number:05}");
        world.create(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"text": text},
        }));
    }
    world.run();
    let grown = resident("VmRSS:").saturating_sub(before);
    let peak = resident("VmHWM:").saturating_sub(before);
    let spent: Duration = start.elapsed();
    say(&format!(
        "{deployments} Deployments with ReplicaSets and Pods, {maps} ConfigMaps: {} MB, {} kB each, {} MB at most, made in {} ms",
        grown / 1_000_000,
        grown / (deployments + maps).max(1) / 1000,
        peak / 1_000_000,
        spent.as_millis()
    ));
    drop(world);
}
