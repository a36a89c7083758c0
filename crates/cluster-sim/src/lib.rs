//! The simulated cluster: the synchronous [`World`] and the one task that paces it.
//!
//! Everything that happens in the world happens inside [`World::handle`] and [`World::run_due`], ordered by (time,
//! class, number); none of it is a task or sleeps. [`SimCluster`] puts it behind a `kube::Client`, and [`drive`] sleeps
//! until the next thing is due. On tokio's paused clock a ten-minute migration therefore takes microseconds, and the
//! same seed gives the same trace.
//!
//! Must run inside one `current_thread` runtime made by [`runtime`]: no sockets, no processes, no threads.

mod clock;
mod cluster;
pub mod endpoint;
mod service;
mod world;

pub use clock::SimClock;
pub use cluster::{SimCluster, SimConfig, capabilities, drive, runtime};
pub use world::World;
