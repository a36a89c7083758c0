//! Pods (SYNC-115).

use wavetank_model::argo;

use crate::condition::conditions;
use crate::status::{Health, HealthStatus};
use crate::typed::{Result, Struct};

/// Treats the Pod as if it were to run for ever, unless it is a hook.
const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";

pub(crate) fn assess(pod: Struct<'_>) -> Result<Health> {
    let annotations = pod.get("metadata")?.get("annotations")?;
    let ignores_policy =
        annotations.text(IGNORE_RESTART_POLICY, "string")? == "true" && !is_hook(annotations)?;
    judge(pod, ignores_policy)
}

/// The annotation meant nothing (SYNC-227).
pub(crate) fn assess_before_3_6(pod: Struct<'_>) -> Result<Health> {
    judge(pod, false)
}

fn judge(pod: Struct<'_>, ignores_policy: bool) -> Result<Health> {
    let (spec, status) = (pod.get("spec")?, pod.get("status")?);
    let policy = spec.text("restartPolicy", "v1.RestartPolicy")?;
    let phase = status.text("phase", "v1.PodPhase")?;
    let message = status.text("message", "string")?;
    let containers = containers(status, "containerStatuses")?;
    let init_containers = self::containers(status, "initContainerStatuses")?;
    let ready = conditions(status, "v1.PodConditionType")?
        .iter()
        .find(|condition| condition.kind == "Ready")
        .is_some_and(crate::condition::Condition::is_true);
    let runs_on = policy == "Always" || ignores_policy;

    if runs_on {
        let stuck: Vec<&str> = containers.iter().filter_map(Container::stuck).collect();
        if !stuck.is_empty() {
            return Ok(Health::degraded(stuck.join(", ")));
        }
    }
    let health = match phase {
        "Pending" => HealthStatus::Progressing,
        "Succeeded" => HealthStatus::Healthy,
        "Failed" if message.is_empty() => {
            let reason = init_containers
                .iter()
                .chain(&containers)
                .find_map(Container::failure);
            return Ok(Health::degraded(reason.unwrap_or_default()));
        }
        "Failed" => HealthStatus::Degraded,
        "Running" if runs_on && ready => HealthStatus::Healthy,
        "Running" if runs_on && containers.iter().any(|container| container.ended_before) => {
            HealthStatus::Degraded
        }
        "Running" if runs_on || matches!(policy, "OnFailure" | "Never") => {
            HealthStatus::Progressing
        }
        _ => HealthStatus::Unknown,
    };
    Ok(Health::new(health, message))
}

/// Whether annotations make a hook (SYNC-017).
fn is_hook(annotations: Struct<'_>) -> Result<bool> {
    let hook = annotations.text(argo::HOOK, "string")?;
    let helm = annotations.text(argo::HELM_HOOK, "string")?;
    if annotations.has(argo::HOOK) {
        return Ok(argo::items(hook)
            .into_iter()
            .filter_map(argo::HookType::parse)
            .ne([argo::HookType::Skip]));
    }
    Ok(annotations.has(argo::HELM_HOOK) && helm != "crd-install")
}

/// What the rules need of one container status.
struct Container<'a> {
    name: &'a str,
    waiting: Option<Reason<'a>>,
    terminated: Option<(Reason<'a>, i64)>,
    ended_before: bool,
}

/// Reason and message of a container state.
struct Reason<'a> {
    reason: &'a str,
    message: &'a str,
}

impl<'a> Reason<'a> {
    fn of(state: Struct<'a>) -> Result<Self> {
        Ok(Self {
            reason: state.text("reason", "string")?,
            message: state.text("message", "string")?,
        })
    }
}

impl<'a> Container<'a> {
    /// The message when the container waits for something that failed.
    fn stuck(&self) -> Option<&'a str> {
        let Reason { reason, message } = self.waiting.as_ref()?;
        (reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff"))
            .then_some(message)
    }

    /// Why it ended, if it tells.
    fn failure(&self) -> Option<String> {
        let (Reason { reason, message }, exit_code) = self.terminated.as_ref()?;
        if !message.is_empty() {
            Some((*message).to_owned())
        } else if *reason == "OOMKilled" {
            Some((*reason).to_owned())
        } else if *exit_code != 0 {
            Some(format!(
                "container {:?} failed with exit code {exit_code}",
                self.name
            ))
        } else {
            None
        }
    }
}

fn containers<'a>(status: Struct<'a>, field: &str) -> Result<Vec<Container<'a>>> {
    let read = |entry| {
        let entry = Struct::of(entry)?;
        let state = entry.get("state")?;
        let terminated = state.pointer("terminated")?;
        Ok(Container {
            name: entry.text("name", "string")?,
            waiting: state.pointer("waiting")?.map(Reason::of).transpose()?,
            terminated: terminated
                .map(|ended| Ok((Reason::of(ended)?, ended.int32("exitCode")?)))
                .transpose()?,
            ended_before: entry.get("lastState")?.pointer("terminated")?.is_some(),
        })
    };
    status.list(field)?.iter().map(read).collect()
}
