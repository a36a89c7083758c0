//! The one place that runs a scenario.

use std::sync::Arc;

use wavetank::{Options, RunOutcome, Verdict};
use wavetank_kernel::SimTime;
use wavetank_report::{About, Explanation};
use wavetank_scenario::Scenario;

use crate::engine::Choice;
use crate::panics;
use crate::target::Target;

/// Runs `scenario` with `seed` on this thread. A panic is the verdict *bug*.
pub(crate) fn execute(
    scenario: &Arc<Scenario>,
    seed: u64,
    engine: &Choice,
    target: &Target,
) -> RunOutcome {
    execute_with(scenario, seed, engine, target, false)
}

/// As [`execute`]; with `fail_fast` the run ends as soon as an expectation cannot hold any more.
pub(crate) fn execute_with(
    scenario: &Arc<Scenario>,
    seed: u64,
    engine: &Choice,
    target: &Target,
    fail_fast: bool,
) -> RunOutcome {
    let scenario = &engine.runs(scenario);
    let options = Options {
        seed: Some(seed),
        fail_fast,
        ..Options::default()
    };
    let without_run = |verdict| RunOutcome {
        scenario: Some(scenario.name.clone()),
        path: scenario.path.display().to_string(),
        case: scenario.case.clone(),
        seed,
        target: target.name().to_owned(),
        about: About::of(scenario),
        verdict,
        warnings: Vec::new(),
        virtual_time: SimTime::ZERO,
        wall_time: None,
        explanation: Explanation::default(),
        command: None,
        trace: None,
    };
    let unavailable = |reason: String| without_run(Verdict::Unavailable { reason });
    let run = || {
        let engine = match engine.start() {
            Ok(engine) => engine,
            Err(reason) => return unavailable(reason),
        };
        match (target, engine) {
            (Target::Fake, None) => wavetank::check(scenario, options),
            (Target::Fake, Some(engine)) => wavetank::check_with(scenario, options, engine),
            (Target::Real(fleet), engine) => {
                let name = engine.as_ref().map_or("builtin", |engine| engine.name());
                let skipped = wavetank::skipped_on(scenario, &options, fleet.name(), name);
                if let Some(skipped) = skipped {
                    return skipped;
                }
                if let Some(reason) = fleet.skips(scenario) {
                    return without_run(Verdict::Skipped { reason });
                }
                if let Some(reason) = fleet.is_too_long(scenario, &options) {
                    return without_run(Verdict::Skipped { reason });
                }
                fleet
                    .check(scenario, options, engine)
                    .unwrap_or_else(|error| unavailable(error.to_string()))
            }
        }
    };
    panics::catch(run).unwrap_or_else(|message| without_run(Verdict::Bug { message }))
}
