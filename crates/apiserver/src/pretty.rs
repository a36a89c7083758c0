//! Indented JSON, for those who read it themselves (API-004).

use bytes::Bytes;
use http::Request;
use http::header::USER_AGENT;
use wavetank_model::boolean;

use crate::asked::header;
use crate::request::Query;

/// Programs with which people look at answers.
const READERS: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

/// Paths that are written as documents, whoever asks.
const ALWAYS: [&str; 4] = ["", "/", "/version", "/version/"];

/// Whether the answer to a request is to be indented, if it is JSON.
pub(crate) fn is_asked(request: &Request<Bytes>) -> bool {
    let path = request.uri().path();
    if ALWAYS.contains(&path) {
        return true;
    }
    if path.starts_with("/openapi/") {
        return false;
    }
    let query = request.uri().query().unwrap_or_default();
    if query.contains("pretty") {
        let query = Query::parse(query);
        let said = query.text("pretty");
        if !said.is_empty() {
            return boolean::parse(said) == Some(true);
        }
    }
    let agent = header(request, &USER_AGENT);
    READERS.iter().any(|reader| agent.starts_with(reader))
}

/// The same JSON with a line for each member and item, two spaces a level, and no end of line behind it.
pub(crate) fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut level, mut quoted, mut escaped) = (0_usize, false, false);
    let new_line = |out: &mut Vec<u8>, level: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * level, b' ');
    };
    let mut bytes = json.trim_ascii().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if quoted {
            quoted = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            out.push(byte);
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                let closes = |next: &u8| matches!(next, b'}' | b']');
                if let Some(end) = bytes.next_if(closes) {
                    out.push(end);
                } else {
                    level += 1;
                    new_line(&mut out, level);
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                new_line(&mut out, level);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, level);
            }
            b':' => out.extend(b": "),
            _ => {
                quoted = byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_items_get_lines_of_their_own() {
        let json = br#"{"a":{},"b":[],"c":[1,"x,\"{:\\"],"d":{"e":null}}"#;
        let shown = String::from_utf8(indented(json)).unwrap();
        insta::assert_snapshot!(shown, @r#"
        {
          "a": {},
          "b": [],
          "c": [
            1,
            "x,\"{:\\"
          ],
          "d": {
            "e": null
          }
        }
        "#);
    }

    #[test]
    fn readers_and_who_says_so_get_indented_json() {
        let asked = |uri: &str, agent: &str| {
            let request = Request::get(uri).header(USER_AGENT, agent);
            is_asked(&request.body(Bytes::new()).unwrap())
        };
        for (uri, agent, wanted) in [
            ("/api", "curl/8.5", true),
            ("/api", "kubectl/v1.36", false),
            ("/api?pretty=1", "kubectl/v1.36", true),
            ("/api?pretty=false", "curl/8.5", false),
            ("/api?pretty=nope", "curl/8.5", false),
            ("/api?pretty", "Wget/1", true),
            ("/api", "Mozilla/4.0", false),
            ("/version", "", true),
            ("/openapi/v2", "curl/8.5", false),
        ] {
            assert_eq!(asked(uri, agent), wanted, "{uri} {agent}");
        }
    }
}
