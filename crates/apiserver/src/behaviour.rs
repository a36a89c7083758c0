//! What a kind does with its objects: decoding and defaults, preparation and validation.
//!
//! The one place where the write path meets the strategies of built-in kinds and the schemas of custom ones.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::patch::apply::Tracked;
use wavetank_model::schema::{self, DecodeError, FieldProblem};
use wavetank_model::{GroupKind, GroupVersionKind, ObjectKey, Status, object};

use crate::admission::{self, Lookup, Operation, Request};
use crate::convert;
use crate::create::Call;
use crate::custom::definition;
use crate::establish::is_definition;
use crate::kinds::{self, Allocations, Env, FieldError};
use crate::registry::{Registry, Resource, VersionType};
use crate::server::{Server, Written};
use crate::store::Store;

/// Brings an object into the form its type gives it; gives what strict field validation objects to.
pub(crate) fn decode(
    resource: &Resource,
    api_version: &str,
    object: &mut Value,
) -> Result<Vec<FieldProblem>, DecodeError> {
    match resource.version_type(api_version) {
        Some(VersionType::Custom(version)) => {
            let mut problems = decode_metadata(object)?;
            problems.extend(
                version
                    .prune(object)
                    .into_iter()
                    .map(|path| FieldProblem::Unknown { path }),
            );
            Ok(problems)
        }
        _ => resource
            .schema(api_version)
            .map_or_else(|| Ok(Vec::new()), |schema| schema::decode(schema, object)),
    }
}

/// Decodes the metadata of a custom object as that of a built-in one.
fn decode_metadata(object: &mut Value) -> Result<Vec<FieldProblem>, DecodeError> {
    let (Some(schema), Some(fields)) = (
        schema::builtin(&GroupVersionKind::new("v1", "ConfigMap")),
        object.as_object_mut(),
    ) else {
        return Ok(Vec::new());
    };
    let mut typed = json!({});
    typed["metadata"] = fields
        .get_mut("metadata")
        .map(Value::take)
        .unwrap_or_default();
    let problems = schema::decode(schema, &mut typed)?;
    fields.insert(
        "metadata".to_owned(),
        typed
            .get_mut("metadata")
            .map_or_else(|| json!({}), Value::take),
    );
    Ok(problems)
}

/// Fills in defaults, and the empty fields that are part of the stored form; then the object is of the stored version.
pub(crate) fn default(resource: &Resource, api_version: &str, object: &mut Value) {
    if let Some(VersionType::Custom(version)) = resource.version_type(api_version) {
        version.default(object);
        convert::to_storage(resource, api_version, object);
        return;
    }
    let fill = |api_version: &str, object: &mut Value| {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        resource.defaults.fill(version, object);
        if let Some(schema) = resource.schema(api_version) {
            schema::complete(schema, object);
        }
    };
    fill(api_version, object);
    if api_version != resource.storage {
        convert::to_storage(resource, api_version, object);
        fill(&resource.storage, object);
    }
}

/// Does so for `status` alone, in an object of which nothing else is at hand; whatever else it fills is not to be kept.
pub(crate) fn default_status(resource: &Resource, api_version: &str, object: &mut Value) {
    let built_in = resource.schema(api_version);
    let is_stored = api_version == resource.storage && !resource.is_custom();
    let Some(schema) = built_in.filter(|_| is_stored) else {
        default(resource, api_version, object);
        return;
    };
    let version = api_version.rsplit('/').next().unwrap_or_default();
    resource.defaults.fill_status(version, object);
    if let (Some(schema), Some(status)) = (schema.field("status"), object.get_mut("status")) {
        schema::complete(schema, status);
    }
}

/// Adds the empty fields that are part of the stored form.
pub(crate) fn complete(resource: &Resource, object: &mut Value) {
    if let Some(schema) = resource.schema(&resource.storage) {
        schema::complete(schema, object);
    }
}

/// The newest state, as admission reads it.
pub(crate) struct Newest<'a> {
    registry: &'a Registry,
    store: &'a Store,
}

impl Lookup for Newest<'_> {
    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        let resource = self.registry.by_kind(&key.group, &key.kind)?;
        let stored = self.store.get(
            resource.table,
            &resource.storage_key(&key.namespace, &key.name),
        )?;
        Some(self.store.value(stored))
    }

    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let Some(resource) = self.registry.by_kind(&kind.group, &kind.kind) else {
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
    /// The newest state.
    pub(crate) fn newest(&self) -> Newest<'_> {
        Newest {
            registry: &self.registry,
            store: &self.store,
        }
    }

    /// The mutating stage of admission.
    pub(crate) fn admit(
        &mut self,
        call: &Call,
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
        let before = object.clone();
        admission::admit(
            &self.config.admission,
            &request,
            object,
            old,
            &lookup,
            &mut self.dice.strategy,
        )?;
        // What came in was completed then.
        let is_typed = !call.resource.is_custom() && !call.is_inner_status();
        if operation != Operation::Delete && is_typed && *object != before {
            complete(&call.resource, object);
        }
        Ok(())
    }

    /// The validating stage of admission.
    pub(crate) fn validate_admission(
        &self,
        call: &mut Call,
        operation: Operation,
        new: Tracked<'_>,
        old: Option<Tracked<'_>>,
    ) -> Result<(), Status> {
        let lookup = self.newest();
        let (config, object) = (&self.config.admission, new.object);
        let before = old.map(|old| old.object);
        let request = admission_request(call, operation, name_of(call, object));
        admission::validate_limits(config, &request, object, before, &lookup)?;
        self.ask_policies(call, operation, Some(new), old)?;
        let request = admission_request(call, operation, name_of(call, object));
        admission::validate_quota(config, &request, object, &lookup)
    }

    /// Gives a new object what its kind adds, and validates it.
    pub(crate) fn prepare_create(
        &mut self,
        call: &mut Call,
        object: &mut Value,
    ) -> Result<(), Status> {
        let resource = &call.resource;
        let mut problems: Vec<FieldError> = resource
            .custom_version(&call.api_version)
            .map_or_else(Vec::new, |version| version.validate(object));
        if is_definition(resource) {
            problems.extend(definition::problems(object, self.config.pass_over_rules));
        }
        let warnings = self.with_env(call.now, |env| {
            kinds::create(
                &*resource.strategy,
                &resource.group_kind,
                resource.namespaced,
                object,
                env,
            )
        })?;
        call.warnings.extend(warnings);
        refuse(call, object, problems)
    }

    /// Keeps what a change may not touch, raises the generation, and validates the change.
    pub(crate) fn prepare_update(
        &mut self,
        call: &mut Call,
        new: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let resource = &call.resource;
        // A Scale changes the object itself.
        let part = if call.subresource == "scale" {
            ""
        } else {
            &call.subresource
        };
        if resource.is_custom() && call.subresource == "status" {
            // Of its metadata only managedFields change (API-222).
            new["metadata"] = old["metadata"].clone();
        }
        let mut problems = call
            .resource
            .custom_version(&call.api_version)
            .map_or_else(Vec::new, |version| version.validate_change(new, old));
        if is_definition(resource) && call.subresource.is_empty() {
            if new["spec"] != old["spec"] {
                problems.extend(definition::problems(new, self.config.pass_over_rules));
            }
            problems.extend(definition::change_problems(new, old));
        }
        let warnings = self.with_env(call.now, |env| {
            kinds::update(
                &*resource.strategy,
                &resource.group_kind,
                new,
                old,
                part,
                env,
            )
        })?;
        call.warnings.extend(warnings);
        refuse(call, new, problems)
    }

    /// Calls `act` with the surroundings of a strategy.
    fn with_env<T>(&mut self, now: SimTime, act: impl FnOnce(&mut Env<'_>) -> T) -> T {
        let timestamp = self.timestamp(now);
        act(&mut Env {
            timestamp: &timestamp,
            allocations: &mut self.allocations,
        })
    }

    /// Makes a write; what it took out of the cluster's ranges is given back when nothing comes of it.
    pub(crate) fn attempt(
        &mut self,
        call: &mut Call,
        write: impl FnOnce(&mut Self, &mut Call) -> Result<Written, Status>,
    ) -> Result<Written, Status> {
        let before: Allocations = self.allocations.clone();
        if call.options.dry_run {
            self.allocations.pretend();
        }
        let result = write(self, call);
        if call.options.dry_run || result.is_err() {
            self.allocations = before;
        }
        result
    }
}

fn refuse(call: &Call, object: &Value, problems: Vec<FieldError>) -> Result<(), Status> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(kinds::invalid(
            &call.resource.group_kind,
            object::name(object),
            problems,
        ))
    }
}
