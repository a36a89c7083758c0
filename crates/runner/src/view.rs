//! The view: the watch-fed cache from which every engine gets its snapshot.
//!
//! One reflector per kind lists, watches, resumes, and lists again when its revision is too old, through the seam.
//! Lines are parsed once and kept as they came: the engine sees exactly what the API sent. What the view has seen last
//! is what the engine believes, however late it is. An object that was committed in this process is not parsed again:
//! the line says which version it carries.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::Request;
use http_body_util::{BodyExt, BodyStream};
use kube::client::Body;
use serde::Deserialize;
use tower::{BoxError, ServiceExt};
use wavetank_cluster::Observer;
use wavetank_json::Value;
use wavetank_kernel::Clock;
use wavetank_model::{
    Change, ChangeKind, GroupKind, GroupVersionKind, ObjectKey, Reference, object,
};

use crate::seam::Seam;

/// Items of one page of a list.
const PAGE: u32 = 500;
/// A watch is asked to end after this many seconds, as kube's own watcher does.
const WATCH_SECONDS: u32 = 290;
/// Where deliveries may be lost the view lists again after this time, as Argo CD's does.
const RESYNC: Duration = Duration::from_secs(600);
/// First and longest wait after a failed list or watch.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A kind that the view watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchedKind {
    /// Kind and version.
    pub(crate) gvk: GroupVersionKind,
    /// Resource name.
    pub(crate) plural: String,
}

impl WatchedKind {
    fn path(&self) -> String {
        let prefix = if self.gvk.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        format!("{prefix}/{}/{}", self.gvk.api_version(), self.plural)
    }
}

/// An object as the view has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    object: Arc<Value>,
    /// The whole object where the one above is without its `managedFields`.
    text: Option<Bytes>,
    /// What the text says, once somebody wanted to know.
    whole: OnceLock<Arc<Value>>,
}

impl Seen {
    fn new(object: Arc<Value>, text: Option<Bytes>) -> Self {
        Self {
            object,
            text,
            whole: OnceLock::new(),
        }
    }

    /// The object with its `managedFields`.
    fn whole(&self) -> Arc<Value> {
        let Some(text) = &self.text else {
            return Arc::clone(&self.object);
        };
        // The server wrote it.
        let read =
            || serde_json::from_slice(text).map_or_else(|_| Arc::clone(&self.object), Arc::new);
        Arc::clone(self.whole.get_or_init(read))
    }
}

impl From<Value> for Seen {
    fn from(object: Value) -> Self {
        Self::new(Arc::new(object), None)
    }
}

impl Deref for Seen {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.object
    }
}

/// Is told of each change that the view has seen: what it had seen before, where the object is still there, and now.
pub(crate) type OnChange = Arc<dyn Fn(&ObjectKey, Option<&Value>, &Value) + Send + Sync>;

/// What the view has seen.
#[derive(Default)]
pub(crate) struct View {
    objects: Mutex<BTreeMap<ObjectKey, Seen>>,
    bends: Mutex<Vec<Bend>>,
    committed: Mutex<Committed>,
}

/// How many versions of an object are kept that no watch has brought yet: several are committed at one instant.
const VERSIONS: usize = 2;

/// Every object of the watched kinds as committed in this process, its last version at the end.
#[derive(Default)]
struct Committed {
    kinds: Vec<GroupKind>,
    objects: BTreeMap<Arc<ObjectKey>, VecDeque<Seen>>,
    /// Where in memory the texts are that the objects above were written as: what a watch hands out from there is
    /// this version, for nothing else can be there as long as the text is kept.
    places: BTreeMap<usize, Arc<ObjectKey>>,
}

impl Committed {
    fn forget(places: &mut BTreeMap<usize, Arc<ObjectKey>>, seen: &Seen) {
        if let Some(text) = &seen.text {
            places.remove(&text.as_ptr().addr());
        }
    }

    /// Of what is gone no version is left; that it was there is remembered.
    fn remove(&mut self, key: &ObjectKey) {
        if let Some(versions) = self.objects.get_mut(key) {
            for seen in std::mem::take(versions) {
                Self::forget(&mut self.places, &seen);
            }
        }
    }

    fn insert(&mut self, change: &Change) {
        let key = &change.key;
        let is_its = |kind: &GroupKind| kind.kind == key.kind && kind.group == key.group;
        if !self.kinds.iter().any(is_its) {
            return;
        }
        let text = change.wire.as_ref().map(|wire| wire.text.clone());
        if let Some(text) = &text {
            self.places.insert(text.as_ptr().addr(), Arc::clone(key));
        }
        let versions = self.objects.entry(Arc::clone(key)).or_default();
        versions.push_back(Seen::new(Arc::clone(&change.new), text));
        if versions.len() > VERSIONS
            && let Some(oldest) = versions.pop_front()
        {
            Self::forget(&mut self.places, &oldest);
        }
    }

    /// The object whose text begins at `text`, with no byte compared. Versions before it are not asked for again.
    fn written_at(&mut self, text: &[u8]) -> Option<(Arc<ObjectKey>, Seen)> {
        let start = text.as_ptr().addr();
        let key = Arc::clone(self.places.get(&start)?);
        let versions = self.objects.get_mut(&key)?;
        let is_it = |seen: &Seen| {
            let text = seen.text.as_ref();
            text.is_some_and(|text| text.as_ptr().addr() == start)
        };
        let older = versions.iter().take_while(|seen| !is_it(seen)).count();
        versions
            .drain(..older)
            .for_each(|seen| Self::forget(&mut self.places, &seen));
        Some((key, versions.front()?.clone()))
    }
}

impl Observer for View {
    fn committed(&self, change: &Change) {
        let mut committed = View::committed(self);
        if change.kind == ChangeKind::Deleted {
            committed.remove(&change.key);
        } else {
            committed.insert(change);
        }
    }

    fn idle(&self) {}
}

/// What the view shows of the objects that `target` names, in place of what it has seen.
pub(crate) struct Bend {
    pub(crate) target: Reference,
    /// Namespace of the app.
    pub(crate) home: String,
    pub(crate) shown: BTreeMap<ObjectKey, Seen>,
}

impl View {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Seen>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every object as the view shows it, ordered by key; with its `managedFields` when they are to be `whole`, else
    /// perhaps without.
    pub(crate) fn snapshot(&self, whole: bool) -> Vec<Arc<Value>> {
        let shown = |seen: &Seen| {
            if whole {
                seen.whole()
            } else {
                Arc::clone(&seen.object)
            }
        };
        let bends = self.bends.lock().unwrap_or_else(PoisonError::into_inner);
        if bends.is_empty() {
            return self.lock().values().map(shown).collect();
        }
        let mut objects = self.lock().clone();
        for bend in bends.iter() {
            objects.retain(|key, _| !bend.target.matches(key, &bend.home));
            objects.extend(bend.shown.clone());
        }
        objects.values().map(shown).collect()
    }

    /// The object of that key as last seen.
    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.lock().get(key).map(|seen| Arc::clone(&seen.object))
    }

    /// Shows an object as if a watch had brought it.
    #[cfg(test)]
    pub(crate) fn show(&self, key: ObjectKey, object: Value) {
        self.put(&key, object.into());
    }

    /// Whether something was committed, or deleted, that no watch has brought yet.
    pub(crate) fn lags(&self) -> bool {
        let (committed, seen) = (self.committed(), self.lock());
        let mut objects = committed.objects.iter();
        objects.any(|(key, versions)| match (versions.back(), seen.get(key)) {
            (None, seen) => seen.is_some(),
            (Some(_), None) => true,
            (Some(last), Some(seen)) => revision(seen) < revision(last),
        })
    }

    /// The objects that `target` names as last seen, for an app whose namespace is `home`.
    pub(crate) fn matching(&self, target: &Reference, home: &str) -> BTreeMap<ObjectKey, Seen> {
        let objects = self.lock();
        let meant = objects.iter().filter(|(key, _)| target.matches(key, home));
        meant
            .map(|(key, seen)| (key.clone(), seen.clone()))
            .collect()
    }

    /// From now on shows these in place of the truth.
    pub(crate) fn bend(&self, bends: Vec<Bend>) {
        *self.bends.lock().unwrap_or_else(PoisonError::into_inner) = bends;
    }

    fn committed(&self) -> MutexGuard<'_, Committed> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The object that a line is about, if it is the one last committed.
    fn shared(&self, kind: &WatchedKind, head: &Head<'_>) -> Option<(ObjectKey, Seen)> {
        let metadata = &head.metadata;
        let key = ObjectKey::new(
            &kind.gvk.group,
            &kind.gvk.kind,
            &*metadata.namespace,
            &*metadata.name,
        );
        let committed = self.committed();
        let versions = committed.objects.get(&key)?;
        let seen = versions.iter().rev().find(|object| {
            object::resource_version(object) == metadata.resource_version
                && object
                    .get("apiVersion")
                    .is_some_and(|version| version == &*head.api_version)
        })?;
        Some((key, seen.clone()))
    }

    fn put(&self, key: &ObjectKey, seen: Seen) -> Option<Seen> {
        let mut objects = self.lock();
        match objects.get_mut(key) {
            Some(known) => Some(std::mem::replace(known, seen)),
            None => objects.insert(key.clone(), seen),
        }
    }

    fn remove(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// Takes a fresh list of one kind in place of what was known; gives the objects that differ, with what they were.
    fn replace(
        &self,
        kind: &WatchedKind,
        fresh: Vec<(ObjectKey, Seen)>,
    ) -> Vec<(ObjectKey, Option<Seen>, Seen)> {
        let mut objects = self.lock();
        let fresh: BTreeMap<ObjectKey, Seen> = fresh.into_iter().collect();
        let mut changed = Vec::new();
        let known: Vec<ObjectKey> = objects
            .keys()
            .filter(|key| key.kind == kind.gvk.kind && key.group == kind.gvk.group)
            .cloned()
            .collect();
        for key in known {
            if !fresh.contains_key(&key)
                && let Some(gone) = objects.remove(&key)
            {
                changed.push((key, None, gone));
            }
        }
        for (key, object) in fresh {
            let same = objects.get(&key).is_some_and(|known| {
                object::resource_version(known) == object::resource_version(&object)
            });
            if !same {
                let old = objects.insert(key.clone(), object.clone());
                changed.push((key, old, object));
            }
        }
        changed
    }
}

/// Revision of an object; 0 where it has none that can be ordered.
fn revision(object: &Value) -> u64 {
    object::resource_version(object).parse().unwrap_or(0)
}

/// Keeps `view` up to date with one kind. Never ends; spawn it and abort it at the end.
pub(crate) async fn reflect(
    kind: WatchedKind,
    seam: Seam,
    view: Arc<View>,
    clock: Arc<dyn Clock>,
    on_change: OnChange,
    mut listed: Option<futures::channel::oneshot::Sender<()>>,
) {
    view.committed().kinds.push(kind.gvk.group_kind());
    let mut resume: Option<String> = None;
    let mut resync = None;
    let mut wait = BACKOFF.0;
    loop {
        let from = match resume.take() {
            Some(version) => version,
            None => match list(&kind, &seam).await {
                Ok((fresh, version)) => {
                    for (key, old, object) in view.replace(&kind, fresh) {
                        on_change(&key, old.as_deref(), &object);
                    }
                    // Only where deliveries are bent can a list bring anything new.
                    if seam.faults().bends_deliveries() {
                        seam.faults().listed(&kind.gvk.group_kind());
                        resync = Some(clock.now() + RESYNC);
                    }
                    version
                }
                // The kind is not served (its CRD is not there yet), or the API fails: look again later.
                Err(_failure) => {
                    tell(&mut listed);
                    clock.sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                    continue;
                }
            },
        };
        tell(&mut listed);
        let watching = watch(&kind, &seam, &view, from, &on_change);
        let ended = match resync {
            None => watching.await,
            Some(at) => tokio::select! {
                biased;
                () = clock.sleep_until(at) => Ended::Again { idle: false },
                ended = watching => ended,
            },
        };
        match ended {
            Ended::Resume(version) => {
                wait = BACKOFF.0;
                resume = Some(version);
            }
            Ended::Again { idle: true } => {
                clock.sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
            Ended::Again { idle: false } => wait = BACKOFF.0,
        }
    }
}

fn tell(listed: &mut Option<futures::channel::oneshot::Sender<()>>) {
    if let Some(sender) = listed.take() {
        // Nobody waits any more when the run was given up.
        sender.send(()).ok();
    }
}

enum Ended {
    /// The stream ended: go on from this revision.
    Resume(String),
    /// List again; `idle` after an error that a wait may cure.
    Again { idle: bool },
}

async fn list(
    kind: &WatchedKind,
    seam: &Seam,
) -> Result<(Vec<(ObjectKey, Seen)>, String), BoxError> {
    let mut out = Vec::new();
    let mut token = String::new();
    loop {
        let mut uri = format!("{}?limit={PAGE}", kind.path());
        if !token.is_empty() {
            uri = format!("{uri}&continue={token}");
        }
        let response = seam
            .clone()
            .oneshot(Request::get(uri).body(Body::empty())?)
            .await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("the list of {} was answered with {status}", kind.plural).into());
        }
        let mut page: Value = serde_json::from_slice(&body)?;
        let meta = |field: &str| {
            page.pointer(&format!("/metadata/{field}"))
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (version, next) = (
            meta("resourceVersion").to_owned(),
            meta("continue").to_owned(),
        );
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            out.extend(items.into_iter().map(|item| identified(kind, item)));
        }
        if next.is_empty() {
            return Ok((out, version));
        }
        token = next;
    }
}

/// Items of built-in lists carry no kind (API-187).
fn identified(kind: &WatchedKind, mut item: Value) -> (ObjectKey, Seen) {
    if let Value::Object(fields) = &mut item {
        fields
            .entry("apiVersion")
            .or_insert_with(|| kind.gvk.api_version().into());
        fields
            .entry("kind")
            .or_insert_with(|| kind.gvk.kind.clone().into());
    }
    let key = ObjectKey::new(
        &kind.gvk.group,
        &kind.gvk.kind,
        object::namespace(&item),
        object::name(&item),
    );
    (key, item.into())
}

async fn watch(
    kind: &WatchedKind,
    seam: &Seam,
    view: &View,
    from: String,
    on_change: &OnChange,
) -> Ended {
    let uri = format!(
        "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={from}",
        kind.path()
    );
    let Ok(request) = Request::get(uri).body(Body::empty()) else {
        return Ended::Again { idle: true };
    };
    let Ok(response) = seam.clone().oneshot(request).await else {
        return Ended::Again { idle: true };
    };
    if !response.status().is_success() {
        return Ended::Again { idle: true };
    }
    let mut version = from;
    let mut pending = Vec::new();
    let mut frames = BodyStream::new(response.into_body());
    while let Some(frame) = frames.next().await {
        let Ok(Some(data)) = frame.map(|frame| frame.into_data().ok()) else {
            return Ended::Resume(version);
        };
        let chunk = if pending.is_empty() {
            data
        } else {
            pending.extend_from_slice(&data);
            std::mem::take(&mut pending).into()
        };
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &chunk) {
            let line = &chunk[start..end];
            start = end + 1;
            if line.is_empty() {
                continue;
            }
            match take_line(kind, view, line, on_change) {
                Some(next) => version = next,
                None => return Ended::Again { idle: false },
            }
        }
        pending.extend_from_slice(&chunk[start..]);
    }
    Ended::Resume(version)
}

/// A line of a watch, its object not read but for what names its version.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    verb: Cow<'a, str>,
    #[serde(borrow)]
    object: Head<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
}

/// Takes one line of a watch; gives the revision to go on from, or `None` when the list must be read again.
fn take_line(kind: &WatchedKind, view: &View, line: &[u8], on_change: &OnChange) -> Option<String> {
    let written = [Change::MODIFIED, Change::ADDED]
        .iter()
        .find_map(|head| line.strip_prefix(head.as_bytes()))
        .and_then(|text| view.committed().written_at(text));
    if let Some((key, object)) = written {
        let old = view.put(&key, object.clone());
        on_change(&key, old.as_deref(), &object);
        return Some(object::resource_version(&object).to_owned());
    }
    let Line { verb, object: head } = serde_json::from_slice(line).ok()?;
    let whole = || {
        let mut event: Value = serde_json::from_slice(line).ok()?;
        event
            .get_mut("object")
            .map(|body| identified(kind, body.take()))
    };
    match &*verb {
        "ADDED" | "MODIFIED" => {
            let (key, object) = view.shared(kind, &head).or_else(whole)?;
            let old = view.put(&key, object.clone());
            on_change(&key, old.as_deref(), &object);
        }
        "DELETED" => {
            let (key, object) = whole()?;
            view.remove(&key);
            on_change(&key, None, &object);
        }
        "BOOKMARK" => {}
        _ => return None,
    }
    Some(head.metadata.resource_version.into_owned())
}
