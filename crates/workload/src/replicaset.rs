//! The `ReplicaSet` controller (API-339, API-340).

use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_model::{ObjectKey, Status, object};

use crate::claim;
use crate::context::{Again, Context, MANAGER};
use crate::events::Source;
use crate::pods;
use crate::read::{
    condition, has_labels, int, list, map, set_counter, status_of, text, with_status,
};

const SOURCE: Source = Source::Controller("replicaset-controller");

/// What a `ReplicaSet` lacks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    Nothing,
    Create(usize),
    Delete(Vec<Arc<Value>>),
}

/// What is to be done so that there are as many Pods as asked for.
pub(crate) fn next(set: &Value, active: &[Arc<Value>]) -> Next {
    let wanted = usize::try_from(int(set, &["spec", "replicas"]).unwrap_or(1)).unwrap_or(0);
    if object::is_terminating(set) || wanted == active.len() {
        Next::Nothing
    } else if wanted > active.len() {
        Next::Create((wanted - active.len()).min(pods::BURST))
    } else {
        let mut surplus = active.to_vec();
        pods::rank_for_removal(&mut surplus);
        surplus.truncate((active.len() - wanted).min(pods::BURST));
        Next::Delete(surplus)
    }
}

/// Looks at one `ReplicaSet`. The status is that of the Pods that were there before Pods were made or removed, as with
/// the real controller, which counts what its cache showed.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(set) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let owned = claim::pods(&set, None, |_| true, context)?;
    let terminating = owned.iter().filter(|pod| pods::is_terminating(pod)).count();
    let active: Vec<Arc<Value>> = owned
        .into_iter()
        .filter(|pod| pods::is_active(pod))
        .collect();
    let (reason, outcome) = match next(&set, &active) {
        Next::Nothing => ("", Ok(())),
        Next::Create(count) => {
            let prefix = format!("{}-", object::name(&set));
            let pod = pods::from_template(&set, &prefix);
            let (_, outcome) = pods::slow_start(count, context, |_, context| {
                pods::create(&set, pod.clone(), SOURCE, context)
            });
            ("FailedCreate", outcome)
        }
        Next::Delete(surplus) => (
            "FailedDelete",
            surplus
                .iter()
                .try_for_each(|pod| pods::delete(&set, pod, SOURCE, context)),
        ),
    };
    let min_ready = int(&set, &["spec", "minReadySeconds"]).unwrap_or(0);
    let (ready, available, next_available) = pods::readiness(&active, min_ready, context);
    let failure = outcome
        .as_ref()
        .err()
        .map(|status| (reason, status.message.as_str()));
    let status = status(
        &set,
        &active,
        (ready, available),
        terminating,
        failure,
        &context.api.timestamp(),
    );
    let observed = int(&set, &["status", "observedGeneration"]) == Some(object::generation(&set));
    if !observed || map(&set, &["status"]) != Some(&status) {
        context
            .api
            .update(MANAGER, with_status(&set, status), "status")?;
    }
    outcome?;
    Ok(next_available.map_or(Again::Never, Again::work))
}

fn status(
    set: &Value,
    active: &[Arc<Value>],
    (ready, available): (i64, i64),
    terminating: usize,
    failure: Option<(&str, &str)>,
    now: &str,
) -> Map {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let no_labels = Map::new();
    let labels = map(set, &["spec", "template", "metadata", "labels"]).unwrap_or(&no_labels);
    let mut status = status_of(set);
    status.insert("replicas".to_owned(), count(active.len()).into());
    status.insert(
        "observedGeneration".to_owned(),
        object::generation(set).into(),
    );
    status.insert("terminatingReplicas".to_owned(), terminating.into());
    set_counter(
        &mut status,
        "fullyLabeledReplicas",
        count(active.iter().filter(|pod| has_labels(pod, labels)).count()),
    );
    set_counter(&mut status, "readyReplicas", ready);
    set_counter(&mut status, "availableReplicas", available);
    let failed = condition(set, "ReplicaFailure").is_some();
    if let (Some((reason, message)), false) = (failure, failed) {
        let mut conditions = list(set, &["status", "conditions"]).to_vec();
        conditions.push(json!({
            "type": "ReplicaFailure", "status": "True", "reason": reason, "message": message, "lastTransitionTime": now,
        }));
        status.insert("conditions".to_owned(), Value::Array(conditions));
    } else if failure.is_none() && failed {
        let mut conditions = list(set, &["status", "conditions"]).to_vec();
        conditions.retain(|condition| text(condition, &["type"]) != "ReplicaFailure");
        if conditions.is_empty() {
            status.remove("conditions");
        } else {
            status.insert("conditions".to_owned(), Value::Array(conditions));
        }
    }
    status
}
