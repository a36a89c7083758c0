//! Time as Kubernetes writes it.

use jiff::Timestamp;
use jiff::tz::Offset;
use wavetank_kernel::SimTime;

/// The form of `metav1.Time`.
const PLAIN: &str = "%Y-%m-%dT%H:%M:%SZ";

/// The wall time at which a run's clock stands at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(Timestamp);

impl Default for Epoch {
    /// The virtual epoch, 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self(Timestamp::constant(1_767_225_600, 0))
    }
}

impl Epoch {
    /// An epoch at `start`.
    pub const fn new(start: Timestamp) -> Self {
        Self(start)
    }

    /// The wall time of `at`.
    pub fn wall(self, at: SimTime) -> Timestamp {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(self.0.as_millisecond().saturating_add(millis))
            .unwrap_or(Timestamp::MAX)
    }

    /// The time of the run at wall time `wall`; zero when that was before the start.
    pub fn sim(self, wall: Timestamp) -> SimTime {
        let millis = wall
            .as_millisecond()
            .saturating_sub(self.0.as_millisecond());
        SimTime::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// `metav1.Time`: RFC 3339 in UTC, whole seconds (API-017).
    pub fn time(self, at: SimTime) -> String {
        plain(self.wall(at))
    }

    /// `metav1.MicroTime`: six fractional digits (API-017).
    pub fn micro_time(self, at: SimTime) -> String {
        self.wall(at).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }
}

/// `time` as `metav1.Time`: what `%Y-%m-%dT%H:%M:%SZ` makes of it, many times faster.
fn plain(time: Timestamp) -> String {
    let time = Offset::UTC.to_datetime(time);
    let Ok(year) = u16::try_from(time.year()) else {
        return time.strftime(PLAIN).to_string();
    };
    let mut text = *b"0000-00-00T00:00:00Z";
    let [century, year] = [year / 100, year % 100];
    for (at, number) in [(0, century), (2, year)] {
        text[at] += u8::try_from(number / 10).unwrap_or_default();
        text[at + 1] += u8::try_from(number % 10).unwrap_or_default();
    }
    let small = [
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    ];
    for (at, number) in [5, 8, 11, 14, 17].into_iter().zip(small) {
        let number = number.unsigned_abs();
        text[at] += number / 10;
        text[at + 1] += number % 10;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads an RFC 3339 time.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Whether `text` is a time in the form of `metav1.Time`, told without reading it; `false` also where that takes a calendar.
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let below = |at: usize, limit: u8| {
        let number = (bytes[at] - b'0') * 10 + (bytes[at + 1] - b'0');
        number < limit
    };
    bytes.len() == 20
        && b"0000-00-00T00:00:00Z"
            .iter()
            .zip(bytes)
            .all(|(form, byte)| match form {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
        && below(5, 13)
        && !below(5, 1)
        && below(8, 29)
        && !below(8, 1)
        && below(11, 24)
        && below(14, 60)
        && below(17, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_time_is_one_that_reads_back_as_it_is() {
        for text in ["2026-01-01T00:00:00Z", "0001-12-28T23:59:59Z"] {
            assert!(is_plain(text), "{text}");
            let time = parse(text).unwrap();
            assert_eq!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), text);
        }
        for text in [
            "2026-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00.5Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01t00:00:00Z",
            "soon",
            "",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_its_form_says() {
        for seconds in [
            -377_705_023_201,
            -62_167_219_200,
            -1,
            0,
            951_782_399,
            1_767_225_600,
            253_402_207_200,
        ] {
            let time = Timestamp::from_second(seconds).unwrap();
            assert_eq!(plain(time), time.strftime(PLAIN).to_string());
        }
    }

    #[test]
    fn the_virtual_epoch_is_new_year_2026() {
        let epoch = Epoch::default();
        assert_eq!(
            epoch.time(SimTime::from_millis(61_999)),
            "2026-01-01T00:01:01Z"
        );
        assert_eq!(
            epoch.micro_time(SimTime::from_millis(1_250)),
            "2026-01-01T00:00:01.250000Z"
        );
        assert_eq!(
            epoch.sim(parse("2026-01-01T00:01:01Z").unwrap()),
            SimTime::from_millis(61_000)
        );
    }
}
