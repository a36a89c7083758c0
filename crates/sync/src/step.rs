//! One pass over the tasks (SYNC-043..082).
//!
//! [`pass`] performs S1 to S12 in this order and returns at the first that says so. It decides; every effect is asked
//! for. A pass of a terminated operation is [`terminate`].

mod failure;
mod hooks;
mod refresh;
mod run;

use wavetank_health::Assessor;
use wavetank_model::{ArgoVersion, OperationPhase, Phase, ResultCode};

use crate::compare;
use crate::engine::{Asks, StepInput, StepOutput};
use crate::ledger::Ledger;
use crate::message::{self, WaitingFor};
use crate::plan::{self, Reason, Task};
use crate::target::TargetMemo;

pub(crate) use hooks::without_finalizer;
use run::RunState;

/// Runs one pass of an operation.
pub async fn pass(
    mut input: StepInput,
    assessor: &Assessor,
    memo: &mut TargetMemo,
    asks: &mut dyn Asks,
) -> StepOutput {
    let ledger = Ledger::new(std::mem::take(&mut input.results));
    let (mut step, valid) = Step::plan(&input, ledger, assessor, memo, asks).await;
    let (phase, message) = if valid {
        step.sync().await
    } else {
        step.not_valid()
    };
    step.output(phase, message)
}

/// Runs one pass that terminates the operation (SYNC-138).
pub async fn terminate(
    mut input: StepInput,
    assessor: &Assessor,
    memo: &mut TargetMemo,
    asks: &mut dyn Asks,
) -> StepOutput {
    let ledger = Ledger::new(std::mem::take(&mut input.results));
    let (mut step, _) = Step::plan(&input, ledger, assessor, memo, asks).await;
    step.strip_completed_hooks().await;
    let hooks = step.places(|task| task.hook);
    let (phase, message) = if step.terminate_hooks(&hooks).await {
        (OperationPhase::Error, message::TERMINATED_WITH_ERRORS)
    } else {
        (OperationPhase::Failed, message::TERMINATED)
    };
    step.output(phase, message.to_owned())
}

/// What a pass ends with: phase and message.
type Outcome = (OperationPhase, String);

/// A pass at work. Sets of tasks are places in `tasks`, in order.
struct Step<'a> {
    input: &'a StepInput,
    assessor: &'a Assessor,
    asks: &'a mut dyn Asks,
    tasks: Vec<Task>,
    ledger: Ledger,
}

impl<'a> Step<'a> {
    /// S1: builds the task list (SYNC-044).
    async fn plan(
        input: &'a StepInput,
        mut ledger: Ledger,
        assessor: &'a Assessor,
        memo: &mut TargetMemo,
        asks: &'a mut dyn Asks,
    ) -> (Self, bool) {
        let targets = memo.targets(
            &input.targets,
            &input.app,
            &input.kinds,
            input.options.version,
        );
        let plan = plan::build(input, &targets, &mut ledger, asks).await;
        (
            Self {
                input,
                assessor,
                asks,
                tasks: plan.tasks,
                ledger,
            },
            plan.valid,
        )
    }

    /// The output of the pass, with results for people to read (SYNC-086).
    fn output(self, phase: OperationPhase, message: String) -> StepOutput {
        let mut results = self.ledger.into_results();
        message::augment(&mut results, &self.input.kinds);
        StepOutput {
            phase,
            message,
            results,
        }
    }

    /// The outcome of an invalid task list (SYNC-044); before 3.5 it gave no reasons.
    fn not_valid(&self) -> Outcome {
        if self.input.options.version < ArgoVersion::V3_5 {
            return (OperationPhase::Failed, message::NOT_VALID.to_owned());
        }
        let failed = self
            .ledger
            .results()
            .iter()
            .filter(|result| result.status == Some(ResultCode::SyncFailed));
        let reasons = message::distinct(failed.map(|result| result.message.as_str()), "; ");
        let mut text = message::NOT_VALID.to_owned();
        if !reasons.is_empty() {
            text = format!("{text}: {reasons}");
        }
        (OperationPhase::Failed, text)
    }

    /// S2 to S12.
    async fn sync(&mut self) -> Outcome {
        // S2: a failed namespace task of this very pass counts as a start (SYNC-045).
        if self.ledger.is_empty()
            && let Some(outcome) = self.before_the_start().await
        {
            return outcome;
        }
        self.refresh_running(); // S5
        if let Some(outcome) = self.wait_for_running().await {
            return outcome; // S6
        }
        let terminating = self.places(Self::is_pruned_and_terminating);
        if !terminating.is_empty() {
            return self.waiting(&terminating, WaitingFor::Deletion); // S7
        }
        self.strip_completed_hooks().await; // S8
        let sets = self.sets(); // S9
        let failed = |task: &Task| task.completed() && !task.successful();
        if sets.tasks.iter().any(|&place| failed(&self.tasks[place])) {
            self.delete_hooks(&sets.delete_on_failure).await;
            return self.fail(&sets, message::TASKS_UNSUCCESSFUL).await.0; // S10
        }
        self.next_wave(&sets).await // S11, S12
    }

    /// S3 and S4: the destination namespace for real, then everything dry.
    async fn before_the_start(&mut self) -> Option<Outcome> {
        let namespace = self
            .tasks
            .iter()
            .position(|task| self.creates_destination(task));
        if let Some(place) = namespace
            && self.run(&[place], false).await == RunState::Failed
        {
            let reason = &self.tasks[place].message;
            let text = format!("the namespace failed to apply, reason: {reason}");
            return Some((OperationPhase::Failed, text)); // SYNC-046
        }
        let all: Vec<usize> = (0..self.tasks.len())
            .filter(|place| Some(*place) != namespace)
            .collect();
        let all = self.out_of_sync_only(all);
        // A pending state, that is an unconfirmed prune, is passed over (SYNC-047, SYNC-182).
        if self.run(&all, true).await == RunState::Failed {
            return Some((OperationPhase::Failed, message::DRY_RUN_FAILED.to_owned()));
        }
        None
    }

    /// Whether the task makes the destination namespace, which is not there yet (SYNC-046).
    fn creates_destination(&self, task: &Task) -> bool {
        task.live.is_none()
            && task.target.is_some()
            && task.key.group.is_empty()
            && task.key.kind == "Namespace"
            && task.key.name == self.input.app.namespace
    }

    fn is_pruned_and_terminating(task: &Task) -> bool {
        task.status == Some(ResultCode::Pruned)
            && task
                .live
                .as_deref()
                .is_some_and(wavetank_model::object::is_terminating)
    }

    /// S9: who is deleted when, and what belongs to the failure phase (SYNC-053).
    fn sets(&self) -> Sets {
        use wavetank_model::argo::DeletePolicy::{HookFailed, HookSucceeded};
        let deletable = |task: &Task, policy| {
            task.hook && task.live.is_some() && !task.running() && task.has_policy(policy)
        };
        let failure_phase = |task: &Task| task.phase == Phase::SyncFail;
        Sets {
            delete_on_success: self.places(|task| deletable(task, HookSucceeded)),
            delete_on_failure: self.places(|task| deletable(task, HookFailed)),
            on_failure: self.places(failure_phase),
            tasks: self.places(|task| !failure_phase(task)),
        }
    }

    /// S11 and S12: selects the next wave and runs it (SYNC-055, SYNC-056).
    async fn next_wave(&mut self, sets: &Sets) -> Outcome {
        let pending = sets
            .tasks
            .iter()
            .copied()
            .filter(|&place| self.tasks[place].pending())
            .collect();
        let pending = self.out_of_sync_only(pending);
        let (Some(&first), Some(&last)) = (pending.first(), pending.last()) else {
            self.delete_hooks(&sets.delete_on_success).await;
            return (OperationPhase::Succeeded, message::NO_MORE_TASKS.to_owned());
        };
        let slot = |task: &Task| (task.phase, task.wave());
        let (phase, wave) = slot(&self.tasks[first]);
        let is_final = slot(&self.tasks[last]) == (phase, wave);
        let (current, remaining): (Vec<usize>, Vec<usize>) = pending
            .into_iter()
            .partition(|&place| slot(&self.tasks[place]) == (phase, wave));
        let state = self.run(&current, false).await;
        if state == RunState::Failed {
            return self.wave_failed(&current, sets).await;
        }
        if let Err(error) = self.asks.wave_delay(phase, wave, is_final).await {
            self.terminate_hooks(&current).await;
            return (
                OperationPhase::Error,
                format!("SyncWaveHook failed: {error}"),
            );
        }
        if state == RunState::Pending {
            let held =
                |task: &Task| task.deletes_before_creation() || (task.is_prune() && task.pending());
            let held: Vec<usize> = current
                .into_iter()
                .filter(|&place| held(&self.tasks[place]))
                .collect();
            return self.waiting(&held, WaitingFor::Deletion);
        }
        if remaining.is_empty() && !current.iter().any(|&place| self.tasks[place].hook) {
            self.delete_hooks(&sets.delete_on_success).await;
            return (OperationPhase::Succeeded, message::ALL_TASKS_RUN.to_owned());
        }
        self.waiting(&current, WaitingFor::Health)
    }

    /// The places of the tasks that fit.
    fn places(&self, fits: impl Fn(&Task) -> bool) -> Vec<usize> {
        (0..self.tasks.len())
            .filter(|&place| fits(&self.tasks[place]))
            .collect()
    }

    /// Phase Running with the waiting message over a set (SYNC-082).
    fn waiting(&self, set: &[usize], what: WaitingFor) -> Outcome {
        let tasks: Vec<&Task> = set.iter().map(|&place| &self.tasks[place]).collect();
        let text = message::waiting(&tasks, what, |task| self.needs_confirmation(task));
        (OperationPhase::Running, text)
    }

    /// The filter of `ApplyOutOfSyncOnly=true`: drops resources that are there and in sync (SYNC-058, SYNC-195).
    fn out_of_sync_only(&self, set: Vec<usize>) -> Vec<usize> {
        if !self.input.options.apply_out_of_sync_only {
            return set;
        }
        let options = &self.input.options;
        // The comparison knows nothing of a namespace that only the engine wants (SYNC-104).
        let compared = |task: &Task| !task.hook && !task.moved.contains(&Reason::AutoNamespace);
        let kept = |task: &Task| match (&task.target, &task.live) {
            (Some(target), Some(live)) if compared(task) => {
                compare::differs(target, live, &self.input.app, options, &self.input.answers)
            }
            _ => true,
        };
        set.into_iter()
            .filter(|&place| kept(&self.tasks[place]))
            .collect()
    }
}

/// The sets of S9 (SYNC-053).
struct Sets {
    /// Hooks to delete when the attempt succeeds.
    delete_on_success: Vec<usize>,
    /// Hooks to delete when it fails.
    delete_on_failure: Vec<usize>,
    /// The tasks of phase SyncFail.
    on_failure: Vec<usize>,
    /// All others.
    tasks: Vec<usize>,
}

#[cfg(test)]
mod tests;
