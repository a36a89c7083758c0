//! Traces and outcomes by hand, for the tests of this crate.

use wavetank_kernel::SimTime;
use wavetank_model::json::Json;
use wavetank_model::{
    Actor, ChangeKind, EventPattern, ObjectKey, OperationPhase, Phase, Subject, Verb, WaveNumber,
};
use wavetank_trace::{
    ApiEvent, Content, Entry, Event, Header, HealthEvent, OperationEvent, OperationState,
    TaskEvent, Trace,
};

use crate::outcome::{About, ExcerptLine, Explanation, Failure, RunOutcome, Verdict};

/// A trace from lines `MS subject verb [hook] [by ACTOR] [: message]`; `MS step NAME` and `MS note TEXT` besides.
pub(crate) fn trace(text: &str) -> Trace {
    let header = Header {
        version: wavetank_trace::entry::VERSION.to_owned(),
        scenario: "shop".to_owned(),
        seed: 7,
        target: "fake".to_owned(),
        engine: "builtin".to_owned(),
        namespace: "default".to_owned(),
        epoch: "2026-01-01T00:00:00Z".to_owned(),
        order: "commit".to_owned(),
    };
    let mut steps = 0;
    let mut wave = (Phase::Sync, WaveNumber::Number(0));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let entries = (1..).zip(lines).map(|(seq, line)| {
        let (ms, rest) = line.split_once(' ').unwrap();
        let event = match rest.split_once(' ') {
            Some(("step", name)) => {
                steps += 1;
                Event::StepStarted {
                    index: steps - 1,
                    name: name.to_owned(),
                }
            }
            Some(("note", text)) => Event::Note {
                text: text.to_owned(),
            },
            _ => event(rest, &mut wave),
        };
        Entry {
            seq,
            time: SimTime::from_millis(ms.parse().unwrap()),
            event,
        }
    });
    Trace {
        header,
        entries: entries.collect(),
    }
}

fn event(line: &str, current: &mut (Phase, WaveNumber)) -> Event {
    let (head, message) = line.split_once(": ").unwrap_or((line, ""));
    let message = message.to_owned();
    let words: Vec<&str> = head.split(' ').collect();
    let pattern: EventPattern = words[..2].join(" ").parse().unwrap();
    let verb = pattern.verb;
    match pattern.subject {
        Subject::Operation => Event::Operation(Box::new(operation(verb, message))),
        Subject::Phase(phase) => Event::Phase { phase, verb },
        Subject::Wave(phase, wave) => {
            *current = (phase, wave);
            Event::Wave { phase, wave, verb }
        }
        Subject::App => Event::App { verb, message },
        Subject::Engine => Event::EngineRestarted,
        Subject::Fault(name) => Event::Fault { name, key: None },
        Subject::Do(name) => Event::Do { name },
        Subject::Object(reference) => {
            let group = wavetank_model::kinds::by_kind(&reference.kind)
                .next()
                .map_or("", |kind| kind.group);
            let key = ObjectKey::new(group, reference.kind, "default", reference.name.0);
            let actor = words
                .iter()
                .position(|word| *word == "by")
                .map_or("engine", |at| words[at + 1]);
            object_event(key, verb, message, words.contains(&"hook"), actor, *current)
        }
    }
}

fn object_event(
    key: ObjectKey,
    verb: Verb,
    message: String,
    hook: bool,
    actor: &str,
    wave: (Phase, WaveNumber),
) -> Event {
    let api = |kind: ChangeKind, key: ObjectKey| {
        let content = (kind != ChangeKind::Deleted)
            .then(|| Content::Patch(Json::of(&wavetank_json::json!({}))));
        Event::Api(ApiEvent {
            verb: kind,
            key,
            api_version: "v1".to_owned(),
            uid: "u".to_owned(),
            resource_version: "1".to_owned(),
            actor: Actor::new(actor),
            manager: String::new(),
            content,
        })
    };
    match verb {
        Verb::Applied | Verb::Rejected | Verb::Pruned => Event::Task(TaskEvent {
            verb,
            key,
            phase: wave.0,
            wave: wave.1,
            hook,
            message,
        }),
        Verb::Succeeded | Verb::Failed => Event::End {
            key,
            succeeded: verb == Verb::Succeeded,
        },
        Verb::Created => api(ChangeKind::Created, key),
        Verb::Updated => api(ChangeKind::Updated, key),
        Verb::Deleting => api(ChangeKind::Deleting, key),
        Verb::Deleted => api(ChangeKind::Deleted, key),
        _ => Event::Health(HealthEvent { key, verb, message }),
    }
}

fn operation(verb: Verb, message: String) -> OperationEvent {
    let phase = match verb {
        Verb::Succeeded => OperationPhase::Succeeded,
        Verb::Failed => OperationPhase::Failed,
        Verb::Error => OperationPhase::Error,
        Verb::Terminating => OperationPhase::Terminating,
        _ => OperationPhase::Running,
    };
    let state = OperationState {
        phase,
        message,
        retries: 0,
        revision: "3f0c9d1a".to_owned(),
        results: Vec::new(),
    };
    OperationEvent {
        verb: Some(verb),
        number: 1,
        attempt: 1,
        state,
        desired: None,
    }
}

/// A sync with a hook before and one after, the second of which fails.
pub(crate) const SHOP: &str = "
    0 step sync
    0 operation started
    0 PreSync started
    0 PreSync/0 started
    10 Job/db-migrate created
    10 Job/db-migrate progressing
    10 Job/db-migrate applied hook
    20 Pod/db-migrate-x7k2p created by job-controller
    1030 Pod/db-migrate-x7k2p healthy
    21030 Job/db-migrate updated by job-controller
    21030 Job/db-migrate succeeded
    21030 Job/db-migrate healthy
    26030 PreSync/0 completed
    26030 PreSync completed
    28030 Sync started
    28030 Sync/0 started
    28030 Deployment/checkout created
    28030 Deployment/checkout progressing
    28030 Deployment/checkout applied
    31000 Sync/0 completed
    31000 Sync completed
    31000 PostSync started
    31000 PostSync/0 started
    31000 Job/smoke created
    31000 Job/smoke progressing
    31000 Job/smoke applied hook
    34100 Deployment/checkout updated by deployment-controller
    34100 Deployment/checkout healthy
    36000 Job/smoke failed
    36000 Job/smoke degraded: Job has reached the specified backoff limit
    41000 PostSync/0 failed
    41000 PostSync failed
    41000 operation failed: one or more synchronization tasks completed unsuccessfully
    41010 Job/smoke deleting
    41010 Job/smoke deleted
";

/// A run of `path` that came to `verdict`.
pub(crate) fn outcome(path: &str, verdict: Verdict) -> RunOutcome {
    RunOutcome {
        scenario: Some("shop".to_owned()),
        path: path.to_owned(),
        case: None,
        seed: 7,
        target: "fake".to_owned(),
        about: About {
            description: None,
            links: vec!["argoproj/argo-cd#21055".to_owned()],
        },
        verdict,
        warnings: Vec::new(),
        virtual_time: SimTime::from_millis(41_010),
        wall_time: None,
        explanation: Explanation::default(),
        command: None,
        trace: None,
    }
}

/// The failure of the house style's example.
pub(crate) fn wrong_order() -> Failure {
    let line = |ms, text: &str, marked| ExcerptLine {
        time: Some(SimTime::from_millis(ms)),
        text: text.to_owned(),
        marked,
    };
    Failure {
        name: "expect.order".to_owned(),
        item: Some("item 3".to_owned()),
        expected: "Job/smoke applied after Deployment/checkout healthy".to_owned(),
        observed: "Job/smoke applied at 31.0s; Deployment/checkout progressing since 4.0s, healthy at 34.1s".to_owned(),
        excerpt: vec![
            line(28_030, "Deployment/checkout progressing", false),
            line(31_000, "Job/smoke applied", true),
            line(34_100, "Deployment/checkout healthy", false),
        ],
        hint: None,
    }
}

/// `text` without its colours.
pub(crate) fn without_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    out + rest
}
