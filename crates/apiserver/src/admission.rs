//! Admission: the plugins that a real server runs by default (API-306), each with a switch.
//!
//! Two stages, as in API-012: [`admit`] may change the object and runs before the strategy prepares and validates it;
//! [`validate_limits`] and [`validate_quota`] run after them, with policies (in `policy`) asked in between. Plugins read
//! other objects through [`Lookup`] and write nothing. Webhooks are nowhere called (API-307), and what Pod Security would
//! say is not (API-310).

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_kernel::Rng;
use wavetank_model::key::{GroupKind, ObjectKey};
use wavetank_model::status::{Status, StatusDetails};

mod limit_ranger;
mod namespace_lifecycle;
mod pod_defaults;
mod resource_quota;
mod service_account;
mod storage;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// POST, or a write that creates.
    Create,
    /// A write to an existing object.
    Update,
    /// A delete.
    Delete,
}

/// The request under admission.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What it does.
    pub operation: Operation,
    /// Kind of the object.
    pub kind: &'a GroupKind,
    /// Resource name, as in the path.
    pub plural: &'a str,
    /// Namespace of the path, empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// Name, or generateName of an object that has no name yet.
    pub name: &'a str,
    /// Subresource, empty for the object itself.
    pub subresource: &'a str,
}

impl Request<'_> {
    fn is(&self, group: &str, kind: &str) -> bool {
        self.subresource.is_empty() && self.kind.kind == kind && self.kind.group == group
    }

    /// 403 in the words of admission (API-073).
    pub fn forbidden(&self, why: &str) -> Status {
        let dot = if self.kind.group.is_empty() { "" } else { "." };
        let name = if self.name.is_empty() {
            "Unknown"
        } else {
            self.name
        };
        let message = format!(
            "{}{dot}{} {} is forbidden: {why}",
            self.plural,
            self.kind.group,
            crate::kinds::field::quote(name)
        );
        Status::new(403, "Forbidden", message).with_details(StatusDetails {
            name: name.to_owned(),
            group: self.kind.group.clone(),
            kind: self.plural.to_owned(),
            ..StatusDetails::default()
        })
    }
}

/// Reads of other objects, of the newest state.
pub trait Lookup {
    /// One object.
    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>>;

    /// All objects of a kind in a namespace (all of a cluster-scoped kind when `None`), ordered by name.
    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>>;
}

/// Which plugins run; by default those of a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one switch per plugin")]
pub struct Config {
    /// Creates need a namespace that is there and not terminating; some namespaces cannot be deleted.
    pub namespace_lifecycle: bool,
    /// Pods get a `ServiceAccount`, its token volume and pull secrets; it must exist (API-273).
    pub service_account: bool,
    /// Pods get priority and preemption policy (API-273); one `PriorityClass` at most is the global default.
    pub priority: bool,
    /// Pods tolerate not-ready and unreachable nodes for 300 s (API-273).
    pub default_toleration_seconds: bool,
    /// Claims get the default `StorageClass` (API-289).
    pub default_storage_class: bool,
    /// Claims and volumes get their protection finalizer (API-289, API-290).
    pub storage_object_in_use_protection: bool,
    /// Claims grow only when their class allows it (API-289).
    pub persistent_volume_claim_resize: bool,
    /// Ingresses get the default `IngressClass` (API-292).
    pub default_ingress_class: bool,
    /// Pods that name a `RuntimeClass` need it, and take its overhead.
    pub runtime_class: bool,
    /// New Nodes are tainted as not ready. Off by default: nothing in this crate takes the taint off again.
    pub taint_nodes_by_condition: bool,
    /// Limits of containers, Pods and claims (API-308).
    pub limit_ranger: bool,
    /// Quotas of namespaces (API-308).
    pub resource_quota: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace_lifecycle: true,
            service_account: true,
            priority: true,
            default_toleration_seconds: true,
            default_storage_class: true,
            storage_object_in_use_protection: true,
            persistent_volume_claim_resize: true,
            default_ingress_class: true,
            runtime_class: true,
            taint_nodes_by_condition: false,
            limit_ranger: true,
            resource_quota: true,
        }
    }
}

/// The mutating stage. `object` is null for deletes; `old` is the stored object of updates and deletes.
///
/// # Errors
/// 404 for a missing namespace, 403 for what is refused.
pub fn admit(
    config: &Config,
    request: &Request<'_>,
    object: &mut Value,
    old: Option<&Value>,
    lookup: &dyn Lookup,
    rng: &mut Rng,
) -> Result<(), Status> {
    if config.namespace_lifecycle {
        namespace_lifecycle::admit(request, lookup)?;
    }
    if request.operation == Operation::Delete {
        return Ok(());
    }
    if config.limit_ranger && request.is("", "Pod") && request.operation == Operation::Create {
        limit_ranger::admit(request, object, lookup);
    }
    if request.is("", "Pod") {
        if config.service_account && request.operation == Operation::Create {
            service_account::admit(request, object, lookup, rng)?;
        }
        if config.priority {
            pod_defaults::priority(request, object, old, lookup)?;
        }
        if config.default_toleration_seconds {
            pod_defaults::tolerations(object);
        }
    }
    if config.runtime_class && request.is("", "Pod") && request.operation == Operation::Create {
        pod_defaults::runtime_class(request, object, lookup)?;
    }
    if config.taint_nodes_by_condition
        && request.is("", "Node")
        && request.operation == Operation::Create
    {
        pod_defaults::taint_node(object);
    }
    if config.default_storage_class && request.is("", "PersistentVolumeClaim") {
        storage::default_class(object, lookup);
    }
    if config.storage_object_in_use_protection && request.operation == Operation::Create {
        storage::protect(request, object);
    }
    if config.default_ingress_class
        && request.is("networking.k8s.io", "Ingress")
        && request.operation == Operation::Create
    {
        storage::default_ingress_class(object, lookup);
    }
    Ok(())
}

/// The first part of the validating stage, which sees the object as it would be stored.
///
/// # Errors
/// 403 for what is refused.
pub fn validate_limits(
    config: &Config,
    request: &Request<'_>,
    object: &Value,
    old: Option<&Value>,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    if request.operation == Operation::Delete {
        return Ok(());
    }
    if config.limit_ranger {
        limit_ranger::validate(request, object, lookup)?;
    }
    if config.priority && request.is("scheduling.k8s.io", "PriorityClass") {
        pod_defaults::validate_priority_class(request, object, lookup)?;
    }
    if config.persistent_volume_claim_resize
        && request.operation == Operation::Update
        && request.is("", "PersistentVolumeClaim")
        && let Some(old) = old
    {
        storage::validate_resize(request, object, old, lookup)?;
    }
    Ok(())
}

/// The last part of the validating stage; policies are asked before it.
///
/// # Errors
/// 403 for what is refused.
pub fn validate_quota(
    config: &Config,
    request: &Request<'_>,
    object: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    if config.resource_quota && request.operation == Operation::Create {
        resource_quota::validate(request, object, lookup)?;
    }
    Ok(())
}

fn core(kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new("", kind, namespace, name)
}

#[cfg(test)]
mod tests;
