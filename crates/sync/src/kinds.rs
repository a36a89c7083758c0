//! What the engine's view knows of the served kinds.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use wavetank_model::{GroupKind, GroupVersionKind, kinds};

/// How a kind is reached over the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResource {
    /// Resource name, as in paths: `deployments`.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

/// A served kind in all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKind {
    /// Served versions, the preferred one first.
    pub versions: Vec<String>,
    /// Path and scope.
    pub resource: ApiResource,
}

/// The kinds that exist in the cluster as the view knows them; made anew when a CRD comes or goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(Arc<BTreeMap<GroupKind, KnownKind>>);

impl Kinds {
    /// The built-in kinds.
    pub fn builtin() -> Self {
        static BUILT_IN: LazyLock<Kinds> = LazyLock::new(Kinds::read);
        BUILT_IN.clone()
    }

    fn read() -> Self {
        let mut out = Self::default();
        for kind in kinds::KINDS {
            let versions = kind
                .versions
                .iter()
                .map(|&version| version.to_owned())
                .collect();
            let resource = ApiResource {
                plural: kind.plural.to_owned(),
                namespaced: kind.namespaced,
            };
            out.insert(kind.group_kind(), KnownKind { versions, resource });
        }
        out
    }

    /// Adds or replaces a kind.
    pub fn insert(&mut self, kind: GroupKind, known: KnownKind) {
        Arc::make_mut(&mut self.0).insert(kind, known);
    }

    /// Takes a kind out.
    pub fn remove(&mut self, kind: &GroupKind) {
        Arc::make_mut(&mut self.0).remove(kind);
    }

    /// The kind in any version.
    pub fn get(&self, kind: &GroupKind) -> Option<&KnownKind> {
        self.0.get(kind)
    }

    /// Path and scope of the kind in exactly this version.
    pub fn resource(&self, gvk: &GroupVersionKind) -> Option<&ApiResource> {
        let known = self.0.get(&gvk.group_kind())?;
        known
            .versions
            .contains(&gvk.version)
            .then_some(&known.resource)
    }

    /// Whether objects of the kind live in namespaces; `None` when the kind is not known.
    pub fn namespaced(&self, kind: &GroupKind) -> Option<bool> {
        Some(self.0.get(kind)?.resource.namespaced)
    }

    /// Whether some version of the group is served.
    pub fn has_group_version(&self, group: &str, version: &str) -> bool {
        self.0.iter().any(|(kind, known)| {
            kind.group == group && known.versions.iter().any(|known| known == version)
        })
    }
}
