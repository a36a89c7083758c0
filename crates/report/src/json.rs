//! Runs as JSON, for programs.
//!
//! One object; its key `version` names the form ([`VERSION`]). Keys are added without a new version, never renamed or
//! removed within one. Times are in milliseconds. The trace is not part of it: it has a form of its own (JSON Lines).

use serde::Serialize;
use wavetank_expect::{Blocker, Waiting, WaveWait};
use wavetank_kernel::SimTime;

use crate::outcome::{Failure, RunOutcome, Tally, Verdict};
use crate::plan::Plan;

/// The version of the form.
pub const VERSION: &str = "v0";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: &'static str,
    exit_code: u8,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    scenario: Option<&'a str>,
    path: &'a str,
    case: Option<&'a str>,
    seed: u64,
    #[serde(skip_serializing_if = "is_simulated")]
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    links: &'a [String],
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [String],
    failures: Vec<JsonFailure<'a>>,
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<JsonWaiting<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits: Vec<JsonWait<'a>>,
    virtual_time_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time_ms: Option<u128>,
    again: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonFailure<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a str>,
    expected: &'a str,
    observed: &'a str,
    excerpt: Vec<JsonLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonLine<'a> {
    ms: Option<u64>,
    event: &'a str,
    decisive: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonWaiting<'a> {
    what: &'a str,
    since_ms: u64,
    blockers: Vec<JsonBlocker<'a>>,
    held_back: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonBlocker<'a> {
    subject: &'a str,
    state: &'a str,
    since_ms: Option<u64>,
    held_by: &'a [String],
    unblock: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonWait<'a> {
    wave: &'a str,
    from_ms: u64,
    to_ms: u64,
    last: Option<&'a str>,
    done_ms: Option<u64>,
    noticed_ms: Option<u64>,
}

#[derive(Serialize)]
struct Plans<'a> {
    version: &'static str,
    plans: &'a [Plan],
}

/// The runs as one JSON document, indented, with a newline at the end.
///
/// # Errors
/// Those of the JSON writer: none for data that came from a run.
pub fn runs(outcomes: &[RunOutcome], fail_on_skip: bool) -> Result<String, serde_json::Error> {
    let mut tally = Tally::new();
    for outcome in outcomes {
        tally.add(&outcome.verdict);
    }
    let document = Document {
        version: VERSION,
        exit_code: tally.exit_code(fail_on_skip),
        runs: outcomes.iter().map(run).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Plans as one JSON document, indented, with a newline at the end.
///
/// # Errors
/// As [`runs`].
pub fn plans(plans: &[Plan]) -> Result<String, serde_json::Error> {
    let document = Plans {
        version: VERSION,
        plans,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn is_simulated(target: &str) -> bool {
    target == "fake"
}

fn run(outcome: &RunOutcome) -> Run<'_> {
    let (reason, problems): (Option<&str>, &[String]) = match &outcome.verdict {
        Verdict::Passed | Verdict::Failed { .. } | Verdict::Fixed { .. } => (None, &[]),
        Verdict::Invalid { problems } => (None, problems),
        Verdict::NotSettled { reason, .. }
        | Verdict::KnownFailure { reason, .. }
        | Verdict::Skipped { reason }
        | Verdict::Unavailable { reason } => (Some(reason), &[]),
        Verdict::Bug { message } => (Some(message), &[]),
    };
    Run {
        scenario: outcome.scenario.as_deref(),
        path: &outcome.path,
        case: outcome.case.as_deref(),
        seed: outcome.seed,
        target: &outcome.target,
        description: outcome.about.description.as_deref(),
        links: &outcome.about.links,
        verdict: outcome.verdict.as_str(),
        reason,
        problems,
        failures: outcome.verdict.failures().iter().map(failure).collect(),
        warnings: &outcome.warnings,
        waiting: outcome.explanation.waiting.as_ref().map(waiting),
        waits: outcome.explanation.waits.iter().map(wait).collect(),
        virtual_time_ms: outcome.virtual_time.as_millis(),
        wall_time_ms: outcome.wall_time.map(|time| time.as_millis()),
        again: outcome.again(),
    }
}

fn waiting(waiting: &Waiting) -> JsonWaiting<'_> {
    JsonWaiting {
        what: &waiting.what,
        since_ms: waiting.since.as_millis(),
        blockers: waiting.blockers.iter().map(blocker).collect(),
        held_back: &waiting.held_back,
    }
}

fn blocker(blocker: &Blocker) -> JsonBlocker<'_> {
    JsonBlocker {
        subject: &blocker.subject,
        state: &blocker.state,
        since_ms: blocker.since.map(SimTime::as_millis),
        held_by: &blocker.held_by,
        unblock: &blocker.unblock,
    }
}

fn wait(wait: &WaveWait) -> JsonWait<'_> {
    JsonWait {
        wave: &wait.wave,
        from_ms: wait.from.as_millis(),
        to_ms: wait.to.as_millis(),
        last: wait.last.as_ref().map(|(object, _)| &**object),
        done_ms: wait.last.as_ref().map(|(_, at)| at.as_millis()),
        noticed_ms: wait.noticed.as_ref().map(|(at, _)| at.as_millis()),
    }
}

fn failure(failure: &Failure) -> JsonFailure<'_> {
    JsonFailure {
        name: &failure.name,
        item: failure.item.as_deref(),
        expected: &failure.expected,
        observed: &failure.observed,
        excerpt: failure
            .excerpt
            .iter()
            .map(|line| JsonLine {
                ms: line.time.map(SimTime::as_millis),
                event: &line.text,
                decisive: line.marked,
            })
            .collect(),
        hint: failure.hint.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{outcome, wrong_order};

    #[test]
    fn runs_carry_verdict_failures_and_exit_code() {
        let failed = outcome(
            "a.yaml",
            Verdict::Failed {
                failures: vec![wrong_order()],
            },
        );
        let invalid = RunOutcome {
            scenario: None,
            ..outcome(
                "b.yaml",
                Verdict::Invalid {
                    problems: vec!["error: no".to_owned()],
                },
            )
        };
        insta::assert_snapshot!(runs(&[failed, invalid], false).unwrap());
    }
}
