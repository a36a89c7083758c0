//! Real clusters as targets.
//!
//! A [`Driver`] starts clusters: a [`control_plane`] of processes, [`kind`], [`k3s`], or an
//! [`existing`] one. A [`Machine`] is one that runs. A run gets a [`Session`] on it,
//! which implements [`wavetank_cluster::Cluster`]: the clock is real, every kind the server has is watched from before
//! the first write (the watches are put into one order), and the answer to a write is held back until the change
//! was seen, so that what an engine notes after a call stands after what the call did, as in a simulated run.
//!
//! Invariants:
//! - nothing here touches the user's own kubeconfig or its current context;
//! - what is started or made is written down first ([`journal`]), so that it can be removed by whoever comes later;
//! - a run ends with everything it made removed; a cluster that cannot be brought back is thrown away.
//!
//! Left out: who wrote a change is taken from field managers and from our own requests, which is a guess where several
//! managers write at once.

pub mod control_plane;
pub mod existing;
pub mod journal;
pub mod k3s;
pub mod kind;
pub mod machine;
pub mod session;

mod clock;
mod confine;
mod discovery;
mod evidence;
mod hub;
mod inotify;
mod nodes;
mod private_file;
mod processes;
mod quiet;
mod ready;
mod reset;
mod resource;
mod said;
mod server;
mod service;
mod standin;
mod watch;

pub use control_plane::{Assets, ControlPlane};
pub use existing::ExistingOptions;
pub use inotify::Inotify;
pub use journal::Journal;
pub use k3s::K3sOptions;
pub use kind::KindOptions;
pub use machine::{Driver, Machine, Ran, capabilities, remove};
pub use server::Server;
pub use session::{Session, SessionConfig};
