use rstest::rstest;

use super::*;

const NO_TIMEOUT: SignedDuration = SignedDuration::ZERO;

fn at(text: &str) -> Timestamp {
    format!("2026-01-01T{text}Z").parse().unwrap()
}

fn output(phase: OperationPhase, message: &str) -> StepOutput {
    StepOutput {
        phase,
        message: message.to_owned(),
        results: Vec::new(),
    }
}

fn failed() -> StepOutput {
    output(OperationPhase::Failed, "boom")
}

/// Stores the outcome of a pass as the newest version does.
fn finish(state: &mut OperationState, act: Act, output: StepOutput, now: Timestamp) -> Finished {
    state.finish(act, output, now, ArgoVersion::default())
}

fn with_limit(limit: i64) -> RetryStrategy {
    RetryStrategy {
        limit,
        ..RetryStrategy::default()
    }
}

/// SYNC-130, U-292: an operation is stepped, and over when a step completes it.
#[test]
fn an_operation_runs_until_a_step_completes_it() {
    let mut state = OperationState::start(RetryStrategy::never(), false, at("15:04:00.700"));
    assert_eq!(state.started_at, at("15:04:00"));
    assert_eq!(
        state.begin(at("15:04:01"), NO_TIMEOUT),
        Begun {
            act: Act::Step,
            stored: false
        }
    );
    let waiting = output(OperationPhase::Running, "waiting");
    assert!(finish(&mut state, Act::Step, waiting.clone(), at("15:04:01")).changed);
    assert!(
        !finish(&mut state, Act::Step, waiting, at("15:04:02")).changed,
        "the same again is no change"
    );
    assert_eq!(state.due(at("15:04:02"), NO_TIMEOUT), Due::Idle);
    let done = finish(
        &mut state,
        Act::Step,
        output(OperationPhase::Succeeded, "done"),
        at("15:05:00"),
    );
    assert_eq!(
        done,
        Finished {
            changed: true,
            retrying: false,
            over: true
        }
    );
    assert_eq!(state.due(at("15:05:00"), NO_TIMEOUT), Due::Over);
    assert_eq!(state.begin(at("15:05:00"), NO_TIMEOUT).act, Act::Nothing);
}

/// SYNC-132, SYNC-134, SYNC-199, U-286: announced after 5 s, tried after 10; Trace H.
#[test]
fn a_retry_comes_one_factor_later_than_announced() {
    let mut state = OperationState::start(with_limit(1), false, at("15:04:00"));
    state.revision = Some("abc".to_owned());
    let finished = finish(&mut state, Act::Step, failed(), at("15:04:30.500"));
    assert!(finished.retrying && !finished.over);
    assert_eq!(state.phase, OperationPhase::Running);
    assert_eq!(
        state.message,
        "boom. Retrying attempt #1 at 2026-01-01T15:04:35Z."
    );
    assert_eq!(
        state.due(at("15:04:31"), NO_TIMEOUT),
        Due::At(at("15:04:40"))
    );
    assert_eq!(state.begin(at("15:04:39"), NO_TIMEOUT).act, Act::Nothing);
    assert_eq!(state.due(at("15:04:40"), NO_TIMEOUT), Due::Pass);
    assert_eq!(
        state.begin(at("15:04:40"), NO_TIMEOUT),
        Begun {
            act: Act::Step,
            stored: true
        }
    );
    assert_eq!(state.message, "Retrying operation. Attempt #1");
    assert_eq!(
        (state.finished_at, state.revision.as_deref()),
        (None, Some("abc"))
    );
    assert_eq!(
        state.started_at,
        at("15:04:00"),
        "retries keep the start (SYNC-171)"
    );
    finish(&mut state, Act::Step, failed(), at("15:04:41"));
    assert_eq!(
        (state.phase, state.message.as_str()),
        (OperationPhase::Failed, "boom (retried 1 times).")
    );
}

/// SYNC-084, SYNC-227: before 3.6 the time of the day only.
#[rstest]
#[case("15:04:00", "3:04PM")]
#[case("00:00:01", "12:00AM")]
fn a_retry_was_announced_by_the_time_of_the_day(#[case] now: &str, #[case] shown: &str) {
    let mut state = OperationState::start(with_limit(1), false, at(now));
    state.finish(Act::Step, failed(), at(now), ArgoVersion::V3_5);
    assert_eq!(
        state.message,
        format!("boom. Retrying attempt #1 at {shown}.")
    );
}

/// SYNC-134: `refresh` drops the pinned revision and says so.
#[test]
fn a_refreshing_retry_takes_the_latest_revision() {
    let retry = RetryStrategy {
        refresh: true,
        ..with_limit(1)
    };
    let mut state = OperationState::start(retry, false, at("00:00:00"));
    state.revision = Some("abc".to_owned());
    finish(&mut state, Act::Step, failed(), at("00:00:01"));
    assert_eq!(
        state.message,
        "boom. Retrying attempt #1 at 2026-01-01T00:00:06Z."
    );
    state.begin(at("00:00:30"), NO_TIMEOUT);
    assert_eq!(
        state.message,
        "Retrying operation with latest revisions. Attempt #1"
    );
    assert_eq!(state.revision, None);
}

/// SYNC-132: a negative limit never ends, and a back-off that cannot be read ends at once.
#[test]
fn limits_and_errors_of_a_retry() {
    let mut state = OperationState::start(with_limit(-1), true, at("12:00:00"));
    for _ in 0..20 {
        assert!(finish(&mut state, Act::Step, failed(), at("12:00:01")).retrying);
        state.finished_at = None;
    }
    let backoff = Some(Backoff {
        duration: Some("soon".to_owned()),
        ..Backoff::default()
    });
    let mut state = OperationState::start(
        RetryStrategy {
            backoff,
            ..with_limit(1)
        },
        false,
        at("12:00:00"),
    );
    finish(&mut state, Act::Step, failed(), at("12:00:01"));
    assert_eq!(state.phase, OperationPhase::Error);
    assert_eq!(
        state.message,
        "boom (failed to retry: unable to parse soon as a duration)"
    );
}

/// SYNC-137, SYNC-138, U-114, U-115: a terminated operation is not retried.
#[test]
fn a_terminated_operation_is_not_retried() {
    let mut state = OperationState::start(with_limit(3), false, at("12:00:00"));
    assert!(state.request_termination());
    assert_eq!(state.message, "operation is terminating");
    assert_eq!(state.begin(at("12:00:01"), NO_TIMEOUT).act, Act::Terminate);
    let finished = finish(
        &mut state,
        Act::Terminate,
        output(OperationPhase::Failed, "Operation terminated"),
        at("12:00:01"),
    );
    assert!(finished.over && !finished.retrying);
    assert_eq!(state.message, "Operation terminated");
    assert!(!state.request_termination());
}

/// SYNC-130: a termination that is asked for during a step is seen after it.
#[test]
fn a_termination_during_a_step_is_kept() {
    let mut state = OperationState::start(RetryStrategy::never(), false, at("12:00:00"));
    let begun = state.begin(at("12:00:01"), NO_TIMEOUT);
    state.request_termination();
    finish(
        &mut state,
        begun.act,
        output(OperationPhase::Running, "waiting"),
        at("12:00:02"),
    );
    assert_eq!(
        (state.phase, state.message.as_str()),
        (OperationPhase::Terminating, "operation is terminating")
    );
    assert_eq!(state.due(at("12:00:02"), NO_TIMEOUT), Due::Pass);
}

/// SYNC-129, U-288, U-291: when a pass is due by itself: a retry, or the timeout if that is nearer; else changes bring it.
#[test]
fn a_pass_is_due_when_a_retry_or_the_timeout_is() {
    let timeout = SignedDuration::from_secs(12);
    let mut state = OperationState::start(with_limit(1), false, at("12:00:00"));
    assert_eq!(state.due(at("12:00:01"), NO_TIMEOUT), Due::Idle);
    assert_eq!(
        state.due(at("12:00:02"), timeout),
        Due::At(at("12:00:12.001"))
    );
    finish(&mut state, Act::Step, failed(), at("12:00:01"));
    assert_eq!(
        state.due(at("12:00:02"), NO_TIMEOUT),
        Due::At(at("12:00:11"))
    );
    assert_eq!(
        state.due(at("12:00:02"), SignedDuration::from_secs(5)),
        Due::At(at("12:00:05.001"))
    );
    assert_eq!(state.begin(at("12:00:10"), NO_TIMEOUT).act, Act::Nothing);
    assert_eq!(state.begin(at("12:00:11"), NO_TIMEOUT).act, Act::Step);
}

/// SYNC-136, U-114: what ends in time is not touched, and what is terminating already is not blamed on the timeout.
#[test]
fn the_timeout_is_for_what_takes_too_long() {
    let timeout = SignedDuration::from_secs(60);
    let mut state = OperationState::start(with_limit(1), false, at("12:00:00"));
    assert_eq!(state.begin(at("12:00:30"), timeout).act, Act::Step);
    finish(
        &mut state,
        Act::Step,
        output(OperationPhase::Succeeded, "done"),
        at("12:00:30"),
    );
    assert_eq!((state.over(), state.message.as_str()), (true, "done"));
    let mut state = OperationState::start(with_limit(1), false, at("12:00:00"));
    state.request_termination();
    assert_eq!(state.begin(at("12:02:00"), timeout).act, Act::Terminate);
    finish(
        &mut state,
        Act::Terminate,
        output(OperationPhase::Failed, "Operation terminated"),
        at("12:02:00"),
    );
    assert_eq!(state.message, "Operation terminated");
}

/// SYNC-132, SYNC-084, U-284, U-286: an error of the infrastructure is retried like a failure, and ends as Error.
#[test]
fn errors_are_retried_like_failures() {
    let error = || {
        output(
            OperationPhase::Error,
            "Failed to load application project: no",
        )
    };
    let mut state = OperationState::start(with_limit(1), false, at("15:04:00"));
    assert!(finish(&mut state, Act::Step, error(), at("15:04:00")).retrying);
    assert_eq!(
        (state.phase, state.message.as_str()),
        (
            OperationPhase::Running,
            "Failed to load application project: no. Retrying attempt #1 at 2026-01-01T15:04:05Z."
        )
    );
    state.begin(at("15:05:00"), NO_TIMEOUT);
    assert_eq!(state.message, "Retrying operation. Attempt #1");
    finish(&mut state, Act::Step, error(), at("15:05:00"));
    assert_eq!(
        (state.phase, state.message.as_str()),
        (
            OperationPhase::Error,
            "Failed to load application project: no (retried 1 times)."
        )
    );
}

/// SYNC-136, U-114: the timeout counts from the start, over all retries, and ends everything.
#[test]
fn the_timeout_ends_an_operation_for_good() {
    let timeout = SignedDuration::from_secs(60);
    let mut state = OperationState::start(with_limit(5), false, at("12:00:00"));
    finish(&mut state, Act::Step, failed(), at("12:00:30"));
    state.begin(at("12:00:40"), timeout);
    assert_eq!(
        state.begin(at("12:01:00"), timeout).act,
        Act::Step,
        "not yet exceeded"
    );
    assert_eq!(
        state.begin(at("12:01:00.001"), timeout),
        Begun {
            act: Act::Terminate,
            stored: true
        }
    );
    assert_eq!(state.message, "operation is terminating due to timeout");
    finish(
        &mut state,
        Act::Terminate,
        output(OperationPhase::Failed, "Operation terminated"),
        at("12:01:01"),
    );
    assert_eq!(
        state.message,
        "Operation terminated, triggered by controller sync timeout (retried 1 times)."
    );
    assert!(state.over());
}

/// SYNC-067: a confirmation holds for what began before it.
#[test]
fn a_confirmation_must_not_be_older_than_the_operation() {
    let since = at("12:00:00");
    assert!(is_confirmed(Some("2026-01-01T12:00:00Z"), since));
    assert!(!is_confirmed(Some("2026-01-01T11:59:59Z"), since));
    assert!(!is_confirmed(Some("yes"), since) && !is_confirmed(None, since));
}

/// SYNC-141, U-300.
#[test]
fn selective_and_dry_runs_enter_no_history() {
    let mut state = OperationState::start(RetryStrategy::never(), false, at("12:00:00"));
    let (whole, mut part) = (SyncOptions::default(), SyncOptions::default());
    part.resources.push(crate::ResourceFilter::default());
    assert!(!state.enters_history(&whole));
    finish(
        &mut state,
        Act::Step,
        output(OperationPhase::Succeeded, ""),
        at("12:00:01"),
    );
    assert!(state.enters_history(&whole) && !state.enters_history(&part));
}
