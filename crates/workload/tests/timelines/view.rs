//! What happened to objects, without times and random names, as `tools/record.py` writes it down.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_json::{Map, Value};
use wavetank_model::{Change, ChangeKind, object};

/// What each object was in turn, objects of one shown name sorted, and the Events.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) objects: BTreeMap<String, Vec<Vec<String>>>,
    pub(crate) events: Vec<String>,
}

const KINDS: [&str; 11] = [
    "Pod",
    "PersistentVolumeClaim",
    "Service",
    "Job",
    "CronJob",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "ControllerRevision",
    "PodDisruptionBudget",
];

/// The view of `changes`.
pub(crate) fn view(changes: &[Change]) -> View {
    let mut names = Names::default();
    let mut objects: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    // What a set makes for itself and keeps is told by its Pods.
    let stray: BTreeSet<&str> = changes
        .iter()
        .filter(|change| change.key.kind == "ControllerRevision")
        .filter(|change| object::owners(&change.new).next().is_none())
        .map(|change| object::uid(&change.new))
        .collect();
    for change in changes {
        let (kind, item) = (change.key.kind.as_str(), &*change.new);
        if !KINDS.contains(&kind) || change.key.namespace != "default" {
            continue;
        }
        let name = names.of(kind, item);
        if kind == "ControllerRevision" && !stray.contains(object::uid(item)) {
            continue;
        }
        let state = if change.kind == ChangeKind::Deleted {
            "deleted".to_owned()
        } else {
            describe(kind, item, &names)
        };
        let states = objects
            .entry((kind.to_owned(), name, object::uid(item).to_owned()))
            .or_default();
        if states.last() != Some(&state) {
            states.push(state);
        }
    }
    let mut view = View::default();
    for ((kind, name, _), states) in objects {
        view.objects
            .entry(format!("{kind}/{name}"))
            .or_default()
            .push(states);
    }
    for states in view.objects.values_mut() {
        states.sort();
    }
    let mut events = BTreeMap::new();
    for change in changes {
        if change.key.kind == "Event" && change.kind != ChangeKind::Deleted {
            let line = event(&change.new, &names);
            if !line.contains(" by kubelet ") {
                events.insert(change.key.name.clone(), line);
            }
        }
    }
    view.events = events.into_values().collect();
    view.events.sort();
    view
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn event(item: &Value, names: &Names) -> String {
    let about = &item["involvedObject"];
    let source = match text(&item["source"]["component"]) {
        "" => text(&item["reportingComponent"]),
        component => component,
    };
    let count = item["series"]["count"]
        .as_i64()
        .or(item["count"].as_i64())
        .unwrap_or(1);
    format!(
        "{}/{} {} {} by {source} x{count}: {}",
        text(&about["kind"]),
        names.clean(text(&about["name"])),
        text(&item["type"]),
        text(&item["reason"]),
        names.clean(text(&item["message"])),
    )
}

/// Generated names, replaced by what they were generated from.
#[derive(Debug, Default)]
struct Names {
    shown: BTreeMap<String, String>,
    numbers: BTreeMap<String, usize>,
}

impl Names {
    fn of(&mut self, kind: &str, item: &Value) -> String {
        let name = object::name(item);
        if let Some(shown) = self.shown.get(name) {
            return shown.clone();
        }
        let mut shown = name.to_owned();
        let base = object::meta_str(item, "generateName");
        if kind == "Pod" && !base.is_empty() && name.starts_with(base) {
            shown = self.clean(base) + "#";
        } else if let (true, Some(owner)) = (
            matches!(kind, "ReplicaSet" | "ControllerRevision"),
            object::owners(item).next(),
        ) {
            let number = self.numbers.entry(owner.name.to_owned()).or_default();
            *number += 1;
            shown = format!("{}-r{number}", owner.name);
            if let (true, Some((_, hash))) = (kind == "ReplicaSet", name.rsplit_once('-')) {
                self.shown.insert(hash.to_owned(), format!("r{number}"));
            }
        } else if let (true, Some((base, minutes))) = (kind == "Job", name.rsplit_once('-'))
            && minutes.len() == 8
            && minutes.parse::<u32>().is_ok()
        {
            shown = format!("{base}-@");
        }
        self.shown.insert(name.to_owned(), shown.clone());
        shown
    }

    fn clean(&self, text: &str) -> String {
        let mut names: Vec<(&String, &String)> = self.shown.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names
            .into_iter()
            .fold(text.to_owned(), |text, (name, shown)| {
                text.replace(name, shown)
            })
    }

    /// The hash of a revision, as the number of its `ControllerRevision`.
    fn revision(&self, value: &str, item: &Value) -> String {
        let full = object::owners(item)
            .find_map(|owner| self.shown.get(&format!("{}-{value}", owner.name)));
        // A Pod that nobody controls for a while.
        let full = full.or_else(|| {
            let end = format!("-{value}");
            let mut all = self.shown.iter();
            all.find_map(|(name, shown)| name.ends_with(&end).then_some(shown))
        });
        match full.and_then(|shown| shown.rsplit_once('-')) {
            Some((_, number)) => number.to_owned(),
            None => self.clean(value),
        }
    }
}

fn describe(kind: &str, item: &Value, names: &Names) -> String {
    let mut parts: Vec<String> = Vec::new();
    if object::is_terminating(item) {
        parts.push("deleting".to_owned());
    }
    let owners: Vec<String> = object::owners(item)
        .map(|owner| {
            let mark = if owner.controller { "" } else { "?" };
            names.clean(&format!("{}/{}", owner.kind, owner.name)) + mark
        })
        .collect();
    if !owners.is_empty()
        && matches!(
            kind,
            "Pod" | "ReplicaSet" | "PersistentVolumeClaim" | "ControllerRevision"
        )
    {
        parts.push(format!("of {}", owners.join(",")));
    }
    if kind == "Pod" {
        parts.extend(pod(item, names));
        return parts.join(" ");
    }
    if kind == "ControllerRevision" {
        parts.push(format!("revision {}", item["revision"]));
    }
    if kind == "ReplicaSet" {
        parts.push(format!("wants {}", item["spec"]["replicas"]));
    }
    for key in [
        "revision",
        "desired-replicas",
        "max-replicas",
        "revision-history",
    ] {
        if let Some(value) = object::annotation(item, &format!("deployment.kubernetes.io/{key}")) {
            parts.push(format!("{key}={value}"));
        }
    }
    let empty = Map::new();
    for (key, value) in item["status"].as_object().unwrap_or(&empty) {
        parts.extend(field(kind, key, value, names));
    }
    parts.join(" ")
}

fn pod(item: &Value, names: &Names) -> Vec<String> {
    let mut parts = Vec::new();
    for key in [
        "controller-revision-hash",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-index-failure-count",
        "batch.kubernetes.io/job-index-ignored-failure-count",
        "apps.kubernetes.io/pod-index",
    ] {
        if let Some(value) = object::label(item, key).or_else(|| object::annotation(item, key)) {
            let short = key.rsplit('/').next().unwrap();
            parts.push(format!("{short}={}", names.revision(value, item)));
        }
    }
    if object::finalizers(item).any(|finalizer| finalizer.contains("job-tracking")) {
        parts.push("tracked".to_owned());
    }
    parts.push(match text(&item["status"]["phase"]) {
        "Pending" | "Running" => "runs".to_owned(),
        phase => phase.to_owned(),
    });
    for condition in item["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if condition["type"] == "DisruptionTarget" {
            parts.push(format!(
                "DisruptionTarget {}: {}",
                text(&condition["reason"]),
                names.clean(text(&condition["message"]))
            ));
        }
    }
    parts
}

fn field(kind: &str, key: &str, value: &Value, names: &Names) -> Vec<String> {
    match (key, value) {
        ("conditions", Value::Array(conditions)) => {
            let shown: Vec<String> = conditions
                .iter()
                .map(|condition| {
                    names.clean(&format!(
                        "{}={} {}: {}",
                        text(&condition["type"]),
                        text(&condition["status"]),
                        text(&condition["reason"]),
                        text(&condition["message"])
                    ))
                })
                .collect();
            vec![format!("[{}]", shown.join(", "))]
        }
        ("startTime" | "completionTime" | "lastScheduleTime" | "lastSuccessfulTime", _) => {
            vec![key.to_owned()]
        }
        ("uncountedTerminatedPods", Value::Object(lists)) => lists
            .iter()
            .map(|(name, uids)| format!("uncounted-{name} {}", uids.as_array().map_or(0, Vec::len)))
            .collect(),
        ("currentRevision" | "updateRevision", value) => {
            vec![format!("{key} {}", names.clean(text(value)))]
        }
        ("active", Value::Array(active)) => vec![format!("active {}", active.len())],
        ("capacity" | "accessModes" | "observedGeneration" | "loadBalancer", _)
            if kind != "Deployment" =>
        {
            Vec::new()
        }
        (key, Value::String(value)) => vec![format!("{key} {value}")],
        (key, value) => vec![format!("{key} {value}")],
    }
}
