//! The end of a trace: what is there, in which state, since when.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::{ChangeKind, ObjectKey, Phase, Verb, WaveNumber, object};
use wavetank_trace::{DesiredObject, Entry, Event, OperationEvent, Trace, World};

use super::same;

/// The end of a trace.
pub(super) struct Scene<'a> {
    pub(super) home: &'a str,
    pub(super) world: World,
    /// Last health, since when, and the rule's message.
    pub(super) health: BTreeMap<&'a ObjectKey, (Verb, SimTime, &'a str)>,
    /// Ends of finite objects.
    pub(super) ended: BTreeMap<&'a ObjectKey, (bool, SimTime)>,
    pub(super) created: BTreeMap<&'a ObjectKey, SimTime>,
    pub(super) deleting: BTreeMap<&'a ObjectKey, (SimTime, &'a str)>,
    pub(super) deleted: BTreeMap<&'a ObjectKey, (SimTime, &'a str)>,
    pub(super) operation: Option<&'a OperationEvent>,
    pub(super) operation_time: SimTime,
    pub(super) desired: &'a [DesiredObject],
    /// The wave that runs.
    pub(super) wave: Option<(Phase, WaveNumber)>,
    /// Objects that a task of this attempt applied or tried to.
    pub(super) touched: BTreeSet<(Phase, &'a ObjectKey)>,
    pub(super) pruned: BTreeSet<&'a ObjectKey>,
    pub(super) last_progress: SimTime,
    pub(super) last_pass: Option<(SimTime, &'a str)>,
    pub(super) app_deleting: Option<SimTime>,
    pub(super) delete_phase: Option<Phase>,
    pub(super) delete_hooks: BTreeSet<&'a ObjectKey>,
    /// Faults that fired, by the object they hit.
    pub(super) faults: Vec<(SimTime, &'a str, Option<&'a ObjectKey>)>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let mut scene = Self {
            home: &trace.header.namespace,
            world: World::new(),
            health: BTreeMap::new(),
            ended: BTreeMap::new(),
            created: BTreeMap::new(),
            deleting: BTreeMap::new(),
            deleted: BTreeMap::new(),
            operation: None,
            operation_time: SimTime::ZERO,
            desired: &[],
            wave: None,
            touched: BTreeSet::new(),
            pruned: BTreeSet::new(),
            last_progress: SimTime::ZERO,
            last_pass: None,
            app_deleting: None,
            delete_phase: None,
            delete_hooks: BTreeSet::new(),
            faults: Vec::new(),
        };
        for entry in &trace.entries {
            scene.world.push(entry);
            scene.push(entry);
        }
        scene
    }

    fn push(&mut self, entry: &'a Entry) {
        let now = entry.time;
        match &entry.event {
            Event::Api(api) => {
                let (key, who) = (&api.key, api.actor.as_str());
                match api.verb {
                    ChangeKind::Created => {
                        self.created.insert(key, now);
                        self.ended.remove(key);
                        self.deleting.remove(key);
                        self.deleted.remove(key);
                    }
                    ChangeKind::Updated => {}
                    ChangeKind::Deleting => {
                        self.deleting.insert(key, (now, who));
                    }
                    ChangeKind::Deleted => {
                        self.health.remove(key);
                        self.deleted.insert(key, (now, who));
                    }
                }
            }
            Event::Health(health) => {
                let known = self.health.get(&health.key);
                let since = match known {
                    Some((verb, since, _)) if *verb == health.verb => *since,
                    _ => now,
                };
                self.health
                    .insert(&health.key, (health.verb, since, &health.message));
            }
            Event::End { key, succeeded } => {
                self.ended.insert(key, (*succeeded, now));
            }
            Event::Task(task) => {
                self.last_progress = now;
                if matches!(task.phase, Phase::PreDelete | Phase::PostDelete) {
                    self.delete_hooks.insert(&task.key);
                } else if task.verb == Verb::Pruned {
                    self.pruned.insert(&task.key);
                } else {
                    self.touched.insert((task.phase, &task.key));
                }
            }
            Event::Operation(operation) => self.push_operation(operation, now),
            Event::Phase { phase, verb } => self.push_phase(*phase, *verb),
            Event::Wave { phase, wave, verb } => {
                self.last_progress = now;
                self.wave = (*verb == Verb::Started).then_some((*phase, *wave));
            }
            Event::App { verb, .. } => match verb {
                Verb::Deleting => self.app_deleting = Some(now),
                Verb::Deleted => self.app_deleting = None,
                _ => {}
            },
            Event::Pass { cause, .. } => self.last_pass = Some((now, cause)),
            Event::Fault { name, key } => self.faults.push((now, name, key.as_ref())),
            _ => {}
        }
    }

    fn push_operation(&mut self, operation: &'a OperationEvent, now: SimTime) {
        if operation.verb == Some(Verb::Started) {
            self.desired = operation.desired.as_deref().unwrap_or(self.desired);
            self.touched.clear();
            self.pruned.clear();
            self.wave = None;
            self.last_progress = now;
        }
        if operation.verb.is_some()
            || self
                .operation
                .is_none_or(|last| last.state.message != operation.state.message)
        {
            self.operation_time = now;
        }
        self.operation = Some(operation);
    }

    fn push_phase(&mut self, phase: Phase, verb: Verb) {
        if matches!(phase, Phase::PreDelete | Phase::PostDelete) {
            self.delete_phase = (verb == Verb::Started).then_some(phase);
            self.delete_hooks.clear();
        }
    }

    /// As readers write it.
    pub(super) fn name(&self, key: &ObjectKey) -> String {
        key.short(self.home)
    }

    pub(super) fn is_desired(&self, key: &ObjectKey) -> bool {
        self.desired.iter().any(|desired| same(key, &desired.key))
    }

    pub(super) fn is_terminating(&self, key: &ObjectKey) -> bool {
        self.world
            .object(key)
            .is_some_and(|object| object::is_terminating(object))
    }

    /// Whether it needs nothing more: healthy, or ended well.
    pub(super) fn is_done(&self, key: &ObjectKey) -> bool {
        let ended = self.ended.get(key).is_some_and(|(well, _)| *well);
        ended
            || self
                .health
                .get(key)
                .is_some_and(|(verb, ..)| *verb == Verb::Healthy)
    }

    /// Whether it is there, and there is no health to wait for.
    pub(super) fn is_without_health(&self, key: &ObjectKey) -> bool {
        let live = self.world.object(key);
        live.is_some_and(|live| !object::is_terminating(live))
            && !self.health.contains_key(key)
            && !self.ended.contains_key(key)
    }

    /// The objects that `uid` owns, by key.
    pub(super) fn children(&self, uid: &str) -> Vec<(&ObjectKey, &Value)> {
        let owned = |object: &Value| {
            let mut owners = object::owners(object);
            owners.any(|owner| owner.uid == uid)
        };
        self.world
            .objects()
            .filter(|(_, object)| owned(object))
            .map(|(key, object)| (key, &**object))
            .collect()
    }
}
