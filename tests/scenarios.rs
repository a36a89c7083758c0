//! Every scenario of the library is a test, found when the tests run.
//!
//! Each file and case gives two: that it passes, with the same trace when it is run twice in one process; and that it
//! ends, with the same trace each time, when every choice falls on its last option. One more for each file compares with
//! a child process, so that nothing depends on what only one process has.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use wavetank::{Choices, Options, RunOutcome, Verdict};
use wavetank_report::{Layout, terminal, timeline};
use wavetank_scenario::{LoadOptions, Scenario, discover, load, name_conflicts};
use wavetank_tests::root;

/// Set in the child process: the file whose traces it prints.
const CHILD: &str = "WAVETANK_TESTS_PRINT_TRACES_OF";

fn main() -> ExitCode {
    if let Some(path) = env::var_os(CHILD) {
        return print_traces(Path::new(&path));
    }
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    // Paths in messages are those of a command line in the root.
    env::set_current_dir(root()).expect("the root can be entered");
    let library = PathBuf::from("scenarios");
    let files = match discover(std::slice::from_ref(&library)) {
        Ok(files) => files,
        Err(problems) => {
            let text = problems.render(false);
            return vec![Trial::test("scenarios can be found", move || {
                Err(text.into())
            })];
        }
    };
    let mut trials = Vec::new();
    let mut scenarios = Vec::new();
    for file in &files {
        match load(
            file,
            &LoadOptions {
                root: Some(root()),
                ..LoadOptions::default()
            },
        ) {
            Ok(loaded) => scenarios.extend(loaded.scenarios.into_iter().map(Arc::new)),
            Err(problems) => {
                let text = problems.render(false);
                trials.push(Trial::test(file.display().to_string(), move || {
                    Err(text.into())
                }));
            }
        }
    }
    trials.push(names_differ(&scenarios));
    let paths: BTreeSet<PathBuf> = scenarios
        .iter()
        .map(|scenario| scenario.path.clone())
        .collect();
    trials.extend(paths.into_iter().map(child_process));
    for scenario in scenarios {
        let title = title(&scenario);
        let last = Arc::clone(&scenario);
        trials.push(Trial::test(title.clone(), move || {
            passes_twice_alike(&scenario)
        }));
        trials.push(Trial::test(format!("{title}, last options"), move || {
            ends_with_last_options(&last)
        }));
    }
    trials
}

fn title(scenario: &Scenario) -> String {
    let path = scenario.path.display();
    scenario
        .case
        .as_ref()
        .map_or_else(|| path.to_string(), |case| format!("{path}@{case}"))
}

fn names_differ(scenarios: &[Arc<Scenario>]) -> Trial {
    let conflicts = name_conflicts(scenarios.iter().map(|scenario| &**scenario));
    let text = conflicts
        .iter()
        .map(|problem| problem.render(false))
        .collect::<Vec<_>>()
        .join("\n\n");
    Trial::test("no two scenarios share a name", move || {
        if text.is_empty() {
            Ok(())
        } else {
            Err(text.into())
        }
    })
}

fn passes_twice_alike(scenario: &Arc<Scenario>) -> Result<(), Failed> {
    let first = wavetank::check(scenario, Options::default());
    let second = wavetank::check(scenario, Options::default());
    same_trace(&first, &second)?;
    match first.verdict {
        Verdict::Passed | Verdict::KnownFailure { .. } | Verdict::Skipped { .. } => Ok(()),
        _ => Err(story(&first).into()),
    }
}

/// Such a run may fail its expectations: they speak of the canonical schedule.
fn ends_with_last_options(scenario: &Arc<Scenario>) -> Result<(), Failed> {
    let run = || {
        wavetank::check(
            scenario,
            Options {
                choices: Choices::Last,
                ..Options::default()
            },
        )
    };
    let (first, second) = (run(), run());
    same_trace(&first, &second)?;
    match first.verdict {
        Verdict::Unavailable { .. } | Verdict::Bug { .. } | Verdict::Invalid { .. } => {
            Err(story(&first).into())
        }
        _ => Ok(()),
    }
}

fn child_process(path: PathBuf) -> Trial {
    Trial::test(format!("{}, child process", path.display()), move || {
        let child = Command::new(env::current_exe()?)
            .env(CHILD, &path)
            .output()?;
        if !child.status.success() {
            return Err(format!(
                "the child failed:\n{}",
                String::from_utf8_lossy(&child.stderr)
            )
            .into());
        }
        if child.stdout != traces(&path)? {
            return Err(format!("{}: the traces of a child process differ", path.display()).into());
        }
        Ok(())
    })
}

fn print_traces(path: &Path) -> ExitCode {
    let printed = traces(path).and_then(|text| Ok(io::stdout().write_all(&text)?));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let message = failed.message().unwrap_or_default();
            let _closed = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

/// The traces of every scenario of a file, one after the other.
fn traces(path: &Path) -> Result<Vec<u8>, Failed> {
    let options = LoadOptions {
        root: Some(root()),
        ..LoadOptions::default()
    };
    let loaded = load(path, &options).map_err(|problems| problems.render(false))?;
    let mut text = Vec::new();
    for scenario in loaded.scenarios {
        let outcome = wavetank::check(&Arc::new(scenario), Options::default());
        if !matches!(outcome.verdict, Verdict::Skipped { .. }) {
            text.extend(trace_text(&outcome)?);
        }
    }
    Ok(text)
}

fn trace_text(outcome: &RunOutcome) -> Result<Vec<u8>, Failed> {
    let mut text = Vec::new();
    let trace = outcome.trace.as_ref().ok_or("the run gave no trace")?;
    wavetank_trace::write(trace, &mut text)?;
    Ok(text)
}

fn same_trace(first: &RunOutcome, second: &RunOutcome) -> Result<(), Failed> {
    if matches!(first.verdict, Verdict::Skipped { .. }) {
        return Ok(());
    }
    let (first, second) = (trace_text(first)?, trace_text(second)?);
    if first == second {
        return Ok(());
    }
    let (first, second) = (
        String::from_utf8_lossy(&first),
        String::from_utf8_lossy(&second),
    );
    let line = first.lines().zip(second.lines()).position(|(a, b)| a != b);
    let (a, b) = match line {
        Some(line) => (first.lines().nth(line), second.lines().nth(line)),
        None => (None, None),
    };
    Err(
        format!("two runs of one seed differ, first in line {line:?} of the trace:\n{a:?}\n{b:?}")
            .into(),
    )
}

/// The failure and the timeline.
fn story(outcome: &RunOutcome) -> String {
    let mut text = terminal::run(outcome, &Layout::plain());
    if let Some(trace) = &outcome.trace {
        text.push_str(&timeline::render(
            trace,
            timeline::Detail::Story,
            &Layout::plain(),
        ));
    }
    text
}
