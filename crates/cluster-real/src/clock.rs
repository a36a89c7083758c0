//! The clock of a real run: tokio's, from the start of the run.

use tokio::time::{Instant, sleep_until};
use wavetank_kernel::{BoxFuture, Clock, SimTime};

/// Real time since the start of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealClock {
    start: Instant,
}

impl RealClock {
    /// A clock that stands at zero now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for RealClock {
    fn now(&self) -> SimTime {
        let elapsed = self.start.elapsed().as_millis();
        SimTime::from_millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, at: SimTime) -> BoxFuture<'static, ()> {
        let far = std::time::Duration::from_secs(60 * 60 * 24 * 365);
        Box::pin(sleep_until(self.start + at.elapsed().min(far)))
    }
}
