//! Everything that was seen of a cluster: the watches of all kinds, put into one order, and told to observers.

pub(crate) mod attribution;
pub(crate) mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use wavetank_cluster::Observer;
use wavetank_json::Value;
use wavetank_kernel::{Clock, SimTime};
use wavetank_model::{Change, ChangeKind, GroupKind, GroupVersionKind, ObjectKey, object};

use crate::clock::RealClock;
use crate::confine::Confinement;
use crate::resource::Resource;
use crate::standin::Feed;

use attribution::Attribution;
use merge::Merge;

/// What an event of a watch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The object is like this.
    There,
    /// The object is gone; this was its last state.
    Gone,
}

/// An event on its way.
struct Event {
    resource: Resource,
    key: ObjectKey,
    seen: Seen,
    object: Arc<Value>,
}

struct Inner {
    merge: Merge<Event>,
    objects: BTreeMap<ObjectKey, Arc<Value>>,
    resources: BTreeMap<GroupKind, Resource>,
    /// Kinds whose watch was answered.
    watched: BTreeSet<GroupKind>,
    attribution: Attribution,
    observers: Vec<Arc<dyn Observer>>,
    feed: Option<Feed>,
    /// Where kinds are announced that have to be watched.
    kinds: UnboundedSender<Resource>,
    /// Changes that were told, but for noise.
    changes: u64,
    last_change: SimTime,
    /// Where set, only what is the run's is told.
    confinement: Option<Arc<Confinement>>,
}

/// Everything that was seen of a cluster since the start of a run.
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    clock: RealClock,
    /// Woken when something came, or was told.
    arrived: Notify,
    moved: Notify,
}

impl Hub {
    /// A hub that has seen `objects` of `resources` at `revision`. Kinds that come into being are sent to `kinds`.
    pub(crate) fn new(
        clock: RealClock,
        resources: Vec<Resource>,
        objects: BTreeMap<ObjectKey, Arc<Value>>,
        revision: u64,
        kinds: UnboundedSender<Resource>,
        confinement: Option<Arc<Confinement>>,
    ) -> Self {
        let resources = resources
            .into_iter()
            .map(|resource| (resource.gvk.group_kind(), resource))
            .collect();
        Self {
            inner: Mutex::new(Inner {
                merge: Merge::after(revision),
                objects,
                resources,
                watched: BTreeSet::new(),
                attribution: Attribution::default(),
                observers: Vec::new(),
                feed: None,
                kinds,
                changes: 0,
                last_change: SimTime::ZERO,
                confinement,
            }),
            clock,
            arrived: Notify::new(),
            moved: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch brought an event.
    pub(crate) fn arrive(
        &self,
        resource: &Resource,
        key: ObjectKey,
        seen: Seen,
        object: Arc<Value>,
    ) {
        let revision = revision(&object);
        let event = Event {
            resource: resource.clone(),
            key,
            seen,
            object,
        };
        let mut inner = self.lock();
        inner.merge.insert(revision, Instant::now(), event);
        self.pump(&mut inner);
        drop(inner);
        self.arrived.notify_one();
    }

    /// A watch of a kind was answered.
    pub(crate) fn watches(&self, resource: &Resource) {
        self.lock().watched.insert(resource.gvk.group_kind());
        self.moved.notify_waiters();
    }

    /// Waits until every kind is watched, at most `patience`; says which is not.
    pub(crate) async fn all_watched(&self, patience: Duration) -> Result<(), String> {
        self.until(patience, |inner| {
            inner
                .resources
                .keys()
                .all(|kind| inner.watched.contains(kind))
        })
        .await;
        let inner = self.lock();
        let mut missing = inner
            .resources
            .keys()
            .filter(|kind| !inner.watched.contains(kind));
        missing
            .next()
            .map_or(Ok(()), |kind| Err(format!("{kind} cannot be watched")))
    }

    /// A kind was listed anew: what differs from what was seen is an event.
    pub(crate) fn relisted(&self, resource: &Resource, fresh: Vec<(ObjectKey, Arc<Value>)>) {
        let kind = resource.gvk.group_kind();
        let known: Vec<(ObjectKey, Arc<Value>)> = self
            .lock()
            .objects
            .iter()
            .filter(|(key, _)| key.group_kind() == kind)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        let there: BTreeSet<ObjectKey> = fresh.iter().map(|(key, _)| key.clone()).collect();
        for (key, object) in known {
            if !there.contains(&key) {
                self.arrive(resource, key, Seen::Gone, object);
            }
        }
        for (key, object) in fresh {
            self.arrive(resource, key, Seen::There, object);
        }
    }

    /// Tells of events that waited long enough. Never ends.
    pub(crate) async fn release(self: Arc<Self>) {
        loop {
            let due = self.lock().merge.due();
            match due {
                None => self.arrived.notified().await,
                Some(at) => {
                    tokio::select! {
                        biased;
                        () = self.arrived.notified() => {}
                        () = sleep_until(at) => {}
                    }
                }
            }
            self.pump(&mut self.lock());
        }
    }

    fn pump(&self, inner: &mut Inner) {
        let mut moved = false;
        while let Some((revision, event)) = inner.merge.pop(Instant::now()) {
            moved = true;
            if !event.resource.is_noise() {
                inner.take(event, revision, self.clock.now());
            }
        }
        if moved {
            self.moved.notify_waiters();
        }
    }

    /// Tells `observer` of every change from now on.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        self.lock().observers.push(observer);
    }

    /// Sends every change from now on to `feed`.
    pub(crate) fn feed(&self, feed: Feed) {
        self.lock().feed = Some(feed);
    }

    /// Nothing more will happen unless somebody acts.
    pub(crate) fn idle(&self) {
        let observers = self.lock().observers.clone();
        for observer in observers {
            observer.idle();
        }
    }

    /// `actor` is about to write an object.
    pub(crate) fn asked(&self, actor: &wavetank_model::Actor, path: &str, manager: &str) {
        self.lock().attribution.asked(actor, path, manager);
    }

    /// Waits until the change with this revision was told, at most `patience`.
    pub(crate) async fn reached(&self, revision: u64, patience: Duration) {
        self.until(patience, |inner| inner.merge.last() >= revision)
            .await;
    }

    /// Waits until it was told that the object with this uid is gone, at most `patience`.
    pub(crate) async fn gone(&self, uid: &str, patience: Duration) {
        self.until(patience, |inner| {
            !inner
                .objects
                .values()
                .any(|object| object::uid(object) == uid)
        })
        .await;
    }

    async fn until(&self, patience: Duration, test: impl Fn(&Inner) -> bool) {
        let waited = timeout(patience, async {
            loop {
                let moved = self.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if test(&self.lock()) {
                    return;
                }
                moved.await;
            }
        });
        // What was not seen in time is told later: the trace says so by its order.
        waited.await.ok();
    }

    /// One object as last seen.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.lock().objects.get(key).map(Arc::clone)
    }

    /// Every object as last seen that `fits`, ordered by key.
    pub(crate) fn all(
        &self,
        fits: impl Fn(&ObjectKey, &Value) -> bool,
    ) -> Vec<(ObjectKey, Arc<Value>)> {
        self.lock()
            .objects
            .iter()
            .filter(|(key, object)| fits(key, object))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect()
    }

    /// Looks at every object as last seen.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&BTreeMap<ObjectKey, Arc<Value>>) -> T) -> T {
        look(&self.lock().objects)
    }

    /// Where a kind is served.
    pub(crate) fn resource(&self, kind: &GroupKind) -> Option<Resource> {
        self.lock().resources.get(kind).cloned()
    }

    /// Whether a kind is not served any more.
    pub(crate) fn is_forgotten(&self, resource: &Resource) -> bool {
        self.lock()
            .resources
            .get(&resource.gvk.group_kind())
            .is_none_or(|known| known != resource)
    }

    /// When the last change was told, and how many there were.
    pub(crate) fn last_change(&self) -> (SimTime, u64) {
        let inner = self.lock();
        (inner.last_change, inner.changes)
    }

    /// Whether events are on their way.
    pub(crate) fn is_behind(&self) -> bool {
        !self.lock().merge.is_empty()
    }

    /// How many changes were told after younger ones.
    pub(crate) fn late(&self) -> u64 {
        self.lock().merge.late()
    }
}

impl Inner {
    fn take(&mut self, event: Event, revision: u64, now: SimTime) {
        let Event {
            resource,
            key,
            seen,
            object: new,
        } = event;
        let path = resource.item(&key);
        if let Some(confinement) = &self.confinement
            && !confinement.concerns(&key, &path)
        {
            return;
        }
        let old = self.objects.get(&key).cloned();
        let kind = match (seen, &old) {
            (Seen::Gone, None) => return,
            (Seen::Gone, Some(_)) => ChangeKind::Deleted,
            (Seen::There, None) => ChangeKind::Created,
            // A list shows again what a watch has shown.
            (Seen::There, Some(old)) if self::revision(old) >= revision => return,
            (Seen::There, Some(old))
                if object::is_terminating(&new) && !object::is_terminating(old) =>
            {
                ChangeKind::Deleting
            }
            (Seen::There, Some(_)) => ChangeKind::Updated,
        };
        let (actor, manager) = match kind {
            ChangeKind::Deleting | ChangeKind::Deleted => {
                (self.attribution.of_path(&path), String::new())
            }
            // A binding leaves no trace in the managed fields.
            ChangeKind::Updated if is_bound(&new) && !old.as_deref().is_some_and(is_bound) => {
                let scheduler = "kube-scheduler";
                (wavetank_model::Actor::new(scheduler), scheduler.to_owned())
            }
            ChangeKind::Created | ChangeKind::Updated => {
                self.attribution.of_write(&path, old.as_deref(), &new)
            }
        };
        if kind == ChangeKind::Deleted {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key.clone(), Arc::clone(&new));
        }
        self.note_kind(kind, &key, &new);
        let change = Change {
            kind,
            key: Arc::new(key),
            gvk: resource.gvk,
            revision,
            time: now,
            actor,
            manager,
            old,
            new,
            wire: None,
        };
        // Nodes report their health again and again.
        if change.key.kind != "Node" || kind != ChangeKind::Updated {
            self.last_change = now;
            self.changes += 1;
        }
        for observer in &self.observers {
            observer.committed(&change);
        }
        if let Some(feed) = &self.feed {
            feed.change(change);
        }
    }

    /// Kinds come and go with their definitions.
    fn note_kind(&mut self, kind: ChangeKind, key: &ObjectKey, definition: &Value) {
        if !wavetank_model::kinds::is_definition(&key.group, &key.kind) {
            return;
        }
        let Some(resource) = declared(definition) else {
            return;
        };
        let group_kind = resource.gvk.group_kind();
        if kind == ChangeKind::Deleted {
            self.resources.remove(&group_kind);
            return;
        }
        if object::is_true(definition, "Established")
            && self.resources.get(&group_kind) != Some(&resource)
        {
            self.resources.insert(group_kind, resource.clone());
            // The receiver lives as long as the run.
            self.kinds.unbounded_send(resource).ok();
        }
    }
}

/// Whether this is a Pod on a node.
fn is_bound(object: &Value) -> bool {
    object["kind"] == "Pod" && object["spec"]["nodeName"].is_string()
}

/// The revision of an object, 0 where it has none.
pub(crate) fn revision(object: &Value) -> u64 {
    object::resource_version(object).parse().unwrap_or(0)
}

/// What a definition declares, in its storage version.
fn declared(definition: &Value) -> Option<Resource> {
    let spec = definition.get("spec")?;
    let names = spec.get("names")?;
    let version = spec
        .get("versions")?
        .as_array()?
        .iter()
        .find(|version| version["storage"] == true)?;
    let api = format!("{}/{}", spec["group"].as_str()?, version["name"].as_str()?);
    Some(Resource {
        gvk: GroupVersionKind::new(&api, names["kind"].as_str()?),
        plural: names["plural"].as_str()?.to_owned(),
        namespaced: spec["scope"] == "Namespaced",
        deletable: true,
    })
}
