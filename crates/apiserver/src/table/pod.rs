//! The row of a Pod: its status in one word.

use wavetank_json::{Value, json};
use wavetank_model::object::{self, At};

use super::{Row, or};
use crate::kinds::json::{flag, int, items, present, text};

pub(super) fn cells(row: &Row<'_>) -> Vec<Value> {
    let spec = row.at("/spec");
    let status = row.at("/status");
    let summary = Summary::of(spec, status, object::is_terminating(row.object));
    let restarts = match summary.last_restart {
        Some(time) if summary.restarts > 0 => {
            format!("{} ({} ago)", summary.restarts, row.since(time))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = items(status, "podIPs")
        .first()
        .map_or_else(|| text(status, "podIP"), |ip| text(ip, "ip"));
    let gates = items(spec, "readinessGates");
    let passed = gates
        .iter()
        .filter(|gate| condition(status, text(gate, "conditionType")) == Some("True"))
        .count();
    vec![
        row.name(),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        row.age(),
        or(ip, "<none>").into(),
        or(text(spec, "nodeName"), "<none>").into(),
        or(text(status, "nominatedNodeName"), "<none>").into(),
        if gates.is_empty() {
            json!("<none>")
        } else {
            format!("{passed}/{}", gates.len()).into()
        },
    ]
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a str> {
    items(status, "conditions")
        .iter()
        .find(|condition| text(condition, "type") == kind)
        .map(|condition| text(condition, "status"))
}

struct Summary<'a> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<&'a str>,
}

fn is_sidecar(spec: &Value, name: &str) -> bool {
    items(spec, "initContainers").iter().any(|container| {
        text(container, "name") == name && text(container, "restartPolicy") == "Always"
    })
}

/// What a terminated container says.
fn ending(terminated: &Value) -> String {
    let (reason, signal) = (
        text(terminated, "reason"),
        int(terminated, "signal").unwrap_or(0),
    );
    if !reason.is_empty() {
        reason.to_owned()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", int(terminated, "exitCode").unwrap_or(0))
    }
}

fn finished(container: &Value) -> Option<&str> {
    container
        .at(&["lastState", "terminated", "finishedAt"])
        .and_then(Value::as_str)
}

impl<'a> Summary<'a> {
    fn of(spec: &'a Value, status: &'a Value, terminating: bool) -> Self {
        let inits = items(spec, "initContainers");
        let sidecars = inits
            .iter()
            .filter(|container| text(container, "restartPolicy") == "Always")
            .count();
        let mut out = Self {
            reason: or(text(status, "reason"), text(status, "phase")),
            ready: 0,
            total: items(spec, "containers").len() + sidecars,
            restarts: 0,
            last_restart: None,
        };
        let gated = items(status, "conditions").iter().any(|condition| {
            text(condition, "type") == "PodScheduled"
                && text(condition, "reason") == "SchedulingGated"
        });
        if gated {
            "SchedulingGated".clone_into(&mut out.reason);
        }
        let initializing = out.init_containers(spec, status, inits.len());
        if !initializing || condition(status, "Initialized") == Some("True") {
            out.containers(status);
        }
        if terminating && text(status, "reason") == "NodeLost" {
            "Unknown".clone_into(&mut out.reason);
        } else if terminating && !matches!(text(status, "phase"), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut out.reason);
        }
        out
    }

    /// Whether an init container is still at work.
    fn init_containers(&mut self, spec: &Value, status: &'a Value, count: usize) -> bool {
        let mut side_restarts = 0;
        for (index, container) in items(status, "initContainerStatuses").iter().enumerate() {
            let restarts = int(container, "restartCount").unwrap_or(0);
            self.restarts += restarts;
            self.last_restart = self.last_restart.max(finished(container));
            let sidecar = is_sidecar(spec, text(container, "name"));
            if sidecar {
                side_restarts += restarts;
            }
            let state = container.get("state").unwrap_or(&Value::Null);
            let terminated = present(state, "terminated");
            if terminated.is_some_and(|terminated| int(terminated, "exitCode").unwrap_or(0) == 0) {
                continue;
            }
            if sidecar && flag(container, "started") {
                if flag(container, "ready") {
                    self.ready += 1;
                }
                continue;
            }
            let waiting = state
                .get("waiting")
                .map(|waiting| text(waiting, "reason"))
                .unwrap_or_default();
            self.reason = if let Some(terminated) = terminated {
                format!("Init:{}", ending(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{count}")
            };
            return true;
        }
        // Init containers are done: only sidecars keep counting.
        self.restarts = side_restarts;
        false
    }

    fn containers(&mut self, status: &'a Value) {
        let mut running = false;
        let statuses = items(status, "containerStatuses");
        for container in statuses.iter().rev() {
            self.restarts += int(container, "restartCount").unwrap_or(0);
            self.last_restart = self.last_restart.max(finished(container));
            let state = container.get("state").unwrap_or(&Value::Null);
            let waiting = state
                .get("waiting")
                .map(|waiting| text(waiting, "reason"))
                .unwrap_or_default();
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(terminated) = present(state, "terminated") {
                self.reason = ending(terminated);
            } else if flag(container, "ready") && present(state, "running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(status, "Ready") == Some("True");
            let word = if ready { "Running" } else { "NotReady" };
            word.clone_into(&mut self.reason);
        }
    }
}
