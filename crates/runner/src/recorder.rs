//! The recorder: numbers what happens and keeps it as the trace.
//!
//! It is told of commits by the target, of everything else by the runner, and computes the health verbs: an API entry
//! is followed at the same instant by the change of health it causes. Nothing else computes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use tokio::sync::Notify;
use wavetank_cluster::Observer;
use wavetank_expect::RunMonitor;
use wavetank_health::{Assessor, HealthStatus};
use wavetank_json::Value;
use wavetank_kernel::{Clock, SimTime};
use wavetank_model::{Actor, Change, ChangeKind, EventPattern, ObjectKey, Verb, object};
use wavetank_trace::replay::{Managed, content};
use wavetank_trace::{ApiEvent, Entry, Event, HealthEvent};

use crate::shared::Pretty;

/// More entries than this at one instant are a livelock (scenario format, section 10).
const LIVELOCK: u32 = 100_000;

/// The note with which a run ends that was lost before its end.
pub const ENDED_EARLY: &str = "ended here: an expectation cannot hold any more (--fail-fast)";

/// A pattern somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchId(u64);

/// Who waits for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// This bound action.
    Action(usize),
    /// Deletions that this workload rule holds.
    Deletions(usize),
}

/// An event that somebody waits for came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trigger {
    /// Who waits for it.
    pub(crate) waiter: Waiter,
    /// When.
    pub(crate) at: SimTime,
}

struct Armed {
    waiter: Waiter,
    event: EventPattern,
    /// Occurrences still to come before it fires.
    left: u32,
}

/// A place in the trace: after the entry of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

struct Watched {
    event: EventPattern,
    /// Where it came first.
    seen: Option<Place>,
}

struct Inner {
    /// `None` where nobody will ask for them.
    entries: Option<Vec<Entry>>,
    /// The number of the last entry.
    last: u64,
    effects: u64,
    last_effect: Option<SimTime>,
    /// The last change that the user made.
    last_of_user: Option<Place>,
    health: BTreeMap<ObjectKey, HealthStatus>,
    ended: BTreeSet<String>,
    watched: BTreeMap<WatchId, Watched>,
    next_watch: u64,
    armed: Vec<Armed>,
    triggers: UnboundedSender<Trigger>,
    instant: (SimTime, u32),
    livelock: Option<SimTime>,
    /// Judges while the run goes on, where it is to end as soon as it is lost.
    monitor: Option<Box<RunMonitor>>,
    lost: bool,
}

/// Keeps the trace of a run.
pub(crate) struct Recorder {
    clock: Arc<dyn Clock>,
    assessor: Arc<Assessor>,
    home: String,
    show_secrets: bool,
    /// Woken when a watched event came, when the target fell idle, and on a livelock.
    changed: Arc<Notify>,
    /// Waiters that were triggered and are not done.
    pending_waiters: AtomicU32,
    /// Real time: the guard against a run that never ends (scenario format, section 10).
    started: Instant,
    wall_limit: Duration,
    inner: Mutex<Inner>,
}

impl Recorder {
    /// A recorder for an app whose destination namespace is `home`, and the stream of triggers.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        assessor: Arc<Assessor>,
        home: String,
        show_secrets: bool,
        wall_limit: Duration,
        changed: Arc<Notify>,
    ) -> (Self, UnboundedReceiver<Trigger>) {
        let (sender, triggers) = unbounded();
        let inner = Inner {
            entries: Some(Vec::new()),
            last: 0,
            effects: 0,
            last_effect: None,
            last_of_user: None,
            health: BTreeMap::new(),
            ended: BTreeSet::new(),
            watched: BTreeMap::new(),
            next_watch: 0,
            armed: Vec::new(),
            triggers: sender,
            instant: (SimTime::ZERO, 0),
            livelock: None,
            monitor: None,
            lost: false,
        };
        #[expect(clippy::disallowed_methods, reason = "the wall limit is real time")]
        let started = Instant::now();
        let recorder = Self {
            clock,
            assessor,
            home,
            show_secrets,
            changed,
            pending_waiters: AtomicU32::new(0),
            started,
            wall_limit,
            inner: Mutex::new(inner),
        };
        (recorder, triggers)
    }

    /// Keeps no entry from now on: what happens reaches only who waits for it, however long the run is.
    pub(crate) fn forget(&self) {
        self.lock().entries = None;
    }

    /// From now on gives the run up as soon as `monitor` says that it is lost.
    pub(crate) fn judge_with(&self, monitor: RunMonitor) {
        self.lock().monitor = Some(Box::new(monitor));
    }

    /// Whether an expectation cannot hold any more, where that ends the run.
    pub(crate) fn is_lost(&self) -> bool {
        self.lock().lost
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters an event at the present time; gives its number.
    pub(crate) fn push(&self, event: Event) -> u64 {
        let now = self.clock.now();
        self.push_at(&mut self.lock(), event, now)
    }

    fn push_at(&self, inner: &mut Inner, event: Event, time: SimTime) -> u64 {
        inner.last += 1;
        let seq = inner.last;
        inner.count(time, &self.changed);
        let triggered = inner.announce(&event, &self.home, (Place(seq), time), &self.changed);
        self.pending_waiters.fetch_add(triggered, Ordering::Relaxed);
        let is_effect = event.verb().is_some() || matches!(event, Event::Operation(_));
        if is_effect {
            inner.effects += 1;
            inner.last_effect = Some(time);
        }
        let entry = Entry { seq, time, event };
        inner.judge(&entry, &self.changed);
        if let Some(entries) = &mut inner.entries {
            entries.push(entry);
        }
        seq
    }

    /// The rules of health.
    pub(crate) fn assessor(&self) -> &Assessor {
        &self.assessor
    }

    /// The number of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last
    }

    /// From now on notices `event`.
    pub(crate) fn watch(&self, event: EventPattern) -> WatchId {
        self.lock().watch(event, None)
    }

    /// Notices `event` from an earlier place on.
    pub(crate) fn watch_since(&self, event: EventPattern, since: Place) -> WatchId {
        let mut inner = self.lock();
        let later = inner.entries.iter().flatten().rev();
        let later = later.take_while(|entry| entry.seq > since.0);
        let came = later.filter(|entry| entry.event.matches(&event, &self.home));
        let seen = came.last().map(|entry| Place(entry.seq));
        inner.watch(event, seen)
    }

    /// The present place.
    pub(crate) fn place(&self) -> Place {
        Place(self.last())
    }

    /// Where the user made the last change.
    pub(crate) fn last_of_user(&self) -> Option<Place> {
        self.lock().last_of_user
    }

    /// Whether the event came since [`Self::watch`].
    pub(crate) fn came(&self, id: WatchId) -> bool {
        self.lock()
            .watched
            .get(&id)
            .is_some_and(|watched| watched.seen.is_some())
    }

    /// Stops noticing; gives where the event came.
    pub(crate) fn unwatch(&self, id: WatchId) -> Option<Place> {
        self.lock().watched.remove(&id)?.seen
    }

    /// Arms `waiter`: the `nth` occurrence of `event` from now on triggers it.
    pub(crate) fn arm(&self, waiter: Waiter, event: EventPattern, nth: u32) {
        self.lock().armed.push(Armed {
            waiter,
            event,
            left: nth,
        });
    }

    /// Disarms `waiter`.
    pub(crate) fn disarm(&self, waiter: Waiter) {
        self.lock().armed.retain(|armed| armed.waiter != waiter);
    }

    /// How many waiters were triggered and are not done.
    pub(crate) fn pending_waiters(&self) -> u32 {
        self.pending_waiters.load(Ordering::Relaxed)
    }

    /// A triggered waiter is done.
    pub(crate) fn waiter_done(&self) {
        self.pending_waiters.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Why the run has to be given up: it is lost, a livelock, or the wall time is used up.
    pub(crate) fn runaway(&self) -> Option<String> {
        if self.is_lost() {
            return Some(ENDED_EARLY.to_owned());
        }
        if let Some(at) = self.lock().livelock {
            return Some(format!(
                "livelock: more than {LIVELOCK} trace entries at {at}"
            ));
        }
        let spent = self.started.elapsed() > self.wall_limit;
        spent.then(|| {
            format!(
                "the limit of {} of real time was reached (`limits.wall`)",
                Pretty(self.wall_limit)
            )
        })
    }

    /// How many entries so far tell of a change: everything but requests, passes, steps and notes.
    pub(crate) fn effects(&self) -> u64 {
        self.lock().effects
    }

    /// When the last change happened that [`Self::effects`] counts.
    pub(crate) fn last_effect(&self) -> Option<SimTime> {
        self.lock().last_effect
    }

    /// Hands out everything that was recorded.
    pub(crate) fn take(&self) -> Vec<Entry> {
        let mut inner = self.lock();
        inner.last = 0;
        inner
            .entries
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The object as it goes into the trace: Secret values hashed unless they are to be shown.
    pub(crate) fn redacted(&self, object: &Arc<Value>) -> Arc<Value> {
        if self.show_secrets || !object::is_secret(object) {
            return Arc::clone(object);
        }
        let mut copy = Value::clone(object);
        object::redact_secret(&mut copy);
        Arc::new(copy)
    }

    fn push_change(&self, inner: &mut Inner, change: &Change) {
        let body = (inner.entries.is_some() && change.kind != ChangeKind::Deleted).then(|| {
            let new = self.redacted(&change.new);
            let old = change.old.as_ref().map(|old| self.redacted(old));
            let is_whole = Arc::ptr_eq(&new, &change.new);
            let wire = change.wire.as_ref();
            let managed = wire.map(|wire| Managed {
                old: &wire.old_managed,
                new: &wire.managed,
            });
            let text = wire.map(|wire| &wire.text).filter(|_| is_whole);
            content(old.as_deref(), &new, managed, text)
        });
        let event = ApiEvent {
            verb: change.kind,
            key: ObjectKey::clone(&change.key),
            api_version: change.gvk.api_version(),
            uid: object::uid(&change.new).to_owned(),
            resource_version: change.revision.to_string(),
            actor: change.actor.clone(),
            manager: change.manager.clone(),
            content: body,
        };
        let is_of_user = event.actor.as_str() == Actor::USER;
        let seq = self.push_at(inner, Event::Api(event), change.time);
        if is_of_user {
            inner.last_of_user = Some(Place(seq));
        }
        if change.kind == ChangeKind::Deleted {
            inner.health.remove(&change.key);
            inner.ended.remove(object::uid(&change.new));
            return;
        }
        self.push_health(inner, change);
        self.push_end(inner, change);
    }

    fn push_health(&self, inner: &mut Inner, change: &Change) {
        let (status, message) = match self.assessor.assess(&change.new) {
            Ok(None) => return,
            Ok(Some(health)) => (health.status, health.message),
            Err(failure) => (Some(HealthStatus::Unknown), failure.to_string()),
        };
        let Some(status) = status else { return };
        match inner.health.get_mut(&change.key) {
            Some(known) if *known == status => return,
            Some(known) => *known = status,
            None => {
                inner.health.insert(ObjectKey::clone(&change.key), status);
            }
        }
        let event = HealthEvent {
            key: ObjectKey::clone(&change.key),
            verb: verb_of(status),
            message,
        };
        self.push_at(inner, Event::Health(event), change.time);
    }

    fn push_end(&self, inner: &mut Inner, change: &Change) {
        let Some(succeeded) = object::outcome(&change.key.group, &change.key.kind, &change.new)
        else {
            return;
        };
        if inner.ended.insert(object::uid(&change.new).to_owned()) {
            self.push_at(
                inner,
                Event::End {
                    key: ObjectKey::clone(&change.key),
                    succeeded,
                },
                change.time,
            );
        }
    }
}

impl Inner {
    fn count(&mut self, time: SimTime, changed: &Notify) {
        if self.instant.0 == time {
            self.instant.1 += 1;
        } else {
            self.instant = (time, 1);
        }
        if self.instant.1 > LIVELOCK && self.livelock.is_none() {
            self.livelock = Some(time);
            changed.notify_waiters();
        }
    }

    fn judge(&mut self, entry: &Entry, changed: &Notify) {
        let Some(monitor) = &mut self.monitor else {
            return;
        };
        monitor.push(entry);
        if monitor.is_lost() {
            self.monitor = None;
            self.lost = true;
            changed.notify_waiters();
        }
    }

    fn watch(&mut self, event: EventPattern, seen: Option<Place>) -> WatchId {
        let id = WatchId(self.next_watch);
        self.next_watch += 1;
        self.watched.insert(id, Watched { event, seen });
        id
    }

    fn announce(
        &mut self,
        event: &Event,
        home: &str,
        (place, time): (Place, SimTime),
        changed: &Notify,
    ) -> u32 {
        if self.watched.is_empty() && self.armed.is_empty() {
            return 0;
        }
        for watched in self.watched.values_mut() {
            if watched.seen.is_none() && event.matches(&watched.event, home) {
                watched.seen = Some(place);
                changed.notify_waiters();
            }
        }
        let triggers = &self.triggers;
        let mut triggered = 0;
        self.armed.retain_mut(|armed| {
            if !event.matches(&armed.event, home) {
                return true;
            }
            armed.left = armed.left.saturating_sub(1);
            if armed.left > 0 {
                return true;
            }
            // Without a receiver the run is over.
            drop(triggers.unbounded_send(Trigger {
                waiter: armed.waiter,
                at: time,
            }));
            changed.notify_waiters();
            triggered += 1;
            false
        });
        triggered
    }
}

impl Observer for Recorder {
    fn committed(&self, change: &Change) {
        self.push_change(&mut self.lock(), change);
    }

    fn idle(&self) {
        self.changed.notify_waiters();
    }
}

fn verb_of(status: HealthStatus) -> Verb {
    match status {
        HealthStatus::Healthy => Verb::Healthy,
        HealthStatus::Suspended => Verb::Suspended,
        HealthStatus::Progressing => Verb::Progressing,
        HealthStatus::Missing => Verb::Missing,
        HealthStatus::Degraded => Verb::Degraded,
        HealthStatus::Unknown => Verb::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use wavetank_json::json;
    use wavetank_kernel::BoxFuture;
    use wavetank_model::GroupVersionKind;

    use super::*;

    /// A clock that stands still.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> SimTime {
            at(100)
        }

        fn sleep_until(&self, _: SimTime) -> BoxFuture<'static, ()> {
            Box::pin(future::ready(()))
        }
    }

    fn at(millis: u64) -> SimTime {
        SimTime::ZERO + Duration::from_millis(millis)
    }

    fn created(recorder: &Recorder, name: &str, actor: &str, time: SimTime) {
        let object = json!({"metadata": {"name": name, "namespace": "default", "uid": name}});
        recorder.committed(&Change {
            kind: ChangeKind::Created,
            key: Arc::new(ObjectKey::new("", "ConfigMap", "default", name)),
            gvk: GroupVersionKind::new("v1", "ConfigMap"),
            revision: 1,
            time,
            actor: Actor::new(actor),
            manager: actor.to_owned(),
            old: None,
            new: Arc::new(object),
            wire: None,
        });
    }

    fn recorder() -> Recorder {
        let (recorder, _triggers) = Recorder::new(
            Arc::new(Still),
            Arc::new(Assessor::new()),
            "default".to_owned(),
            false,
            Duration::from_secs(60),
            Arc::new(Notify::new()),
        );
        recorder
    }

    fn event(name: &str) -> EventPattern {
        format!("ConfigMap/{name} created").parse().unwrap()
    }

    #[test]
    fn what_came_between_an_event_and_the_next_step_is_not_missed() {
        let recorder = recorder();
        created(&recorder, "early", "engine", at(9));
        let first = recorder.watch(event("first"));
        created(&recorder, "first", "engine", at(10));
        created(&recorder, "at-once", "engine", at(10));
        created(&recorder, "soon", "engine", at(11));
        let ended = recorder.unwatch(first).unwrap();
        let came = |name: &str| {
            let id = recorder.watch_since(event(name), ended);
            recorder.came(id)
        };
        assert!(came("soon"));
        assert!(came("at-once"));
        assert!(!came("early"));
        assert!(!came("first"));
        let later = recorder.watch_since(event("later"), ended);
        assert!(!recorder.came(later));
        created(&recorder, "later", "engine", at(200));
        assert!(recorder.came(later));
    }

    #[test]
    fn who_waits_hears_of_what_is_not_kept() {
        let recorder = recorder();
        recorder.forget();
        let id = recorder.watch(event("first"));
        created(&recorder, "first", "engine", at(10));
        assert!(recorder.came(id));
        assert_eq!(recorder.last(), 1);
        assert_eq!(recorder.take().len(), 0);
    }

    #[test]
    fn what_follows_the_users_own_change_is_not_missed() {
        let recorder = recorder();
        assert_eq!(recorder.last_of_user(), None);
        created(&recorder, "mine", Actor::USER, at(10));
        created(&recorder, "reaction", "engine", at(12));
        let ended = recorder.last_of_user().unwrap();
        let id = recorder.watch_since(event("reaction"), ended);
        assert!(recorder.came(id));
        let id = recorder.watch_since(event("reaction"), recorder.place());
        assert!(!recorder.came(id));
    }
}
