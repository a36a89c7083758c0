//! The server: its state, its clock-driven work, its one commit.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use wavetank_json::Value;
use wavetank_kernel::{Chooser, Class, Load, Queue, Rng, Seed, SimTime};
use wavetank_model::key::GroupKind;
use wavetank_model::patch::apply::ManagedFields;
use wavetank_model::{Actor, Change, ChangeKind, GroupVersionKind, ObjectKey, Wire, object};

use crate::admission::Lookup as _;
use crate::answer::{AUDIT_ID, ResponseBody};
use crate::config::ServerConfig;
use crate::kinds::Allocations;
use crate::pretty;
use crate::registry::{Registry, Resource};
use crate::store::{Parsed, Place, Store, Stored};
use crate::watch::{WatchId, Watches};

/// What the server does by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Deliver the first line of a watch.
    Deliver(WatchId),
    /// End a watch.
    CloseWatch(WatchId),
    /// Send a bookmark.
    Bookmark(WatchId),
    /// Look whether an object is to be collected or is the owner in a deletion that waits.
    Collect(Place),
    /// Take a namespace that is going away one step further.
    EndNamespace(String),
    /// Take a `CustomResourceDefinition` one step further.
    Define(String),
    /// Forget an Event, unless it was written since that revision.
    Expire(Place, u64),
    /// Make what is in each namespace, which could not be made at once.
    Furnish(String),
    /// Sum the rules of a `ClusterRole` up.
    Aggregate(String),
    /// Nothing: what was waited for was done just before.
    Awaited,
}

/// Streams of random numbers, one per concern (API-018).
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) uid: Rng,
    pub(crate) audit: Rng,
    pub(crate) suffix: Rng,
    pub(crate) timeout: Rng,
    pub(crate) strategy: Rng,
}

/// A Kubernetes API server in memory.
#[derive(Debug)]
pub struct Server {
    pub(crate) config: ServerConfig,
    pub(crate) registry: Registry,
    pub(crate) store: Store,
    pub(crate) watches: Watches,
    pub(crate) queue: Queue<Work>,
    pub(crate) dice: Dice,
    pub(crate) allocations: Allocations,
    pub(crate) planned: crate::collector::Planned,
    pub(crate) retries: crate::retry::Retries,
    pub(crate) policies: crate::policy::Policies,
    pub(crate) counted: crate::metrics::Requests,
    /// The time of the last commit or watch.
    pub(crate) clock: SimTime,
    stamp: RefCell<(SimTime, String)>,
    changes: Vec<Change>,
}

/// What a write did: the object as stored (or as it would have been), and its stored form unless nothing was stored.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) object: Parsed,
    pub(crate) stored: Option<Arc<Stored>>,
    pub(crate) created: bool,
}

impl Written {
    /// An object as it would have been stored.
    pub(crate) fn unstored((value, managed): (Value, ManagedFields), created: bool) -> Self {
        let value = Arc::new(value);
        Self {
            object: Parsed { value, managed },
            stored: None,
            created,
        }
    }

    /// A write that changed nothing.
    pub(crate) fn unchanged(object: Parsed, stored: &Arc<Stored>) -> Self {
        Self {
            object,
            stored: Some(Arc::clone(stored)),
            created: false,
        }
    }
}

/// Who commits what, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) manager: &'a str,
    pub(crate) now: SimTime,
}

impl Server {
    /// A server with its bootstrap objects; what it draws at random comes from `seed`.
    pub fn new(config: ServerConfig, seed: Seed) -> Self {
        let store = Store::new(config.first_revision, config.history, config.cache_bytes);
        let dice = Dice {
            uid: seed.child("uid").rng(),
            audit: seed.child("audit id").rng(),
            suffix: seed.child("name suffix").rng(),
            timeout: seed.child("watch timeout").rng(),
            strategy: seed.child("strategy").rng(),
        };
        let mut server = Self {
            config,
            registry: Registry::new(),
            store,
            watches: Watches::default(),
            queue: Queue::new(),
            dice,
            allocations: Allocations::default(),
            planned: crate::collector::Planned::default(),
            retries: crate::retry::Retries::default(),
            policies: crate::policy::Policies::default(),
            counted: crate::metrics::Requests::default(),
            clock: SimTime::ZERO,
            stamp: RefCell::default(),
            changes: Vec::new(),
        };
        server.bootstrap();
        server.changes.clear();
        server
    }

    /// Answers one request from `actor`.
    pub fn handle(
        &mut self,
        request: &Request<Bytes>,
        actor: &Actor,
        now: SimTime,
    ) -> Response<ResponseBody> {
        let mut answer = self.route(request, actor, now);
        if pretty::is_asked(request) {
            answer = answer.indented();
        }
        answer.into_response(self.audit_id(request))
    }

    /// What the client calls the request, or a name for it.
    fn audit_id(&mut self, request: &Request<Bytes>) -> HeaderValue {
        let given = request.headers().get(AUDIT_ID);
        if let Some(given) = given.filter(|id| !id.is_empty()) {
            return given.clone();
        }
        let id = uuid(&mut self.dice.audit);
        HeaderValue::from_bytes(&id).unwrap_or(const { HeaderValue::from_static("") })
    }

    /// When the server has something to do next, and of which class.
    pub fn next_due(&self) -> Option<(SimTime, Class)> {
        self.queue.next_due()
    }

    /// When something is due that is more than upkeep.
    pub fn next_work(&self) -> Option<SimTime> {
        self.queue.next_work()
    }

    /// Does everything that is due at `now` or earlier, in order.
    pub fn run_due(&mut self, now: SimTime, chooser: &mut Chooser) {
        while self.run_next(now, chooser) {}
    }

    /// Does the first thing that is due at `now` or earlier; whether there was one.
    pub fn run_next(&mut self, now: SimTime, chooser: &mut Chooser) -> bool {
        let Some((at, work)) = self.queue.pop_due(now) else {
            return false;
        };
        match work {
            Work::Deliver(id) => self.deliver(id, at, chooser),
            Work::CloseWatch(id) => self.close_watch(id),
            Work::Bookmark(id) => self.bookmark(id, at),
            Work::Collect(place) => self.collect(place, at),
            Work::EndNamespace(name) => self.end_namespace(&name, at),
            Work::Define(name) => self.define(&name, at),
            Work::Expire(place, revision) => self.expire(&place, revision, at),
            Work::Furnish(name) => self.furnish(&name, at),
            Work::Aggregate(name) => self.aggregate(&name, at),
            Work::Awaited => {}
        }
        true
    }

    /// The changes since the last call, in commit order.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The revision of the last commit.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// Forgets the past: watches and lists of older revisions are answered with 410 from now on.
    pub fn compact(&mut self) {
        self.store.compact();
    }

    /// The settings.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// One object, with `apiVersion` and `kind` but without `managedFields`, in the version it is stored in.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.newest().get(key)
    }

    /// All objects of a kind, in one namespace or in all, ordered by namespace and name; in the form of [`Self::get`].
    pub fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.newest().list(kind, namespace)
    }

    /// All objects of a kind with an owner reference to `uid`, ordered by namespace and name; in the form of [`Self::get`].
    pub fn owned(&self, kind: &GroupKind, uid: &str) -> Vec<Arc<Value>> {
        let Some(resource) = self.registry.by_kind(&kind.group, &kind.kind) else {
            return Vec::new();
        };
        self.store
            .owned(uid)
            .filter(|(table, _)| *table == resource.table)
            .filter_map(|(table, key)| self.store.get(*table, key))
            .map(|stored| self.store.value(stored))
            .collect()
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: &GroupKind) -> usize {
        self.registry
            .by_kind(&kind.group, &kind.kind)
            .map_or(0, |resource| self.store.len(resource.table))
    }

    /// The one way into the store, whoever writes (API-020): adds a revision, tells the watches, and plans what follows from
    /// it, so that one write is one event (API-388), that of a deletion included (API-390).
    ///
    /// `new` is the object as it is to be stored, with its `managedFields`; with `deleted` its last state.
    pub(crate) fn commit(
        &mut self,
        resource: &Arc<Resource>,
        key: &str,
        old: Option<Parsed>,
        (new, managed): (Value, ManagedFields),
        deleted: bool,
        author: Author<'_>,
    ) -> Written {
        self.clock = author.now;
        let (event, object) = self.store.commit(resource, key, new, managed, deleted);
        let value = &object.value;
        let kind = match &event.old {
            _ if deleted => ChangeKind::Deleted,
            None => ChangeKind::Created,
            Some(old) if event.new.terminating && !old.terminating => ChangeKind::Deleting,
            Some(_) => ChangeKind::Updated,
        };
        self.fan_out(resource, &event, author.now);
        self.changes.push(Change {
            kind,
            key: Arc::new(ObjectKey::new(
                resource.group.clone(),
                resource.kind(),
                object::namespace(value),
                object::name(value),
            )),
            gvk: GroupVersionKind::new(&resource.storage, resource.kind()),
            revision: event.revision,
            time: author.now,
            actor: author.actor.clone(),
            manager: author.manager.to_owned(),
            new: Arc::clone(value),
            wire: Some(Wire {
                text: event.new.json(),
                managed: object.managed.clone(),
                old_managed: old
                    .as_ref()
                    .map(|old| old.managed.clone())
                    .unwrap_or_default(),
            }),
            old: old.map(|old| old.value),
        });
        if deleted {
            resource.strategy.release(value, &mut self.allocations);
        }
        self.after_commit(resource, &event, value, author.now);
        if let Some(old) = &event.old {
            self.store.forget(old);
        }
        Written {
            object,
            created: event.old.is_none(),
            stored: Some(event.new),
        }
    }

    /// Plans something for the server itself.
    pub(crate) fn plan(&mut self, at: SimTime, work: Work) {
        self.queue.push(at, Class::SERVER, Load::Work, work);
    }

    /// A random uid (version 4).
    pub(crate) fn uid(&mut self) -> String {
        let text = uuid(&mut self.dice.uid);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Five characters for a generated name (API-092).
    pub(crate) fn name_suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5)
            .map(|_| {
                let at =
                    usize::try_from(self.dice.suffix.below(ALPHABET.len() as u64)).unwrap_or(0);
                char::from(ALPHABET[at])
            })
            .collect()
    }

    /// The time as it is written into objects (API-016).
    pub(crate) fn timestamp(&self, now: SimTime) -> String {
        // Many writes share an instant, and formatting costs more than all else in a small write.
        let mut last = self.stamp.borrow_mut();
        if last.0 != now || last.1.is_empty() {
            *last = (now, self.config.epoch.time(now));
        }
        last.1.clone()
    }
}

/// A random uuid (version 4), in hexadecimal digits and dashes.
fn uuid(dice: &mut Rng) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes: [u8; 16] = dice.bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 0x0f)];
        at += 2;
    }
    text
}
