//! What a real API server answered, asked of ours: `recorded/answers.jsonl`, made of
//! `recorded/cases.yaml` by `tools/record.py` (Kubernetes 1.36.2).

use std::sync::{Arc, LazyLock};

use regex::Regex;
use wavetank_json::{Value, json};
use wavetank_kernel::{Rng, Seed};
use wavetank_model::key::{GroupKind, GroupVersionKind, ObjectKey};
use wavetank_model::status::Status;
use wavetank_model::{defaults, kinds};
use wavetank_model::{object, schema};

use super::json::{items, set, text};
use super::{Allocations, Env, create, strategy, update};
use crate::admission::{self, Config, Lookup, Operation, Request};

struct Shop;

impl Lookup for Shop {
    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        let known = (key.kind == "Namespace" && key.name == "shop")
            || (key.kind == "ServiceAccount" && key.name == "default" && key.namespace == "shop");
        known.then(|| Arc::new(json!({ "metadata": { "name": key.name } })))
    }

    fn list(&self, _kind: &GroupKind, _namespace: Option<&str>) -> Vec<Arc<Value>> {
        Vec::new()
    }
}

/// What a real server runs.
fn config() -> Config {
    Config {
        taint_nodes_by_condition: true,
        ..Config::default()
    }
}

struct Server {
    rng: Rng,
    allocations: Allocations,
}

const NOW: &str = "2026-01-01T00:00:00Z";

impl Server {
    fn write(
        &mut self,
        gvk: &GroupVersionKind,
        mut new: Value,
        old: Option<&Value>,
        subresource: &str,
    ) -> Result<(Value, Vec<String>), Status> {
        let gk = gvk.group_kind();
        let kind = kinds::find(&gk.group, &gk.kind).expect("cases are of built-in kinds");
        let strategy = strategy(&gk);
        let schema = schema::builtin(gvk).expect("cases are of built-in kinds");
        schema::decode(schema, &mut new).expect("cases decode");
        defaults::of(&gk.group, &gk.kind).fill(&gvk.version, &mut new);
        schema::complete(schema, &mut new);
        let name = object::name(&new).to_owned();
        let namespace = if kind.namespaced { "shop" } else { "" };
        let operation = if old.is_some() {
            Operation::Update
        } else {
            Operation::Create
        };
        let request = Request {
            operation,
            kind: &gk,
            plural: kind.plural,
            namespace,
            name: &name,
            subresource,
        };
        admission::admit(&config(), &request, &mut new, old, &Shop, &mut self.rng)?;
        let before = self.allocations.clone();
        let mut env = Env {
            timestamp: NOW,
            allocations: &mut self.allocations,
        };
        let done = match old {
            None => {
                if let Some(metadata) = new.get_mut("metadata") {
                    set(metadata, "uid", Some("UID".into()));
                    set(metadata, "creationTimestamp", Some(NOW.into()));
                    set(
                        metadata,
                        "namespace",
                        kind.namespaced.then(|| "shop".into()),
                    );
                }
                create(strategy, &gk, kind.namespaced, &mut new, &mut env)
            }
            Some(old) => update(strategy, &gk, &mut new, old, subresource, &mut env),
        };
        let done = done.and_then(|warnings| {
            admission::validate_limits(&config(), &request, &new, old, &Shop)?;
            admission::validate_quota(&config(), &request, &new, &Shop)?;
            Ok(warnings)
        });
        if done.is_err() {
            self.allocations = before;
        }
        done.map(|warnings| (new, warnings))
    }
}

/// Takes out what differs from run to run.
fn comparable(answer: &Value) -> Value {
    let mut out = answer.clone();
    let uid = object::uid(answer).to_owned();
    scrub(&mut out, &uid);
    if let Some(members) = out.as_object_mut() {
        members.remove("kind");
        members.remove("apiVersion");
        if let Some(metadata) = members.get_mut("metadata") {
            set(metadata, "creationTimestamp", None);
            set(metadata, "managedFields", None);
            set(metadata, "resourceVersion", None);
            set(metadata, "uid", None);
        }
    }
    out
}

fn scrub(value: &mut Value, uid: &str) {
    match value {
        Value::String(text) => {
            if !uid.is_empty() && text.contains(uid) {
                *text = text.replace(uid, "UID");
            }
            if let Some(start) = text.find("kube-api-access-") {
                text.replace_range(start..start + 21, "kube-api-access-12345");
            }
            if text.starts_with("10.96.") {
                *text = "10.96.0.0".to_owned();
            }
            if text.len() == 20 && text.starts_with("20") && text.ends_with('Z') {
                NOW.clone_into(text);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| scrub(item, uid)),
        Value::Object(members) => {
            for (key, item) in members.iter_mut() {
                if matches!(key.as_str(), "nodePort" | "healthCheckNodePort") {
                    *item = 30000.into();
                }
                scrub(item, uid);
            }
        }
        _ => {}
    }
}

fn difference(path: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(&path, a, b, out),
                    (Some(a), None) => out.push(format!("  {path}: ours {a}, theirs absent")),
                    (None, Some(b)) => out.push(format!("  {path}: ours absent, theirs {b}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                difference(&format!("{path}[{index}]"), a, b, out);
            }
        }
        (a, b) if a != b => out.push(format!("  {path}: ours {a}, theirs {b}")),
        _ => {}
    }
}

/// Of messages with a difference appended, the first line counts.
fn head(message: &str) -> &str {
    message.split('\n').next().unwrap_or_default()
}

fn run(case: &Value, out: &mut Vec<String>) {
    let name = text(case, "name");
    let mut body = case["create"].clone();
    body["metadata"]["name"] = name.into();
    let gvk = GroupVersionKind::of(&body).expect("every case has a kind");
    // The bootstrap Service holds the first address.
    let mut allocations = Allocations::default();
    assert_eq!(
        allocations.take_ip(std::net::Ipv4Addr::new(10, 96, 0, 1)),
        Ok(())
    );
    let mut server = Server {
        rng: Seed(1).rng(),
        allocations,
    };
    let mut stored: Option<Value> = None;
    let empty = json!({});
    let steps = std::iter::once(&empty).chain(items(case, "then"));
    for (index, (step, theirs)) in steps.zip(items(case, "steps")).enumerate() {
        let label = format!("{name}[{index}]");
        let subresource = text(step, "sub");
        let new = if index == 0 {
            body.clone()
        } else {
            let Some(old) = &stored else { break };
            if let Some(patch) = step.get("patch") {
                let mut new = old.clone();
                wavetank_model::patch::merge(&mut new, patch).expect("an object");
                new
            } else {
                let mut new = step["update"].clone();
                new["metadata"]["name"] = name.into();
                new["metadata"]["namespace"] = old["metadata"]["namespace"].clone();
                new
            }
        };
        let ours = server.write(&gvk, new, stored.as_ref(), subresource);
        match (ours, theirs.get("object")) {
            (Ok((object, warnings)), Some(expected)) => {
                let mut lines = Vec::new();
                difference("", &comparable(&object), &comparable(expected), &mut lines);
                let theirs: Vec<String> = items(theirs, "warnings")
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|line| {
                        line.trim_start_matches("299 - ")
                            .trim_matches('"')
                            .replace("\\\"", "\"")
                    })
                    .collect();
                if warnings != theirs {
                    lines.push(format!("  warnings: ours {warnings:?}, theirs {theirs:?}"));
                }
                if !lines.is_empty() {
                    out.push(format!("{label}:\n{}", lines.join("\n")));
                }
                stored = Some(object);
            }
            (Err(status), None) => {
                let (ours, theirs) = (head(&status.message), head(text(theirs, "message")));
                if comparable_message(ours) != comparable_message(theirs) {
                    out.push(format!("{label}:\n  ours   {ours}\n  theirs {theirs}"));
                }
            }
            (Ok((object, _)), None) => {
                out.push(format!(
                    "{label}: accepted, theirs {}",
                    text(theirs, "message")
                ));
                stored = stored.or(Some(object));
            }
            (Err(status), Some(_)) => {
                out.push(format!(
                    "{label}: refused, theirs accepted: {}",
                    status.message
                ));
                break;
            }
        }
    }
}

/// A message without what differs from run to run, its problems sorted (Go walks maps in any order), and without objects
/// as values: the real server prints some under their internal Go names.
fn comparable_message(message: &str) -> Vec<String> {
    static UID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a constant")
    });
    static IP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"10\.96\.\d+\.\d+").expect("a constant"));
    static START: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(, |\[)(metadata|spec|status|data|webhooks)([.\[]|: )").expect("a constant")
    });
    let message = UID.replace_all(message, "UID");
    let message = START.replace_all(&message, "\n$2$3");
    let mut lines: Vec<String> = message
        .lines()
        .map(|line| IP.replace_all(line, "10.96.0.0").into_owned())
        .collect();
    for line in &mut lines {
        let start = line.find(": {").or_else(|| line.find(": [{"));
        let end = line
            .rfind("}: ")
            .or_else(|| line.rfind("}]: "))
            .or_else(|| line.rfind('}'));
        if let (Some(start), Some(end)) = (start, end)
            && start < end
        {
            line.replace_range(start..=end, ": OBJECT");
        }
        line.truncate(line.trim_end_matches(']').len());
    }
    lines.sort();
    lines
}

#[test]
fn ours_answers_as_the_real_server_did() {
    let mut out = Vec::new();
    for line in include_str!("recorded/answers.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        run(&case, &mut out);
    }
    assert!(
        out.is_empty(),
        "{} differences:\n{}",
        out.len(),
        out.join("\n")
    );
}
