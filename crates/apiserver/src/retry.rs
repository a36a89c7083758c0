//! What a controller of the server could not do, a policy refused it say, is tried again: later each time, as from the
//! rate-limited queues of the real controllers.
//!
//! After some attempts the next ones are upkeep: as long as nothing changes they fail, and nothing is waited for. When
//! policies change, those that are still to come are waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_kernel::{Class, Load, SimTime, doubling};
use wavetank_model::Status;

use crate::server::{Server, Work};

/// The wait after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_millis(5);

/// Failures after which further attempts are upkeep.
const TRIES: u32 = 8;

/// What failed and is to be tried again.
pub(crate) type Retries = BTreeMap<Work, Retry>;

/// How often something failed, and when it is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    failures: u32,
    due: SimTime,
}

impl Server {
    /// Notes how an attempt ended, and plans the next one if need be. What is no longer there need not be done.
    pub(crate) fn attempted(&mut self, work: Work, done: Result<(), Status>, now: SimTime) {
        match done {
            Err(status) if !status.is_not_found() => {
                let failures = self
                    .retries
                    .get(&work)
                    .map_or(1, |retry| retry.failures.saturating_add(1));
                let longest = match work {
                    Work::EndNamespace(_) => Duration::from_secs(60),
                    _ => Duration::from_secs(1000),
                };
                let due = now + doubling(FIRST, failures - 1, longest);
                self.retries.insert(work.clone(), Retry { failures, due });
                let load = if failures < TRIES {
                    Load::Work
                } else {
                    Load::Upkeep
                };
                self.queue.push(due, Class::SERVER, load, work);
            }
            _ => {
                self.retries.remove(&work);
            }
        }
    }

    /// The attempts that are planned may succeed now: the world is not at rest before them.
    pub(crate) fn await_retries(&mut self) {
        let due = self.retries.values().map(|retry| retry.due);
        let due: Vec<SimTime> = due.filter(|due| *due >= self.clock).collect();
        for due in due {
            self.plan(due, Work::Awaited);
        }
    }
}
