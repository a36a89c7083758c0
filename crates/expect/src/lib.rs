//! Expectations and invariants, judged on a trace and on nothing else (scenario format, sections 8 and 9).
//!
//! - [`judge`] judges a whole trace against a scenario; [`RunMonitor`] does the same while the run goes on
//! - [`Monitor`] judges the expectations of one part, the whole run or a step
//! - [`waiting()`]: what a run that does not end waits for
//! - [`invariants`]: what holds in every run, with the engine's gates written a second time
//!
//! An expectation answers *yes*, *not yet* or *never* ([`Answer`]). Every failure says what was expected, what was
//! observed, and shows the shortest piece of the trace. The work is linear in the length of the trace: patterns are
//! looked up by verb, kind and name.
//!
//! Not supported yet, and failing with that reason where they are written: of `app` the conditions, resources and
//! history.

pub mod invariants;

mod app;
mod before;
mod cel;
mod count;
mod judgement;
mod matcher;
mod message;
mod monitor;
mod never;
mod operation;
mod order;
mod part;
mod phases;
mod results;
mod run;
mod state;
#[cfg(test)]
mod testing;
mod waiting;
mod waves;
mod within;

pub use judgement::{Answer, Failure, Judgement, Line};
pub use monitor::{Context, Monitor};
pub use run::{RunMonitor, judge};
pub use waiting::{Blocker, Waiting, WaveWait, history, waiting};
