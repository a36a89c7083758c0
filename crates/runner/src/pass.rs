//! One pass of an operation: the snapshot is fixed, the checks before the engine are made, the outcome is stored.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use wavetank_model::{ArgoVersion, OperationPhase, Verb};
use wavetank_scenario::pattern_key;
use wavetank_sync::compare::standing;
use wavetank_sync::message::shared_resource;
use wavetank_sync::operation::{Act, Finished, OperationState, is_confirmed};
use wavetank_sync::project::{WindowVerdict, can_sync};
use wavetank_sync::server_side_diff::Answers;
use wavetank_sync::{StepInput, StepOutput};
use wavetank_trace::{DesiredObject, Event, OperationEvent};

use crate::application::{INVALID_SPEC, OWN_WRITE, health_error, invalid_destination};
use crate::controller::{Cause, Controller, OperationRecord, Times};
use crate::request::{APPROVED, follow};
use crate::shared::Shared;
use crate::stored;

impl Controller {
    /// Runs one pass of the operation in progress.
    pub(crate) async fn pass(&mut self, cause: Cause) -> Result<(), wavetank_sync::EngineError> {
        let before = self.shared.recorder.effects();
        let Some((act, mut input)) = self.begin(cause) else {
            return Ok(());
        };
        // A termination passes (SYNC-201).
        let blocked = match act {
            Act::Terminate => None,
            _ => self.blocked_by_window(&input),
        };
        if let Some(message) = blocked {
            let output = ended(&input, input.phase, message);
            self.finish(cause, act, output, before);
            return Ok(());
        }
        let output = match self.checked(&mut input).await {
            Err(refused) => refused,
            Ok(()) => match act {
                Act::Terminate => self.engine.terminate(input, &mut self.asks).await?,
                _ => self.engine.pass(input, &mut self.asks).await?,
            },
        };
        self.finish(cause, act, output, before);
        Ok(())
    }

    /// Why a sync window holds the pass back (SYNC-140).
    fn blocked_by_window(&self, input: &StepInput) -> Option<String> {
        let app = &input.app;
        let project = input.options.project.as_deref()?;
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
            // `syncOverrun` came with 3.5 (SYNC-227).
            Some(started).filter(|_| input.options.version >= ArgoVersion::V3_5),
        );
        match verdict {
            WindowVerdict::Blocked(message) => Some(message),
            WindowVerdict::Allowed => None,
        }
    }

    /// Compares the app and looks at what ends a pass before the engine is asked (SYNC-131).
    async fn checked(&mut self, input: &mut StepInput) -> Result<(), StepOutput> {
        let mut errors = Vec::new();
        match self.compared_by_server(input).await {
            Ok(answers) => input.answers = answers,
            Err(error) => errors.push(format!("ComparisonError: {error}")),
        }
        let shares = input.options.fail_on_shared_resource;
        // Without scripts the health of a live object can be told.
        if shares || self.shared.recorder.assessor().is_configured() {
            let found = standing(
                &input.targets,
                &input.live,
                &input.app,
                &input.kinds,
                &input.options,
            );
            let warning = shared_resource(&found.shared, &input.app.name);
            if let Some(warning) = warning.filter(|_| shares) {
                let text = format!("Shared resource found: {warning}");
                return Err(ended(input, OperationPhase::Failed, text));
            }
            if let Some(error) = self.health_of(&found.objects).error {
                errors.push(format!("ComparisonError: {}", health_error(&error)));
            }
        }
        errors.sort();
        if let Some(message) = self.invalid_spec(input) {
            errors.push(format!("InvalidSpecError: {message}"));
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(ended(input, OperationPhase::Error, errors.join(";")))
    }

    /// The condition `InvalidSpecError`, as the last comparison of the app left it: a pass does not look anew, so that a
    /// project that has changed meanwhile permits each resource or not. What nobody has compared is looked at now, for
    /// Argo CD compares an app as soon as it is there.
    fn invalid_spec(&self, input: &StepInput) -> Option<String> {
        let state = self.shared.state();
        if state.refreshes.compared.is_some() {
            return state.status.conditions.get(INVALID_SPEC).cloned();
        }
        drop(state);
        invalid_destination(&input.app, &input.options)
    }

    /// What the server says of the objects that it compares; what the last comparison of the app was told counts, unless
    /// somebody asks for a new one (SYNC-149).
    async fn compared_by_server(&mut self, input: &StepInput) -> Result<Arc<Answers>, String> {
        if !input.options.server_side_diff {
            return Ok(Arc::default());
        }
        let (revision, known) = {
            let state = self.shared.state();
            let Some(operation) = &state.operation else {
                return Ok(Arc::default());
            };
            let known = (!state.refreshes.requested).then(|| state.known_answers.clone());
            (operation.commit.clone(), known)
        };
        let said = self
            .ask_server(&revision, &input.live, &input.kinds, &input.options, known)
            .await?;
        Ok(said.answers())
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
        // Of a retry that refreshes, whatever revision was asked for (SYNC-134).
        if cause == Cause::Retry && operation.state.revision.is_none() {
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
        if !Arc::ptr_eq(&operation.app, &state.app) {
            follow(Arc::make_mut(&mut operation.options), &state.app);
            operation.app = Arc::clone(&state.app);
        }
        let targets = Arc::clone(&operation.commit.manifests);
        let whole = self
            .engine
            .reads_managed_fields(&targets, &operation.options);
        let live = self.shared.view.snapshot(whole);
        let approved = state.app.annotations.get(APPROVED).map(String::as_str);
        let input = StepInput {
            app: self.identity.clone(),
            revision: operation.commit.name.clone(),
            targets,
            live,
            kinds,
            options: Arc::clone(&operation.options),
            started_at: operation.state.started_seconds(),
            phase: operation.state.phase,
            message: operation.state.message.clone(),
            results: operation.state.results.clone(),
            prune_confirmed: is_confirmed(approved, operation.state.started_at),
            answers: Arc::default(),
        };
        state.batch_due = None;
        state.in_pass = true;
        state.rested = false;
        Some((begun.act, input))
    }

    /// Stores what a pass left.
    fn finish(&mut self, cause: Cause, act: Act, output: StepOutput, effects_before: u64) {
        let now = self.shared.clock.now();
        let wall = self.shared.cluster.epoch().wall(now);
        let mut held = self.shared.state();
        let state = &mut *held;
        state.in_pass = false;
        let Some(operation) = state.operation.as_mut() else {
            return;
        };
        let succeeded = output.phase == OperationPhase::Succeeded;
        let attempt_over = output.phase.completed();
        let version = operation.options.version;
        let finished = operation.state.finish(act, output, wall, version);
        operation.stored_due =
            (finished.changed && !finished.over).then(|| now + self.own_write_latency());
        operation.last_pass = now;
        if finished.over {
            state.history += u32::from(operation.state.enters_history(&operation.options));
            // What nobody has compared is compared as soon as something is written of it.
            let first = state.refreshes.compared.is_none();
            if first || operation.state.brings_comparison(&operation.options) {
                state.refreshes.bring(now + OWN_WRITE);
                state.refreshes.after_operation = state.refreshes.wanted;
            }
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

/// What a pass leaves that ends before the engine is asked.
fn ended(input: &StepInput, phase: OperationPhase, message: String) -> StepOutput {
    StepOutput {
        phase,
        message,
        results: input.results.clone(),
    }
}

fn verb_after(state: &OperationState, finished: Finished) -> Option<Verb> {
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
