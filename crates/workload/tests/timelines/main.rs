//! What the controllers write, in order, against the API server of the simulation.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod cluster;
mod deployments;
mod jobs;
mod network;
mod objects;
mod pods;
mod recorded;
mod scripts;
mod sets;
mod storage;
mod view;
mod volumes;
