//! The status of a `PodDisruptionBudget` (API-355).

use wavetank_json::{Map, Value, json};
use wavetank_model::object::At;
use wavetank_model::{Api, ObjectKey, Status, object};

use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::pods;
use crate::read::{int, map, status_of, text, with_status};
use crate::script::owner_key;
use crate::selectors::Selectors;

const SOURCE: Source = Source::Controller("controllermanager");

/// Counts the Pods of one budget.
pub(crate) fn sync(
    key: &ObjectKey,
    selectors: &Selectors,
    context: &mut Context<'_>,
) -> Result<Again, Status> {
    let Some(budget) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let nothing = json!({});
    let selector = budget.at(&["spec", "selector"]);
    let mut picked = selectors.pods(context.api, &key.namespace, selector.unwrap_or(&nothing));
    picked.retain(|pod| selector.is_some() && !crate::read::pod_ended(pod));
    if picked.is_empty() {
        let message = format_args!("No matching pods found");
        context.event(SOURCE, &budget, Kind::Normal, "NoPods", message);
    }
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let healthy = count(
        picked
            .iter()
            .filter(|pod| pods::is_ready(pod) && !object::is_terminating(pod))
            .count(),
    );
    let expected = expected(context.api, &budget, &picked);
    let desired = match (
        budget.at(&["spec", "minAvailable"]),
        budget.at(&["spec", "maxUnavailable"]),
    ) {
        (Some(least), _) => scaled(least, expected),
        (None, Some(most)) => (expected - scaled(most, expected)).max(0),
        (None, None) => 0,
    };
    let allowed = if expected > 0 {
        (healthy - desired).max(0)
    } else {
        0
    };
    let mut status = status_of(&budget);
    for (field, value) in [
        ("currentHealthy", healthy),
        ("desiredHealthy", desired),
        ("expectedPods", expected),
        ("disruptionsAllowed", allowed),
        ("observedGeneration", object::generation(&budget)),
    ] {
        status.insert(field.to_owned(), value.into());
    }
    let (value, reason) = if allowed > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    set_condition(
        &mut status,
        "DisruptionAllowed",
        value,
        reason,
        "",
        object::generation(&budget),
        &context.api.timestamp(),
    );
    if map(&budget, &["status"]) != Some(&status) {
        context
            .api
            .update(MANAGER, with_status(&budget, status), "status")?;
    }
    Ok(Again::Never)
}

/// How many Pods there are to be: what their owners ask for.
fn expected(api: &dyn Api, budget: &Value, picked: &[std::sync::Arc<Value>]) -> i64 {
    let by_count = budget.at(&["spec", "maxUnavailable"]).is_none()
        && budget
            .at(&["spec", "minAvailable"])
            .is_some_and(Value::is_number);
    if by_count {
        return i64::try_from(picked.len()).unwrap_or(i64::MAX);
    }
    let mut owners: Vec<ObjectKey> = Vec::new();
    let mut total = 0;
    for pod in picked {
        let key = ObjectKey::new("", "Pod", object::namespace(pod), object::name(pod));
        let Some(mut owner) = owner_key(&key, pod) else {
            total += 1;
            continue;
        };
        let mut found = api.get(&owner);
        if let Some(above) = found.as_deref().and_then(|set| owner_key(&owner, set)) {
            found = api.get(&above);
            owner = above;
        }
        if !owners.contains(&owner) {
            total += found
                .as_deref()
                .and_then(|owner| int(owner, &["spec", "replicas"]))
                .unwrap_or(1);
            owners.push(owner);
        }
    }
    total
}

fn scaled(value: &Value, total: i64) -> i64 {
    match value.as_str().and_then(|text| text.strip_suffix('%')) {
        Some(percent) => (percent
            .parse::<i64>()
            .unwrap_or(0)
            .saturating_mul(total)
            .saturating_add(99))
        .div_euclid(100),
        None => value.as_i64().unwrap_or(0),
    }
}

pub(crate) fn set_condition(
    status: &mut Map,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    generation: i64,
    now: &str,
) {
    let mut all = status
        .get("conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut condition = json!({
        "type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    if generation > 0 {
        condition["observedGeneration"] = generation.into();
    }
    match all.iter_mut().find(|known| text(known, &["type"]) == kind) {
        Some(known) => {
            if text(known, &["status"]) == value {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = condition;
        }
        None => all.push(condition),
    }
    status.insert("conditions".to_owned(), Value::Array(all));
}
