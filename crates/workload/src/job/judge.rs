//! What a Job's Pods say about it: how many there are to be, and whether it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::object;

use super::indexes;
use super::policy::{self, Action};
use super::status::{End, JobStatus};
use super::{BackOff, deadline_at, is_tracked};
use crate::context::Context;
use crate::pods;
use crate::read::{flag, int, list, text};

/// What is to be done about a Job's Pods.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Manage {
    Nothing,
    /// Make one Pod for each index; `None` in Jobs without indexes.
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
    /// How often each index may fail, where that is limited, and the indexes that failed for good.
    limit_per_index: Option<i64>,
    failed_indexes: BTreeSet<u32>,
    /// Failed Pods that are kept until their index is tried again, by index: they know how often it failed.
    delayed: BTreeMap<u32, Arc<Value>>,
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
            limit_per_index: int(job, &["spec", "backoffLimitPerIndex"]),
            failed_indexes: BTreeSet::new(),
            delayed: BTreeMap::new(),
            owned,
        };
        let before = |field: &str| int(job, &["status", field]).unwrap_or(0);
        let (mut new_succeeded, mut new_failed) = (0, 0);
        for (pod, failed) in view.new_ends() {
            if failed {
                new_failed += i64::from(policy::on_failure(job, pod).counts());
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
            let end = u32::try_from(completions.unwrap_or(0)).unwrap_or(0);
            view.completed.retain(|index| *index < end);
            view.succeeded = count(view.completed.len());
            view.note_failed_indexes(job, end);
        } else {
            view.succeeded =
                before("succeeded") + new_succeeded + count(view.uncounted_succeeded.len());
        }
        view
    }

    /// Which indexes failed for good, and which failed Pods wait for their successors.
    fn note_failed_indexes(&mut self, job: &Value, end: u32) {
        let Some(limit) = self.limit_per_index else {
            return;
        };
        self.failed_indexes = indexes::parse(text(job, &["status", "failedIndexes"]));
        self.failed_indexes.retain(|index| *index < end);
        let mut failed: Vec<(u32, &Arc<Value>)> = self
            .owned
            .iter()
            .filter(|pod| is_tracked(pod) && self.is_failed(pod))
            .filter_map(|pod| Some((self.index_of(pod)?, pod)))
            .collect();
        failed.sort_by_key(|(index, pod)| (*index, indexes::failures(pod)));
        for (index, pod) in &failed {
            let verdict = policy::on_failure(job, pod);
            if verdict.action == Some(Action::FailIndex)
                || (verdict.counts() && indexes::failures(pod).0 >= limit)
            {
                self.failed_indexes.insert(*index);
            }
        }
        let over = |index: &u32| {
            self.completed.contains(index)
                || self.failed_indexes.contains(index)
                || self
                    .active
                    .iter()
                    .any(|pod| self.index_of(pod) == Some(*index))
        };
        self.delayed = failed
            .into_iter()
            .filter(|(index, _)| !over(index))
            .map(|(index, pod)| (index, Arc::clone(pod)))
            .collect();
    }

    /// The failed indexes, where their failures are limited.
    pub(super) fn failed_indexes(&self) -> Option<&BTreeSet<u32>> {
        self.limit_per_index.map(|_| &self.failed_indexes)
    }

    /// The failed Pod that a new one of this index follows.
    pub(super) fn predecessor(&self, index: u32) -> Option<&Arc<Value>> {
        self.delayed.get(&index)
    }

    /// Whether a Pod that ended keeps its finalizer until its index is tried again.
    pub(super) fn is_delayed(&self, pod: &Value) -> bool {
        self.delayed
            .values()
            .any(|delayed| object::uid(delayed) == object::uid(pod))
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

    /// Whether the Job is over: decided earlier, failed, out of time, or successful by its policy (API-330…332).
    pub(super) fn end(
        &self,
        job: &Value,
        status: &JobStatus,
        context: &Context<'_>,
    ) -> Option<End> {
        if let Some(end) = status.announced() {
            return Some(end);
        }
        let verdicts = self.owned.iter().filter(|pod| self.is_failed(pod));
        for verdict in verdicts.map(|pod| policy::on_failure(job, pod)) {
            if let Some(message) = verdict.failure() {
                return Some(End::failure("PodFailurePolicy", message));
            }
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
        if late {
            return Some(End::failure(
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ));
        }
        if !self.indexed {
            return None;
        }
        self.end_by_indexes(job)
    }

    /// Whether too many indexes failed, or enough succeeded.
    fn end_by_indexes(&self, job: &Value) -> Option<End> {
        let failed = count(self.failed_indexes.len());
        let max = int(job, &["spec", "maxFailedIndexes"]);
        if self.limit_per_index.is_some() && max.is_some_and(|max| failed > max) {
            return Some(End::failure(
                "MaxFailedIndexesExceeded",
                "Job has exceeded the specified maximal number of failed indexes",
            ));
        }
        if failed > 0 && failed + self.succeeded >= self.completions.unwrap_or(0) {
            return Some(End::failure("FailedIndexes", "Job has failed indexes"));
        }
        policy::on_success(job, &self.completed)
            .map(|message| End::success("SuccessPolicy", &message))
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

    /// What is to be done so that as many Pods run as should. `back_off` is that of the whole Job; an index has its own
    /// where failures are limited per index, from when its last Pod `ended`.
    pub(super) fn manage(
        &self,
        job: &Value,
        back_off: BackOff,
        ended: &dyn Fn(&Value) -> SimTime,
        now: SimTime,
    ) -> Manage {
        let active = count(self.active.len());
        let wanted = match self.completions {
            _ if self.suspended => 0,
            None if self.succeeded > 0 => active,
            None => self.parallelism,
            Some(completions) => (completions - self.succeeded).min(self.parallelism).max(0),
        };
        let surplus = self.surplus(usize::try_from(active - wanted).unwrap_or(0));
        if !surplus.is_empty() {
            return Manage::Delete(surplus);
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
            return Manage::Nothing;
        }
        if self.limit_per_index.is_none() && back_off.until() > now {
            return Manage::Wait(back_off.until());
        }
        if !self.indexed {
            return Manage::Create(vec![None; missing]);
        }
        let pending = self.pending_indexes(missing);
        if self.limit_per_index.is_none() {
            return Manage::Create(pending.into_iter().map(Some).collect());
        }
        let due = |index: &u32| {
            self.delayed.get(index).map_or(SimTime::ZERO, |pod| {
                let (counted, ignored) = indexes::failures(pod);
                BackOff {
                    failures: u32::try_from(counted + ignored + 1).unwrap_or(u32::MAX),
                    last: ended(pod),
                }
                .until()
            })
        };
        let ready: Vec<Option<u32>> = pending
            .iter()
            .filter(|index| due(index) <= now)
            .map(|index| Some(*index))
            .collect();
        match pending.iter().map(due).min() {
            Some(at) if ready.is_empty() => Manage::Wait(at),
            Some(_) => Manage::Create(ready),
            None => Manage::Nothing,
        }
    }

    /// The first indexes that no Pod is for and that are not over.
    fn pending_indexes(&self, most: usize) -> Vec<u32> {
        let busy: BTreeSet<u32> = self
            .owned
            .iter()
            .filter(|pod| {
                pods::is_active(pod) || (self.replaces_failed_only && pods::is_terminating(pod))
            })
            .filter_map(|pod| self.index_of(pod))
            .collect();
        let end = u32::try_from(self.completions.unwrap_or(0)).unwrap_or(0);
        (0..end)
            .filter(|index| {
                !busy.contains(index)
                    && !self.completed.contains(index)
                    && !self.failed_indexes.contains(index)
            })
            .take(most)
            .collect()
    }

    /// The Pods to be removed, at least that many: first those without an index of the Job and all but one of an index.
    fn surplus(&self, at_least: usize) -> Vec<Arc<Value>> {
        let mut left = self.active.clone();
        pods::rank_for_removal(&mut left);
        let mut removed = Vec::new();
        if self.indexed {
            let mut kept = BTreeSet::new();
            // Those that are removed first stand first.
            left.reverse();
            left.retain(|pod| {
                let keeps = self.index_of(pod).is_some_and(|index| kept.insert(index));
                if !keeps {
                    removed.push(Arc::clone(pod));
                }
                keeps
            });
            left.reverse();
        }
        let more = at_least.saturating_sub(removed.len());
        removed.extend(left.into_iter().take(more));
        removed.truncate(pods::BURST);
        removed
    }
}
