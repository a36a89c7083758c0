//! The controllers of the simulated cluster: what a Kubernetes control plane and its kubelets do by themselves, scripted
//! by the scenario (scenario format, section 5; API-316…358).
//!
//! [`Controllers`] is told of every commit ([`Controllers::observe`]) and acts when the world's clock reaches what it
//! planned ([`Controllers::run_next`]), through [`wavetank_model::Api`] and with the manager names of a real cluster.
//! Decisions are plain functions and state machines of the objects, the script, the time and chance; nothing here waits,
//! spawns or reads a clock. Invariants:
//!
//! - an object is only changed through the API, so that admission and managedFields see it;
//! - each controller has at most one planned look at an object, the earliest, and always works on the newest state;
//! - two runs with the same seed, choices and commits make the same calls in the same order.
//!
//! The kubelet's decisions (`kubelet::machine`) know no API at all and also run Pods of a real control plane.
//!
//! Left out: resources and preemption in the scheduler, liveness probes, metrics for autoscalers.

pub mod command;
mod config;
mod controllers;
mod kubelet;
pub mod latency;
pub mod node;
mod scheduler;
mod timeline;

mod account;
mod agenda;
mod autoscaler;
mod balancer;
mod budget;
mod claim;
mod context;
mod cronjob;
mod daemonset;
mod deployment;
mod endpoints;
mod events;
mod hash;
mod history;
mod job;
mod pods;
mod read;
mod replicaset;
mod role;
mod script;
mod selectors;
mod statefulset;
mod volume;

pub use config::{BindingMode, Config};
pub use context::MANAGER;
pub use controllers::{Controllers, Waiting};
pub use node::bootstrap;
pub use role::Role;
