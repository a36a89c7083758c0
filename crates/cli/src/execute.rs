//! The one place that runs a scenario.

use std::sync::Arc;

use wavetank::{Options, RunOutcome, Verdict};
use wavetank_kernel::SimTime;
use wavetank_report::About;
use wavetank_scenario::Scenario;

use crate::panics;

/// Runs `scenario` with `seed` on this thread. A panic is the verdict *bug*.
pub(crate) fn execute(scenario: &Arc<Scenario>, seed: u64) -> RunOutcome {
    let options = Options {
        seed: Some(seed),
        ..Options::default()
    };
    panics::catch(|| wavetank::check(scenario, options)).unwrap_or_else(|message| RunOutcome {
        scenario: Some(scenario.name.clone()),
        path: scenario.path.display().to_string(),
        case: scenario.case.clone(),
        seed,
        about: About::of(scenario),
        verdict: Verdict::Bug { message },
        warnings: Vec::new(),
        virtual_time: SimTime::ZERO,
        wall_time: None,
        trace: None,
    })
}
