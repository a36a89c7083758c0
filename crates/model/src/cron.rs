//! Cron schedules as Kubernetes and Argo CD read them (API-285, SYNC-140), in UTC.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::duration;

/// How far ahead a time is looked for, in days: a leap day may be eight years away.
const HORIZON_DAYS: usize = 9 * 366;

/// When something is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At these minutes.
    Fields(Fields),
    /// Again and again after so long, of whole seconds.
    Every(SignedDuration),
}

/// The minutes that five fields name, each as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day of month and day of week are both restricted: then either will do.
    either_day: bool,
}

/// Bounds and names of a field.
struct Field {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MINUTE: Field = field(0, 59, &[]);
const HOUR: Field = field(0, 23, &[]);
const DAY: Field = field(1, 31, &[]);
const MONTH: Field = field(
    1,
    12,
    &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
);
const WEEKDAY: Field = field(0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]);

const fn field(low: u32, high: u32, names: &'static [&'static str]) -> Field {
    Field { low, high, names }
}

impl Schedule {
    /// Reads five fields, or a descriptor such as `@hourly` or `@every 90s`. A time zone before them (`TZ=…`) is passed
    /// over.
    ///
    /// # Errors
    /// What is wrong with it, in the words of the library that Kubernetes uses.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = match text.split_once(' ') {
            Some((zone, rest)) if zone.starts_with("TZ=") || zone.starts_with("CRON_TZ=") => {
                rest.trim()
            }
            _ => text,
        };
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            _ => text,
        };
        if let Some(every) = fields.strip_prefix("@every ") {
            let every = duration::parse(every)
                .map_err(|error| format!("failed to parse duration {text}: {error}"))?;
            let seconds = every.as_secs().max(1);
            return Ok(Self::Every(SignedDuration::from_secs(seconds)));
        }
        if fields.starts_with('@') {
            return Err(format!("unrecognized descriptor: {text}"));
        }
        Fields::parse(fields).map(Self::Fields)
    }

    /// Its first time later than `at`; `None` where there is none in the next years.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Fields(fields) => fields.after(at),
            Self::Every(duration) => Timestamp::from_second(at.as_second())
                .ok()?
                .checked_add(*duration)
                .ok(),
        }
    }
}

impl Fields {
    /// Reads five fields: minute, hour, day of month, month, day of week.
    ///
    /// # Errors
    /// What is wrong with them, in the words of the library that Kubernetes and Argo CD use.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        if text.starts_with('@') {
            return Err(format!("parser does not accept descriptors: {text}"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!(
                "expected exactly 5 fields, found {}: [{}]",
                fields.len(),
                fields.join(" ")
            ));
        };
        let (minutes, _) = MINUTE.bits(minutes)?;
        let (hours, _) = HOUR.bits(hours)?;
        let (days, any_day) = DAY.bits(days)?;
        let (months, _) = MONTH.bits(months)?;
        let (weekdays, any_weekday) = WEEKDAY.bits(weekdays)?;
        Ok(Self {
            minutes,
            hours,
            days,
            months,
            weekdays,
            either_day: !any_day && !any_weekday,
        })
    }

    /// The first of them later than `at`; `None` where there is none in the next years.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let start = at.to_zoned(TimeZone::UTC).datetime();
        let mut day = start.date();
        let mut first = i32::from(start.hour()) * 60 + i32::from(start.minute()) + 1;
        for _ in 0..HORIZON_DAYS {
            if self.names_day(day)
                && let Some(time) = (first..24 * 60).find_map(|minute| self.time(day, minute))
            {
                let zoned = time.to_zoned(TimeZone::UTC).ok()?;
                return Some(zoned.timestamp());
            }
            first = 0;
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }

    /// The minute of a day, if it is named.
    fn time(&self, day: Date, minute: i32) -> Option<DateTime> {
        let (hour, minute) = (
            i8::try_from(minute / 60).ok()?,
            i8::try_from(minute % 60).ok()?,
        );
        let is_named = self.hours >> hour & 1 == 1 && self.minutes >> minute & 1 == 1;
        is_named.then(|| DateTime::from_parts(day, jiff::civil::time(hour, minute, 0, 0)))
    }

    fn names_day(&self, day: Date) -> bool {
        let named = self.days >> day.day() & 1 == 1;
        let weekday = self.weekdays >> day.weekday().to_sunday_zero_offset() & 1 == 1;
        let fits = if self.either_day {
            named || weekday
        } else {
            named && weekday
        };
        self.months >> day.month() & 1 == 1 && fits
    }
}

impl Field {
    /// The bits of a list of ranges, and whether one of them is open.
    fn bits(&self, text: &str) -> Result<(u64, bool), String> {
        let (mut bits, mut open) = (0, false);
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (more, is_open) = self.range(part)?;
            bits |= more;
            open |= is_open;
        }
        Ok((bits, open))
    }

    /// One of `*`, `a`, `a-b`, each perhaps with `/step`; `a/step` goes on to the end.
    fn range(&self, part: &str) -> Result<(u64, bool), String> {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, second) = range
            .split_once('-')
            .map_or((range, None), |(first, second)| (first, Some(second)));
        let open = matches!(first, "*" | "?");
        let (start, mut end) = match second {
            _ if open => (self.low, self.high),
            Some(second) if second.contains('-') => {
                return Err(format!("too many hyphens: {part}"));
            }
            Some(second) => (self.number(first)?, self.number(second)?),
            None => {
                let number = self.number(first)?;
                (number, number)
            }
        };
        let step = match step {
            None => 1,
            Some(step) if step.contains('/') => return Err(format!("too many slashes: {part}")),
            Some(step) => {
                if second.is_none() {
                    end = self.high;
                }
                number(step)?
            }
        };
        if start < self.low {
            let low = self.low;
            return Err(format!(
                "beginning of range ({start}) below minimum ({low}): {part}"
            ));
        }
        if end > self.high {
            let high = self.high;
            return Err(format!(
                "end of range ({end}) above maximum ({high}): {part}"
            ));
        }
        if start > end {
            return Err(format!(
                "beginning of range ({start}) beyond end of range ({end}): {part}"
            ));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
        let numbers = (start..=end).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let bits = numbers.fold(0, |bits, number| bits | 1_u64 << number);
        Ok((bits, open && step == 1))
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let place = self
            .names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        match place {
            Some(place) => Ok(u32::try_from(place).unwrap_or(0) + self.low),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    let number: i64 = text.parse().map_err(|error: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let why = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}")
    })?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*/5 * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:05:00Z")]
    #[case("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z")]
    #[case("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z")]
    #[case(
        "30 8-10/2 * * mon-fri",
        "2026-01-02T09:00:00Z",
        "2026-01-02T10:30:00Z"
    )]
    #[case("0 0 13 * 5", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z")]
    // A step restricts: either day will do.
    #[case("0 0 13 * */3", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")]
    #[case("0 0 1,15 JAN ?", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z")]
    #[case("5/20 * * * *", "2026-01-01T00:05:00Z", "2026-01-01T00:25:00Z")]
    #[case("@monthly", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z")]
    #[case("@every 1h30m", "2026-01-01T00:00:00.5Z", "2026-01-01T01:30:00Z")]
    fn the_next_time(#[case] schedule: &str, #[case] at: Timestamp, #[case] next: Timestamp) {
        assert_eq!(Schedule::parse(schedule).unwrap().after(at), Some(next));
    }

    #[test]
    fn a_day_that_never_comes_has_no_time() {
        let never = Schedule::parse("0 0 30 2 *").unwrap();
        assert_eq!(never.after("2026-01-01T00:00:00Z".parse().unwrap()), None);
    }

    #[rstest]
    #[case("", "empty spec string")]
    #[case("x", "expected exactly 5 fields, found 1: [x]")]
    #[case("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]")]
    #[case("@often", "unrecognized descriptor: @often")]
    #[case(
        "@every day",
        r#"failed to parse duration @every day: time: invalid duration "day""#
    )]
    #[case("60 * * * *", "end of range (60) above maximum (59): 60")]
    #[case("* * 0 * *", "beginning of range (0) below minimum (1): 0")]
    #[case("* * * * 7", "end of range (7) above maximum (6): 7")]
    #[case("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1")]
    #[case("1-2-3 * * * *", "too many hyphens: 1-2-3")]
    #[case("*/2/3 * * * *", "too many slashes: */2/3")]
    #[case("*/0 * * * *", "step of range should be a positive number: */0")]
    #[case(
        "a * * * *",
        r#"failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax"#
    )]
    fn what_is_no_schedule_says_why(#[case] text: &str, #[case] error: &str) {
        assert_eq!(Schedule::parse(text), Err(error.to_owned()));
    }

    #[test]
    fn fields_alone_are_no_descriptors() {
        let error = "parser does not accept descriptors: @daily".to_owned();
        assert_eq!(Fields::parse("@daily"), Err(error));
    }
}
