//! The `DaemonSet` controller (API-349).

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_model::object::At;
use wavetank_model::{GroupKind, ObjectKey, Status, object};

use crate::claim;
use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::history::History;
use crate::pods;
use crate::read::{int, list, map, pod_ended, set_counter, text, with_status};
use crate::scheduler;

const HASH: &str = "controller-revision-hash";
const SOURCE: Source = Source::Controller("daemonset-controller");
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// Looks at one `DaemonSet`.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(set) = context
        .api
        .get(key)
        .filter(|set| !object::is_terminating(set))
    else {
        return Ok(Again::Never);
    };
    let history = History::sync(&set, HASH, context)?;
    let hash = history
        .present()
        .and_then(|revision| object::label(revision, HASH))
        .unwrap_or_default()
        .to_owned();
    let nodes = context.api.list(&GroupKind::new("", "Node"), None);
    let pattern = blank_pod(&set, &hash, "");
    let wanted: Vec<&str> = nodes
        .iter()
        .filter(|node| scheduler::refusal(&pattern, node).is_none())
        .map(|node| object::name(node))
        .collect();
    let by_node = by_node(claim::pods(&set, None, |_| true, context)?);
    let mut outcome = Ok(());
    let mut touched = false;
    for pod in by_node
        .values()
        .flatten()
        .filter(|pod| pod_ended(pod) && !object::is_terminating(pod))
    {
        note_end(&set, pod, context);
        outcome = outcome.and(pods::delete(&set, pod, SOURCE, context));
        touched = true;
    }
    for node in &wanted {
        if !by_node.contains_key(*node) {
            let pod = blank_pod(&set, &hash, node);
            outcome = outcome.and(pods::create(&set, pod, SOURCE, context).map(|_| ()));
            touched = true;
        }
    }
    for pod in by_node
        .iter()
        .filter(|(node, _)| !wanted.contains(&node.as_str()))
        .flat_map(|(_, pods)| pods)
    {
        if !object::is_terminating(pod) {
            outcome = outcome.and(pods::delete(&set, pod, SOURCE, context));
            touched = true;
        }
    }
    if !touched && text(&set, &["spec", "updateStrategy", "type"]) != "OnDelete" {
        outcome = roll(&set, &hash, &wanted, &by_node, context);
    }
    // As the real controller, which counts what its cache showed: not what it made or removed just now.
    let (status, next) = status(&set, &hash, &wanted, &by_node, context);
    if map(&set, &["status"]) != Some(&status) {
        context
            .api
            .update(MANAGER, with_status(&set, status), "status")?;
    }
    history.truncate(
        &set,
        |revision| {
            let hash = object::label(revision, HASH);
            by_node
                .values()
                .flatten()
                .any(|pod| object::label(pod, HASH) == hash)
        },
        context,
    )?;
    outcome?;
    Ok(next)
}

/// Says why a Pod that ended is replaced.
fn note_end(set: &Value, pod: &Value, context: &mut Context<'_>) {
    let (kind, reason, ended, act) = if text(pod, &["status", "phase"]) == "Failed" {
        (Kind::Warning, "FailedDaemonPod", "failed", "kill")
    } else {
        (Kind::Normal, "SucceededDaemonPod", "succeeded", "delete")
    };
    context.event(
        SOURCE,
        set,
        kind,
        reason,
        format_args!(
            "Found {ended} daemon pod {}/{} on node {}, will try to {act} it",
            object::namespace(pod),
            object::name(pod),
            node_of(pod)
        ),
    );
}

type ByNode = BTreeMap<String, Vec<Arc<Value>>>;

fn by_node(owned: Vec<Arc<Value>>) -> ByNode {
    let mut out = ByNode::new();
    for pod in owned {
        out.entry(node_of(&pod).to_owned()).or_default().push(pod);
    }
    out
}

/// The node a Pod is on, or is meant for.
fn node_of(pod: &Value) -> &str {
    let name = text(pod, &["spec", "nodeName"]);
    if !name.is_empty() {
        return name;
    }
    let terms = [
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ];
    let fields = list(pod, &terms)
        .iter()
        .flat_map(|term| list(term, &["matchFields"]));
    let values = fields
        .filter(|field| text(field, &["key"]) == "metadata.name")
        .flat_map(|field| list(field, &["values"]));
    values
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default()
}

/// Replaces outdated Pods, as many at a time as may be unavailable.
fn roll(
    set: &Value,
    hash: &str,
    wanted: &[&str],
    by_node: &ByNode,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let surge = bound(set, "maxSurge", wanted.len()).unwrap_or(0);
    if surge > 0 {
        return surge_over(set, hash, wanted, by_node, surge, context);
    }
    let allowed = bound(set, "maxUnavailable", wanted.len()).unwrap_or(1);
    let min_ready = int(set, &["spec", "minReadySeconds"]).unwrap_or(0);
    let (mut unavailable, mut doomed, mut candidates) = (0, Vec::new(), Vec::new());
    for pods in by_node
        .iter()
        .filter(|(node, _)| wanted.contains(&node.as_str()))
        .map(|(_, pods)| pods)
    {
        let Some(pod) = pods.iter().find(|pod| !object::is_terminating(pod)) else {
            unavailable += 1;
            continue;
        };
        let available = pods::available_at(pod, min_ready, context.config.epoch)
            .is_some_and(|at| at <= context.now);
        unavailable += i64::from(!available);
        if object::label(pod, HASH) != Some(hash) {
            if available {
                candidates.push(pod);
            } else {
                doomed.push(pod);
            }
        }
    }
    let room = usize::try_from(allowed.max(1) - unavailable).unwrap_or(0);
    doomed.extend(candidates.into_iter().take(room));
    doomed
        .into_iter()
        .try_for_each(|pod| pods::delete(set, pod, SOURCE, context))
}

/// A bound of the rolling update: a number of nodes, or a share of `total`, rounded up.
fn bound(set: &Value, field: &str, total: usize) -> Option<i64> {
    match set.at(&["spec", "updateStrategy", "rollingUpdate", field])? {
        Value::String(percent) => {
            let number = percent.strip_suffix('%')?.parse::<i64>().ok()?;
            let total = i64::try_from(total).unwrap_or(i64::MAX);
            let hundredths = number.saturating_mul(total).saturating_add(99);
            Some(hundredths.div_euclid(100))
        }
        number => number.as_i64(),
    }
}

/// Replaces outdated Pods by new ones beside them, on as many nodes at a time as `surge` says; an old Pod goes when the
/// new one is available.
fn surge_over(
    set: &Value,
    hash: &str,
    wanted: &[&str],
    by_node: &ByNode,
    surge: i64,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let min_ready = int(set, &["spec", "minReadySeconds"]).unwrap_or(0);
    let (now, epoch) = (context.now, context.config.epoch);
    let is_available =
        |pod: &Value| pods::available_at(pod, min_ready, epoch).is_some_and(|at| at <= now);
    let (mut surging, mut doomed) = (0, Vec::new());
    let (mut at_once, mut candidates) = (Vec::new(), Vec::new());
    for (node, on_node) in by_node
        .iter()
        .filter(|(node, _)| wanted.contains(&node.as_str()))
    {
        let mut living = on_node.iter().filter(|pod| !object::is_terminating(pod));
        let (new, old): (Vec<_>, Vec<_>) = living
            .by_ref()
            .partition(|pod| object::label(pod, HASH) == Some(hash));
        match (new.first(), old.first()) {
            (Some(new), Some(_)) if !is_available(new) => surging += 1,
            (Some(_), Some(_)) => doomed.extend(old),
            (None, Some(old)) if is_available(old) => candidates.push(node),
            (None, Some(_)) => at_once.push(node),
            (_, None) => {}
        }
    }
    let room = usize::try_from(surge - surging).unwrap_or(0);
    at_once.extend(candidates.into_iter().take(room));
    for pod in doomed {
        pods::delete(set, pod, SOURCE, context)?;
    }
    for node in at_once {
        pods::create(set, blank_pod(set, hash, node), SOURCE, context)?;
    }
    Ok(())
}

fn blank_pod(set: &Value, hash: &str, node: &str) -> Value {
    let mut pod = pods::from_template(set, &format!("{}-", object::name(set)));
    let generation =
        object::annotation(set, "deprecated.daemonset.template.generation").unwrap_or("1");
    pod["metadata"]["labels"][HASH] = hash.into();
    pod["metadata"]["labels"]["pod-template-generation"] = generation.into();
    let mut tolerations = list(&pod, &["spec", "tolerations"]).to_vec();
    for (key, effect) in TOLERATED {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    pod["spec"]["tolerations"] = Value::Array(tolerations);
    if !node.is_empty() {
        let field = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
        let required = &mut pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        match required
            .get_mut("nodeSelectorTerms")
            .and_then(Value::as_array_mut)
            .filter(|terms| !terms.is_empty())
        {
            Some(terms) => terms
                .iter_mut()
                .for_each(|term| term["matchFields"] = field.clone()),
            None => *required = json!({"nodeSelectorTerms": [{"matchFields": field}]}),
        }
    }
    pod
}

fn status(
    set: &Value,
    hash: &str,
    wanted: &[&str],
    by_node: &ByNode,
    context: &Context<'_>,
) -> (Map, Again) {
    let min_ready = int(set, &["spec", "minReadySeconds"]).unwrap_or(0);
    let (mut current, mut misscheduled, mut ready, mut updated, mut available) = (0, 0, 0, 0, 0);
    let mut again = Again::Never;
    for (node, pods) in by_node {
        if !wanted.contains(&node.as_str()) {
            misscheduled += 1;
            continue;
        }
        current += 1;
        let oldest = pods
            .iter()
            .min_by_key(|pod| object::meta_str(pod, "creationTimestamp").to_owned());
        let Some(pod) = oldest else { continue };
        updated += i64::from(object::label(pod, HASH) == Some(hash));
        if let Some(at) = pods::available_at(pod, min_ready, context.config.epoch) {
            ready += 1;
            if at <= context.now {
                available += 1;
            } else {
                again = again.or(Again::work(at));
            }
        }
    }
    let desired = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let mut status = Map::new();
    for (field, value) in [
        ("currentNumberScheduled", current),
        ("numberMisscheduled", misscheduled),
        ("desiredNumberScheduled", desired),
        ("numberReady", ready),
        ("observedGeneration", object::generation(set)),
    ] {
        status.insert(field.to_owned(), value.into());
    }
    set_counter(&mut status, "updatedNumberScheduled", updated);
    set_counter(&mut status, "numberAvailable", available);
    set_counter(&mut status, "numberUnavailable", desired - available);
    for field in ["collisionCount", "conditions"] {
        if let Some(value) = set.get("status").and_then(|status| status.get(field)) {
            status.insert(field.to_owned(), value.clone());
        }
    }
    (status, again)
}
