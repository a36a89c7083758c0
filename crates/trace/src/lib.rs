//! What happened in a run: plain, versioned data.
//!
//! A [`Trace`] is a [`Header`] and [`Entry`]s in one total order. One recorder numbers them, entries of one instant are
//! ordered by number. `created` and `updated` entries carry the object as a merge patch against its previous version
//! (whole, where the new object holds a null), so that every state is a replay of the trace ([`replay::World`]).
//! Written and read as JSON Lines ([`lines`]); the version is `v0` until the first release.

pub mod entry;
pub mod lines;
pub mod replay;

pub use entry::{
    ApiEvent, AppResource, AppState, Content, DesiredObject, Entry, Event, Header, HealthEvent,
    OperationEvent, OperationState, PlanTask, ResourceResult, TaskEvent,
};
pub use lines::{ReadError, read, write};
pub use replay::World;

/// A whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What was run.
    pub header: Header,
    /// What happened, in order.
    pub entries: Vec<Entry>,
}
