//! What a controller calls: the API as plain function calls inside the world.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_json::Value;
use wavetank_kernel::SimTime;

use crate::key::{GroupKind, ObjectKey};
use crate::status::Status;

/// What happens to dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Dependents first.
    Foreground,
    /// Dependents afterwards.
    Background,
    /// Dependents stay and lose their reference.
    Orphan,
}

impl Propagation {
    /// As `DeleteOptions.propagationPolicy` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreground => "Foreground",
            Self::Background => "Background",
            Self::Orphan => "Orphan",
        }
    }
}

/// Options of a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Policy; `None` leaves it to the kind's default (API-116).
    pub propagation: Option<Propagation>,
    /// Grace period; `None` leaves it to the object.
    pub grace_period_seconds: Option<i64>,
    /// The delete fails with 409 unless the stored uid is this one.
    pub uid: Option<String>,
    /// The delete fails with 409 unless the stored resourceVersion is this one.
    pub resource_version: Option<String>,
}

/// How a patch body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' strategic merge patch.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchType {
    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

/// The API server as controllers inside the world see it.
///
/// Reads are of the newest state and give objects with `apiVersion` and `kind`. Writes go through the same admission,
/// validation and managedFields as a client's; `manager` is both actor and field manager.
pub trait Api {
    /// The time of this call.
    fn now(&self) -> SimTime;

    /// The time as the server writes it into objects: RFC 3339, whole seconds.
    fn timestamp(&self) -> String;

    /// One object.
    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>>;

    /// All objects of a kind, in one namespace or in all, ordered by namespace and name.
    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>>;

    /// All objects of a kind with an owner reference to `uid`, ordered by namespace and name.
    fn owned(&self, kind: &GroupKind, uid: &str) -> Vec<Arc<Value>>;

    /// Creates `object` (its namespace stands in its metadata); gives it as stored.
    ///
    /// # Errors
    /// The server's Status.
    fn create(&mut self, manager: &str, object: Value) -> Result<Arc<Value>, Status>;

    /// Replaces an object (`subresource` empty) or one of its subresources (`status`); gives it as stored. A
    /// resourceVersion in `object` must be the stored one.
    ///
    /// # Errors
    /// The server's Status.
    fn update(
        &mut self,
        manager: &str,
        object: Value,
        subresource: &str,
    ) -> Result<Arc<Value>, Status>;

    /// Patches an object or one of its subresources; gives it as stored.
    ///
    /// # Errors
    /// The server's Status.
    fn patch(
        &mut self,
        manager: &str,
        key: &ObjectKey,
        subresource: &str,
        patch_type: PatchType,
        patch: Value,
    ) -> Result<Arc<Value>, Status>;

    /// Deletes an object.
    ///
    /// # Errors
    /// The server's Status.
    fn delete(
        &mut self,
        manager: &str,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<(), Status>;

    /// Binds a Pod to a node (`pods/binding`).
    ///
    /// # Errors
    /// The server's Status.
    fn bind(&mut self, manager: &str, pod: &ObjectKey, node: &str) -> Result<(), Status>;
}
