//! `wavetank run`.

use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use wavetank_report::timeline::{self, Detail};
use wavetank_report::{
    About, Explanation, Layout, RunOutcome, Tally, Verdict, json, junit, terminal,
};

use crate::again;
use crate::args::{Format, RunArguments};
use crate::engine::Choice;
use crate::execute;
use crate::load::{self, Item, Refused};
use crate::output::{OutputError, Streams};
use crate::target::{Target, refuse_jobs};

/// One run that is to be made.
struct Task<'a> {
    item: &'a Item,
    seed: u64,
}

/// One run that was made; its trace was used up where it was made.
struct Finished {
    outcome: RunOutcome,
    text: String,
    trace_error: Option<anyhow::Error>,
}

/// Runs the selected scenarios; gives the exit code.
pub(crate) fn run(arguments: &RunArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    // Only the terminal's own text has its colours and its width.
    let on_terminal = arguments.output.is_none() && arguments.format == Format::Terminal;
    let layout = if on_terminal {
        streams.stdout
    } else {
        Layout::plain()
    };
    refuse_useless(arguments)?;
    let engine = Choice::find(&arguments.engine)?;
    let target = match Target::find_or_say(arguments.target, &arguments.target_options, streams)? {
        Ok(target) => target,
        Err(code) => return Ok(code),
    };
    let mut items = load::load(&arguments.selection, layout.palette)?;
    if let Some(choice) = arguments.shard {
        items = choice.find()?.pick(items);
    }
    let evidence = arguments.target_options.evidence.as_ref();
    for dir in arguments.trace_dir.iter().chain(evidence) {
        fs::create_dir_all(dir)
            .with_context(|| format!("cannot create the folder {}", dir.display()))?;
    }
    let tasks = tasks(&items, arguments);
    let jobs = arguments
        .jobs
        .or_else(|| match &target {
            Target::Fake => thread::available_parallelism().ok(),
            // Each would have a cluster of its own.
            Target::Real(_) => None,
        })
        .unwrap_or(NonZeroUsize::MIN);
    let mut results = Results {
        arguments,
        streams,
        layout,
        tally: Tally::new(),
        outcomes: Vec::new(),
        text: String::new(),
        error: None,
    };
    let total = tasks.len();
    if total > 1 {
        results.streams.progress(&format!("[0/{total}]"));
    }
    crate::pool::in_order(
        &tasks,
        jobs,
        |task| finish(task, arguments, &engine, &target, &layout),
        |finished| match results.take(finished, total) {
            _ if target.is_interrupted() => ControlFlow::Break(()),
            flow => flow,
        },
    )
    .context("cannot start a thread")?;
    results.end()
}

/// Refuses options that the others leave nothing to do.
fn refuse_useless(arguments: &RunArguments) -> Result<(), Refused> {
    let refused = |text: &str| Err(Refused(format!("error: {text}\n")));
    if arguments.verbose > 0 && arguments.format != Format::Terminal {
        return refused(
            "--verbose shows timelines with --format terminal only\n  = --trace-dir DIR writes the traces",
        );
    }
    if arguments.explain && arguments.format == Format::Junit {
        return refused("--explain has no place in --format junit\n  = --format json has one");
    }
    let targets = [arguments.target];
    refuse_jobs(&targets, arguments.jobs)?;
    arguments.target_options.refuse_useless(&targets, false)
}

fn tasks<'a>(items: &'a [Item], arguments: &RunArguments) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    for item in items {
        match item {
            Item::Scenario { scenario, .. } => {
                let first = arguments.seed.unwrap_or(scenario.seed);
                tasks.extend((0..).take(arguments.repeat.get()).map(|number| Task {
                    item,
                    seed: first.wrapping_add(number),
                }));
            }
            Item::Invalid { .. } => tasks.push(Task { item, seed: 0 }),
        }
    }
    tasks
}

/// Makes one run and uses up its trace; called on a worker's thread.
fn finish(
    task: &Task<'_>,
    arguments: &RunArguments,
    engine: &Choice,
    target: &Target,
    layout: &Layout,
) -> Finished {
    let mut outcome = match task.item {
        Item::Scenario { scenario, warnings } => {
            #[expect(
                clippy::disallowed_methods,
                reason = "how long a run takes outside is real time"
            )]
            let started = std::time::Instant::now();
            let fast = arguments.fail_fast;
            let mut outcome = execute::execute_with(scenario, task.seed, engine, target, fast);
            outcome.wall_time = Some(started.elapsed());
            outcome.warnings.splice(0..0, warnings.iter().cloned());
            outcome
        }
        Item::Invalid { path, problems } => RunOutcome {
            scenario: None,
            path: path.clone(),
            case: None,
            seed: 0,
            target: "fake".to_owned(),
            about: About::default(),
            verdict: Verdict::Invalid {
                problems: problems.clone(),
            },
            warnings: Vec::new(),
            virtual_time: wavetank_kernel::SimTime::ZERO,
            wall_time: None,
            explanation: Explanation::default(),
            command: None,
            trace: None,
        },
    };
    again::with_options(&mut outcome, arguments);
    if arguments.explain {
        outcome.explain(true);
    }
    let mut text = String::new();
    if arguments.format == Format::Terminal {
        text = terminal::run(&outcome, layout);
    }
    let mut trace_error = None;
    if let Some(trace) = outcome.trace.take() {
        if arguments.format == Format::Terminal && arguments.verbose > 0 {
            let detail = if arguments.verbose > 1 {
                Detail::Everything
            } else {
                Detail::Story
            };
            text.push_str(&timeline::render(&trace, detail, layout));
            text.push('\n');
        }
        let evidence = arguments.target_options.evidence.as_ref();
        if let Some(dir) = evidence.filter(|_| !outcome.verdict.is_fine()) {
            let folder = dir.join(&trace.header.scenario);
            let written = fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))
                .and_then(|()| write_trace(&trace, &folder, false));
            // A full disk changes no verdict, and the runs to come are worth more than what is lost of this one.
            if let Err(error) = written {
                outcome
                    .warnings
                    .push(format!("not all evidence could be kept: {error:#}"));
            }
        }
        if let Some(dir) = &arguments.trace_dir {
            let several = arguments.repeat.get() > 1;
            trace_error = write_trace(&trace, dir, several).err();
        }
    }
    Finished {
        outcome,
        text,
        trace_error,
    }
}

/// `NAME.jsonl`, or `NAME.seed-N.jsonl` where one scenario is run several times.
fn write_trace(trace: &wavetank_trace::Trace, dir: &Path, several: bool) -> anyhow::Result<()> {
    let header = &trace.header;
    let name = if several {
        format!("{}.seed-{}.jsonl", header.scenario, header.seed)
    } else {
        format!("{}.jsonl", header.scenario)
    };
    let path = dir.join(name);
    let context = || format!("cannot write the trace {}", path.display());
    let file = fs::File::create(&path).with_context(context)?;
    let mut out = std::io::BufWriter::new(file);
    wavetank_trace::write(trace, &mut out).with_context(context)?;
    std::io::Write::flush(&mut out).with_context(context)
}

/// What was reported so far.
struct Results<'a> {
    arguments: &'a RunArguments,
    streams: &'a mut Streams,
    layout: Layout,
    tally: Tally,
    /// Kept only for forms that are written at the end.
    outcomes: Vec<RunOutcome>,
    /// Text for `--output`.
    text: String,
    error: Option<anyhow::Error>,
}

impl Results<'_> {
    fn take(&mut self, finished: Finished, total: usize) -> ControlFlow<()> {
        match self.try_take(finished, total) {
            Ok(flow) => flow,
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn try_take(&mut self, finished: Finished, total: usize) -> anyhow::Result<ControlFlow<()>> {
        let Finished {
            outcome,
            text,
            trace_error,
        } = finished;
        self.tally.add(&outcome.verdict);
        let warnings = terminal::warnings(&outcome, &self.streams.stderr);
        if !warnings.is_empty() {
            self.streams.message(&warnings);
        }
        self.terminal(&text)?;
        let stop = self.arguments.fail_fast && !outcome.verdict.is_fine();
        if total > 1 {
            self.streams.progress(&format!(
                "[{}/{total}] {}",
                self.tally.runs(),
                outcome.title()
            ));
        }
        if self.arguments.format != Format::Terminal {
            self.outcomes.push(outcome);
        }
        if let Some(error) = trace_error {
            return Err(error);
        }
        Ok(if stop {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn terminal(&mut self, text: &str) -> Result<(), OutputError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.arguments.output.is_some() {
            self.text.push_str(text);
            return Ok(());
        }
        self.streams.result(text)
    }

    fn end(mut self) -> anyhow::Result<u8> {
        self.streams.clear_progress();
        if let Some(error) = self.error {
            return Err(error);
        }
        let summary = |layout: &Layout| terminal::summary(&self.tally, layout);
        let text = match self.arguments.format {
            Format::Terminal => std::mem::take(&mut self.text) + &summary(&self.layout),
            Format::Json => json::runs(&self.outcomes, self.arguments.fail_on_skip)?,
            Format::Junit => junit::runs(&self.outcomes)?,
        };
        match &self.arguments.output {
            Some(path) => {
                fs::write(path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                let shown = summary(&self.streams.stderr);
                self.streams.message(&shown);
            }
            None => self.streams.result(&text)?,
        }
        Ok(self.tally.exit_code(self.arguments.fail_on_skip))
    }
}
