//! Requests, taken apart: path, query, headers.

use wavetank_model::Status;

use crate::failure::{self, Problem};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// `/api/v1/…` and `/apis/{group}/{version}/…`.
    Resource(Path<'a>),
    /// Anything else: discovery, OpenAPI, version, health.
    Other(&'a str),
    /// `/watch` below a group version, and nothing behind it.
    Nothing(&'a str),
}

/// A path below a group version, its parts still percent-encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) name: &'a str,
    pub(crate) subresource: &'a str,
    /// Whether there is more behind the subresource.
    pub(crate) too_long: bool,
    /// Whether `/watch` stands before the rest (API-051).
    pub(crate) watched: bool,
}

/// Reads a path (API-048). One slash at its end means nothing there (API-009).
pub(crate) fn target(path: &str) -> Target<'_> {
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    let (group, version) = match parts.next() {
        Some("api") => ("", parts.next()),
        Some("apis") => (parts.next().unwrap_or_default(), parts.next()),
        _ => return Target::Other(path),
    };
    let Some(version) = version.filter(|text| !text.is_empty()) else {
        return Target::Other(path);
    };
    let mut rest: Vec<&str> = parts.collect();
    rest.pop_if(|last| last.is_empty());
    let (watched, rest) = match rest.as_slice() {
        ["watch"] => return Target::Nothing(path),
        ["watch", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = Path {
        group,
        version,
        watched,
        ..Path::default()
    };
    let rest = match rest {
        [] => return Target::Other(path),
        // `/namespaces/{name}/status` and `/finalize` address the Namespace itself.
        ["namespaces", namespace, plural, tail @ ..]
            if !(group.is_empty()
                && tail.is_empty()
                && matches!(*plural, "status" | "finalize")) =>
        {
            found.namespace = namespace;
            found.plural = plural;
            tail
        }
        [plural, tail @ ..] => {
            found.plural = plural;
            tail
        }
    };
    found.name = rest.first().copied().unwrap_or_default();
    found.subresource = rest.get(1).copied().unwrap_or_default();
    found.too_long = rest.len() > 2;
    Target::Resource(found)
}

/// Undoes percent-encoding; `+` stands for a space in queries (API-008).
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let plain = |byte| byte != b'%' && !(plus && byte == b'+');
    if text.bytes().all(plain) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        bytes
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = digit(at + 1)
            .zip(digit(at + 2))
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match (byte, escaped) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            (other, _) => out.push(*other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How unknown and duplicate fields of a body are treated (API-180).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Dropped silently.
    Ignore,
    /// Dropped with a warning.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

/// The query of a request, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the part behind `?`.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(key, true), decode(value, true))
            })
            .collect();
        Self { pairs }
    }

    /// The first value of `key`; `None` when there is none.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of `key`, empty when there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// All values of `key`.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// A flag; anything but the false words of Go's conversion is true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| !matches!(value, "0" | "false" | "False" | "FALSE" | "f" | "F"))
    }

    /// A flag that may be absent.
    pub(crate) fn optional_flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(|_| self.flag(key))
    }

    /// A number; 400 when it is none.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, Status> {
        match self.get(key).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                failure::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                ))
            }),
        }
    }
}

/// Options of a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: FieldValidation,
    pub(crate) force: bool,
}

impl WriteOptions {
    /// Reads them from a query; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions` (API-178, 180).
    pub(crate) fn parse(query: &Query, kind: &str, apply: bool) -> Result<Self, Status> {
        let mut problems = Vec::new();
        let dry_run = dry_run(query.all("dryRun"), &mut problems);
        let manager = query.text("fieldManager").to_owned();
        if manager.len() > 128 {
            problems.push(Problem {
                reason: "FieldValueTooLong",
                field: "fieldManager".to_owned(),
                message: "Too long: may not be more than 128 bytes".to_owned(),
            });
        }
        if let Some((at, letter)) = manager
            .char_indices()
            .find(|(_, letter)| letter.is_control())
        {
            problems.push(Problem::invalid(
                "fieldManager",
                &format!("{manager:?}"),
                &format!(
                    "invalid character U+{:04X} (at position {at})",
                    u32::from(letter)
                ),
            ));
        }
        let force = query.optional_flag("force");
        if kind == "PatchOptions" {
            if apply && manager.is_empty() {
                problems.push(Problem::required(
                    "fieldManager",
                    "is required for apply patch",
                ));
            } else if !apply && force.is_some() {
                problems.push(Problem::forbidden(
                    "force",
                    "may not be specified for non-apply patch",
                ));
            }
        }
        let validation = match query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let value = format!("{other:?}");
                problems.push(Problem::unsupported(
                    "fieldValidation",
                    &value,
                    &["", "Ignore", "Strict", "Warn"],
                ));
                FieldValidation::Warn
            }
        };
        if problems.is_empty() {
            Ok(Self {
                dry_run,
                manager,
                validation,
                force: force.unwrap_or(false),
            })
        } else {
            Err(failure::invalid(
                &format!("{kind}.meta.k8s.io"),
                "",
                problems,
            ))
        }
    }
}

/// Reads `dryRun` values; anything but `All` is a problem.
pub(crate) fn dry_run<'a>(
    values: impl Iterator<Item = &'a str>,
    problems: &mut Vec<Problem>,
) -> bool {
    let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        let shown = serde_json::to_string(&values).unwrap_or_default();
        problems.push(Problem::unsupported("dryRun", &shown, &["All"]));
    }
    !values.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path<'_> {
        match target(text) {
            Target::Resource(path) => path,
            Target::Other(other) | Target::Nothing(other) => {
                panic!("{other} is no resource path")
            }
        }
    }

    #[test]
    fn paths_are_read_as_api_048_says() {
        let pods = path("/api/v1/namespaces/shop/pods/web/status");
        assert_eq!(
            (pods.namespace, pods.plural, pods.name, pods.subresource),
            ("shop", "pods", "web", "status")
        );
        let namespace = path("/api/v1/namespaces/shop/finalize");
        assert_eq!(
            (
                namespace.namespace,
                namespace.plural,
                namespace.name,
                namespace.subresource
            ),
            ("", "namespaces", "shop", "finalize")
        );
        let all = path("/apis/apps/v1/deployments");
        assert_eq!(
            (all.group, all.version, all.plural, all.name),
            ("apps", "v1", "deployments", "")
        );
        assert_eq!(path("/api/v1/namespaces/shop").name, "shop");
        assert_eq!(target("/apis/apps/v1"), Target::Other("/apis/apps/v1"));
        let slash = path("/api/v1/namespaces/shop/");
        assert_eq!((slash.plural, slash.name), ("namespaces", "shop"));
        let watched = path("/api/v1/watch/namespaces/shop/pods/web");
        assert_eq!(
            (watched.watched, watched.namespace, watched.name),
            (true, "shop", "web")
        );
        assert_eq!(target("/api/v1/watch"), Target::Nothing("/api/v1/watch"));
    }

    #[test]
    fn queries_are_decoded_with_percent_and_plus() {
        let query = Query::parse("labelSelector=a%3Db%2Cc+in+(d)&watch&x=%zz");
        assert_eq!(query.text("labelSelector"), "a=b,c in (d)");
        assert!(query.flag("watch"));
        assert_eq!(query.text("x"), "%zz");
    }
}
