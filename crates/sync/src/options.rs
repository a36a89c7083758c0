//! Options of one operation (SYNC-003, SYNC-006).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::{ArgoVersion, ObjectKey, Propagation, argo};

use crate::engine::AppIdentity;
use crate::ignore::{self, IgnoredDifference};
use crate::project::Project;

/// Field manager of everything the engine applies.
pub const FIELD_MANAGER: &str = "argocd-controller";
/// Manager whose fields a migration to server-side apply takes over (SYNC-096).
pub const MIGRATION_MANAGER: &str = "kubectl-client-side-apply";

/// One entry of an operation's resource list (SYNC-022).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceFilter {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; empty fits any.
    pub namespace: String,
}

impl From<ObjectKey> for ResourceFilter {
    fn from(key: ObjectKey) -> Self {
        Self {
            group: key.group,
            kind: key.kind,
            name: key.name,
            namespace: key.namespace,
        }
    }
}

impl ResourceFilter {
    /// Whether `key` is meant.
    pub fn matches(&self, key: &ObjectKey) -> bool {
        self.name == key.name
            && self.kind == key.kind
            && self.group == key.group
            && (self.namespace.is_empty() || self.namespace == key.namespace)
    }
}

/// `managedNamespaceMetadata` of a sync policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedNamespaceMetadata {
    /// Labels of the namespace.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the namespace.
    pub annotations: BTreeMap<String, String>,
}

impl ManagedNamespaceMetadata {
    /// Puts it into the metadata of a namespace, which is then applied by the server (SYNC-029).
    pub(crate) fn put_into(&self, namespace: &mut Value) {
        let mut annotations = self.annotations.clone();
        let option = "ServerSideApply=true".to_owned();
        annotations.insert(argo::SYNC_OPTIONS.to_owned(), option);
        let meta = crate::target::metadata(namespace);
        if !self.labels.is_empty() {
            meta.insert("labels".to_owned(), json!(self.labels));
        }
        meta.insert("annotations".to_owned(), json!(annotations));
    }
}

/// Which hooks run (SYNC-023).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncStrategy {
    /// Hooks run; also when no strategy is given.
    #[default]
    Hook,
    /// No hooks.
    Apply,
}

/// All options of a pass (SYNC-003).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "Argo CD's options are independent switches"
)]
pub struct SyncOptions {
    /// Nothing is written.
    pub dry_run: bool,
    /// Objects that left the desired state are deleted.
    pub prune: bool,
    /// Applies may delete and re-create (strategy `force`).
    pub force: bool,
    /// Which hooks run.
    pub strategy: SyncStrategy,
    /// kubectl's schema check (SYNC-097).
    pub validate: bool,
    /// `Replace=true` for every object.
    pub replace: bool,
    /// `ServerSideApply=true` for every object.
    pub server_side_apply: bool,
    /// Field manager of applies.
    pub manager: String,
    /// Client-side apply's fields are taken over before a server-side apply (SYNC-096).
    pub migrate: bool,
    /// The manager they are taken from.
    pub migration_manager: String,
    /// Every prune goes last (SYNC-036).
    pub prune_last: bool,
    /// Policy of prunes and hook deletions.
    pub propagation: Propagation,
    /// App-level `Prune=` value (SYNC-066).
    pub default_prune: Option<String>,
    /// App-level `Delete=` value (SYNC-145).
    pub default_delete: Option<String>,
    /// A missing API is no error before the wet run (SYNC-033).
    pub skip_dry_run_on_missing_resource: bool,
    /// Objects that are in sync are left out (SYNC-058).
    pub apply_out_of_sync_only: bool,
    /// The destination namespace is made (SYNC-028).
    pub create_namespace: bool,
    /// What the made namespace looks like (SYNC-029).
    pub managed_namespace: Option<ManagedNamespaceMetadata>,
    /// A shared resource fails the operation (SYNC-102).
    pub fail_on_shared_resource: bool,
    /// Ignored differences keep their live value (SYNC-103).
    pub respect_ignore_differences: bool,
    /// Differences that do not count (SYNC-149), and keep their live value with `respect_ignore_differences`.
    pub ignore_differences: Vec<IgnoredDifference>,
    /// Whether comparisons pass over the rules of aggregated roles (SYNC-149).
    pub ignore_aggregated_roles: bool,
    /// Objects are compared by dry runs of the server (SYNC-149).
    pub server_side_diff: bool,
    /// What webhooks of the server add is a difference then, too.
    pub include_mutation_webhook: bool,
    /// What the project permits; everything when there is none (SYNC-032).
    pub project: Option<Arc<Project>>,
    /// Only these objects take part; empty for all (SYNC-022).
    pub resources: Vec<ResourceFilter>,
    /// The version of Argo CD whose rules are followed (SYNC-227).
    pub version: ArgoVersion,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            prune: false,
            force: false,
            strategy: SyncStrategy::Hook,
            validate: true,
            replace: false,
            server_side_apply: false,
            manager: FIELD_MANAGER.to_owned(),
            migrate: true,
            migration_manager: MIGRATION_MANAGER.to_owned(),
            prune_last: false,
            propagation: Propagation::Foreground,
            default_prune: None,
            default_delete: None,
            skip_dry_run_on_missing_resource: false,
            apply_out_of_sync_only: false,
            create_namespace: false,
            managed_namespace: None,
            fail_on_shared_resource: false,
            respect_ignore_differences: false,
            ignore_differences: Vec::new(),
            ignore_aggregated_roles: false,
            server_side_diff: false,
            include_mutation_webhook: false,
            project: None,
            resources: Vec::new(),
            version: ArgoVersion::default(),
        }
    }
}

impl SyncOptions {
    /// Takes over how the app is compared: by the compare options of the app itself (`items`) and, since 3.6, by whether
    /// its sync policy says `ServerSideApply=true` (SYNC-149).
    pub fn compare_as(&mut self, items: &str, applies_from_the_server: bool) {
        let items = argo::items(items);
        let has = |item: &str| items.contains(&item);
        let implied = applies_from_the_server && self.version >= ArgoVersion::V3_6;
        self.server_side_diff =
            !has("ServerSideDiff=false") && (implied || has("ServerSideDiff=true"));
        self.include_mutation_webhook = has("IncludeMutationWebhook=true");
    }

    /// What is ignored of a desired object: by the app, and since 3.6 by an annotation of its own (SYNC-103, SYNC-149).
    pub fn ignored(&self, target: &Value) -> Cow<'_, [IgnoredDifference]> {
        let by_app = self.ignore_differences.as_slice();
        let own = (self.version >= ArgoVersion::V3_6)
            .then(|| ignore::of_annotation(target))
            .flatten();
        match own {
            Some(own) => Cow::Owned(by_app.iter().cloned().chain([own]).collect()),
            None => Cow::Borrowed(by_app),
        }
    }

    /// Whether a sync or a comparison of these desired objects looks at `managedFields` of live ones: the migration to
    /// server-side apply and its merge do (SYNC-096), and differences that are ignored by manager.
    pub fn read_managed_fields(&self, targets: &[Arc<Value>]) -> bool {
        let ignores = |ignored: &IgnoredDifference| !ignored.managed_fields_managers.is_empty();
        let applies = |target: &Arc<Value>| argo::has_option(target, "ServerSideApply=true");
        self.server_side_apply
            || self.server_side_diff
            || self.ignore_differences.iter().any(ignores)
            || targets.iter().any(applies)
    }

    /// Whether it is the namespace of the app, and its metadata are managed (SYNC-104).
    pub(crate) fn manages_namespace(&self, key: &ObjectKey, app: &AppIdentity) -> bool {
        self.managed_namespace.is_some()
            && (key.group.as_str(), key.kind.as_str()) == ("", "Namespace")
            && key.name == app.namespace
    }

    /// Reads an operation's option list; items are compared exactly, without trimming (SYNC-006).
    pub fn from_items<T: AsRef<str>>(items: &[T]) -> Self {
        let has = |option: &str| items.iter().any(|item| item.as_ref() == option);
        let value = |name: &str| {
            let rest = |item: &str| {
                item.strip_prefix(name)?
                    .strip_prefix('=')
                    .map(str::to_owned)
            };
            items.iter().find_map(|item| rest(item.as_ref()))
        };
        Self {
            validate: !has("Validate=false"),
            replace: has("Replace=true"),
            server_side_apply: has("ServerSideApply=true"),
            migrate: !has("ClientSideApplyMigration=false"),
            prune_last: has("PruneLast=true"),
            propagation: if has("PrunePropagationPolicy=background") {
                Propagation::Background
            } else if has("PrunePropagationPolicy=foreground") {
                Propagation::Foreground
            } else if has("PrunePropagationPolicy=orphan") {
                Propagation::Orphan
            } else {
                Propagation::Foreground
            },
            default_prune: value("Prune"),
            default_delete: value("Delete"),
            skip_dry_run_on_missing_resource: has("SkipDryRunOnMissingResource=true"),
            apply_out_of_sync_only: has("ApplyOutOfSyncOnly=true"),
            create_namespace: has("CreateNamespace=true"),
            fail_on_shared_resource: has("FailOnSharedResource=true"),
            respect_ignore_differences: has("RespectIgnoreDifferences=true"),
            ..Self::default()
        }
    }

    /// Whether no hook takes part: strategy `apply`, or a selective sync (SYNC-023).
    pub fn skip_hooks(&self) -> bool {
        self.strategy == SyncStrategy::Apply || !self.resources.is_empty()
    }

    /// Whether the object takes part in a selective sync (SYNC-022).
    pub fn selects(&self, key: &ObjectKey) -> bool {
        self.resources.is_empty() || self.resources.iter().any(|entry| entry.matches(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-006: no trimming, no splitting, unknown items ignored, background before orphan.
    #[test]
    fn operation_options_are_compared_exactly() {
        let options = SyncOptions::from_items(&[
            " PruneLast=true",
            "Replace=true,Validate=false",
            "Force=true",
            "ServerSideApply=false",
            "PrunePropagationPolicy=orphan",
            "PrunePropagationPolicy=background",
            "Prune=confirm",
            "Prune=false",
        ]);
        let expected = SyncOptions {
            propagation: Propagation::Background,
            default_prune: Some("confirm".to_owned()),
            ..SyncOptions::default()
        };
        assert_eq!(options, expected);
    }

    /// SYNC-006, U-159: an option is there or not; repeating it changes nothing.
    #[test]
    fn an_option_is_there_or_not() {
        let none: [&str; 0] = [];
        assert_eq!(SyncOptions::from_items(&none), SyncOptions::default());
        assert!(SyncOptions::from_items(&["PruneLast=true", "PruneLast=true"]).prune_last);
        assert!(!SyncOptions::from_items(&["a=1"]).prune_last);
    }

    /// SYNC-022, U-224, U-230: group, kind and name must be equal; an entry without namespace fits every namespace.
    #[test]
    fn an_entry_without_namespace_fits_every_namespace() {
        let entry = |namespace: &str| ResourceFilter {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            namespace: namespace.to_owned(),
        };
        let key =
            |namespace: &str, name: &str| ObjectKey::new("apps", "Deployment", namespace, name);
        assert!(entry("").matches(&key("a", "web")) && entry("").matches(&key("b", "web")));
        assert!(entry("a").matches(&key("a", "web")) && !entry("a").matches(&key("b", "web")));
        assert!(!entry("").matches(&key("a", "other")));
        assert!(!entry("").matches(&ObjectKey::new("", "Deployment", "a", "web")));
        let mut options = SyncOptions::default();
        assert!(
            options.selects(&key("a", "web")),
            "no list selects everything"
        );
        options.resources.push(ResourceFilter {
            name: "hello".to_owned(),
            ..ResourceFilter::default()
        });
        assert!(!options.selects(&key("a", "web")));
    }

    /// SYNC-023, U-160: the apply strategy and a resource list both switch hooks off.
    #[test]
    fn a_selective_sync_skips_hooks() {
        let mut options = SyncOptions::default();
        assert!(!options.skip_hooks());
        options.strategy = SyncStrategy::Apply;
        assert!(options.skip_hooks());
        options.strategy = SyncStrategy::Hook;
        options.resources.push(ResourceFilter::default());
        assert!(options.skip_hooks());
    }
}
