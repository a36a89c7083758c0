//! The Pod template: what Pods and every workload share (section 20.1).

pub(super) mod containers;
mod environment;
pub(super) mod resources;
pub(super) mod scheduling;
pub(super) mod validate;
pub(super) mod volumes;
pub(super) mod warnings;

pub(super) use validate::{validate_spec, validate_template};
