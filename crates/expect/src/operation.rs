//! `operation`: the stored state of the last operation.

use wavetank_scenario::OperationExpectation;
use wavetank_trace::OperationEvent;

use crate::judgement::{Answer, Failure, Line};
use crate::message;
use crate::part::{Part, as_operation};

/// How many of the last messages an explanation shows.
const MESSAGES: usize = 8;

pub(crate) fn failures(wanted: Option<&OperationExpectation>, part: &Part<'_>) -> Vec<Failure> {
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let Some(last) = part.operation() else {
        let observed = "no operation was in progress".to_owned();
        return vec![failure("", summary(wanted), observed, Vec::new())];
    };
    let state = &last.state;
    let mut failures = Vec::new();
    if let Some(phase) = wanted
        .phase
        .as_deref()
        .filter(|phase| *phase != state.phase.as_str())
    {
        let observed = format!("{}: {:?}", state.phase, state.message);
        failures.push(failure(
            "phase",
            phase.to_owned(),
            observed,
            changes(last.number, part),
        ));
    }
    if let Some(message) = wanted
        .message
        .as_ref()
        .filter(|message| !message::fits(message, &state.message))
    {
        failures.push(failure(
            "message",
            message.to_string(),
            format!("{:?}", state.message),
            Vec::new(),
        ));
    }
    if let Some(retries) = wanted.retries.filter(|retries| *retries != state.retries) {
        failures.push(failure(
            "retries",
            retries.to_string(),
            state.retries.to_string(),
            changes(last.number, part),
        ));
    }
    if let Some(revision) = wanted
        .revision
        .as_ref()
        .filter(|revision| **revision != state.revision)
    {
        failures.push(failure(
            "revision",
            revision.clone(),
            state.revision.clone(),
            Vec::new(),
        ));
    }
    failures.extend(missing_message(wanted, last, part));
    failures
}

/// The first of `messages` that could not be placed; each is placed as early as possible.
fn missing_message(
    wanted: &OperationExpectation,
    last: &OperationEvent,
    part: &Part<'_>,
) -> Option<Failure> {
    let mut open = wanted.messages.iter().enumerate().peekable();
    for change in part.changes(last.number) {
        open.next_if(|(_, pattern)| message::fits(pattern, &change.state.message));
    }
    let (index, pattern) = open.next()?;
    let expected = match index
        .checked_sub(1)
        .and_then(|before| wanted.messages.get(before))
    {
        Some(before) => format!("{pattern} after {before}"),
        None => pattern.to_string(),
    };
    let early = part
        .changes(last.number)
        .any(|change| message::fits(pattern, &change.state.message));
    let observed = if early {
        "only earlier"
    } else {
        "no such message"
    };
    let item = format!("messages, item {}", index + 1);
    Some(failure(
        &item,
        expected,
        observed.to_owned(),
        changes(last.number, part),
    ))
}

/// The last stored changes of operation `number`, one line for each new message.
fn changes(number: u32, part: &Part<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for entry in part.earlier.iter().chain(part.entries) {
        if let Some(change) = as_operation(entry).filter(|change| change.number == number) {
            let message = &change.state.message;
            let colon = if message.is_empty() { "" } else { ": " };
            let text = format!("operation {}{colon}{message}", change.state.phase);
            if lines.last().is_none_or(|line| line.text != text) {
                lines.push(Line {
                    seq: entry.seq,
                    time: entry.time,
                    text,
                });
            }
        }
    }
    lines.split_off(lines.len().saturating_sub(MESSAGES))
}

fn failure(item: &str, expected: String, observed: String, excerpt: Vec<Line>) -> Failure {
    Failure {
        item: item.to_owned(),
        answer: Answer::NotYet,
        expected,
        observed,
        excerpt,
    }
}

fn summary(wanted: &OperationExpectation) -> String {
    match (&wanted.phase, &wanted.message) {
        (Some(phase), _) => format!("an operation, {phase}"),
        (None, Some(message)) => format!("an operation with the message {message}"),
        (None, None) => "an operation".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_scenario::{Expectations, MessagePattern};

    use super::*;
    use crate::testing::{judged, trace};

    const RUN: &str = "
        0 operation started
        1 operation stored: waiting for completion of hook batch/Job/a
        5 operation stored: waiting for healthy state of apps/Deployment/web
        9 operation failed: one or more synchronization tasks completed unsuccessfully";

    fn literal(text: &str) -> MessagePattern {
        MessagePattern::Literal(text.to_owned())
    }

    fn expect(operation: OperationExpectation) -> Expectations {
        Expectations {
            operation: Some(operation),
            ..Expectations::default()
        }
    }

    #[test]
    fn the_last_state_counts() {
        let wanted = OperationExpectation {
            phase: Some("Failed".to_owned()),
            message: Some(MessagePattern::Regex(
                regex::Regex::new("completed unsuccessfully$").unwrap(),
            )),
            messages: vec![literal("waiting for healthy state of apps/Deployment/web")],
            retries: Some(0),
            revision: Some("abc".to_owned()),
        };
        assert_eq!(
            judged(&expect(wanted), &trace(RUN)),
            "expect.operation: holds"
        );
    }

    #[test]
    fn failures_show_how_it_went() {
        let wanted = OperationExpectation {
            phase: Some("Succeeded".to_owned()),
            message: Some(literal("done")),
            messages: vec![
                literal("waiting for healthy state of apps/Deployment/web"),
                literal("waiting for completion of hook batch/Job/a"),
            ],
            retries: Some(1),
            revision: Some("def".to_owned()),
        };
        insta::assert_snapshot!(judged(&expect(wanted), &trace(RUN)), @r#"
        expect.operation, phase
          expected  Succeeded
          observed  Failed: "one or more synchronization tasks completed unsuccessfully"
               0.0s  operation Running
               1.0s  operation Running: waiting for completion of hook batch/Job/a
               5.0s  operation Running: waiting for healthy state of apps/Deployment/web
               9.0s  operation Failed: one or more synchronization tasks completed unsuccessfully
        expect.operation, message
          expected  "done"
          observed  "one or more synchronization tasks completed unsuccessfully"
        expect.operation, retries
          expected  1
          observed  0
               0.0s  operation Running
               1.0s  operation Running: waiting for completion of hook batch/Job/a
               5.0s  operation Running: waiting for healthy state of apps/Deployment/web
               9.0s  operation Failed: one or more synchronization tasks completed unsuccessfully
        expect.operation, revision
          expected  def
          observed  abc
        expect.operation, messages, item 2
          expected  "waiting for completion of hook batch/Job/a" after "waiting for healthy state of apps/Deployment/web"
          observed  only earlier
               0.0s  operation Running
               1.0s  operation Running: waiting for completion of hook batch/Job/a
               5.0s  operation Running: waiting for healthy state of apps/Deployment/web
               9.0s  operation Failed: one or more synchronization tasks completed unsuccessfully
        "#);
    }

    #[test]
    fn a_part_without_operation_fails() {
        let wanted = OperationExpectation {
            phase: Some("Succeeded".to_owned()),
            ..OperationExpectation::default()
        };
        insta::assert_snapshot!(judged(&expect(wanted), &trace("1 Job/a created")), @r"
        expect.operation
          expected  an operation, Succeeded
          observed  no operation was in progress
        ");
    }
}
