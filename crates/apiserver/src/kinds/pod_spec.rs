//! The Pod template: what Pods and every workload share (section 20.1).

pub(super) mod containers;
pub(super) mod defaults;
mod environment;
pub(super) mod resources;
pub(super) mod scheduling;
pub(super) mod validate;
pub(super) mod volumes;
pub(super) mod warnings;

pub(super) use defaults::default_template;
pub(super) use validate::{validate_spec, validate_template};
