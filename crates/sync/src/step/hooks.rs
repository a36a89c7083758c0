//! Finalizers and deletion of hooks (SYNC-052, SYNC-068, SYNC-074..077, SYNC-139).

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::{ArgoVersion, OperationPhase};

use super::{Step, refresh};
use crate::apply::{GET_FAILED, twice};
use crate::engine::{CallError, DeleteAsk, DeleteReason, FinalizerAsk};
use crate::message;
use crate::plan::Task;

/// The live object without the hook finalizer; other finalizers stay (SYNC-068).
pub(crate) fn without_finalizer(live: &Value) -> Value {
    let mut live = live.clone();
    let meta = crate::target::metadata(&mut live);
    if let Some(Value::Array(finalizers)) = meta.get_mut("finalizers") {
        finalizers.retain(|entry| entry != argo::HOOK_FINALIZER);
        if finalizers.is_empty() {
            meta.remove("finalizers");
        }
    }
    live
}

impl Step<'_> {
    /// Removes the hook finalizer from the live objects of a set, concurrently; outcomes in order of the set.
    pub(super) async fn strip(&mut self, set: &[usize]) -> Vec<Result<(), CallError>> {
        let ask = |task: &Task| {
            let live = task.live.as_deref().filter(|_| task.has_finalizer())?;
            Some(FinalizerAsk {
                resource: task.resource_ref(),
                stripped: Arc::new(without_finalizer(live)),
            })
        };
        let asks: Vec<Option<FinalizerAsk>> =
            set.iter().map(|&place| ask(&self.tasks[place])).collect();
        let stripped: Vec<Option<Arc<Value>>> = asks
            .iter()
            .map(|ask| ask.as_ref().map(|ask| ask.stripped.clone()))
            .collect();
        let asks: Vec<FinalizerAsk> = asks.into_iter().flatten().collect();
        if asks.is_empty() {
            return set.iter().map(|_| Ok(())).collect();
        }
        let mut outcomes = self.asks.remove_finalizers(asks).await.into_iter();
        let mut out = Vec::with_capacity(set.len());
        for (&place, stripped) in set.iter().zip(stripped) {
            let Some(stripped) = stripped else {
                out.push(Ok(()));
                continue;
            };
            let outcome = outcomes.next().unwrap_or_else(|| Err(no_outcome()));
            self.lost_finalizer(place, &stripped);
            out.push(outcome);
        }
        out
    }

    /// The live object of a task, which it shares with the hook's tasks in other phases, has no finalizer any more for
    /// this pass, whatever the call said (SYNC-068).
    fn lost_finalizer(&mut self, place: usize, stripped: &Arc<Value>) {
        let Some(old) = self.tasks[place].live.clone() else {
            return;
        };
        let shares = |task: &&mut Task| {
            task.live
                .as_ref()
                .is_some_and(|live| Arc::ptr_eq(live, &old))
        };
        for task in self.tasks.iter_mut().filter(shares) {
            task.live = Some(Arc::clone(stripped));
        }
    }

    /// S8: completed hooks lose their finalizer, one after the other (SYNC-052).
    pub(super) async fn strip_completed_hooks(&mut self) {
        for place in self.places(|task| task.hook && task.completed()) {
            if let Err(error) = self.strip_completed_hook(place).await {
                let text = format!("Failed to remove hook finalizer: {error}");
                self.record_error(place, OperationPhase::Error, &text);
            }
        }
    }

    /// Since 3.6 a hook that the view misses is looked up, and from then on there for this pass (SYNC-068).
    async fn strip_completed_hook(&mut self, place: usize) -> Result<(), CallError> {
        let task = &self.tasks[place];
        if task.live.is_none() && self.input.options.version >= ArgoVersion::V3_6 {
            let found = self.asks.get(&task.resource_ref()).await;
            let found = found.map_err(|error| twice(GET_FAILED, &error))?;
            self.tasks[place].live = found;
        }
        self.strip(&[place]).await.pop().unwrap_or(Ok(()))
    }

    /// Records an error with the status as it is.
    pub(super) fn record_error(&mut self, place: usize, phase: OperationPhase, text: &str) {
        let task = &mut self.tasks[place];
        let status = task.status;
        self.ledger.record(task, status, Some(phase), text);
    }

    /// The ask for the deletion of a task's live object.
    pub(super) fn delete_ask(&self, place: usize, reason: DeleteReason) -> DeleteAsk {
        let task = &self.tasks[place];
        DeleteAsk {
            key: task.key.clone(),
            resource: task.resource_ref(),
            propagation: self.input.options.propagation,
            reason,
            phase: task.phase,
            wave: task.wave_number(),
        }
    }

    /// Deletes one object.
    pub(super) async fn delete(
        &mut self,
        place: usize,
        reason: DeleteReason,
    ) -> Result<(), CallError> {
        let ask = self.delete_ask(place, reason);
        self.asks
            .delete(vec![ask])
            .await
            .pop()
            .unwrap_or_else(|| Err(no_outcome()))
    }

    /// Deletes hooks at the end of an attempt, one after the other, without waiting for them (SYNC-077). A dry run
    /// deletes them, too.
    pub(super) async fn delete_hooks(&mut self, set: &[usize]) {
        for &place in set {
            if self.tasks[place].live.is_none() {
                continue;
            }
            match self.delete(place, DeleteReason::HookDone).await {
                Err(error) if !error.is_not_found() => {
                    let text =
                        format!("failed to delete resource: failed to delete resource: {error}");
                    self.record_error(place, OperationPhase::Error, &text);
                }
                _ => {}
            }
        }
    }

    /// Ends the running hooks of a set early; `true` when an error was met (SYNC-139).
    pub(super) async fn terminate_hooks(&mut self, set: &[usize]) -> bool {
        let mut errors = false;
        for &place in set {
            if self.tasks[place].hook && self.tasks[place].running() {
                errors |= self.terminate_hook(place).await.is_err();
            }
        }
        errors
    }

    /// Ends one running hook early.
    async fn terminate_hook(&mut self, place: usize) -> Result<(), ()> {
        if self.tasks[place].live.is_none() {
            match self.asks.get(&self.tasks[place].resource_ref()).await {
                Ok(Some(live)) => self.tasks[place].live = Some(live),
                Ok(None) => {
                    self.record_error(place, OperationPhase::Succeeded, message::HOOK_TERMINATED);
                    return Ok(());
                }
                Err(error) => {
                    let error = error.behind(GET_FAILED);
                    let text = format!("Failed to get live resource: {error}");
                    self.record_error(place, OperationPhase::Error, &text);
                    return Err(());
                }
            }
        }
        let task = &self.tasks[place];
        let live = task.live.clone().unwrap_or_default();
        let outcome = refresh::hook_outcome(self.assessor, task, &live);
        if let Err(error) = &outcome {
            self.record_error(
                place,
                OperationPhase::Error,
                &format!("Failed to get hook health: {error}"),
            );
        }
        if let Some(Err(error)) = self.strip(&[place]).await.pop() {
            let text = format!("Failed to remove hook finalizer: {error}");
            self.record_error(place, OperationPhase::Error, &text);
            return Err(());
        }
        let going = !matches!(&outcome, Ok((phase, _)) if phase.completed());
        if going || self.tasks[place].has_policy(DeletePolicy::HookFailed) {
            match self.delete(place, DeleteReason::HookDone).await {
                Err(error) if !error.is_not_found() => {
                    self.record_error(
                        place,
                        OperationPhase::Failed,
                        &format!("Failed to delete: failed to delete resource: {error}"),
                    );
                    return Err(());
                }
                _ => {}
            }
        }
        match outcome {
            Ok((phase, text)) if phase.completed() => self.record_error(place, phase, &text),
            _ if self.tasks[place].operation == Some(OperationPhase::Error) => {}
            _ => self.record_error(place, OperationPhase::Failed, message::HOOK_TERMINATED),
        }
        Ok(())
    }
}

/// An implementation of `Asks` that gives fewer outcomes than it was asked for.
pub(super) fn no_outcome() -> CallError {
    CallError::Transport("the call gave no outcome".to_owned())
}
