//! The clock of the simulated cluster: sleepers are entries of the world's queue.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::channel::oneshot;
use tokio::sync::Notify;
use tokio::time::Instant;
use wavetank_kernel::{BoxFuture, Clock, SimTime, Ticket};

use crate::world::World;

/// Tells the virtual time and wakes sleepers in the order of the world's queue.
pub struct SimClock {
    start: Instant,
    /// World time passes this many times faster than the runtime's clock.
    scale: u32,
    world: Weak<Mutex<World>>,
    wake: Arc<Notify>,
}

impl SimClock {
    pub(crate) fn new(
        start: Instant,
        scale: u32,
        world: &Arc<Mutex<World>>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            start,
            scale,
            world: Arc::downgrade(world),
            wake,
        }
    }

    /// The time of the runtime's clock at which the world's clock stands at `at`.
    pub(crate) fn instant(&self, at: SimTime) -> Instant {
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        self.start + (at.elapsed() / self.scale).min(far)
    }
}

impl Clock for SimClock {
    fn now(&self) -> SimTime {
        let elapsed = self.start.elapsed() * self.scale;
        SimTime::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, at: SimTime) -> BoxFuture<'static, ()> {
        let Some(world) = self.world.upgrade() else {
            return Box::pin(std::future::pending());
        };
        if at <= self.now() {
            return Box::pin(std::future::ready(()));
        }
        let (sender, woken) = oneshot::channel();
        let ticket = world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add_timer(at, sender);
        self.wake.notify_one();
        let sleeper = Sleeper {
            ticket,
            world: Weak::clone(&self.world),
        };
        Box::pin(async move {
            let sleeper = sleeper;
            if woken.await.is_err() {
                // The world is gone: nothing will ever be due again.
                std::future::pending::<()>().await;
            }
            drop(sleeper);
        })
    }
}

/// Takes the entry out of the queue when the future that waits on it is dropped.
struct Sleeper {
    ticket: Ticket,
    world: Weak<Mutex<World>>,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(world) = self.world.upgrade()
            && let Ok(mut world) = world.try_lock()
        {
            world.cancel_timer(self.ticket);
        }
    }
}
