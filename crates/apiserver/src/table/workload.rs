//! Rows of workloads.

use wavetank_json::{Value, json};
use wavetank_model::object;

use super::{Row, containers, human_duration, labels, or, selector};
use crate::kinds::json::{items, text};

pub(super) fn cells(kind: &str, row: &Row<'_>) -> Option<Vec<Value>> {
    let (names, images) = containers(row.at("/spec/template/spec"));
    let count = |pointer: &str| json!(row.int(pointer));
    let desired = row.int("/spec/replicas");
    let ready = format!("{}/{desired}", row.int("/status/readyReplicas"));
    Some(match kind {
        "Deployment" => vec![
            row.name(),
            ready.into(),
            count("/status/updatedReplicas"),
            count("/status/availableReplicas"),
            row.age(),
            names,
            images,
            selector(row.at("/spec/selector")).into(),
        ],
        "ReplicaSet" | "ReplicationController" => vec![
            row.name(),
            desired.into(),
            count("/status/replicas"),
            count("/status/readyReplicas"),
            row.age(),
            names,
            images,
            if kind == "ReplicaSet" {
                selector(row.at("/spec/selector"))
            } else {
                labels(row.at("/spec/selector"))
            }
            .into(),
        ],
        "StatefulSet" => vec![row.name(), ready.into(), row.age(), names, images],
        "DaemonSet" => vec![
            row.name(),
            count("/status/desiredNumberScheduled"),
            count("/status/currentNumberScheduled"),
            count("/status/numberReady"),
            count("/status/updatedNumberScheduled"),
            count("/status/numberAvailable"),
            labels(row.at("/spec/template/spec/nodeSelector")).into(),
            row.age(),
            names,
            images,
            selector(row.at("/spec/selector")).into(),
        ],
        "ControllerRevision" => {
            let owner = object::controller(row.object).map_or_else(
                || "<none>".to_owned(),
                |owner| {
                    let group = wavetank_model::key::split_api_version(owner.api_version).0;
                    let dot = if group.is_empty() { "" } else { "." };
                    format!("{}{dot}{group}/{}", owner.kind.to_lowercase(), owner.name)
                },
            );
            vec![row.name(), owner.into(), count("/revision"), row.age()]
        }
        "Job" => vec![
            row.name(),
            job_status(row).into(),
            completions(row).into(),
            duration(row).into(),
            row.age(),
            names,
            images,
            selector(row.at("/spec/selector")).into(),
        ],
        "CronJob" => cron_job(row),
        "PodTemplate" => {
            let (names, images) = containers(row.at("/template/spec"));
            vec![
                row.name(),
                names,
                images,
                labels(row.at("/template/metadata/labels")).into(),
            ]
        }
        _ => return None,
    })
}

fn cron_job(row: &Row<'_>) -> Vec<Value> {
    let last = row.text("/status/lastScheduleTime");
    let (names, images) = containers(row.at("/spec/jobTemplate/spec/template/spec"));
    vec![
        row.name(),
        row.text("/spec/schedule").into(),
        or(row.text("/spec/timeZone"), "<none>").into(),
        if row.at("/spec/suspend") == &Value::Bool(true) {
            "True"
        } else {
            "False"
        }
        .into(),
        items(row.at("/status"), "active").len().into(),
        if last.is_empty() {
            "<none>".into()
        } else {
            row.since(last).into()
        },
        row.age(),
        names,
        images,
        selector(row.at("/spec/jobTemplate/spec/selector")).into(),
    ]
}

fn job_status(row: &Row<'_>) -> &'static str {
    let has = |kind: &str| {
        items(row.at("/status"), "conditions")
            .iter()
            .any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
    };
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if object::is_terminating(row.object) {
        "Terminating"
    } else {
        ["Suspended", "FailureTarget", "SuccessCriteriaMet"]
            .into_iter()
            .find(|kind| has(kind))
            .unwrap_or("Running")
    }
}

fn completions(row: &Row<'_>) -> String {
    let succeeded = row.int("/status/succeeded");
    let parallelism = row.int("/spec/parallelism");
    match row.at("/spec/completions").as_i64() {
        Some(completions) => format!("{succeeded}/{completions}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    }
}

fn duration(row: &Row<'_>) -> String {
    let time = |pointer: &str| wavetank_model::timestamp::parse(row.text(pointer));
    match (time("/status/startTime"), time("/status/completionTime")) {
        (None, _) => String::new(),
        (Some(start), Some(end)) => human_duration(end.as_second() - start.as_second()),
        (Some(start), None) => human_duration(row.now.as_second() - start.as_second()),
    }
}
