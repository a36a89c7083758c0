//! What a target reports: committed changes and answered requests.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wavetank_json::Value;
use wavetank_kernel::SimTime;

use crate::key::{GroupVersionKind, ObjectKey};
use crate::patch::apply::ManagedFields;

/// Who sent a request: `engine`, `user`, `setup`, a controller's manager name, `kubelet`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub Arc<str>);

impl Actor {
    /// The sync engine; acts as `system:serviceaccount:argocd:argocd-application-controller`.
    pub const ENGINE: &'static str = "engine";
    /// Somebody with kubectl.
    pub const USER: &'static str = "user";
    /// Nobody who is known: the server looks at the token that comes with a request.
    pub const ANONYMOUS: &'static str = "anonymous";
    /// What makes `cluster.objects` before the first step.
    pub const SETUP: &'static str = "setup";

    /// The actor `name`.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Kubernetes user name this actor is authenticated as.
    pub fn user_name(&self) -> String {
        match self.as_str() {
            Self::ENGINE => "system:serviceaccount:argocd:argocd-application-controller".to_owned(),
            Self::USER | Self::SETUP => "kubernetes-admin".to_owned(),
            other => format!("system:{other}"),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a commit did to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It came into being.
    Created,
    /// It was changed.
    Updated,
    /// Its deletionTimestamp was set by this commit (a kind of update).
    Deleting,
    /// It is gone.
    Deleted,
}

/// One committed change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The object.
    pub key: Arc<ObjectKey>,
    /// Version in which the objects below are written.
    pub gvk: GroupVersionKind,
    /// The store's revision of this commit; rises by one per commit.
    pub revision: u64,
    /// When.
    pub time: SimTime,
    /// Who asked for it.
    pub actor: Actor,
    /// Field manager of the write.
    pub manager: String,
    /// The object before; `None` when created.
    pub old: Option<Arc<Value>>,
    /// The object after; when deleted, its last state with the resourceVersion of the deletion.
    pub new: Arc<Value>,
    /// The rest of the objects above, of a server in this process: they are without `managedFields` then.
    pub wire: Option<Wire>,
}

/// What a server in this process keeps apart from the objects of a [`Change`].
#[derive(Clone, Debug)]
pub struct Wire {
    /// `new` as it goes over the wire, whole: the very bytes that a watch hands out.
    pub text: Bytes,
    /// The `managedFields` of `new`.
    pub managed: ManagedFields,
    /// The `managedFields` of `old`.
    pub old_managed: ManagedFields,
}

impl Change {
    /// How the line of a watch begins that hands out [`Wire::text`] of a new object.
    pub const ADDED: &'static str = "{\"type\":\"ADDED\",\"object\":";

    /// How the line of a watch begins that hands out [`Wire::text`] of a change.
    pub const MODIFIED: &'static str = "{\"type\":\"MODIFIED\",\"object\":";
}

/// One answered request (API-315).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// Who asked.
    pub actor: Actor,
    /// Kubernetes verb: get, list, watch, create, update, patch, delete, deletecollection; `discover` for discovery,
    /// OpenAPI and version paths.
    pub verb: String,
    /// The object or, with an empty name, the collection. `None` for paths that name no resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// Subresource, as `status`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Whether nothing was to be stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Field manager, from the query or the user agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// Content type of a patch, shortened to `json`, `merge`, `strategic`, `apply`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub patch: String,
    /// HTTP status code of the answer.
    pub code: u16,
    /// Reason of a failure Status.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
