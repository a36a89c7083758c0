//! Events: what the controllers, the scheduler and the kubelets say about objects (API-312…314).
//!
//! Written on a noisy cluster alone ([`crate::Config::noise`]): each costs a write. As the recorders of a real cluster
//! do, an Event that was said before is counted instead of written again, many alike are combined into one, and who
//! says too much about one object is not listened to for a while. An Event that the server refuses is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::{ObjectKey, PatchType, object};

use crate::context::{Context, MANAGER};
use crate::read::text;
use crate::{kubelet, scheduler};

/// Within this time Events that differ in their message alone count as alike.
const AGGREGATION: Duration = Duration::from_secs(600);
/// From this many messages on they are combined.
const MOST_ALIKE: usize = 10;
/// How many Events one source may say about one object at once, and how often another one.
const BURST: u64 = 25;
const REFILL: Duration = Duration::from_secs(300);
/// How much the recorders remember; they begin anew beyond that.
const MEMORY: usize = 4096;
const COMBINED: &str = "(combined from similar events): ";

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A controller of kube-controller-manager, by the name of its recorder.
    Controller(&'static str),
    Scheduler,
    Kubelet,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Controller(name) => name,
            Self::Scheduler => "default-scheduler",
            Self::Kubelet => "kubelet",
        }
    }

    const fn manager(self) -> &'static str {
        match self {
            Self::Controller(_) => MANAGER,
            Self::Scheduler => scheduler::MANAGER,
            Self::Kubelet => kubelet::MANAGER,
        }
    }
}

/// What happened, or that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Normal,
    Warning,
}

/// What the recorders remember.
#[derive(Debug, Default)]
pub(crate) struct Events {
    said: BTreeMap<Identity, Said>,
    alike: BTreeMap<Identity, Alike>,
    spam: BTreeMap<(Source, String), Bucket>,
    number: u64,
}

/// Who said what about which object (uid and field path).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    source: Source,
    about: String,
    kind: Kind,
    reason: String,
    /// Empty where the message does not matter.
    message: String,
}

#[derive(Debug)]
struct Said {
    key: ObjectKey,
    count: u64,
}

#[derive(Debug)]
struct Alike {
    messages: BTreeSet<String>,
    last: SimTime,
}

#[derive(Debug)]
struct Bucket {
    tokens: u64,
    since: SimTime,
}

impl Bucket {
    fn takes(&mut self, now: SimTime) -> bool {
        let refills = now.since(self.since).as_secs() / REFILL.as_secs();
        if refills > 0 {
            self.tokens = BURST.min(self.tokens + refills);
            self.since += Duration::from_secs(refills * REFILL.as_secs());
        }
        let had = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        had
    }
}

impl Events {
    /// The message to be written, and whether it stands for many.
    fn aggregate(&mut self, identity: &mut Identity, now: SimTime) -> String {
        let message = std::mem::take(&mut identity.message);
        let alike = self.alike.entry(identity.clone()).or_insert_with(|| Alike {
            messages: BTreeSet::new(),
            last: now,
        });
        if now.since(alike.last) > AGGREGATION {
            alike.messages.clear();
        }
        alike.last = now;
        alike.messages.insert(message.clone());
        if alike.messages.len() < MOST_ALIKE {
            identity.message.clone_from(&message);
            return message;
        }
        // Remembered is that there were many, not which.
        if alike.messages.len() > MOST_ALIKE {
            alike.messages.pop_first();
        }
        format!("{COMBINED}{message}")
    }

    fn forget_beyond_memory(&mut self) {
        if self.said.len() > MEMORY {
            self.said.clear();
        }
        if self.alike.len() > MEMORY {
            self.alike.clear();
        }
        if self.spam.len() > MEMORY {
            self.spam.clear();
        }
    }
}

impl Context<'_> {
    /// Says something about an object.
    pub(crate) fn event(
        &mut self,
        source: Source,
        about: &Value,
        kind: Kind,
        reason: &str,
        message: fmt::Arguments<'_>,
    ) {
        self.event_in(source, about, "", kind, reason, message);
    }

    /// Says something about a part of an object, as `spec.containers{main}`.
    pub(crate) fn event_in(
        &mut self,
        source: Source,
        about: &Value,
        field: &str,
        kind: Kind,
        reason: &str,
        message: fmt::Arguments<'_>,
    ) {
        if !self.config.noise {
            return;
        }
        let message = message.to_string();
        self.write_event(source, about, field, kind, reason, message);
    }

    fn write_event(
        &mut self,
        source: Source,
        about: &Value,
        field: &str,
        kind: Kind,
        reason: &str,
        message: String,
    ) {
        let now = self.now;
        self.events.forget_beyond_memory();
        let mut identity = Identity {
            source,
            about: format!("{} {field}", object::uid(about)),
            kind,
            reason: reason.to_owned(),
            message,
        };
        let message = match source {
            Source::Scheduler => identity.message.clone(),
            _ => self.events.aggregate(&mut identity, now),
        };
        let known = self.events.said.get_mut(&identity).map(|said| {
            said.count += 1;
            (said.key.clone(), said.count)
        });
        if source != Source::Scheduler {
            let bucket = self
                .events
                .spam
                .entry((source, object::uid(about).to_owned()))
                .or_insert(Bucket {
                    tokens: BURST,
                    since: now,
                });
            if !bucket.takes(now) {
                return;
            }
        }
        if let Some((key, count)) = known
            && self.api.get(&key).is_some()
        {
            let patch = self.repeated(source, count, &message);
            // A recorder drops what is refused.
            drop(
                self.api
                    .patch(source.manager(), &key, "", PatchType::Strategic, patch),
            );
            return;
        }
        self.events.number += 1;
        let nanos = self.config.epoch.wall(now).as_nanosecond() + i128::from(self.events.number);
        let namespace = match object::namespace(about) {
            "" => "default",
            namespace => namespace,
        };
        let name = format!("{}.{nanos:x}", object::name(about));
        let key = ObjectKey::new("", "Event", namespace, name);
        let event = self.blank_event(&identity, &key, about, field, &message);
        if self.api.create(source.manager(), event).is_ok() {
            self.events.said.insert(identity, Said { key, count: 1 });
        }
    }

    /// What is written when something is said again.
    fn repeated(&self, source: Source, count: u64, message: &str) -> Value {
        if source == Source::Scheduler {
            let last = self.config.epoch.micro_time(self.now);
            return json!({"series": {"count": count, "lastObservedTime": last}});
        }
        json!({"count": count, "lastTimestamp": self.api.timestamp(), "message": message})
    }

    /// The Event that says `message` for the first time.
    fn blank_event(
        &self,
        said: &Identity,
        key: &ObjectKey,
        about: &Value,
        field: &str,
        message: &str,
    ) -> Value {
        let (source, reason) = (said.source, said.reason.as_str());
        let metadata = json!({"name": key.name, "namespace": key.namespace});
        let mut reference = json!({
            "apiVersion": text(about, &["apiVersion"]),
            "kind": text(about, &["kind"]),
            "name": object::name(about),
            "uid": object::uid(about),
            "resourceVersion": object::resource_version(about),
        });
        for (name, value) in [
            ("namespace", object::namespace(about)),
            ("fieldPath", field),
        ] {
            if !value.is_empty() {
                reference[name] = value.into();
            }
        }
        let kind = match said.kind {
            Kind::Normal => "Normal",
            Kind::Warning => "Warning",
        };
        if source == Source::Scheduler {
            let action = if reason == "Scheduled" {
                "Binding"
            } else {
                "Scheduling"
            };
            return json!({
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": metadata,
                "eventTime": self.config.epoch.micro_time(self.now),
                "reportingController": source.name(),
                "reportingInstance": "default-scheduler-control-plane",
                "action": action,
                "reason": reason,
                "regarding": reference,
                "note": message,
                "type": kind,
            });
        }
        let now = self.api.timestamp();
        let (mut origin, mut instance) = (json!({"component": source.name()}), "");
        let node = text(about, &["spec", "nodeName"]);
        if source == Source::Kubelet {
            origin["host"] = node.into();
            instance = node;
        }
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "source": origin,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "reportingComponent": source.name(),
            "reportingInstance": instance,
        })
    }
}
