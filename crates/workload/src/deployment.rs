//! The Deployment controller (API-339…346).

mod progress;
mod revision;
mod scaling;

use std::sync::Arc;

use wavetank_json::{Map, Value};
use wavetank_model::object::At;
use wavetank_model::{GroupKind, ObjectKey, Status, object};

use crate::claim;
use crate::context::{Again, Context, MANAGER};
use crate::events::Source;
use crate::read::{condition, flag, int, text, with_status};

const SOURCE: Source = Source::Controller("deployment-controller");

/// One look at one Deployment: the object as last written, and its `ReplicaSets` by name.
struct Rollout {
    deployment: Arc<Value>,
    sets: Vec<Arc<Value>>,
    /// Which of the sets has the current template.
    new: Option<usize>,
}

/// Looks at one Deployment.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(deployment) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let kind = GroupKind::new("apps", "ReplicaSet");
    let sets = claim::objects(&deployment, &kind, None, |_| true, context)?;
    let mut rollout = Rollout {
        deployment,
        sets,
        new: None,
    };
    rollout.find_new();
    if object::is_terminating(&rollout.deployment) {
        return rollout.write_counters(context);
    }
    rollout.note_pause(context)?;
    if flag(&rollout.deployment, &["spec", "paused"]) || rollout.is_rescaled() {
        rollout.sync_revision(false, context)?;
        rollout.rescale(context)?;
        return rollout.write_counters(context);
    }
    if text(&rollout.deployment, &["spec", "strategy", "type"]) == "Recreate" {
        rollout.recreate(context)
    } else {
        rollout.roll(context)
    }
}

impl Rollout {
    fn name(&self) -> &str {
        object::name(&self.deployment)
    }

    fn replicas(&self) -> i64 {
        int(&self.deployment, &["spec", "replicas"]).unwrap_or(1)
    }

    fn new_set(&self) -> Option<&Arc<Value>> {
        self.new.and_then(|index| self.sets.get(index))
    }

    /// The sets with another template that still have Pods wanted, oldest first.
    fn old_active(&self) -> Vec<usize> {
        let mut old: Vec<usize> = (0..self.sets.len())
            .filter(|index| Some(*index) != self.new && wanted(&self.sets[*index]) > 0)
            .collect();
        old.sort_by_key(|index| age(&self.sets[*index]));
        old
    }

    /// How many replicas may be missing during a rolling update.
    fn max_unavailable(&self) -> i64 {
        let replicas = self.replicas();
        if text(&self.deployment, &["spec", "strategy", "type"]) == "Recreate" || replicas == 0 {
            return 0;
        }
        self.bounds().1.min(replicas)
    }

    /// `maxSurge` and `maxUnavailable` as numbers of replicas; never both 0.
    fn bounds(&self) -> (i64, i64) {
        let rolling = self.deployment.at(&["spec", "strategy", "rollingUpdate"]);
        let read = |field: &str, up: bool| match rolling.and_then(|rolling| rolling.get(field)) {
            Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
            Some(Value::String(percent)) => share(percent, self.replicas(), up),
            _ => share("25%", self.replicas(), up),
        };
        match (read("maxSurge", true), read("maxUnavailable", false)) {
            (0, 0) => (0, 1),
            bounds => bounds,
        }
    }

    fn max_surge(&self) -> i64 {
        if text(&self.deployment, &["spec", "strategy", "type"]) == "Recreate" {
            0
        } else {
            self.bounds().0
        }
    }

    /// Writes the Deployment's status, unless it is the stored one; annotations go along (API-222).
    fn write(&mut self, status: Map, context: &mut Context<'_>) -> Result<bool, Status> {
        if self.deployment.get("status").and_then(Value::as_object) == Some(&status) {
            return Ok(false);
        }
        self.deployment =
            context
                .api
                .update(MANAGER, with_status(&self.deployment, status), "status")?;
        Ok(true)
    }

    fn recreate(&mut self, context: &mut Context<'_>) -> Result<Again, Status> {
        self.sync_revision(false, context)?;
        let old = self.old_active();
        if !old.is_empty() {
            for index in old {
                self.scale(index, 0, context)?;
            }
            return self.write_progress(context);
        }
        if self.old_pods_run(context) {
            return self.write_progress(context);
        }
        self.sync_revision(true, context)?;
        if let Some(new) = self.new {
            self.scale(new, self.replicas(), context)?;
        }
        self.clean_up_when_complete(context)?;
        self.write_progress(context)
    }

    fn old_pods_run(&self, context: &Context<'_>) -> bool {
        let old = (0..self.sets.len()).filter(|index| Some(*index) != self.new);
        old.flat_map(|index| crate::pods::of(&self.sets[index], context))
            .any(|pod| !crate::read::pod_ended(&pod))
    }

    fn roll(&mut self, context: &mut Context<'_>) -> Result<Again, Status> {
        self.sync_revision(true, context)?;
        if self.scale_new(context)? || self.scale_old(context)? {
            return self.write_progress(context);
        }
        self.clean_up_when_complete(context)?;
        self.write_progress(context)
    }

    /// Notes that the Deployment was paused or resumed (API-344). What is known of the Deployment stays that from before
    /// the write, as with the real controller: the next write of its status in this look is refused, and tried again.
    fn note_pause(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        if !progress::has_deadline(&self.deployment) {
            return Ok(());
        }
        let progressing = condition(&self.deployment, "Progressing");
        let reason = progressing
            .map(|condition| text(condition, &["reason"]))
            .unwrap_or_default();
        if reason == "ProgressDeadlineExceeded" {
            return Ok(());
        }
        let (reason, message) = match (
            flag(&self.deployment, &["spec", "paused"]),
            reason == "DeploymentPaused",
        ) {
            (true, false) => ("DeploymentPaused", "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return Ok(()),
        };
        let mut status = crate::read::status_of(&self.deployment);
        progress::set_condition(
            &mut status,
            "Progressing",
            "Unknown",
            reason,
            message,
            &context.api.timestamp(),
        );
        let noted = with_status(&self.deployment, status);
        context.api.update(MANAGER, noted.clone(), "status")?;
        self.deployment = Arc::new(noted);
        Ok(())
    }
}

/// `spec.replicas` of a `ReplicaSet`.
fn wanted(set: &Value) -> i64 {
    int(set, &["spec", "replicas"]).unwrap_or(1)
}

fn counter(set: &Value, field: &str) -> i64 {
    int(set, &["status", field]).unwrap_or(0)
}

fn age(set: &Value) -> (String, String) {
    (
        object::meta_str(set, "creationTimestamp").to_owned(),
        object::name(set).to_owned(),
    )
}

/// `percent` of `total`, rounded up or down; a text without a percent sign is a number.
fn share(percent: &str, total: i64, up: bool) -> i64 {
    let Some(number) = percent.strip_suffix('%') else {
        return percent.parse().unwrap_or(0);
    };
    let hundredths = number.parse::<i64>().unwrap_or(0).saturating_mul(total);
    if up {
        hundredths.saturating_add(99).div_euclid(100)
    } else {
        hundredths.div_euclid(100)
    }
}
