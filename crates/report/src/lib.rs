//! What people and programs read about a run: terminal text, JSON, `JUnit`.
//!
//! Everything here is a pure function from data (a [`Trace`](wavetank_trace::Trace), a [`RunOutcome`], a [`Plan`]) to
//! text; nothing is printed, no environment is read and the runner is unknown. Text is the same with and without
//! colour: colour comes from a [`Palette`] and adds escape codes only. Unless a width is given, lines are as long as
//! they need to be.
//!
//! - [`outcome`]: what a run came to, and the exit code of several
//! - [`timeline`]: phases, waves and objects of a trace in virtual time
//! - [`terminal`]: one line per run that passed, the whole story of one that did not, the summary
//! - [`plan`]: what a sync would do, in which order, and why
//! - [`json`], [`junit`]: the same for programs

pub mod json;
pub mod junit;
pub mod merge;
pub mod outcome;
pub mod plan;
pub mod style;
pub mod terminal;
pub mod timeline;
mod waiting;

#[cfg(test)]
mod sample;

pub use outcome::{About, ExcerptLine, Explanation, Failure, RunOutcome, Tally, Verdict, quoted};
pub use plan::{Plan, PlannedTask};
pub use style::{Layout, Palette};
