//! What a kind does with its objects: decoding and defaults, preparation and validation.
//!
//! The one place where the write path meets the strategies of built-in kinds and the schemas of custom ones.

use std::sync::Arc;

use serde_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::schema::{self, DecodeError, FieldProblem};
use wavetank_model::{GroupKind, ObjectKey, Status, object};

use crate::admission::{self, Lookup, Operation, Request};
use crate::create::Call;
use crate::kinds::{self, Allocations, Env};
use crate::registry::{Registry, Resource};
use crate::server::Server;
use crate::store::Store;

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

/// The store as admission reads it.
struct Newest<'a> {
    registry: &'a Registry,
    store: &'a Store,
}

impl Lookup for Newest<'_> {
    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        let resource = self.registry.by_kind(&key.group_kind())?;
        let stored = self.store.get(
            resource.table,
            &resource.storage_key(&key.namespace, &key.name),
        )?;
        Some(self.store.value(stored))
    }

    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let Some(resource) = self.registry.by_kind(kind) else {
            return Vec::new();
        };
        self.store
            .scan(resource.table, namespace.unwrap_or_default())
            .map(|stored| self.store.value(stored))
            .collect()
    }
}

fn admission_request<'a>(call: &'a Call, operation: Operation, name: &'a str) -> Request<'a> {
    Request {
        operation,
        kind: &call.resource.group_kind,
        plural: &call.resource.plural,
        namespace: &call.namespace,
        name,
        subresource: &call.subresource,
    }
}

fn name_of<'a>(call: &'a Call, object: &'a Value) -> &'a str {
    let name = if call.name.is_empty() {
        object::name(object)
    } else {
        &call.name
    };
    if name.is_empty() {
        object::meta_str(object, "generateName")
    } else {
        name
    }
}

impl Server {
    /// The mutating stage of admission.
    pub(crate) fn admit(
        &mut self,
        call: &mut Call,
        operation: Operation,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let lookup = Newest {
            registry: &self.registry,
            store: &self.store,
        };
        let name = name_of(call, object).to_owned();
        let request = admission_request(call, operation, &name);
        let warnings = admission::admit(
            &self.config.admission,
            &request,
            object,
            old,
            &lookup,
            &mut self.dice.strategy,
        )?;
        if operation != Operation::Delete
            && let Some(schema) = call.resource.schema(&call.api_version)
        {
            schema::complete(schema, object);
        }
        call.warnings.extend(warnings);
        Ok(())
    }

    /// The validating stage of admission.
    pub(crate) fn validate_admission(
        &self,
        call: &Call,
        operation: Operation,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let lookup = Newest {
            registry: &self.registry,
            store: &self.store,
        };
        let request = admission_request(call, operation, name_of(call, object));
        admission::validate(&self.config.admission, &request, object, old, &lookup)
    }

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
