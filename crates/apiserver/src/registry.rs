//! Which resources are served: the built-in ones and those of `CustomResourceDefinition`s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use indexmap::{Equivalent, IndexMap};
use wavetank_model::defaults::{self, Defaults};
use wavetank_model::key::{GroupKind, GroupVersionKind};
use wavetank_model::kinds::{self, Kind};
use wavetank_model::patch::apply::FieldSet;
use wavetank_model::schema::{self, SchemaRef};

use crate::custom::CustomVersion;
use crate::kinds::{Strategy, strategy};
use crate::scale::ScalePaths;

/// Numbers the tables of the store; a kind that goes away leaves its number unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableId(pub(crate) usize);

/// One served version of a resource.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "apiVersion is Kubernetes' own noun"
)]
pub(crate) struct Version {
    /// As `v1`.
    pub(crate) name: String,
    /// `apps/v1`.
    pub(crate) api_version: String,
    /// Their type.
    pub(crate) objects: VersionType,
}

/// What is known of the objects of a version.
#[derive(Clone, Debug)]
pub(crate) enum VersionType {
    /// The type of a built-in kind, looked up when it is first needed.
    BuiltIn(OnceLock<Option<SchemaRef<'static>>>),
    /// The schema of a custom kind.
    Custom(Arc<CustomVersion>),
}

/// Where a resource comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A built-in kind.
    BuiltIn,
    /// A `CustomResourceDefinition`; in discovery once it is established.
    Custom {
        /// Whether discovery shows it.
        discoverable: bool,
    },
}

/// How a kind treats its objects.
#[derive(Clone, Copy)]
pub(crate) struct Behaviour(&'static dyn Strategy);

impl Behaviour {
    /// The behaviour that a strategy says.
    pub(crate) const fn new(strategy: &'static dyn Strategy) -> Self {
        Self(strategy)
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Behaviour")
    }
}

impl Deref for Behaviour {
    type Target = dyn Strategy;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

/// One resource.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) table: TableId,
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) group_kind: GroupKind,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    /// Verbs by letter, as in [`Kind::verbs`].
    pub(crate) verbs: String,
    /// Subresources with their verbs.
    pub(crate) subresources: Vec<(String, String)>,
    /// Served versions, the preferred one first.
    pub(crate) versions: Vec<Version>,
    /// `apiVersion` in which objects are stored.
    pub(crate) storage: String,
    /// Whether some may still be stored in an `apiVersion` that was `storage` before.
    pub(crate) mixed: bool,
    pub(crate) origin: Origin,
    pub(crate) strategy: Behaviour,
    /// What a built-in kind fills in, looked up here once for all writes.
    pub(crate) defaults: Defaults,
    pub(crate) resets: Resets,
}

/// Fields that are owned by nobody through an endpoint, computed when they are first needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resets {
    pub(crate) main: OnceLock<FieldSet>,
    pub(crate) status: OnceLock<FieldSet>,
}

impl Resource {
    fn built_in(kind: &'static Kind, table: TableId) -> Self {
        let version = |name: &&str| Version {
            name: (*name).to_owned(),
            api_version: if kind.group.is_empty() {
                (*name).to_owned()
            } else {
                format!("{}/{name}", kind.group)
            },
            objects: VersionType::BuiltIn(OnceLock::new()),
        };
        Self {
            table,
            group: kind.group.to_owned(),
            plural: kind.plural.to_owned(),
            singular: kind.singular.to_owned(),
            short_names: kind.short_names.iter().map(ToString::to_string).collect(),
            categories: kind.categories.iter().map(ToString::to_string).collect(),
            group_kind: kind.group_kind(),
            list_kind: format!("{}List", kind.kind),
            namespaced: kind.namespaced,
            verbs: kind.verbs.to_owned(),
            subresources: kind
                .subresources
                .iter()
                .map(|(name, verbs)| ((*name).to_owned(), (*verbs).to_owned()))
                .collect(),
            versions: kind.versions.iter().map(version).collect(),
            storage: kind.api_version(),
            mixed: false,
            origin: Origin::BuiltIn,
            strategy: Behaviour(strategy(&kind.group_kind())),
            defaults: defaults::of(kind.group, kind.kind),
            resets: Resets::default(),
        }
    }

    /// Whether objects of that `apiVersion` are sent as they are stored.
    pub(crate) fn is_as_stored(&self, api_version: &str) -> bool {
        api_version == self.storage && !self.mixed
    }

    /// `deployments.apps`, `pods` (GR).
    pub(crate) fn group_resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Kind.
    pub(crate) fn kind(&self) -> &str {
        &self.group_kind.kind
    }

    /// Whether it comes from a `CustomResourceDefinition`.
    pub(crate) fn is_custom(&self) -> bool {
        matches!(self.origin, Origin::Custom { .. })
    }

    /// Whether it has the verb with that letter.
    pub(crate) fn has_verb(&self, letter: char) -> bool {
        self.verbs.contains(letter)
    }

    /// The verbs of a subresource, if there is one.
    pub(crate) fn subresource(&self, name: &str) -> Option<&str> {
        self.subresources
            .iter()
            .find(|(subresource, _)| subresource == name)
            .map(|(_, verbs)| verbs.as_str())
    }

    /// The subresources of a version, by name.
    pub(crate) fn served_subresources(
        &self,
        version: &Version,
    ) -> impl Iterator<Item = (&str, &str)> {
        let served = |name: &str| match &version.objects {
            VersionType::BuiltIn(_) => true,
            VersionType::Custom(custom) => {
                if name == "scale" {
                    custom.scale.is_some()
                } else {
                    custom.has_status
                }
            }
        };
        let mut rows: Vec<(&str, &str)> = self
            .subresources
            .iter()
            .filter(|(name, _)| served(name))
            .map(|(name, verbs)| (name.as_str(), verbs.as_str()))
            .collect();
        rows.sort_unstable();
        if self.is_custom() {
            // Discovery names status before scale there.
            rows.reverse();
        }
        rows.into_iter()
    }

    /// Where its Scale is found.
    pub(crate) fn scale_paths(&self) -> ScalePaths {
        let custom = self
            .custom_version(&self.storage)
            .and_then(|version| version.scale.clone());
        custom.unwrap_or_default()
    }

    /// The served version of that name.
    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// What is known of the version called `api_version`.
    pub(crate) fn version_type(&self, api_version: &str) -> Option<&VersionType> {
        self.versions
            .iter()
            .find(|version| version.api_version == api_version)
            .map(|version| &version.objects)
    }

    /// The custom version called `api_version`.
    pub(crate) fn custom_version(&self, api_version: &str) -> Option<&Arc<CustomVersion>> {
        match self.version_type(api_version)? {
            VersionType::Custom(version) => Some(version),
            VersionType::BuiltIn(_) => None,
        }
    }

    /// The type of objects in the version called `api_version`; `None` when there is none.
    pub(crate) fn schema(&self, api_version: &str) -> Option<SchemaRef<'_>> {
        let look_up = || schema::builtin(&GroupVersionKind::new(api_version, self.kind()));
        match self.version_type(api_version) {
            Some(VersionType::BuiltIn(found)) => *found.get_or_init(look_up),
            Some(VersionType::Custom(version)) => Some(version.schema()),
            // The other group of a kind that is served in two.
            None => look_up(),
        }
    }

    /// Whether discovery shows it.
    pub(crate) fn is_discoverable(&self) -> bool {
        !matches!(
            self.origin,
            Origin::Custom {
                discoverable: false
            }
        )
    }

    /// The key in the table, in the order of a real server's storage (API-188).
    pub(crate) fn storage_key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced {
            [namespace, "/", name].concat()
        } else {
            name.to_owned()
        }
    }
}

/// The group in which core events are served a second time.
pub(crate) const EVENTS_GROUP: &str = "events.k8s.io";

/// All resources.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    /// Discovery documents by path, kept until a resource changes.
    documents: Arc<Mutex<BTreeMap<String, Bytes>>>,
    resources: Vec<Option<Arc<Resource>>>,
    index: Arc<Index>,
}

/// Where the resources are; servers share it until one of them learns another resource.
#[derive(Clone, Debug, Default)]
struct Index {
    by_plural: BTreeMap<String, BTreeMap<String, TableId>>,
    /// Looked into several times for each write.
    by_kind: IndexMap<GroupKind, TableId>,
}

/// A [`GroupKind`] of texts that are elsewhere.
#[derive(Hash)]
struct KindRef<'a> {
    group: &'a str,
    kind: &'a str,
}

impl Equivalent<GroupKind> for KindRef<'_> {
    fn equivalent(&self, known: &GroupKind) -> bool {
        self.kind == known.kind && self.group == known.group
    }
}

impl Registry {
    /// The built-in resources: read once, shared by all servers of the process.
    pub(crate) fn new() -> Self {
        static BUILT_IN: OnceLock<Registry> = OnceLock::new();
        BUILT_IN.get_or_init(Self::built_in).clone()
    }

    fn built_in() -> Self {
        let mut registry = Self {
            documents: Arc::default(),
            resources: Vec::new(),
            index: Arc::default(),
        };
        for kind in kinds::KINDS {
            let table = TableId(registry.resources.len());
            registry.insert(Resource::built_in(kind, table));
        }
        registry.share_events();
        registry
    }

    /// Events of both groups are one kind of object (API-067): paths of the other group lead to the core kind.
    fn share_events(&mut self) {
        let index = Arc::make_mut(&mut self.index);
        if let Some(table) = index.by_kind.get(&GroupKind::new("", "Event")).copied() {
            index
                .by_kind
                .insert(GroupKind::new(EVENTS_GROUP, "Event"), table);
            index
                .by_plural
                .entry(EVENTS_GROUP.to_owned())
                .or_default()
                .insert("events".to_owned(), table);
        }
    }

    /// The number the next resource gets.
    pub(crate) fn next_table(&self) -> TableId {
        TableId(self.resources.len())
    }

    /// Adds a resource, or replaces the one with its number.
    pub(crate) fn insert(&mut self, resource: Resource) {
        let table = resource.table;
        self.documents = Arc::default();
        let index = Arc::make_mut(&mut self.index);
        index
            .by_plural
            .entry(resource.group.clone())
            .or_default()
            .insert(resource.plural.clone(), table);
        index.by_kind.insert(resource.group_kind.clone(), table);
        if table.0 >= self.resources.len() {
            self.resources.resize(table.0 + 1, None);
        }
        self.resources[table.0] = Some(Arc::new(resource));
    }

    /// Takes a resource out.
    pub(crate) fn remove(&mut self, table: TableId) {
        let Some(resource) = self.resources.get_mut(table.0).and_then(Option::take) else {
            return;
        };
        self.documents = Arc::default();
        let index = Arc::make_mut(&mut self.index);
        index.by_kind.swap_remove(&resource.group_kind);
        if let Some(plurals) = index.by_plural.get_mut(&resource.group) {
            plurals.remove(&resource.plural);
            if plurals.is_empty() {
                index.by_plural.remove(&resource.group);
            }
        }
    }

    /// The discovery document at `path`, which `make` made of these resources; every server that has them shares it.
    pub(crate) fn document(
        &self,
        path: &str,
        make: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        let mut documents = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = documents.get(path) {
            return Some(known.clone());
        }
        let document = make()?;
        documents.insert(path.to_owned(), document.clone());
        Some(document)
    }

    /// The resource of a path.
    pub(crate) fn by_plural(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.table(*self.index.by_plural.get(group)?.get(plural)?)
    }

    /// The resource of a kind.
    pub(crate) fn by_kind(&self, group: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.table(*self.index.by_kind.get(&KindRef { group, kind })?)
    }

    /// The resource with that number.
    pub(crate) fn table(&self, table: TableId) -> Option<&Arc<Resource>> {
        self.resources.get(table.0)?.as_ref()
    }

    /// All resources, built-in ones first, in the order of discovery.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter().flatten()
    }

    /// Every served group and version.
    pub(crate) fn group_versions(&self) -> BTreeSet<(String, String)> {
        self.iter()
            .flat_map(|resource| {
                resource
                    .versions
                    .iter()
                    .map(|version| (resource.group.clone(), version.name.clone()))
            })
            .collect()
    }

    /// Whether some resource of the group is served in that version.
    pub(crate) fn has_group_version(&self, group: &str, version: &str) -> bool {
        self.index.by_plural.get(group).is_some_and(|plurals| {
            plurals
                .values()
                .filter_map(|table| self.table(*table))
                .any(|resource| resource.version(version).is_some())
        })
    }

    /// Whether all resources of the group are custom ones.
    pub(crate) fn is_custom_group(&self, group: &str) -> bool {
        self.index.by_plural.get(group).is_some_and(|plurals| {
            plurals
                .values()
                .filter_map(|table| self.table(*table))
                .all(|resource| resource.is_custom())
        })
    }
}
