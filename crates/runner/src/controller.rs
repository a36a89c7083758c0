//! The application controller of a run: takes up operations, schedules passes, stores what they leave.
//!
//! A pass starts when an operation arrives or a retry is due, as soon as the controller sees its own write of the stored state,
//! `passes.batch` after the first change of a managed object that the view has seen, and `passes.backstop` after the
//! last pass (SYNC-129). The same for every engine.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use jiff::SignedDuration;
use serde_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::{GroupKind, ObjectKey, Verb, argo, object};
use wavetank_scenario::{App, Scenario};
use wavetank_sync::kinds::KnownKind;
use wavetank_sync::operation::{Act, Due, Finished, OperationState};
use wavetank_sync::{
    ApiResource, AppIdentity, Kinds, StepEngine, StepInput, SyncOptions, TrackingMethod,
};
use wavetank_trace::{DesiredObject, Event, OperationEvent};

use crate::asks::RunAsks;
use crate::desired::{Desired, Revision, pattern_key};
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
    options: Arc<SyncOptions>,
    /// The revision somebody asked for: retries that refresh keep it.
    pinned: bool,
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
enum Cause {
    Operation,
    Terminate,
    Retry,
    Stored,
    Batch,
    Backstop,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Terminate => "terminate",
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
    Wait(Option<SimTime>),
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
    shared: Arc<Shared>,
    engine: Box<dyn StepEngine>,
    asks: RunAsks,
    identity: AppIdentity,
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
        loop {
            match self.next() {
                Next::Pass(cause) => {
                    if let Err(error) = self.pass(cause).await {
                        // Nobody listens when the run is over anyway.
                        drop(lost.send(error.to_string()));
                        return std::future::pending().await;
                    }
                }
                Next::Wait(None) => self.shared.control.notified().await,
                Next::Wait(Some(at)) => tokio::select! {
                    biased;
                    () = self.shared.control.notified() => {}
                    () = self.shared.clock.sleep_until(at) => {}
                },
            }
        }
    }

    fn next(&self) -> Next {
        let now = self.shared.clock.now();
        let settings = &self.shared.scenario.app.settings;
        let mut state = self.shared.state();
        if let Some(operation) = state.requested.take() {
            state.operation = Some(operation);
            return Next::Pass(Cause::Operation);
        }
        let batch_due = state.batch_due;
        let Some(operation) = state
            .operation
            .as_ref()
            .filter(|operation| operation.in_progress())
        else {
            return Next::Wait(None);
        };
        let epoch = self.shared.cluster.epoch();
        let due = match operation.state.due(epoch.wall(now), self.timeout()) {
            Due::Over => return Next::Wait(None),
            Due::Pass if operation.awaits_retry() => return Next::Pass(Cause::Retry),
            Due::Pass => return Next::Pass(Cause::Terminate),
            // The wall clock of the epoch may hold parts of a millisecond that the run's clock does not.
            Due::At(at) => Some(epoch.sim(at).max(now + Duration::from_millis(1))),
            Due::Idle => None,
        };
        if operation.awaits_retry() {
            return Next::Wait(due);
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
        let backstop = operation.last_pass + settings.passes.backstop;
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

    fn timeout(&self) -> SignedDuration {
        SignedDuration::try_from(self.shared.scenario.app.settings.sync_timeout)
            .unwrap_or(SignedDuration::ZERO)
    }

    async fn pass(&mut self, cause: Cause) -> Result<(), wavetank_sync::EngineError> {
        let before = self.shared.recorder.effects();
        let Some((act, input)) = self.begin(cause) else {
            return Ok(());
        };
        let output = match act {
            Act::Terminate => self.engine.terminate(input, &mut self.asks).await?,
            _ => self.engine.pass(input, &mut self.asks).await?,
        };
        self.finish(cause, act, output, before);
        Ok(())
    }

    /// Opens a pass: fixes the snapshot and tells the trace.
    fn begin(&mut self, cause: Cause) -> Option<(Act, StepInput)> {
        let now = self.shared.clock.now();
        let wall = self.shared.cluster.epoch().wall(now);
        let timeout = self.timeout();
        let kinds = self.kinds();
        let mut guard = self.shared.state();
        let state = &mut *guard;
        let operation = state.operation.as_mut()?;
        let begun = operation.state.begin(wall, timeout);
        if begun.act == Act::Nothing {
            return None;
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
                .push(self.entry(operation, verb, starts));
        }
        operation.passes += 1;
        operation.stored_due = None;
        self.shared.recorder.push(Event::Pass {
            number: operation.passes,
            cause: cause.as_str().to_owned(),
        });
        self.shared.faults.begin_pass();
        let live = self.shared.view.snapshot();
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
            prune_confirmed: false,
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
        output: wavetank_sync::StepOutput,
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
                .push(self.entry(operation, verb, false));
        }
        state.rested = cause == Cause::Backstop
            && state.batch_due.is_none()
            && self.shared.recorder.effects() == effects_before;
        drop(held);
        self.shared.changed.notify_waiters();
    }

    fn entry(&self, operation: &OperationRecord, verb: Option<Verb>, with_desired: bool) -> Event {
        let home = self.shared.home();
        let desired = with_desired.then(|| {
            let manifests = operation.commit.manifests.iter();
            manifests
                .map(|object| DesiredObject {
                    key: pattern_key(object, home),
                    object: self.shared.recorder.redacted(object),
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

    /// The kinds the view knows: the built-in ones and those of Established CRDs.
    fn kinds(&mut self) -> Arc<Kinds> {
        let state = self.shared.state();
        if let Some((generation, kinds)) = &self.kinds
            && *generation == state.custom_generation
        {
            return Arc::clone(kinds);
        }
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
        let kinds = Arc::new(kinds);
        self.kinds = Some((state.custom_generation, Arc::clone(&kinds)));
        kinds
    }
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
