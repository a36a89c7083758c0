//! The Job controller (API-326…338).

mod indexes;
mod judge;
mod policy;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_kernel::{SimTime, doubling};
use wavetank_model::{DeleteOptions, ObjectKey, PatchType, Propagation, Status, object, timestamp};

use self::judge::{Manage, View};
use self::status::JobStatus;
use crate::claim;
use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::latency;
use crate::pods;
use crate::read::{condition, int, is_true, list, text};

const SOURCE: Source = Source::Controller("job-controller");

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
        self.last + doubling(latency::JOB_BACK_OFF, doublings, latency::JOB_BACK_OFF_MAX)
    }
}

/// Whether a Job has ended.
pub(crate) fn is_finished(job: &Value) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
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
        if is_finished(&job) || !matches!(manager, "" | "kubernetes.io/job-controller") {
            return Ok(Again::Never);
        }
        let owned = claim::pods(&job, Some(TRACKING), |_| true, context)?;
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
                .try_for_each(|pod| pods::delete(&job, pod, SOURCE, context));
            tally.removed(view.active.iter());
        } else {
            if !object::is_terminating(&job) {
                again = deadline(&job, &status, suspended, context);
                let ended = |pod: &Value| {
                    let known = self.ended.get(object::uid(pod)).copied();
                    known.unwrap_or(context.now)
                };
                match view.manage(&job, back_off, &ended, context.now) {
                    Manage::Nothing => {}
                    Manage::Delete(surplus) => {
                        // These do not count as failed: they are let go of before they are deleted.
                        outcome = surplus.iter().try_for_each(|pod| {
                            release_pod(pod, context)?;
                            pods::delete(&job, pod, SOURCE, context)
                        });
                        tally.removed(surplus.iter());
                    }
                    Manage::Create(indexes) => {
                        let (made, refusal) =
                            pods::slow_start(indexes.len(), context, |number, context| {
                                let pod = blank_pod(&job, indexes[number], &view);
                                pods::create(&job, pod, SOURCE, context)
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
                match status.note_suspension(suspended) {
                    Some(true) => say(&job, Kind::Normal, "Suspended", "Job suspended", context),
                    Some(false) => say(&job, Kind::Normal, "Resumed", "Job resumed", context),
                    None => {}
                }
            }
        }
        status.set_tally(&tally);
        self.track(job, &view, status, end, back_off, context)?;
        outcome?;
        Ok(again)
    }

    /// Counts ended Pods: notes them as uncounted, takes their finalizer, adds them up (API-328, API-330).
    fn track(
        &mut self,
        mut job: Arc<Value>,
        view: &View,
        mut status: JobStatus,
        end: Option<status::End>,
        back_off: BackOff,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        status.count_untracked(|uid| view.is_tracked(uid));
        if view.indexed {
            let end = int(&job, &["spec", "completions"]).unwrap_or(0);
            status.keep_indexes_below(u32::try_from(end).unwrap_or(0));
            status.set_failed_indexes(view.failed_indexes());
        }
        let mut release: Vec<&Arc<Value>> = Vec::new();
        for pod in view.owned.iter().filter(|pod| is_tracked(pod)) {
            let failed = view.is_failed(pod);
            let succeeded = text(pod, &["status", "phase"]) == "Succeeded";
            let failing = end.as_ref().is_some_and(status::End::is_failure);
            let over = object::is_terminating(&job) || end.is_some() || succeeded;
            if !(over || (failed && !view.is_delayed(pod))) {
                continue;
            }
            release.push(pod);
            if succeeded {
                match view.index_of(pod) {
                    Some(index) => status.complete_index(index),
                    None if !view.indexed => status.note_succeeded(object::uid(pod)),
                    None => {}
                }
            } else if (failed || failing)
                && (!view.indexed || view.index_of(pod).is_some())
                && policy::on_failure(&job, pod).counts()
            {
                status.note_failed(object::uid(pod));
            }
            if status.uncounted() >= pods::BURST {
                break;
            }
        }
        if let Some(end) = &end {
            status.announce(end);
        }
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
        let finished = end.filter(|end| status.finish(end));
        if status.is_changed() {
            context
                .api
                .update(MANAGER, status.applied_to(&job), "status")?;
        }
        match finished {
            Some(end) if end.is_failure() => {
                say(&job, Kind::Warning, end.reason(), end.message(), context);
            }
            Some(_) => say(&job, Kind::Normal, "Completed", "Job completed", context),
            None => {}
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

/// Says something about the Job.
fn say(job: &Value, kind: Kind, reason: &str, message: &str, context: &mut Context<'_>) {
    context.event(SOURCE, job, kind, reason, format_args!("{message}"));
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
fn blank_pod(job: &Value, index: Option<u32>, view: &View) -> Value {
    let name = object::name(job);
    let prefix = index.map_or_else(|| format!("{name}-"), |index| format!("{name}-{index}-"));
    let mut pod = pods::from_template(job, &prefix);
    let mut finalizers = list(&pod, &["metadata", "finalizers"]).to_vec();
    finalizers.push(TRACKING.into());
    pod["metadata"]["finalizers"] = Value::Array(finalizers);
    if let Some(index) = index {
        indexes::mark(&mut pod, name, index);
        if view.failed_indexes().is_some() {
            indexes::note_failures(&mut pod, failures_before(job, view.predecessor(index)));
        }
    }
    pod
}

/// How often an index failed before the Pod that follows `predecessor`.
fn failures_before(job: &Value, predecessor: Option<&Arc<Value>>) -> (i64, i64) {
    let Some(pod) = predecessor else {
        return (0, 0);
    };
    let (counted, ignored) = indexes::failures(pod);
    if policy::on_failure(job, pod).counts() {
        (counted + 1, ignored)
    } else {
        (counted, ignored + 1)
    }
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
