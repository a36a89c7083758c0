//! Watches: ordered streams of events (API-198 to 213).
//!
//! Each watch has a queue of finished lines. At most one entry of the server's queue stands for the first of them; when
//! it is due the line goes out, or a schedule that is not the canonical one holds it back first. So the order within
//! one watch is kept, whatever is chosen.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use jiff::Timestamp;
use wavetank_json::{Value, json};
use wavetank_kernel::{Chooser, Class, Load, SimTime};
use wavetank_model::{Change, Status};

use crate::answer::{Answer, JSON, ResponseBody};
use crate::asked::Asked;
use crate::body::Media;
use crate::failure::{self, Problem};
use crate::filter::Filter;
use crate::printing;
use crate::protobuf;
use crate::read::Shape;
use crate::registry::{Resource, TableId};
use crate::request::Query;
use crate::server::{Server, Work};
use crate::store::{Event, Stored, watch_line};

/// What a delivery may be held back by, beyond the canonical latency, in milliseconds.
const EXTRA_DELAY_MS: [u64; 4] = [0, 4, 30, 250];

/// Names a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchId(u64);

#[derive(Debug)]
struct Line {
    at: SimTime,
    load: Load,
    /// Whether its delay was drawn.
    drawn: bool,
    bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Watch {
    table: TableId,
    /// Label of its choices: `watch/Job/3`.
    label: String,
    api_version: String,
    shape: Shape,
    filter: Filter,
    bookmarks: bool,
    lines: VecDeque<Line>,
    /// Whether an entry of the queue stands for the first line.
    armed: bool,
    /// Whether the columns of a Table were named.
    named: Cell<bool>,
    /// Revision from which on events are wanted.
    after: u64,
    /// Lines that may wait for the client to read them; more end the watch (API-212).
    patience: usize,
    /// Whether the client takes frames of protobuf instead of lines.
    protobuf: bool,
    sender: UnboundedSender<Bytes>,
}

/// The open watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    next: u64,
    open: BTreeMap<WatchId, Watch>,
    by_table: BTreeMap<TableId, Vec<WatchId>>,
    opened: BTreeMap<TableId, u64>,
}

impl Watches {
    fn close(&mut self, id: WatchId) {
        if let Some(watch) = self.open.remove(&id)
            && let Some(ids) = self.by_table.get_mut(&watch.table)
        {
            ids.retain(|other| *other != id);
        }
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

/// How a watch begins (API-200).
enum Start {
    /// Events after a revision.
    After(u64),
    /// One synthetic ADDED per object, perhaps with a bookmark behind them.
    Initial { bookmark: bool },
    /// From now on.
    Now,
}

impl Server {
    /// Opens a watch.
    pub(crate) fn watch(&mut self, asked: &Asked<'_>) -> Result<Answer, Status> {
        let (resource, query) = (&asked.resource, &asked.query);
        let filter = Filter::parse(resource, &asked.namespace, query)?.of(resource, &asked.name)?;
        let start = self.watch_start(query)?;
        let timeout = query
            .number("timeoutSeconds")?
            .filter(|seconds| *seconds > 0);
        let (sender, receiver) = unbounded();
        let opened = self.watches.opened.entry(resource.table).or_default();
        *opened += 1;
        let watch = Watch {
            table: resource.table,
            label: format!("watch/{}/{opened}", resource.kind()),
            api_version: asked.api_version.clone(),
            shape: asked.shape,
            filter,
            bookmarks: query.flag("allowWatchBookmarks"),
            lines: VecDeque::new(),
            armed: false,
            named: Cell::new(false),
            after: self.store.revision(),
            patience: self.config.watch_backlog,
            protobuf: asked.media == Media::Protobuf,
            sender,
        };
        Ok(self.begin(resource, watch, start, timeout, receiver, asked.now))
    }

    fn watch_start(&self, query: &Query) -> Result<Start, Status> {
        let matching = query.text("resourceVersionMatch");
        let revision = match query.text("resourceVersion") {
            "" | "0" => None,
            text => Some(text.parse::<u64>().map_err(|_| {
                // No bad request, as a list makes it (API-202).
                let why = format!(
                    "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                );
                Status::new(500, "", why)
            })?),
        };
        let refuse_all = |problems| Err(failure::invalid("ListOptions.meta.k8s.io", "", problems));
        let refuse = |problem| refuse_all(vec![problem]);
        match query.optional_flag("sendInitialEvents") {
            None if !matching.is_empty() => refuse(Problem::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )),
            Some(_) if !self.config.watch_list => refuse(Problem::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            )),
            Some(_) if matching != "NotOlderThan" => {
                let mut problems = vec![Problem::forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                )];
                if !matching.is_empty() {
                    let value = format!("{matching:?}");
                    problems.push(Problem::unsupported(
                        "resourceVersionMatch",
                        &value,
                        &["NotOlderThan"],
                    ));
                }
                refuse_all(problems)
            }
            Some(true) => Ok(Start::Initial {
                bookmark: query.flag("allowWatchBookmarks"),
            }),
            Some(false) => Ok(revision.map_or(Start::Now, Start::After)),
            None => {
                // Without a revision a server that knows initial events sends them, with their bookmark (API-200).
                let bookmark = self.config.watch_list && query.flag("allowWatchBookmarks");
                Ok(revision.map_or(Start::Initial { bookmark }, Start::After))
            }
        }
    }

    /// Replays what the client is to see first and subscribes, in one go, so that nothing is lost or doubled.
    fn begin(
        &mut self,
        resource: &Arc<Resource>,
        mut watch: Watch,
        start: Start,
        timeout: Option<i64>,
        receiver: UnboundedReceiver<Bytes>,
        now: SimTime,
    ) -> Answer {
        self.clock = now;
        let mut first = Vec::new();
        match start {
            Start::Now => {}
            Start::Initial { bookmark } => {
                let found: Vec<_> = self
                    .store
                    .scan(resource.table, &watch.filter.namespace)
                    .cloned()
                    .collect();
                for stored in found
                    .iter()
                    .filter(|stored| watch.filter.matches(&self.store, stored))
                {
                    first.push(self.event_line(resource, &watch, "ADDED", stored));
                }
                if bookmark {
                    first.push(self.bookmark_line(resource, &watch, true));
                }
            }
            Start::After(revision) => {
                watch.after = revision;
                match self.store.events_after(resource.table, revision) {
                    Ok(events) => {
                        first.extend(
                            events
                                .iter()
                                .filter_map(|event| self.line_for(resource, &watch, event)),
                        );
                    }
                    Err(oldest) => {
                        let status = Status::new(
                            410,
                            "Expired",
                            format!("too old resource version: {revision} ({oldest})"),
                        );
                        let mut body = Vec::new();
                        crate::store::write_object(&mut body, &status.to_json());
                        watch.send(watch_line("ERROR", &body));
                        return stream(receiver, watch.protobuf);
                    }
                }
            }
        }
        // What a watch begins with is the server's own doing.
        watch.patience = watch.patience.saturating_add(first.len());
        for line in first {
            // The receiver is still in our hands.
            watch.send(line);
        }
        let protobuf = watch.protobuf;
        self.subscribe(watch, timeout, now);
        stream(receiver, protobuf)
    }

    fn subscribe(&mut self, watch: Watch, timeout: Option<i64>, now: SimTime) {
        let id = WatchId(self.watches.next);
        self.watches.next += 1;
        // Without a limit a real server draws one between 30 and 60 minutes (API-207).
        let limit = timeout
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or_else(
                || Duration::from_secs(1800 + self.dice.timeout.below(1800)),
                Duration::from_secs,
            );
        self.queue.push(
            now + limit,
            Class::DELIVERY,
            Load::Upkeep,
            Work::CloseWatch(id),
        );
        if watch.bookmarks {
            self.queue.push(
                now + self.config.latencies.bookmark,
                Class::DELIVERY,
                Load::Upkeep,
                Work::Bookmark(id),
            );
        }
        self.watches
            .by_table
            .entry(watch.table)
            .or_default()
            .push(id);
        self.watches.open.insert(id, watch);
    }

    /// Puts an event on its way to every watch that wants it.
    pub(crate) fn fan_out(&mut self, resource: &Resource, event: &Event, now: SimTime) {
        let Some(ids) = self.watches.by_table.get(&resource.table) else {
            return;
        };
        let mut gone = Vec::new();
        let mut lines = Vec::new();
        for id in ids {
            let Some(watch) = self.watches.open.get(id) else {
                continue;
            };
            if watch.sender.is_closed() {
                gone.push(*id);
            } else if event.revision > watch.after
                && let Some(line) = self.line_for(resource, watch, event)
            {
                lines.push((*id, line));
            }
        }
        for id in gone {
            self.watches.close(id);
        }
        let at = now + self.config.latencies.watch;
        for (id, bytes) in lines {
            self.enqueue(
                id,
                Line {
                    at,
                    load: Load::Work,
                    drawn: false,
                    bytes,
                },
            );
        }
    }

    fn enqueue(&mut self, id: WatchId, line: Line) {
        let Some(watch) = self.watches.open.get_mut(&id) else {
            return;
        };
        if !watch.armed {
            watch.armed = true;
            self.queue
                .push(line.at, Class::DELIVERY, line.load, Work::Deliver(id));
        }
        watch.lines.push_back(line);
    }

    /// Delivers the first line of a watch, or holds it back when the chooser says so.
    pub(crate) fn deliver(&mut self, id: WatchId, now: SimTime, chooser: &mut Chooser) {
        let Some(watch) = self.watches.open.get_mut(&id) else {
            return;
        };
        watch.armed = false;
        if let Some(first) = watch.lines.front_mut().filter(|line| !line.drawn) {
            first.drawn = true;
            if first.load == Load::Work {
                let taken = chooser.choose(&watch.label, 4, 0);
                first.at = now + Duration::from_millis(EXTRA_DELAY_MS[taken.min(3) as usize]);
            }
        }
        if watch.lines.front().is_some_and(|line| line.at <= now)
            && let Some(line) = watch.lines.pop_front()
            && (!watch.send(line.bytes) || watch.sender.len() > watch.patience)
        {
            self.watches.close(id);
            return;
        }
        if let Some(next) = watch.lines.front() {
            watch.armed = true;
            self.queue.push(
                next.at.max(now),
                Class::DELIVERY,
                next.load,
                Work::Deliver(id),
            );
        }
    }

    /// Ends a watch cleanly; what is on its way goes out first.
    pub(crate) fn close_watch(&mut self, id: WatchId) {
        if let Some(watch) = self.watches.open.get_mut(&id) {
            for line in std::mem::take(&mut watch.lines) {
                watch.send(line.bytes);
            }
        }
        self.watches.close(id);
    }

    /// Ends all watches of a table.
    pub(crate) fn close_watches(&mut self, table: TableId) {
        for id in self
            .watches
            .by_table
            .get(&table)
            .cloned()
            .unwrap_or_default()
        {
            self.close_watch(id);
        }
    }

    /// Sends a bookmark and plans the next one.
    pub(crate) fn bookmark(&mut self, id: WatchId, now: SimTime) {
        let Some(watch) = self.watches.open.get(&id) else {
            return;
        };
        if watch.sender.is_closed() {
            self.watches.close(id);
            return;
        }
        let Some(resource) = self.registry.table(watch.table).cloned() else {
            return;
        };
        let bytes = self.bookmark_line(&resource, watch, false);
        self.enqueue(
            id,
            Line {
                at: now,
                load: Load::Upkeep,
                drawn: true,
                bytes,
            },
        );
        self.queue.push(
            now + self.config.latencies.bookmark,
            Class::DELIVERY,
            Load::Upkeep,
            Work::Bookmark(id),
        );
    }

    fn bookmark_line(&self, resource: &Resource, watch: &Watch, initial: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": self.store.revision().to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match watch.shape {
            Shape::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1"),
            Shape::Table { .. } => ("Table", "meta.k8s.io/v1"),
            Shape::Object => (resource.kind(), watch.api_version.as_str()),
        };
        let mut body = Vec::new();
        crate::store::write_object(
            &mut body,
            &json!({"kind": kind, "apiVersion": api_version, "metadata": metadata}),
        );
        watch_line("BOOKMARK", &body)
    }

    /// What a watch sees of an event (API-203).
    fn line_for(&self, resource: &Resource, watch: &Watch, event: &Event) -> Option<Bytes> {
        let before = event
            .old
            .as_deref()
            .filter(|old| watch.filter.matches(&self.store, old));
        if event.deleted {
            return before.map(|_| self.event_line(resource, watch, "DELETED", &event.new));
        }
        match (before, watch.filter.matches(&self.store, &event.new)) {
            (None, false) => None,
            (None, true) => Some(self.event_line(resource, watch, "ADDED", &event.new)),
            (Some(_), true) => Some(self.event_line(resource, watch, "MODIFIED", &event.new)),
            (Some(old), false) => {
                let mut last = self.store.parsed(old);
                Arc::make_mut(&mut last.value)["metadata"]["resourceVersion"] =
                    Value::from(event.revision.to_string());
                let key = Arc::clone(&old.key);
                let (object, head) = (last.tracked(), Change::MODIFIED);
                let left = Stored::new(key, event.revision, object, head, None, &mut Vec::new());
                Some(line_of(
                    resource,
                    watch,
                    "DELETED",
                    &left,
                    self.wall(),
                    || last.whole(),
                ))
            }
        }
    }

    /// The wall time of the request or commit at hand.
    fn wall(&self) -> Timestamp {
        self.config.epoch.wall(self.clock)
    }

    fn event_line(
        &self,
        resource: &Resource,
        watch: &Watch,
        event: &str,
        stored: &Stored,
    ) -> Bytes {
        line_of(resource, watch, event, stored, self.wall(), || {
            self.store.parsed(stored).whole()
        })
    }
}

impl Watch {
    /// Sends a line, or the frame that stands for it; whether anybody still listens.
    fn send(&self, line: Bytes) -> bool {
        let sent = if self.protobuf {
            protobuf::watch_frame(&line).map_or(line, Bytes::from)
        } else {
            line
        };
        self.sender.unbounded_send(sent).is_ok()
    }

    /// Whether events are sent as they are stored.
    fn is_plain(&self, resource: &Resource) -> bool {
        self.shape == Shape::Object && resource.is_as_stored(&self.api_version)
    }
}

fn stream(receiver: UnboundedReceiver<Bytes>, protobuf: bool) -> Answer {
    Answer {
        code: 200,
        content_type: if protobuf {
            protobuf::WATCH_MEDIA_TYPE
        } else {
            JSON
        },
        body: ResponseBody::Watch(receiver),
        headers: Vec::new(),
    }
}

/// A version of an object as a watch sees it.
fn line_of(
    resource: &Resource,
    watch: &Watch,
    event: &str,
    stored: &Stored,
    now: Timestamp,
    value: impl FnOnce() -> Value,
) -> Bytes {
    if watch.is_plain(resource) {
        return stored.line(event);
    }
    let value = value();
    let shaped = if let Shape::Table { include, .. } = watch.shape {
        let row = printing::row(resource, &watch.api_version, include, &value, now);
        printing::table_of(
            resource,
            &watch.api_version,
            row,
            &value,
            !watch.named.replace(true),
        )
    } else {
        crate::read::shaped(resource, &watch.api_version, watch.shape, &value)
    };
    let mut body = Vec::new();
    crate::store::write_object(&mut body, &shaped);
    watch_line(event, &body)
}
