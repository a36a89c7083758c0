//! Creating objects (API-012, 092, 099).

use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::patch::apply::{ManagedFields, Tracked};
use wavetank_model::schema::FieldProblem;
use wavetank_model::{Actor, GroupKind, GroupVersionKind, Status, object};

use crate::access::Subject;
use crate::admission::Operation;
use crate::behaviour;
use crate::failure;
use crate::registry::Resource;
use crate::request::{FieldValidation, WriteOptions};
use crate::server::{Author, Server, Written};

/// One write, from a request or from inside.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something about the call that no other one does"
)]
pub(crate) struct Call {
    pub(crate) resource: Arc<Resource>,
    /// `apiVersion` of the path.
    pub(crate) api_version: String,
    pub(crate) namespace: String,
    /// Name of the path, empty for a create.
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) actor: Actor,
    pub(crate) options: WriteOptions,
    pub(crate) now: SimTime,
    /// Who owns the fields afterwards, where the object comes of an apply.
    pub(crate) applied: Option<ManagedFields>,
    /// Whether the object comes of a patch.
    pub(crate) patched: bool,
    /// Whether a controller inside the world calls: what it sends was read from this server.
    pub(crate) inside: bool,
    /// Who asks, where that is not the actor.
    pub(crate) subject: Option<Arc<Subject>>,
    /// Whether a whole collection is deleted, of which this is one object.
    pub(crate) of_collection: bool,
    /// Whether policies have no say in it.
    pub(crate) unasked: bool,
    /// What the client is to be warned of.
    pub(crate) warnings: Vec<String>,
}

impl Call {
    /// A call that the server or a controller inside the world makes.
    pub(crate) fn inside(
        resource: &Arc<Resource>,
        actor: &str,
        manager: &str,
        namespace: &str,
        name: &str,
        now: SimTime,
    ) -> Self {
        Self {
            resource: Arc::clone(resource),
            api_version: resource.storage.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
            actor: Actor::new(actor),
            options: WriteOptions {
                manager: manager.to_owned(),
                ..WriteOptions::default()
            },
            now,
            applied: None,
            patched: false,
            inside: true,
            subject: None,
            of_collection: false,
            unasked: false,
            warnings: Vec::new(),
        }
    }

    /// Whether a controller writes an object of a built-in kind that it has read here.
    pub(crate) fn is_inner(&self) -> bool {
        self.inside && !self.resource.is_custom() && self.api_version == self.resource.storage
    }

    /// Whether a controller writes the status of a built-in kind: the rest of the object is the stored one.
    pub(crate) fn is_inner_status(&self) -> bool {
        self.is_inner() && self.subresource == "status"
    }

    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            actor: &self.actor,
            manager: &self.options.manager,
            now: self.now,
        }
    }

    pub(crate) fn storage_key(&self, name: &str) -> String {
        self.resource.storage_key(&self.namespace, name)
    }
}

/// An object or patch as it came in.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) object: Value,
    /// Keys that stand twice in the text.
    pub(crate) problems: Vec<FieldProblem>,
    /// Whether the object is the result of a patch.
    pub(crate) patched: bool,
    /// The only parts that are not those of the stored object, where that is known.
    pub(crate) touched: Option<Vec<String>>,
}

impl From<Value> for Incoming {
    fn from(object: Value) -> Self {
        Self {
            object,
            problems: Vec::new(),
            patched: false,
            touched: None,
        }
    }
}

/// `metadata` of an object, made when it is absent or null.
pub(crate) fn metadata_mut(object: &mut Value) -> Option<&mut Map> {
    let fields = object.as_object_mut()?;
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    metadata.as_object_mut()
}

impl Server {
    /// Creates the object of a request body.
    pub(crate) fn create(
        &mut self,
        call: &mut Call,
        incoming: Incoming,
    ) -> Result<Written, Status> {
        let object = accept_body(call, incoming)?;
        self.create_decoded(call, object)
    }

    /// Creates a decoded, defaulted object.
    pub(crate) fn create_decoded(
        &mut self,
        call: &mut Call,
        object: Value,
    ) -> Result<Written, Status> {
        self.attempt(call, |server, call| server.create_now(call, object))
    }

    fn create_now(&mut self, call: &mut Call, mut object: Value) -> Result<Written, Status> {
        let resource = Arc::clone(&call.resource);
        if !object::resource_version(&object).is_empty() {
            return Err(Status::new(
                500,
                "",
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let (uid, stamp) = (self.uid(), self.timestamp(call.now));
        if let Some(metadata) = metadata_mut(&mut object) {
            for field in [
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
                "resourceVersion",
            ] {
                metadata.remove(field);
            }
            metadata.insert("uid".to_owned(), Value::from(uid));
            metadata.insert("creationTimestamp".to_owned(), Value::from(stamp));
        }
        let managed = self.track(call, None, &mut object);
        self.admit(call, Operation::Create, &mut object, None)?;
        if resource.is_custom() && self.is_ending(&resource) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(failure::forbidden(&resource, object::name(&object), why));
        }
        self.settle_name(&resource, &call.namespace, &mut object)?;
        self.prepare_create(call, &mut object)?;
        let written = Tracked {
            object: &object,
            managed: &managed,
        };
        self.validate_admission(call, Operation::Create, written, None)?;
        let name = object::name(&object).to_owned();
        let key = call.storage_key(&name);
        if let Some(there) = self.store.get(resource.table, &key) {
            return Err(failure::already_exists(&resource, &name, there.terminating));
        }
        let new = (object, managed);
        if call.options.dry_run {
            return Ok(Written::unstored(new, true));
        }
        Ok(self.commit(&resource, &key, None, new, false, call.author()))
    }

    /// Generates a name when only `generateName` is given (API-092).
    fn settle_name(
        &mut self,
        resource: &Resource,
        namespace: &str,
        object: &mut Value,
    ) -> Result<(), Status> {
        if !object::name(object).is_empty() {
            return Ok(());
        }
        let base = object::meta_str(object, "generateName").to_owned();
        if base.is_empty() {
            let problem =
                failure::Problem::required("metadata.name", "name or generateName is required");
            return Err(failure::invalid(
                &resource.group_kind.to_string(),
                "",
                vec![problem],
            ));
        }
        let base: String = base.chars().take(58).collect();
        let mut name = String::new();
        for _ in 0..8 {
            name = format!("{base}{}", self.name_suffix());
            if self
                .store
                .get(resource.table, &resource.storage_key(namespace, &name))
                .is_none()
            {
                object["metadata"]["name"] = Value::from(name);
                return Ok(());
            }
        }
        Err(failure::no_unique_name(resource, &name))
    }
}

/// Checks type and namespace of a body, decodes and defaults it (API-011, stages 10 to 12).
pub(crate) fn accept_body(call: &mut Call, incoming: Incoming) -> Result<Value, Status> {
    let Incoming {
        mut object,
        mut problems,
        patched,
        touched,
    } = incoming;
    check_type(call, &mut object)?;
    let refused = |call: &Call, object: &Value, why: &str| {
        if patched {
            undecodable_patch(object, why)
        } else {
            undecodable(call, why)
        }
    };
    let unread =
        (patched && call.options.validation == FieldValidation::Strict).then(|| object.clone());
    // An empty list means something here, which decoding would take away (API-175).
    let managed = metadata_mut(&mut object).and_then(|metadata| metadata.remove("managedFields"));
    // What is the stored object's has been read once.
    let touched = if call.is_inner_status() {
        Some(vec!["status".to_owned()])
    } else {
        touched
    };
    let rest = touched.map_or_else(Vec::new, |touched| take_all_but(&mut object, &touched));
    match behaviour::decode(&call.resource, &call.api_version, &mut object) {
        Ok(unknown) => problems.extend(unknown),
        Err(error) => {
            return Err(refused(
                call,
                unread.as_ref().unwrap_or(&object),
                &error.to_string(),
            ));
        }
    }
    if !problems.is_empty() {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        match call.options.validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => call.warnings.extend(texts),
            FieldValidation::Strict => {
                let why = format!("strict decoding error: {}", texts.join(", "));
                return Err(refused(call, unread.as_ref().unwrap_or(&object), &why));
            }
        }
    }
    if call.is_inner_status() {
        behaviour::default_status(&call.resource, &call.api_version, &mut object);
    } else {
        behaviour::default(&call.resource, &call.api_version, &mut object);
    }
    if let Some(fields) = object.as_object_mut() {
        // What the defaults made of the missing rest goes again.
        fields.extend(rest);
    }
    let metadata = metadata_mut(&mut object).ok_or_else(|| {
        undecodable(
            call,
            "json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta",
        )
    })?;
    settle_namespace(call, metadata)?;
    if let Some(managed @ Value::Array(_)) = managed {
        metadata.insert("managedFields".to_owned(), managed);
    }
    Ok(object)
}

/// Takes the parts of an object away, but for what says of which type it is, and for those that stay.
fn take_all_but(object: &mut Value, stay: &[String]) -> Vec<(String, Value)> {
    let Some(fields) = object.as_object_mut() else {
        return Vec::new();
    };
    let stays = |key: &String| matches!(key.as_str(), "apiVersion" | "kind") || stay.contains(key);
    let names: Vec<String> = fields.keys().filter(|key| !stays(key)).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| fields.remove_entry(&name))
        .collect()
}

/// Fills in kind and version, or refuses others than those of the path.
fn check_type(call: &Call, object: &mut Value) -> Result<(), Status> {
    let resource = &call.resource;
    let kind = resource.kind();
    if object.is_null() {
        // As Go's decoder takes it.
        *object = Value::Object(wavetank_json::Map::new());
    }
    let Some(fields) = object.as_object_mut() else {
        let shown = object.to_string();
        let found = match object {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            _ => "number",
        };
        let why = format!(
            r#"couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }}"#
        );
        return Err(unrecognized(kind, &why, shown.as_bytes()));
    };
    let expected = [("kind", kind), ("apiVersion", call.api_version.as_str())];
    if expected
        .iter()
        .all(|(field, value)| fields.get(field).and_then(Value::as_str) == Some(value))
    {
        return Ok(());
    }
    for (field, value) in expected {
        if fields
            .get(field)
            .is_none_or(|text| text.is_null() || text.as_str() == Some(""))
        {
            if resource.is_custom() && field == "kind" {
                let shown = Value::from(fields.clone()).to_string();
                let why = format!("Object 'Kind' is missing in '{shown}'");
                return Err(unrecognized(kind, &why, shown.as_bytes()));
            }
            if resource.is_custom() {
                return Err(other_version(call, ""));
            }
            fields.insert(field.to_owned(), Value::from(value));
        }
    }
    let Some(found) = GroupVersionKind::of(object) else {
        return Err(undecodable(
            call,
            "json: cannot unmarshal into Go struct field .kind of type string",
        ));
    };
    if found.kind != kind && !resource.is_custom() {
        let package = if resource.group.is_empty() {
            "core"
        } else {
            resource.group.split('.').next().unwrap_or_default()
        };
        return Err(failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {kind}: converting ({}.{}) to ({package}.{kind}): unknown conversion",
            found.kind, found.version, found.version, found.kind
        )));
    }
    let found_version = found.api_version();
    let is_asked_for = found_version == call.api_version;
    let known = is_asked_for || resource.version_type(&found_version).is_some();
    if !resource.is_custom() && !known {
        return Err(failure::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: {}",
            found.version,
            failure::unregistered(&found.kind, &found_version)
        )));
    }
    if !is_asked_for {
        return Err(other_version(call, &found_version));
    }
    if found.kind != kind {
        let wrong = GroupKind::new(found.group, found.kind.clone()).to_string();
        let value = format!("{:?}", found.kind);
        let problem = failure::Problem::invalid("kind", &value, &format!("must be {kind}"));
        return Err(failure::invalid(
            &wrong,
            object::name(object),
            vec![problem],
        ));
    }
    Ok(())
}

fn other_version(call: &Call, found: &str) -> Status {
    failure::bad_request(format!(
        "the API version in the data ({found}) does not match the expected API version ({})",
        call.api_version
    ))
}

/// Fills in the namespace of the path, or refuses another one (API-088).
fn settle_namespace(call: &Call, metadata: &mut Map) -> Result<(), Status> {
    let written = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !call.resource.namespaced {
        metadata.remove("namespace");
    } else if written.is_empty() {
        metadata.insert("namespace".to_owned(), Value::from(call.namespace.clone()));
    } else if written != call.namespace {
        return Err(failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// 400 for a body that does not fit its type.
fn undecodable(call: &Call, why: &str) -> Status {
    let kind = call.resource.kind();
    let version = call.api_version.rsplit('/').next().unwrap_or_default();
    failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
    ))
}

/// 422 for a patched object that does not fit its type.
fn undecodable_patch(object: &Value, why: &str) -> Status {
    let shown = Value::from(object.to_string()).to_string();
    failure::invalid(
        "",
        "",
        vec![failure::Problem::invalid("patch", &shown, why)],
    )
}

/// 400 for a body that is no object (API-073).
pub(crate) fn unrecognized(kind: &str, why: &str, body: &[u8]) -> Status {
    let cut = body.len().min(30);
    let mut shown = if body.first() == Some(&b'{') {
        String::from_utf8_lossy(&body[..cut]).into_owned()
    } else {
        body[..cut]
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    if body.len() > cut {
        shown.push_str(" ...");
    }
    if body.is_empty() {
        "<empty>".clone_into(&mut shown);
    }
    failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    ))
}
