//! Cron schedules of five fields, in UTC.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// How far ahead a time is looked for, in days: a leap day may be eight years away.
const HORIZON_DAYS: usize = 9 * 366;

/// Which minutes a schedule names, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// With both days given either will do.
    any_day: bool,
    any_weekday: bool,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads five fields, or a macro such as `@hourly`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return None;
        };
        let weekday_bits = bits(weekdays, 0, 7, &WEEKDAYS, 0)?;
        Some(Self {
            minutes: bits(minutes, 0, 59, &[], 0)?,
            hours: bits(hours, 0, 23, &[], 0)?,
            days: bits(days, 1, 31, &[], 0)?,
            months: bits(months, 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: weekday_bits | (weekday_bits >> 7 & 1),
            any_day: matches!(*days, "*" | "?"),
            any_weekday: matches!(*weekdays, "*" | "?"),
        })
    }

    /// The first time of the schedule later than `at`.
    pub(crate) fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let start = at.to_zoned(TimeZone::UTC).datetime();
        let mut day = start.date();
        let mut minute_of_day = i32::from(start.hour()) * 60 + i32::from(start.minute()) + 1;
        for _ in 0..HORIZON_DAYS {
            if self.names_day(day) {
                for minute in minute_of_day..24 * 60 {
                    let (hour, minute) = (
                        i8::try_from(minute / 60).ok()?,
                        i8::try_from(minute % 60).ok()?,
                    );
                    if self.hours >> hour & 1 == 1 && self.minutes >> minute & 1 == 1 {
                        let time = DateTime::from_parts(day, jiff::civil::time(hour, minute, 0, 0));
                        return time
                            .to_zoned(TimeZone::UTC)
                            .ok()
                            .map(|zoned| zoned.timestamp());
                    }
                }
            }
            minute_of_day = 0;
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }

    fn names_day(&self, day: jiff::civil::Date) -> bool {
        let named = self.days >> day.day() & 1 == 1;
        let weekday = self.weekdays >> day.weekday().to_sunday_zero_offset() & 1 == 1;
        let fits = if self.any_day || self.any_weekday {
            named && weekday
        } else {
            named || weekday
        };
        self.months >> day.month() & 1 == 1 && fits
    }
}

/// The bits of one field: lists, ranges, steps and names.
fn bits(field: &str, first: u32, last: u32, names: &[&str], offset: usize) -> Option<u64> {
    let number = |text: &str| -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        match names.iter().position(|name| *name == lower) {
            Some(index) => u32::try_from(index + offset).ok(),
            None => text.parse().ok(),
        }
    };
    let mut out = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/15` goes on to the end.
            None if part.contains('/') => (number(range)?, last),
            None => (number(range)?, number(range)?),
        };
        if from < first || to > last || from > to {
            return None;
        }
        let mut value = from;
        while value <= to {
            out |= 1_u64 << value;
            value += step;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

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
    #[case("@monthly", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z")]
    #[case("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z")]
    fn the_next_time(#[case] schedule: &str, #[case] at: Timestamp, #[case] next: Timestamp) {
        assert_eq!(Schedule::parse(schedule).unwrap().after(at), Some(next));
    }

    #[test]
    fn what_is_no_schedule() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* * * * * *",
            "a * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
