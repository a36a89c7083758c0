//! `wavetank compare --targets A,B`: one scenario on two targets, verdict and order side by side.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use wavetank::{RunOutcome, Verdict};
use wavetank_kernel::SimTime;
use wavetank_model::{ChangeKind, ObjectKey};
use wavetank_scenario::Scenario;
use wavetank_trace::{Event, Trace};

use crate::args::{CompareArguments, TargetName};
use crate::engine::Choice;
use crate::execute;
use crate::load::{self, Item, Refused};
use crate::output::Streams;
use crate::pool;
use crate::target::{Target, refuse_jobs};

/// Compares; gives the exit code: 1 where targets differ, 4 where one could not run or all was skipped.
pub(crate) fn compare(arguments: &CompareArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let [first, second] = arguments.targets.as_slice() else {
        let text = "error: --targets names two targets, as in fake,control-plane\n";
        return Err(Refused(text.to_owned()).into());
    };
    refuse_useless(arguments)?;
    let mut targets = Vec::new();
    for name in [*first, *second] {
        match Target::find_or_say(name, &arguments.target_options, streams)? {
            Ok(target) => targets.push(target),
            Err(code) => return Ok(code),
        }
    }
    let engine = Choice::find(arguments.engines.first().map_or("builtin", String::as_str))?;
    let items = load::load(&arguments.selection, streams.stderr.palette)?;
    let names = [*first, *second].map(TargetName::as_str);
    let jobs = arguments.jobs.unwrap_or(NonZeroUsize::MIN);
    let order = longest_first(&items, jobs, &targets[0], &engine, arguments)?;
    let mut rows = BTreeMap::new();
    let mut written = Ok(());
    pool::as_they_end(
        &order,
        jobs,
        |place| row(&items[*place], &targets, &engine, arguments),
        |index, row| {
            let text = row.text(names, arguments.all);
            rows.insert(order[index], row);
            written = streams.result(&text);
            let interrupted = targets.iter().any(Target::is_interrupted);
            if written.is_ok() && !interrupted {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    )?;
    written?;
    let table = Table {
        names,
        rows: rows.into_values().collect(),
    };
    streams.result(&format!("\n{}", table.summary()))?;
    if arguments.all {
        streams.result(&format!("\n{}", table.markdown(&targets)))?;
    }
    Ok(table.exit_code())
}

/// In which order items are compared: where several are at a time and the first target tells at once how long each takes,
/// the longest first, so that no long one is left alone at the end; else as they stand.
fn longest_first(
    items: &[Item],
    jobs: NonZeroUsize,
    target: &Target,
    engine: &Choice,
    arguments: &CompareArguments,
) -> anyhow::Result<Vec<usize>> {
    let mut places: Vec<usize> = (0..items.len()).collect();
    if jobs == NonZeroUsize::MIN || arguments.targets[0] != TargetName::Fake {
        return Ok(places);
    }
    let mut times = Vec::with_capacity(items.len());
    let time = |item: &Item| match item {
        Item::Scenario { scenario, .. } => {
            let seed = arguments.seed.unwrap_or(scenario.seed);
            execute::execute(scenario, seed, engine, target).virtual_time
        }
        Item::Invalid { .. } => SimTime::ZERO,
    };
    pool::in_order(items, jobs, time, |time| {
        times.push(time);
        ControlFlow::Continue(())
    })?;
    places.sort_by_key(|place| Reverse(times[*place]));
    Ok(places)
}

/// Refuses options that comparisons of targets do not look at.
fn refuse_useless(arguments: &CompareArguments) -> Result<(), Refused> {
    let refused = |text: &str| Err(Refused(format!("error: {text}\n")));
    if arguments.engines.len() > 1 {
        return refused(
            "two targets are compared with one engine: --engines names one with --targets",
        );
    }
    if arguments.gets {
        return refused(
            "--gets does nothing with --targets\n  = only comparisons of engines look at requests",
        );
    }
    refuse_jobs(&arguments.targets, arguments.jobs)?;
    arguments
        .target_options
        .refuse_useless(&arguments.targets, true)
}

/// One line of the table.
struct Row {
    title: String,
    /// Absent where the scenario could not be read, or was not run.
    sides: Option<[Side; 2]>,
    outcome: Same,
    differences: Vec<Difference>,
}

/// What one target gave.
struct Side {
    verdict: String,
    time: SimTime,
}

/// How two runs compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Same {
    /// Verdict, order and what happened to each object.
    All,
    /// Verdict and order of the engine's work; what happened to some object differs.
    Order,
    /// The verdict alone.
    Verdict,
    /// Nothing.
    Nothing,
    /// One target does not run the scenario.
    Skipped,
    /// One target was not available.
    Failed,
    /// The file is wrong.
    Invalid,
    /// One run ended in a bug of this program.
    Bug,
}

impl Same {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "SAME",
            Self::Order => "SAME ORDER",
            Self::Verdict => "SAME VERDICT",
            Self::Nothing => "DIFFERENT",
            Self::Skipped => "SKIPPED",
            Self::Failed => "UNAVAILABLE",
            Self::Invalid => "INVALID",
            Self::Bug => "BUG",
        }
    }
}

/// One difference, with an excerpt of both sides.
struct Difference {
    what: String,
    sides: [String; 2],
}

fn row(item: &Item, targets: &[Target], engine: &Choice, arguments: &CompareArguments) -> Row {
    let (scenario, seed) = match item {
        Item::Scenario { scenario, .. } => (scenario, arguments.seed.unwrap_or(scenario.seed)),
        Item::Invalid { path, problems } => {
            return Row {
                title: path.clone(),
                sides: None,
                outcome: Same::Invalid,
                differences: vec![Difference {
                    what: problems.join("\n"),
                    sides: [String::new(), String::new()],
                }],
            };
        }
    };
    let first = execute::execute(scenario, seed, engine, &targets[0]);
    if let Some(limit) = arguments.target_options.at_most
        && first.virtual_time.elapsed() > limit
    {
        let reason = format!(
            "takes {} on {}",
            first.virtual_time,
            arguments.targets[0].as_str()
        );
        return skipped(scenario, &reason);
    }
    let second = execute::execute(scenario, seed, engine, &targets[1]);
    for outcome in [&first, &second] {
        if let Verdict::Skipped { reason } = &outcome.verdict {
            return skipped(scenario, reason);
        }
    }
    let outcomes = [first, second];
    let differences = differences(&outcomes);
    let failed = outcomes.iter().map(|outcome| match outcome.verdict {
        Verdict::Unavailable { .. } => Same::Failed,
        Verdict::Bug { .. } => Same::Bug,
        _ => Same::All,
    });
    let worst = differences.iter().map(|(same, _)| *same).chain(failed);
    let outcome = worst.max().unwrap_or(Same::All);
    Row {
        title: scenario.name.clone(),
        sides: Some(outcomes.map(|outcome| Side {
            verdict: outcome.verdict.title().to_owned(),
            time: outcome.virtual_time,
        })),
        outcome,
        differences: differences
            .into_iter()
            .map(|(_, difference)| difference)
            .collect(),
    }
}

fn skipped(scenario: &Arc<Scenario>, reason: &str) -> Row {
    Row {
        title: scenario.name.clone(),
        sides: None,
        outcome: Same::Skipped,
        differences: vec![Difference {
            what: reason.to_owned(),
            sides: [String::new(), String::new()],
        }],
    }
}

impl Row {
    fn text(&self, names: [&str; 2], all: bool) -> String {
        let mut out = format!("{} {}", self.outcome.as_str(), self.title);
        if let Some([left, right]) = &self.sides {
            let _infallible = write!(
                out,
                ": {} in {}, {} in {}",
                left.verdict, left.time, right.verdict, right.time
            );
        }
        out.push('\n');
        let shown = if all { self.differences.len() } else { 1 };
        for difference in self.differences.iter().take(shown) {
            let _infallible = writeln!(out, "  {}", difference.what.replace('\n', "\n  "));
            for (name, side) in names.iter().zip(&difference.sides) {
                if !side.is_empty() {
                    let side = side.replace('\n', "\n      ");
                    let _infallible = writeln!(out, "    {name}: {side}");
                }
            }
        }
        out
    }
}

/// The differences of two runs, the gravest kind first.
fn differences(outcomes: &[RunOutcome; 2]) -> Vec<(Same, Difference)> {
    let mut out = Vec::new();
    let verdicts = outcomes.each_ref().map(|outcome| verdict(&outcome.verdict));
    if verdicts[0] != verdicts[1] {
        out.push((
            Same::Nothing,
            Difference {
                what: "verdict".to_owned(),
                sides: verdicts,
            },
        ));
    }
    let [Some(left), Some(right)] = outcomes.each_ref().map(|outcome| outcome.trace.as_ref())
    else {
        return out;
    };
    let stories = [story(left), story(right)];
    if let Some(difference) = first_difference("order of the engine's work", &stories) {
        out.push((Same::Verdict, difference));
    }
    let (lives, others) = (lives(left), lives(right));
    let keys: BTreeSet<&String> = lives.keys().chain(others.keys()).collect();
    for key in keys {
        let none = Vec::new();
        let sides = [&lives, &others].map(|lives| lives.get(key).unwrap_or(&none).clone());
        if let Some(difference) = first_difference(&format!("what happened to {key}"), &sides) {
            out.push((Same::Order, difference));
        }
    }
    out
}

/// Verdict and names of what failed: texts may hold times.
fn verdict(verdict: &Verdict) -> String {
    let mut names: BTreeSet<&str> = verdict
        .failures()
        .iter()
        .map(|failure| failure.name.as_str())
        .collect();
    let mut text = verdict.title().to_owned();
    if let Verdict::Unavailable { reason }
    | Verdict::Bug { message: reason }
    | Verdict::NotSettled { reason, .. } = verdict
    {
        let _infallible = write!(text, ": {}", masked(reason));
    }
    while let Some(name) = names.pop_first() {
        let _infallible = write!(text, "\n{name}");
    }
    text
}

/// Where two lists part, with what came before.
fn first_difference(what: &str, sides: &[Vec<String>; 2]) -> Option<Difference> {
    const BEFORE: usize = 3;
    const AFTER: usize = 3;
    let [left, right] = sides;
    let at = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right)
        .or_else(|| (left.len() != right.len()).then(|| left.len().min(right.len())))?;
    let excerpt = |side: &Vec<String>| {
        let from = at.saturating_sub(BEFORE);
        let lines = side.iter().enumerate().skip(from).take(BEFORE + AFTER);
        let mut lines: Vec<String> = lines
            .map(|(index, line)| {
                let mark = if index == at { "> " } else { "  " };
                format!("{mark}{line}")
            })
            .collect();
        if side.len() <= at {
            lines.push("> (nothing more)".to_owned());
        }
        format!("\n{}", lines.join("\n"))
    };
    Some(Difference {
        what: what.to_owned(),
        sides: [excerpt(left), excerpt(right)],
    })
}

/// What the engine did: operations, phases, waves, and the set of tasks of each wave.
fn story(trace: &Trace) -> Vec<String> {
    let home = &trace.header.namespace;
    let mut out = Vec::new();
    let mut tasks: BTreeSet<String> = BTreeSet::new();
    for entry in &trace.entries {
        let line = match &entry.event {
            Event::Task(task) => {
                let name = masked(&task.key.short(home));
                tasks.insert(format!("{name} {}", lower(&task.verb)));
                continue;
            }
            Event::Operation(operation) => match operation.verb {
                Some(verb) => format!("operation {}", lower(&verb)),
                None => continue,
            },
            Event::Phase { .. } | Event::Wave { .. } | Event::EngineRestarted => {
                entry.event.describe(home).unwrap_or_default()
            }
            _ => continue,
        };
        if !tasks.is_empty() {
            out.push(
                std::mem::take(&mut tasks)
                    .into_iter()
                    .collect::<Vec<_>>()
                    .join(", "),
            );
        }
        out.push(line);
    }
    if !tasks.is_empty() {
        out.push(tasks.into_iter().collect::<Vec<_>>().join(", "));
    }
    out
}

/// What happened to each object that is not named by chance: what was asked for, its coming and going, its health.
fn lives(trace: &Trace) -> BTreeMap<String, Vec<String>> {
    let home = &trace.header.namespace;
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &trace.entries {
        let (key, what) = match &entry.event {
            Event::Api(change) if change.verb != ChangeKind::Updated => {
                (&change.key, lower(&change.verb))
            }
            Event::Health(health) => (&health.key, lower(&health.verb)),
            Event::End { key, succeeded } => {
                let end = if *succeeded { "succeeded" } else { "failed" };
                (key, end.to_owned())
            }
            _ => continue,
        };
        if is_named_by_chance(key) || is_of_the_system(key, home) {
            continue;
        }
        let life = out.entry(masked(&key.short(home))).or_default();
        if life.last() != Some(&what) {
            life.push(what);
        }
    }
    out
}

/// Kinds that controllers make by themselves, under names of their own.
fn is_named_by_chance(key: &ObjectKey) -> bool {
    matches!(
        key.kind.as_str(),
        "APIService"
            | "Pod"
            | "ReplicaSet"
            | "ControllerRevision"
            | "EndpointSlice"
            | "Endpoints"
            | "Event"
            | "Lease"
            | "Node"
            | "PersistentVolume"
            | "ServiceAccount"
    ) || key.name == "kube-root-ca.crt"
        || matches!(key.kind.as_str(), "ServiceCIDR" | "IPAddress")
}

/// What a real cluster runs for itself: its health changes as virtual nodes come.
fn is_of_the_system(key: &ObjectKey, home: &str) -> bool {
    key.namespace != home && matches!(&*key.namespace, "kube-system" | "local-path-storage")
}

fn lower(verb: &impl std::fmt::Debug) -> String {
    format!("{verb:?}").to_lowercase()
}

/// Times and other long numbers are no difference.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    let flush = |digits: &mut String, out: &mut String| {
        if digits.len() >= 7 || digits.trim_end_matches('.').contains('.') {
            out.push('#');
        } else {
            out.push_str(digits);
        }
        digits.clear();
    };
    for char in text.chars() {
        // `104.247` is a time of the run.
        if char.is_ascii_digit() || (char == '.' && !digits.is_empty()) {
            digits.push(char);
            continue;
        }
        flush(&mut digits, &mut out);
        out.push(char);
    }
    flush(&mut digits, &mut out);
    out
}

/// Everything that was compared.
struct Table {
    names: [&'static str; 2],
    rows: Vec<Row>,
}

impl Table {
    fn count(&self, same: Same) -> usize {
        self.rows.iter().filter(|row| row.outcome == same).count()
    }

    fn summary(&self) -> String {
        let fine = self.count(Same::All) + self.count(Same::Order) + self.count(Same::Verdict);
        format!(
            "{fine} agree ({} in order and objects, {} in order, {} in their verdict), {} differ, {} skipped, {} could not \
             be run\n",
            self.count(Same::All),
            self.count(Same::Order),
            self.count(Same::Verdict),
            self.count(Same::Nothing),
            self.count(Same::Skipped),
            self.count(Same::Failed) + self.count(Same::Invalid) + self.count(Same::Bug),
        )
    }

    fn exit_code(&self) -> u8 {
        let codes = [
            (Same::Bug, crate::BUG),
            (Same::Invalid, crate::WRONG),
            (Same::Failed, crate::UNAVAILABLE),
            (Same::Nothing, 1),
        ];
        codes
            .into_iter()
            .find(|(same, _)| self.count(*same) > 0)
            .map_or_else(|| self.code_of_skips(), |(_, code)| code)
    }

    /// Nothing was compared where all were skipped.
    fn code_of_skips(&self) -> u8 {
        let skipped = self.count(Same::Skipped);
        if skipped > 0 && skipped == self.rows.len() {
            crate::UNAVAILABLE
        } else {
            0
        }
    }

    /// The table that the documentation shows.
    fn markdown(&self, targets: &[Target]) -> String {
        let [left, right] = self.names;
        let versions: Vec<String> = targets.iter().filter_map(Target::version).collect();
        let mut out = format!(
            "{}\n\n| scenario | {left} | {right} | agreement | first difference, or reason |\n|---|---|---|---|---|\n",
            versions.join(", ")
        );
        for row in &self.rows {
            let [a, b] = row.sides.as_ref().map_or_else(
                || [String::new(), String::new()],
                |sides| {
                    sides
                        .each_ref()
                        .map(|side| format!("{} {}", side.verdict, side.time))
                },
            );
            let what = row.differences.first().map_or("", |difference| {
                difference.what.lines().next().unwrap_or_default()
            });
            let _infallible = writeln!(
                out,
                "| {} | {a} | {b} | {} | {what} |",
                row.title,
                row.outcome.as_str().to_lowercase()
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_long_numbers_are_masked() {
        assert_eq!(
            masked("stuck at 104.247s: Job/note-1767225600 has 2 Pods"),
            "stuck at #s: Job/note-# has 2 Pods"
        );
    }

    #[test]
    fn what_the_cluster_runs_for_itself_is_no_object_of_the_run() {
        let key = |namespace| ObjectKey::new("apps", "DaemonSet", namespace, "kube-proxy");
        assert!(is_of_the_system(&key("kube-system"), "default"));
        assert!(!is_of_the_system(&key("kube-system"), "kube-system"));
        assert!(!is_of_the_system(&key("default"), "default"));
    }

    #[test]
    fn the_first_difference_shows_what_came_before() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let sides = [list(&["a", "b", "c"]), list(&["a", "b"])];
        let difference = first_difference("order", &sides).unwrap();
        assert_eq!(
            difference.sides,
            ["\n  a\n  b\n> c", "\n  a\n  b\n> (nothing more)"]
        );
        assert!(first_difference("order", &[list(&["a"]), list(&["a"])]).is_none());
    }
}
