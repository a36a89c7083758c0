//! Deleting the application: a pass at a time, as its finalizers say (SYNC-142..147).

use std::sync::Arc;

use jiff::Timestamp;
use wavetank_kernel::SimTime;
use wavetank_model::{Propagation, Verb};
use wavetank_sync::deletion::{
    BACKGROUND_FINALIZER, DeletionInput, DeletionOutput, FOREGROUND_FINALIZER, RESOURCES_FINALIZER,
    deletion_pass, hook_finalizers,
};
use wavetank_sync::operation::is_confirmed;
use wavetank_trace::Event;

use crate::application::OWN_WRITE;
use crate::controller::{Cause, Controller};
use crate::request::{APPROVED, app_options};
use crate::shared::{AppState, Shared};

/// An application that is being deleted.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    /// Its deletionTimestamp.
    since: Timestamp,
    /// What is still to be done; empty when the app is gone.
    finalizers: Vec<String>,
    /// Message of the condition `DeletionError`.
    pub(crate) error: Option<String>,
    /// When the controller has seen its own write of the finalizers.
    stored_due: Option<SimTime>,
    last_pass: SimTime,
    passes: u32,
}

impl Deletion {
    /// Whether the app is still there.
    pub(crate) fn in_progress(&self) -> bool {
        !self.finalizers.is_empty()
    }

    /// When the next pass is due, and why, but for changes of objects.
    pub(crate) fn next(&self, backstop: std::time::Duration) -> (SimTime, Cause) {
        match self.stored_due {
            Some(at) => (at, Cause::Stored),
            None => (self.last_pass + backstop, Cause::Backstop),
        }
    }
}

impl Shared {
    /// Asks for the deletion of the app; without `cascade` its resources stay. A request while it goes changes nothing.
    ///
    /// # Errors
    /// When it is deleted already.
    pub(crate) fn delete_app(&self, cascade: Option<Propagation>) -> Result<(), String> {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        match &state.deletion {
            Some(deletion) if deletion.in_progress() => return Ok(()),
            Some(_) => return Err("the application is deleted already".to_owned()),
            None => {}
        }
        let mut finalizers = state.app.finalizers.clone();
        let kind = match cascade {
            Some(Propagation::Background) => Some(BACKGROUND_FINALIZER),
            Some(_) => Some(RESOURCES_FINALIZER),
            None => None,
        };
        let all = [
            RESOURCES_FINALIZER,
            FOREGROUND_FINALIZER,
            BACKGROUND_FINALIZER,
        ];
        finalizers.retain(|own| !all.contains(&own.as_str()));
        finalizers.extend(kind.map(str::to_owned));
        // What hooks there are the app knows from its last comparison.
        let known = state.refreshes.compared.as_ref();
        let revision = known.unwrap_or_else(|| state.desired.head());
        for hook in hook_finalizers(&revision.manifests) {
            if !finalizers.iter().any(|own| own == hook) {
                finalizers.push(hook.to_owned());
            }
        }
        let gone = finalizers.is_empty();
        state.deletion = Some(Deletion {
            since: self.cluster.epoch().wall(now),
            finalizers,
            error: None,
            stored_due: Some(now + OWN_WRITE),
            last_pass: now,
            passes: 0,
        });
        state.rested = false;
        self.app_event(Verb::Deleting);
        if gone {
            self.app_event(Verb::Deleted);
        }
        drop(guard);
        self.control.notify_one();
        self.changed.notify_waiters();
        Ok(())
    }

    fn app_event(&self, verb: Verb) {
        self.recorder.push(Event::App {
            verb,
            message: String::new(),
        });
    }
}

impl Controller {
    /// One pass of the deletion (SYNC-144).
    pub(crate) async fn deletion_pass(&mut self, cause: Cause) {
        let before = self.shared.recorder.effects();
        let Some(input) = self.open_deletion(cause) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let output = deletion_pass(&input, shared.recorder.assessor(), &mut self.asks).await;
        self.close_deletion(cause, output, before);
    }

    fn open_deletion(&mut self, cause: Cause) -> Option<DeletionInput> {
        let kinds = self.kinds();
        let live = self.shared.view.snapshot(false);
        let mut guard = self.shared.state();
        let state = &mut *guard;
        let deletion = state.deletion.as_mut()?;
        deletion.passes += 1;
        deletion.stored_due = None;
        self.shared.recorder.push(Event::Pass {
            number: deletion.passes,
            cause: cause.as_str().to_owned(),
        });
        let app = &state.app;
        let approved = app.annotations.get(APPROVED).map(String::as_str);
        // Annotations hold whole seconds.
        let since = Timestamp::from_second(deletion.since.as_second()).unwrap_or(deletion.since);
        let input = DeletionInput {
            app: self.identity.clone(),
            targets: Arc::clone(&state.desired.head().manifests),
            live,
            kinds,
            options: Arc::new(app_options(app, &app.sync_policy.sync_options)),
            finalizers: deletion.finalizers.clone(),
            confirmed: is_confirmed(approved, since),
        };
        state.batch_due = None;
        state.in_pass = true;
        state.rested = false;
        Some(input)
    }

    fn close_deletion(&mut self, cause: Cause, output: DeletionOutput, before: u64) {
        let now = self.shared.clock.now();
        for (phase, well) in [(output.completed, true), (output.failed, false)] {
            if phase.is_some() {
                for event in self.asks.attempt_ended(well, !well) {
                    self.shared.recorder.push(event);
                }
            }
        }
        let mut guard = self.shared.state();
        let state = &mut *guard;
        state.in_pass = false;
        let Some(deletion) = state.deletion.as_mut() else {
            return;
        };
        // The condition stays when a later pass does well.
        let error = output.error.or_else(|| deletion.error.clone());
        let changed = deletion.finalizers != output.finalizers || deletion.error != error;
        deletion.finalizers = output.finalizers;
        deletion.error.clone_from(&error);
        deletion.last_pass = now;
        deletion.stored_due = changed.then(|| now + OWN_WRITE);
        let gone = !deletion.in_progress();
        self.store_deletion_error(state, error);
        if gone {
            self.shared.app_event(Verb::Deleted);
        }
        state.rested = cause == Cause::Backstop
            && state.batch_due.is_none()
            && self.shared.recorder.effects() == before;
        drop(guard);
        self.shared.changed.notify_waiters();
    }

    fn store_deletion_error(&self, state: &mut AppState, error: Option<String>) {
        let mut status = state.status.clone();
        if let Some(error) = error {
            status.conditions.insert("DeletionError".to_owned(), error);
        }
        self.shared.store_status(state, status);
    }
}
