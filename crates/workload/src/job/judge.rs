//! What a Job's Pods say about it: how many there are to be, and whether it is over.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::object;

use super::indexes;
use super::status::{End, JobStatus};
use super::{deadline_at, is_tracked};
use crate::context::Context;
use crate::pods;
use crate::read::{flag, int, list, text};

/// What is to be done about a Job's Pods.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Manage {
    Nothing,
    /// Make one Pod for each index; `None` in Jobs without.
    Create(Vec<Option<u32>>),
    Delete(Vec<Arc<Value>>),
    /// Pods are missing, but not to be made before then.
    Wait(SimTime),
}

/// A Job's Pods, sorted out.
pub(super) struct View {
    pub(super) owned: Vec<Arc<Value>>,
    pub(super) active: Vec<Arc<Value>>,
    pub(super) suspended: bool,
    pub(super) indexed: bool,
    replaces_failed_only: bool,
    parallelism: i64,
    completions: Option<i64>,
    uncounted_succeeded: BTreeSet<String>,
    uncounted_failed: BTreeSet<String>,
    succeeded: i64,
    failed: i64,
    completed: BTreeSet<u32>,
}

/// The counters of a Job's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) active: i64,
    pub(super) ready: i64,
    pub(super) terminating: i64,
}

impl Tally {
    /// Those Pods were deleted just now.
    pub(super) fn removed<'a>(&mut self, pods: impl Iterator<Item = &'a Arc<Value>>) {
        for pod in pods {
            self.active -= 1;
            self.terminating += 1;
            self.ready -= i64::from(pods::is_ready(pod));
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl View {
    pub(super) fn new(job: &Value, owned: Vec<Arc<Value>>) -> Self {
        let uids = |field: &str| -> BTreeSet<String> {
            let listed = list(job, &["status", "uncountedTerminatedPods", field]);
            listed
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let active = owned
            .iter()
            .filter(|pod| pods::is_active(pod))
            .map(Arc::clone)
            .collect();
        let completions = int(job, &["spec", "completions"]);
        let mut view = Self {
            active,
            suspended: flag(job, &["spec", "suspend"]),
            indexed: text(job, &["spec", "completionMode"]) == "Indexed",
            replaces_failed_only: text(job, &["spec", "podReplacementPolicy"]) == "Failed",
            parallelism: int(job, &["spec", "parallelism"]).unwrap_or(1),
            completions,
            uncounted_succeeded: uids("succeeded"),
            uncounted_failed: uids("failed"),
            succeeded: 0,
            failed: 0,
            completed: BTreeSet::new(),
            owned,
        };
        let before = |field: &str| int(job, &["status", field]).unwrap_or(0);
        let (mut new_succeeded, mut new_failed) = (0, 0);
        for (_, failed) in view.new_ends() {
            if failed {
                new_failed += 1;
            } else {
                new_succeeded += 1;
            }
        }
        view.failed = before("failed") + new_failed + count(view.uncounted_failed.len());
        if view.indexed {
            view.completed = indexes::parse(text(job, &["status", "completedIndexes"]));
            let done: Vec<u32> = view
                .owned
                .iter()
                .filter(|pod| text(pod, &["status", "phase"]) == "Succeeded" && is_tracked(pod))
                .filter_map(|pod| view.index_of(pod))
                .collect();
            view.completed.extend(done);
            view.succeeded = count(view.completed.len());
        } else {
            view.succeeded =
                before("succeeded") + new_succeeded + count(view.uncounted_succeeded.len());
        }
        view
    }

    /// The Pod's completion index, in a Job that has them.
    pub(super) fn index_of(&self, pod: &Value) -> Option<u32> {
        let index: u32 = object::annotation(pod, indexes::INDEX)?.parse().ok()?;
        (self.indexed && i64::from(index) < self.completions.unwrap_or(0)).then_some(index)
    }

    /// Whether a Pod counts as failed: one that is deleted does, unless only failed Pods are replaced (API-336).
    pub(super) fn is_failed(&self, pod: &Value) -> bool {
        match text(pod, &["status", "phase"]) {
            "Failed" => true,
            "Succeeded" => false,
            _ => !self.replaces_failed_only && object::is_terminating(pod),
        }
    }

    /// Pods that ended and are in no counter yet, with whether they failed.
    pub(super) fn new_ends(&self) -> impl Iterator<Item = (&Arc<Value>, bool)> {
        self.owned
            .iter()
            .filter(|pod| is_tracked(pod))
            .filter_map(|pod| {
                let uid = object::uid(pod);
                if text(pod, &["status", "phase"]) == "Succeeded" {
                    (!self.uncounted_succeeded.contains(uid)).then_some((pod, false))
                } else if self.is_failed(pod) {
                    (!self.uncounted_failed.contains(uid)).then_some((pod, true))
                } else {
                    None
                }
            })
    }

    /// Whether the Pod of that uid is there and has its finalizer.
    pub(super) fn is_tracked(&self, uid: &str) -> bool {
        self.owned
            .iter()
            .any(|pod| object::uid(pod) == uid && is_tracked(pod))
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            active: count(self.active.len()),
            ready: count(self.active.iter().filter(|pod| pods::is_ready(pod)).count()),
            terminating: count(
                self.owned
                    .iter()
                    .filter(|pod| pods::is_terminating(pod))
                    .count(),
            ),
        }
    }

    /// Whether the Job is over: decided earlier, failed, or out of time (API-330, API-331).
    pub(super) fn end(
        &self,
        job: &Value,
        status: &JobStatus,
        context: &Context<'_>,
    ) -> Option<End> {
        if let Some(end) = status.announced() {
            return Some(end);
        }
        let limit = int(job, &["spec", "backoffLimit"]).unwrap_or(6);
        if self.failed > limit || self.restarted_too_often(job, limit) {
            return Some(End::failure(
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ));
        }
        let late = !self.suspended
            && deadline_at(job, status, context).is_some_and(|at| at <= context.now);
        late.then(|| {
            End::failure(
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            )
        })
    }

    /// With `OnFailure` restarts count as failures.
    fn restarted_too_often(&self, job: &Value, limit: i64) -> bool {
        if text(job, &["spec", "template", "spec", "restartPolicy"]) != "OnFailure" {
            return false;
        }
        let restarts: i64 = self
            .owned
            .iter()
            .filter(|pod| matches!(text(pod, &["status", "phase"]), "Running" | "Pending"))
            .flat_map(|pod| {
                ["initContainerStatuses", "containerStatuses"]
                    .map(|field| list(pod, &["status", field]))
            })
            .flatten()
            .map(|container| int(container, &["restartCount"]).unwrap_or(0))
            .sum();
        if limit == 0 {
            restarts > 0
        } else {
            restarts >= limit
        }
    }

    /// Whether the Job has its completions.
    pub(super) fn success(&self, tally: &Tally) -> Option<End> {
        let enough = match self.completions {
            None => self.succeeded > 0,
            Some(completions) => self.succeeded >= completions,
        };
        (enough && tally.active == 0).then(|| {
            End::success(
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            )
        })
    }

    /// What is to be done so that as many Pods run as should.
    pub(super) fn manage(&self, job: &Value, not_before: SimTime, now: SimTime) -> Manage {
        let active = count(self.active.len());
        let wanted = match self.completions {
            _ if self.suspended => 0,
            None if self.succeeded > 0 => active,
            None => self.parallelism,
            Some(completions) => (completions - self.succeeded).min(self.parallelism).max(0),
        };
        let surplus = usize::try_from(active - wanted)
            .unwrap_or(0)
            .min(pods::BURST);
        if surplus > 0 {
            let mut ranked = self.active.clone();
            pods::rank_for_removal(&mut ranked);
            ranked.truncate(surplus);
            return Manage::Delete(ranked);
        }
        let terminating = if self.replaces_failed_only {
            self.tally().terminating
        } else {
            0
        };
        let missing = usize::try_from(wanted - terminating - active)
            .unwrap_or(0)
            .min(pods::BURST);
        if missing == 0 || object::is_terminating(job) {
            Manage::Nothing
        } else if not_before > now {
            Manage::Wait(not_before)
        } else if self.indexed {
            let busy: BTreeSet<u32> = self
                .active
                .iter()
                .filter_map(|pod| self.index_of(pod))
                .collect();
            let last = u32::try_from(self.completions.unwrap_or(0)).unwrap_or(0);
            let free =
                (0..last).filter(|index| !busy.contains(index) && !self.completed.contains(index));
            Manage::Create(free.take(missing).map(Some).collect())
        } else {
            Manage::Create(vec![None; missing])
        }
    }
}
