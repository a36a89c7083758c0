//! Retry limits and back-off (SYNC-132, SYNC-133, SYNC-135).

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use wavetank_model::duration;

/// `retry.backoff` of a sync policy; absent fields are Argo CD's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// First wait; a plain integer means seconds. Default 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Factor of each further wait. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// Longest wait; zero for no bound. Default 3 min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
}

/// How often and when a failed operation is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryStrategy {
    /// Retries; negative for no end. Total attempts are one more.
    pub limit: i64,
    /// Whether a retry takes the latest revision.
    pub refresh: bool,
    /// Waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// A duration of a back-off that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackoffError(pub String);

impl RetryStrategy {
    /// No retry: what a manual sync without any retry has (SYNC-135).
    pub fn never() -> Self {
        Self::default()
    }

    /// Five retries: what auto-sync has when the policy says nothing (SYNC-135).
    pub fn automatic() -> Self {
        Self {
            limit: 5,
            ..Self::default()
        }
    }

    /// Whether one more retry is allowed after `count`.
    pub fn allows(&self, count: u32) -> bool {
        self.limit < 0 || i64::from(count) < self.limit
    }

    /// The wait with `count` retries behind it: min(maxDuration, duration × factor^count) (SYNC-133).
    ///
    /// # Errors
    /// A duration cannot be read.
    pub fn wait(&self, count: u32) -> Result<SignedDuration, BackoffError> {
        let none = Backoff::default();
        let backoff = self.backoff.as_ref().unwrap_or(&none);
        let or = |text: &Option<String>, default| match text.as_deref() {
            None | Some("") => Ok(default),
            Some(text) => read(text),
        };
        let duration = or(&backoff.duration, SignedDuration::from_secs(5))?;
        let longest = or(&backoff.max_duration, SignedDuration::from_mins(3))?;
        let factor = backoff.factor.unwrap_or(2);
        let mut wait = duration;
        for _ in 0..count {
            wait = i32::try_from(factor)
                .ok()
                .and_then(|factor| wait.checked_mul(factor))
                .unwrap_or(SignedDuration::MAX);
            if longest.is_positive() && wait > longest && factor > 1 {
                break;
            }
        }
        Ok(if longest.is_positive() {
            wait.min(longest)
        } else {
            wait
        })
    }
}

/// Reads `5` (seconds) or a Go duration as `1m30s`.
fn read(text: &str) -> Result<SignedDuration, BackoffError> {
    match text.parse::<i64>() {
        Ok(seconds) => Ok(SignedDuration::from_secs(seconds)),
        Err(_) => duration::parse(text)
            .map_err(|_| BackoffError(format!("unable to parse {text} as a duration"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-133, U-295: defaults 5 s, doubled, at most 3 min.
    #[test]
    fn waits_double_up_to_three_minutes() {
        let waits: Vec<i64> = (0..8)
            .map(|count| RetryStrategy::automatic().wait(count).unwrap().as_secs())
            .collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 180, 180]);
        for count in [80, 100] {
            assert_eq!(
                RetryStrategy::automatic().wait(count).unwrap().as_secs(),
                180
            );
        }
    }

    /// SYNC-133: plain integers are seconds, everything else Go durations.
    #[test]
    fn durations_are_seconds_or_go_durations() {
        let millis = |text| read(text).map(|duration| duration.as_millis());
        assert_eq!((millis("7"), millis("1m30s")), (Ok(7_000), Ok(90_000)));
        assert_eq!(
            millis("soon").unwrap_err().to_string(),
            "unable to parse soon as a duration"
        );
    }

    /// A back-off without bound, and one of a far count.
    #[test]
    fn waits_have_no_overflow() {
        let backoff = Backoff {
            max_duration: Some("0".to_owned()),
            factor: Some(10),
            ..Backoff::default()
        };
        let retry = RetryStrategy {
            limit: -1,
            refresh: false,
            backoff: Some(backoff),
        };
        assert_eq!(retry.wait(3).unwrap().as_secs(), 5_000);
        assert!(retry.allows(u32::MAX) && retry.wait(200).is_ok());
    }
}
