//! The application controller of a run: takes up operations, schedules passes, stores what they leave.
//!
//! A pass starts when an operation arrives or a retry is due, as soon as the controller sees its own write of the stored state,
//! `passes.batch` after the first change of a managed object that the view has seen, and `passes.backstop` after the
//! last pass (SYNC-129). The same for every engine.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use jiff::SignedDuration;
use serde_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::{GroupKind, ObjectKey, Verb, argo, object};
use wavetank_scenario::{App, Scenario};
use wavetank_sync::kinds::KnownKind;
use wavetank_sync::operation::{Act, Due, Finished, OperationState, is_confirmed};
use wavetank_sync::project::{WindowVerdict, can_sync};
use wavetank_sync::{
    ApiResource, AppIdentity, Kinds, StepEngine, StepInput, StepOutput, SyncOptions,
    TrackingMethod, compare,
};
use wavetank_trace::{DesiredObject, Event, OperationEvent};

use crate::application::{OWN_WRITE, invalid_destination, shared_warning};
use crate::asks::RunAsks;
use crate::desired::{Desired, Revision, pattern_key};
use crate::request::APPROVED;
use crate::seam::Seam;
use crate::shared::{AppState, Shared};
use crate::stored;

/// One operation of the run.
#[derive(Clone, Debug)]
pub(crate) struct OperationRecord {
    /// Number in the run, from 1.
    pub(crate) number: u32,
    /// What is stored of it.
    pub(crate) state: OperationState,
    /// The commit of this attempt.
    pub(crate) commit: Revision,
    /// What the engine is told.
    pub(crate) options: Arc<SyncOptions>,
    /// The revision somebody asked for: retries that refresh keep it.
    pinned: bool,
    /// The last pass was held back by a sync window (SYNC-140).
    blocked: bool,
    /// When the controller has seen that it is requested.
    pub(crate) due: SimTime,
    passes: u32,
    /// When the controller has seen its own write of the stored state: the next pass starts then.
    stored_due: Option<SimTime>,
    last_pass: SimTime,
}

impl OperationRecord {
    pub(crate) fn new(
        number: u32,
        state: OperationState,
        commit: Revision,
        options: SyncOptions,
        pinned: bool,
    ) -> Self {
        let options = Arc::new(options);
        Self {
            number,
            state,
            commit,
            options,
            pinned,
            blocked: false,
            due: SimTime::ZERO,
            passes: 0,
            stored_due: None,
            last_pass: SimTime::ZERO,
        }
    }

    /// Whether it is not over.
    pub(crate) fn in_progress(&self) -> bool {
        !self.state.over()
    }

    /// Whether a retry is still to come.
    pub(crate) fn awaits_retry(&self) -> bool {
        self.state.awaits_retry()
    }
}

/// Why a pass starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Operation,
    Terminate,
    Confirmation,
    Restart,
    Retry,
    Stored,
    Batch,
    Backstop,
}

impl Cause {
    /// As the trace has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Terminate => "terminate",
            Self::Confirmation => "confirmation",
            Self::Restart => "restart",
            Self::Retry => "retry",
            Self::Stored => "stored",
            Self::Batch => "batch",
            Self::Backstop => "backstop",
        }
    }
}

/// What the controller does next.
enum Next {
    Pass(Cause),
    Refresh,
    Delete(Cause),
    Wait(Option<SimTime>),
}

/// What the next pass depends on beside the state.
struct Times {
    now: SimTime,
    timeout: SignedDuration,
    backstop: Duration,
}

impl Times {
    fn of(app: &App, now: SimTime) -> Self {
        let settings = &app.settings;
        Self {
            now,
            timeout: SignedDuration::try_from(settings.sync_timeout)
                .unwrap_or(SignedDuration::ZERO),
            backstop: settings.passes.backstop,
        }
    }
}

/// The application as the engine sees it.
pub fn identity(app: &App) -> AppIdentity {
    AppIdentity {
        name: app.name.clone(),
        namespace: app.namespace.clone(),
        tracking: TrackingMethod::parse(&app.settings.resource_tracking_method).unwrap_or_default(),
    }
}

/// Drives one engine through the operations of a run.
pub(crate) struct Controller {
    pub(crate) shared: Arc<Shared>,
    engine: Box<dyn StepEngine>,
    pub(crate) asks: RunAsks,
    pub(crate) identity: AppIdentity,
    kinds: Option<(usize, Arc<Kinds>)>,
}

impl Controller {
    pub(crate) fn new(shared: Arc<Shared>, seam: &Seam, engine: Box<dyn StepEngine>) -> Self {
        let identity = identity(&shared.scenario.app);
        let asks = RunAsks::new(&shared, seam);
        Self {
            shared,
            engine,
            asks,
            identity,
            kinds: None,
        }
    }

    /// Serves operations. Ends only when the engine is lost; tells why through `lost` and then waits for ever.
    pub(crate) async fn serve(mut self, lost: oneshot::Sender<String>) {
        let shared = Arc::clone(&self.shared);
        loop {
            match self.next() {
                Next::Pass(cause) => {
                    // A restart drops the pass where it stands: what it sent stays sent, what it learned is lost.
                    let passed = tokio::select! {
                        biased;
                        () = shared.restart.notified() => None,
                        passed = self.pass(cause) => Some(passed),
                    };
                    match passed {
                        None => shared.state().in_pass = false,
                        Some(Ok(())) => {}
                        Some(Err(error)) => {
                            // Nobody listens when the run is over anyway.
                            drop(lost.send(error.to_string()));
                            return std::future::pending().await;
                        }
                    }
                }
                Next::Refresh => self.refresh(),
                Next::Delete(cause) => {
                    let dropped = tokio::select! {
                        biased;
                        () = shared.restart.notified() => true,
                        () = self.deletion_pass(cause) => false,
                    };
                    if dropped {
                        shared.state().in_pass = false;
                    }
                }
                Next::Wait(None) => shared.control.notified().await,
                Next::Wait(Some(at)) => tokio::select! {
                    biased;
                    () = shared.control.notified() => {}
                    () = shared.clock.sleep_until(at) => {}
                },
            }
        }
    }

    fn next(&self) -> Next {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let requested = state.requested.as_ref().map(|operation| operation.due);
        if requested.is_some_and(|due| due <= now) {
            state.operation = state.requested.take();
            return Next::Pass(Cause::Operation);
        }
        if state.is_deleted() {
            state.confirmed = false;
            state.restarted = false;
            return Next::Wait(None);
        }
        let refresh = state.refreshes.next(state.app.settings.resync_period);
        if refresh.is_some_and(|at| at <= now) {
            return Next::Refresh;
        }
        let confirmed = std::mem::take(&mut state.confirmed);
        let restarted = std::mem::take(&mut state.restarted);
        if restarted {
            // Nothing is left of a restart that no pass was there to notice.
            self.shared.restart.notified().now_or_never();
        }
        let running = state
            .operation
            .as_ref()
            .filter(|operation| operation.in_progress());
        let next = match (running, &state.deletion) {
            (Some(operation), _) => {
                let times = Times::of(&state.app, now);
                self.next_pass(operation, state.batch_due, confirmed, restarted, &times)
            }
            // A deletion works only when no operation is in progress (SYNC-144).
            (None, Some(_)) if restarted => Next::Delete(Cause::Restart),
            (None, Some(_)) if confirmed => Next::Delete(Cause::Confirmation),
            (None, Some(deletion)) => {
                let (at, cause) = deletion.next(state.app.settings.passes.backstop);
                match state.batch_due {
                    Some(batch) if batch < at && batch <= now => Next::Delete(Cause::Batch),
                    _ if at <= now => Next::Delete(cause),
                    batch => Next::Wait(Some(batch.map_or(at, |batch| batch.min(at)))),
                }
            }
            (None, None) => Next::Wait(None),
        };
        match next {
            Next::Wait(at) => Next::Wait([at, refresh, requested].into_iter().flatten().min()),
            next => next,
        }
    }

    /// What is next for the operation in progress.
    fn next_pass(
        &self,
        operation: &OperationRecord,
        batch_due: Option<SimTime>,
        confirmed: bool,
        restarted: bool,
        times: &Times,
    ) -> Next {
        let now = times.now;
        let epoch = self.shared.cluster.epoch();
        let due = match operation.state.due(epoch.wall(now), times.timeout) {
            Due::Over => return Next::Wait(None),
            // Termination does not help where a sync window holds the operation (SYNC-140).
            Due::Pass if operation.blocked => None,
            Due::Pass if operation.awaits_retry() => return Next::Pass(Cause::Retry),
            Due::Pass => return Next::Pass(Cause::Terminate),
            // The wall clock of the epoch may hold parts of a millisecond that the run's clock does not.
            Due::At(at) => Some(epoch.sim(at).max(now + Duration::from_millis(1))),
            Due::Idle => None,
        };
        if operation.awaits_retry() {
            return Next::Wait(due);
        }
        if restarted {
            return Next::Pass(Cause::Restart);
        }
        if confirmed {
            return Next::Pass(Cause::Confirmation);
        }
        if let Some(at) = operation.stored_due {
            return if at <= now {
                Next::Pass(Cause::Stored)
            } else {
                Next::Wait(Some(at))
            };
        }
        if batch_due.is_some_and(|at| at <= now) {
            return Next::Pass(Cause::Batch);
        }
        let backstop = operation.last_pass + times.backstop;
        if backstop <= now {
            return Next::Pass(Cause::Backstop);
        }
        Next::Wait([due, batch_due, Some(backstop)].into_iter().flatten().min())
    }

    /// From a write of the stored state to the pass that it causes: the controller learns of its own write as of any
    /// other, by watch delivery (1 ms) and reaction (10 ms) in the canonical schedule.
    fn own_write_latency(&self) -> Duration {
        const OPTIONS: [u64; 4] = [11, 1, 0, 100];
        let chooser = self.shared.cluster.chooser();
        let taken = chooser
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .choose("pass/stored", 4, 0);
        Duration::from_millis(OPTIONS[usize::try_from(taken).unwrap_or(0) % OPTIONS.len()])
    }

    async fn pass(&mut self, cause: Cause) -> Result<(), wavetank_sync::EngineError> {
        let before = self.shared.recorder.effects();
        let Some((act, input)) = self.begin(cause) else {
            return Ok(());
        };
        let (output, blocked) = match self.check(&input) {
            Some(refused) => refused,
            None => {
                let output = match act {
                    Act::Terminate => self.engine.terminate(input, &mut self.asks).await?,
                    _ => self.engine.pass(input, &mut self.asks).await?,
                };
                (output, false)
            }
        };
        self.finish(cause, act, output, blocked, before);
        Ok(())
    }

    /// What ends a pass before the engine is asked (SYNC-131), and whether a sync window did.
    fn check(&self, input: &StepInput) -> Option<(StepOutput, bool)> {
        let output = |phase, message| StepOutput {
            phase,
            message,
            results: input.results.clone(),
        };
        let app = &input.app;
        if let Some(project) = input.options.project.as_deref() {
            let now = self.shared.cluster.epoch().wall(self.shared.clock.now());
            let (manual, started) = {
                let state = self.shared.state();
                let operation = &state.operation.as_ref()?.state;
                (!operation.automated, operation.started_at)
            };
            let windows = &project.sync_windows;
            let verdict = can_sync(
                windows,
                &app.name,
                &app.namespace,
                manual,
                now,
                Some(started),
            );
            if let WindowVerdict::Blocked(message) = verdict {
                return Some((output(input.phase, message), true));
            }
        }
        if input.options.fail_on_shared_resource {
            let found = compare(
                &input.targets,
                &input.live,
                app,
                &input.kinds,
                &input.options,
            );
            if let Some(message) = shared_warning(&found.shared, app) {
                let text = format!("Shared resource found: {message}");
                return Some((output(wavetank_sync::OperationPhase::Failed, text), false));
            }
        }
        let message = invalid_destination(app, input.options.project.as_deref()?)?;
        let text = format!("InvalidSpecError: {message}");
        Some((output(wavetank_sync::OperationPhase::Error, text), false))
    }

    /// Opens a pass: fixes the snapshot and tells the trace.
    fn begin(&mut self, cause: Cause) -> Option<(Act, StepInput)> {
        let now = self.shared.clock.now();
        let wall = self.shared.cluster.epoch().wall(now);
        let kinds = self.kinds();
        let mut cause = cause;
        let mut guard = self.shared.state();
        let state = &mut *guard;
        let timeout = Times::of(&state.app, now).timeout;
        let operation = state.operation.as_mut()?;
        let begun = operation.state.begin(wall, timeout);
        if begun.act == Act::Nothing {
            return None;
        }
        // The timeout may end an operation while it waits for a retry.
        if begun.act == Act::Terminate {
            cause = Cause::Terminate;
        }
        if cause == Cause::Retry && operation.state.revision.is_none() && !operation.pinned {
            operation.commit = state.desired.head().clone();
        }
        operation.state.revision = Some(operation.commit.name.clone());
        let starts = matches!(cause, Cause::Operation | Cause::Retry);
        if starts || begun.stored {
            let verb = if starts {
                Some(Verb::Started)
            } else {
                Some(Verb::Terminating)
            };
            self.shared
                .recorder
                .push(self.shared.operation_event(operation, verb, starts));
        }
        operation.passes += 1;
        operation.stored_due = None;
        self.shared.recorder.push(Event::Pass {
            number: operation.passes,
            cause: cause.as_str().to_owned(),
        });
        self.shared.faults.begin_pass();
        let live = self.shared.view.snapshot();
        // The project is the one of now, whatever it was when the operation was requested.
        if operation.options.project != state.project {
            Arc::make_mut(&mut operation.options)
                .project
                .clone_from(&state.project);
        }
        let approved = state.app.annotations.get(APPROVED).map(String::as_str);
        let input = StepInput {
            app: self.identity.clone(),
            revision: operation.commit.name.clone(),
            targets: Arc::clone(&operation.commit.manifests),
            live,
            kinds,
            options: Arc::clone(&operation.options),
            started_at: operation.state.started_seconds(),
            phase: operation.state.phase,
            message: operation.state.message.clone(),
            results: operation.state.results.clone(),
            prune_confirmed: is_confirmed(approved, operation.state.started_at),
        };
        state.batch_due = None;
        state.in_pass = true;
        state.rested = false;
        Some((begun.act, input))
    }

    /// Stores what a pass left.
    fn finish(
        &mut self,
        cause: Cause,
        act: Act,
        output: StepOutput,
        blocked: bool,
        effects_before: u64,
    ) {
        let now = self.shared.clock.now();
        let wall = self.shared.cluster.epoch().wall(now);
        let mut held = self.shared.state();
        let state = &mut *held;
        state.in_pass = false;
        let Some(operation) = state.operation.as_mut() else {
            return;
        };
        let succeeded = output.phase == wavetank_sync::OperationPhase::Succeeded;
        let attempt_over = output.phase.completed();
        let finished = operation.state.finish(act, output, wall);
        operation.stored_due =
            (finished.changed && !finished.over).then(|| now + self.own_write_latency());
        operation.last_pass = now;
        operation.blocked = blocked;
        if finished.over {
            state.history += u32::from(operation.state.enters_history(&operation.options));
            state.refreshes.bring(now + OWN_WRITE);
            state.refreshes.after_operation = state.refreshes.wanted;
        }
        if attempt_over {
            let hooks_failed = stored::sync_fail_failed(&operation.state.results);
            for event in self.asks.attempt_ended(succeeded, hooks_failed) {
                self.shared.recorder.push(event);
            }
        }
        if finished.changed {
            let verb = verb_after(&operation.state, finished);
            self.shared
                .recorder
                .push(self.shared.operation_event(operation, verb, false));
        }
        state.rested = cause == Cause::Backstop
            && state.batch_due.is_none()
            && self.shared.recorder.effects() == effects_before;
        drop(held);
        self.shared.changed.notify_waiters();
    }

    /// The kinds the view knows: the built-in ones and those of Established CRDs.
    pub(crate) fn kinds(&mut self) -> Arc<Kinds> {
        let state = self.shared.state();
        if let Some((generation, kinds)) = &self.kinds
            && *generation == state.custom_generation
        {
            return Arc::clone(kinds);
        }
        let kinds = known_kinds(&state);
        let kinds = Arc::new(kinds);
        self.kinds = Some((state.custom_generation, Arc::clone(&kinds)));
        kinds
    }
}

impl Shared {
    /// An entry of the trace about an operation.
    pub(crate) fn operation_event(
        &self,
        operation: &OperationRecord,
        verb: Option<Verb>,
        with_desired: bool,
    ) -> Event {
        let home = self.home();
        let desired = with_desired.then(|| {
            let manifests = operation.commit.manifests.iter();
            manifests
                .map(|object| DesiredObject {
                    key: pattern_key(object, home),
                    object: self.recorder.redacted(object),
                })
                .collect()
        });
        // While a retry is awaited its number is announced already: the attempt is still the one that failed.
        let ahead = u32::from(operation.awaits_retry());
        Event::Operation(Box::new(OperationEvent {
            verb,
            number: operation.number,
            attempt: operation.state.retry_count + 1 - ahead,
            state: stored::state(&operation.state),
            desired,
        }))
    }
}

/// The built-in kinds, and those of the CRDs that the view has seen Established.
pub(crate) fn known_kinds(state: &AppState) -> Kinds {
    let mut kinds = Kinds::builtin();
    for custom in state.custom_kinds.values() {
        let resource = ApiResource {
            plural: custom.plural.clone(),
            namespaced: custom.namespaced,
        };
        let known = KnownKind {
            versions: custom.versions.clone(),
            resource,
        };
        kinds.insert(GroupKind::new(&custom.group, &custom.kind), known);
    }
    kinds
}

fn verb_after(state: &OperationState, finished: Finished) -> Option<Verb> {
    use wavetank_sync::OperationPhase;
    if finished.retrying {
        return Some(Verb::Retrying);
    }
    match state.phase {
        OperationPhase::Succeeded => Some(Verb::Succeeded),
        OperationPhase::Failed => Some(Verb::Failed),
        OperationPhase::Error => Some(Verb::Error),
        OperationPhase::Running | OperationPhase::Terminating => None,
    }
}

/// Whether a change of this object makes the engine look again: it carries the app's tracking id, or is desired.
/// Objects with an owner are their owner's business (SYNC-010).
pub(crate) fn is_managed(
    scenario: &Scenario,
    desired: &Desired,
    key: &ObjectKey,
    live: &Value,
) -> bool {
    if object::owners(live).next().is_some() {
        return false;
    }
    let name = &scenario.app.name;
    let tracked = object::annotation(live, argo::TRACKING_ID)
        .is_some_and(|id| id.split_once(':').is_some_and(|(app, _)| app == name))
        || object::label(live, "app.kubernetes.io/instance")
            .is_some_and(|instance| instance == name);
    tracked || desired.head().keys.contains(key)
}

impl AppState {
    /// Takes up a new operation unless one is in progress (SYNC-154).
    pub(crate) fn is_busy(&self) -> bool {
        self.requested.is_some()
            || self
                .operation
                .as_ref()
                .is_some_and(OperationRecord::in_progress)
    }
}
