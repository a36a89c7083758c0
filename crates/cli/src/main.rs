//! The `wavetank` command.
//!
//! The only place that prints, reads the environment and decides the exit code. Results go to standard output, the rest
//! to standard error. Every panic is caught and reported as a bug, with exit code 101.

mod again;
mod args;
mod cluster;
mod compare;
mod engine;
mod execute;
mod explain;
mod fuzz;
mod interrupt;
mod judge;
mod lint;
mod list;
mod load;
mod merge;
mod output;
mod panics;
mod plan;
mod pool;
mod run;
mod serve;
mod shard;
mod subject;
mod target;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::{Arguments, Command};
use load::Refused;
use output::{OutputError, Streams};

/// A run makes and drops millions of small JSON values; the allocator is a quarter of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The scenario or the command line is wrong.
const WRONG: u8 = 3;
/// The target is not available.
const UNAVAILABLE: u8 = 4;
/// A bug in wavetank.
const BUG: u8 = 101;

fn main() -> ExitCode {
    panics::install_hook();
    let mut streams = Streams::detect();
    let code = match panics::catch(|| dispatch(&mut streams)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => failed(&error, &mut streams),
        Err(message) => {
            streams.message(&format!(
                "BUG {message}\nthis is a bug in wavetank: please report it with the command line and the version that \
                 `wavetank --version` prints\n"
            ));
            BUG
        }
    };
    ExitCode::from(code)
}

fn dispatch(streams: &mut Streams) -> anyhow::Result<u8> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = !error.use_stderr();
            error.print().context("cannot write the help text")?;
            return Ok(if asked_for { 0 } else { WRONG });
        }
    };
    match arguments.command {
        Command::Run(arguments) => run::run(&arguments, streams),
        Command::List(arguments) => list::list(&arguments, streams),
        Command::Plan(arguments) => plan::plan(&arguments, streams),
        Command::Lint(arguments) => lint::lint(&arguments, streams),
        Command::Explain(arguments) => explain::explain(&arguments, streams),
        Command::Judge(arguments) => judge::judge(&arguments, streams),
        Command::Serve(arguments) => serve::serve(&arguments, streams),
        Command::Engine(command) => engine::engine(&command, streams),
        Command::Cluster(command) => cluster::cluster(&command, streams),
        Command::Compare(arguments) => compare::compare(&arguments, streams),
        Command::Report(command) => merge::report(&command, streams),
        Command::FuzzEngine(arguments) => fuzz::fuzz(&arguments, streams),
        Command::Schema => {
            streams
                .result(&(serde_json::to_string_pretty(&wavetank_scenario::schema())? + "\n"))?;
            Ok(0)
        }
    }
}

/// What could not be done at all: reported with its causes.
fn failed(error: &anyhow::Error, streams: &mut Streams) -> u8 {
    if error
        .downcast_ref::<OutputError>()
        .is_some_and(OutputError::is_closed)
    {
        // As programs in a pipe do: the reader has seen enough.
        return 0;
    }
    if let Some(Refused(text)) = error.downcast_ref::<Refused>() {
        streams.message(text);
        return WRONG;
    }
    streams.message(&format!("error: {error:#}\n"));
    WRONG
}
