//! What a case expects of a body, and what it captured of earlier ones.

use std::collections::BTreeMap;

use wavetank_json::Value;

/// Compares bodies with what is expected of them; knows what was captured.
#[derive(Debug, Default)]
pub struct Expectation {
    captured: BTreeMap<String, String>,
}

impl Expectation {
    /// Keeps a value for later texts that say `${name}`.
    pub fn capture(&mut self, name: &str, value: &Value) {
        self.captured.insert(name.to_owned(), text_of(value));
    }

    /// Puts captured values in the place of `${name}`.
    ///
    /// # Errors
    /// When nothing was captured by a name.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = text.to_owned();
        while let Some(start) = out.find("${") {
            let end = out[start..].find('}').ok_or("an open `${`")? + start;
            let name = &out[start + 2..end];
            let value = self
                .captured
                .get(name)
                .ok_or_else(|| format!("nothing was captured as {name}"))?;
            out = format!("{}{value}{}", &out[..start], &out[end + 1..]);
        }
        Ok(out)
    }

    /// Whether `found` has what `expected` says: objects may have more; null means absent; `~` begins a regular
    /// expression, `>` a number that must be smaller. `at` is where both stand.
    ///
    /// # Errors
    /// The first place where it does not.
    pub fn matches(&self, expected: &Value, found: &Value, at: &str) -> Result<(), String> {
        match expected {
            Value::Object(fields) => fields.iter().try_for_each(|(name, expected)| {
                let at = format!("{at}/{name}");
                match (expected, found.get(name)) {
                    (Value::Null, None | Some(Value::Null)) => Ok(()),
                    (_, None) => Err(format!("{at} is missing")),
                    (_, Some(found)) => self.matches(expected, found, &at),
                }
            }),
            Value::Array(items) => {
                let found = found.as_array().ok_or_else(|| format!("{at} is no list"))?;
                if items.len() != found.len() {
                    let (found, expected) = (found.len(), items.len());
                    return Err(format!("{at} has {found} items, expected {expected}"));
                }
                let pairs = items.iter().zip(found).enumerate();
                pairs
                    .map(|(index, (item, found))| (format!("{at}/{index}"), item, found))
                    .try_for_each(|(at, item, found)| self.matches(item, found, &at))
            }
            Value::String(text) => text_matches(&self.fill(text)?, found, at),
            other if other == found => Ok(()),
            other => Err(format!("{at} is {found}, expected {other}")),
        }
    }
}

/// What metadata has that differs from run to run, or that a case leaves out when it is not about it.
const VOLATILE: [&str; 4] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
];

/// Whether `found`, which has all that is expected, has nothing else.
///
/// # Errors
/// The first field that is not expected.
pub(super) fn nothing_more(expected: &Value, found: &Value, at: &str) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            found.iter().try_for_each(|(name, value)| {
                let at = format!("{at}/{name}");
                match expected.get(name) {
                    Some(expected) => nothing_more(expected, value, &at),
                    None if at.ends_with(&format!("/metadata/{name}"))
                        && VOLATILE.contains(&name.as_str()) =>
                    {
                        Ok(())
                    }
                    None => Err(format!("{at} is not expected: {value}")),
                }
            })
        }
        (Value::Array(expected), Value::Array(found)) => expected
            .iter()
            .zip(found)
            .enumerate()
            .try_for_each(|(index, (expected, found))| {
                nothing_more(expected, found, &format!("{at}/{index}"))
            }),
        _ => Ok(()),
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a regular expression fits a text.
///
/// # Errors
/// What is wrong with the expression.
pub(super) fn fits(pattern: &str, text: &str) -> Result<bool, String> {
    let pattern = regex::Regex::new(pattern).map_err(|error| error.to_string())?;
    Ok(pattern.is_match(text))
}

fn text_matches(expected: &str, found: &Value, at: &str) -> Result<(), String> {
    let text = text_of(found);
    let fits = if let Some(pattern) = expected.strip_prefix('~') {
        fits(pattern, &text)?
    } else if let Some(number) = expected.strip_prefix('>') {
        text.parse::<u64>().ok() > number.parse().ok()
    } else {
        expected == "*" || expected == text
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{at} is {text:?}, expected {expected:?}"))
    }
}
