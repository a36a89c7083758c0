//! The part of a trace that is judged: the whole run, or one step.

use wavetank_kernel::SimTime;
use wavetank_model::{EventPattern, ObjectKey, Subject, Verb};
use wavetank_trace::{Entry, Event, OperationEvent};

use crate::judgement::Line;

/// How many lines an excerpt has at most.
const EXCERPT: usize = 10;

/// A judged part and the trace it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// The entries of the part.
    pub(crate) entries: &'a [Entry],
    /// Everything that happened before it.
    pub(crate) earlier: &'a [Entry],
    /// When it begins.
    pub(crate) start: SimTime,
    /// Namespace of the app.
    pub(crate) home: &'a str,
}

impl<'a> Part<'a> {
    /// The entry with number `seq`, of the part or before it.
    pub(crate) fn entry(&self, seq: u64) -> Option<&'a Entry> {
        let find = |entries: &'a [Entry]| {
            let at = entries.partition_point(|entry| entry.seq < seq);
            entries.get(at).filter(|entry| entry.seq == seq)
        };
        find(self.entries).or_else(|| find(self.earlier))
    }

    /// When it ends.
    pub(crate) fn end(&self) -> SimTime {
        self.entries.last().map_or(self.start, |entry| entry.time)
    }

    /// The occurrences of `pattern` within the part.
    pub(crate) fn occurrences(
        &self,
        pattern: &'a EventPattern,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'a> {
        let home = self.home;
        self.entries
            .iter()
            .filter(move |entry| entry.event.matches(pattern, home))
    }

    /// The last stored change of the last operation that was in progress at any time in the part (section 8).
    pub(crate) fn operation(&self) -> Option<&'a OperationEvent> {
        if let Some(operation) = self.entries.iter().rev().find_map(as_operation) {
            return Some(operation);
        }
        let last = self.earlier.iter().rev().find_map(as_operation)?;
        (!last.state.phase.completed()).then_some(last)
    }

    /// The entries of the part that belong to the last attempt.
    pub(crate) fn last_attempt(&self) -> &'a [Entry] {
        let started = |entry: &Entry| {
            as_operation(entry).is_some_and(|operation| operation.verb == Some(Verb::Started))
        };
        let from = self.entries.iter().rposition(started).unwrap_or(0);
        &self.entries[from..]
    }

    /// Every stored change of operation `number` up to the end of the part.
    pub(crate) fn changes(
        &self,
        number: u32,
    ) -> impl Iterator<Item = &'a OperationEvent> + use<'a> {
        let all = self
            .earlier
            .iter()
            .chain(self.entries)
            .filter_map(as_operation);
        all.filter(move |operation| operation.number == number)
    }

    /// A line for one entry.
    pub(crate) fn line(&self, entry: &Entry) -> Line {
        Line {
            seq: entry.seq,
            time: entry.time,
            text: text(&entry.event, self.home),
        }
    }

    /// The entries from `first` to `last` (numbers) whose subject `concerns` says yes to, as few lines as possible.
    pub(crate) fn excerpt(
        &self,
        first: u64,
        last: u64,
        concerns: impl Fn(&Event) -> bool,
    ) -> Vec<Line> {
        let from = self.entries.partition_point(|entry| entry.seq < first);
        let to = self.entries.partition_point(|entry| entry.seq <= last);
        let wanted: Vec<&Entry> = self.entries[from..to]
            .iter()
            .filter(|entry| {
                entry.event.verb().is_some_and(|verb| verb != Verb::Updated)
                    && concerns(&entry.event)
            })
            .collect();
        let show = |entries: &[&Entry]| {
            entries
                .iter()
                .map(|entry| self.line(entry))
                .collect::<Vec<_>>()
        };
        if wanted.len() <= EXCERPT {
            return show(&wanted);
        }
        let (head, tail) = (EXCERPT / 2, EXCERPT - EXCERPT / 2 - 1);
        let left_out = wanted.len() - head - tail;
        let mut lines = show(&wanted[..head]);
        lines.push(Line {
            seq: 0,
            time: SimTime::ZERO,
            text: format!("… {left_out} more"),
        });
        lines.extend(show(&wanted[wanted.len() - tail..]));
        lines
    }

    /// The excerpt of everything that happened to what `subjects` name.
    pub(crate) fn excerpt_of(&self, first: u64, last: u64, subjects: &[&Subject]) -> Vec<Line> {
        self.excerpt(first, last, |event| {
            subjects
                .iter()
                .any(|subject| concerns(subject, event, self.home))
        })
    }

    /// The last event of what `subject` names up to entry `until`, as `healthy at 3.0s`.
    pub(crate) fn last_of(&self, subject: &Subject, until: u64) -> Option<&'a Entry> {
        let to = self.entries.partition_point(|entry| entry.seq <= until);
        let known = self.entries[..to]
            .iter()
            .rev()
            .chain(self.earlier.iter().rev());
        known
            .filter(|entry| entry.event.verb().is_some_and(|verb| verb != Verb::Updated))
            .find(|entry| concerns(subject, &entry.event, self.home))
    }

    /// `Job/smoke` for `key`.
    pub(crate) fn name(&self, key: &ObjectKey) -> String {
        key.short(self.home)
    }
}

/// Whether `event` is about `subject`, whatever its verb.
pub(crate) fn concerns(subject: &Subject, event: &Event, home: &str) -> bool {
    match (subject, event) {
        (Subject::Object(reference), _) => event
            .object()
            .is_some_and(|key| reference.matches(key, home)),
        (Subject::Operation, Event::Operation(_))
        | (Subject::App, Event::App { .. })
        | (Subject::Engine, Event::EngineRestarted) => true,
        (Subject::Phase(wanted), Event::Phase { phase, .. } | Event::Wave { phase, .. }) => {
            wanted == phase
        }
        (Subject::Wave(wanted, number), Event::Wave { phase, wave, .. }) => {
            wanted == phase && number == wave
        }
        (Subject::Fault(wanted), Event::Fault { name, .. })
        | (Subject::Do(wanted), Event::Do { name }) => wanted == name,
        _ => false,
    }
}

/// The operation that `entry` is a stored change of.
pub(crate) fn as_operation(entry: &Entry) -> Option<&OperationEvent> {
    match &entry.event {
        Event::Operation(operation) => Some(operation),
        _ => None,
    }
}

/// An event with what a reader needs beside it.
fn text(event: &Event, home: &str) -> String {
    let what = event.describe(home).unwrap_or_default();
    let (place, message) = match event {
        Event::Task(task) => (
            format!("{}/{}", task.phase, task.wave),
            task.message.as_str(),
        ),
        Event::Health(health) => (String::new(), health.message.as_str()),
        Event::Operation(operation) => (String::new(), operation.state.message.as_str()),
        Event::App { message, .. } => (String::new(), message.as_str()),
        Event::Api(api) => (format!("by {}", api.actor), ""),
        _ => (String::new(), ""),
    };
    let place = if place.is_empty() {
        place
    } else {
        format!(" ({place})")
    };
    let message = if message.is_empty() {
        String::new()
    } else {
        format!(": {}", message.lines().next().unwrap_or_default())
    };
    format!("{what}{place}{message}")
}
