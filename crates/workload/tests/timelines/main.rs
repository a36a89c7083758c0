//! What the controllers write, in order, against the API server of the simulation.

mod cluster;
mod deployments;
mod jobs;
mod network;
mod objects;
mod pods;
mod scripts;
mod sets;
mod storage;
