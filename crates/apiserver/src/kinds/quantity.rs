//! Quantities as validation and admission need them: compared, summed, printed canonically (API-272).

use std::cmp::Ordering;

/// A quantity in billionths of its unit, with the family of suffixes it was written in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    nano: i128,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Decimal,
    Binary,
    Exponent,
}

const NANO: i128 = 1_000_000_000;

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.nano.partial_cmp(&other.nano)
    }
}

impl Quantity {
    /// Reads a JSON string or number; `None` when it is no quantity.
    pub(crate) fn read(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// Reads `100m`, `1.5Gi`, `1e3`; rounds up to billionths.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (digits, suffix) = rest.split_at(end);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (scale, family) = scale(suffix)?;
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa
                .checked_mul(10)?
                .checked_add(i128::from(digit - b'0'))?;
        }
        let power = i32::try_from(fraction.len()).ok()?;
        let nano = match scale {
            Scale::Binary(shift) => divide_up(
                mantissa
                    .checked_mul(NANO)?
                    .checked_mul(1_i128.checked_shl(shift)?)?,
                pow10(power)?,
            ),
            Scale::Ten(exponent) => {
                let total = exponent + 9 - power;
                if total >= 0 {
                    mantissa.checked_mul(pow10(total)?)?
                } else {
                    divide_up(mantissa, pow10(-total)?)
                }
            }
        };
        Some(Self {
            nano: if negative { -nano } else { nano },
            family,
        })
    }

    /// Nothing.
    pub(crate) const ZERO: Self = Self {
        nano: 0,
        family: Family::Decimal,
    };

    /// One unit.
    pub(crate) const ONE: Self = Self {
        nano: NANO,
        family: Family::Decimal,
    };

    /// So many units.
    pub(crate) fn count(count: usize) -> Self {
        Self {
            nano: i128::try_from(count).unwrap_or(0).saturating_mul(NANO),
            family: Family::Decimal,
        }
    }

    /// As a float, for ratios.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ratios are printed with six digits"
    )]
    pub(crate) fn as_f64(self) -> f64 {
        self.nano as f64 / NANO as f64
    }

    /// Whether it is below zero.
    pub(crate) const fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whether it is zero.
    pub(crate) const fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// Whether it is a whole number of units.
    pub(crate) const fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }

    /// The sum; the suffix family is that of the first summand that is not zero.
    pub(crate) fn plus(self, other: Self) -> Self {
        let family = if self.is_zero() {
            other.family
        } else {
            self.family
        };
        Self {
            nano: self.nano.saturating_add(other.nano),
            family,
        }
    }

    /// The larger of the two.
    pub(crate) fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    /// Rounded up to thousandths, as resource lists are when they are decoded.
    pub(crate) fn rounded_up_to_milli(self) -> Self {
        const MICRO: i128 = 1_000_000;
        let rest = self.nano.rem_euclid(MICRO);
        Self {
            nano: if rest == 0 {
                self.nano
            } else {
                self.nano - rest + MICRO
            },
            ..self
        }
    }

    /// The canonical text: the largest suffix of its family that leaves no fraction.
    pub(crate) fn canonical(self) -> String {
        if self.nano == 0 {
            return "0".to_owned();
        }
        if self.family == Family::Binary
            && self.nano % NANO == 0
            && (self.nano / NANO).abs() >= 1024
        {
            let mut units = self.nano / NANO;
            let mut index = 0;
            while units % 1024 == 0 && index < 6 {
                units /= 1024;
                index += 1;
            }
            return format!("{units}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][index]);
        }
        let mut number = self.nano;
        let mut exponent = -9;
        while number % 1000 == 0 && exponent < 18 {
            number /= 1000;
            exponent += 3;
        }
        if self.family == Family::Exponent {
            return if exponent == 0 {
                number.to_string()
            } else {
                format!("{number}e{exponent}")
            };
        }
        let suffix = match exponent {
            -9 => "n",
            -6 => "u",
            -3 => "m",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            18 => "E",
            _ => "",
        };
        format!("{number}{suffix}")
    }
}

enum Scale {
    Binary(u32),
    Ten(i32),
}

fn scale(suffix: &str) -> Option<(Scale, Family)> {
    let ten = |power| Some((Scale::Ten(power), Family::Decimal));
    let two = |power| Some((Scale::Binary(power), Family::Binary));
    match suffix {
        "" => ten(0),
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => two(10),
        "Mi" => two(20),
        "Gi" => two(30),
        "Ti" => two(40),
        "Pi" => two(50),
        "Ei" => two(60),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-30..=30)
                .contains(&exponent)
                .then_some((Scale::Ten(exponent), Family::Exponent))
        }
    }
}

fn pow10(power: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(power).ok()?)
}

fn divide_up(number: i128, by: i128) -> i128 {
    number.div_euclid(by) + i128::from(number.rem_euclid(by) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1000m", "1")]
    #[case("100m", "100m")]
    #[case("0.5", "500m")]
    #[case("1.5Gi", "1536Mi")]
    #[case("1024Mi", "1Gi")]
    #[case("512", "512")]
    #[case("1000", "1k")]
    #[case("1000Ki", "1000Ki")]
    #[case("0.5Ki", "512")]
    #[case("1e3", "1e3")]
    #[case("1e0", "1")]
    #[case("128974848", "128974848")]
    #[case("0", "0")]
    #[case("-1", "-1")]
    #[case("0.1Ki", "102400m")]
    fn quantities_become_canonical(#[case] text: &str, #[case] canonical: &str) {
        assert_eq!(Quantity::parse(text).unwrap().canonical(), canonical);
    }

    #[rstest]
    #[case("")]
    #[case("a")]
    #[case("1.2.3")]
    #[case("1x")]
    #[case("m")]
    #[case("99999999999999999999999999999999999999999")]
    fn what_is_no_quantity_is_refused(#[case] text: &str) {
        assert!(Quantity::parse(text).is_none());
    }
}
