//! A scenario on the simulated cluster, judged.

use std::sync::Arc;

use wavetank_expect::{Answer, Judgement};
use wavetank_kernel::SimTime;
use wavetank_report::{About, Explanation, Failure, RunOutcome, Verdict};
use wavetank_runner::{RunEnd, StepFailure, UnfiredFault};
use wavetank_scenario::Scenario;
use wavetank_sync::StepEngine;
use wavetank_trace::{Event, Trace};

use crate::exceptions;
use crate::simulate::{Options, Simulation, simulate, simulate_with};

/// Replays a scenario as [`simulate`] does and judges its expectations and the invariants, unless it says that it is to
/// be skipped.
///
/// The outcome carries the trace and no warnings: those belong to the file.
pub fn check(scenario: &Arc<Scenario>, options: Options) -> RunOutcome {
    if let Some(skipped) = skipped(scenario, &options, "fake", "builtin") {
        return skipped;
    }
    judge(scenario, simulate(scenario, options))
}

/// The outcome when the scenario says that it is to be skipped on `target` with `engine`.
pub(crate) fn skipped(
    scenario: &Scenario,
    options: &Options,
    target: &str,
    engine: &str,
) -> Option<RunOutcome> {
    exceptions::skip(scenario, target, engine).map(|reason| RunOutcome {
        scenario: Some(scenario.name.clone()),
        path: scenario.path.display().to_string(),
        case: scenario.case.clone(),
        seed: options.seed.unwrap_or(scenario.seed),
        target: target.to_owned(),
        about: About::of(scenario),
        verdict: Verdict::Skipped { reason },
        warnings: Vec::new(),
        virtual_time: SimTime::ZERO,
        wall_time: None,
        explanation: Explanation::default(),
        command: None,
        trace: None,
    })
}

/// As [`check`], with the given engine.
pub fn check_with(
    scenario: &Arc<Scenario>,
    options: Options,
    engine: Box<dyn StepEngine>,
) -> RunOutcome {
    if let Some(skipped) = skipped(scenario, &options, "fake", engine.name()) {
        return skipped;
    }
    judge(scenario, simulate_with(scenario, options, engine))
}

/// Judges what a simulation of `scenario` gave.
pub fn judge(scenario: &Scenario, simulation: Simulation) -> RunOutcome {
    let Simulation {
        trace,
        end,
        unfired,
        ..
    } = simulation;
    let judged = || {
        let judgements = wavetank_expect::judge(scenario, &trace.entries);
        if ended_early(&trace) {
            return lost(&judgements);
        }
        let unfired = unfired.iter().map(unfired_fault);
        unfired
            .chain(judgements.iter().flat_map(Failure::of))
            .collect::<Vec<_>>()
    };
    let verdict = match end {
        RunEnd::Unavailable(reason) => Verdict::Unavailable { reason },
        RunEnd::NotSettled { reason, failures } => {
            let failures = steps(scenario, failures).chain(judged()).collect();
            Verdict::NotSettled { reason, failures }
        }
        RunEnd::Completed(failures) => {
            let failures: Vec<Failure> = steps(scenario, failures).chain(judged()).collect();
            if failures.is_empty() {
                Verdict::Passed
            } else {
                Verdict::Failed { failures }
            }
        }
    };
    let verdict = exceptions::apply(scenario, &trace.header, verdict);
    let settled = !matches!(verdict, Verdict::NotSettled { .. });
    let mut outcome = RunOutcome {
        scenario: Some(scenario.name.clone()),
        path: scenario.path.display().to_string(),
        case: scenario.case.clone(),
        seed: trace.header.seed,
        target: trace.header.target.clone(),
        about: About::of(scenario),
        verdict,
        warnings: Vec::new(),
        virtual_time: trace
            .entries
            .last()
            .map_or(SimTime::ZERO, |entry| entry.time),
        wall_time: None,
        explanation: Explanation::default(),
        command: None,
        trace: Some(trace),
    };
    if !settled {
        outcome.explain(false);
    }
    outcome
}

/// Whether the run was ended before its end, because it was lost.
fn ended_early(trace: &Trace) -> bool {
    let last = trace.entries.last().map(|entry| &entry.event);
    matches!(last, Some(Event::Note { text }) if text == wavetank_runner::ENDED_EARLY)
}

/// What cannot hold any more; the rest had no time to.
fn lost(judgements: &[Judgement]) -> Vec<Failure> {
    let never = |judgement: &Judgement| {
        let mut judgement = judgement.clone();
        judgement
            .failures
            .retain(|failure| failure.answer == Answer::Never);
        judgement
    };
    let lost: Vec<Judgement> = judgements.iter().map(never).collect();
    let failures: Vec<Failure> = lost.iter().flat_map(Failure::of).collect();
    // Something ended the run: rather too much is told than nothing.
    if failures.is_empty() {
        return judgements.iter().flat_map(Failure::of).collect();
    }
    failures
}

/// Steps and bound actions that could not do what they say.
fn steps(scenario: &Scenario, failures: Vec<StepFailure>) -> impl Iterator<Item = Failure> {
    failures.into_iter().map(|failure| {
        let (name, item) = match failure.step {
            Some(index) => {
                let action = scenario
                    .steps
                    .get(index)
                    .map(|step| step.action.keyword().to_owned());
                (format!("steps.{index}"), action)
            }
            None => ("on".to_owned(), None),
        };
        Failure {
            name,
            item,
            observed: failure.text,
            ..Failure::default()
        }
    })
}

/// A fault that the run never met.
fn unfired_fault(fault: &UnfiredFault) -> Failure {
    let name = match fault.step {
        Some(index) => format!("steps.{index}.faults"),
        None => "faults".to_owned(),
    };
    let observed = match fault.passed {
        0 => format!("there was no `{}` to bend", fault.on),
        1 => format!("only one `{}` came, and was let through", fault.on),
        passed => format!("only {passed} of `{}` came, and were let through", fault.on),
    };
    Failure {
        name,
        item: Some(format!("fault/{}", fault.name)),
        expected: "it fires".to_owned(),
        observed,
        hint: Some("`optional: true` where it need not".to_owned()),
        ..Failure::default()
    }
}
