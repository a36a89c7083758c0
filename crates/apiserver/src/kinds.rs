//! What each built-in kind adds to the general rules: preparation, validation, immutability (sections 20.1 to 20.4).
//!
//! Everything is a function on [`wavetank_json::Value`]; nothing here knows the store. One file per kind or family, and one
//! static [`Strategy`] per kind, found with [`strategy`]. The server calls, in this order (API-012, API-013):
//!
//! 1. `schema::decode`, the defaults of the kind ([`wavetank_model::defaults`]), `schema::complete` on what was read (a
//!    patched object too),
//! 2. admission (module `admission`),
//! 3. [`create`] or [`update`]: status and spec kept apart, generated fields, generation, validation, warnings,
//! 4. after a delete [`Strategy::release`].
//!
//! An object that went through the first has no nulls and none of the empty values that the server leaves out, so that
//! two of them are equal exactly when the server calls them semantically equal (API-091).

use wavetank_json::Value;
use wavetank_model::api::Propagation;
use wavetank_model::key::GroupKind;
use wavetank_model::status::Status;

mod admission_policy;
pub(crate) mod allocations;
mod cluster;
mod config_map;
mod cron_job;
mod custom;
mod daemon_set;
mod deployment;
mod extension;
pub(crate) mod field;
mod ingress;
mod job;
mod label_selector;
pub(crate) mod meta;
pub(crate) mod names;
mod namespace;
mod persistent_volume;
mod pod;
mod pod_spec;
mod rbac;
mod registry;
mod replica_set;
mod replication_controller;
mod scaling;
mod secret;
mod service;
mod service_account;
mod stateful_set;
mod storage;
mod workload;
mod write;

#[cfg(test)]
mod recorded;

pub(crate) use allocations::Allocations;
pub(crate) use custom::custom_resource;
pub(crate) use field::{Errors, FieldError, FieldErrorKind, invalid};
pub(crate) use names::NameRule;
pub(crate) use registry::strategy;
pub(crate) use wavetank_model::fields as json;
pub(crate) use wavetank_model::quantity;
pub(crate) use write::{create, update};

/// What a strategy needs from its surroundings.
#[derive(Debug)]
pub(crate) struct Env<'a> {
    /// The time as it is written into objects.
    pub timestamp: &'a str,
    /// The cluster's IP addresses and node ports. The server keeps a clone (cheap) and puts it back when the write
    /// fails or is a dry run.
    pub allocations: &'a mut Allocations,
}

/// What a create does to the status in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusOnCreate {
    /// Stays: it is ordinary content.
    Kept,
    /// Becomes an empty object.
    Empty,
    /// Goes.
    Absent,
}

/// How a kind differs from the general rules. Objects passed in are of the storage version and have the defaults of their
/// kind.
pub(crate) trait Strategy: Sync {
    /// Which names are allowed (API-093).
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// Whether the kind has a status subresource: then `status` is dropped on create and kept on main writes
    /// (API-100, API-222, API-223).
    fn has_status(&self) -> bool {
        false
    }

    /// Whether `metadata.generation` is kept (API-089).
    fn has_generation(&self) -> bool {
        false
    }

    /// Whether a main write from `old` to `new` raises the generation; asked only when [`Self::has_generation`].
    fn bumps_generation(&self, new: &Value, old: &Value) -> bool {
        new.get("spec") != old.get("spec")
    }

    /// Whether a finalizer without a domain must be one of the standard ones: for all built-in kinds (API-096).
    fn standard_finalizers_only(&self) -> bool {
        true
    }

    /// Whether a create drops the status; custom resources with a status subresource have none afterwards, built-in
    /// kinds an empty one, and a Node keeps its own (API-100).
    fn status_on_create(&self) -> StatusOnCreate {
        if self.has_status() {
            StatusOnCreate::Empty
        } else {
            StatusOnCreate::Kept
        }
    }

    /// Sets what a create gives an object beyond defaults; `status` is already gone.
    ///
    /// # Errors
    /// What cannot be allocated.
    fn prepare_for_create(
        &self,
        _object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    /// Carries over what this write may not change; `status` (main) or everything else (status) already is.
    ///
    /// # Errors
    /// What cannot be allocated.
    fn prepare_for_update(
        &self,
        _new: &mut Value,
        _old: &Value,
        _subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    /// What is wrong with a new object, besides its metadata.
    fn validate_create(&self, object: &Value, errors: &mut Errors);

    /// What is wrong with a changed object, besides its metadata.
    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors);

    /// Warnings on a create or update (API-185).
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Whether an update without a resourceVersion overwrites (API-106).
    fn allows_unconditional_update(&self) -> bool {
        true
    }

    /// Whether a PUT of an absent object creates it (API-102).
    fn allows_create_on_update(&self) -> bool {
        false
    }

    /// The policy of a delete that names none (API-116).
    fn default_propagation(&self) -> Propagation {
        Propagation::Background
    }

    /// Whether a delete may add finalizers at all: not for Events (API-116).
    fn collects_garbage(&self) -> bool {
        true
    }

    /// Whether a completed delete answers with the object instead of a Status (API-114).
    fn delete_returns_object(&self) -> bool {
        false
    }

    /// The grace period of a delete in seconds, given the one asked for; `None` when deletes of the kind are
    /// immediate, 0 when that of this object is (API-117).
    fn grace_period(&self, _object: &Value, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// Gives back what the object had allocated (API-122).
    fn release(&self, _object: &Value, _allocations: &mut Allocations) {}
}

/// Name, plural and group in an error about `gk`: helper of the callers that answer with a Status.
pub(crate) fn reject(gk: &GroupKind, name: &str, errors: Errors) -> Result<(), Status> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(invalid(gk, name, errors.into_vec()))
    }
}
