//! Puts the events of many watches into the order of their revisions.
//!
//! All kinds of a server share one counter, but each watch comes at its own pace. An event waits until the one before it
//! came, or for a short while: some revisions are never seen (the server's own bookkeeping).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long an event waits for those before it.
pub(crate) const WINDOW: Duration = Duration::from_millis(40);

/// Events on their way.
#[derive(Debug)]
pub(crate) struct Merge<T> {
    held: BTreeMap<(u64, u64), (Instant, T)>,
    arrived: u64,
    last: u64,
    late: u64,
}

impl<T> Merge<T> {
    /// Events after `last`.
    pub(crate) fn after(last: u64) -> Self {
        Self {
            held: BTreeMap::new(),
            arrived: 0,
            last,
            late: 0,
        }
    }

    /// An event came.
    pub(crate) fn insert(&mut self, revision: u64, now: Instant, event: T) {
        self.arrived += 1;
        self.held.insert((revision, self.arrived), (now, event));
    }

    /// The next event, when it need not wait any more.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(u64, T)> {
        let entry = self.held.first_entry()?;
        let (revision, _) = *entry.key();
        if revision > self.last + 1 && entry.get().0 + WINDOW > now {
            return None;
        }
        let (_, event) = entry.remove();
        if revision < self.last {
            self.late += 1;
        }
        self.last = self.last.max(revision);
        Some((revision, event))
    }

    /// When the next event need not wait any more, whatever comes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held
            .first_key_value()
            .map(|(_, (arrived, _))| *arrived + WINDOW)
    }

    /// The highest revision that was given out.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Events that came after younger ones were given out.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(merge: &mut Merge<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| merge.pop(now))
            .map(|(_, event)| event)
            .collect()
    }

    #[test]
    fn events_come_in_the_order_of_their_revisions() {
        let now = Instant::now();
        let mut merge = Merge::after(10);
        merge.insert(12, now, "b");
        assert_eq!(drain(&mut merge, now), Vec::<&str>::new());
        merge.insert(11, now, "a");
        assert_eq!(drain(&mut merge, now), ["a", "b"]);
        assert_eq!((merge.last(), merge.late()), (12, 0));
    }

    #[test]
    fn a_gap_is_waited_for_a_while_only() {
        let now = Instant::now();
        let mut merge = Merge::after(10);
        merge.insert(13, now, "c");
        assert_eq!(merge.due(), Some(now + WINDOW));
        assert_eq!(drain(&mut merge, now + WINDOW), ["c"]);
        merge.insert(12, now + WINDOW, "b");
        assert_eq!(drain(&mut merge, now + WINDOW), ["b"]);
        assert_eq!((merge.last(), merge.late()), (13, 1));
        assert!(merge.is_empty());
    }
}
