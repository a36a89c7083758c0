//! Time, chance and order: what a deterministic run is made of.
//!
//! Knows nothing of Kubernetes. Invariants: a [`Queue`] hands entries out by (time, class, number) and by nothing
//! else; a [`Seed`]'s children depend on their names only, so that a new consumer moves no other stream; every
//! deviation from the canonical schedule passes a [`Chooser`], whose log is data that can be replayed.

pub mod chooser;
pub mod clock;
pub mod queue;
pub mod seed;
pub mod time;

pub use chooser::{Choice, Chooser};
pub use clock::{BoxFuture, Clock};
pub use queue::{Class, Load, Queue, Ticket};
pub use seed::{Rng, Seed};
pub use time::{SimTime, doubling};
