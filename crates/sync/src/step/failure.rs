//! What happens when an attempt fails (SYNC-056, SYNC-057).

use wavetank_model::{OperationPhase, ResultCode};

use super::{Outcome, Sets, Step};
use crate::message::{self, WaitingFor};
use crate::plan::Task;

impl Step<'_> {
    /// The failure procedure: runs the SyncFail hooks; `true` when there is nothing left of it to do (SYNC-057).
    pub(super) async fn fail(&mut self, sets: &Sets, base: &str) -> (Outcome, bool) {
        let failed = |task: &&Task| task.status == Some(ResultCode::SyncFailed);
        let tasks = sets
            .tasks
            .iter()
            .map(|&place| &self.tasks[place])
            .filter(failed);
        let reasons = message::distinct(tasks.map(|task| task.message.as_str()), ",");
        let mut text = base.to_owned();
        if !reasons.is_empty() {
            text = format!("{text}, reason: {reasons}");
        }
        if sets
            .on_failure
            .iter()
            .all(|&place| self.tasks[place].completed())
        {
            let hooks = sets
                .on_failure
                .iter()
                .map(|&place| &self.tasks[place])
                .filter(failed);
            let reasons = message::distinct(hooks.map(|task| task.message.as_str()), ",");
            if !reasons.is_empty() {
                text = format!("{text}\none or more SyncFail hooks failed, reason: {reasons}");
            }
            return ((OperationPhase::Failed, text), true);
        }
        // All waves together in one run, whatever comes of it (SYNC-164).
        let todo = |task: &Task| !task.completed() && !task.running();
        let todo: Vec<usize> = sets
            .on_failure
            .iter()
            .copied()
            .filter(|&place| todo(&self.tasks[place]))
            .collect();
        self.run(&todo, false).await;
        (self.waiting(&todo, WaitingFor::Health), false)
    }

    /// The run of a wave failed: waits for what was applied, or fails (SYNC-056, SYNC-161, SYNC-162).
    pub(super) async fn wave_failed(&mut self, current: &[usize], sets: &Sets) -> Outcome {
        let mut running: Vec<usize> = current
            .iter()
            .copied()
            .filter(|&place| self.tasks[place].running())
            .collect();
        if running.is_empty() {
            let (outcome, complete) = self.fail(sets, message::APPLY_FAILED).await;
            if complete {
                self.delete_hooks(&sets.delete_on_failure).await;
            }
            return outcome;
        }
        if !sets.on_failure.is_empty() && !self.fail(sets, message::APPLY_FAILED).await.1 {
            running.extend(&sets.on_failure);
        }
        self.waiting(&running, WaitingFor::Health)
    }
}
