//! A Deployment's status: counters, and the conditions Progressing and Available.

use std::time::Duration;

use wavetank_json::{Map, Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::{Status, object, timestamp};

use super::{Rollout, counter, wanted};
use crate::context::{Again, Context};
use crate::read::{condition, int, set_counter, text};

/// Whether progress is to be judged.
pub(super) fn has_deadline(deployment: &Value) -> bool {
    int(deployment, &["spec", "progressDeadlineSeconds"])
        .is_some_and(|seconds| seconds < i64::from(i32::MAX))
}

/// Sets a condition, unless one of the same status and reason is there. It goes to the end; its transition time stays
/// while the status does.
pub(super) fn set_condition(
    status: &mut Map,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let same = conditions(status).iter().any(|condition| {
        text(condition, &["type"]) == kind
            && text(condition, &["status"]) == value
            && text(condition, &["reason"]) == reason
    });
    if !same {
        force_condition(status, kind, value, reason, message, now);
    }
}

/// Sets a condition, also where only its time changes.
fn force_condition(
    status: &mut Map,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let mut since = now.to_owned();
    let mut all = conditions(status).to_vec();
    all.retain(|condition| {
        let is_it = text(condition, &["type"]) == kind;
        if is_it && text(condition, &["status"]) == value {
            text(condition, &["lastTransitionTime"]).clone_into(&mut since);
        }
        !is_it
    });
    all.push(json!({
        "type": kind,
        "status": value,
        "lastUpdateTime": now,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }));
    status.insert("conditions".to_owned(), Value::Array(all));
}

fn remove_condition(status: &mut Map, kind: &str) {
    let mut all = conditions(status).to_vec();
    all.retain(|condition| text(condition, &["type"]) != kind);
    if all.is_empty() {
        status.remove("conditions");
    } else {
        status.insert("conditions".to_owned(), Value::Array(all));
    }
}

fn conditions(status: &Map) -> &[Value] {
    status
        .get("conditions")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn number(status: &Map, field: &str) -> i64 {
    status.get(field).and_then(Value::as_i64).unwrap_or(0)
}

impl Rollout {
    /// Counters and the condition Available.
    fn counters(&self, now: &str) -> Map {
        let sum = |field: &str| self.sets.iter().map(|set| counter(set, field)).sum::<i64>();
        let total: i64 = self.sets.iter().map(|set| wanted(set)).sum();
        let available = sum("availableReplicas");
        let mut status = Map::new();
        status.insert(
            "observedGeneration".to_owned(),
            object::generation(&self.deployment).into(),
        );
        set_counter(&mut status, "replicas", sum("replicas"));
        set_counter(
            &mut status,
            "updatedReplicas",
            self.new_set().map_or(0, |set| counter(set, "replicas")),
        );
        set_counter(&mut status, "readyReplicas", sum("readyReplicas"));
        set_counter(&mut status, "availableReplicas", available);
        set_counter(
            &mut status,
            "unavailableReplicas",
            (total - available).max(0),
        );
        // Unknown where a set that was looked at does not tell it (API-340).
        let untold = |set: &Value| {
            let status = |field: &str| int(set, &["status", field]);
            status("terminatingReplicas").is_none()
                && status("observedGeneration").unwrap_or(0) != 0
        };
        if !self.sets.iter().any(|set| untold(set)) {
            status.insert(
                "terminatingReplicas".to_owned(),
                sum("terminatingReplicas").into(),
            );
        }
        for field in ["collisionCount", "conditions"] {
            if let Some(value) = self
                .deployment
                .get("status")
                .and_then(|status| status.get(field))
            {
                status.insert(field.to_owned(), value.clone());
            }
        }
        let (value, reason, message) = if available >= self.replicas() - self.max_unavailable() {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        set_condition(&mut status, "Available", value, reason, message, now);
        status
    }

    /// Writes counters only.
    pub(super) fn write_counters(&mut self, context: &mut Context<'_>) -> Result<Again, Status> {
        let status = self.counters(&context.api.timestamp());
        self.write(status, context)?;
        Ok(Again::Never)
    }

    /// Whether all replicas are of the new template and available (API-341).
    pub(super) fn is_complete(&self, status: &Map) -> bool {
        let replicas = self.replicas();
        ["updatedReplicas", "replicas", "availableReplicas"]
            .iter()
            .all(|field| number(status, field) == replicas)
            && number(status, "observedGeneration") >= object::generation(&self.deployment)
    }

    /// Writes counters, and how the rollout goes on.
    pub(super) fn write_progress(&mut self, context: &mut Context<'_>) -> Result<Again, Status> {
        let now = context.api.timestamp();
        let mut status = self.counters(&now);
        let deadline = has_deadline(&self.deployment);
        if !deadline {
            remove_condition(&mut status, "Progressing");
        }
        let reason = condition(&self.deployment, "Progressing")
            .map(|condition| text(condition, &["reason"]).to_owned());
        let was_complete = number(&status, "replicas") == number(&status, "updatedReplicas")
            && reason.as_deref() == Some("NewReplicaSetAvailable");
        if deadline && !was_complete {
            self.judge_progress(&mut status, reason.as_deref(), &now, context);
        }
        self.copy_failure(&mut status);
        let wrote = self.write(status, context)?;
        Ok(if deadline && !wrote {
            self.deadline(context)
        } else {
            Again::Never
        })
    }

    fn judge_progress(
        &self,
        status: &mut Map,
        reason: Option<&str>,
        now: &str,
        context: &Context<'_>,
    ) {
        let subject = match self.new_set() {
            Some(set) => format!("ReplicaSet \"{}\"", object::name(set)),
            None => format!("Deployment \"{}\"", self.name()),
        };
        if self.is_complete(status) {
            let message = format!("{subject} has successfully progressed.");
            set_condition(
                status,
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                &message,
                now,
            );
        } else if self.has_progressed(status) {
            force_condition(
                status,
                "Progressing",
                "True",
                "ReplicaSetUpdated",
                &format!("{subject} is progressing."),
                now,
            );
        } else if reason == Some("ProgressDeadlineExceeded") || self.timed_out(context) {
            let message = format!("{subject} has timed out progressing.");
            set_condition(
                status,
                "Progressing",
                "False",
                "ProgressDeadlineExceeded",
                &message,
                now,
            );
        }
    }

    fn has_progressed(&self, status: &Map) -> bool {
        let before = |field: &str| int(&self.deployment, &["status", field]).unwrap_or(0);
        let old_before = before("replicas") - before("updatedReplicas");
        let old_now = number(status, "replicas") - number(status, "updatedReplicas");
        number(status, "updatedReplicas") > before("updatedReplicas")
            || old_now < old_before
            || number(status, "readyReplicas") > before("readyReplicas")
            || number(status, "availableReplicas") > before("availableReplicas")
    }

    /// When the rollout counts as stuck unless it goes on (API-343).
    fn deadline_at(&self, context: &Context<'_>) -> Option<SimTime> {
        let progressing = condition(&self.deployment, "Progressing")?;
        if matches!(
            text(progressing, &["reason"]),
            "NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused"
        ) {
            return None;
        }
        let seconds =
            u64::try_from(int(&self.deployment, &["spec", "progressDeadlineSeconds"])?).ok()?;
        let updated = timestamp::parse(text(progressing, &["lastUpdateTime"]))?;
        // Times in conditions are cut to seconds; a real controller adds one as well before it looks again.
        Some(context.config.epoch.sim(updated) + Duration::from_secs(seconds + 1))
    }

    fn timed_out(&self, context: &Context<'_>) -> bool {
        self.deadline_at(context)
            .is_some_and(|at| at <= context.now)
    }

    fn deadline(&self, context: &Context<'_>) -> Again {
        self.deadline_at(context)
            .filter(|at| *at > context.now)
            .map_or(Again::Never, Again::work)
    }

    /// The Deployment shows that a set cannot make Pods (API-344).
    fn copy_failure(&self, status: &mut Map) {
        let failing = self
            .new_set()
            .into_iter()
            .chain(&self.sets)
            .find_map(|set| condition(set, "ReplicaFailure"));
        let Some(failing) = failing else {
            if conditions(status)
                .iter()
                .any(|condition| text(condition, &["type"]) == "ReplicaFailure")
            {
                remove_condition(status, "ReplicaFailure");
            }
            return;
        };
        let since = text(failing, &["lastTransitionTime"]);
        set_condition(
            status,
            "ReplicaFailure",
            text(failing, &["status"]),
            text(failing, &["reason"]),
            text(failing, &["message"]),
            since,
        );
    }

    /// Deletes the oldest sets without Pods beyond the history limit.
    pub(super) fn clean_up_when_complete(
        &mut self,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let stored = self.deployment.get("status").and_then(Value::as_object);
        if !stored.is_some_and(|status| self.is_complete(status)) {
            return Ok(());
        }
        self.clean_up(context)
    }
}
