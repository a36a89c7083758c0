//! What a real kube-controller-manager and kube-scheduler did, and what the simulated ones do in the same case.
//!
//! The cases are in `tests/recorded/cases.yaml`; `tools/record.py` played them on a real control plane and wrote a file
//! for each: what each object was in turn (the times and the random parts of names left out), and the Events.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::script::{Attempt, Behaviour, HangState, Rule, TimelineEntry};
use wavetank_model::{DeleteOptions, ObjectKey, Propagation};
use wavetank_workload::Config;

use crate::cluster::Cluster;
use crate::objects::seconds;
use crate::view::{View, view};

/// Kinds of a case of which only the last state is compared, with the reason: on a real control plane several
/// controllers write at once there, and which intermediate states are seen is a matter of milliseconds.
const RACES: &[(&str, &str, &str)] = &[
    (
        "deployment-scaled-in-a-roll-out",
        "Deployment",
        "the new set makes its Pods before or after the Deployment looks again",
    ),
    (
        "deployment-scaled-in-a-roll-out",
        "ReplicaSet",
        "the new set makes its Pods before or after the Deployment looks again",
    ),
    (
        "deployment-recreates",
        "Deployment",
        "the old Pods end one after the other, or at once",
    ),
    (
        "deployment-paused",
        "Deployment",
        "the set makes its Pod before or after the Deployment looks again",
    ),
    (
        "deployment-adopts",
        "ReplicaSet",
        "the set makes its Pod before or after the Deployment numbers it",
    ),
    (
        "job-orphans-its-pods",
        "Pod",
        "the Job controller and the garbage collector both let go of the Pod",
    ),
];

/// Where the simulated controllers are known to differ.
const DIFFERENCES: &[(&str, &str, &str)] = &[];

/// The folder of fresh recordings, where they are compared in place of those of this repository. There were not many
/// runs then: the real controllers may have left states out as well.
fn fresh() -> Option<PathBuf> {
    std::env::var_os("WAVETANK_RECORDINGS").map(PathBuf::from)
}

#[test]
fn the_simulated_controllers_do_what_real_ones_did() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let folder = fresh().unwrap_or(kept);
    let only = std::env::var("RECORDED").unwrap_or_default();
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut report = String::new();
    let mut cases = 0;
    for file in files {
        let recording: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let name = recording["case"]["name"].as_str().unwrap();
        if !name.contains(&only) {
            continue;
        }
        cases += 1;
        let differences = compare(name, &recording, &view(&play(&recording["case"]).changes));
        if !differences.is_empty() {
            write!(report, "== {name}\n{differences}").unwrap();
        }
    }
    assert!(report.is_empty(), "of {cases} cases:\n{report}");
}

/// Plays a case on the simulated cluster.
fn play(case: &Value) -> Cluster {
    let config = Config {
        noise: true,
        ..Config::default()
    };
    let mut cluster = Cluster::with(rules(case), config);
    let start = cluster.now;
    for object in case["objects"].as_array().unwrap() {
        create(&mut cluster, object);
    }
    for action in case["actions"].as_array().into_iter().flatten() {
        run_until(&mut cluster, start, action["at"].as_u64().unwrap());
        for object in action["create"].as_array().into_iter().flatten() {
            create(&mut cluster, object);
        }
        if let Some(reference) = action["merge"].as_str() {
            let subresource = action["subresource"].as_str().unwrap_or_default();
            if let Some(key) = locate(&cluster, reference) {
                cluster.merge_part(&key, subresource, action["patch"].clone());
            }
        }
        if let Some(reference) = action["delete"].as_str() {
            let propagation = match action["propagation"].as_str() {
                Some("Orphan") => Propagation::Orphan,
                Some("Foreground") => Propagation::Foreground,
                _ => Propagation::Background,
            };
            let options = DeleteOptions {
                propagation: Some(propagation),
                ..DeleteOptions::default()
            };
            if let Some(key) = locate(&cluster, reference) {
                cluster.delete(&key, &options);
            }
        }
    }
    run_until(&mut cluster, start, case["end"].as_u64().unwrap());
    cluster
}

fn run_until(cluster: &mut Cluster, start: SimTime, at: u64) {
    let at = start + Duration::from_secs(at);
    cluster.run_for(at.since(cluster.now));
}

fn create(cluster: &mut Cluster, object: &Value) {
    let mut object = object.clone();
    object["metadata"]["namespace"] = "default".into();
    cluster.create(object);
}

/// `Kind/name`, or `Kind/base-#2` for the second object that was generated from `base-`.
fn locate(cluster: &Cluster, reference: &str) -> Option<ObjectKey> {
    let (kind, name) = reference.split_once('/')?;
    let found = match name.split_once('#') {
        None => name.to_owned(),
        Some((base, number)) => cluster
            .changes
            .iter()
            .filter(|change| change.old.is_none() && change.key.kind == kind)
            .filter(|change| change.new["metadata"]["generateName"] == base)
            .nth(number.parse::<usize>().unwrap() - 1)?
            .key
            .name
            .clone(),
    };
    let group = match kind {
        "Job" | "CronJob" => "batch",
        "Pod" | "PersistentVolumeClaim" => "",
        _ => "apps",
    };
    Some(ObjectKey::new(group, kind, "default", found))
}

fn rules(case: &Value) -> Vec<Rule> {
    let attempts = case["attempts"].as_object().into_iter().flatten();
    attempts
        .map(|(reference, attempts)| {
            let words: Vec<Vec<&str>> = attempts
                .as_array()
                .unwrap()
                .iter()
                .map(|attempt| attempt.as_str().unwrap().split(' ').collect())
                .collect();
            let pends = words.last().is_some_and(|last| last[0] == "pend");
            let is_job = reference.starts_with("Job/");
            let behaviour = if pends {
                Behaviour::Hang(HangState::ImagePullBackOff)
            } else if is_job {
                Behaviour::Attempts(words.iter().map(|words| attempt(words)).collect())
            } else {
                let after = words[0].get(1).map_or(0, |after| after.parse().unwrap());
                Behaviour::Timeline(vec![TimelineEntry::Ready(seconds(after))])
            };
            Rule {
                matches: reference.parse().unwrap(),
                // Those before are ready.
                generation: pends.then_some(2),
                behaviour: Some(behaviour),
                deletion: None,
                reaction: None,
            }
        })
        .collect()
}

fn attempt(words: &[&str]) -> Attempt {
    let number = |index: usize| words.get(index).map(|text| text.parse::<u64>().unwrap());
    match words[0] {
        "succeed" => Attempt::Succeed(seconds(number(1).unwrap())),
        "fail" => Attempt::Fail {
            after: seconds(number(1).unwrap()),
            exit_code: number(2).map_or(1, |code| i32::try_from(code).unwrap()),
            message: None,
        },
        _ => Attempt::Succeed(seconds(100_000)),
    }
}

/// What differs, in words; empty where nothing does that is not known.
fn compare(name: &str, recording: &Value, seen: &View) -> String {
    let races = |kind: &str| {
        RACES
            .iter()
            .any(|(case, raced, _)| *case == name && *raced == kind)
    };
    let known = |what: &str| {
        DIFFERENCES
            .iter()
            .any(|(case, subject, _)| *case == name && *subject == what)
    };
    let mut out = String::new();
    let recorded: BTreeMap<String, Vec<Turns>> =
        wavetank_json::from_value(recording["objects"].clone()).unwrap();
    let mut subjects: Vec<&String> = recorded.keys().chain(seen.objects.keys()).collect();
    subjects.sort();
    subjects.dedup();
    for subject in subjects {
        let kind = subject.split('/').next().unwrap_or_default();
        let mut real = recorded.get(subject).cloned().unwrap_or_default();
        let mut simulated = seen.objects.get(subject).cloned().unwrap_or_default();
        if races(kind) {
            for turns in &mut real {
                keep_last(turns);
            }
            keep_last(&mut simulated);
        }
        let differs = !real.iter().any(|turns| are_alike(turns, &simulated));
        if differs && !known(subject) {
            let shown = difference(real.first().unwrap_or(&Vec::new()), &simulated);
            write!(out, "{subject}\n{shown}").unwrap();
        } else if !differs && known(subject) {
            writeln!(out, "{subject}: no longer differs").unwrap();
        }
    }
    let recorded: Vec<Vec<String>> =
        wavetank_json::from_value(recording["events"].clone()).unwrap();
    let said = heard(&seen.events);
    if !recorded.iter().any(|events| heard(events) == said) && !known("events") {
        let shown = difference(&recorded[..1], std::slice::from_ref(&seen.events));
        write!(out, "events\n{shown}").unwrap();
    }
    out
}

/// Reasons of Events that are written as often as somebody looks or tries again.
const REPEATED: [&str; 4] = [
    " FailedBinding ",
    " FailedCreate ",
    " FailedScheduling ",
    " NoPods ",
];

/// The Events, those that are repeated once, and none of a write that lost a race.
fn heard(events: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let lost = |line: &&String| line.contains("Operation cannot be fulfilled");
    for line in events.iter().filter(|line| !lost(line)) {
        let repeated = REPEATED.iter().any(|reason| line.contains(reason));
        let Some((head, (_, message))) = line
            .split_once(" x")
            .and_then(|(head, rest)| Some((head, rest.split_once(": ")?)))
            .filter(|_| repeated)
        else {
            out.push(line.clone());
            continue;
        };
        let line = format!("{head}: {message}");
        if !out.contains(&line) {
            out.push(line);
        }
    }
    out
}

/// What the objects of one shown name were in turn.
type Turns = Vec<Vec<String>>;

/// Whether each object of one side has one of the other whose turns tell the same story.
fn are_alike(real: &Turns, simulated: &Turns) -> bool {
    let mut left: Vec<&Vec<String>> = real.iter().collect();
    real.len() == simulated.len()
        && simulated.iter().all(|turns| {
            let found = left.iter().position(|real| is_same_story(real, turns));
            found.map(|index| left.swap_remove(index)).is_some()
        })
}

/// Whether both begin and end alike, and the simulation only leaves out intermediate states: how many of the writes of
/// others one look sees is a matter of milliseconds.
fn is_same_story(real: &[String], simulated: &[String]) -> bool {
    let leaves_out = |short: &[String], long: &[String]| {
        let mut rest = long.iter();
        short.iter().all(|state| rest.any(|known| known == state))
    };
    real.first() == simulated.first()
        && real.last() == simulated.last()
        && (leaves_out(simulated, real) || (fresh().is_some() && leaves_out(real, simulated)))
}

fn keep_last(turns: &mut Turns) {
    for states in turns.iter_mut() {
        states.drain(..states.len() - 1);
    }
    turns.sort();
}

fn difference(real: &[Vec<String>], simulated: &[Vec<String>]) -> String {
    let mut out = String::new();
    let (real, simulated): (Vec<_>, Vec<_>) = (
        real.iter().flatten().collect(),
        simulated.iter().flatten().collect(),
    );
    for line in &real {
        let sign = if simulated.contains(line) { ' ' } else { '-' };
        writeln!(out, "  {sign} {line}").unwrap();
    }
    for line in simulated.iter().filter(|line| !real.contains(line)) {
        writeln!(out, "  + {line}").unwrap();
    }
    out
}

#[test]
fn recordings_are_of_the_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let cases = fs::read_to_string(folder.join("cases.yaml")).unwrap();
    let named: Vec<&str> = cases
        .lines()
        .filter_map(|line| line.strip_prefix("- name: "))
        .collect();
    for name in &named {
        assert!(folder.join(format!("{name}.json")).exists(), "{name}");
    }
    for (case, _, _) in RACES.iter().chain(DIFFERENCES) {
        assert!(named.contains(case), "{case}");
    }
    assert_eq!(
        json!(fs::read_dir(&folder).unwrap().count()),
        json!(named.len() + 1)
    );
}
