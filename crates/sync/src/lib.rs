//! The sync engine, with Argo CD's semantics.
//!
//! Rules cite `SYNC-nnn` of the specification. The parts, in the order of the data:
//!
//! - [`options`], [`kinds`], [`engine`]: what a pass is given, and the traits an engine and its effects implement
//! - [`target`], `reconcile`: desired objects made comparable and paired with live ones
//! - [`plan`]: the task list and its order, each task with the reasons for its place
//! - [`step`]: one pass over the tasks; decides, and asks for every effect
//! - [`apply`]: carries the asks out through a `kube::Client`
//! - [`operation`]: operations, retry, termination, timeout: what is due, and when
//! - [`mod@compare`], `diff`, [`mod@ignore`]: whether the app is in sync
//! - [`project`]: what an `AppProject` permits, and its sync windows
//! - [`deletion`]: what happens when the app is deleted
//! - [`external`]: what an engine from outside is given
//! - [`message`], [`ResourceResult`]: the exact texts, and what is stored
//!
//! Invariants: nothing survives between two passes but the stored results (SYNC-002; what [`Builtin`] keeps is a memo
//! of pure functions); a pass reads no clock and draws no chance; every effect goes through [`Asks`].

pub mod apply;
pub mod compare;
pub mod deletion;
mod diff;
pub mod engine;
pub mod external;
pub mod ignore;
pub mod kinds;
pub mod ledger;
pub mod message;
pub mod operation;
pub mod options;
pub mod plan;
pub mod project;
mod reconcile;
mod result;
pub mod server_side_diff;
pub mod step;
pub mod target;
#[cfg(test)]
mod testing;

pub use compare::{Comparison, SyncCode, compare};
pub use engine::{
    AppIdentity, ApplyAsk, Asks, Builtin, DeleteAsk, EngineError, EngineLink, FinalizerAsk, Note,
    ResourceRef, StepEngine, StepInput, StepOutput, Strategy, TrackingMethod,
};
pub use kinds::{ApiResource, Kinds};
pub use options::{ResourceFilter, SyncOptions};
pub use result::ResourceResult;
