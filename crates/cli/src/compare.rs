//! `wavetank compare`: one scenario on two engines, or on two targets.

mod passes;
pub(crate) mod targets;

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use wavetank_model::reference::glob;
use wavetank_scenario::Scenario;
use wavetank_trace::Trace;

use crate::args::{CompareArguments, TargetName};
use crate::engine::Choice;
use crate::execute;
use crate::load::{self, Item, Refused};
use crate::output::Streams;
use crate::pool;
use crate::target::Target;

pub(crate) use passes::Difference;

/// Two engines and their names.
pub(crate) struct Engines {
    /// The names.
    pub(crate) names: [String; 2],
    choices: [Choice; 2],
}

impl Engines {
    /// Finds the engines of a command line.
    ///
    /// # Errors
    /// [`Refused`] unless there are two, and both can be used.
    pub(crate) fn find(names: &[String]) -> anyhow::Result<Self> {
        let [first, second] = names else {
            let text = "error: --engines names two engines, as in builtin,argocd-…\n".to_owned();
            return Err(Refused(text).into());
        };
        let choices = [Choice::find(first)?, Choice::find(second)?];
        Ok(Self {
            names: [first.clone(), second.clone()],
            choices: [
                choices[0].clone().beside(&choices[1]),
                choices[1].clone().beside(&choices[0]),
            ],
        })
    }

    /// The names, to be shown.
    pub(crate) fn shown(&self) -> [&str; 2] {
        [&self.names[0], &self.names[1]]
    }

    /// Runs a scenario on both.
    pub(crate) fn compare(&self, scenario: &Arc<Scenario>, seed: u64, gets: bool) -> Compared {
        let mut traces = Vec::new();
        for choice in &self.choices {
            match run(scenario, seed, choice) {
                Ok(trace) => traces.push(trace),
                Err(compared) => return compared,
            }
        }
        let mut found = passes::differences(&traces[0], &traces[1], gets);
        let known = exceptions(scenario, &self.names);
        let before = found.len();
        found.retain(|difference| {
            !known
                .iter()
                .any(|what| what == difference.what || what == "all")
        });
        if found.is_empty() {
            return if before > 0 {
                Compared::Known
            } else {
                Compared::Same
            };
        }
        Compared::Different(found)
    }
}

/// What a comparison gave.
pub(crate) enum Compared {
    /// Both did the same.
    Same,
    /// They differ in what the scenario says they do.
    Known,
    /// They differ.
    Different(Vec<Difference>),
    /// The scenario is skipped with one of them, or takes too long.
    Skipped(String),
    /// One could not run.
    Unavailable(String),
    /// One ended in a bug of this program.
    Bug(String),
}

fn run(scenario: &Arc<Scenario>, seed: u64, engine: &Choice) -> Result<Trace, Compared> {
    let outcome = execute::execute(scenario, seed, engine, &Target::Fake);
    match outcome.verdict {
        wavetank::Verdict::Unavailable { reason } => Err(Compared::Unavailable(reason)),
        wavetank::Verdict::Bug { message } => Err(Compared::Bug(message)),
        wavetank::Verdict::Skipped { reason } => Err(Compared::Skipped(reason)),
        // What it did until then depends on the machine.
        wavetank::Verdict::NotSettled { reason, .. } if reason.contains("of real time") => {
            Err(Compared::Skipped(reason))
        }
        _ => outcome
            .trace
            .ok_or_else(|| Compared::Unavailable("the run left no trace".to_owned())),
    }
}

/// What the scenario's exceptions say of comparisons with these engines: `all`, or what of a pass differs.
fn exceptions(scenario: &Scenario, engines: &[String; 2]) -> Vec<String> {
    const COMPARE: &str = "compare";
    let case = scenario.case.as_deref().unwrap_or_default();
    let fits = |pattern: &Option<String>, texts: &[&str]| {
        pattern
            .as_ref()
            .is_none_or(|pattern| texts.iter().any(|text| glob(pattern, text)))
    };
    scenario
        .exceptions
        .iter()
        .filter(|exception| {
            fits(&exception.engine, &[&engines[0], &engines[1]])
                && fits(&exception.case, &[case])
                && fits(&exception.target, &["fake"])
        })
        .filter_map(|exception| {
            let rest = exception.fails.as_deref()?.strip_prefix(COMPARE)?;
            match rest.strip_prefix('.') {
                Some(what) => Some(what.to_owned()),
                None if rest.is_empty() => Some("all".to_owned()),
                None => None,
            }
        })
        .collect()
}

/// Compares; gives the exit code: 1 where engines differ, 4 where one could not run or all was skipped.
pub(crate) fn compare(arguments: &CompareArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    if !arguments.targets.is_empty() {
        return targets::compare(arguments, streams);
    }
    arguments
        .target_options
        .refuse_useless(&[TargetName::Fake], false)?;
    let engines = Engines::find(&arguments.engines)?;
    let items = load::load(&arguments.selection, streams.stderr.palette)?;
    let mut tally = Tally::default();
    let mut written = Ok(());
    let work = |item: &Item| match item {
        Item::Scenario { scenario, .. } => {
            let seed = arguments.seed.unwrap_or(scenario.seed);
            (
                Some(scenario.name.clone()),
                engines.compare(scenario, seed, arguments.gets),
            )
        }
        Item::Invalid { path, problems } => {
            let text = format!("INVALID {path}\n\n{}\n\n", problems.join("\n\n"));
            (None, Compared::Unavailable(text))
        }
    };
    pool::in_order(&items, jobs(arguments.jobs), work, |(name, compared)| {
        written = tally.take(name, compared, &engines, arguments.all, streams);
        if written.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    written?;
    streams.result(&tally.text())?;
    Ok(tally.code())
}

/// So many at a time.
pub(crate) fn jobs(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// How many comparisons ended how.
#[derive(Default)]
struct Tally {
    same: usize,
    known: usize,
    different: usize,
    skipped: usize,
    unavailable: usize,
    invalid: usize,
    bugs: usize,
}

impl Tally {
    fn take(
        &mut self,
        name: Option<String>,
        compared: Compared,
        engines: &Engines,
        all: bool,
        streams: &mut Streams,
    ) -> anyhow::Result<()> {
        let Some(name) = name else {
            self.invalid += 1;
            if let Compared::Unavailable(text) = compared {
                streams.message(&text);
            }
            return Ok(());
        };
        let text = match compared {
            Compared::Same => {
                self.same += 1;
                format!("SAME {name}\n")
            }
            Compared::Known => {
                self.known += 1;
                format!("KNOWN {name}\n")
            }
            Compared::Different(found) => {
                self.different += 1;
                let shown = if all { found.len() } else { 1 };
                let mut text = format!("DIFFERENT {name}\n");
                for difference in found.iter().take(shown) {
                    difference.write(&mut text, engines.shown())?;
                }
                text
            }
            Compared::Skipped(reason) => {
                self.skipped += 1;
                format!("SKIPPED {name}\n  {reason}\n")
            }
            Compared::Unavailable(reason) => {
                self.unavailable += 1;
                format!("UNAVAILABLE {name}\n  {reason}\n")
            }
            Compared::Bug(message) => {
                self.bugs += 1;
                format!("BUG {name}\n  {message}\n")
            }
        };
        Ok(streams.result(&text)?)
    }

    fn text(&self) -> String {
        let mut text = format!("\n{} agree, {} differ", self.same, self.different);
        for (count, what) in [
            (self.known, "differ as known"),
            (self.skipped, "skipped"),
            (self.unavailable, "not available"),
            (self.invalid, "invalid"),
            (self.bugs, "ended in a bug"),
        ] {
            if count > 0 {
                // Writing to a string does not fail.
                write!(text, ", {count} {what}").ok();
            }
        }
        text + "\n"
    }

    /// Of several exit codes the first of 101, 3, 4, 1; 4 also where all were skipped, as of runs.
    fn code(&self) -> u8 {
        match self {
            Self { bugs: 1.., .. } => crate::BUG,
            Self { invalid: 1.., .. } => crate::WRONG,
            Self {
                unavailable: 1.., ..
            } => crate::UNAVAILABLE,
            Self { different: 1.., .. } => 1,
            Self {
                same: 0,
                known: 0,
                skipped: 1..,
                ..
            } => crate::UNAVAILABLE,
            _ => 0,
        }
    }
}
