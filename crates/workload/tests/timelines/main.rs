//! What the controllers write, in order, against the API server of the simulation.

mod cluster;
mod deployments;
mod jobs;
mod objects;
