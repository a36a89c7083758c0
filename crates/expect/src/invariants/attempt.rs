//! The tasks of one attempt, and the gates between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;
use wavetank_kernel::SimTime;
use wavetank_model::reference::glob;
use wavetank_model::{ObjectKey, Phase, Verb, WaveNumber, argo};
use wavetank_trace::{DesiredObject, Entry, OperationEvent, TaskEvent};

use super::objects::{Facts, Objects, is_bad, is_good};
use super::{FINALIZER, PHASE_ORDER, SYNC_FAIL, Violation, WAVE_ORDER};

/// What a pass may not have seen yet when it began (SYNC-178).
const VIEW_LAG: Duration = Duration::from_secs(1);

/// Where a task runs.
type Place = (Phase, WaveNumber);

/// One attempt of an operation.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each learnt from another entry"
)]
pub(super) struct Attempt {
    started: u64,
    declared: IndexMap<ObjectKey, Declared>,
    /// Hooks with generated names: their keys are patterns.
    generated: Vec<(ObjectKey, Declared)>,
    /// Hooks that were declared and not carried out yet.
    due: BTreeMap<Place, BTreeSet<ObjectKey>>,
    tasks: Vec<Task>,
    by_key: IndexMap<ObjectKey, Vec<usize>>,
    /// Tasks that hold up what comes after their place.
    open: BTreeMap<Place, BTreeSet<usize>>,
    highest: Option<(Place, usize)>,
    pass: Option<(u64, SimTime)>,
    runs_hooks: bool,
    something_failed: bool,
    terminated: bool,
    /// A fault hit a request for no particular object.
    exempt: bool,
    ended: bool,
}

/// What an object says of itself (SYNC-014 to SYNC-020, SYNC-034).
#[derive(Clone, Debug)]
struct Declared {
    phases: Vec<Phase>,
    wave: i64,
    hook: bool,
}

/// A task that was carried out.
#[derive(Clone, Debug)]
struct Task {
    key: ObjectKey,
    place: Place,
    verb: Verb,
    hook: bool,
    seq: u64,
    time: SimTime,
}

impl Attempt {
    /// An attempt that began with entry `started`. A retry that does not repeat what is desired has that of `earlier`.
    pub(super) fn new(
        started: u64,
        desired: Option<&[DesiredObject]>,
        earlier: Option<&Self>,
    ) -> Self {
        let mut attempt = Self {
            started,
            declared: IndexMap::new(),
            generated: Vec::new(),
            due: BTreeMap::new(),
            tasks: Vec::new(),
            by_key: IndexMap::new(),
            open: BTreeMap::new(),
            highest: None,
            pass: None,
            runs_hooks: false,
            something_failed: false,
            terminated: false,
            exempt: false,
            ended: false,
        };
        match (desired, earlier) {
            (Some(desired), _) => {
                for object in desired {
                    attempt.declare(object);
                }
            }
            (None, Some(earlier)) => {
                attempt.declared.clone_from(&earlier.declared);
                attempt.generated.clone_from(&earlier.generated);
            }
            (None, None) => {}
        }
        for (key, declared) in &attempt.declared {
            if declared.hook && !may_be_pulled_forward(key) {
                for phase in declared
                    .phases
                    .iter()
                    .filter(|phase| **phase < Phase::SyncFail)
                {
                    let place = (*phase, WaveNumber::Number(declared.wave));
                    attempt.due.entry(place).or_default().insert(key.clone());
                }
            }
        }
        attempt
    }

    fn declare(&mut self, desired: &DesiredObject) {
        let object = &*desired.object;
        let declared = Declared {
            phases: argo::phases(object),
            wave: argo::wave(object),
            hook: argo::is_hook(object),
        };
        if desired.key.name.contains('*') {
            self.generated.push((desired.key.clone(), declared));
        } else {
            self.declared.insert(desired.key.clone(), declared);
        }
    }

    pub(super) fn pass(&mut self, entry: &Entry) {
        self.pass = Some((entry.seq, entry.time));
    }

    pub(super) fn terminate(&mut self) {
        self.terminated = true;
    }

    pub(super) fn fault(&mut self, of_nothing_named: bool) {
        self.something_failed = true;
        self.exempt |= of_nothing_named;
    }

    pub(super) fn failed(&mut self) {
        self.something_failed = true;
    }

    pub(super) fn is_exempt(&self) -> bool {
        self.exempt
    }

    /// The health of an object changed.
    pub(super) fn health(&mut self, key: &ObjectKey, verb: Verb) {
        let Some(tasks) = self.by_key.get(key) else {
            return;
        };
        for index in tasks {
            let task = &self.tasks[*index];
            if task.verb == Verb::Applied && is_good(verb, task.hook) {
                close(&mut self.open, task.place, *index);
            }
        }
        self.something_failed |= is_bad(verb);
    }

    /// An object is gone: a good end for what was pruned, a bad one for what was applied and is awaited (SYNC-050).
    pub(super) fn gone(&mut self, key: &ObjectKey) {
        let Some(tasks) = self.by_key.get(key) else {
            return;
        };
        for index in tasks {
            let task = &self.tasks[*index];
            if task.verb == Verb::Pruned {
                close(&mut self.open, task.place, *index);
            } else if self
                .open
                .get(&task.place)
                .is_some_and(|open| open.contains(index))
            {
                self.something_failed = true;
            }
        }
    }

    /// Judges the order of a task that is being carried out.
    pub(super) fn check(
        &self,
        entry: &Entry,
        task: &TaskEvent,
        objects: &Objects,
        home: &str,
        violations: &mut Vec<Violation>,
    ) {
        if is_destination(&task.key, home) {
            return;
        }
        violations.extend(self.check_declared(entry, task, home));
        let place = (task.phase, task.wave);
        if let Some((highest, index)) = self.highest
            && highest > place
            && task.verb != Verb::Pruned
        {
            let other = &self.tasks[index];
            violations.push(Violation {
                invariant: if highest.0 == place.0 {
                    WAVE_ORDER
                } else {
                    PHASE_ORDER
                },
                expected: format!("nothing of {} once {} began", show(place), show(highest)),
                observed: format!(
                    "{} {} in {} at {}; {} {} in {} at {} already",
                    task.key.short(home),
                    task.verb,
                    show(place),
                    entry.time,
                    other.key.short(home),
                    other.verb,
                    show(highest),
                    other.time
                ),
                keys: vec![task.key.clone(), other.key.clone()],
                first: other.seq,
                last: entry.seq,
            });
        }
        violations.extend(self.check_gates(entry, task, objects, home));
        if self.runs_hooks || task.hook {
            violations.extend(self.check_due(entry, task, objects, home));
        }
    }

    /// An object runs in a phase that it names and in its wave.
    fn check_declared(&self, entry: &Entry, task: &TaskEvent, home: &str) -> Option<Violation> {
        let declared = self
            .declared_of(&task.key)
            .filter(|_| task.verb != Verb::Pruned)?;
        let wave = WaveNumber::Number(declared.wave);
        let as_declared = declared.phases.contains(&task.phase) && task.wave == wave;
        let forward = |phase: &Phase| (task.phase, task.wave) <= (*phase, wave);
        if as_declared || (may_be_pulled_forward(&task.key) && declared.phases.iter().any(forward))
        {
            return None;
        }
        let invariant = if declared.phases.contains(&task.phase) {
            WAVE_ORDER
        } else {
            PHASE_ORDER
        };
        let places: Vec<String> = declared
            .phases
            .iter()
            .map(|phase| show((*phase, wave)))
            .collect();
        let expected = if places.is_empty() {
            "no task: it is skipped or ignored".to_owned()
        } else {
            places.join(" or ")
        };
        Some(Violation {
            invariant,
            expected: format!("{} in {expected}", task.key.short(home)),
            observed: format!(
                "{} in {} at {}",
                task.verb,
                show((task.phase, task.wave)),
                entry.time
            ),
            keys: vec![task.key.clone()],
            first: entry.seq,
            last: entry.seq,
        })
    }

    /// Every task of an earlier place came to a good end.
    fn check_gates(
        &self,
        entry: &Entry,
        task: &TaskEvent,
        objects: &Objects,
        home: &str,
    ) -> Option<Violation> {
        let place = (task.phase, task.wave);
        let held_up = self
            .open
            .range(..place)
            .flat_map(|(_, tasks)| tasks)
            .map(|index| &self.tasks[*index]);
        let blocking = held_up
            .into_iter()
            .find(|other| !self.unseen(other) && !objects.is_faulted(&other.key))?;
        let facts = objects.get(&blocking.key);
        let state = match (blocking.verb, facts.health) {
            (Verb::Rejected, _) => "which failed the attempt".to_owned(),
            (Verb::Pruned, _) => "is still there".to_owned(),
            _ if !facts.exists => "is gone".to_owned(),
            (_, Some((verb, since))) => format!("{verb} since {since}"),
            (_, None) => "is not healthy".to_owned(),
        };
        let wanted = match blocking.verb {
            Verb::Pruned => "gone",
            Verb::Rejected => "applied",
            _ => "healthy",
        };
        let name = blocking.key.short(home);
        Some(Violation {
            invariant: if blocking.place.0 == place.0 {
                WAVE_ORDER
            } else {
                PHASE_ORDER
            },
            expected: format!(
                "{} only after {name} of {} is {wanted}",
                show(place),
                show(blocking.place)
            ),
            observed: format!(
                "{} {} at {}; {name} {} at {}, {state}",
                task.key.short(home),
                task.verb,
                entry.time,
                blocking.verb,
                blocking.time
            ),
            keys: vec![task.key.clone(), blocking.key.clone()],
            first: blocking.seq,
            last: entry.seq,
        })
    }

    /// Every declared hook of an earlier place was carried out.
    fn check_due(
        &self,
        entry: &Entry,
        task: &TaskEvent,
        objects: &Objects,
        home: &str,
    ) -> Option<Violation> {
        let place = (task.phase, task.wave);
        let mut due = self
            .due
            .range(..place)
            .flat_map(|(at, keys)| keys.iter().map(move |key| (at, key)));
        let (at, key) = due.find(|(_, key)| !objects.is_faulted(key))?;
        Some(Violation {
            invariant: if at.0 == place.0 {
                WAVE_ORDER
            } else {
                PHASE_ORDER
            },
            expected: format!(
                "{} only after the hook {} of {}",
                show(place),
                key.short(home),
                show(*at)
            ),
            observed: format!(
                "{} {} at {}; no task for the hook",
                task.key.short(home),
                task.verb,
                entry.time
            ),
            keys: vec![task.key.clone(), key.clone()],
            first: self.started,
            last: entry.seq,
        })
    }

    /// Whether the pass that runs now began too early to have seen the end of `task`.
    fn unseen(&self, task: &Task) -> bool {
        self.pass.is_some_and(|(seq, time)| {
            seq > task.seq && task.verb != Verb::Rejected && time.since(task.time) < VIEW_LAG
        })
    }

    /// Judges a task of `SyncFail`.
    pub(super) fn sync_fail(
        &self,
        entry: &Entry,
        task: &TaskEvent,
        home: &str,
    ) -> Option<Violation> {
        if self.something_failed {
            return None;
        }
        Some(Violation {
            invariant: SYNC_FAIL,
            expected: format!(
                "{} only after a failure in the same attempt",
                task.key.short(home)
            ),
            observed: format!(
                "{} at {}; nothing was rejected, degraded, unknown or lost",
                task.verb, entry.time
            ),
            keys: vec![task.key.clone()],
            first: self.started,
            last: entry.seq,
        })
    }

    /// Keeps a task that was carried out.
    pub(super) fn carried_out(
        &mut self,
        entry: &Entry,
        task: &TaskEvent,
        objects: &Objects,
        home: &str,
    ) {
        let place = (task.phase, task.wave);
        let facts: Facts = objects.get(&task.key);
        let index = self.tasks.len();
        self.tasks.push(Task {
            key: task.key.clone(),
            place,
            verb: task.verb,
            hook: task.hook,
            seq: entry.seq,
            time: entry.time,
        });
        self.by_key.entry(task.key.clone()).or_default().push(index);
        if task.phase == Phase::SyncFail {
            return;
        }
        self.runs_hooks |= task.hook;
        self.something_failed |=
            task.verb == Verb::Rejected || (task.verb == Verb::Applied && facts.is_bad());
        let holds_up = match task.verb {
            Verb::Applied => !facts.is_good(task.hook),
            Verb::Pruned => facts.exists,
            _ => true,
        };
        if holds_up {
            self.open.entry(place).or_default().insert(index);
        }
        if task.hook
            && let Some(due) = self.due.get_mut(&place)
        {
            due.remove(&task.key);
        }
        if !is_destination(&task.key, home)
            && self.highest.is_none_or(|(highest, _)| highest < place)
        {
            self.highest = Some((place, index));
        }
    }

    /// Judges what is left when the attempt ends.
    pub(super) fn end(
        &mut self,
        entry: &Entry,
        operation: &OperationEvent,
        objects: &Objects,
        home: &str,
    ) -> Vec<Violation> {
        let after_its_waves =
            ends_after_waves(&operation.state.message) && operation.verb != Some(Verb::Error);
        if std::mem::replace(&mut self.ended, true)
            || self.terminated
            || self.exempt
            || !after_its_waves
        {
            return Vec::new();
        }
        let hooks = self
            .tasks
            .iter()
            .filter(|task| task.hook && task.verb == Verb::Applied);
        let mut keys = BTreeSet::new();
        hooks
            .filter(|task| {
                let facts = objects.get(&task.key);
                facts.exists && facts.finalizer && !facts.refused && !objects.is_faulted(&task.key)
            })
            .filter(|task| !self.unseen(task) && keys.insert(&task.key))
            .map(|task| Violation {
                invariant: FINALIZER,
                expected: format!(
                    "{} without {} when the attempt ends",
                    task.key.short(home),
                    argo::HOOK_FINALIZER
                ),
                observed: format!("it still carries the finalizer at {}", entry.time),
                keys: vec![task.key.clone()],
                first: task.seq,
                last: entry.seq,
            })
            .collect()
    }

    fn declared_of(&self, key: &ObjectKey) -> Option<&Declared> {
        if let Some(declared) = self.declared.get(key) {
            return Some(declared);
        }
        let fits = |pattern: &ObjectKey| {
            pattern.kind == key.kind
                && pattern.group == key.group
                && pattern.namespace == key.namespace
                && glob(&pattern.name, &key.name)
        };
        self.generated
            .iter()
            .find(|(pattern, _)| fits(pattern))
            .map(|(_, declared)| declared)
    }
}

fn close(open: &mut BTreeMap<Place, BTreeSet<usize>>, place: Place, index: usize) {
    if let Some(tasks) = open.get_mut(&place) {
        tasks.remove(&index);
        if tasks.is_empty() {
            open.remove(&place);
        }
    }
}

/// The destination namespace is made before everything else, whatever its place (SYNC-028, SYNC-046).
fn is_destination(key: &ObjectKey, home: &str) -> bool {
    key.kind == "Namespace" && key.group.is_empty() && key.name == home
}

/// SYNC-041.
fn may_be_pulled_forward(key: &ObjectKey) -> bool {
    match key.kind.as_str() {
        "Namespace" => key.group.is_empty(),
        "CustomResourceDefinition" => key.group == "apiextensions.k8s.io",
        _ => false,
    }
}

/// Whether the attempt ended where finalizers of hooks are removed before (SYNC-083): not by an invalid task, a failed
/// dry run, a failed namespace, or outside the engine.
fn ends_after_waves(message: &str) -> bool {
    message.starts_with("successfully synced")
        || message.starts_with("one or more synchronization tasks completed unsuccessfully")
        || (message.starts_with("one or more objects failed to apply")
            && !message.starts_with("one or more objects failed to apply (dry run)"))
}

fn show((phase, wave): Place) -> String {
    format!("{phase}/{wave}")
}
