//! Replays a scenario on a cluster and records what happens.
//!
//! [`replay`] is the whole of it: `cluster.objects` are made, the view lists and watches, then three parts work side by
//! side on one state: the steps of the scenario, the actions bound to events, and the controller that schedules the
//! passes of an engine. Everything that engine and users send passes the seam; everything that happens reaches the
//! recorder. A run knows nothing of how the target works, and judges nothing, unless it is to end as soon as an
//! expectation cannot hold any more.

mod actions;
mod answers;
mod application;
mod asks;
mod child_application;
mod controller;
mod deletion;
mod desired;
mod fault;
mod pass;
mod planning;
mod process;
mod progress;
mod recorder;
mod recording;
mod request;
mod run;
mod seam;
mod shared;
mod steps;
mod stored;
mod user;
mod view;

pub use child_application::lacks_definition_of_applications;
pub use controller::identity;
pub use fault::UnfiredFault;
pub use process::{Doorway, EngineProgram, Opened, PROTOCOL, ProcessEngine, Programs};
pub use recorder::ENDED_EARLY;
pub use recording::Recording;
pub use request::sync_options;
pub use run::{RunEnd, RunOptions, RunRecord, header, replay, world_objects};
pub use steps::StepFailure;
