//! The `CronJob` controller (API-354).
//!
//! Known difference: schedules are read in UTC; a `timeZone` other than that is named among the problems.

use std::sync::Arc;
use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_kernel::{Load, SimTime};
use wavetank_model::cron::Schedule;
use wavetank_model::{DeleteOptions, GroupKind, ObjectKey, Propagation, Status, object, timestamp};

use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::job;
use crate::read::{
    controller_reference, flag, int, is_true, list, map, status_of, text, with_status,
};

const SOURCE: Source = Source::Controller("cronjob-controller");
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Why the controller cannot follow a `CronJob`.
pub(crate) fn unsupported(cron: &Value) -> Option<String> {
    let zone = text(cron, &["spec", "timeZone"]);
    if !matches!(zone, "" | "UTC" | "Etc/UTC") {
        return Some(format!(
            "the time zone `{zone}` of CronJobs is not simulated: the schedule is read in UTC"
        ));
    }
    let schedule = text(cron, &["spec", "schedule"]);
    let error = Schedule::parse(schedule).err()?;
    Some(format!(
        "the schedule `{schedule}` cannot be read ({error}): no Job is started"
    ))
}

/// Looks at one `CronJob`: counts its Jobs, deletes old ones, starts one when it is time.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(cron) = context
        .api
        .get(key)
        .filter(|cron| !object::is_terminating(cron))
    else {
        return Ok(Again::Never);
    };
    let mut jobs = context
        .api
        .owned(&GroupKind::new("batch", "Job"), object::uid(&cron));
    jobs.retain(|job| object::controller(job).is_some_and(|owner| owner.uid == object::uid(&cron)));
    let mut status = status_of(&cron);
    clean_up(&cron, &jobs, context)?;
    let last_success = jobs
        .iter()
        .filter(|job| is_true(job, "Complete"))
        .map(|job| text(job, &["status", "completionTime"]))
        .max();
    if let Some(last) = last_success.filter(|last| !last.is_empty()) {
        let known = status
            .get("lastSuccessfulTime")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if known < last {
            status.insert("lastSuccessfulTime".to_owned(), last.into());
        }
    }
    for job in jobs.iter().filter(|job| is_listed(&cron, job)) {
        let Some(end) = ["Complete", "Failed"]
            .into_iter()
            .find(|end| is_true(job, end))
        else {
            continue;
        };
        let message = format_args!("Saw completed job: {}, condition: {end}", object::name(job));
        context.event(SOURCE, &cron, Kind::Normal, "SawCompletedJob", message);
    }
    let mut active: Vec<Arc<Value>> = jobs
        .into_iter()
        .filter(|job| !job::is_finished(job))
        .collect();
    let mut again = Again::Never;
    if let Ok(schedule) = Schedule::parse(text(&cron, &["spec", "schedule"]))
        && !flag(&cron, &["spec", "suspend"])
    {
        if let Some(time) = due(&cron, &schedule, context)
            && let Some(started) = start(&cron, time, &mut active, context)?
        {
            active.push(started);
            status.insert(
                "lastScheduleTime".to_owned(),
                context.config.epoch.time(time).into(),
            );
        }
        again = schedule
            .after(context.config.epoch.wall(context.now))
            .map_or(Again::Never, |next| {
                Again::At(context.config.epoch.sim(next), Load::Upkeep)
            });
    }
    // A reference stays as it was made.
    let known = list(&cron, &["status", "active"]);
    let references: Vec<Value> = active
        .iter()
        .map(|job| {
            known
                .iter()
                .find(|known| text(known, &["uid"]) == object::uid(job))
                .cloned()
                .unwrap_or_else(|| reference(job))
        })
        .collect();
    if references.is_empty() {
        status.remove("active");
    } else {
        status.insert("active".to_owned(), Value::Array(references));
    }
    if map(&cron, &["status"]) != Some(&status) {
        context
            .api
            .update(MANAGER, with_status(&cron, status), "status")?;
    }
    Ok(again)
}

/// Whether the `CronJob` still lists the Job as active.
fn is_listed(cron: &Value, job: &Value) -> bool {
    list(cron, &["status", "active"])
        .iter()
        .any(|known| text(known, &["uid"]) == object::uid(job))
}

fn reference(job: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": object::name(job),
        "namespace": object::namespace(job),
        "uid": object::uid(job),
        "resourceVersion": object::resource_version(job),
    })
}

/// The latest time of the schedule since the last start that is not over its `startingDeadlineSeconds`.
fn due(cron: &Value, schedule: &Schedule, context: &Context<'_>) -> Option<SimTime> {
    let epoch = context.config.epoch;
    let since = [
        text(cron, &["status", "lastScheduleTime"]),
        object::meta_str(cron, "creationTimestamp"),
    ];
    let mut at = since
        .into_iter()
        .filter(|text| !text.is_empty())
        .find_map(timestamp::parse)?;
    let now = epoch.wall(context.now);
    let mut latest = None;
    // 100 missed starts are too many for a real controller as well, which then takes the latest.
    while let Some(next) = schedule.after(at).filter(|next| *next <= now) {
        latest = Some(next);
        at = next;
    }
    let latest = epoch.sim(latest?);
    let deadline = int(cron, &["spec", "startingDeadlineSeconds"])
        .and_then(|seconds| u64::try_from(seconds).ok());
    deadline
        .is_none_or(|seconds| latest + Duration::from_secs(seconds) >= context.now)
        .then_some(latest)
}

fn start(
    cron: &Value,
    time: SimTime,
    active: &mut Vec<Arc<Value>>,
    context: &mut Context<'_>,
) -> Result<Option<Arc<Value>>, Status> {
    match text(cron, &["spec", "concurrencyPolicy"]) {
        "Forbid" if !active.is_empty() => {
            let message = format_args!(
                "Not starting job because prior execution is running and concurrency policy is Forbid"
            );
            context.event(SOURCE, cron, Kind::Normal, "JobAlreadyActive", message);
            return Ok(None);
        }
        "Replace" => {
            for job in active.drain(..) {
                delete(cron, &job, context)?;
            }
        }
        _ => {}
    }
    let wall = context.config.epoch.wall(time);
    let name = format!("{}-{}", object::name(cron), wall.as_second() / 60);
    let template = cron
        .get("spec")
        .and_then(|spec| spec.get("jobTemplate"))
        .cloned()
        .unwrap_or_default();
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({})),
        "spec": template.get("spec").cloned().unwrap_or_default(),
    });
    job["metadata"]["name"] = name.clone().into();
    job["metadata"]["namespace"] = object::namespace(cron).into();
    job["metadata"]["annotations"][SCHEDULED] = context.config.epoch.time(time).into();
    job["metadata"]["ownerReferences"] = json!([controller_reference(cron)]);
    match context.api.create(MANAGER, job) {
        Ok(job) => {
            let message = format_args!("Created job {}", object::name(&job));
            context.event(SOURCE, cron, Kind::Normal, "SuccessfulCreate", message);
            Ok(Some(job))
        }
        Err(refusal) if refusal.is_already_exists() => Ok(context
            .api
            .get(&ObjectKey::new(
                "batch",
                "Job",
                object::namespace(cron),
                name,
            ))
            .filter(|job| !job::is_finished(job))),
        Err(refusal) => {
            let message = format_args!("Error creating job: {}", refusal.message);
            context.event(SOURCE, cron, Kind::Warning, "FailedCreate", message);
            Err(refusal)
        }
    }
}

fn delete(cron: &Value, job: &Value, context: &mut Context<'_>) -> Result<(), Status> {
    let key = ObjectKey::new("batch", "Job", object::namespace(job), object::name(job));
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    match context.api.delete(MANAGER, &key, &options) {
        Err(status) if !status.is_not_found() => Err(status),
        Err(_) => Ok(()),
        Ok(()) => {
            let message = format_args!("Deleted job {}", object::name(job));
            context.event(SOURCE, cron, Kind::Normal, "SuccessfulDelete", message);
            Ok(())
        }
    }
}

/// Deletes the oldest finished Jobs beyond the history limits.
fn clean_up(cron: &Value, jobs: &[Arc<Value>], context: &mut Context<'_>) -> Result<(), Status> {
    for (kind, field, default) in [
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ] {
        let limit = usize::try_from(int(cron, &["spec", field]).unwrap_or(default)).unwrap_or(0);
        let mut ended: Vec<&Arc<Value>> = jobs
            .iter()
            .filter(|job| is_true(job, kind) && !object::is_terminating(job))
            .collect();
        ended.sort_by_key(|job| {
            (
                text(job, &["status", "startTime"]).to_owned(),
                object::name(job).to_owned(),
            )
        });
        for job in ended.iter().take(ended.len().saturating_sub(limit)) {
            delete(cron, job, context)?;
        }
    }
    Ok(())
}
