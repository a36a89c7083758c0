//! What the parts of a run share: steps, controller, bound actions, view.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use wavetank_cluster::{Capability, Cluster};
use wavetank_kernel::{Clock, SimTime};
use wavetank_model::kinds::is_definition;
use wavetank_model::{ArgoVersion, ObjectKey};
use wavetank_scenario::{App, Scenario};
use wavetank_sync::AppIdentity;
use wavetank_sync::ignore::ResourceUpdates;

use crate::answers::KnownAnswers;
use crate::application::Refreshes;
use crate::controller::{OperationRecord, identity, is_in_tree, is_itself, is_managed};
use crate::deletion::Deletion;
use crate::desired::Desired;
use crate::fault::Faults;
use crate::recorder::{Place, Recorder, WatchId};
use crate::request::resource_updates;
use crate::view::View;

/// The application as it stands.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one application"
)]
pub(crate) struct AppState {
    /// The application as it is configured now.
    pub(crate) app: Arc<App>,
    /// Its desired state.
    pub(crate) desired: Desired,
    /// A sync somebody asked for that the controller has not taken up yet.
    pub(crate) requested: Option<OperationRecord>,
    /// The last operation.
    pub(crate) operation: Option<OperationRecord>,
    /// How many operations were requested.
    pub(crate) operations: u32,
    /// What is known of it.
    pub(crate) status: wavetank_trace::AppState,
    /// Length of its history (SYNC-141).
    pub(crate) history: u32,
    /// When it is compared.
    pub(crate) refreshes: Refreshes,
    /// What the server was asked when it was.
    pub(crate) known_answers: KnownAnswers,
    /// Its deletion.
    pub(crate) deletion: Option<Deletion>,
    /// The app was edited, by a confirmation for one, and no pass of what is in progress has seen that yet.
    pub(crate) edited: bool,
    /// The engine was restarted and has not looked yet.
    pub(crate) restarted: bool,
    /// When the change of a managed object makes the engine look again.
    pub(crate) batch_due: Option<SimTime>,
    /// Whether a pass is running.
    pub(crate) in_pass: bool,
    /// Whether the last pass was a backstop, or later, and changed nothing.
    pub(crate) rested: bool,
    /// CRDs the view has seen Established, by name.
    pub(crate) custom_kinds: BTreeMap<String, CustomKind>,
    /// Rises with every change of `custom_kinds`.
    pub(crate) custom_generation: usize,
    /// Whether kinds of CRDs that become Established are to be watched.
    pub(crate) watches_custom_kinds: bool,
}

/// What a CRD serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CustomKind {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
    pub(crate) versions: Vec<String>,
}

/// Shared by all parts of a run.
pub(crate) struct Shared {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) view: Arc<View>,
    pub(crate) faults: Arc<Faults>,
    /// The application as the engine sees it.
    identity: AppIdentity,
    /// Which changes of objects count; `None`: all.
    updates: Option<ResourceUpdates>,
    /// Woken when something that a step may wait for changed.
    pub(crate) changed: Arc<Notify>,
    /// Woken when the controller has to look.
    pub(crate) control: Notify,
    /// Woken when the engine is restarted: a running pass is dropped.
    pub(crate) restart: Notify,
    state: Mutex<AppState>,
}

/// What a step waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// A watched event.
    Event(WatchId),
    /// The end of an operation, and the comparison that follows it.
    OperationEnds(u32),
    /// That comparison of the app, or a later one.
    Refreshed(u64),
    /// Nothing more happens; with bound actions that are still to fire, or without.
    Quiet {
        /// Whether a delayed action counts as something that will happen.
        actions: bool,
    },
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It came.
    Done,
    /// It cannot come any more: nothing will happen.
    Quiet,
    /// It did not come in time.
    TimedOut,
    /// The run is to be given up.
    GivenUp(String),
}

impl Shared {
    pub(crate) fn new(
        scenario: Arc<Scenario>,
        cluster: Arc<dyn Cluster>,
        recorder: Arc<Recorder>,
        changed: Arc<Notify>,
        desired: Desired,
    ) -> Self {
        let state = AppState {
            app: Arc::new(scenario.app.clone()),
            desired,
            status: wavetank_trace::AppState::default(),
            history: 0,
            refreshes: Refreshes::default(),
            known_answers: KnownAnswers::default(),
            deletion: None,
            edited: false,
            restarted: false,
            requested: None,
            operation: None,
            operations: 0,
            batch_due: None,
            in_pass: false,
            rested: false,
            custom_kinds: BTreeMap::new(),
            custom_generation: 0,
            watches_custom_kinds: false,
        };
        let (clock, view) = (cluster.clock(), Arc::new(View::default()));
        let faults = Faults::new(
            &scenario,
            Arc::clone(&clock),
            Arc::clone(&recorder),
            Arc::clone(&view),
            Arc::clone(&changed),
        );
        let settings = &scenario.app.settings;
        // What cannot be read was refused before the run.
        let updates = settings
            .customizations
            .ignores_resource_updates
            .then(|| resource_updates(settings).ok())
            .flatten();
        Self {
            identity: identity(&scenario.app),
            updates,
            scenario,
            clock,
            cluster,
            recorder,
            view,
            faults: Arc::new(faults),
            changed,
            control: Notify::new(),
            restart: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// The state; not to be held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, AppState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The destination namespace.
    pub(crate) fn home(&self) -> &str {
        &self.scenario.app.namespace
    }

    /// The view has seen a change of an object, which it had seen as `old`. Gives the kind that is to be watched from
    /// now on.
    pub(crate) fn seen(
        &self,
        key: &ObjectKey,
        old: Option<&wavetank_json::Value>,
        object: &wavetank_json::Value,
    ) -> Option<CustomKind> {
        let mut state = self.state();
        let is_crd = is_definition(&key.group, &key.kind);
        let kind = if is_crd { state.note_crd(object) } else { None };
        let versions = || old.into_iter().chain([object]);
        let managed = versions().any(|version| is_managed(&self.identity, version));
        let in_tree = |version| is_in_tree(&self.identity, &self.view, key, version);
        let counts = managed
            || (state.app.settings.pass_rules() < ArgoVersion::V3_6 && versions().any(in_tree));
        if !counts || is_itself(&self.identity, key) {
            return kind;
        }
        state.rested = false;
        let brings_refresh = managed && !state.is_deleted() && state.refreshes.lacks_recent();
        let brings_pass = state.is_working() && state.batch_due.is_none();
        if !(brings_refresh || brings_pass)
            || old.is_some_and(|old| self.is_passed_over(old, object))
        {
            return kind;
        }
        let at = self.clock.now() + state.app.settings.batch();
        let refresh = state.refreshes.due();
        if managed && !state.is_deleted() {
            state.refreshes.bring_recent(at);
        }
        let batched = state.is_working() && state.batch_due.is_none();
        if batched {
            state.batch_due = Some(at);
        }
        let news = batched || state.refreshes.due() != refresh;
        drop(state);
        if news {
            self.control.notify_one();
        }
        kind
    }

    /// Whether a change brings neither a comparison nor a pass: nothing that counts differs, nor the status of its health
    /// (SYNC-129).
    fn is_passed_over(&self, old: &wavetank_json::Value, new: &wavetank_json::Value) -> bool {
        let Some(updates) = &self.updates else {
            return false;
        };
        let assessor = self.recorder.assessor();
        let health = |object| match assessor.assess(object) {
            Ok(health) => health.map(|health| health.status),
            Err(failure) => Some(failure.health.status),
        };
        updates.passes_over(self.identity.tracking, old, new) && health(old) == health(new)
    }

    /// Whether nothing will happen any more unless somebody acts.
    fn is_quiet(&self, actions: bool) -> bool {
        let state = self.state();
        let resting = match &state.operation {
            // What was in progress went with the app.
            _ if state.is_deleted() => true,
            Some(operation) if operation.in_progress() => state.rested && !operation.awaits_retry(),
            _ => state.rested || !state.is_working(),
        };
        resting
            && !state.in_pass
            && !state.refreshes.running
            && state.requested.is_none()
            && !state.edited
            && !state.restarted
            && (state.refreshes.due().is_none() || state.is_deleted())
            && (state.batch_due.is_none() || !state.is_working())
            && (!actions || self.recorder.pending_waiters() == 0)
            && self.cluster.next_work().is_none()
            && !self.faults.is_pending(state.is_busy(), state.is_working())
    }

    fn is_done(&self, until: Until) -> bool {
        match until {
            Until::Event(id) => self.recorder.came(id),
            Until::OperationEnds(number) => {
                let state = self.state();
                let over = |operation: &OperationRecord| {
                    operation.number > number
                        || (operation.number == number && !operation.in_progress())
                };
                state.operation.as_ref().is_some_and(over) && !state.refreshes.after_operation
            }
            Until::Refreshed(number) => self.state().refreshes.count >= number,
            Until::Quiet { .. } => false,
        }
    }

    /// Waits until something comes, nothing can come any more, `deadline` passes, or the run has to be given up.
    pub(crate) async fn wait(&self, until: Until, deadline: Option<SimTime>) -> Waited {
        let limit = self.limit();
        let end = deadline.unwrap_or(SimTime::MAX).min(limit);
        let actions = !matches!(until, Until::Quiet { actions: false });
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_done(until) {
                return Waited::Done;
            }
            if let Some(reason) = self.given_up(limit) {
                return Waited::GivenUp(reason);
            }
            if self.is_quiet(actions) && self.stays_quiet(actions).await {
                // Something may have come while everybody else finished.
                return if self.is_done(until) {
                    Waited::Done
                } else {
                    Waited::Quiet
                };
            }
            if self.clock.now() >= end {
                return Waited::TimedOut;
            }
            tokio::select! {
                biased;
                () = notified => {}
                () = self.clock.sleep_until(end) => {}
            }
        }
    }

    /// Time moves only when every task rests: after the shortest sleep, what looked quiet is quiet or was not.
    async fn stays_quiet(&self, actions: bool) -> bool {
        let before = self.recorder.last();
        self.clock.sleep(Duration::from_millis(1)).await;
        self.recorder.last() == before && self.is_quiet(actions)
    }

    /// Lets time pass until `end`, whatever happens; ends early only when the run is to be given up.
    pub(crate) async fn pass_time(&self, end: SimTime) -> Waited {
        let limit = self.limit();
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(reason) = self.given_up(limit) {
                return Waited::GivenUp(reason);
            }
            if self.clock.now() >= end {
                return Waited::TimedOut;
            }
            tokio::select! {
                biased;
                () = notified => {}
                () = self.clock.sleep_until(end.min(limit)) => {}
            }
        }
    }

    /// Whether time is virtual.
    pub(crate) fn is_virtual(&self) -> bool {
        let capabilities = self.cluster.capabilities();
        capabilities.contains(&Capability::VirtualTime)
    }

    /// When the run is given up. Where waiting takes real time, the limit of real time counts as well.
    fn limit(&self) -> SimTime {
        let limits = &self.scenario.limits;
        let longest = if self.is_virtual() {
            limits.time
        } else {
            limits.time.min(limits.wall)
        };
        SimTime::ZERO + longest
    }

    /// Why the run has to be given up now.
    fn given_up(&self, limit: SimTime) -> Option<String> {
        if let Some(reason) = self.recorder.runaway() {
            return Some(reason);
        }
        (self.clock.now() >= limit).then(|| {
            let limit = limit.elapsed();
            let shorter = limit < self.scenario.limits.time;
            let key = if shorter { "wall" } else { "time" };
            format!(
                "the limit of {} of the run's time was reached (`limits.{key}`)",
                Pretty(limit)
            )
        })
    }

    /// Whether the app is gone.
    pub(crate) fn is_app_deleted(&self) -> bool {
        self.state().is_deleted()
    }

    /// Whether an operation is in progress.
    pub(crate) fn operation_is_running(&self) -> bool {
        let state = self.state();
        state.is_busy() && !state.is_deleted()
    }

    /// Why the run is stuck: what waits for what.
    pub(crate) fn why_stuck(&self) -> String {
        let state = self.state();
        let message = state
            .operation
            .as_ref()
            .map(|operation| operation.state.message.clone())
            .unwrap_or_default();
        let mut text = format!(
            "stuck at {}: the operation is Running, nothing more happens",
            self.clock.now()
        );
        if !message.is_empty() {
            text = format!("{text}; it says: {message}");
        }
        text
    }

    /// Waits for an event that is noticed already, and notices it no more; gives where it came.
    pub(crate) async fn wait_for_watched(
        &self,
        id: WatchId,
        deadline: Option<SimTime>,
    ) -> (Waited, Option<Place>) {
        let waited = self.wait(Until::Event(id), deadline).await;
        (waited, self.recorder.unwatch(id))
    }
}

impl AppState {
    /// Whether the app is gone.
    pub(crate) fn is_deleted(&self) -> bool {
        self.deletion
            .as_ref()
            .is_some_and(|deletion| !deletion.in_progress())
    }

    /// Whether an operation or a deletion is in progress, so that passes come.
    pub(crate) fn is_working(&self) -> bool {
        if self.is_deleted() {
            return false;
        }
        self.operation
            .as_ref()
            .is_some_and(OperationRecord::in_progress)
            || self.deletion.as_ref().is_some_and(Deletion::in_progress)
    }

    /// Gives the kind when it is new and kinds are watched already.
    fn note_crd(&mut self, crd: &wavetank_json::Value) -> Option<CustomKind> {
        let name = wavetank_model::object::name(crd).to_owned();
        self.custom_generation += 1;
        match CustomKind::of(crd) {
            Some(kind) if is_established(crd) && !wavetank_model::object::is_terminating(crd) => {
                let known = self.custom_kinds.insert(name, kind.clone());
                (known.as_ref() != Some(&kind) && self.watches_custom_kinds).then_some(kind)
            }
            _ => {
                self.custom_kinds.remove(&name);
                None
            }
        }
    }
}

impl CustomKind {
    /// What `crd` declares; `None` when it lacks the names.
    pub(crate) fn of(crd: &wavetank_json::Value) -> Option<Self> {
        let spec = crd.get("spec")?;
        let names = spec.get("names")?;
        let text = |value: Option<&wavetank_json::Value>| {
            value
                .and_then(wavetank_json::Value::as_str)
                .map(str::to_owned)
        };
        let versions = spec.get("versions")?.as_array()?;
        Some(Self {
            group: text(spec.get("group"))?,
            kind: text(names.get("kind"))?,
            plural: text(names.get("plural"))?,
            namespaced: text(spec.get("scope"))? == "Namespaced",
            versions: versions
                .iter()
                .filter(|version| {
                    version
                        .get("served")
                        .and_then(wavetank_json::Value::as_bool)
                        != Some(false)
                })
                .filter_map(|version| text(version.get("name")))
                .collect(),
        })
    }
}

pub(crate) fn is_established(crd: &wavetank_json::Value) -> bool {
    crd.pointer("/status/conditions")
        .and_then(wavetank_json::Value::as_array)
        .is_some_and(|conditions| {
            conditions.iter().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            })
        })
}

/// A duration for people: `1h`, `90s`, `250ms`.
pub(crate) struct Pretty(pub(crate) Duration);

impl std::fmt::Display for Pretty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        if millis != 0 && millis.is_multiple_of(3_600_000) {
            write!(f, "{}h", millis / 3_600_000)
        } else if millis != 0 && millis.is_multiple_of(60_000) {
            write!(f, "{}m", millis / 60_000)
        } else if millis.is_multiple_of(1000) {
            write!(f, "{}s", millis / 1000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}
