//! What somebody does: the actions of steps that take no time, and those bound to events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use wavetank_kernel::SimTime;
use wavetank_model::script::Deletion;
use wavetank_scenario::{BoundAction, StepAction};
use wavetank_trace::Event;

use crate::recorder::{Trigger, Waiter};
use crate::shared::Shared;
use crate::steps::StepFailure;
use crate::user::User;

/// Carries out an action that takes no time.
///
/// # Errors
/// What went wrong, for the reader of the scenario.
pub(crate) async fn perform(
    shared: &Shared,
    user: &User,
    action: &StepAction,
) -> Result<(), String> {
    match action {
        StepAction::Commit(commit) => shared
            .state()
            .desired
            .commit(commit)
            .map(drop)
            .map_err(|error| error.to_string()),
        StepAction::Apply(objects) => user.apply(objects).await,
        StepAction::Patch { target, merge } => user.patch(target, merge).await,
        StepAction::Delete {
            target,
            propagation,
            force,
        } => user.delete(target, *propagation, *force).await,
        StepAction::Plan => {
            shared.plan().await;
            Ok(())
        }
        StepAction::Terminate => shared.terminate(),
        StepAction::App(merge) => shared.patch_app(merge),
        StepAction::Refresh => shared.request_refresh().map(drop),
        StepAction::DeleteApp { cascade, .. } => shared.delete_app(*cascade),
        StepAction::ConfirmPrune | StepAction::ConfirmDelete => {
            shared.confirm();
            Ok(())
        }
        StepAction::RestartEngine => {
            shared.restart_engine();
            Ok(())
        }
        // The format refuses them here.
        other => Err(format!(
            "the action `{}` takes time and cannot be bound to an event",
            other.keyword()
        )),
    }
}

/// Arms what deletions wait for: `deletion: {until: …}` of the scenario's `workloads`.
pub(crate) fn arm_deletions(shared: &Shared) {
    for (rule, workload) in shared.scenario.workloads.iter().enumerate() {
        if let Some(Deletion::Until(event)) = &workload.deletion {
            let waiter = Waiter::Deletions(rule);
            shared.recorder.arm(waiter, event.clone(), 1);
        }
    }
}

/// Lets deletions go that waited for the event of a workload rule.
pub(crate) fn release(shared: &Shared, rule: usize) {
    shared.cluster.release(rule);
    shared.recorder.waiter_done();
}

/// The bound actions of a run, numbered in the order they were armed.
pub(crate) struct Actions {
    shared: Arc<Shared>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    actions: Vec<Armed>,
    failures: Vec<StepFailure>,
}

struct Armed {
    action: BoundAction,
    fired: bool,
}

impl Actions {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms actions; gives their numbers.
    pub(crate) fn arm(&self, actions: &[BoundAction]) -> std::ops::Range<usize> {
        let mut known = self.lock();
        let first = known.actions.len();
        for action in actions {
            self.shared.recorder.arm(
                Waiter::Action(known.actions.len()),
                action.event.clone(),
                action.nth,
            );
            known.actions.push(Armed {
                action: action.clone(),
                fired: false,
            });
        }
        first..known.actions.len()
    }

    /// Disarms actions that have not been triggered.
    pub(crate) fn disarm(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.shared.recorder.disarm(Waiter::Action(number));
        }
    }

    /// What went wrong so far, and the actions that never fired.
    pub(crate) fn failures(&self) -> Vec<StepFailure> {
        let mut known = self.lock();
        let mut failures = std::mem::take(&mut known.failures);
        for armed in known
            .actions
            .iter()
            .filter(|armed| !armed.fired && !armed.action.optional)
        {
            let BoundAction {
                name, event, nth, ..
            } = &armed.action;
            let times = if *nth > 1 {
                format!(" {nth} times")
            } else {
                String::new()
            };
            failures.push(StepFailure {
                step: None,
                text: format!("do/{name} never fired: `{event}` did not happen{times}"),
            });
        }
        failures
    }

    /// Carries out what is triggered, each at its time. Never ends; spawn it and abort it at the end.
    pub(crate) async fn serve(
        self: Arc<Self>,
        mut triggers: UnboundedReceiver<Trigger>,
        user: User,
    ) {
        let mut running = futures::stream::FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                trigger = triggers.next() => {
                    let Some(trigger) = trigger else { return };
                    match trigger.waiter {
                        Waiter::Action(number) => {
                            let action = Arc::clone(&self).fire(number, trigger.at, user.clone());
                            running.push(action);
                        }
                        Waiter::Deletions(rule) => release(&self.shared, rule),
                    }
                }
                Some(()) = running.next(), if !running.is_empty() => {}
            }
        }
    }

    async fn fire(self: Arc<Self>, number: usize, at: SimTime, user: User) {
        let action = self.lock().actions[number].action.clone();
        self.shared.clock.sleep_until(at + action.delay).await;
        self.lock().actions[number].fired = true;
        self.shared.recorder.push(Event::Do {
            name: action.name.clone(),
        });
        for step in &action.actions {
            if let Err(text) = perform(&self.shared, &user, step).await {
                let text = format!("do/{}: {text}", action.name);
                self.lock().failures.push(StepFailure { step: None, text });
            }
        }
        self.shared.recorder.waiter_done();
    }
}
