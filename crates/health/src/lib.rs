//! Health of Kubernetes objects by Argo CD's rules (SYNC-105 to SYNC-127).
//!
//! [`Assessor::assess`] is a pure function of one live object: no clock, no store, no defaulting of absent fields
//! (SYNC-109). The rules sit in one file per kind, the built-in ones under `builtin`, and under `bundled` those that
//! Argo CD ships as scripts for kinds of Kubernetes itself (SYNC-125).
//!
//! With the feature `lua`, checks may be scripts (`LuaHealth`, SYNC-123); any [`Override`] beats what is built in.
//! [`application`] is the health of an application from that of its objects.
//!
//! Differences from Argo CD: the typed conversion looks only at the fields that the rules read, so an object that is
//! malformed elsewhere is still assessed; the texts of JSON syntax errors are not Go's.

mod aggregate;
mod assessor;
mod builtin;
mod bundled;
mod condition;
pub mod glob;
#[cfg(feature = "lua")]
mod lua;
mod status;
mod typed;

pub use aggregate::{AppHealth, IGNORE_HEALTHCHECK, Pair, application};
pub use assessor::{Assessor, Override};
#[cfg(feature = "lua")]
pub use lua::{LuaClock, LuaHealth};
pub use status::{Health, HealthError, HealthFailure, HealthStatus};
