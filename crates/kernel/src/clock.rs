//! The clock that everything outside the world waits on.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::time::SimTime;

/// A future that can be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time of a run and lets a task wait for it.
///
/// In the simulation a sleeper is an entry of the world's queue (class [`crate::Class::TIMER`]), so that waking is
/// ordered against everything else; on a real target it is a timer.
pub trait Clock: Send + Sync {
    /// Time since the start of the run.
    fn now(&self) -> SimTime;

    /// Waits until `at`; at once when that is past. A dropped future leaves nothing behind.
    fn sleep_until(&self, at: SimTime) -> BoxFuture<'static, ()>;

    /// Waits for `duration` from now.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }
}
