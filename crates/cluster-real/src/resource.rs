//! One kind of object that a server has, and where.

use wavetank_model::{GroupVersionKind, ObjectKey};

/// A kind in the version in which it is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    /// Kind and version.
    pub(crate) gvk: GroupVersionKind,
    /// Resource name, as in paths.
    pub(crate) plural: String,
    /// Whether objects live in namespaces.
    pub(crate) namespaced: bool,
    /// Whether its objects can be deleted.
    pub(crate) deletable: bool,
}

impl Resource {
    /// The path of all its objects.
    pub(crate) fn path(&self) -> String {
        let prefix = if self.gvk.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        format!("{prefix}/{}/{}", self.gvk.api_version(), self.plural)
    }

    /// The path of the objects of a namespace; empty for those that have none.
    pub(crate) fn collection(&self, namespace: &str) -> String {
        if namespace.is_empty() {
            return self.path();
        }
        let prefix = if self.gvk.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let api = self.gvk.api_version();
        format!("{prefix}/{api}/namespaces/{namespace}/{}", self.plural)
    }

    /// The path of one object.
    pub(crate) fn item(&self, key: &ObjectKey) -> String {
        format!("{}/{}", self.collection(&key.namespace), key.name)
    }

    /// Whether its objects come and go by themselves, and tell nothing of a run: Events and Leases.
    pub(crate) fn is_noise(&self) -> bool {
        matches!(
            (self.gvk.group.as_str(), self.gvk.kind.as_str()),
            ("" | "events.k8s.io", "Event") | ("coordination.k8s.io", "Lease" | "LeaseCandidate")
        )
    }
}
