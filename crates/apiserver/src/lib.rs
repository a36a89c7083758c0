//! A Kubernetes API server in memory, for simulations in virtual time.
//!
//! [`Server::handle`] answers one HTTP request; [`ServerApi`] is the same server as plain function calls for
//! controllers inside the world. [`Server::run_due`] does what the server does by itself: delivering watch events,
//! collecting garbage, ending namespaces, establishing CRDs.
//!
//! Invariants:
//! - one store and one revision counter; every write passes one commit, which adds exactly one revision, one
//!   [`Change`](wavetank_model::Change) and one event per matching watch;
//! - handlers are plain functions of state, request and time: nothing here is asynchronous, reads a clock, or draws a
//!   random number that does not come from the seed;
//! - objects are kept as the bytes that go over the wire, their parsed form in a bounded cache;
//! - what is not supported answers with an error that says so.
//!
//! Rules are cited by the numbers of the API server semantics (API-nnn), cases by T-nnn. [`differences`] lists where
//! this server is known to differ from a real one.

pub mod admission;
mod aggregation;
mod config;
pub mod differences;
mod kinds;
mod server;
mod table;
mod token;

mod access;
mod answer;
mod api;
mod asked;
mod behaviour;
mod binding;
mod body;
mod collector;
mod convert;
mod create;
mod custom;
mod delete;
mod discovery;
mod establish;
mod eviction;
mod expire;
mod expression;
mod failure;
mod filter;
mod log;
mod metrics;
mod namespaces;
mod openapi;
mod ownership;
mod patch;
mod policy;
mod pretty;
mod printing;
mod protobuf;
mod read;
mod registry;
mod request;
mod retry;
mod review;
mod route;
mod scale;
mod store;
mod update;
mod watch;

pub use answer::ResponseBody;
pub use api::ServerApi;
pub use config::{Bootstrap, HistoryLimits, Latencies, ServerConfig};
pub use server::Server;
