//! Scripted behaviour of workloads (scenario format, section 5).
//!
//! The first [`Rule`] that matches an object wins; a rule on a workload acts on its Pods, by owner.

use std::time::Duration;

use wavetank_json::Value;

use crate::event::EventPattern;
use crate::reference::Reference;

/// One entry of `workloads`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which objects.
    pub matches: Reference,
    /// Only from this `metadata.generation` on.
    pub generation: Option<i64>,
    /// What Pods, or the object itself, do.
    pub behaviour: Option<Behaviour>,
    /// How long something holds the object's deletion up.
    pub deletion: Option<Deletion>,
    /// How much later controllers notice changes of the object.
    pub reaction: Option<Delay>,
}

/// A time with an optional spread, drawn from the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// At least this long.
    pub after: Duration,
    /// At most this much longer.
    pub jitter: Duration,
}

/// What the objects of a rule do; the three exclude each other, and `ready` is a timeline of one entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    /// One entry per Pod in creation order; the last repeats. Not empty.
    Attempts(Vec<Attempt>),
    /// The Pod never ends, and sticks at a state.
    Hang(HangState),
    /// What happens one after the other.
    Timeline(Vec<TimelineEntry>),
}

/// How one Pod ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// Its containers run that long and exit with 0.
    Succeed(Delay),
    /// They run that long and fail.
    Fail {
        /// How long they run.
        after: Delay,
        /// Exit code; 1 when not given.
        exit_code: i32,
        /// Termination message.
        message: Option<String>,
    },
}

/// Where a Pod sticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HangState {
    /// It runs for ever.
    #[default]
    Running,
    /// It is never scheduled.
    Pending,
    /// Its image cannot be pulled.
    ImagePullBackOff,
}

/// One entry of a timeline; `after` counts from the previous one.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineEntry {
    /// The Pod becomes ready.
    Ready(Delay),
    /// A container ends with a failure and is started again with back-off.
    Crash {
        /// When.
        after: Delay,
        /// Termination reason; `Error` when not given.
        reason: String,
        /// Exit code; 1 when not given.
        exit_code: i32,
        /// Termination message.
        message: Option<String>,
    },
    /// A merge patch of the object's status.
    Status {
        /// When.
        after: Delay,
        /// The patch.
        patch: Value,
        /// Whether `status.observedGeneration` becomes the object's generation.
        observe_generation: bool,
    },
    /// A merge patch of the object.
    Patch {
        /// When.
        after: Delay,
        /// The patch.
        patch: Value,
    },
}

impl TimelineEntry {
    /// The time from the previous entry.
    pub fn after(&self) -> Delay {
        match self {
            Self::Ready(after)
            | Self::Crash { after, .. }
            | Self::Status { after, .. }
            | Self::Patch { after, .. } => *after,
        }
    }
}

/// How long a finalizer holds a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum Deletion {
    /// That long after the deletion was asked for.
    After(Delay),
    /// For ever.
    Never,
    /// Until an event.
    Until(EventPattern),
}
