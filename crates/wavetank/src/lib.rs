//! wavetank from Rust: a scenario on the simulated cluster in one call.
//!
//! ```no_run
//! # fn scenario() -> std::sync::Arc<wavetank_scenario::Scenario> { unimplemented!() }
//! let simulation = wavetank::simulate(&scenario(), wavetank::Options::default());
//! assert_eq!(simulation.end, wavetank::RunEnd::Completed(vec![]));
//! ```

mod check;
mod exceptions;
mod images;
mod plan;
mod simulate;
mod target;

pub use check::{check, check_with, judge};
pub use images::blame_images;
pub use plan::{PlanError, plan};
pub use simulate::{
    Choices, Options, Simulation, assessor, cluster_config, simulate, simulate_with,
};
pub use target::{check_on, faster, lacking, leaves_its_namespaces, skipped_on};
pub use wavetank_kernel::Choice;
pub use wavetank_report::{RunOutcome, Verdict};
pub use wavetank_runner::{RunEnd, StepFailure, UnfiredFault};
pub use wavetank_sync::StepEngine;
