//! Resource quantities: `100m`, `1Gi`, `1e3`.
//!
//! A quantity is a decimal number with one of three kinds of suffix, which its canonical text keeps (API-272). Held
//! exactly, in units of 10⁻⁹ as Kubernetes does; finer parts are rounded up, and values beyond ±2⁶³ are capped.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

use wavetank_json::Value;

const NANO: i128 = 1_000_000_000;

/// Which suffixes the canonical text of a quantity takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `n`, `u`, `m`, none, `k`, `M`, `G`, `T`, `P`, `E`.
    DecimalSi,
    /// `Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei`.
    BinarySi,
    /// `e3`, `e6`…
    DecimalExponent,
}

/// An amount of a resource. Equal and ordered by value, not by text.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)]
pub struct ParseQuantityError;

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        nanos: 0,
        format: Format::DecimalSi,
    };

    /// A whole number of units.
    pub const fn from_units(units: i64) -> Self {
        Self {
            nanos: units as i128 * NANO,
            format: Format::DecimalSi,
        }
    }

    /// Thousandths, rounded up, as the scheduler counts CPU.
    pub fn millis(self) -> i64 {
        saturate(ceil_div(self.nanos, NANO / 1000))
    }

    /// Whole units, rounded up.
    pub fn units(self) -> i64 {
        saturate(ceil_div(self.nanos, NANO))
    }

    /// Rounded up to thousandths, as those of resource lists are when they are decoded.
    #[must_use]
    pub fn rounded_up_to_milli(self) -> Self {
        // What is whole so already may be more than thousandths can count.
        if self.nanos % (NANO / 1000) == 0 {
            return self;
        }
        Self {
            nanos: i128::from(self.millis()) * (NANO / 1000),
            format: Format::DecimalSi,
        }
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(self) -> bool {
        self == Self::from_units(self.units())
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Below zero: -1, zero: 0, above: 1.
    pub const fn signum(self) -> i32 {
        if self.nanos == 0 {
            0
        } else if self.nanos < 0 {
            -1
        } else {
            1
        }
    }
}

/// Reads a JSON string or number; `None` when it is no quantity.
pub fn read(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Division away from zero, as Kubernetes rounds.
fn ceil_div(value: i128, by: i128) -> i128 {
    let (quotient, rest) = (value / by, value % by);
    if rest == 0 {
        quotient
    } else {
        quotient + value.signum()
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The sum; it keeps the format of the left side unless that is zero.
    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            format,
        }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self {
            nanos: -other.nanos,
            format: other.format,
        }
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, Add::add)
    }
}

const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, ParseQuantityError> {
        let (negative, body) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = body
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(body.len());
        let (number, suffix) = body.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(ParseQuantityError);
        }
        let (base, exponent, format) = parse_suffix(suffix).ok_or(ParseQuantityError)?;
        let magnitude = scale(whole, fraction, base, exponent);
        let cap = i128::from(i64::MAX) * NANO;
        let nanos = magnitude.min(cap);
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
            format,
        })
    }
}

/// Base, exponent and format of a suffix.
fn parse_suffix(suffix: &str) -> Option<(i128, i32, Format)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((10, *exponent, Format::DecimalSi));
    }
    if let Some(at) = BINARY.iter().position(|name| *name == suffix) {
        return Some((1024, i32::try_from(at).ok()? + 1, Format::BinarySi));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((10, exponent.parse().ok()?, Format::DecimalExponent))
}

/// `whole.fraction` times `base` to the `exponent`, in 10⁻⁹, rounded up; saturates.
fn scale(whole: &str, fraction: &str, base: i128, exponent: i32) -> i128 {
    let digits = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|digit| i128::from(digit - b'0'));
    let value = digits.fold(0_i128, |value, digit| {
        value.saturating_mul(10).saturating_add(digit)
    });
    let mut tens = 9 - i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let mut value = value;
    if base == 10 {
        tens = tens.saturating_add(exponent);
    } else {
        for _ in 0..exponent {
            value = value.saturating_mul(base);
        }
    }
    if tens >= 0 {
        for _ in 0..tens.min(40) {
            value = value.saturating_mul(10);
        }
        return value;
    }
    // Dividing step by step would round more than once.
    let power = 10_i128.checked_pow(tens.unsigned_abs());
    power.map_or(i128::from(value > 0), |power| ceil_div(value, power))
}

impl fmt::Display for Quantity {
    /// The canonical text: no fraction, the largest suffix that needs none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let magnitude = self.nanos.abs();
        // Small or fractional binary quantities are written with decimal suffixes.
        if self.format == Format::BinarySi && magnitude >= 1024 * NANO && magnitude % NANO == 0 {
            let (mut units, mut at) = (self.nanos / NANO, 0);
            while units % 1024 == 0 && at < BINARY.len() {
                units /= 1024;
                at += 1;
            }
            return write!(f, "{units}{}", if at == 0 { "" } else { BINARY[at - 1] });
        }
        let (mut value, mut at) = (self.nanos, 0);
        while value % 1000 == 0 && at + 1 < DECIMAL.len() {
            value /= 1000;
            at += 1;
        }
        match (self.format, DECIMAL[at]) {
            (Format::DecimalExponent, (_, 0)) => write!(f, "{value}"),
            (Format::DecimalExponent, (_, exponent)) => write!(f, "{value}e{exponent}"),
            (_, (suffix, _)) => write!(f, "{value}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1000m", "1")]
    #[case("0.5", "500m")]
    #[case("100m", "100m")]
    #[case("1.5Gi", "1536Mi")]
    #[case("1024Mi", "1Gi")]
    #[case("1024", "1024")]
    #[case("1000", "1k")]
    #[case("1e3", "1e3")]
    #[case("1500e-3", "1500e-3")]
    #[case("0.0000000001", "1n")]
    #[case("-2Ki", "-2Ki")]
    #[case("512", "512")]
    #[case("0.5Ki", "512")]
    #[case("12E", "9223372036854775807")]
    #[case(".5", "500m")]
    #[case("5.", "5")]
    #[case("+1", "1")]
    #[case("0Mi", "0")]
    fn the_canonical_text_has_no_fraction_and_the_largest_suffix(
        #[case] text: &str,
        #[case] canonical: &str,
    ) {
        assert_eq!(text.parse::<Quantity>().unwrap().to_string(), canonical);
    }

    #[rstest]
    #[case("")]
    #[case("m")]
    #[case("1.2.3")]
    #[case("1 Gi")]
    #[case("1ki")]
    #[case("1K")]
    #[case("e3")]
    #[case("--1")]
    fn other_texts_are_no_quantities(#[case] text: &str) {
        assert_eq!(text.parse::<Quantity>(), Err(ParseQuantityError));
    }

    #[test]
    fn resource_lists_know_thousandths() {
        let rounded = |text: &str| {
            let quantity: Quantity = text.parse().unwrap();
            quantity.rounded_up_to_milli().to_string()
        };
        assert_eq!(
            (rounded("1u"), rounded("1.5Gi")),
            ("1m".to_owned(), "1536Mi".to_owned())
        );
        // As a real server stores them.
        for (written, stored) in [
            ("10P", "10P"),
            ("9Pi", "9Pi"),
            ("9223372036854775807", "9223372036854775807"),
            ("0.0001", "1m"),
            ("1e16", "10e15"),
            ("9300000000000000", "9300T"),
        ] {
            assert_eq!(rounded(written), stored);
        }
        let is_whole = |text: &str| text.parse::<Quantity>().unwrap().is_whole();
        assert!(is_whole("1Gi") && !is_whole("1500m"));
    }

    #[test]
    fn quantities_compare_and_add_by_value() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(quantity("1"), quantity("1000m"));
        assert!(quantity("1Gi") > quantity("1G"));
        let sum: Quantity = ["100m", "1", "0.4"].into_iter().map(quantity).sum();
        assert_eq!(
            (sum.to_string(), sum.millis(), sum.units()),
            ("1500m".into(), 1500, 2)
        );
        assert_eq!((quantity("1Gi") - quantity("1Mi")).to_string(), "1023Mi");
    }

    proptest! {
        #[test]
        fn the_canonical_text_reads_back_as_the_same_quantity(value in -1_000_000_000_i64..1_000_000_000, suffix in "(n|u|m||k|M|G|Ki|Mi|Gi|e3|e-2)") {
            let quantity: Quantity = format!("{value}{suffix}").parse().unwrap();
            let text = quantity.to_string();
            let again: Quantity = text.parse().unwrap();
            prop_assert_eq!(again, quantity);
            prop_assert_eq!(again.to_string(), text);
        }
    }
}
