//! The steps of a scenario, one after another.

use std::sync::Arc;
use std::time::Duration;

use wavetank_kernel::SimTime;
use wavetank_model::{EventPattern, Propagation, Subject, Verb};
use wavetank_scenario::{Expectations, Step, StepAction, SyncRequest};
use wavetank_trace::Event;

use crate::actions::{self, Actions};
use crate::recorder::{Place, WatchId};
use crate::shared::{Pretty, Shared, Until, Waited};
use crate::user::User;

/// From the last change to the next step that acts.
const PAUSE: Duration = Duration::from_millis(100);

/// How the steps ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All were carried out; what failed on the way is listed.
    Completed(Vec<StepFailure>),
    /// The run does not settle: exit code 2.
    NotSettled {
        /// Why.
        reason: String,
        /// What failed before.
        failures: Vec<StepFailure>,
    },
}

/// A step that could not do what it says: exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFailure {
    /// Position in `steps`, from 0; `None` for a bound action.
    pub step: Option<usize>,
    /// What went wrong.
    pub text: String,
}

pub(crate) struct Steps {
    shared: Arc<Shared>,
    actions: Arc<Actions>,
    user: User,
    failures: Vec<StepFailure>,
    /// Where the last step ended: at what it waited for, or did. On a real cluster time goes on until the next one begins.
    since: Option<Place>,
}

impl Steps {
    pub(crate) fn new(shared: Arc<Shared>, actions: Arc<Actions>, user: User) -> Self {
        Self {
            shared,
            actions,
            user,
            failures: Vec::new(),
            since: None,
        }
    }

    /// Runs all steps and then until quiet.
    pub(crate) async fn run(mut self) -> Ended {
        let scenario = Arc::clone(&self.shared.scenario);
        self.actions.arm(&scenario.on);
        self.shared.faults.arm(&scenario.faults, None);
        for (index, step) in scenario.steps.iter().enumerate() {
            if let Err(reason) = self.step(index, step).await {
                return self.not_settled(reason);
            }
        }
        if let Err(reason) = self.finish(scenario.settle, &scenario.expect).await {
            return self.not_settled(reason);
        }
        self.failures.extend(self.actions.failures());
        Ended::Completed(self.failures)
    }

    fn not_settled(mut self, reason: String) -> Ended {
        if self.shared.recorder.is_lost() {
            // What did not happen so far is no failure: it was not waited for.
            return Ended::Completed(self.failures);
        }
        self.failures.extend(self.actions.failures());
        Ended::NotSettled {
            reason,
            failures: self.failures,
        }
    }

    async fn step(&mut self, index: usize, step: &Step) -> Result<(), String> {
        self.come_to(&step.action).await;
        let name = step
            .name
            .clone()
            .unwrap_or_else(|| step.action.keyword().to_owned());
        self.shared
            .recorder
            .push(Event::StepStarted { index, name });
        let armed = self.actions.arm(&step.on);
        let faults = self.shared.faults.arm(&step.faults, Some(index));
        let running_is_fine = expects_running(step.expect.as_ref());
        let before = self.shared.recorder.last_of_user();
        let began = self.since.take();
        let done = self.act(index, &step.action, began, running_is_fine).await;
        if self.since.is_none() {
            self.since = Some(self.end_of(&step.action, before));
        }
        self.actions.disarm(armed);
        self.shared.faults.disarm(faults);
        self.shared.recorder.push(Event::StepEnded { index });
        done
    }

    /// Where a step ended that waited for no event: at the last change that it made itself, or now.
    fn end_of(&self, action: &StepAction, before: Option<Place>) -> Place {
        let own = self.shared.recorder.last_of_user();
        let acts = matches!(
            action,
            StepAction::Apply(_) | StepAction::Patch { .. } | StepAction::Delete { .. }
        );
        own.filter(|_| acts && own != before)
            .unwrap_or_else(|| self.shared.recorder.place())
    }

    /// Nobody acts in the very instant of a change: an action comes [`PAUSE`] after the last one, when the engine's
    /// view has seen what is there.
    async fn come_to(&self, action: &StepAction) {
        let acts = !matches!(
            action,
            StepAction::Advance(_) | StepAction::Wait { .. } | StepAction::Settle
        );
        if let Some(last) = self.shared.recorder.last_effect().filter(|_| acts) {
            self.shared.clock.sleep_until(last + PAUSE).await;
        }
    }

    /// `began` is where the step before ended. `Err` says why the run has to be given up.
    async fn act(
        &mut self,
        index: usize,
        action: &StepAction,
        began: Option<Place>,
        running_is_fine: bool,
    ) -> Result<(), String> {
        let start = self.shared.clock.now();
        match action {
            StepAction::Sync(request) => self.sync(index, request, running_is_fine).await,
            StepAction::Plan => {
                self.shared.plan().await;
                Ok(())
            }
            StepAction::Refresh => match self.shared.request_refresh() {
                Ok(number) => {
                    let waited = self.shared.wait(Until::Refreshed(number), None).await;
                    self.judge_quiet(waited, true)
                }
                Err(text) => {
                    self.fail(index, text);
                    Ok(())
                }
            },
            StepAction::DeleteApp { cascade, until } => {
                self.delete_app(index, *cascade, until.as_ref()).await
            }
            StepAction::Advance(time) => self.advance(*time).await,
            StepAction::Wait { event, within } => {
                // On a real cluster it may have come since the step before ended.
                let recorder = &self.shared.recorder;
                let began = began.unwrap_or_else(|| recorder.place());
                let id = recorder.watch_since(event.clone(), began);
                let waited = self.wait_for_watched(id, Some(start + *within)).await;
                self.judge_wait(index, event, *within, waited, running_is_fine)
            }
            StepAction::Settle => {
                let waited = self
                    .shared
                    .wait(Until::Quiet { actions: false }, None)
                    .await;
                self.judge_quiet(waited, running_is_fine)
            }
            other => {
                if let Err(text) = actions::perform(&self.shared, &self.user, other).await {
                    self.fail(index, text);
                }
                Ok(())
            }
        }
    }

    async fn sync(
        &mut self,
        index: usize,
        request: &SyncRequest,
        running_is_fine: bool,
    ) -> Result<(), String> {
        // Watched first: on a real cluster the operation starts while the request returns.
        let until = request.until.as_ref();
        let watched = until.map(|event| self.shared.recorder.watch(event.clone()));
        let number = match self.shared.request_sync(request) {
            Ok(number) => number,
            Err(text) => {
                if let Some(id) = watched {
                    self.shared.recorder.unwatch(id);
                }
                self.fail(index, text);
                return Ok(());
            }
        };
        let waited = match watched {
            Some(id) => self.wait_for_watched(id, None).await,
            None => self.shared.wait(Until::OperationEnds(number), None).await,
        };
        match (waited, until) {
            (Waited::Done, _) => Ok(()),
            (Waited::Quiet, Some(event)) if !self.shared.operation_is_running() => {
                self.fail(index, format!("`{event}` did not happen before the operation ended and nothing more happens"));
                Ok(())
            }
            (waited, _) => self.judge_quiet(waited, running_is_fine),
        }
    }

    /// Waits for an event that is noticed already: where it came is where the step ends.
    async fn wait_for_watched(&mut self, id: WatchId, deadline: Option<SimTime>) -> Waited {
        let (waited, came) = self.shared.wait_for_watched(id, deadline).await;
        self.since = came;
        waited
    }

    async fn delete_app(
        &mut self,
        index: usize,
        cascade: Option<Propagation>,
        until: Option<&EventPattern>,
    ) -> Result<(), String> {
        let deleted = EventPattern {
            subject: Subject::App,
            verb: Verb::Deleted,
        };
        // Watched first: without finalizers the app is gone at once.
        let id = self
            .shared
            .recorder
            .watch(until.cloned().unwrap_or(deleted));
        if let Err(text) = self.shared.delete_app(cascade) {
            self.shared.recorder.unwatch(id);
            self.fail(index, text);
            return Ok(());
        }
        match self.wait_for_watched(id, None).await {
            Waited::GivenUp(reason) => Err(reason),
            Waited::Quiet if !self.shared.is_app_deleted() => {
                let now = self.shared.clock.now();
                Err(format!(
                    "stuck at {now}: the application is being deleted, nothing more happens"
                ))
            }
            Waited::Quiet => {
                let event = until.map(ToString::to_string).unwrap_or_default();
                self.fail(
                    index,
                    format!("`{event}` did not happen before the application was deleted"),
                );
                Ok(())
            }
            Waited::Done | Waited::TimedOut => Ok(()),
        }
    }

    async fn advance(&mut self, time: Duration) -> Result<(), String> {
        let end = self.shared.clock.now() + time;
        // Never stuck: time passes whatever happens. The wait ends early only when the run is to be given up.
        loop {
            let now = self.shared.clock.now();
            if now >= end {
                return Ok(());
            }
            if let Waited::GivenUp(reason) = self.shared.pass_time(end).await {
                return Err(reason);
            }
        }
    }

    fn judge_wait(
        &mut self,
        index: usize,
        event: &EventPattern,
        within: Duration,
        waited: Waited,
        running_is_fine: bool,
    ) -> Result<(), String> {
        match waited {
            Waited::Done => Ok(()),
            Waited::TimedOut => {
                self.fail(
                    index,
                    format!("`{event}` did not happen within {}", Pretty(within)),
                );
                Ok(())
            }
            Waited::Quiet if !self.shared.operation_is_running() => {
                self.fail(
                    index,
                    format!("`{event}` did not happen, and nothing more happens"),
                );
                Ok(())
            }
            other => self.judge_quiet(other, running_is_fine),
        }
    }

    /// Quiet with the operation Running is stuck (format, section 10), unless that is expected.
    fn judge_quiet(&self, waited: Waited, running_is_fine: bool) -> Result<(), String> {
        match waited {
            Waited::GivenUp(reason) => Err(reason),
            Waited::Quiet if self.shared.operation_is_running() && !running_is_fine => {
                Err(self.shared.why_stuck())
            }
            Waited::Done | Waited::Quiet | Waited::TimedOut => Ok(()),
        }
    }

    async fn finish(&mut self, settle: bool, expect: &Expectations) -> Result<(), String> {
        let running_is_fine = expects_running(Some(expect));
        if settle {
            let waited = self.shared.wait(Until::Quiet { actions: true }, None).await;
            return self.judge_quiet(waited, running_is_fine);
        }
        // The run does not end before a delayed action fired.
        while self.shared.recorder.pending_waiters() > 0 {
            if let Waited::GivenUp(reason) = self
                .shared
                .pass_time(self.shared.clock.now() + Duration::from_secs(1))
                .await
            {
                return Err(reason);
            }
        }
        Ok(())
    }

    fn fail(&mut self, step: usize, text: String) {
        self.failures.push(StepFailure {
            step: Some(step),
            text,
        });
    }
}

fn expects_running(expect: Option<&Expectations>) -> bool {
    expect
        .and_then(|expect| expect.operation.as_ref())
        .and_then(|operation| operation.phase.as_deref())
        == Some("Running")
}
