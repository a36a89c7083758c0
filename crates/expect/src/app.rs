//! `app`: what the trace tells of the application.
//!
//! Health and sync status are those of the last `app` event. Conditions, per-resource status and history are not in the
//! trace: an expectation of them fails with that reason rather than passing unseen.

use wavetank_model::Verb;
use wavetank_scenario::AppExpectation;
use wavetank_trace::Event;

use crate::judgement::{Answer, Failure};
use crate::part::Part;

pub(crate) fn failures(wanted: Option<&AppExpectation>, part: &Part<'_>) -> Vec<Failure> {
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let mut failures = Vec::new();
    let health = [
        Verb::Healthy,
        Verb::Progressing,
        Verb::Degraded,
        Verb::Missing,
    ];
    failures.extend(compare("health", wanted.health.as_deref(), &health, part));
    failures.extend(compare(
        "sync",
        wanted.sync.as_deref(),
        &[Verb::Synced, Verb::OutOfSync],
        part,
    ));
    for (item, written) in [
        ("conditions", !wanted.conditions.is_empty()),
        ("resources", !wanted.resources.is_empty()),
        ("history", wanted.history.is_some()),
    ] {
        if written {
            failures.push(Failure {
                item: item.to_owned(),
                answer: Answer::Never,
                expected: format!("the {item} of the app"),
                observed: format!("{item} are not in the trace: not supported by this version"),
                excerpt: Vec::new(),
            });
        }
    }
    failures
}

fn compare(item: &str, wanted: Option<&str>, verbs: &[Verb], part: &Part<'_>) -> Option<Failure> {
    let wanted = wanted?;
    let of_app = |event: &Event| matches!(event, Event::App { verb, .. } if verbs.contains(verb));
    let last = part
        .entries
        .iter()
        .rev()
        .chain(part.earlier.iter().rev())
        .find(|entry| of_app(&entry.event));
    let verb = last.and_then(|entry| entry.event.verb());
    if verb.is_some_and(|verb| verb.as_str().eq_ignore_ascii_case(wanted)) {
        return None;
    }
    let observed = match (verb, last) {
        (Some(verb), Some(entry)) => format!("{verb} since {}", entry.time),
        _ => "the app was never compared".to_owned(),
    };
    let excerpt = part.excerpt(0, u64::MAX, of_app);
    Some(Failure {
        item: item.to_owned(),
        answer: Answer::NotYet,
        expected: wanted.to_owned(),
        observed,
        excerpt,
    })
}
