//! What a plain scalar means: in YAML 1.2 (the Scenario), and to kubectl (YAML 1.1 in the reading of its Go library).

use wavetank_json::{Number, Value};

use super::{Scalar, Tag};

/// How plain scalars are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// YAML 1.2, numbers with a leading zero are text.
    Scenario,
    /// As kubectl does.
    Manifest,
}

/// The value of `scalar`.
///
/// # Errors
/// A text that says why there is none: a number that JSON does not have, or broken base64.
pub(crate) fn resolve(scalar: &Scalar, dialect: Dialect) -> Result<Value, String> {
    match scalar.tag {
        Some(Tag::Str) => return Ok(Value::from(&*scalar.text)),
        Some(Tag::Binary) => return binary(&scalar.text),
        None if !scalar.plain => return Ok(Value::from(&*scalar.text)),
        Some(Tag::Plain) | None => {}
    }
    let text = &*scalar.text;
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::Null);
    }
    if let Some(value) = boolean(text, dialect) {
        return Ok(Value::Bool(value));
    }
    let Some(first) = text.bytes().next() else {
        return Ok(Value::Null);
    };
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Ok(Value::from(text));
    }
    if matches!(
        text.trim_start_matches(['+', '-']),
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return Err(format!(
            "`{text}` is a number that JSON does not have; quote it if it is text"
        ));
    }
    Ok(number(text, dialect).unwrap_or_else(|| Value::from(text)))
}

fn boolean(text: &str, dialect: Dialect) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => return Some(true),
        "false" | "False" | "FALSE" => return Some(false),
        _ => {}
    }
    if dialect == Dialect::Scenario {
        return None;
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn binary(text: &str) -> Result<Value, String> {
    use base64::Engine as _;
    let packed: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD
        .decode(packed)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Value::from)
        .ok_or_else(|| "`!!binary` needs base64 of UTF-8 text".to_owned())
}

fn number(text: &str, dialect: Dialect) -> Option<Value> {
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let stripped: String;
    let digits = if dialect == Dialect::Manifest && digits.contains('_') && !digits.starts_with('_')
    {
        stripped = digits.replace('_', "");
        stripped.as_str()
    } else {
        digits
    };
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let radix = match digits.as_bytes() {
        [b'0', b'x', ..] => Some((16, 2)),
        [b'0', b'o', ..] => Some((8, 2)),
        [b'0', b'b', ..] if dialect == Dialect::Manifest => Some((2, 2)),
        _ if leading_zero
            && dialect == Dialect::Manifest
            && digits.bytes().all(|d| (b'0'..b'8').contains(&d)) =>
        {
            Some((8, 1))
        }
        _ if leading_zero && dialect == Dialect::Scenario => return None,
        _ if !digits.is_empty() && digits.bytes().all(|d| d.is_ascii_digit()) && !leading_zero => {
            Some((10, 0))
        }
        _ => None,
    };
    if let Some((radix, skip)) = radix {
        if !digits[skip..].starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return None;
        }
        if let Ok(value) = i128::from_str_radix(&digits[skip..], radix) {
            return integer(if negative { -value } else { value }, dialect);
        }
    }
    let plausible = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().any(|byte| byte.is_ascii_digit())
        && !digits.starts_with(['+', '-', 'e', 'E']);
    if !plausible {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    let value = if negative { -value } else { value };
    float(value, dialect)
}

fn integer(value: i128, dialect: Dialect) -> Option<Value> {
    if let Ok(value) = i64::try_from(value) {
        return Some(Value::from(value));
    }
    if let (Dialect::Scenario, Ok(value)) = (dialect, u64::try_from(value)) {
        return Some(Value::from(value));
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "kubectl reads integers beyond 64 bits as floats"
    )]
    Number::from_f64(value as f64).map(Value::Number)
}

/// kubectl writes JSON in between, in which `8.0` is `8`.
fn float(value: f64, dialect: Dialect) -> Option<Value> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked before"
    )]
    if dialect == Dialect::Manifest && value.fract() == 0.0 && value.abs() < 9e15 {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    fn plain(text: &str, dialect: Dialect) -> Value {
        resolve(
            &Scalar {
                text: text.into(),
                plain: true,
                tag: None,
            },
            dialect,
        )
        .unwrap()
    }

    /// What kubectl 1.32 prints with `annotate --local -o json`, and what YAML 1.2 says.
    #[rstest]
    #[case("yes", json!(true), json!("yes"))]
    #[case("on", json!(true), json!("on"))]
    #[case("n", json!(false), json!("n"))]
    #[case("true", json!(true), json!(true))]
    #[case("0644", json!(420), json!("0644"))]
    #[case("0o644", json!(420), json!(420))]
    #[case("0x1f", json!(31), json!(31))]
    #[case("0b11", json!(3), json!("0b11"))]
    #[case("1_000", json!(1000), json!("1_000"))]
    #[case("08", json!(8), json!("08"))]
    #[case("1.0", json!(1), json!(1.0))]
    #[case("1e3", json!(1000), json!(1000.0))]
    #[case("1.5", json!(1.5), json!(1.5))]
    #[case("-7", json!(-7), json!(-7))]
    #[case("12:30:45", json!("12:30:45"), json!("12:30:45"))]
    #[case("2024-01-01", json!("2024-01-01"), json!("2024-01-01"))]
    #[case("12345678901234567890", json!(1.234_567_890_123_456_7e19), json!(12_345_678_901_234_567_890u64))]
    #[case("~", json!(null), json!(null))]
    #[case("-", json!("-"), json!("-"))]
    #[case("1.2.3", json!("1.2.3"), json!("1.2.3"))]
    #[case("0x", json!("0x"), json!("0x"))]
    #[case("+", json!("+"), json!("+"))]
    #[case("e5", json!("e5"), json!("e5"))]
    fn plain_scalars(#[case] text: &str, #[case] manifest: Value, #[case] scenario: Value) {
        assert_eq!(plain(text, Dialect::Manifest), manifest);
        assert_eq!(plain(text, Dialect::Scenario), scenario);
    }

    #[test]
    fn tags_and_quotes_decide_before_the_text() {
        let value = |text: &str, plain, tag| {
            resolve(
                &Scalar {
                    text: text.into(),
                    plain,
                    tag,
                },
                Dialect::Manifest,
            )
        };
        assert_eq!(value("1", false, None), Ok(json!("1")));
        assert_eq!(value("1", true, Some(Tag::Str)), Ok(json!("1")));
        assert_eq!(value("1", false, Some(Tag::Plain)), Ok(json!(1)));
        assert_eq!(value("aGk=", true, Some(Tag::Binary)), Ok(json!("hi")));
        assert!(value("?", true, Some(Tag::Binary)).is_err());
        assert!(value(".inf", true, None).is_err());
    }
}
