//! Why Pods are not ready, or not done.

use wavetank_json::Value;
use wavetank_model::{ObjectKey, object, pod};

use super::object::place;
use super::scene::Scene;

/// How many Pods of one owner are told of.
const SHOWN: usize = 3;

/// Why a Pod is where it is.
pub(super) struct Reason {
    pub(super) text: String,
    pub(super) unblock: String,
}

impl Scene<'_> {
    /// Tells of the Pods below `owner` that are not done; gives what would help the first of them.
    pub(super) fn pods_of(&self, owner: &Value, held: &mut Vec<String>) -> Option<String> {
        let mut pods = Vec::new();
        self.pods_below(object::uid(owner), 0, &mut pods);
        let mut unblock = None;
        let mut more = 0;
        for (key, live) in &pods {
            if is_done(live) {
                continue;
            }
            let reason = self.pod(key, live);
            if held.len() < SHOWN {
                held.push(reason.text);
            } else {
                more += 1;
            }
            if !reason.unblock.is_empty() {
                unblock.get_or_insert(reason.unblock);
            }
        }
        if more > 0 {
            held.push(format!("and {more} more Pods"));
        }
        if pods.is_empty() {
            unblock = self.no_pods(owner, held);
        }
        unblock
    }

    fn pods_below<'s>(
        &'s self,
        uid: &str,
        depth: usize,
        out: &mut Vec<(&'s ObjectKey, &'s Value)>,
    ) {
        if uid.is_empty() || depth > 3 {
            return;
        }
        for (key, child) in self.children(uid) {
            if key.kind == "Pod" {
                out.push((key, child));
            } else {
                self.pods_below(object::uid(child), depth + 1, out);
            }
        }
    }

    /// Pods are refused without their account.
    fn no_pods(&self, owner: &Value, held: &mut Vec<String>) -> Option<String> {
        let namespace = object::namespace(owner);
        let needs = pod::needs(owner);
        let need = needs
            .iter()
            .filter(|need| matches!(need.kind, "ServiceAccount" | "PriorityClass"))
            .find(|need| self.find(need, namespace).is_none())?;
        let reason = self.missing(need, namespace);
        held.push(format!("no Pod can be created: {}", reason.text));
        Some(reason.unblock)
    }

    /// Why a Pod is not ready, or not done.
    pub(super) fn pod(&self, key: &ObjectKey, live: &Value) -> Reason {
        let name = self.name(key);
        let since = self
            .started(key)
            .map(|at| format!(" (created at {at})"))
            .unwrap_or_default();
        let missing = pod::needs(live)
            .into_iter()
            .filter(|need| need.kind != "PriorityClass")
            .find(|need| self.find(need, &key.namespace).is_none());
        let scheduled = live.pointer("/spec/nodeName").is_some();
        if let Some(need) = missing {
            let reason = self.missing(&need, &key.namespace);
            return Reason {
                text: format!("{name} cannot start{since}: {}", reason.text),
                unblock: reason.unblock,
            };
        }
        if !scheduled {
            let why = condition(live, "PodScheduled");
            return Reason {
                text: format!("{name} is not scheduled{since}{why}"),
                unblock: format!("{name} has to get a node, and its volumes"),
            };
        }
        if let Some((container, reason, message)) = waiting_container(live) {
            let message = if message.is_empty() {
                String::new()
            } else {
                format!(": {message}")
            };
            let unblock = match reason {
                reason if pod::is_about_an_image(reason) => {
                    "its image has to be there, under that name".to_owned()
                }
                "CrashLoopBackOff" => "its container has to stop crashing".to_owned(),
                _ => String::new(),
            };
            return Reason {
                text: format!("{name}: container {container} is waiting, {reason}{message}{since}"),
                unblock,
            };
        }
        let running = live
            .pointer("/status/phase")
            .and_then(Value::as_str)
            .unwrap_or("Pending");
        Reason {
            text: if running == "Running" {
                format!("{name} is running{since}")
            } else {
                format!("{name} is {running}{since}")
            },
            unblock: String::new(),
        }
    }

    fn find(&self, need: &pod::Need, namespace: &str) -> Option<&Value> {
        let group = if need.kind == "PriorityClass" {
            "scheduling.k8s.io"
        } else {
            ""
        };
        let at = |namespace: &str| ObjectKey::new(group, need.kind, namespace, &need.name);
        // Every namespace has these, seen or not.
        if matches!(
            (need.kind, &*need.name),
            ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt")
        ) {
            return Some(&Value::Null);
        }
        self.world
            .object(&at(namespace))
            .or_else(|| self.world.object(&at("")))
            .map(|object| &**object)
    }

    /// What is not there, and whether it will be.
    fn missing(&self, need: &pod::Need, namespace: &str) -> Reason {
        let name = format!("{}/{}", need.kind, need.name);
        let desired = self.desired.iter().find(|desired| {
            desired.key.kind == need.kind
                && desired.key.name == need.name
                && (desired.key.namespace == namespace || desired.key.namespace.is_empty())
        });
        match desired.and_then(place) {
            Some(place) => Reason {
                text: format!("{name} is not there, it comes in {place}"),
                unblock: format!("{name} has to come earlier: give it an earlier wave or phase"),
            },
            None => Reason {
                text: format!("{name} is not there"),
                unblock: format!("somebody has to create {name}"),
            },
        }
    }
}

/// Whether it ended well, or is ready.
fn is_done(pod: &Value) -> bool {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str);
    let ready = || {
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        conditions.is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
    };
    let never_ends = pod.pointer("/spec/restartPolicy").and_then(Value::as_str) == Some("Always");
    matches!(phase, Some("Succeeded" | "Failed")) || never_ends && ready()
}

/// `: message` of a condition that is not true.
fn condition(pod: &Value, kind: &str) -> String {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind && condition["status"] != "True")
        .and_then(|condition| condition.get("message").and_then(Value::as_str))
        .map(|message| format!(": {message}"))
        .unwrap_or_default()
}

/// The first container that waits: name, reason, message.
fn waiting_container(pod: &Value) -> Option<(&str, &str, &str)> {
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| pod.get("status")?.get(list)?.as_array())
        .flatten()
        .find_map(|status| {
            let waiting = status.pointer("/state/waiting")?;
            let reason = waiting.get("reason").and_then(Value::as_str)?;
            let message = waiting.get("message").and_then(Value::as_str);
            let name = status.get("name").and_then(Value::as_str)?;
            // The ordinary start is no reason.
            (reason != "ContainerCreating" && reason != "PodInitializing")
                .then(|| (name, reason, message.unwrap_or_default()))
        })
}
