//! `wavetank fuzz-engine`: random scenarios on two engines.

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use wavetank_fuzz_engine::{Case, generate, shrink};
use wavetank_kernel::Seed;
use wavetank_scenario::{LoadOptions, Scenario, load_bytes};

use crate::args::FuzzArguments;
use crate::compare::{self, Compared, Engines};
use crate::engine;
use crate::output::Streams;
use crate::pool;

/// What one drawn scenario gave.
struct Outcome {
    seed: u64,
    compared: Compared,
    /// The smallest scenario that still differs.
    found: Option<Case>,
}

/// Draws and compares; gives the exit code: 1 where engines differ, 4 where one could not run, 101 for bugs.
pub(crate) fn fuzz(arguments: &FuzzArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let names = if arguments.engines.is_empty() {
        vec![engine::BUILTIN.to_owned(), engine::NEWEST.to_owned()]
    } else {
        arguments.engines.clone()
    };
    let engines = Engines::find(&names)?;
    let seeds: Vec<u64> = (0..arguments.runs)
        .map(|number| arguments.seed.wrapping_add(number))
        .collect();
    let late = Arc::new(AtomicBool::new(false));
    if let Some(seconds) = arguments.seconds {
        alarm(seconds, Arc::clone(&late));
    }
    let work = |seed: &u64| {
        if late.load(Ordering::Relaxed) {
            return None;
        }
        Some(one(*seed, &engines, arguments.tries))
    };
    let (mut same, mut skipped) = (0, 0);
    let mut bad = Vec::new();
    let mut written = Ok(());
    pool::in_order(&seeds, compare::jobs(arguments.jobs), work, |outcome| {
        let Some(outcome) = outcome else {
            return ControlFlow::Break(());
        };
        if matches!(outcome.compared, Compared::Same) {
            same += 1;
            return ControlFlow::Continue(());
        }
        if matches!(outcome.compared, Compared::Skipped(_)) {
            skipped += 1;
            return ControlFlow::Continue(());
        }
        let code = match outcome.compared {
            Compared::Bug(_) => crate::BUG,
            Compared::Unavailable(_) => crate::UNAVAILABLE,
            _ => 1,
        };
        bad.push(code);
        written = tell(&outcome, &engines, &arguments.output, streams);
        if written.is_ok() && bad.len() < arguments.differences.get() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    written?;
    let total = same + skipped + bad.len();
    let mut text = format!("{total} scenarios: {same} agree, {} differ", bad.len());
    if skipped > 0 {
        write!(text, ", {skipped} took too long")?;
    }
    streams.result(&(text + "\n"))?;
    Ok([crate::BUG, crate::UNAVAILABLE, 1]
        .into_iter()
        .find(|code| bad.contains(code))
        .unwrap_or(0))
}

/// Raises the flag when the time is over.
fn alarm(seconds: u64, late: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        std::thread::park_timeout(std::time::Duration::from_secs(seconds));
        late.store(true, Ordering::Relaxed);
    });
}

/// Draws one scenario, compares, and makes it smaller where engines differ.
fn one(seed: u64, engines: &Engines, tries: usize) -> Outcome {
    let case = generate(Seed(seed));
    let compared = compared(&case, engines);
    let Some(kind) = kind(&compared) else {
        let found = (!matches!(compared, Compared::Same)).then_some(case);
        return Outcome {
            seed,
            compared,
            found,
        };
    };
    let mut last = compared;
    let found = shrink(case, tries, |smaller| {
        let again = self::compared(smaller, engines);
        let differs = self::kind(&again) == Some(kind);
        if differs {
            last = again;
        }
        differs
    });
    Outcome {
        seed,
        compared: last,
        found: Some(found),
    }
}

/// What a difference is about, which stays while its scenario gets smaller.
fn kind(compared: &Compared) -> Option<&'static str> {
    match compared {
        Compared::Different(found) => found.first().map(|difference| difference.what),
        Compared::Bug(_) => Some("bug"),
        _ => None,
    }
}

fn compared(case: &Case, engines: &Engines) -> Compared {
    match read(case) {
        Ok(scenario) => engines.compare(&Arc::new(scenario), 0, false),
        Err(problems) => Compared::Unavailable(problems),
    }
}

fn read(case: &Case) -> Result<Scenario, String> {
    let text = case.text();
    let loaded = load_bytes(
        Path::new("fuzz.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    );
    let mut loaded = loaded.map_err(|problems| problems.render(false))?;
    loaded
        .scenarios
        .pop()
        .ok_or_else(|| "the file holds no scenario".to_owned())
}

/// Tells of what was found, and writes the scenario.
fn tell(
    outcome: &Outcome,
    engines: &Engines,
    folder: &Path,
    streams: &mut Streams,
) -> anyhow::Result<()> {
    let mut text = String::new();
    match &outcome.compared {
        Compared::Different(found) => {
            if let Some(first) = found.first() {
                first.write(&mut text, engines.shown())?;
            }
        }
        Compared::Unavailable(reason) | Compared::Bug(reason) | Compared::Skipped(reason) => {
            text = format!("  {reason}\n");
        }
        Compared::Same | Compared::Known => {}
    }
    let mut place = String::new();
    if let Some(case) = &outcome.found {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join(format!("{}.yaml", outcome.seed));
        let mut comment = String::new();
        for line in text.lines() {
            writeln!(comment, "#{line}")?;
        }
        fs::write(&path, comment + &case.text())
            .with_context(|| format!("cannot write {}", path.display()))?;
        place = format!(": {}", path.display());
    }
    streams.result(&format!("DIFFERENT seed {}{place}\n{text}", outcome.seed))?;
    Ok(())
}
