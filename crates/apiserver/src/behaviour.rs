//! What a kind does with its objects: decoding and defaults, preparation and validation.
//!
//! The one place where the write path meets the strategies of built-in kinds and the schemas of custom ones.

use serde_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::Status;
use wavetank_model::schema::{self, DecodeError, FieldProblem};

use crate::create::Call;
use crate::kinds::{self, Allocations, Env};
use crate::registry::Resource;
use crate::server::Server;

/// Brings an object into the form its type gives it; gives what strict field validation objects to.
pub(crate) fn decode(
    resource: &Resource,
    api_version: &str,
    object: &mut Value,
) -> Result<Vec<FieldProblem>, DecodeError> {
    match resource.schema(api_version) {
        Some(schema) => schema::decode(schema, object),
        None => Ok(Vec::new()),
    }
}

/// Fills in defaults, and the empty fields that are part of the stored form.
pub(crate) fn default(resource: &Resource, api_version: &str, object: &mut Value) {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    resource.strategy.default(version, object);
    if let Some(schema) = resource.schema(api_version) {
        schema::complete(schema, object);
    }
}

impl Server {
    /// Gives a new object what its kind adds, and validates it.
    pub(crate) fn prepare_create(
        &mut self,
        call: &mut Call,
        object: &mut Value,
    ) -> Result<(), Status> {
        let resource = &call.resource;
        let warnings = self.with_env(call.now, call.options.dry_run, |env| {
            kinds::create(
                &*resource.strategy,
                &resource.group_kind,
                resource.namespaced,
                object,
                env,
            )
        })?;
        call.warnings.extend(warnings);
        Ok(())
    }

    /// Keeps what a change may not touch, raises the generation, and validates the change.
    pub(crate) fn prepare_update(
        &mut self,
        call: &mut Call,
        new: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let resource = &call.resource;
        let warnings = self.with_env(call.now, call.options.dry_run, |env| {
            kinds::update(
                &*resource.strategy,
                &resource.group_kind,
                new,
                old,
                &call.subresource,
                env,
            )
        })?;
        call.warnings.extend(warnings);
        Ok(())
    }

    /// Calls `act` with the surroundings of a strategy; what it allocates is given back when nothing comes of it.
    fn with_env<T>(
        &mut self,
        now: SimTime,
        dry_run: bool,
        act: impl FnOnce(&mut Env<'_>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let before: Allocations = self.allocations.clone();
        let timestamp = self.timestamp(now);
        let mut env = Env {
            rng: &mut self.dice.strategy,
            timestamp: &timestamp,
            allocations: &mut self.allocations,
        };
        let result = act(&mut env);
        if dry_run || result.is_err() {
            self.allocations = before;
        }
        result
    }
}
