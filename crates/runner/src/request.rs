//! What somebody asks for when they ask for a sync, and what they ask of an operation in progress.

use std::sync::Arc;

use jiff::SignedDuration;
use wavetank_json::Value;
use wavetank_model::{ObjectKey, Reference, Verb, argo};
use wavetank_scenario as scenario;
use wavetank_scenario::{App, SyncRequest};
use wavetank_sync::ignore::{IgnoredDifference, ResourceUpdates};
use wavetank_sync::operation::{Backoff, OperationState, RetryStrategy};
use wavetank_sync::options::{ManagedNamespaceMetadata, SyncStrategy};
use wavetank_sync::project::Project;
use wavetank_sync::{ResourceFilter, SyncOptions};

use crate::controller::OperationRecord;
use crate::shared::Shared;

/// The annotation that confirms prunes and deletions (SYNC-067).
pub(crate) const APPROVED: &str = "argocd.argoproj.io/deletion-approved";

/// The annotation that names the manager whose client-side fields are taken over (SYNC-096).
const MIGRATION_MANAGER: &str = "argocd.argoproj.io/client-side-apply-migration-manager";

impl Shared {
    /// Requests a sync; gives the number of the operation.
    ///
    /// # Errors
    /// Why it cannot be started, for the reader of the scenario.
    pub(crate) fn request_sync(&self, request: &SyncRequest) -> Result<u32, String> {
        let app = Arc::clone(&self.state().app);
        let options = self.options(&app, request)?;
        let now = self.cluster.epoch().wall(self.clock.now());
        let mut state = self.state();
        let retry = request
            .retry
            .as_ref()
            .or(state.app.sync_policy.retry.as_ref())
            .map_or_else(RetryStrategy::never, retry_strategy);
        if state.is_deleted() {
            return Err("the application was deleted".to_owned());
        }
        if state.deletion.is_some() {
            return Err("the application is being deleted".to_owned());
        }
        if state.is_busy() {
            return Err("another operation is already in progress".to_owned());
        }
        let commit = match &request.revision {
            None => state.desired.head().clone(),
            Some(name) => state
                .desired
                .find(name)
                .cloned()
                .ok_or_else(|| format!("there is no commit with the revision `{name}`"))?,
        };
        state.operations += 1;
        let number = state.operations;
        let operation = OperationState::start(retry, false, now);
        state.requested = Some(OperationRecord::new(
            number, operation, commit, app, options,
        ));
        drop(state);
        self.control.notify_one();
        Ok(number)
    }

    /// Asks the operation in progress to end (SYNC-137).
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn terminate(&self) -> Result<(), String> {
        let mut state = self.state();
        let operation = state
            .operation
            .as_mut()
            .filter(|operation| operation.in_progress());
        let Some(operation) = operation else {
            return Err("there is no operation in progress to terminate".to_owned());
        };
        operation.state.request_termination();
        let event = self.operation_event(operation, Some(Verb::Terminating), false);
        self.recorder.push(event);
        drop(state);
        self.control.notify_one();
        Ok(())
    }

    /// Confirms prunes and the deletion of the app, from now on (SYNC-067, SYNC-145).
    pub(crate) fn confirm(&self) {
        let now = self.cluster.epoch().time(self.clock.now());
        let mut state = self.state();
        Arc::make_mut(&mut state.app)
            .annotations
            .insert(APPROVED.to_owned(), now);
        state.edited = state.is_working();
        drop(state);
        self.control.notify_one();
    }

    /// Restarts the engine: the running pass is dropped, and every pass that is due comes at once.
    pub(crate) fn restart_engine(&self) {
        self.state().restarted = true;
        self.recorder.push(wavetank_trace::Event::EngineRestarted);
        self.restart.notify_one();
        self.control.notify_one();
    }

    fn options(&self, app: &App, request: &SyncRequest) -> Result<SyncOptions, String> {
        let mut options = sync_options(app, request);
        for reference in &request.resources {
            options.resources.extend(self.selected(reference)?);
        }
        Ok(options)
    }

    /// The objects a reference of a selective sync names: desired ones, and live ones that left the desired state.
    /// Clients resolve wildcards before they ask (SYNC-022).
    fn selected(&self, reference: &Reference) -> Result<Vec<ResourceFilter>, String> {
        let home = self.home();
        let desired: Vec<ObjectKey> = self.state().desired.head().keys.iter().cloned().collect();
        let live = self
            .view
            .snapshot(false)
            .into_iter()
            .filter_map(|object| ObjectKey::of(&object));
        let mut keys: Vec<ObjectKey> = desired
            .into_iter()
            .chain(live)
            .filter(|key| reference.matches(key, home))
            .collect();
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return Err(format!("there is no {reference} to sync"));
        }
        Ok(keys.into_iter().map(ResourceFilter::from).collect())
    }
}

/// The engine's options for a sync of `app` that somebody asks for, but for the objects it selects.
pub fn sync_options(app: &App, request: &SyncRequest) -> SyncOptions {
    let items = request
        .sync_options
        .as_ref()
        .unwrap_or(&app.sync_policy.sync_options);
    let mut options = app_options(app, items);
    options.prune = request.prune;
    options.dry_run = request.dry_run;
    options.force = request.force;
    options.strategy = match request.strategy {
        scenario::SyncStrategy::Hook => SyncStrategy::Hook,
        scenario::SyncStrategy::Apply => SyncStrategy::Apply,
    };
    options
}

/// What the app says of every sync and comparison, with the option list `items`.
pub(crate) fn app_options(app: &App, items: &[String]) -> SyncOptions {
    let mut options = SyncOptions::from_items(items);
    options.version = app.settings.version;
    follow(&mut options, app);
    options
}

/// Takes over what every pass reads from the app anew, though the option list of its operation stays (SYNC-131).
pub(crate) fn follow(options: &mut SyncOptions, app: &App) {
    // What cannot be read was refused before the run. Those of the installation come after the app's own.
    options.ignore_differences = ignored(app).unwrap_or_default();
    options
        .ignore_differences
        .extend(of_every_app(&app.settings));
    options.ignore_aggregated_roles = app.settings.customizations.ignores_aggregated_roles;
    options.managed_namespace = app
        .sync_policy
        .managed_namespace_metadata
        .as_ref()
        .map(managed_namespace);
    options.project = project(app).ok().flatten().map(Arc::new);
    let compared = app
        .annotations
        .get(argo::COMPARE_OPTIONS)
        .map(String::as_str);
    let policy = &app.sync_policy.sync_options;
    let applies_from_the_server = policy.iter().any(|item| item == "ServerSideApply=true");
    options.compare_as(compared.unwrap_or_default(), applies_from_the_server);
    if let Some(manager) = app.annotations.get(MIGRATION_MANAGER) {
        options.migration_manager.clone_from(manager);
    }
}

fn managed_namespace(metadata: &Value) -> ManagedNamespaceMetadata {
    let texts = |key: &str| {
        let map = metadata.get(key).and_then(Value::as_object);
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        map.into_iter().flatten().filter_map(text).collect()
    };
    ManagedNamespaceMetadata {
        labels: texts("labels"),
        annotations: texts("annotations"),
    }
}

fn ignored(app: &App) -> Result<Vec<IgnoredDifference>, String> {
    let entry = |entry: &Value| {
        wavetank_json::from_value::<IgnoredDifference>(entry.clone())
            .map_err(|error| format!("`ignoreDifferences` cannot be read: {error}"))
    };
    let entries: Vec<IgnoredDifference> = app
        .ignore_differences
        .iter()
        .map(entry)
        .collect::<Result<_, _>>()?;
    let of_every_app: Vec<IgnoredDifference> = of_every_app(&app.settings).collect();
    let mut all = entries.iter().chain(&of_every_app);
    match all.find_map(IgnoredDifference::unreadable) {
        Some(path) => Err(format!(
            "`ignoreDifferences`: the jq path `{path}` cannot be read"
        )),
        None => Ok(entries),
    }
}

/// The app's project. Where it does not say which destinations and cluster-scoped kinds are permitted, all are.
fn project(app: &App) -> Result<Option<Project>, String> {
    let Some(written) = &app.project else {
        return Ok(None);
    };
    let mut project: Project = wavetank_json::from_value(written.clone())
        .map_err(|error| format!("`project` cannot be read: {error}"))?;
    let all = Project::permissive();
    if project.name.is_empty() {
        project.name = all.name;
    }
    if written.get("destinations").is_none() {
        project.destinations = all.destinations;
    }
    if written.get("clusterResourceWhitelist").is_none() {
        project.cluster_resource_whitelist = all.cluster_resource_whitelist;
    }
    Ok(Some(project))
}

/// The differences that are ignored in every app.
fn of_every_app(settings: &scenario::AppSettings) -> impl Iterator<Item = IgnoredDifference> {
    let differences = settings.customizations.ignored_differences.iter();
    differences.map(|(kind, fields)| of_kind(kind, fields))
}

fn of_kind(kind: &str, fields: &scenario::IgnoredFields) -> IgnoredDifference {
    IgnoredDifference {
        json_pointers: fields.json_pointers.clone(),
        jq_path_expressions: fields.jq_path_expressions.clone(),
        managed_fields_managers: fields.managed_fields_managers.clone(),
        ..IgnoredDifference::of_kind(kind)
    }
}

/// Which changes of objects count.
pub(crate) fn resource_updates(
    settings: &scenario::AppSettings,
) -> Result<ResourceUpdates, String> {
    let customizations = &settings.customizations;
    let rules = customizations.ignored_updates.iter();
    let rules = rules.map(|(kind, fields)| (kind.clone(), of_kind(kind, fields)));
    let differences: Vec<IgnoredDifference> = of_every_app(settings)
        .filter(|_| customizations.ignores_differences_on_updates)
        .collect();
    ResourceUpdates::new(&rules.collect(), &differences)
}

/// What in the app cannot be carried out.
pub(crate) fn check(app: &App) -> Result<(), String> {
    ignored(app)?;
    resource_updates(&app.settings)?;
    project(app).map(drop)
}

pub(crate) fn retry_strategy(retry: &scenario::Retry) -> RetryStrategy {
    let text = |duration| {
        SignedDuration::try_from(duration).map_or_else(
            |_| "0".to_owned(),
            |duration| format!("{}ms", duration.as_millis()),
        )
    };
    let backoff = &retry.backoff;
    RetryStrategy {
        limit: retry.limit,
        refresh: retry.refresh,
        backoff: Some(Backoff {
            duration: Some(text(backoff.duration)),
            factor: Some(backoff.factor),
            max_duration: Some(text(backoff.max_duration)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_model::ArgoVersion;

    use super::*;

    fn app(project: Value) -> App {
        App {
            project: Some(project),
            ..App::default()
        }
    }

    /// SYNC-032: what a project does not speak of is permitted.
    #[test]
    fn a_project_permits_what_it_does_not_speak_of() {
        let version = ArgoVersion::default();
        let namespace = ObjectKey::new("", "Namespace", "", "x");
        let project = project(&app(
            json!({"destinations": [{"server": "*", "namespace": "a-*"}]}),
        ))
        .unwrap()
        .unwrap();
        assert_eq!(project.validate(&namespace, false, version), Ok(()));
        assert!(
            project.permits_namespace("a-b", version) && !project.permits_namespace("b", version)
        );
        let none = json!({"clusterResourceWhitelist": []});
        let project = super::project(&app(none)).unwrap().unwrap();
        assert!(project.validate(&namespace, false, version).is_err());
        assert!(project.permits_namespace("b", version));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let wrong = app(json!({"syncWindows": [{"kind": "perhaps"}]}));
        assert!(
            check(&wrong)
                .unwrap_err()
                .starts_with("`project` cannot be read")
        );
        let jq = App {
            ignore_differences: vec![json!({"kind": "A", "jqPathExpressions": [".spec["]})],
            ..App::default()
        };
        assert!(check(&jq).unwrap_err().contains("`.spec[` cannot be read"));
        let mut everywhere = App::default();
        let fields = scenario::IgnoredFields {
            jq_path_expressions: vec![".spec[".to_owned()],
            ..scenario::IgnoredFields::default()
        };
        let differences = &mut everywhere.settings.customizations.ignored_differences;
        differences.insert("apps/Deployment".to_owned(), fields);
        let said = check(&everywhere).unwrap_err();
        assert!(said.contains("`.spec[` cannot be read"), "{said}");
    }

    /// SYNC-149: what an installation ignores comes after what the app does.
    #[test]
    fn what_is_ignored_in_every_app_joins_the_app() {
        let mut app = App {
            ignore_differences: vec![json!({"kind": "A", "jsonPointers": ["/spec"]})],
            ..App::default()
        };
        let fields = scenario::IgnoredFields {
            managed_fields_managers: vec!["hpa".to_owned()],
            ..scenario::IgnoredFields::default()
        };
        let differences = &mut app.settings.customizations.ignored_differences;
        differences.insert("apps/Deployment".to_owned(), fields.clone());
        differences.insert("*/*".to_owned(), fields);
        let options = app_options(&app, &[]);
        let ignored = options.ignore_differences.iter();
        let kinds: Vec<String> = ignored
            .map(|one| format!("{}/{}", one.group, one.kind))
            .collect();
        assert_eq!(kinds, ["/A", "*/*", "apps/Deployment"]);
        assert_eq!(
            options.ignore_differences[2].managed_fields_managers,
            ["hpa"]
        );
    }

    /// SYNC-029: labels and annotations that are no texts are passed over.
    #[test]
    fn options_of_the_app_are_those_of_every_sync() {
        let app = App {
            sync_policy: scenario::SyncPolicy {
                sync_options: vec!["CreateNamespace=true".to_owned()],
                managed_namespace_metadata: Some(json!({"labels": {"a": "b", "n": 1}})),
                ..scenario::SyncPolicy::default()
            },
            ignore_differences: vec![json!({"kind": "A", "jsonPointers": ["/spec"]})],
            ..App::default()
        };
        let options = sync_options(&app, &SyncRequest::default());
        let labels = options.managed_namespace.unwrap().labels;
        assert_eq!(
            labels.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "b".to_owned())]
        );
        assert_eq!(options.ignore_differences[0].json_pointers, ["/spec"]);
    }
}
