//! Writing text: what `serde_json` writes, with less ado.

use serde::Serialize;

use crate::Value;

/// `value` as JSON on one line.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    out
}

/// Writes `value` as JSON on one line.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, field)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(out, name);
                out.push(b':');
                write(out, field);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::String(text) => write_text(out, text),
        scalar => write_any(out, scalar),
    }
}

/// Writes `text` as a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    if !is_plain(text.as_bytes()) {
        write_any(out, text);
        return;
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Writes `text` behind a `prefix` of plain letters as one JSON string.
pub fn write_joined(out: &mut Vec<u8>, prefix: &str, text: &str) {
    if !is_plain(text.as_bytes()) {
        write_any(out, &format!("{prefix}{text}"));
        return;
    }
    out.reserve(prefix.len() + text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether JSON writes `text` as it is. Most texts are short, so eight bytes at a time do better than wide registers; the
/// last bytes overlap those before.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let plain = |word: &[u8; 8]| !has_escaped(u64::from_ne_bytes(*word));
    if let Some(last) = text.last_chunk() {
        return text.as_chunks().0.iter().all(plain) && plain(last);
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let halves = [u32::from_ne_bytes(*first), u32::from_ne_bytes(*last)];
        return !has_escaped(u64::from(halves[0]) << 32 | u64::from(halves[1]));
    }
    text.iter()
        .all(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
}

/// Whether one of eight bytes is a control character, a quotation mark or a backslash; a byte after one of those may
/// count as well, which changes nothing.
fn has_escaped(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quoted = zero_in(word ^ (ONES * 0x22)) | zero_in(word ^ (ONES * 0x5c));
    (control | quoted) & (ONES * 0x80) != 0
}

fn write_any<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing a JSON value with string keys to memory cannot fail.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn text_is_as_serde_json_writes_it() {
        let value = json!({"text": "a\"b\\c\nä\u{1}", "list": [1, -2.5, null, true, [], {}], "": {"x": ""}});
        assert_eq!(to_vec(&value), serde_json::to_vec(&value).unwrap());
        for special in (0_u8..0x80).map(char::from).chain(['ß', '語']) {
            for at in 0..17 {
                let text = format!("{}{special}{}", "a".repeat(at), "z".repeat(16 - at));
                let mut written = Vec::new();
                write_text(&mut written, &text);
                assert_eq!(written, serde_json::to_vec(&text).unwrap());
            }
        }
    }

    #[test]
    fn a_prefix_and_a_text_are_one_text() {
        for text in ["spec", "a\"b"] {
            let mut written = Vec::new();
            write_joined(&mut written, "f:", text);
            assert_eq!(written, serde_json::to_vec(&format!("f:{text}")).unwrap());
        }
    }
}
