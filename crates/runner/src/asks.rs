//! The effects of a pass, with what they mean for the trace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wavetank_json::Value;
use wavetank_kernel::BoxFuture;
use wavetank_model::{GroupVersionKind, Phase, Verb};
use wavetank_sync::apply::KubeAsks;
use wavetank_sync::engine::{CallError, DeleteReason, DiscoverError};
use wavetank_sync::server_side_diff::Question;
use wavetank_sync::{ApiResource, ApplyAsk, Asks, DeleteAsk, FinalizerAsk, Note, ResourceRef};
use wavetank_trace::{Event, TaskEvent};

use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::seam::Seam;
use crate::shared::Shared;

/// Carries asks out through the seam and enters the notes into the trace.
pub(crate) struct RunAsks {
    inner: KubeAsks,
    notes: Arc<Notes>,
}

struct Notes {
    recorder: Arc<Recorder>,
    progress: Mutex<Progress>,
}

impl RunAsks {
    pub(crate) fn new(shared: &Shared, seam: &Seam) -> Self {
        let notes = Arc::new(Notes {
            recorder: Arc::clone(&shared.recorder),
            progress: Mutex::default(),
        });
        let sink = Arc::clone(&notes);
        let inner = KubeAsks::new(
            seam.client(),
            Arc::clone(&shared.clock),
            shared.cluster.chooser(),
            shared.scenario.app.settings.sync_wave_delay,
            Box::new(move |note| sink.take(note)),
        );
        Self { inner, notes }
    }

    /// What a server-side apply would make of an object (SYNC-149).
    ///
    /// # Errors
    /// Message of the condition `ComparisonError`.
    pub(crate) async fn predict(
        &mut self,
        question: &Question,
        manager: &str,
    ) -> Result<Value, String> {
        self.inner.predict(question, manager).await
    }

    /// The attempt ended; gives the ends of its last wave and phase.
    pub(crate) fn attempt_ended(&mut self, succeeded: bool, hooks_failed: bool) -> Vec<Event> {
        self.notes.progress().attempt_ended(succeeded, hooks_failed)
    }
}

impl Notes {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, note: Note) {
        let task = |verb, key, phase, wave, hook, message| {
            self.recorder.push(Event::Task(TaskEvent {
                verb,
                key,
                phase,
                wave,
                hook,
                message,
            }));
        };
        match note {
            Note::WaveStarted { phase, wave } => {
                let events = self.progress().wave_started(phase, wave);
                for event in events {
                    self.recorder.push(event);
                }
            }
            Note::Applied {
                key,
                phase,
                wave,
                message,
                hook,
            } => task(Verb::Applied, key, phase, wave, hook, message),
            Note::Rejected {
                key,
                phase,
                wave,
                message,
            } => task(Verb::Rejected, key, phase, wave, false, message),
            Note::Pruned { key, phase, wave } => {
                task(Verb::Pruned, key, phase, wave, false, String::new());
            }
        }
    }
}

impl Asks for RunAsks {
    fn discover<'a>(
        &'a mut self,
        gvk: &'a GroupVersionKind,
    ) -> BoxFuture<'a, Result<ApiResource, DiscoverError>> {
        self.inner.discover(gvk)
    }

    fn get<'a>(
        &'a mut self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<Option<Arc<Value>>, CallError>> {
        self.inner.get(resource)
    }

    fn apply(&mut self, asks: Vec<ApplyAsk>) -> BoxFuture<'_, Vec<Result<String, String>>> {
        self.inner.apply(asks)
    }

    fn delete(&mut self, asks: Vec<DeleteAsk>) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        // The cascade begins in the pass that saw the last PreDelete hook done.
        let cascades =
            |ask: &DeleteAsk| ask.reason == DeleteReason::AppDeletion && ask.phase == Phase::Sync;
        if asks.iter().any(cascades) {
            for event in self.attempt_ended(true, false) {
                self.notes.recorder.push(event);
            }
        }
        self.inner.delete(asks)
    }

    fn remove_finalizers(
        &mut self,
        asks: Vec<FinalizerAsk>,
    ) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        self.inner.remove_finalizers(asks)
    }

    fn wave_delay(
        &mut self,
        phase: Phase,
        wave: i64,
        is_final: bool,
    ) -> BoxFuture<'_, Result<(), String>> {
        self.inner.wave_delay(phase, wave, is_final)
    }

    fn note(&mut self, note: Note) {
        self.inner.note(note);
    }
}
