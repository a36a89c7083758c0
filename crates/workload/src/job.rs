//! The Job controller (API-326…338).
//!
//! Known differences: `podFailurePolicy`, `successPolicy` and `backoffLimitPerIndex` are not carried out; such a Job is
//! left alone and named among the problems ([`crate::Controllers::problems`]).

mod indexes;
mod judge;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::{DeleteOptions, ObjectKey, PatchType, Propagation, Status, object, timestamp};

use self::judge::{Manage, View};
use self::status::JobStatus;
use crate::context::{Again, Context, MANAGER};
use crate::latency;
use crate::pods;
use crate::read::{at, condition, int, is_true, list, text};

/// The finalizer that keeps a Pod until it is counted.
pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// What the controller remembers beside the objects.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// Failures since the last success, and when the last one was, by the Job's uid.
    back_off: BTreeMap<String, BackOff>,
    /// When Pods ended, by uid: statuses tell it in whole seconds only.
    ended: BTreeMap<String, SimTime>,
}

/// How often a Job's Pods failed in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackOff {
    failures: u32,
    last: SimTime,
}

impl BackOff {
    /// When the next Pod may be made.
    fn until(self) -> SimTime {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return SimTime::ZERO;
        };
        let wait = latency::JOB_BACK_OFF
            .checked_mul(2_u32.saturating_pow(doublings))
            .unwrap_or(latency::JOB_BACK_OFF_MAX);
        self.last + wait.min(latency::JOB_BACK_OFF_MAX)
    }
}

/// Whether a Job has ended.
pub(crate) fn is_finished(job: &Value) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

/// Why the controller cannot run a Job.
pub(crate) fn unsupported(job: &Value) -> Option<&'static str> {
    ["podFailurePolicy", "successPolicy", "backoffLimitPerIndex"]
        .into_iter()
        .find(|field| at(job, &["spec", field]).is_some())
}

fn is_tracked(pod: &Value) -> bool {
    object::finalizers(pod).any(|finalizer| finalizer == TRACKING)
}

impl Jobs {
    /// A Pod ended at `now`.
    pub(crate) fn pod_ended(&mut self, uid: &str, now: SimTime) {
        self.ended.entry(uid.to_owned()).or_insert(now);
    }

    /// A Pod is gone.
    pub(crate) fn forget_pod(&mut self, uid: &str) {
        self.ended.remove(uid);
    }

    /// A Job is gone.
    pub(crate) fn forget(&mut self, uid: &str) {
        self.back_off.remove(uid);
    }

    /// Looks at one Job.
    pub(crate) fn sync(
        &mut self,
        key: &ObjectKey,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let Some(job) = context.api.get(key) else {
            return Ok(Again::Never);
        };
        let manager = text(&job, &["spec", "managedBy"]);
        if is_finished(&job)
            || unsupported(&job).is_some()
            || !matches!(manager, "" | "kubernetes.io/job-controller")
        {
            return Ok(Again::Never);
        }
        let owned = pods::of(&job, context);
        let view = View::new(&job, owned);
        let back_off = self.count_failures(&job, &view, context.now);
        let mut status = JobStatus::of(&job, context.api.timestamp());
        let suspended = view.suspended;
        if !suspended {
            status.start();
        }
        let mut again = Again::Never;
        let mut outcome = Ok(());
        let mut tally = view.tally();
        let mut end = view.end(&job, &status, context);
        if end.is_some() {
            outcome = view
                .active
                .iter()
                .try_for_each(|pod| pods::delete(pod, context));
            tally.removed(view.active.iter());
        } else {
            if !object::is_terminating(&job) {
                again = deadline(&job, &status, suspended, context);
                match view.manage(&job, back_off.until(), context.now) {
                    Manage::Nothing => {}
                    Manage::Delete(surplus) => {
                        // These do not count as failed: they are let go of before they are deleted.
                        outcome = surplus.iter().try_for_each(|pod| {
                            release_pod(pod, context).and_then(|()| pods::delete(pod, context))
                        });
                        tally.removed(surplus.iter());
                    }
                    Manage::Create(indexes) => {
                        let (made, refusal) =
                            pods::slow_start(indexes.len(), context, |number, context| {
                                context
                                    .api
                                    .create(MANAGER, blank_pod(&job, indexes[number]))
                            });
                        tally.active += i64::try_from(made).unwrap_or(i64::MAX);
                        outcome = refusal;
                    }
                    Manage::Wait(until) => {
                        again = again.or(Again::work(until.max(context.now + latency::JOB_BATCH)));
                        // The real controller reports no active Pod during the back-off. Where others are ready the
                        // server refuses that, so that the failure is not counted before the back-off is over.
                        if tally.ready > 0 {
                            return Ok(again);
                        }
                        tally.active = 0;
                    }
                }
            }
            end = view.success(&tally);
            if end.is_none() && !object::is_terminating(&job) {
                status.note_suspension(suspended);
            }
        }
        status.set_tally(&tally);
        self.track(&job, &view, status, end, back_off, context)?;
        outcome?;
        Ok(again)
    }

    /// Counts ended Pods: notes them as uncounted, takes their finalizer, adds them up (API-328, API-330).
    fn track(
        &mut self,
        job: &Value,
        view: &View,
        mut status: JobStatus,
        end: Option<status::End>,
        back_off: BackOff,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        status.count_untracked(|uid| view.is_tracked(uid));
        let mut release: Vec<&Arc<Value>> = Vec::new();
        for pod in view.owned.iter().filter(|pod| is_tracked(pod)) {
            let failed = view.is_failed(pod);
            let succeeded = text(pod, &["status", "phase"]) == "Succeeded";
            let failing = end.as_ref().is_some_and(status::End::is_failure);
            if !(object::is_terminating(job) || failed || succeeded || failing) {
                continue;
            }
            release.push(pod);
            if succeeded {
                match view.index_of(pod) {
                    Some(index) => status.complete_index(index),
                    None if !view.indexed => status.note_succeeded(object::uid(pod)),
                    None => {}
                }
            } else if failed || failing {
                status.note_failed(object::uid(pod));
            }
            if status.uncounted() >= pods::BURST {
                break;
            }
        }
        if let Some(end) = &end {
            status.announce(end);
        }
        let mut job = Arc::new(job.clone());
        if status.is_changed() {
            job = context
                .api
                .update(MANAGER, status.applied_to(&job), "status")?;
            status.stored();
            self.back_off.insert(object::uid(&job).to_owned(), back_off);
        }
        let mut held = Vec::new();
        for pod in release {
            if let Err(refusal) = release_pod(pod, context) {
                held.push((object::uid(pod), refusal));
            }
        }
        status.count_untracked(|uid| held.iter().any(|(held, _)| *held == uid));
        if let Some(end) = end {
            status.finish(&end);
        }
        if status.is_changed() {
            context
                .api
                .update(MANAGER, status.applied_to(&job), "status")?;
        }
        held.into_iter()
            .next()
            .map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// Failures in a row, with those that were not counted yet.
    fn count_failures(&self, job: &Value, view: &View, now: SimTime) -> BackOff {
        let mut back_off = self
            .back_off
            .get(object::uid(job))
            .copied()
            .unwrap_or_default();
        let mut ends: Vec<(SimTime, bool)> = view
            .new_ends()
            .map(|(pod, failed)| {
                (
                    self.ended.get(object::uid(pod)).copied().unwrap_or(now),
                    failed,
                )
            })
            .collect();
        ends.sort_unstable();
        for (at, failed) in ends {
            if failed {
                back_off = BackOff {
                    failures: back_off.failures.saturating_add(1),
                    last: at,
                };
            } else {
                back_off.failures = 0;
            }
        }
        back_off
    }
}

/// When an active Job is over its `activeDeadlineSeconds`.
fn deadline_at(job: &Value, status: &JobStatus, context: &Context<'_>) -> Option<SimTime> {
    let seconds = u64::try_from(int(job, &["spec", "activeDeadlineSeconds"])?).ok()?;
    let start = timestamp::parse(status.start_time()?)?;
    Some(context.config.epoch.sim(start) + Duration::from_secs(seconds))
}

fn deadline(job: &Value, status: &JobStatus, suspended: bool, context: &Context<'_>) -> Again {
    if suspended {
        return Again::Never;
    }
    deadline_at(job, status, context).map_or(Again::Never, Again::work)
}

/// A new Pod of the Job (API-327).
fn blank_pod(job: &Value, index: Option<u32>) -> Value {
    let name = object::name(job);
    let prefix = index.map_or_else(|| format!("{name}-"), |index| format!("{name}-{index}-"));
    let mut pod = pods::from_template(job, &prefix);
    let mut finalizers = list(&pod, &["metadata", "finalizers"]).to_vec();
    finalizers.push(TRACKING.into());
    pod["metadata"]["finalizers"] = Value::Array(finalizers);
    if let Some(index) = index {
        indexes::mark(&mut pod, name, index);
    }
    pod
}

fn release_pod(pod: &Value, context: &mut Context<'_>) -> Result<(), Status> {
    let key = ObjectKey::new("", "Pod", object::namespace(pod), object::name(pod));
    let patch = json!({"metadata": {"uid": object::uid(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING]}});
    match context
        .api
        .patch(MANAGER, &key, "", PatchType::Strategic, patch)
    {
        Err(status) if !status.is_not_found() => Err(status),
        _ => Ok(()),
    }
}

/// Takes the tracking finalizer from a Pod that has no Job any more (API-335).
pub(crate) fn sync_orphan(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(pod) = context.api.get(key).filter(|pod| is_tracked(pod)) else {
        return Ok(Again::Never);
    };
    let owner = object::controller(&pod).filter(|owner| owner.kind == "Job");
    let job = owner.and_then(|owner| {
        let job = context.api.get(&ObjectKey::new(
            "batch",
            "Job",
            key.namespace.clone(),
            owner.name,
        ))?;
        (object::uid(&job) == owner.uid).then_some(job)
    });
    // A finished Job does not look at its Pods any more.
    if job.is_none_or(|job| is_finished(&job)) {
        release_pod(&pod, context)?;
    }
    Ok(Again::Never)
}

/// Deletes a finished Job when its `ttlSecondsAfterFinished` is over (API-338).
pub(crate) fn sync_ttl(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(job) = context
        .api
        .get(key)
        .filter(|job| is_finished(job) && !object::is_terminating(job))
    else {
        return Ok(Again::Never);
    };
    let Some(ttl) =
        int(&job, &["spec", "ttlSecondsAfterFinished"]).and_then(|ttl| u64::try_from(ttl).ok())
    else {
        return Ok(Again::Never);
    };
    let end = ["Complete", "Failed"]
        .into_iter()
        .filter_map(|kind| condition(&job, kind))
        .find(|end| text(end, &["status"]) == "True");
    let finished = end.and_then(|end| timestamp::parse(text(end, &["lastTransitionTime"])));
    let at = finished.map_or(context.now, |finished| context.config.epoch.sim(finished))
        + Duration::from_secs(ttl);
    if at > context.now {
        return Ok(Again::work(at));
    }
    let options = DeleteOptions {
        propagation: Some(Propagation::Foreground),
        uid: Some(object::uid(&job).to_owned()),
        ..DeleteOptions::default()
    };
    match context.api.delete(MANAGER, key, &options) {
        Err(status) if !status.is_not_found() => Err(status),
        _ => Ok(Again::Never),
    }
}
