//! What the controller finds out about the application itself: comparison, health, conditions, and what follows.
//!
//! The app is compared when somebody asks (`refresh`), `passes.batch` after a change of one of its objects, after each
//! operation that is no dry run, after changes of the app that call for it, when a self-heal's wait is over, and every
//! `resyncPeriod`. A change of an object brings a comparison with the revision that was compared last, everything else
//! one with the newest. All that only where the scenario speaks of the app, its auto-sync or its deletion: elsewhere
//! nothing depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wavetank_health::{AppHealth, HealthStatus, Pair, application};
use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::{ArgoVersion, ObjectKey, Verb};
use wavetank_scenario::{App, BoundAction, Scenario, StepAction};
use wavetank_sync::engine::APPS_NAMESPACE;
use wavetank_sync::message::shared_resource;
use wavetank_sync::operation::auto_sync::{
    AutoSync, AutomatedPolicy, AutomaticOperation, Decision, SelfHealBackoff, decide,
};
use wavetank_sync::operation::{OperationState, RetryStrategy};
use wavetank_sync::project::{IN_CLUSTER, WindowVerdict, can_sync};
use wavetank_sync::{AppIdentity, Comparison, SyncCode, SyncOptions, compare};
use wavetank_trace::{self as trace, AppResource, Event};

use crate::answers::KnownAnswers;
use crate::controller::{Controller, OperationRecord};
use crate::desired::Revision;
use crate::request::{app_options, retry_strategy};
use crate::shared::{AppState, Shared};

/// From a write to the app to the controller's notice of it: watch delivery (1 ms) and reaction (10 ms).
pub(crate) const OWN_WRITE: Duration = Duration::from_millis(11);

/// Conditions of an app, as the trace has them.
const SYNC_ERROR: &str = "SyncError";
pub(crate) const INVALID_SPEC: &str = "InvalidSpecError";
const DELETION_ERROR: &str = "DeletionError";

/// How late the watches of a real cluster may be.
const LATE: Duration = Duration::from_secs(1);

/// Message of the condition `InvalidSpecError` when the project does not permit the destination.
pub(crate) fn invalid_destination(app: &AppIdentity, options: &SyncOptions) -> Option<String> {
    let project = options.project.as_deref()?;
    (!project.permits_namespace(&app.namespace, options.version)).then(|| {
        format!(
            "application destination server '{IN_CLUSTER}' and namespace '{}' do not match any of the allowed destinations in project '{}'",
            app.namespace, project.name
        )
    })
}

/// Whether anything of this scenario depends on what is known of the app.
pub(crate) fn matters(scenario: &Scenario) -> bool {
    let of_step = |action: &StepAction| {
        matches!(
            action,
            StepAction::App(_) | StepAction::Refresh | StepAction::DeleteApp { .. }
        )
    };
    let of_bound = |bound: &BoundAction| bound.actions.iter().any(of_step);
    scenario.names_app
        || scenario.app.sync_policy.automated.is_some()
        || scenario.expect.app.is_some()
        || scenario.on.iter().any(of_bound)
        || scenario.steps.iter().any(|step| {
            of_step(&step.action)
                || step.on.iter().any(of_bound)
                || step
                    .expect
                    .as_ref()
                    .is_some_and(|expect| expect.app.is_some())
        })
}

/// When the app is compared again, and how often it was.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Refreshes {
    /// Whether it is compared at all.
    pub(crate) wanted: bool,
    /// When a change of an object makes it due, with the revision that was compared last: this is work, as the next two.
    recent: Option<SimTime>,
    /// When something else does, with the newest revision.
    latest: Option<SimTime>,
    /// When the wait before a self-heal is over, with the newest revision; any comparison decides anew.
    heal: Option<SimTime>,
    /// The revision that was compared last.
    pub(crate) compared: Option<Revision>,
    /// When the newest revision was compared last, or the start of the run: resyncs count from then.
    last: SimTime,
    /// How often it was compared.
    pub(crate) count: u64,
    /// The last operation ended and no comparison has seen its end.
    pub(crate) after_operation: bool,
    /// Somebody asks for it: nothing that is known already counts.
    pub(crate) requested: bool,
    /// A comparison is being made.
    pub(crate) running: bool,
}

impl Refreshes {
    /// Makes a comparison with the newest revision due at `at`, or keeps an earlier one.
    pub(crate) fn bring(&mut self, at: SimTime) {
        self.latest = self.earlier(self.latest, at);
    }

    /// Makes a comparison with the revision that was compared last due at `at`, or keeps an earlier one.
    pub(crate) fn bring_recent(&mut self, at: SimTime) {
        self.recent = self.earlier(self.recent, at);
    }

    /// Whether a comparison with the revision that was compared last could become due.
    pub(crate) fn lacks_recent(&self) -> bool {
        self.wanted && self.recent.is_none()
    }

    fn earlier(&self, due: Option<SimTime>, at: SimTime) -> Option<SimTime> {
        if !self.wanted {
            return due;
        }
        Some(due.map_or(at, |due| due.min(at)))
    }

    /// When the next comparison is due that something makes due.
    pub(crate) fn due(&self) -> Option<SimTime> {
        let due = [self.recent, self.latest, self.heal];
        due.into_iter().flatten().min()
    }

    /// When the next comparison is due, resyncs included.
    pub(crate) fn next(&self, resync: Duration) -> Option<SimTime> {
        [self.due(), self.resync(resync)]
            .into_iter()
            .flatten()
            .min()
    }

    fn resync(&self, period: Duration) -> Option<SimTime> {
        (self.wanted && !period.is_zero()).then(|| self.last + period)
    }

    /// A comparison was made.
    fn close(&mut self) {
        self.running = false;
        self.count += 1;
        self.after_operation = false;
    }

    /// Takes up what is due; gives the revision to compare with, `None` for the newest.
    fn open(&mut self, now: SimTime, resync: Duration) -> Option<Revision> {
        let is_due = |at: SimTime| at <= now;
        let heals = self.heal.take().is_some_and(is_due);
        let is_latest =
            heals || self.latest.is_some_and(is_due) || self.resync(resync).is_some_and(is_due);
        self.recent = None;
        if is_latest || self.compared.is_none() {
            self.latest = None;
            self.last = now;
            return None;
        }
        self.compared.clone()
    }
}

impl Shared {
    /// Somebody asks for a comparison; gives the number of the one that answers.
    ///
    /// # Errors
    /// When the app is gone.
    pub(crate) fn request_refresh(&self) -> Result<u64, String> {
        let mut state = self.state();
        if state.is_deleted() {
            return Err("the application was deleted".to_owned());
        }
        state.refreshes.bring(self.clock.now());
        state.refreshes.requested = true;
        // The one that is being made began before.
        let number = state.refreshes.count + 1 + u64::from(state.refreshes.running);
        drop(state);
        self.control.notify_one();
        Ok(number)
    }

    /// Changes the app itself, as somebody who edits the Application. That brings a pass of what is in progress, but not
    /// always a comparison: the next one finds it.
    ///
    /// # Errors
    /// What is wrong with the patch.
    pub(crate) fn patch_app(&self, merge: &Value) -> Result<(), String> {
        let mut state = self.state();
        let patched = state
            .app
            .patched(merge)
            .map_err(|error| format!("cannot patch the application: {error}"))?;
        crate::request::check(&patched)?;
        let last = state.operation.as_ref();
        let brings = state.refreshes.compared.is_none()
            || calls_for_comparison(&state.app, &patched)
            || metadata_changed(
                last,
                &app_options(&patched, &patched.sync_policy.sync_options),
            );
        state.app = Arc::new(App {
            annotations: state.app.annotations.clone(),
            ..patched
        });
        state.edited = state.is_working();
        if brings {
            state.refreshes.bring(self.clock.now() + OWN_WRITE);
        }
        drop(state);
        self.control.notify_one();
        Ok(())
    }

    /// Waits until the view has seen what was committed. In virtual time it has by now; the watches of a real cluster that
    /// is busy may come later than the comparison, which would find missing what was just made.
    async fn catch_up(&self) {
        if self.is_virtual() || self.faults.bends_deliveries() {
            return;
        }
        let end = self.clock.now() + LATE;
        while self.view.lags() && self.clock.now() < end {
            self.clock.sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stores what is known of the app; changes go into the trace, and the events they are.
    pub(crate) fn store_status(&self, state: &mut AppState, status: trace::AppState) {
        if state.status == status {
            return;
        }
        let before = std::mem::replace(&mut state.status, status);
        let now = &state.status;
        self.recorder.push(Event::AppState(Box::new(now.clone())));
        for (condition, message) in &now.conditions {
            if before.conditions.get(condition) != Some(message) {
                let text = format!("app {condition}: {message}");
                self.recorder.push(Event::Note { text });
            }
        }
        for (old, new) in [(&before.sync, &now.sync), (&before.health, &now.health)] {
            if let Some(verb) = verb_of(new).filter(|_| old != new) {
                self.recorder.push(Event::App {
                    verb,
                    message: String::new(),
                });
            }
        }
    }
}

fn verb_of(word: &str) -> Option<Verb> {
    Some(match word {
        "Synced" => Verb::Synced,
        "OutOfSync" => Verb::OutOfSync,
        "Healthy" => Verb::Healthy,
        "Progressing" => Verb::Progressing,
        "Degraded" => Verb::Degraded,
        "Suspended" => Verb::Suspended,
        "Missing" => Verb::Missing,
        "Unknown" => Verb::Unknown,
        _ => return None,
    })
}

/// What a comparison of the app looks at.
struct Opened {
    revision: Revision,
    options: SyncOptions,
    live: Vec<Arc<Value>>,
    /// What the server need not be asked again.
    known: Option<KnownAnswers>,
}

impl Controller {
    /// Compares the app with what the view shows, and starts what auto-sync decides (SYNC-126, SYNC-148, SYNC-150).
    pub(crate) async fn refresh(&mut self) {
        self.shared.catch_up().await;
        let Opened {
            revision,
            options,
            live,
            known,
        } = self.open_refresh();
        if let Some(message) = invalid_destination(&self.identity, &options) {
            return self.refuse_refresh(message);
        }
        let kinds = self.kinds();
        let asked = self
            .ask_server(&revision, &live, &kinds, &options, known)
            .await;
        let wall = self.shared.cluster.epoch().wall(self.shared.clock.now());
        let mut guard = self.shared.state();
        let state = &mut *guard;
        state.refreshes.close();
        let answers = asked
            .as_ref()
            .map(KnownAnswers::answers)
            .unwrap_or_default();
        let mut found = compare(
            &revision.manifests,
            &live,
            &self.identity,
            &kinds,
            &options,
            &answers,
        );
        if metadata_changed(state.operation.as_ref(), &options) {
            found.status = SyncCode::OutOfSync;
        }
        let mut conditions = BTreeMap::new();
        match asked {
            Ok(said) => state.known_answers = said,
            Err(error) => {
                found = found.unknown();
                conditions.insert("ComparisonError".to_owned(), error);
            }
        }
        if let Some(error) = deletion_error(state) {
            conditions.insert(DELETION_ERROR.to_owned(), error);
        }
        let app = &self.identity.name;
        if let Some(message) = shared_resource(&found.shared, app) {
            conditions.insert("SharedResourceWarning".to_owned(), message);
        }
        let repeated = found.warnings.iter().filter(|warning| warning.repeated);
        if let Some(message) = repeated.map(|warning| warning.text.clone()).min() {
            conditions.insert("RepeatedResourceWarning".to_owned(), message);
        }
        let error = if self.is_held(&options, wall) {
            // Nobody decides, and what was decided before stays.
            state.status.conditions.get(SYNC_ERROR).cloned()
        } else {
            self.auto_sync(state, &found, &revision, &options, wall)
        };
        if let Some(error) = error {
            conditions.insert(SYNC_ERROR.to_owned(), error);
        }
        let objects = found.resources.iter();
        let objects = objects.map(|resource| (!resource.requires_pruning, resource.live.clone()));
        let copies = found.copies.iter().map(|copy| (false, Some(copy.clone())));
        let objects: Vec<_> = objects.chain(copies).collect();
        let health = self.health_of(&objects);
        if let Some(error) = &health.error {
            let message = health_error(error);
            conditions
                .entry("ComparisonError".to_owned())
                .or_insert(message);
        }
        let mut status = status(&found, health, &revision, conditions, state.history);
        if options.version < ArgoVersion::V3_6 {
            status.health_message.clear();
        }
        self.shared.store_status(state, status);
        drop(guard);
        self.shared.changed.notify_waiters();
    }

    /// Ends a comparison that the project does not permit: nothing is compared, and of what is known only the status of
    /// the app changes (SYNC-131).
    fn refuse_refresh(&self, message: String) {
        let mut state = self.shared.state();
        state.refreshes.close();
        let mut status = state.status.clone();
        word(SyncCode::Unknown).clone_into(&mut status.sync);
        HealthStatus::Unknown
            .as_str()
            .clone_into(&mut status.health);
        status.conditions.insert(INVALID_SPEC.to_owned(), message);
        if let Some(error) = deletion_error(&state) {
            status.conditions.insert(DELETION_ERROR.to_owned(), error);
        }
        self.shared.store_status(&mut state, status);
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Takes up a comparison: what is compared with what.
    fn open_refresh(&self) -> Opened {
        let now = self.shared.clock.now();
        let mut guard = self.shared.state();
        let state = &mut *guard;
        // Before 3.6 the operation was looked at after each comparison (SYNC-129); that of a resync is the backstop.
        if state.refreshes.due().is_some()
            && state.app.settings.pass_rules() < ArgoVersion::V3_6
            && state.is_working()
        {
            state.batch_due = Some(now);
        }
        let resync = state.app.settings.resync_period;
        let revision = state
            .refreshes
            .open(now, resync)
            .unwrap_or_else(|| state.desired.head().clone());
        state.refreshes.compared = Some(revision.clone());
        state.refreshes.running = true;
        let asked_for = std::mem::take(&mut state.refreshes.requested);
        let app = Arc::clone(&state.app);
        let options = app_options(&app, &app.sync_policy.sync_options);
        let whole = options.read_managed_fields(&revision.manifests);
        Opened {
            live: self.shared.view.snapshot(whole),
            known: (!asked_for).then(|| state.known_answers.clone()),
            revision,
            options,
        }
    }

    /// Health of the app and of its objects (SYNC-126): whether each is desired, and the live one.
    pub(crate) fn health_of(&self, objects: &[(bool, Option<Arc<Value>>)]) -> AppHealth {
        // Aggregation only asks whether something is desired: hooks and skipped objects are not among them.
        let desired = Value::Null;
        let pairs: Vec<Pair<'_>> = objects
            .iter()
            .map(|(is_desired, live)| Pair {
                target: is_desired.then_some(&desired),
                live: live.as_deref(),
            })
            .collect();
        let name = &self.identity.name;
        let key = ObjectKey::new("argoproj.io", "Application", APPS_NAMESPACE, name);
        application(self.shared.recorder.assessor(), &key, &pairs)
    }

    /// Whether a sync window keeps auto-sync from deciding (SYNC-140).
    fn is_held(&self, options: &SyncOptions, wall: Timestamp) -> bool {
        let windows = options
            .project
            .as_deref()
            .map_or(&[][..], |project| &project.sync_windows);
        let AppIdentity {
            name, namespace, ..
        } = &self.identity;
        can_sync(windows, name, namespace, false, wall, None) != WindowVerdict::Allowed
    }

    /// Decides (SYNC-150); gives the message of the condition `SyncError`.
    fn auto_sync(
        &self,
        state: &mut AppState,
        found: &Comparison,
        revision: &Revision,
        options: &SyncOptions,
        wall: Timestamp,
    ) -> Option<String> {
        let app = Arc::clone(&state.app);
        let policy = app.sync_policy.automated?;
        let retry = app.sync_policy.retry.as_ref().map(retry_strategy);
        let decision = decide(&AutoSync {
            policy: Some(AutomatedPolicy {
                enabled: policy.enabled,
                prune: policy.prune,
                self_heal: policy.self_heal,
                allow_empty: policy.allow_empty,
            }),
            comparison: found,
            revision: &revision.name,
            same_sources: true,
            last: state.operation.as_ref().map(|operation| &operation.state),
            requested: state.requested.is_some(),
            deleting: state.deletion.is_some(),
            backoff: backoff(&app),
            retry: retry.as_ref(),
            now: wall,
        });
        match decision {
            Decision::Nothing(_) => None,
            Decision::SyncError(message) => Some(message),
            Decision::Later(at) => {
                let soon = self.shared.clock.now() + Duration::from_millis(1);
                state.refreshes.heal = Some(self.shared.cluster.epoch().sim(at).max(soon));
                None
            }
            Decision::Start(operation) => {
                let due = self.shared.clock.now() + OWN_WRITE;
                let started = self.shared.cluster.epoch().wall(due);
                let mut operation =
                    automatic(state, operation, revision.clone(), options.clone(), started);
                operation.due = due;
                state.requested = Some(operation);
                None
            }
        }
    }
}

fn deletion_error(state: &AppState) -> Option<String> {
    state.deletion.as_ref()?.error.clone()
}

/// Message of the condition `ComparisonError` where the health of an object cannot be told.
pub(crate) fn health_error(error: &str) -> String {
    format!("error setting app health: {error}")
}

fn status(
    found: &Comparison,
    health: AppHealth,
    revision: &Revision,
    conditions: BTreeMap<String, String>,
    history: u32,
) -> trace::AppState {
    let health_message = health.message();
    let resources = found.resources.iter().zip(health.resources);
    let resources = resources.map(|(resource, health)| AppResource {
        key: resource.key.clone(),
        sync: word(resource.status).to_owned(),
        health: health
            .and_then(|health| health.status)
            .map(|status| status.as_str().to_owned()),
    });
    let unpermitted = found.unpermitted.iter().map(|key| AppResource {
        key: key.clone(),
        sync: word(SyncCode::Unknown).to_owned(),
        health: None,
    });
    let resources = resources.chain(unpermitted);
    trace::AppState {
        sync: word(found.status).to_owned(),
        health: health.status.as_str().to_owned(),
        health_message,
        revision: revision.name.clone(),
        resources: resources.collect(),
        conditions,
        history,
    }
}

/// Whether the controller compares an app because of this change (SYNC-129): other differences are ignored, or auto-sync or
/// self-heal is switched on.
fn calls_for_comparison(old: &App, new: &App) -> bool {
    let on = |app: &App| app.sync_policy.automated.filter(|policy| policy.enabled);
    let heals = |app: &App| on(app).is_some_and(|policy| policy.self_heal);
    old.ignore_differences != new.ignore_differences
        || (on(old).is_none() && on(new).is_some())
        || (!heals(old) && heals(new))
}

/// Whether the managed metadata of the namespace differs from what the last operation had (SYNC-104, SYNC-148).
fn metadata_changed(last: Option<&OperationRecord>, options: &SyncOptions) -> bool {
    options.managed_namespace.is_some()
        && last.is_some_and(|last| last.options.managed_namespace != options.managed_namespace)
}

/// The record of an operation that auto-sync starts.
fn automatic(
    state: &mut AppState,
    automatic: AutomaticOperation,
    revision: Revision,
    mut options: SyncOptions,
    wall: Timestamp,
) -> OperationRecord {
    options.prune = automatic.prune;
    options.resources = automatic.resources;
    let retry: RetryStrategy = automatic.retry;
    let mut operation = OperationState::start(retry, true, wall);
    operation.self_heal_attempts = automatic.self_heal_attempts;
    state.operations += 1;
    let number = state.operations;
    OperationRecord::new(number, operation, revision, Arc::clone(&state.app), options)
}

fn backoff(app: &App) -> SelfHealBackoff {
    let heal = &app.settings.self_heal_backoff;
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    SelfHealBackoff {
        duration: signed(heal.duration),
        factor: i32::try_from(heal.factor).unwrap_or(i32::MAX),
        cap: signed(heal.max_duration),
    }
}

const fn word(status: SyncCode) -> &'static str {
    match status {
        SyncCode::Synced => "Synced",
        SyncCode::OutOfSync => "OutOfSync",
        SyncCode::Unknown => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use crate::desired::Desired;

    use super::*;

    const RESYNC: Duration = Duration::from_millis(120);

    fn at(millis: u64) -> SimTime {
        SimTime::from_millis(millis)
    }

    fn revision() -> Revision {
        Desired::new("demo".to_owned(), Some("r1".to_owned()), Vec::new())
            .head()
            .clone()
    }

    #[test]
    fn the_earliest_reason_to_compare_counts() {
        let mut refreshes = Refreshes::default();
        refreshes.bring(at(5));
        assert_eq!(refreshes.next(RESYNC), None, "nothing depends on it");
        refreshes.wanted = true;
        assert_eq!(refreshes.next(RESYNC), Some(at(120)));
        assert_eq!(refreshes.next(Duration::ZERO), None);
        refreshes.bring(at(50));
        refreshes.bring_recent(at(70));
        refreshes.bring(at(60));
        assert_eq!(refreshes.next(RESYNC), Some(at(50)));
    }

    /// A change of an object brings no newer revision, and does not put a resync off.
    #[test]
    fn only_some_comparisons_look_for_a_newer_revision() {
        let mut refreshes = Refreshes {
            wanted: true,
            ..Refreshes::default()
        };
        refreshes.bring_recent(at(10));
        assert!(refreshes.open(at(10), RESYNC).is_none(), "the first one");
        refreshes.compared = Some(revision());
        refreshes.bring_recent(at(20));
        refreshes.bring(at(40));
        assert!(refreshes.open(at(20), RESYNC).is_some());
        assert_eq!(refreshes.due(), Some(at(40)));
        assert!(refreshes.open(at(40), RESYNC).is_none());
        refreshes.bring_recent(at(50));
        assert!(refreshes.open(at(50), RESYNC).is_some());
        assert_eq!(refreshes.next(RESYNC), Some(at(160)));
        assert!(refreshes.open(at(160), RESYNC).is_none());
    }
}
