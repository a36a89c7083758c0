//! What was found, and how it is told.

use std::fmt;

use serde::Serialize;
use wavetank_kernel::SimTime;

/// What an expectation answers at a point of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It holds.
    Yes,
    /// It does not hold, but what is missing could still happen.
    NotYet,
    /// It does not hold, and nothing that happens later can change that.
    Never,
}

/// The judgement of one expectation or invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// Its name, as `exceptions` writes it: `expect.order`, `steps.2.expect.waves` (steps count from 0),
    /// `invariant.wave-order`.
    pub name: String,
    /// The answer at the end of the judged part; everything but `Yes` is a failure.
    pub answer: Answer,
    /// What failed, in the order of the scenario file; empty exactly when the answer is `Yes`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

impl Judgement {
    /// A judgement with the answer that its failures have together.
    pub(crate) fn of(name: String, failures: Vec<Failure>) -> Self {
        let answer = failures
            .iter()
            .map(|failure| failure.answer)
            .max()
            .unwrap_or(Answer::Yes);
        Self {
            name,
            answer,
            failures,
        }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.answer == Answer::Yes
    }
}

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Which part of the expectation: `item 3`, `Job/smoke created`; empty where it has no parts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub item: String,
    /// [`Answer::NotYet`] or [`Answer::Never`].
    pub answer: Answer,
    /// What should have been, one line.
    pub expected: String,
    /// What was seen instead, one line.
    pub observed: String,
    /// The shortest piece of the trace that shows it; may be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excerpt: Vec<Line>,
}

/// A line of an excerpt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Number of the entry; 0 for a line that stands for entries left out.
    pub seq: u64,
    /// When, in milliseconds since the start of the run.
    #[serde(rename = "ms", serialize_with = "write_time")]
    pub time: SimTime,
    /// What happened.
    pub text: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn write_time<S: serde::Serializer>(time: &SimTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}

impl fmt::Display for Line {
    /// `  31.0s  Job/smoke applied (PostSync/0)`; an omission without time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seq == 0 {
            write!(f, "{:>9}  {}", "", self.text)
        } else {
            write!(f, "{:>9}  {}", self.time.to_string(), self.text)
        }
    }
}

impl fmt::Display for Failure {
    /// As in a report: `expected`, `observed`, then the excerpt, each line indented by two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  expected  {}\n  observed  {}",
            self.expected, self.observed
        )?;
        for line in &self.excerpt {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Judgement {
    /// The name, and below it every failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() {
            return write!(f, "{}: holds", self.name);
        }
        for (index, failure) in self.failures.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.name)?;
            if !failure.item.is_empty() {
                write!(f, ", {}", failure.item)?;
            }
            write!(f, "\n{failure}")?;
        }
        Ok(())
    }
}
