//! Random scenarios for the comparison of sync engines, and how to make them smaller.
//!
//! [`generate`] draws a scenario from a seed: an application with hooks, waves, policies and options of every sort, live
//! objects that were there before, workloads that fail or hang, bent requests, users who meddle. [`shrink`] takes away
//! from a scenario whatever is not needed for a difference to show. [`Case::text`] is the file. Nothing here runs
//! anything: who asks says whether engines differ.
//!
//! The stream of a seed may change with any version: what was found is kept as a file, not as a seed.

mod case;
mod dice;
mod generate;
mod shrink;
mod yaml;

pub use case::Case;
pub use generate::generate;
pub use shrink::shrink;
