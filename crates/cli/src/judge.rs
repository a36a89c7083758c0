//! `wavetank judge`: the expectations of a scenario, judged on a trace that was recorded before.

use std::fs::File;
use std::io::BufReader;

use anyhow::Context as _;
use wavetank::{RunEnd, Simulation};
use wavetank_report::terminal;

use crate::again;
use crate::args::JudgeArguments;
use crate::load;
use crate::output::Streams;

/// Judges a trace; gives the exit code.
pub(crate) fn judge(arguments: &JudgeArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let scenario = load::one(
        &arguments.scenario,
        arguments.case.as_deref(),
        arguments.reading,
    )?;
    let context = || format!("cannot read {}", arguments.trace.display());
    let file = File::open(&arguments.trace).with_context(context)?;
    let trace = wavetank_trace::read(&mut BufReader::new(file)).with_context(context)?;
    let simulation = Simulation {
        trace,
        end: RunEnd::Completed(Vec::new()),
        unfired: Vec::new(),
        schedule: Vec::new(),
    };
    let mut outcome = wavetank::judge(&scenario, simulation);
    again::judged(&mut outcome, arguments);
    let text = terminal::run(&outcome, &streams.stdout);
    streams.result(&text)?;
    Ok(outcome.verdict.exit_code())
}
