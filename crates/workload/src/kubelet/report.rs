//! The status of a Pod as the kubelet writes it: strategic merge patches of what changed (API-316).

use wavetank_json::{Map, Value, json};
use wavetank_kernel::{Seed, SimTime};
use wavetank_model::object;
use wavetank_model::timestamp::Epoch;

use super::container::{Container, Exit, State};
use super::machine::{Machine, Obstacle, Phase};
use crate::read::{condition, list, text};

/// A condition as it was last reported.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    kind: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
    since: String,
}

/// What was reported last.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    epoch: Epoch,
    address: String,
    pub(crate) host: String,
    fields: Map,
    conditions: Vec<Condition>,
}

impl Report {
    pub(crate) fn new(epoch: Epoch, address: String) -> Self {
        Self {
            epoch,
            address,
            host: String::new(),
            fields: Map::new(),
            conditions: Vec::new(),
        }
    }

    /// Forgets what was reported.
    pub(crate) fn forget(&mut self) {
        self.fields.clear();
        self.conditions.clear();
    }

    /// The patch from the last report to the machine's state; `None` when nothing changed.
    pub(crate) fn patch(machine: &mut Machine, pod: &Value, now: SimTime) -> Option<Value> {
        let fields = fields(machine, pod);
        let generation = object::generation(pod);
        let conditions = conditions(machine, pod, now);
        let report = &mut machine.report;
        let mut status = Map::new();
        for (field, value) in &fields {
            if report.fields.get(field) != Some(value) {
                status.insert(field.clone(), value.clone());
            }
        }
        let changed: Vec<Value> = conditions
            .iter()
            .filter(|condition| !report.conditions.contains(condition))
            .map(|condition| {
                let absent = |text: &str| {
                    if text.is_empty() {
                        Value::Null
                    } else {
                        Value::from(text)
                    }
                };
                map([
                    ("type", condition.kind.into()),
                    (
                        "status",
                        if condition.status { "True" } else { "False" }.into(),
                    ),
                    ("observedGeneration", generation.into()),
                    ("lastTransitionTime", condition.since.as_str().into()),
                    ("reason", absent(condition.reason)),
                    ("message", absent(&condition.message)),
                ])
            })
            .collect();
        if !changed.is_empty() {
            let mut order: Vec<Value> = conditions
                .iter()
                .map(|condition| map([("type", condition.kind.into())]))
                .collect();
            order.push(map([("type", "PodScheduled".into())]));
            status.insert(
                "$setElementOrder/conditions".to_owned(),
                Value::Array(order),
            );
            status.insert("conditions".to_owned(), Value::Array(changed));
        }
        report.fields = fields;
        report.conditions = conditions;
        if status.is_empty() {
            return None;
        }
        let metadata = map([("uid", object::uid(pod).into())]);
        Some(map([("metadata", metadata), ("status", status.into())]))
    }
}

/// As `json!`, which would copy the values.
fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn fields(machine: &Machine, pod: &Value) -> Map {
    let report = &machine.report;
    let mut out = Map::new();
    let mut put = |field: &str, value: Value| {
        out.insert(field.to_owned(), value);
    };
    put("observedGeneration", object::generation(pod).into());
    put("phase", machine.phase.as_str().into());
    if let Some(since) = machine.since {
        put("startTime", report.epoch.time(since).into());
    }
    put("hostIP", report.host.clone().into());
    put("hostIPs", json!([{"ip": report.host}]));
    let ran = |container: &Container| !container.state.is_waiting() || container.last.is_some();
    if machine.init.iter().chain(&machine.main).any(ran) {
        put("podIP", report.address.clone().into());
        put("podIPs", json!([{"ip": report.address}]));
    }
    if let Some(reason) = machine.reason {
        put("reason", reason.into());
        put(
            "message",
            "Pod was active on the node longer than the specified deadline".into(),
        );
    }
    let statuses = |containers: &[Container]| -> Value {
        containers
            .iter()
            .map(|container| container_status(machine, container, pod))
            .collect()
    };
    if !machine.init.is_empty() {
        put("initContainerStatuses", statuses(&machine.init));
    }
    put("containerStatuses", statuses(&machine.main));
    out
}

fn container_status(machine: &Machine, container: &Container, pod: &Value) -> Value {
    let epoch = machine.report.epoch;
    let uid = object::uid(pod);
    let terminated = |exit: &Exit| {
        let mut out = map([
            ("exitCode", exit.code.into()),
            ("reason", exit.reason.as_str().into()),
            ("startedAt", epoch.time(exit.started).into()),
            ("finishedAt", epoch.time(exit.finished).into()),
            (
                "containerID",
                container_id(uid, &container.name, exit.run).into(),
            ),
        ]);
        if let Some(message) = &exit.message {
            out["message"] = message.clone().into();
        }
        map([("terminated", out)])
    };
    let waiting = |reason: &str, message: Option<String>| {
        if let Some(message) = message {
            json!({"waiting": {"reason": reason, "message": message}})
        } else {
            json!({"waiting": {"reason": reason}})
        }
    };
    let state = match &container.state {
        State::Waiting { reason, message } if reason == "CrashLoopBackOff" => {
            let message = format!(
                "back-off {} restarting failed container={} pod={}_{}({uid})",
                message.as_deref().unwrap_or_default(),
                container.name,
                object::name(pod),
                object::namespace(pod),
            );
            waiting(reason, Some(message))
        }
        State::Waiting { reason, message } if !reason.is_empty() => {
            waiting(reason, message.clone())
        }
        State::Waiting { .. } => match &machine.obstacle {
            Some(Obstacle::Config(message)) => {
                waiting("CreateContainerConfigError", Some(message.clone()))
            }
            _ if machine.init.is_empty() => waiting("ContainerCreating", None),
            _ => waiting("PodInitializing", None),
        },
        State::Running { since } => {
            let running = map([("startedAt", epoch.time(*since).into())]);
            map([("running", running)])
        }
        State::Terminated(exit) => terminated(exit),
    };
    let last = match (&container.state, &container.last) {
        (State::Terminated(_), _) | (_, None) => json!({}),
        (_, Some(exit)) => terminated(exit),
    };
    let ready = container.ready
        || matches!(&container.state, State::Terminated(exit) if exit.code == 0 && is_init(machine, container));
    let started = matches!(container.state, State::Running { .. });
    let mut out = map([
        ("name", container.name.as_str().into()),
        ("image", container.image.as_str().into()),
        ("imageID", "".into()),
        ("ready", ready.into()),
        ("restartCount", container.restarts.into()),
        ("started", started.into()),
        ("state", state),
        ("lastState", last),
    ]);
    if !container.state.is_waiting() || container.last.is_some() {
        out["imageID"] = image_id(&container.image).into();
        out["containerID"] = container_id(uid, &container.name, container.restarts).into();
    }
    out
}

fn is_init(machine: &Machine, container: &Container) -> bool {
    machine
        .init
        .iter()
        .any(|init| std::ptr::eq(init, container))
}

fn container_id(uid: &str, name: &str, run: u32) -> String {
    hex("containerd://", Seed(u64::from(run)).child(uid).child(name))
}

fn image_id(image: &str) -> String {
    let repository = image
        .rsplit_once(':')
        .map_or(image, |(repository, _)| repository);
    hex(
        &format!("{repository}@sha256:"),
        Seed::default().child(image),
    )
}

fn hex(prefix: &str, seed: Seed) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(prefix.len() + 64);
    out.push_str(prefix);
    for byte in seed.rng().bytes::<32>() {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// All conditions but `PodScheduled`, in the order of API-316.
fn conditions(machine: &Machine, pod: &Value, now: SimTime) -> Vec<Condition> {
    let finished = machine.phase.is_final();
    let names = |containers: &[Container], fits: &dyn Fn(&Container) -> bool| {
        containers
            .iter()
            .filter(|container| fits(container))
            .map(|container| container.name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let ran = |container: &Container| !container.state.is_waiting() || container.last.is_some();
    let sandbox = !finished && machine.init.iter().chain(&machine.main).any(ran);
    let initialized = if machine.phase == Phase::Succeeded {
        (true, "PodCompleted", String::new())
    } else if machine.is_initialized() {
        (true, "", String::new())
    } else {
        let incomplete = names(
            &machine.init,
            &|container| !matches!(&container.state, State::Terminated(exit) if exit.code == 0),
        );
        (
            false,
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{incomplete}]"),
        )
    };
    let unready = names(&machine.main, &|container| !container.ready);
    let containers_ready = match machine.phase {
        Phase::Succeeded => (false, "PodCompleted", String::new()),
        Phase::Failed => (false, "PodFailed", String::new()),
        _ if unready.is_empty() => (true, "", String::new()),
        _ => (
            false,
            "ContainersNotReady",
            format!("containers with unready status: [{unready}]"),
        ),
    };
    let ready = if containers_ready.0 {
        gates(pod).unwrap_or_else(|| containers_ready.clone())
    } else {
        containers_ready.clone()
    };
    let wanted = [
        ("PodReadyToStartContainers", (sandbox, "", String::new())),
        ("Initialized", initialized),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
    ];
    wanted
        .into_iter()
        .map(|(kind, (status, reason, message))| {
            let before = machine
                .report
                .conditions
                .iter()
                .find(|before| before.kind == kind && before.status == status);
            let since = before.map_or_else(
                || machine.report.epoch.time(now),
                |before| before.since.clone(),
            );
            Condition {
                kind,
                status,
                reason,
                message,
                since,
            }
        })
        .collect()
}

/// The readiness gate that is not open, if any (API-324).
fn gates(pod: &Value) -> Option<(bool, &'static str, String)> {
    let closed = list(pod, &["spec", "readinessGates"])
        .iter()
        .map(|gate| text(gate, &["conditionType"]))
        .find_map(|kind| match condition(pod, kind) {
            None => Some(format!(
                "corresponding condition of pod readiness gate \"{kind}\" does not exist."
            )),
            Some(condition) if text(condition, &["status"]) != "True" => Some(format!(
                "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                text(condition, &["status"])
            )),
            Some(_) => None,
        })?;
    Some((false, "ReadinessGatesNotReady", closed))
}
