//! Puts Pods on nodes: the one with the fewest Pods, the first by name among equals.
//!
//! Looked at are `nodeSelector`, required node affinity, taints with their tolerations, cordons and claims; resources
//! are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Map, Value, json};
use wavetank_model::{Api, GroupKind, ObjectKey, PatchType, Status, object};

use crate::context::{Again, Context};
use crate::events::{Kind, Source};
use crate::read::{condition, flag, int, list, map, text};
use crate::volume;

/// The manager of the scheduler's writes.
pub(crate) const MANAGER: &str = "kube-scheduler";

/// How many Pods each node has.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    pods: BTreeMap<String, usize>,
}

impl Scheduler {
    /// A Pod was put on a node.
    pub(crate) fn add(&mut self, node: &str) {
        if let Some(count) = self.pods.get_mut(node) {
            *count += 1;
        } else {
            self.pods.insert(node.to_owned(), 1);
        }
    }

    /// A Pod of a node ended or is gone.
    pub(crate) fn remove(&mut self, node: &str) {
        if let Some(count) = self.pods.get_mut(node) {
            *count = count.saturating_sub(1);
        }
    }

    /// Binds a Pod, or says why it cannot be bound.
    pub(crate) fn sync(
        &self,
        key: &ObjectKey,
        held: bool,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let Some(pod) = context.api.get(key) else {
            return Ok(Again::Never);
        };
        if !text(&pod, &["spec", "nodeName"]).is_empty() || object::is_terminating(&pod) {
            return Ok(Again::Never);
        }
        if !list(&pod, &["spec", "schedulingGates"]).is_empty() {
            return refuse(
                key,
                &pod,
                "SchedulingGated",
                "Scheduling is blocked due to non-empty scheduling gates",
                context,
            );
        }
        let nodes = context.api.list(&GroupKind::new("", "Node"), None);
        if held {
            let message = unschedulable(
                nodes.len(),
                &format!("{} Insufficient cpu", nodes.len()),
                NO_VICTIMS,
            );
            return refuse(key, &pod, "Unschedulable", &message, context);
        }
        let node = match self.choose(&pod, &nodes) {
            Ok(node) => node.to_owned(),
            Err(message) => return refuse(key, &pod, "Unschedulable", &message, context),
        };
        match claims(&pod, &node, context)? {
            Claims::Ready => {}
            Claims::Wait => return Ok(Again::Never),
            Claims::Missing(message) => {
                let message = format!(
                    "0/{} nodes are available: {message}. not found",
                    nodes.len()
                );
                return refuse(key, &pod, "Unschedulable", &message, context);
            }
        }
        context.api.bind(MANAGER, key, &node)?;
        let message = format_args!(
            "Successfully assigned {}/{} to {node}",
            key.namespace, key.name
        );
        context.event(Source::Scheduler, &pod, Kind::Normal, "Scheduled", message);
        Ok(Again::Never)
    }

    fn choose<'a>(&self, pod: &Value, nodes: &'a [Arc<Value>]) -> Result<&'a str, String> {
        let mut best: Option<(usize, &str)> = None;
        let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
        for node in nodes {
            if let Some(refusal) = refusal(pod, node) {
                *refusals.entry(refusal).or_default() += 1;
                continue;
            }
            let name = object::name(node);
            let pods = self.pods.get(name).copied().unwrap_or(0);
            if best.is_none_or(|(fewest, _)| pods < fewest) {
                best = Some((pods, name));
            }
        }
        best.map(|(_, name)| name).ok_or_else(|| {
            let reasons: Vec<String> = refusals
                .iter()
                .map(|(refusal, count)| format!("{count} {refusal}"))
                .collect();
            if nodes.is_empty() {
                "no nodes available to schedule pods".to_owned()
            } else {
                unschedulable(nodes.len(), &reasons.join(", "), NOT_HELPFUL)
            }
        })
    }
}

const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// What the scheduler says of a Pod that none of the nodes takes, nor would after the removal of others.
fn unschedulable(nodes: usize, reasons: &str, preemption: &str) -> String {
    format!(
        "0/{nodes} nodes are available: {reasons}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {nodes} {preemption}."
    )
}

/// Why the Pod cannot be on the node.
pub(crate) fn refusal(pod: &Value, node: &Value) -> Option<String> {
    let no_labels = Map::new();
    let labels = map(node, &["metadata", "labels"]).unwrap_or(&no_labels);
    let selector = map(pod, &["spec", "nodeSelector"]).unwrap_or(&no_labels);
    let affinity = [
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ];
    let terms = list(pod, &affinity);
    let selected = selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value));
    if !selected || (!terms.is_empty() && !terms.iter().any(|term| term_fits(term, node, labels))) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    let tolerations = list(pod, &["spec", "tolerations"]);
    let unschedulable = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    if flag(node, &["spec", "unschedulable"])
        && !tolerations
            .iter()
            .any(|toleration| tolerates(toleration, &unschedulable))
    {
        return Some("node(s) were unschedulable".to_owned());
    }
    list(node, &["spec", "taints"])
        .iter()
        .filter(|taint| text(taint, &["effect"]) != "PreferNoSchedule")
        .find(|taint| {
            !tolerations
                .iter()
                .any(|toleration| tolerates(toleration, taint))
        })
        .map(|taint| {
            format!(
                "node(s) had untolerated taint {{{}: {}}}",
                text(taint, &["key"]),
                text(taint, &["value"])
            )
        })
}

fn term_fits(term: &Value, node: &Value, labels: &Map) -> bool {
    let fields = list(term, &["matchFields"]).iter().all(|need| {
        let value = (text(need, &["key"]) == "metadata.name").then(|| object::name(node));
        requirement_fits(need, value)
    });
    fields
        && list(term, &["matchExpressions"]).iter().all(|need| {
            requirement_fits(
                need,
                labels.get(text(need, &["key"])).and_then(Value::as_str),
            )
        })
}

fn requirement_fits(need: &Value, value: Option<&str>) -> bool {
    let values = list(need, &["values"]);
    let listed = value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = number(values.first().and_then(Value::as_str));
    match text(need, &["operator"]) {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value)
            .zip(bound)
            .is_some_and(|(value, bound)| value > bound),
        "Lt" => number(value)
            .zip(bound)
            .is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, &["key"]), text(toleration, &["effect"]));
    (effect.is_empty() || effect == text(taint, &["effect"]))
        && (key.is_empty() || key == text(taint, &["key"]))
        && (text(toleration, &["operator"]) == "Exists"
            || text(toleration, &["value"]) == text(taint, &["value"]))
}

enum Claims {
    Ready,
    /// They are being made.
    Wait,
    Missing(String),
}

/// Lets claims that wait for a consumer be provisioned for `node` (API-353).
fn claims(pod: &Value, node: &str, context: &mut Context<'_>) -> Result<Claims, Status> {
    let mut out = Claims::Ready;
    for claim_key in volume::claims_of(pod) {
        let name = &claim_key.name;
        let Some(claim) = context.api.get(&claim_key) else {
            return Ok(Claims::Missing(format!(
                "persistentvolumeclaim \"{name}\" not found"
            )));
        };
        if object::is_terminating(&claim) {
            return Ok(Claims::Missing(format!(
                "persistentvolumeclaim \"{name}\" is being deleted"
            )));
        }
        if text(&claim, &["status", "phase"]) == "Bound" {
            continue;
        }
        if !waits_for_consumer(context.api, &claim) {
            return Ok(Claims::Missing(
                "pod has unbound immediate PersistentVolumeClaims".to_owned(),
            ));
        }
        out = Claims::Wait;
        if object::annotation(&claim, "volume.kubernetes.io/selected-node").is_none() {
            let patch =
                json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}}});
            context
                .api
                .patch(MANAGER, &claim_key, "", PatchType::Merge, patch)?;
        }
    }
    Ok(out)
}

/// Whether the claim's class binds when a Pod is scheduled.
pub(crate) fn waits_for_consumer(api: &dyn Api, claim: &Value) -> bool {
    let class = text(claim, &["spec", "storageClassName"]);
    api.get(&ObjectKey::new("storage.k8s.io", "StorageClass", "", class))
        .is_some_and(|class| text(&class, &["volumeBindingMode"]) == "WaitForFirstConsumer")
}

fn refuse(
    key: &ObjectKey,
    pod: &Value,
    reason: &str,
    message: &str,
    context: &mut Context<'_>,
) -> Result<Again, Status> {
    let same = condition(pod, "PodScheduled").is_some_and(|condition| {
        text(condition, &["reason"]) == reason && text(condition, &["message"]) == message
    });
    if !same {
        let since = condition(pod, "PodScheduled").map_or_else(
            || context.api.timestamp(),
            |condition| text(condition, &["lastTransitionTime"]).to_owned(),
        );
        let patch = json!({"status": {"conditions": [{
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "observedGeneration": int(pod, &["metadata", "generation"]),
            "lastTransitionTime": since,
        }]}});
        context
            .api
            .patch(MANAGER, key, "status", PatchType::Strategic, patch)?;
        if reason == "Unschedulable" {
            let message = format_args!("{message}");
            context.event(
                Source::Scheduler,
                pod,
                Kind::Warning,
                "FailedScheduling",
                message,
            );
        }
    }
    Ok(Again::Never)
}
