//! The one place that runs a scenario.

use std::sync::Arc;

use wavetank::{Options, RunOutcome, Verdict};
use wavetank_kernel::SimTime;
use wavetank_report::{About, Explanation};
use wavetank_scenario::Scenario;

use crate::engine::Choice;
use crate::panics;

/// Runs `scenario` with `seed` on this thread. A panic is the verdict *bug*.
pub(crate) fn execute(scenario: &Arc<Scenario>, seed: u64, engine: &Choice) -> RunOutcome {
    let options = Options {
        seed: Some(seed),
        ..Options::default()
    };
    let without_run = |verdict| RunOutcome {
        scenario: Some(scenario.name.clone()),
        path: scenario.path.display().to_string(),
        case: scenario.case.clone(),
        seed,
        about: About::of(scenario),
        verdict,
        warnings: Vec::new(),
        virtual_time: SimTime::ZERO,
        wall_time: None,
        explanation: Explanation::default(),
        trace: None,
    };
    let run = || match engine.start() {
        Ok(None) => wavetank::check(scenario, options),
        Ok(Some(engine)) => wavetank::check_with(scenario, options, engine),
        Err(reason) => without_run(Verdict::Unavailable { reason }),
    };
    panics::catch(run).unwrap_or_else(|message| without_run(Verdict::Bug { message }))
}
