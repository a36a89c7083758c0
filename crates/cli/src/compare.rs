//! `wavetank compare`: one scenario on two engines.

pub(crate) mod targets;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use wavetank_model::{Actor, RequestRecord};
use wavetank_scenario::Scenario;
use wavetank_trace::entry::{ApiEvent, Content};
use wavetank_trace::{Event, OperationEvent, Trace};

use crate::args::CompareArguments;
use crate::engine::Choice;
use crate::execute;
use crate::load::{self, Item, Refused};
use crate::output::Streams;
use crate::target::Target;

/// Compares; gives the exit code: 1 where engines differ, 4 where one could not run.
pub(crate) fn compare(arguments: &CompareArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    if !arguments.targets.is_empty() {
        return targets::compare(arguments, streams);
    }
    let [first, second] = arguments.engines.as_slice() else {
        return Err(Refused(
            "error: --engines names two engines, as in builtin,argocd-…\n".to_owned(),
        )
        .into());
    };
    let engines = [Choice::find(first)?, Choice::find(second)?];
    let names = [first.as_str(), second.as_str()];
    let (mut same, mut different, mut code) = (0, 0, 0);
    for item in load::load(&arguments.selection, streams.stderr.palette)? {
        let (scenario, seed) = match &item {
            Item::Scenario { scenario, .. } => (scenario, arguments.seed.unwrap_or(scenario.seed)),
            Item::Invalid { path, problems } => {
                code = crate::WRONG;
                streams.message(&format!("INVALID {path}\n\n{}\n\n", problems.join("\n\n")));
                continue;
            }
        };
        match differences(scenario, seed, &engines, arguments.gets) {
            Ok(found) if found.is_empty() => {
                same += 1;
                streams.result(&format!("SAME {}\n", scenario.name))?;
            }
            Ok(found) => {
                different += 1;
                code = if code == 0 { 1 } else { code };
                let shown = if arguments.all { found.len() } else { 1 };
                let mut text = format!("DIFFERENT {}\n", scenario.name);
                for difference in found.iter().take(shown) {
                    difference.write(&mut text, names)?;
                }
                streams.result(&text)?;
            }
            Err(reason) => {
                code = if code == crate::WRONG { code } else { 4 };
                streams.result(&format!("UNAVAILABLE {}\n  {reason}\n", scenario.name))?;
            }
        }
    }
    streams.result(&format!("\n{same} agree, {different} differ\n"))?;
    Ok(code)
}

/// One difference.
struct Difference {
    place: String,
    what: String,
    sides: [String; 2],
}

impl Difference {
    fn write(&self, text: &mut String, names: [&str; 2]) -> std::fmt::Result {
        writeln!(text, "  {}: {}", self.place, self.what)?;
        for (name, side) in names.iter().zip(&self.sides) {
            writeln!(text, "    {name}: {}", side.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

fn differences(
    scenario: &Arc<Scenario>,
    seed: u64,
    engines: &[Choice; 2],
    gets: bool,
) -> Result<Vec<Difference>, String> {
    let mut passes = Vec::new();
    for engine in engines {
        let outcome = execute::execute(scenario, seed, engine, &Target::Fake);
        if let wavetank::Verdict::Unavailable { reason }
        | wavetank::Verdict::Bug { message: reason } = &outcome.verdict
        {
            return Err(reason.clone());
        }
        passes.push(split(&outcome.trace.ok_or("the run left no trace")?, gets));
    }
    let mut out = Vec::new();
    let (left, right) = (&passes[0], &passes[1]);
    for (a, b) in left.iter().zip(right) {
        a.against(b, &mut out);
    }
    if left.len() != right.len() {
        let next = |passes: &[Pass]| {
            passes
                .get(left.len().min(right.len()))
                .map_or("nothing more".to_owned(), |pass| pass.name.clone())
        };
        out.push(Difference {
            place: "at the end".to_owned(),
            what: "number of passes".to_owned(),
            sides: [next(left), next(right)],
        });
    }
    Ok(out)
}

/// The lines of one side that the other has not, or not as often.
fn counted(lines: &BTreeMap<String, u32>, others: &BTreeMap<String, u32>) -> String {
    let lines: Vec<String> = lines
        .iter()
        .filter(|(line, count)| others.get(*line) != Some(count))
        .map(|(line, count)| format!("{count} x {line}"))
        .collect();
    lines.join("\n")
}

/// What one pass did.
#[derive(Default)]
struct Pass {
    name: String,
    /// Requests by what they ask, counted: what an engine does at once has no order.
    requests: BTreeMap<String, u32>,
    /// Tasks, and beginnings and ends of phases and waves, likewise.
    tasks: BTreeMap<String, u32>,
    /// What the engine's writes changed, by object.
    changes: BTreeMap<String, Vec<String>>,
    outcome: Vec<String>,
    results: BTreeMap<String, String>,
}

/// Splits a trace into its passes.
fn split(trace: &Trace, gets: bool) -> Vec<Pass> {
    let mut passes: Vec<Pass> = Vec::new();
    let mut operation = 0;
    for entry in &trace.entries {
        match &entry.event {
            Event::Pass { number, cause } => passes.push(Pass {
                name: format!(
                    "operation {operation}, pass {number} ({cause}) at {}",
                    entry.time
                ),
                ..Pass::default()
            }),
            Event::Operation(event) => {
                operation = event.number;
                if event.desired.is_none()
                    && let Some(pass) = passes.last_mut()
                {
                    pass.ended(event);
                }
            }
            Event::Api(change) if change.actor.as_str() == Actor::ENGINE => {
                if let Some(pass) = passes.last_mut() {
                    pass.changed(change);
                }
            }
            Event::Task(_) | Event::Phase { .. } | Event::Wave { .. } => {
                if let Some(pass) = passes.last_mut() {
                    *pass.tasks.entry(task(&entry.event)).or_default() += 1;
                }
            }
            Event::Request(request) if counts(request, gets) => {
                if let Some(pass) = passes.last_mut() {
                    *pass.requests.entry(shown(request)).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    passes
}

/// The text of a change without what depends on the order of writes that are made at once.
fn masked(change: &Value) -> String {
    let mut change = change.clone();
    if let Some(meta) = change.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("uid");
        meta.remove("resourceVersion");
    }
    change.to_string()
}

/// Requests of the engine itself; how it learns what the API serves, and what the view reads, is no matter.
fn counts(request: &RequestRecord, gets: bool) -> bool {
    (gets || request.verb != "get")
        && request.actor.as_str() == Actor::ENGINE
        && !matches!(request.verb.as_str(), "discover" | "list" | "watch")
}

/// Takes kubectl's mention of its temporary file out of an error text: its name is random, and says nothing.
fn without_file(text: &str) -> String {
    const BEFORE: &str = "error when patching \"";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEFORE) {
        out.push_str(before);
        rest = after.split_once("\": ").map_or(after, |(_, after)| after);
    }
    out + rest
}

fn task(event: &Event) -> String {
    match event {
        Event::Task(task) => format!(
            "{:?} {} in {}/{}{}: {}",
            task.verb,
            task.key,
            task.phase,
            task.wave,
            if task.hook { " (hook)" } else { "" },
            without_file(&task.message)
        ),
        Event::Phase { phase, verb } => format!("{phase} {verb:?}"),
        Event::Wave { phase, wave, verb } => format!("{phase}/{wave} {verb:?}"),
        _ => String::new(),
    }
}

fn shown(request: &RequestRecord) -> String {
    let key = request
        .key
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut text = format!("{} {key}", request.verb);
    for (name, value) in [
        ("subresource", request.subresource.as_str()),
        ("patch", request.patch.as_str()),
        ("manager", request.manager.as_str()),
        ("dryRun", if request.dry_run { "yes" } else { "" }),
    ] {
        if !value.is_empty() {
            text.push(' ');
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
    }
    format!("{text} -> {}", request.code)
}

impl Pass {
    fn changed(&mut self, change: &ApiEvent) {
        let key = format!("{:?} {}", change.verb, change.key);
        let text = match change.content.as_ref() {
            Some(Content::Object(object)) => masked(object),
            Some(Content::Patch(patch)) => masked(patch),
            None => String::new(),
        };
        self.changes.entry(key).or_default().push(text);
    }

    fn ended(&mut self, event: &OperationEvent) {
        let state = &event.state;
        self.outcome.push(format!(
            "{}: {}",
            state.phase.as_str(),
            without_file(&state.message)
        ));
        for result in &state.results {
            let status = result
                .status
                .map_or("-", wavetank_trace::ResultStatus::as_str);
            let phase = result
                .hook_phase
                .map_or("-", wavetank_trace::OperationPhase::as_str);
            self.results.insert(
                format!("{} in {}", result.key, result.sync_phase),
                format!("{status} {phase} {}", without_file(&result.message)),
            );
        }
    }

    fn against(&self, other: &Self, out: &mut Vec<Difference>) {
        let mut push = |what: &str, left: String, right: String| {
            if left != right {
                out.push(Difference {
                    place: self.name.clone(),
                    what: what.to_owned(),
                    sides: [left, right],
                });
            }
        };
        push("start", self.name.clone(), other.name.clone());
        let (left, right) = (&self.requests, &other.requests);
        push("requests", counted(left, right), counted(right, left));
        let (left, right) = (&self.tasks, &other.tasks);
        push("tasks", counted(left, right), counted(right, left));
        let changes = |pass: &Self, without: &Self| {
            let lines: Vec<String> = pass
                .changes
                .iter()
                .filter(|(key, texts)| without.changes.get(*key) != Some(texts))
                .map(|(key, texts)| format!("{key}: {}", texts.join(" then ")))
                .collect();
            lines.join("\n")
        };
        push("changes", changes(self, other), changes(other, self));
        push("outcome", self.outcome.join("\n"), other.outcome.join("\n"));
        let results = |pass: &Self, without: &Self| {
            let lines: Vec<String> = pass
                .results
                .iter()
                .filter(|(key, result)| without.results.get(*key) != Some(result))
                .map(|(key, result)| format!("{key}: {result}"))
                .collect();
            lines.join("\n")
        };
        push("results", results(self, other), results(other, self));
    }
}
