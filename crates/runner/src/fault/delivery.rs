//! Bent watch deliveries: the lines of a watch on their way to the engine's view.
//!
//! Deliveries of one object keep their order: what follows a delayed one waits behind it. Others overtake it. When the
//! watch is cut, what is held up is delivered before the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use serde::Deserialize;
use wavetank_cluster::ApiBody;
use wavetank_kernel::SimTime;
use wavetank_model::{GroupKind, ObjectKey, Status};

use super::{Faults, HeldUp};

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It comes.
    Comes,
    /// It comes that much later.
    Delayed(Duration),
    /// It never comes.
    Dropped,
    /// The watch ends before it.
    Disconnected,
    /// The watch says that its revision is too old.
    Expired,
}

/// The body of a watch of `kind` with its deliveries bent.
pub(crate) fn bend(body: ApiBody, kind: GroupKind, faults: Arc<Faults>) -> ApiBody {
    let deliveries = Deliveries {
        frames: Some(BodyStream::new(body)),
        kind,
        faults,
        partial: Vec::new(),
        ready: VecDeque::new(),
        waiting: Waiting::default(),
        held_up: None,
    };
    let lines = stream::unfold(deliveries, |mut deliveries| async move {
        let line = deliveries.next().await?;
        Some((Ok(Frame::data(line)), deliveries))
    });
    ApiBody::new(StreamBody::new(lines))
}

struct Deliveries {
    /// `None` once the watch ended or was cut.
    frames: Option<BodyStream<ApiBody>>,
    kind: GroupKind,
    faults: Arc<Faults>,
    /// The beginning of a line.
    partial: Vec<u8>,
    ready: VecDeque<Bytes>,
    waiting: Waiting,
    held_up: Option<HeldUp>,
}

/// Lines that are held up, in the order in which they will come.
#[derive(Debug, Default)]
struct Waiting {
    lines: BTreeMap<(SimTime, u64), (ObjectKey, Bytes)>,
    last: BTreeMap<ObjectKey, SimTime>,
    count: u64,
}

impl Waiting {
    /// Holds a line up until `due`, and behind what is held up of the same object.
    fn push(&mut self, key: ObjectKey, line: Bytes, due: SimTime) {
        let due = self.last.get(&key).map_or(due, |last| due.max(*last));
        self.last.insert(key.clone(), due);
        self.lines.insert((due, self.count), (key, line));
        self.count += 1;
    }

    fn holds(&self, key: &ObjectKey) -> bool {
        self.last.contains_key(key)
    }

    fn next_due(&self) -> Option<SimTime> {
        self.lines.first_key_value().map(|((due, _), _)| *due)
    }

    /// The first line, if it is due at `now`.
    fn pop(&mut self, now: SimTime) -> Option<Bytes> {
        let entry = self
            .lines
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        let ((_, number), (key, line)) = entry.remove_entry();
        let more = self
            .lines
            .iter()
            .any(|((_, other), (of, _))| *other > number && *of == key);
        if !more {
            self.last.remove(&key);
        }
        Some(line)
    }
}

/// What tells of which object a line is.
#[derive(Deserialize)]
struct WatchLine {
    #[serde(rename = "type")]
    verb: String,
    object: Named,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    namespace: String,
    name: String,
}

impl Deliveries {
    /// The next line; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if let Some(line) = self.waiting.pop(self.faults.clock.now()) {
                if self.waiting.lines.is_empty() {
                    self.held_up = None;
                }
                return Some(line);
            }
            let due = self.waiting.next_due();
            let Some(frames) = &mut self.frames else {
                self.faults.clock.sleep_until(due?).await;
                continue;
            };
            let frame = match due {
                None => frames.next().await,
                Some(due) => tokio::select! {
                    biased;
                    () = self.faults.clock.sleep_until(due) => continue,
                    frame = frames.next() => frame,
                },
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.take(&data),
                Some(Ok(Err(_trailers))) => {}
                Some(Err(_)) | None => self.frames = None,
            }
        }
    }

    fn take(&mut self, data: &[u8]) {
        self.partial.extend_from_slice(data);
        let buffered = std::mem::take(&mut self.partial);
        let mut rest = buffered.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            self.take_line(line);
            if self.frames.is_none() {
                return;
            }
        }
        self.partial = rest.to_vec();
    }

    fn take_line(&mut self, line: &[u8]) {
        let bytes = Bytes::copy_from_slice(line);
        let Some(key) = self.key_of(line) else {
            self.ready.push_back(bytes);
            return;
        };
        let now = self.faults.clock.now();
        match self.faults.delivery(&key) {
            Delivery::Comes if self.waiting.holds(&key) => self.waiting.push(key, bytes, now),
            Delivery::Comes => self.ready.push_back(bytes),
            Delivery::Delayed(time) => {
                self.waiting.push(key, bytes, now + time);
                self.held_up.get_or_insert_with(|| self.faults.hold_up());
            }
            Delivery::Dropped => {}
            Delivery::Disconnected => self.cut(),
            Delivery::Expired => {
                self.cut();
                let status = Status::new(410, "Expired", "too old resource version");
                let event = wavetank_json::json!({"type": "ERROR", "object": status.to_json()});
                self.ready.push_back(Bytes::from(format!("{event}\n")));
            }
        }
    }

    /// Ends the watch after what is held up.
    fn cut(&mut self) {
        self.frames = None;
        while let Some(line) = self.waiting.pop(SimTime::MAX) {
            self.ready.push_back(line);
        }
        self.held_up = None;
    }

    /// The object that changed; `None` for bookmarks and errors.
    fn key_of(&self, line: &[u8]) -> Option<ObjectKey> {
        let WatchLine { verb, object } = serde_json::from_slice(line).ok()?;
        let Metadata { namespace, name } = object.metadata;
        matches!(verb.as_str(), "ADDED" | "MODIFIED" | "DELETED")
            .then(|| ObjectKey::new(&*self.kind.group, &*self.kind.kind, namespace, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_delayed_delivery_waits_behind_it() {
        let mut waiting = Waiting::default();
        let key = |name: &str| ObjectKey::new("batch", "Job", "shop", name);
        let at = SimTime::from_millis;
        waiting.push(key("a"), Bytes::from_static(b"a1"), at(5000));
        waiting.push(key("b"), Bytes::from_static(b"b1"), at(3000));
        waiting.push(key("a"), Bytes::from_static(b"a2"), at(1000));
        assert_eq!(waiting.next_due(), Some(at(3000)));
        assert_eq!(waiting.pop(at(2000)), None);
        assert_eq!(waiting.pop(at(3000)).as_deref(), Some(&b"b1"[..]));
        assert!(!waiting.holds(&key("b")));
        assert_eq!(waiting.pop(at(5000)).as_deref(), Some(&b"a1"[..]));
        assert!(waiting.holds(&key("a")));
        assert_eq!(waiting.pop(at(5000)).as_deref(), Some(&b"a2"[..]));
        assert!(!waiting.holds(&key("a")));
    }
}
