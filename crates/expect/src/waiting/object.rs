//! Why one object is not done.

use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::{ObjectKey, Verb, argo, object};
use wavetank_trace::DesiredObject;

use super::Blocker;
use super::scene::Scene;

impl Scene<'_> {
    /// What is to be said of an object that is waited for; `message` is what the engine has stored of it.
    pub(super) fn blocker(&self, key: &ObjectKey, message: Option<&str>) -> Blocker {
        let Some(live) = self.world.object(key) else {
            return self.gone(key);
        };
        if object::is_terminating(live) {
            return self.being_deleted(key, live);
        }
        if self.is_done(key) {
            return self.unnoticed(key);
        }
        let health = self.health.get(key).copied();
        let since = health
            .map(|(_, since, _)| since)
            .or_else(|| self.created.get(key).copied());
        // The trace tells of a message only when the health changes; the engine's own is newer, once it is one of health.
        let newer = message.filter(|message| !message.is_empty() && !is_apply_output(message));
        let state = match (health, newer) {
            (Some((verb, _, _)), Some(message)) => {
                format!("{verb}: {}", super::first_line(message))
            }
            (Some((verb, _, "")), None) => verb.to_string(),
            (Some((verb, _, message)), None) => format!("{verb}: {}", super::first_line(message)),
            (None, _) => "without health".to_owned(),
        };
        let (held_by, unblock) = self.holders(key, live);
        Blocker {
            subject: self.name(key),
            state,
            since,
            held_by,
            unblock,
        }
    }

    fn gone(&self, key: &ObjectKey) -> Blocker {
        let (state, since, held_by) = match self.deleted.get(key) {
            Some((at, who)) => ("gone", Some(*at), vec![format!("{who} deleted it")]),
            None => ("not there", None, Vec::new()),
        };
        Blocker {
            subject: self.name(key),
            state: state.to_owned(),
            since,
            held_by,
            unblock: "nothing brings it back: terminate the sync and start another".to_owned(),
        }
    }

    fn being_deleted(&self, key: &ObjectKey, live: &Value) -> Blocker {
        let deletion = self.deleting.get(key);
        let (own, foreign): (Vec<&str>, Vec<&str>) =
            object::finalizers(live).partition(|name| *name == argo::HOOK_FINALIZER);
        let mut held_by: Vec<String> = foreign
            .iter()
            .map(|name| format!("the finalizer {name}"))
            .collect();
        if !own.is_empty() {
            held_by.push(format!("Argo CD's own finalizer {}", argo::HOOK_FINALIZER));
        }
        let unblock = match foreign.first() {
            Some(name) => {
                format!("whoever put {name} there has to take it off, or somebody by hand")
            }
            None if !own.is_empty() => "the engine has to take it off in its next pass".to_owned(),
            None => "its grace period, and the controllers that clean up after it".to_owned(),
        };
        let who = deletion.map(|(_, who)| format!(", asked for by {who}"));
        Blocker {
            subject: self.name(key),
            state: format!("being deleted{}", who.unwrap_or_default()),
            since: deletion.map(|(at, _)| *at),
            held_by,
            unblock,
        }
    }

    /// The cluster says that it is done, the engine says that it is not.
    fn unnoticed(&self, key: &ObjectKey) -> Blocker {
        let ended = self.ended.get(key).map(|(_, at)| *at);
        let healthy = self.health.get(key).map(|(_, since, _)| *since);
        let since = ended.or(healthy);
        let mut held_by = Vec::new();
        if let Some((at, cause)) = self.last_pass {
            held_by.push(format!(
                "the engine looked last at {at} ({cause}) and did not see it"
            ));
        }
        let hit = self.faults.iter().filter(|(_, _, hit)| *hit == Some(key));
        let mut faults: Vec<String> = hit
            .map(|(at, name, _)| format!("fault/{name} hit it at {at}"))
            .collect();
        faults.dedup();
        held_by.extend(faults.into_iter().rev().take(1));
        Blocker {
            subject: self.name(key),
            state: if ended.is_some() {
                "done, and the engine has not noticed"
            } else {
                "healthy, and the engine has not noticed"
            }
            .to_owned(),
            since,
            held_by,
            unblock: "the engine's view has to catch up: a new list, or a restart of the engine"
                .to_owned(),
        }
    }

    /// Who keeps an object from being done, and what would help.
    fn holders(&self, key: &ObjectKey, live: &Value) -> (Vec<String>, String) {
        match (&*key.group, &*key.kind) {
            ("batch", "Job") => self.job(key, live),
            ("", "Pod") => {
                let reason = self.pod(key, live);
                (vec![reason.text], reason.unblock)
            }
            ("apps", _) => self.workload(key, live),
            ("", "PersistentVolumeClaim") => self.claim(key, live),
            ("", "Service") | ("networking.k8s.io" | "extensions", "Ingress") => (
                vec!["it has no address".to_owned()],
                "a controller of load balancers has to give it one".to_owned(),
            ),
            _ => self.other(key, live),
        }
    }

    fn job(&self, key: &ObjectKey, live: &Value) -> (Vec<String>, String) {
        if live.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
            return (
                vec!["it is suspended".to_owned()],
                "somebody has to resume it: `spec.suspend: false`".to_owned(),
            );
        }
        let mut held = Vec::new();
        let failed = live
            .pointer("/status/failed")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        if failed > 0 {
            held.push(format!("{failed} of its Pods failed"));
        }
        let unblock = self.pods_of(live, &mut held);
        let deadline = live
            .pointer("/spec/activeDeadlineSeconds")
            .and_then(Value::as_u64);
        let unblock = unblock.unwrap_or_else(|| match deadline {
            Some(seconds) => format!("its end, or its deadline of {seconds} s"),
            None => {
                "its end: it has no deadline, `activeDeadlineSeconds` would give it one".to_owned()
            }
        });
        if held.is_empty() {
            held.push(format!("{} has no Pod", self.name(key)));
        }
        (held, unblock)
    }

    fn workload(&self, key: &ObjectKey, live: &Value) -> (Vec<String>, String) {
        let mut held = Vec::new();
        let unblock = self.pods_of(live, &mut held);
        if held.is_empty() {
            held.push(format!("{} has no Pod that is not ready", self.name(key)));
        }
        let unblock = unblock.unwrap_or_else(|| "its Pods have to become ready".to_owned());
        (held, unblock)
    }

    fn claim(&self, key: &ObjectKey, _live: &Value) -> (Vec<String>, String) {
        let users = |object: &Value| {
            wavetank_model::pod::needs(object)
                .iter()
                .any(|need| need.kind == "PersistentVolumeClaim" && need.name == key.name)
        };
        let there = self.world.objects().any(|(user, object)| {
            user.kind == "Pod" && user.namespace == key.namespace && users(object)
        });
        if there {
            return (
                vec!["no volume is bound to it".to_owned()],
                "a provisioner has to bind a volume".to_owned(),
            );
        }
        let held = "no Pod uses it, and its class binds on first use".to_owned();
        let consumer = self.desired.iter().find(|desired| users(&desired.object));
        match consumer.and_then(|desired| Some((desired, place(desired)?))) {
            Some((desired, place)) => {
                let name = self.name(&desired.key);
                (
                    vec![held, format!("{name} would, and comes in {place}")],
                    format!("put it into the wave of {name}"),
                )
            }
            None => (vec![held], "a Pod has to use it".to_owned()),
        }
    }

    /// Whatever else: its conditions say more than its health.
    fn other(&self, key: &ObjectKey, live: &Value) -> (Vec<String>, String) {
        let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
        let text = |condition: &Value, field: &str| {
            condition
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let held: Vec<String> = conditions
            .into_iter()
            .flatten()
            .filter(|condition| text(condition, "status") != "True")
            .map(|condition| {
                let (kind, status, message) = (
                    text(condition, "type"),
                    text(condition, "status"),
                    text(condition, "message"),
                );
                let message = if message.is_empty() {
                    message
                } else {
                    format!(": {message}")
                };
                format!("its condition {kind} is {status}{message}")
            })
            .collect();
        let suspended = self
            .health
            .get(key)
            .is_some_and(|(verb, ..)| *verb == Verb::Suspended);
        let unblock = if suspended {
            "somebody has to resume it"
        } else {
            "its controller has to report that it is healthy"
        };
        (held, unblock.to_owned())
    }

    pub(super) fn started(&self, key: &ObjectKey) -> Option<SimTime> {
        self.created.get(key).copied()
    }
}

/// When a desired object is applied first.
pub(super) fn place(desired: &DesiredObject) -> Option<String> {
    let phase = argo::phases(&desired.object).into_iter().next()?;
    Some(format!("{phase}/{}", argo::wave(&desired.object)))
}

/// Whether a result's message is what kubectl says of an apply.
fn is_apply_output(message: &str) -> bool {
    [
        "created",
        "configured",
        "unchanged",
        "serverside-applied",
        "replaced",
    ]
    .iter()
    .any(|ending| message.ends_with(ending))
}
