//! Points in time of a run.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Time since the start of the run, in whole milliseconds (the resolution of tokio's timers).
///
/// Durations that are added are rounded up to the next millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

impl SimTime {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const MAX: Self = Self(u64::MAX);

    /// The point `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time that passed since `earlier`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The time since the start of the run.
    pub fn elapsed(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Add<Duration> for SimTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl AddAssign<Duration> for SimTime {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for SimTime {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Display for SimTime {
    /// Seconds with at least one digit after the point: `31.0s`, `0.011s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        if millis % 100 == 0 {
            write!(f, "{seconds}.{}s", millis / 100)
        } else {
            write!(f, "{seconds}.{millis:03}s")
        }
    }
}

/// A wait that starts as `first` and was doubled `times` times since, `longest` at most: back-off.
pub fn doubling(first: Duration, times: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(times))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_the_longest() {
        let waits = [0, 1, 2, 3, 31, 32, u32::MAX]
            .map(|times| doubling(Duration::from_millis(5), times, Duration::from_millis(30)));
        let wanted = [5, 10, 20, 30, 30, 30, 30].map(Duration::from_millis);
        assert_eq!(waits, wanted);
        let far = doubling(Duration::MAX, 3, Duration::MAX);
        assert_eq!(far, Duration::MAX);
    }

    #[test]
    fn adding_rounds_up_to_milliseconds() {
        assert_eq!(
            SimTime::ZERO + Duration::from_micros(1500),
            SimTime::from_millis(2)
        );
    }

    #[test]
    fn prints_seconds() {
        let shown: Vec<String> = [0, 31_000, 34_100, 11]
            .map(|ms| SimTime::from_millis(ms).to_string())
            .into();
        assert_eq!(shown, ["0.0s", "31.0s", "34.1s", "0.011s"]);
    }
}
