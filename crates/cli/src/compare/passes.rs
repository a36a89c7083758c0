//! What engines did, pass by pass, and where it differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wavetank_json::Value;
use wavetank_model::{Actor, RequestRecord};
use wavetank_trace::entry::{ApiEvent, Content};
use wavetank_trace::{Event, OperationEvent, Trace};

/// One difference.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// The pass.
    pub(crate) place: String,
    /// `start`, `requests`, `tasks`, `changes`, `outcome`, `results` or `passes`.
    pub(crate) what: &'static str,
    /// What only the first and only the second engine did.
    pub(crate) sides: [String; 2],
}

impl Difference {
    /// Writes it, as lines that are set in.
    pub(crate) fn write(&self, text: &mut String, names: [&str; 2]) -> std::fmt::Result {
        writeln!(text, "  {}: {}", self.place, self.what)?;
        for (name, side) in names.iter().zip(&self.sides) {
            writeln!(text, "    {name}: {}", side.replace('\n', "\n      "))?;
        }
        Ok(())
    }
}

/// Every difference of two runs, in the order of their passes.
pub(crate) fn differences(left: &Trace, right: &Trace, gets: bool) -> Vec<Difference> {
    let (left, right) = (split(left, gets), split(right, gets));
    let mut out = Vec::new();
    for (a, b) in left.iter().zip(&right) {
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
            what: "passes",
            sides: [next(&left), next(&right)],
        });
    }
    out
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
fn masked(mut change: Value) -> String {
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

/// Takes out of an error text what says nothing: the random name of kubectl's temporary file, the address of the server,
/// and how a connection was lost.
fn essence(text: &str) -> String {
    let end_of_file = |rest: &str| {
        rest.split_once("\": ")
            .map_or(0, |(file, _)| file.len() + 3)
    };
    let digits =
        |rest: &str| rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let text = without(text, "error when patching \"", end_of_file);
    let text = without(&text, "/dev/shm/", digits);
    let text = without(&text, "https://127.0.0.1:", digits);
    text.replace("connect: connection refused", "EOF")
}

/// Sorts the reasons of a failure: they come in the order in which calls returned that were made at once.
fn unordered(message: &str) -> String {
    const REASON: &str = "reason: ";
    const ENDS: [&str; 2] = [". Retrying attempt", " (retried "];
    const SYNC_FAIL: &str = "\none or more SyncFail hooks failed";
    if let Some((tasks, hooks)) = message.split_once(SYNC_FAIL) {
        return unordered(tasks) + SYNC_FAIL + &unordered(hooks);
    }
    let Some((start, reasons)) = message.split_once(REASON) else {
        return message.to_owned();
    };
    let end = ENDS.iter().filter_map(|end| reasons.rfind(end)).max();
    let (reasons, end) = reasons.split_at(end.unwrap_or(reasons.len()));
    let mut sorted: Vec<&str> = reasons.split(',').collect();
    sorted.sort_unstable();
    format!("{start}{REASON}{}{end}", sorted.join(","))
}

/// Leaves out each `what`, and so much of what follows as `length` says, in bytes.
fn without(text: &str, what: &str, length: impl Fn(&str) -> usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(what) {
        out.push_str(before);
        rest = after.get(length(after)..).unwrap_or_default();
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
            essence(&task.message)
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
    // kubectl learns from the OpenAPI document of version 2, which the simulated server has not, that definitions take
    // strategic merge patches.
    let is_definition = request
        .key
        .as_ref()
        .is_some_and(|key| key.kind == "CustomResourceDefinition");
    let patch = match request.patch.as_str() {
        "strategic" if is_definition => "merge",
        patch => patch,
    };
    let mut text = format!("{} {key}", request.verb);
    for (name, value) in [
        ("subresource", request.subresource.as_str()),
        ("patch", patch),
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
            Some(Content::Object(content) | Content::Patch(content)) => masked(content.value()),
            None => String::new(),
        };
        self.changes.entry(key).or_default().push(text);
    }

    fn ended(&mut self, event: &OperationEvent) {
        let state = &event.state;
        self.outcome.push(format!(
            "{}: {}",
            state.phase.as_str(),
            unordered(&essence(&state.message))
        ));
        for result in &state.results {
            let status = result
                .status
                .map_or("-", wavetank_model::ResultCode::as_str);
            let phase = result
                .hook_phase
                .map_or("-", wavetank_model::OperationPhase::as_str);
            self.results.insert(
                format!("{} in {}", result.key, result.sync_phase),
                format!("{status} {phase} {}", essence(&result.message)),
            );
        }
    }

    fn against(&self, other: &Self, out: &mut Vec<Difference>) {
        let mut push = |what: &'static str, left: String, right: String| {
            if left != right {
                out.push(Difference {
                    place: self.name.clone(),
                    what,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        for (text, left) in [
            ("error when patching \"/dev/shm/12\": no", "no"),
            ("from \"/dev/shm/449393204\": no", "from \"\": no"),
            (
                "Post \"https://127.0.0.1:44043/api\": EOF",
                "Post \"/api\": EOF",
            ),
            (
                "Post \"/api\": connect: connection refused",
                "Post \"/api\": EOF",
            ),
        ] {
            assert_eq!(essence(text), left);
        }
    }

    #[test]
    fn reasons_have_no_order() {
        let text =
            |reasons: &str| format!("failed, reason: {reasons}. Retrying attempt #1 at 12:00AM.");
        assert_eq!(unordered(&text("b,a")), unordered(&text("a,b")));
        assert_eq!(unordered("waiting for b,a"), "waiting for b,a");
        let both = |tasks: &str, hooks: &str| {
            format!("failed, reason: {tasks}\none or more SyncFail hooks failed, reason: {hooks}")
        };
        assert_eq!(
            unordered(&both("b,a", "d,c")),
            unordered(&both("a,b", "c,d"))
        );
        assert_ne!(unordered(&both("b,a", "c")), unordered(&both("b", "a,c")));
    }
}
