//! What became of running tasks, and waiting for them (SYNC-048, SYNC-049, SYNC-050).

use wavetank_health::{Assessor, HealthStatus};
use wavetank_json::Value;
use wavetank_model::{OperationPhase, ResultCode};

use super::{Outcome, Step};
use crate::apply::GET_FAILED;
use crate::message::WaitingFor;
use crate::plan::Task;

/// How far a hook is, by its health; `Err` when health could not be judged (SYNC-049).
pub(super) fn hook_outcome(
    assessor: &Assessor,
    task: &Task,
    live: &Value,
) -> Result<(OperationPhase, String), String> {
    let created = || {
        (
            OperationPhase::Succeeded,
            format!("{} created", task.key.name),
        )
    };
    let Some(health) = assessor
        .assess(live)
        .map_err(|failure| format!("failed to get resource health: {failure}"))?
    else {
        return Ok(created());
    };
    let phase = match health.status {
        None | Some(HealthStatus::Missing) => return Ok(created()),
        Some(HealthStatus::Healthy) => OperationPhase::Succeeded,
        Some(HealthStatus::Progressing | HealthStatus::Suspended) => OperationPhase::Running,
        Some(HealthStatus::Degraded | HealthStatus::Unknown) => OperationPhase::Failed,
    };
    Ok((phase, health.message))
}

/// What a resource's health says about its task; `None` leaves it as it is (SYNC-048, SYNC-159).
fn resource_outcome(assessor: &Assessor, live: &Value) -> Option<(OperationPhase, String)> {
    let Ok(health) = assessor.assess(live) else {
        return None;
    };
    let Some(health) = health else {
        return Some((OperationPhase::Succeeded, String::new()));
    };
    match health.status {
        Some(HealthStatus::Healthy) => Some((OperationPhase::Succeeded, health.message)),
        Some(HealthStatus::Degraded) => Some((OperationPhase::Failed, health.message)),
        _ => None,
    }
}

impl Step<'_> {
    /// S5: looks at every running task that has a live object.
    pub(super) fn refresh_running(&mut self) {
        for task in self.tasks.iter_mut().filter(|task| task.running()) {
            let Some(live) = task.live.clone() else {
                continue;
            };
            let status = task.status;
            if !task.hook {
                if let Some((phase, message)) = resource_outcome(self.assessor, &live) {
                    self.ledger.record(task, status, Some(phase), &message);
                }
                continue;
            }
            match hook_outcome(self.assessor, task, &live) {
                Ok((phase, message)) => self.ledger.record(task, status, Some(phase), &message),
                Err(error) => {
                    let message = format!("failed to get resource health: {error}");
                    self.ledger
                        .record(task, status, Some(OperationPhase::Error), &message);
                }
            }
        }
    }

    /// Whether first and last task of the whole list differ in phase or wave (SYNC-050, SYNC-166).
    fn multi_step(&self) -> bool {
        let slot = |task: &Task| (task.phase, task.wave());
        self.tasks.first().map(slot) != self.tasks.last().map(slot)
    }

    /// S6: waits for running hooks, and between waves for everything that runs.
    pub(super) async fn wait_for_running(&mut self) -> Option<Outcome> {
        let multi_step = self.multi_step();
        let waiting = self.places(|task| task.running() && (task.hook || multi_step));
        if waiting.is_empty() {
            return None;
        }
        for &place in &waiting {
            if self.tasks[place].live.is_some() {
                continue;
            }
            let task = &mut self.tasks[place];
            let found = self.asks.get(&task.resource_ref()).await;
            let (status, message) = match found {
                Ok(Some(_)) => continue,
                Ok(None) => {
                    let message = format!(
                        "Resource {} is missing, it might have been deleted",
                        task.id()
                    );
                    (Some(ResultCode::SyncFailed), message)
                }
                Err(error) => (
                    task.status,
                    format!("Failed to get live resource {}", error.behind(GET_FAILED)),
                ),
            };
            self.ledger
                .record(task, status, Some(OperationPhase::Error), &message);
        }
        Some(self.waiting(&waiting, WaitingFor::Health))
    }
}
