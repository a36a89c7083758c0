//! The ordered event queue.

use std::collections::BTreeMap;

use crate::time::SimTime;

/// Which part acts first among entries of one instant; lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u8);

impl Class {
    /// The API server's own work: garbage collection, namespaces, CRD establishment.
    pub const SERVER: Self = Self(0);
    /// Watch events on their way to a client.
    pub const DELIVERY: Self = Self(1);
    /// Controllers.
    pub const CONTROLLER: Self = Self(2);
    /// The kubelet stand-in.
    pub const KUBELET: Self = Self(3);
    /// Sleepers outside the world: engine, runner, seam.
    pub const TIMER: Self = Self(4);
}

/// Whether an entry counts when the run asks if anything is still to come (scenario format, section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Load {
    /// Something will happen because of it.
    Work,
    /// It keeps things going (watch expiry, bookmarks, resync, lease renewal) and changes nothing.
    Upkeep,
}

/// Names one entry of a queue, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    at: SimTime,
    class: Class,
    number: u64,
}

/// Entries in order of time, then class, then the number they were given when they came in.
#[derive(Debug)]
pub struct Queue<T> {
    entries: BTreeMap<Ticket, (Load, T)>,
    next: u64,
    work: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
            work: 0,
        }
    }
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry that is due at `at`.
    pub fn push(&mut self, at: SimTime, class: Class, load: Load, item: T) -> Ticket {
        let ticket = Ticket {
            at,
            class,
            number: self.next,
        };
        self.next += 1;
        self.work += usize::from(load == Load::Work);
        self.entries.insert(ticket, (load, item));
        ticket
    }

    /// Takes an entry out before it is due; `None` when it was handed out or cancelled before.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<T> {
        let (load, item) = self.entries.remove(&ticket)?;
        self.work -= usize::from(load == Load::Work);
        Some(item)
    }

    /// When the first entry is due, and its class.
    pub fn next_due(&self) -> Option<(SimTime, Class)> {
        self.entries
            .first_key_value()
            .map(|(ticket, _)| (ticket.at, ticket.class))
    }

    /// When the first entry that is work is due.
    pub fn next_work(&self) -> Option<SimTime> {
        if self.work == 0 {
            return None;
        }
        self.entries
            .iter()
            .find(|(_, (load, _))| *load == Load::Work)
            .map(|(ticket, _)| ticket.at)
    }

    /// The first entry, if it is due at `now` or earlier.
    pub fn pop_due(&mut self, now: SimTime) -> Option<(SimTime, T)> {
        let (ticket, _) = self.entries.first_key_value()?;
        if ticket.at > now {
            return None;
        }
        let (ticket, (load, item)) = self.entries.pop_first()?;
        self.work -= usize::from(load == Load::Work);
        Some((ticket.at, item))
    }

    /// The entries in order, with the time they are due.
    pub fn iter(&self) -> impl Iterator<Item = (SimTime, Load, &T)> {
        self.entries
            .iter()
            .map(|(ticket, (load, item))| (ticket.at, *load, item))
    }

    /// How many entries are waiting.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: fn(u64) -> SimTime = SimTime::from_millis;

    #[test]
    fn class_breaks_the_tie_and_then_the_number() {
        let mut queue = Queue::new();
        queue.push(AT(5), Class::KUBELET, Load::Work, "kubelet");
        queue.push(AT(5), Class::SERVER, Load::Work, "server 1");
        queue.push(AT(5), Class::SERVER, Load::Work, "server 2");
        queue.push(AT(4), Class::TIMER, Load::Work, "earlier");
        let order: Vec<_> =
            std::iter::from_fn(|| queue.pop_due(AT(9)).map(|(_, item)| item)).collect();
        assert_eq!(order, ["earlier", "server 1", "server 2", "kubelet"]);
    }

    #[test]
    fn upkeep_is_no_work() {
        let mut queue = Queue::new();
        queue.push(AT(1), Class::DELIVERY, Load::Upkeep, ());
        assert_eq!(queue.next_work(), None);
        let ticket = queue.push(AT(7), Class::DELIVERY, Load::Work, ());
        assert_eq!(queue.next_work(), Some(AT(7)));
        assert_eq!(queue.cancel(ticket), Some(()));
        assert_eq!((queue.next_work(), queue.cancel(ticket)), (None, None));
    }

    proptest! {
        #[test]
        fn entries_come_out_in_order(entries in prop::collection::vec((0..20_u64, 0..4_u8), 0..60)) {
            let mut queue = Queue::new();
            for (number, (at, class)) in entries.iter().enumerate() {
                queue.push(AT(*at), Class(*class), Load::Work, (*at, *class, number));
            }
            let out: Vec<_> = std::iter::from_fn(|| queue.pop_due(AT(99)).map(|(_, item)| item)).collect();
            prop_assert!(out.is_sorted());
            prop_assert_eq!(out.len(), entries.len());
        }
    }
}
