//! Retry limits and back-off (SYNC-132, SYNC-133, SYNC-135).

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

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
#[error("time: invalid duration \"{0}\"")]
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
        let read = |text: &Option<String>, default| match text.as_deref() {
            None | Some("") => Ok(default),
            Some(text) => parse_duration(text).ok_or_else(|| BackoffError(text.to_owned())),
        };
        let duration = read(&backoff.duration, SignedDuration::from_secs(5))?;
        let longest = read(&backoff.max_duration, SignedDuration::from_mins(3))?;
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

/// Reads `5` (seconds) or a Go duration as `1m30s`, `1.5h`, `250ms`.
pub fn parse_duration(text: &str) -> Option<SignedDuration> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(SignedDuration::from_secs(seconds));
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail
            .find(|next: char| next.is_ascii_digit() || next == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(number, unit)?)?;
        rest = tail;
    }
    let nanos = if negative { -nanos } else { nanos };
    let (seconds, nanos) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    Some(SignedDuration::new(
        i64::try_from(seconds).ok()?,
        i32::try_from(nanos).ok()?,
    ))
}

/// A decimal number times a unit.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<i128>().ok()
        }
    };
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = digits(fraction)?.checked_mul(unit)? / scale;
    digits(whole)?.checked_mul(unit)?.checked_add(fraction)
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
        let millis = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("7"), Some(7_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1.5h"), Some(5_400_000));
        assert_eq!(millis("-250ms"), Some(-250));
        assert_eq!(
            (millis("5 s"), millis(""), millis("s"), millis("3x")),
            (None, None, None, None)
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
