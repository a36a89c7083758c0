//! Durations as people read them (API-219).

/// `5s`, `2m10s`, `5m`, `3h12m`, `2d4h`, `400d`, of a duration in seconds.
pub(crate) fn human_duration(seconds: i64) -> String {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, unit: char, small: i64, sub: char| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{sub}")
        }
    };
    match seconds {
        i64::MIN..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / 60, 'm', seconds % 60, 's'),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..28_800 => two(seconds / HOUR, 'h', seconds % HOUR / 60, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(seconds / DAY, 'd', seconds % DAY / HOUR, 'h'),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(seconds / YEAR, 'y', seconds % YEAR / DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(-5, "<invalid>")]
    #[case(5, "5s")]
    #[case(130, "2m10s")]
    #[case(300, "5m")]
    #[case(3600, "60m")]
    #[case(11_520, "3h12m")]
    #[case(36_000, "10h")]
    #[case(187_200, "2d4h")]
    #[case(34_560_000, "400d")]
    #[case(63_158_400, "2y1d")]
    fn durations_are_rounded_for_people(#[case] seconds: i64, #[case] shown: &str) {
        assert_eq!(human_duration(seconds), shown);
    }
}
