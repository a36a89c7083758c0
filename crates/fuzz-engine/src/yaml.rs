//! Values as YAML: blocks where a line does not hold them, and text in quotes wherever it could be read as anything else.

use std::fmt::Write as _;

use wavetank_json::Value;

/// The longest line that holds a whole list or mapping.
const WIDTH: usize = 110;

/// Writes a document.
pub(crate) fn write(value: &Value, out: &mut String) {
    block(value, 0, out);
}

/// Writes a value that begins on a line of its own, `indent` spaces deep.
fn block(value: &Value, indent: usize, out: &mut String) {
    let space = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                write!(out, "{space}{}:", text(key)).ok();
                after(value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                write!(out, "{space}-").ok();
                after(item, indent, out);
            }
        }
        _ => {
            writeln!(out, "{space}{}", flow(value)).ok();
        }
    }
}

/// Writes a value behind its key or dash: on the line if there is room.
fn after(value: &Value, indent: usize, out: &mut String) {
    let short = flow(value);
    let is_leaf = !matches!(value, Value::Object(_) | Value::Array(_));
    if is_leaf || short.len() + indent < WIDTH {
        writeln!(out, " {short}").ok();
        return;
    }
    out.push('\n');
    block(value, indent + 2, out);
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", text(key), flow(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(plain) => text(plain),
        other => other.to_string(),
    }
}

/// A scalar that is text in every version of YAML.
fn text(plain: &str) -> String {
    const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_name = plain.starts_with(|first: char| first.is_ascii_alphabetic())
        && !plain.ends_with(' ')
        && plain
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./ *=".contains(c));
    // `on` is a key of the format, which is read as YAML 1.2.
    let is_word = plain != "on" && WORDS.contains(&plain.to_ascii_lowercase().as_str());
    if is_name && !is_word {
        plain.to_owned()
    } else {
        Value::from(plain).to_string()
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    #[test]
    fn text_stays_text() {
        let mut out = String::new();
        let value = json!({"a": "true", "b": 1, "c": "1", "d": {"e": ["x y", "a: b", ""], "f": {}}, "on": "patch X/y"});
        write(&value, &mut out);
        let expected = concat!(
            "a: \"true\"\n",
            "b: 1\n",
            "c: \"1\"\n",
            "d: {e: [x y, \"a: b\", \"\"], f: {}}\n",
            "on: patch X/y\n",
        );
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_long_becomes_a_block() {
        let mut out = String::new();
        let long = "x".repeat(80);
        write(&json!([{"a": {"b": long, "c": long}}]), &mut out);
        assert_eq!(out, format!("-\n  a:\n    b: {long}\n    c: {long}\n"));
    }
}
