//! Durations as Go writes them: `1m30s`, `1.5h`, `250ms`.

use jiff::SignedDuration;

/// Nanoseconds of each unit.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration: decimal numbers, each with its unit, one after the other, or `0`.
///
/// # Errors
/// Why it is none, in Go's words.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let is_number = |next: char| next.is_ascii_digit() || next == '.';
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let (number, tail) =
            rest.split_at(rest.find(|next| !is_number(next)).unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        let is_decimal =
            number.matches('.').count() < 2 && number.len() > number.matches('.').count();
        if !is_decimal {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let Some((_, size)) = known else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        nanos = scaled(number, *size)
            .and_then(|more| nanos.checked_add(more))
            .ok_or_else(invalid)?;
        rest = tail;
    }
    let nanos = if negative { -nanos } else { nanos };
    // Go holds it in 64 bits.
    let nanos = i64::try_from(nanos).map_err(|_| invalid())?;
    Ok(SignedDuration::from_nanos(nanos))
}

/// A decimal number times a unit.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", 0)]
    #[case("1m30s", 90_000)]
    #[case("1.5h", 5_400_000)]
    #[case("-250ms", -250)]
    #[case("+.5s", 500)]
    #[case("5.s", 5_000)]
    fn numbers_with_units_add_up(#[case] text: &str, #[case] millis: i128) {
        assert_eq!(parse(text).map(|duration| duration.as_millis()), Ok(millis));
    }

    #[rstest]
    #[case("", r#"time: invalid duration """#)]
    #[case("soon", r#"time: invalid duration "soon""#)]
    #[case("-", r#"time: invalid duration "-""#)]
    #[case(".s", r#"time: invalid duration ".s""#)]
    #[case("1.2.3s", r#"time: invalid duration "1.2.3s""#)]
    #[case("7", r#"time: missing unit in duration "7""#)]
    #[case("1h7", r#"time: missing unit in duration "1h7""#)]
    #[case("3x", r#"time: unknown unit "x" in duration "3x""#)]
    #[case("5 s", r#"time: unknown unit " s" in duration "5 s""#)]
    #[case("3000000h", r#"time: invalid duration "3000000h""#)]
    fn what_is_none_says_why(#[case] text: &str, #[case] error: &str) {
        assert_eq!(parse(text), Err(error.to_owned()));
    }
}
