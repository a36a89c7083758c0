//! An API server and controllers, and what they did, in text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use wavetank_apiserver::{Server, ServerApi, ServerConfig};
use wavetank_json::{Map, Value};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::script::Rule;
use wavetank_model::{Api, Change, ChangeKind, DeleteOptions, ObjectKey, PatchType, object};
use wavetank_workload::{Config, Controllers};

/// A simulated cluster whose commits are written down.
pub(crate) struct Cluster {
    pub server: Server,
    pub controllers: Controllers,
    pub now: SimTime,
    pub changes: Vec<Change>,
    chooser: Chooser,
}

impl Cluster {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self::with(rules, Config::default())
    }

    pub(crate) fn with(rules: Vec<Rule>, config: Config) -> Self {
        let start = wavetank_workload::bootstrap(&config);
        let mut cluster = Self {
            server: Server::new(ServerConfig::default(), Seed(1)),
            controllers: Controllers::new(rules, "default".to_owned(), config, Seed(2)),
            now: SimTime::ZERO,
            changes: Vec::new(),
            chooser: Chooser::canonical(),
        };
        for object in start {
            cluster.create(object);
        }
        cluster.run_for(Duration::from_secs(1));
        cluster.changes.clear();
        cluster
    }

    fn settle(&mut self) {
        for change in self.server.drain_changes() {
            self.controllers.observe(&change);
            self.changes.push(change);
        }
    }

    pub(crate) fn create(&mut self, object: Value) -> Value {
        let created = ServerApi::new(&mut self.server, self.now)
            .create("user", object)
            .unwrap();
        self.settle();
        Value::clone(&created)
    }

    pub(crate) fn merge(&mut self, key: &ObjectKey, patch: Value) {
        self.merge_part(key, "", patch);
    }

    /// Patches a subresource, or the object where it is empty.
    pub(crate) fn merge_part(&mut self, key: &ObjectKey, subresource: &str, patch: Value) {
        ServerApi::new(&mut self.server, self.now)
            .patch("user", key, subresource, PatchType::Merge, patch)
            .unwrap();
        self.settle();
    }

    pub(crate) fn delete(&mut self, key: &ObjectKey, options: &DeleteOptions) {
        ServerApi::new(&mut self.server, self.now)
            .delete("user", key, options)
            .unwrap();
        self.settle();
    }

    pub(crate) fn get(&mut self, key: &ObjectKey) -> Option<Value> {
        self.server.get(key).map(|object| Value::clone(&object))
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.next_due().filter(|at| *at <= end) {
            self.step(at);
        }
        self.now = end;
    }

    /// Runs until nothing is pending that is work.
    pub(crate) fn run(&mut self) {
        while [self.server.next_work(), self.controllers.next_work()]
            .iter()
            .any(Option::is_some)
        {
            let Some(at) = self.next_due() else { return };
            assert!(
                at < SimTime::from_millis(100_000_000),
                "not quiet: {:?}",
                self.controllers.waiting()
            );
            self.step(at);
        }
        let refused: Vec<_> = self
            .controllers
            .planned()
            .filter(|planned| planned.refusal.is_some())
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
    }

    fn next_due(&self) -> Option<SimTime> {
        let server = self.server.next_due().map(|(at, _)| at);
        let controllers = self.controllers.next_due().map(|(at, _)| at);
        server.into_iter().chain(controllers).min()
    }

    fn step(&mut self, at: SimTime) {
        self.now = self.now.max(at);
        let (server, controllers) = (self.server.next_due(), self.controllers.next_due());
        if server.is_some_and(|server| controllers.is_none_or(|controllers| server <= controllers))
        {
            self.server.run_due(at, &mut self.chooser);
        } else {
            self.controllers.run_next(
                at,
                &mut ServerApi::new(&mut self.server, at),
                &mut self.chooser,
            );
        }
        self.settle();
    }

    /// The replicas of `ReplicaSets` each time they change, and Pods that come and go.
    pub(crate) fn replicas(&self) -> String {
        let mut out = String::new();
        let mut names: Vec<String> = Vec::new();
        let mut last = String::new();
        for change in &self.changes {
            let name = &change.key.name;
            let shown = match change.key.kind.as_str() {
                "ReplicaSet" => {
                    let number =
                        names
                            .iter()
                            .position(|known| known == name)
                            .unwrap_or_else(|| {
                                names.push(name.clone());
                                names.len() - 1
                            });
                    let status = &change.new["status"];
                    format!(
                        "set {number} wants {} has {} available {}",
                        change.new["spec"]["replicas"],
                        status["replicas"],
                        status["availableReplicas"]
                    )
                }
                "Pod" if change.kind != ChangeKind::Updated => format!("Pod {:?}", change.kind),
                _ => continue,
            };
            if shown != last {
                writeln!(out, "{} {shown}", change.time).unwrap();
            }
            last = shown;
        }
        out
    }

    /// What came and went, a line each.
    pub(crate) fn comings_and_goings(&self, kinds: &[&str]) -> String {
        let lines = self.timeline(kinds);
        let kept = lines.lines().filter(|line| {
            [" created by", " deleting by", " deleted by"]
                .iter()
                .any(|verb| line.contains(verb))
        });
        kept.fold(String::new(), |out, line| {
            out + line.split(" {").next().unwrap_or_default() + "\n"
        })
    }

    /// The counters of a Job each time they change.
    pub(crate) fn counters(&self, name: &str) -> String {
        let mut out = String::new();
        for change in self
            .changes
            .iter()
            .filter(|change| change.key.kind == "Job" && change.key.name == name)
        {
            let mut status = change.new["status"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            let last = status
                .get("conditions")
                .and_then(|conditions| conditions.as_array()?.last()?.get("type").cloned());
            status.retain(|field, _| {
                !matches!(
                    field.as_str(),
                    "conditions" | "startTime" | "completionTime" | "uncountedTerminatedPods"
                )
            });
            writeln!(
                out,
                "{} {} {}",
                change.time,
                Value::Object(status),
                last.unwrap_or_default()
            )
            .unwrap();
        }
        out
    }

    /// Phase, readiness and containers of a Pod each time it changes.
    pub(crate) fn pod_states(&self, name: &str) -> String {
        let mut out = String::new();
        for change in self
            .changes
            .iter()
            .filter(|change| change.key.kind == "Pod" && change.key.name == name)
        {
            let status = &change.new["status"];
            let ready = status["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|condition| condition["type"] == "Ready");
            write!(
                out,
                "{} {:?} {}",
                change.time,
                change.kind,
                status["phase"].as_str().unwrap_or("-")
            )
            .unwrap();
            if let Some(ready) = ready {
                write!(
                    out,
                    ", Ready {} {}",
                    ready["status"].as_str().unwrap(),
                    ready["reason"].as_str().unwrap_or("")
                )
                .unwrap();
            }
            for field in ["initContainerStatuses", "containerStatuses"] {
                for container in status[field].as_array().into_iter().flatten() {
                    let (state, detail) = container["state"]
                        .as_object()
                        .and_then(|state| state.iter().next())
                        .unwrap();
                    let reason = detail.get("reason").and_then(Value::as_str).unwrap_or("");
                    let message = detail.get("message").and_then(Value::as_str).unwrap_or("");
                    let code = detail
                        .get("exitCode")
                        .map(|code| format!("({code})"))
                        .unwrap_or_default();
                    write!(
                        out,
                        "; {} {state} {reason}{code}",
                        container["name"].as_str().unwrap()
                    )
                    .unwrap();
                    if !message.is_empty() {
                        write!(out, " `{message}`").unwrap();
                    }
                    if container["restartCount"] != 0 {
                        write!(out, " restarts {}", container["restartCount"]).unwrap();
                    }
                    if let Some(last) = container["lastState"].get("terminated") {
                        write!(out, " last {}", last["exitCode"]).unwrap();
                    }
                }
            }
            out.push('\n');
        }
        let uids = self.changes.iter().map(|change| {
            change.new["metadata"]["uid"]
                .as_str()
                .unwrap_or("-")
                .to_owned()
        });
        uids.fold(out, |out, uid| out.replace(&uid, "UID"))
    }

    /// What happened to objects of these kinds, a line each: time, object, writer, and the change as a merge patch.
    /// Generated names and uids are numbered instead.
    pub(crate) fn timeline(&self, kinds: &[&str]) -> String {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut out = String::new();
        for change in &self.changes {
            let (key, new) = (&change.key, &*change.new);
            if change.kind == ChangeKind::Created {
                let base = object::meta_str(new, "generateName");
                let mut shown = key.name.clone();
                if !base.is_empty() && key.name.len() == base.len() + 5 {
                    let number = numbers.entry(base.to_owned()).or_default();
                    *number += 1;
                    shown = format!("{base}#{number}");
                    names.insert(key.name.clone(), shown.clone());
                }
                names.insert(object::uid(new).to_owned(), format!("uid:{shown}"));
            }
            if !kinds.contains(&key.kind.as_str()) {
                continue;
            }
            let verb = match change.kind {
                ChangeKind::Created => "created",
                ChangeKind::Updated => "updated",
                ChangeKind::Deleting => "deleting",
                ChangeKind::Deleted => "deleted",
            };
            write!(
                out,
                "{} {}/{} {verb} by {}",
                change.time, key.kind, key.name, change.manager
            )
            .unwrap();
            if change.kind != ChangeKind::Deleted
                && let Some(old) = &change.old
            {
                let patch = difference(&plain(old), &plain(new)).unwrap_or(Value::Null);
                write!(out, " {patch}").unwrap();
            }
            out.push('\n');
        }
        for (name, shown) in names.iter().rev() {
            out = out.replace(name, shown);
        }
        without_digests(&out.replace("2026-01-01T00:", "T"))
    }
}

/// The object without what differs with every write.
fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
        meta.remove("resourceVersion");
    }
    object
}

fn difference(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    if let (Some(before), Some(after)) = (named(old), named(new)) {
        return difference(&before, &after);
    }
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else {
        return Some(new.clone());
    };
    let mut out = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(key)) {
        out.insert(key.clone(), Value::Null);
    }
    for (key, value) in after {
        let part = before
            .get(key)
            .map_or_else(|| Some(value.clone()), |before| difference(before, value));
        out.extend(part.map(|part| (key.clone(), part)));
    }
    Some(Value::Object(out))
}

/// A list of conditions or containers as a map.
fn named(list: &Value) -> Option<Value> {
    let items = list.as_array().filter(|items| !items.is_empty())?;
    let name = |item: &Value| {
        ["type", "name"]
            .iter()
            .find_map(|field| item.get(field)?.as_str().map(str::to_owned))
    };
    items
        .iter()
        .map(|item| Some((name(item)?, item.clone())))
        .collect::<Option<Map>>()
        .map(Value::Object)
}

/// Digests cut to their first digits.
fn without_digests(text: &str) -> String {
    let mut out = String::new();
    let mut digits = 0;
    for char in text.chars() {
        digits = if char.is_ascii_hexdigit() {
            digits + 1
        } else {
            0
        };
        if digits <= 12 {
            out.push(char);
        }
    }
    out
}
