//! What a run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_expect::{Judgement, Line, Waiting, WaveWait};
use wavetank_kernel::SimTime;
use wavetank_scenario::Scenario;
use wavetank_trace::Trace;

/// One run of one scenario, or the attempt at one.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// `metadata.name`, with `@case` in files with cases; `None` when the file could not be read as a scenario.
    pub scenario: Option<String>,
    /// The file, as it was named.
    pub path: String,
    /// Name of the case.
    pub case: Option<String>,
    /// Seed of the run.
    pub seed: u64,
    /// Where it was run: `fake`, `kind` …
    pub target: String,
    /// What the file says of itself.
    pub about: About,
    /// What it came to.
    pub verdict: Verdict,
    /// What the reader of the file should know although it is no error; rendered, one item each.
    pub warnings: Vec<String>,
    /// Time that passed in the run.
    pub virtual_time: SimTime,
    /// Time that passed outside, where it was measured.
    pub wall_time: Option<Duration>,
    /// What it waits for, or waited for, as far as that was asked.
    pub explanation: Explanation,
    /// The command line that runs it again, where that says more than file, case, seed and target.
    pub command: Option<String>,
    /// What happened; `None` when nothing was run, or when nobody needs it any more.
    pub trace: Option<Trace>,
}

/// What a run waits for at its end, and what it waited for on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What the operation, or the deletion of the app, waits for; told of every run that did not settle.
    pub waiting: Option<Waiting>,
    /// The waves that took time; told only where it was asked.
    pub waits: Vec<WaveWait>,
}

/// What a scenario says of itself, for readers of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `spec.description`.
    pub description: Option<String>,
    /// `spec.links`, and before them the annotation `wavetank/issue`.
    pub links: Vec<String>,
}

impl About {
    /// What `scenario` says.
    pub fn of(scenario: &Scenario) -> Self {
        let issue = scenario.annotations.get("wavetank/issue");
        let links = issue.into_iter().chain(&scenario.links).cloned();
        Self {
            description: scenario.description.clone(),
            links: links.collect(),
        }
    }
}

/// What a run came to (scenario format, section 10).
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every expectation and invariant holds.
    Passed,
    /// These do not.
    Failed {
        /// At least one.
        failures: Vec<Failure>,
    },
    /// It failed exactly as the scenario's `exceptions` say.
    KnownFailure {
        /// What is known to fail, each with its bug.
        reason: String,
        /// What failed.
        failures: Vec<Failure>,
    },
    /// What `exceptions` say fails holds.
    Fixed {
        /// One per exception that is not needed any more.
        failures: Vec<Failure>,
    },
    /// The run was stuck, a livelock, or met a limit.
    NotSettled {
        /// What waits for what, who holds it.
        reason: String,
        /// Expectations that failed as well.
        failures: Vec<Failure>,
    },
    /// The target cannot carry the scenario out, or the scenario says so.
    Skipped {
        /// Why.
        reason: String,
    },
    /// The file is no scenario.
    Invalid {
        /// Every problem found, rendered, in file order.
        problems: Vec<String>,
    },
    /// The target could not be reached, was lost, or broke its protocol.
    Unavailable {
        /// What was tried and what came back.
        reason: String,
    },
    /// wavetank itself went wrong.
    Bug {
        /// The panic or the broken invariant.
        message: String,
    },
}

/// One expectation or invariant that does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Its name: `expect.order`, `steps.2.expect.waves`, `invariant.wave-order`.
    pub name: String,
    /// Which part of it: `item 3`, `Job/smoke`.
    pub item: Option<String>,
    /// What should have been seen.
    pub expected: String,
    /// What was seen instead.
    pub observed: String,
    /// The part of the trace that shows it.
    pub excerpt: Vec<ExcerptLine>,
    /// What to do next, where that is known.
    pub hint: Option<String>,
}

/// One line of an excerpt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExcerptLine {
    /// Virtual time; `None` for a line that stands for entries left out.
    pub time: Option<SimTime>,
    /// The event, as `Job/smoke applied`.
    pub text: String,
    /// Whether this is the line that decided it.
    pub marked: bool,
}

impl Failure {
    /// The failures of a judgement; none when it holds.
    pub fn of(judgement: &Judgement) -> impl Iterator<Item = Self> {
        judgement.failures.iter().map(|failure| Self {
            name: judgement.name.clone(),
            item: (!failure.item.is_empty()).then(|| failure.item.clone()),
            expected: failure.expected.clone(),
            observed: failure.observed.clone(),
            excerpt: failure.excerpt.iter().map(ExcerptLine::of).collect(),
            hint: None,
        })
    }
}

impl ExcerptLine {
    fn of(line: &Line) -> Self {
        Self {
            time: (line.seq > 0).then_some(line.time),
            text: line.text.clone(),
            marked: false,
        }
    }
}

impl Verdict {
    /// The verdict in one word or two, as reports show it.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Failed { .. } => "FAILED",
            Self::KnownFailure { .. } => "KNOWN TO FAIL",
            Self::Fixed { .. } => "UNEXPECTEDLY FIXED",
            Self::NotSettled { .. } => "NOT SETTLED",
            Self::Skipped { .. } => "SKIPPED",
            Self::Invalid { .. } => "INVALID",
            Self::Unavailable { .. } => "UNAVAILABLE",
            Self::Bug { .. } => "BUG",
        }
    }

    /// The verdict as programs read it: `passed`, `notSettled` …
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::KnownFailure { .. } => "knownFailure",
            Self::Fixed { .. } => "unexpectedlyFixed",
            Self::NotSettled { .. } => "notSettled",
            Self::Skipped { .. } => "skipped",
            Self::Invalid { .. } => "invalid",
            Self::Unavailable { .. } => "unavailable",
            Self::Bug { .. } => "bug",
        }
    }

    /// The exit code of this verdict alone.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Passed | Self::KnownFailure { .. } | Self::Skipped { .. } => 0,
            Self::Failed { .. } | Self::Fixed { .. } => 1,
            Self::NotSettled { .. } => 2,
            Self::Invalid { .. } => 3,
            Self::Unavailable { .. } => 4,
            Self::Bug { .. } => 101,
        }
    }

    /// Whether nobody needs to look at it.
    pub const fn is_fine(&self) -> bool {
        matches!(
            self,
            Self::Passed | Self::KnownFailure { .. } | Self::Skipped { .. }
        )
    }

    /// The failures it carries.
    pub fn failures(&self) -> &[Failure] {
        match self {
            Self::Failed { failures }
            | Self::Fixed { failures }
            | Self::KnownFailure { failures, .. }
            | Self::NotSettled { failures, .. } => failures,
            _ => &[],
        }
    }
}

impl RunOutcome {
    /// Reads off the trace, while it is there, what the run waits for; with `all` also what it waited for on the way.
    pub fn explain(&mut self, all: bool) {
        let Some(trace) = &self.trace else { return };
        self.explanation.waiting = wavetank_expect::waiting(trace);
        if all {
            self.explanation.waits = wavetank_expect::history(trace);
        }
    }

    /// What reports call the run: the file, with `@case` where it has one.
    pub fn title(&self) -> String {
        match &self.case {
            Some(case) => format!("{}@{case}", self.path),
            None => self.path.clone(),
        }
    }

    /// The command line that runs it again.
    pub fn again(&self) -> String {
        if let Some(command) = &self.command {
            return command.clone();
        }
        let path = quoted(&self.path);
        let case = self
            .case
            .as_ref()
            .map(|case| format!(" --case {}", quoted(case)))
            .unwrap_or_default();
        if self.scenario.is_none() {
            return format!("wavetank run {path}");
        }
        let target = if self.target == "fake" {
            String::new()
        } else {
            format!(" --target {}", quoted(&self.target))
        };
        format!("wavetank run {path}{case} --seed {}{target}", self.seed)
    }
}

/// `text` as one word of a POSIX shell.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+=:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Codes of which the first that occurs wins (scenario format, section 10).
pub(crate) const WINNERS: [u8; 5] = [101, 3, 4, 1, 2];

/// How many runs came to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    titles: BTreeMap<&'static str, usize>,
    codes: BTreeMap<u8, usize>,
    runs: usize,
    skipped: usize,
}

impl Tally {
    /// Nothing was run yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one more run.
    pub fn add(&mut self, verdict: &Verdict) {
        self.runs += 1;
        self.skipped += usize::from(matches!(verdict, Verdict::Skipped { .. }));
        *self.titles.entry(verdict.title()).or_default() += 1;
        *self.codes.entry(verdict.exit_code()).or_default() += 1;
    }

    /// How many runs there were.
    pub const fn runs(&self) -> usize {
        self.runs
    }

    /// How many runs came to the verdict with this [`Verdict::title`].
    pub fn count(&self, title: &str) -> usize {
        self.titles.get(title).copied().unwrap_or(0)
    }

    /// The exit code of all of them: of several the first of 101, 3, 4, 1, 2; 4 when everything was skipped, or with
    /// `fail_on_skip` anything.
    pub fn exit_code(&self, fail_on_skip: bool) -> u8 {
        let skip_fails = self.skipped > 0 && (fail_on_skip || self.skipped == self.runs);
        WINNERS
            .into_iter()
            .find(|code| self.codes.contains_key(code) || (*code == 4 && skip_fails))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(verdicts: &[Verdict], fail_on_skip: bool) -> u8 {
        let mut tally = Tally::new();
        for verdict in verdicts {
            tally.add(verdict);
        }
        tally.exit_code(fail_on_skip)
    }

    #[test]
    fn of_several_exit_codes_the_gravest_wins() {
        let failed = || Verdict::Failed {
            failures: Vec::new(),
        };
        let stuck = || Verdict::NotSettled {
            reason: String::new(),
            failures: Vec::new(),
        };
        let invalid = || Verdict::Invalid {
            problems: Vec::new(),
        };
        let gone = || Verdict::Unavailable {
            reason: String::new(),
        };
        let bug = || Verdict::Bug {
            message: String::new(),
        };
        assert_eq!(code(&[], false), 0);
        assert_eq!(code(&[Verdict::Passed], false), 0);
        assert_eq!(code(&[Verdict::Passed, stuck()], false), 2);
        assert_eq!(code(&[stuck(), failed()], false), 1);
        assert_eq!(code(&[failed(), gone()], false), 4);
        assert_eq!(code(&[gone(), invalid(), failed()], false), 3);
        assert_eq!(code(&[invalid(), bug(), stuck()], false), 101);
    }

    #[test]
    fn skipping_fails_only_when_nothing_else_was_run_or_when_asked() {
        let skipped = || Verdict::Skipped {
            reason: String::new(),
        };
        assert_eq!(code(&[skipped(), Verdict::Passed], false), 0);
        assert_eq!(code(&[skipped(), skipped()], false), 4);
        assert_eq!(code(&[skipped(), Verdict::Passed], true), 4);
    }

    #[test]
    fn the_command_line_is_safe_to_paste() {
        assert_eq!(quoted("a b/c's.yaml"), r"'a b/c'\''s.yaml'");
        assert_eq!(quoted("scenarios/a@b.yaml"), "scenarios/a@b.yaml");
    }
}
