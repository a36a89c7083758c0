//! The one place that calls the runner.

use wavetank_kernel::SimTime;
use wavetank_report::{RunOutcome, Verdict};
use wavetank_scenario::Scenario;

use crate::panics;

/// Runs `scenario` with `seed` on this thread. A panic is the verdict *bug*.
pub(crate) fn execute(scenario: &Scenario, seed: u64, fail_fast: bool) -> RunOutcome {
    let outcome = RunOutcome {
        scenario: Some(scenario.name.clone()),
        path: scenario.path.display().to_string(),
        case: scenario.case.clone(),
        seed,
        verdict: Verdict::Passed,
        warnings: Vec::new(),
        virtual_time: SimTime::ZERO,
        wall_time: None,
        trace: None,
    };
    match panics::catch(|| run(scenario, seed, fail_fast)) {
        Ok(verdict) => RunOutcome { verdict, ..outcome },
        Err(message) => RunOutcome {
            verdict: Verdict::Bug { message },
            ..outcome
        },
    }
}

fn run(_scenario: &Scenario, _seed: u64, _fail_fast: bool) -> Verdict {
    Verdict::Unavailable {
        reason: "this build has no runner yet".to_owned(),
    }
}
