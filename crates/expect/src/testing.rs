//! Traces written as text, for tests.
//!
//! One entry a line: the time in seconds, then the event as the grammar writes it, then what it carries.
//!
//! ```text
//! 0    operation started
//! 1    Job/a created by engine = {"status": {}}
//! 1    Job/a applied in PreSync/0 hook: job.batch/a created
//! 5    Job/a healthy
//! 6    operation stored Running: waiting
//! 7    pass 2
//! 8    request patch Deployment/web 200
//! 9    step 0 started
//! ```
//!
//! Namespaced objects without a namespace are in `shop`.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::json::Json;
use wavetank_model::{
    Actor, ChangeKind, EventPattern, ObjectKey, OperationPhase, Phase, Reference, RequestRecord,
    Subject, Verb, WaveNumber, kinds,
};
use wavetank_trace::{
    ApiEvent, Content, DesiredObject, Entry, Event, HealthEvent, OperationEvent, OperationState,
    ResourceResult, TaskEvent,
};

/// Namespace of the app in tests.
pub(crate) const HOME: &str = "shop";

/// Reads a trace.
pub(crate) fn trace(text: &str) -> Vec<Entry> {
    trace_of(text, &[])
}

/// Reads a trace whose operations have `desired` as their desired state.
pub(crate) fn trace_of(text: &str, desired: &[Value]) -> Vec<Entry> {
    let mut reader = Reader {
        desired: desired.iter().map(desired_object).collect(),
        number: 0,
        attempt: 0,
        results: Vec::new(),
        phase: OperationPhase::Succeeded,
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .enumerate()
        .map(|(index, line)| {
            let (time, event) = line.split_once(' ').expect("time and event");
            let seconds: f64 = time.parse().expect("seconds");
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small positive numbers"
            )]
            let time = SimTime::from_millis((seconds * 1000.0).round() as u64);
            Entry {
                seq: index as u64 + 1,
                time,
                event: reader.event(event.trim()),
            }
        })
        .collect()
}

/// An object with annotations, for `desired`.
pub(crate) fn object(reference: &str, annotations: &[(&str, &str)]) -> Value {
    let key = key(reference);
    let version = kinds::find(&key.group, &key.kind)
        .map_or_else(|| format!("{}/v1", key.group), kinds::Kind::api_version);
    let annotations: wavetank_json::Map = annotations
        .iter()
        .map(|(key, value)| (format!("argocd.argoproj.io/{key}"), Value::from(*value)))
        .collect();
    json!({"apiVersion": version, "kind": key.kind,
        "metadata": {"name": key.name, "namespace": key.namespace, "annotations": annotations}})
}

fn desired_object(object: &Value) -> DesiredObject {
    DesiredObject {
        key: ObjectKey::of(object).expect("an object"),
        object: Arc::new(object.clone()),
    }
}

pub(crate) fn key(text: &str) -> ObjectKey {
    let reference: Reference = text.parse().expect("a reference");
    let builtin = kinds::by_kind(&reference.kind).next();
    let group = reference.group.unwrap_or_else(|| {
        builtin
            .map(|kind| kind.group)
            .unwrap_or_default()
            .to_owned()
    });
    let namespaced = builtin.is_none_or(|kind| kind.namespaced);
    let namespace = reference
        .namespace
        .map_or(if namespaced { HOME } else { "" }.to_owned(), |namespace| {
            namespace.0
        });
    ObjectKey::new(group, reference.kind, namespace, reference.name.0)
}

struct Reader {
    desired: Vec<DesiredObject>,
    number: u32,
    attempt: u32,
    results: Vec<ResourceResult>,
    phase: OperationPhase,
}

impl Reader {
    fn event(&mut self, text: &str) -> Event {
        let mut words = text.split_whitespace();
        match words.next().expect("a word") {
            "pass" => {
                return Event::Pass {
                    number: 1,
                    cause: "batch".to_owned(),
                };
            }
            "step" => {
                let index = words.next().expect("index").parse().expect("index");
                return match words.next() {
                    Some("started") => Event::StepStarted {
                        index,
                        name: String::new(),
                    },
                    _ => Event::StepEnded { index },
                };
            }
            "request" => return request(&mut words),
            "result" => {
                self.results.push(result(text));
                return Event::Note {
                    text: text.to_owned(),
                };
            }
            _ => {}
        }
        let (head, content) = text
            .split_once(" = ")
            .map_or((text, None), |(head, content)| (head, Some(content)));
        let (head, message) = head.split_once(": ").unwrap_or((head, ""));
        let words: Vec<&str> = head.split_whitespace().collect();
        if words[0] == "operation" {
            return self.operation(&words[1..], message);
        }
        let pattern: EventPattern = format!("{} {}", words[0], words[1])
            .parse()
            .expect("an event");
        event(pattern, &words[2..], message, content)
    }

    fn operation(&mut self, words: &[&str], message: &str) -> Event {
        let verb = Verb::ALL
            .iter()
            .copied()
            .find(|verb| verb.as_str() == words[0]);
        match verb {
            Some(Verb::Started) => {
                if self.phase.completed() {
                    self.number += 1;
                    self.attempt = 0;
                }
                self.attempt += 1;
                self.results.clear();
                self.phase = OperationPhase::Running;
            }
            Some(Verb::Succeeded) => self.phase = OperationPhase::Succeeded,
            Some(Verb::Failed) => self.phase = OperationPhase::Failed,
            Some(Verb::Error) => self.phase = OperationPhase::Error,
            Some(Verb::Terminating) => self.phase = OperationPhase::Terminating,
            _ => {}
        }
        let state = OperationState {
            phase: self.phase,
            message: message.to_owned(),
            retries: self.attempt - 1,
            revision: "abc".to_owned(),
            results: self.results.clone(),
        };
        let desired = (verb == Some(Verb::Started)).then(|| self.desired.clone());
        Event::Operation(Box::new(OperationEvent {
            verb,
            number: self.number,
            attempt: self.attempt,
            state,
            desired,
        }))
    }
}

/// `result PreSync Job/a Synced Succeeded: message`
fn result(text: &str) -> ResourceResult {
    let (head, message) = text.split_once(": ").unwrap_or((text, ""));
    let words: Vec<&str> = head.split_whitespace().collect();
    let from = |text: &str| wavetank_json::from_value(Value::from(text)).expect("a phase");
    ResourceResult {
        key: key(words[2]),
        version: "v1".to_owned(),
        status: wavetank_json::from_value(Value::from(words[3])).expect("a status"),
        message: message.to_owned(),
        hook_type: None,
        hook_phase: Some(from(words[4])),
        sync_phase: phase(words[1]),
        images: Vec::new(),
    }
}

fn request<'a>(words: &mut impl Iterator<Item = &'a str>) -> Event {
    let verb = words.next().expect("a verb").to_owned();
    let key = Some(key(words.next().expect("an object")));
    let rest: Vec<&str> = words.collect();
    Event::Request(RequestRecord {
        actor: Actor::new(Actor::ENGINE),
        verb,
        key,
        subresource: String::new(),
        dry_run: rest.contains(&"dry-run"),
        manager: String::new(),
        patch: String::new(),
        code: rest
            .first()
            .and_then(|code| code.parse().ok())
            .unwrap_or(200),
        reason: String::new(),
    })
}

fn event(pattern: EventPattern, words: &[&str], message: &str, content: Option<&str>) -> Event {
    let verb = pattern.verb;
    let message = message.to_owned();
    let after = |word: &str| {
        words
            .iter()
            .position(|other| *other == word)
            .and_then(|at| words.get(at + 1))
            .copied()
    };
    let reference = match &pattern.subject {
        Subject::Object(reference) => reference.to_string(),
        Subject::Phase(phase) => {
            return Event::Phase {
                phase: *phase,
                verb,
            };
        }
        Subject::Wave(phase, wave) => {
            return Event::Wave {
                phase: *phase,
                wave: *wave,
                verb,
            };
        }
        Subject::App => return Event::App { verb, message },
        Subject::Engine => return Event::EngineRestarted,
        Subject::Fault(name) => {
            return Event::Fault {
                name: name.clone(),
                key: after("on").map(key),
            };
        }
        Subject::Do(name) => return Event::Do { name: name.clone() },
        Subject::Operation => unreachable!("read before"),
    };
    let key = key(&reference);
    let change = match verb {
        Verb::Created => ChangeKind::Created,
        Verb::Updated => ChangeKind::Updated,
        Verb::Deleting => ChangeKind::Deleting,
        Verb::Deleted => ChangeKind::Deleted,
        Verb::Succeeded | Verb::Failed => {
            return Event::End {
                key,
                succeeded: verb == Verb::Succeeded,
            };
        }
        Verb::Applied | Verb::Rejected | Verb::Pruned => {
            let (phase, wave) = place(after("in").unwrap_or("Sync/0"));
            return Event::Task(TaskEvent {
                verb,
                key,
                phase,
                wave,
                hook: words.contains(&"hook"),
                message,
            });
        }
        _ => return Event::Health(HealthEvent { key, verb, message }),
    };
    let content = content.map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    let content = match change {
        ChangeKind::Created => {
            let mut object = json!({"kind": key.kind, "metadata": {"name": key.name, "namespace": key.namespace}});
            wavetank_model::patch::merge(&mut object, &content.unwrap_or_else(|| json!({})))
                .unwrap();
            Some(Content::Object(Json::of(&object)))
        }
        ChangeKind::Deleted => None,
        _ => Some(Content::Patch(Json::of(
            &content.unwrap_or_else(|| json!({})),
        ))),
    };
    Event::Api(ApiEvent {
        verb: change,
        key,
        api_version: "v1".to_owned(),
        uid: String::new(),
        resource_version: String::new(),
        actor: Actor::new(after("by").unwrap_or("engine")),
        manager: String::new(),
        content,
    })
}

fn place(text: &str) -> (Phase, WaveNumber) {
    match text.parse().expect("a wave") {
        Subject::Wave(phase, wave) => (phase, wave),
        other => panic!("{other} is no wave"),
    }
}

fn phase(text: &str) -> Phase {
    Phase::parse(text).expect("a phase")
}

pub(crate) fn pattern(text: &str) -> EventPattern {
    text.parse().expect("an event")
}

pub(crate) fn patterns(texts: &[&str]) -> Vec<EventPattern> {
    texts.iter().map(|text| pattern(text)).collect()
}

/// The judgements of `expect` over a whole trace, without the invariants, as a report would print them.
pub(crate) fn judged(expect: &wavetank_scenario::Expectations, entries: &[Entry]) -> String {
    show(&judgements(expect, entries))
}

/// The judgements of `expect` over a whole trace, without the invariants.
pub(crate) fn judgements(
    expect: &wavetank_scenario::Expectations,
    entries: &[Entry],
) -> Vec<crate::Judgement> {
    let disabled = crate::invariants::NAMES
        .iter()
        .map(|name| ((*name).to_owned(), "test".to_owned()))
        .collect();
    let invariants = crate::invariants::Invariants::new(HOME, &disabled);
    let mut monitor =
        crate::RunMonitor::with(HOME, expect, std::collections::BTreeMap::new(), invariants);
    for entry in entries {
        monitor.push(entry);
    }
    monitor.finish(entries)
}

pub(crate) fn show(judgements: &[crate::Judgement]) -> String {
    judgements
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
