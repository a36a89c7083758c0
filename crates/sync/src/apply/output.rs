//! Output and error texts of applies (SYNC-099, SYNC-100).

use crate::engine::{ApplyAsk, ResourceRef};

/// The name of the file that an object is said to come from; clean-up takes most of them away.
const SOURCE: &str = "/dev/shm/1";

/// `deployment.apps/web configured`, with ` (dry run)` where nothing was written.
pub(super) fn done(ask: &ApplyAsk, operation: &str) -> String {
    named(ask, &ask.resource.name, operation)
}

/// As [`done`], of an object whose name is known only now.
pub(super) fn named(ask: &ApplyAsk, name: &str, operation: &str) -> String {
    let kind = ask.resource.gvk.group_kind().to_string().to_lowercase();
    let dry = if ask.dry_run { " (dry run)" } else { "" };
    format!("{kind}/{name} {operation}{dry}")
}

/// Output and warnings, joined as the engine joins stdout and stderr.
pub(super) fn with_warnings(output: String, warnings: &[String]) -> String {
    if warnings.is_empty() {
        output
    } else {
        format!("{output}. {}", warnings.join("\n"))
    }
}

/// kubectl's remark on an object that goes.
pub(super) fn deleting(name: &str) -> String {
    format!("Warning: Detected changes to resource {name} which is currently being deleted.")
}

/// kubectl's remark on objects that were not made by an apply; the blanks stand for its empty command name.
pub(super) fn missing_annotation(plural: &str, name: &str) -> String {
    format!(
        "Warning: resource {plural}/{name} is missing the kubectl.kubernetes.io/last-applied-configuration annotation which is required by  apply.  apply should only be used on resources created declaratively by either  create --save-config or  apply. The missing annotation will be patched automatically."
    )
}

/// kubectl's error for a kind that the server does not serve.
pub(super) fn no_match(ask: &ApplyAsk) -> String {
    no_kind(&ask.resource)
}

/// kubectl's error for a kind that is not served.
pub(super) fn no_kind(resource: &ResourceRef) -> String {
    format!(
        "resource mapping not found for name: \"{}\" namespace: \"{}\" from \"{SOURCE}\": no matches for kind \"{}\" in version \"{}\"\nensure CRDs are installed first",
        resource.name,
        resource.namespace,
        resource.gvk.kind,
        resource.gvk.api_version()
    )
}

/// kubectl's error for a live object that cannot be read.
pub(super) fn cannot_retrieve(ask: &ApplyAsk, plural: &str, error: &str) -> String {
    let gvk = &ask.resource.gvk;
    format!(
        "error when retrieving current configuration of:\nResource: \"{}/{}, Resource={plural}\", GroupVersionKind: \"{gvk}\"\nName: \"{}\", Namespace: \"{}\"\nfrom server for: \"{SOURCE}\": {error}",
        gvk.group, gvk.version, ask.resource.name, ask.resource.namespace
    )
}

/// Cleans an error of kubectl as the engine does (SYNC-100).
pub fn clean_error(text: &str) -> String {
    let mut text = text.trim().to_owned();
    let bare = text.strip_prefix("error: ").unwrap_or(&text);
    for start in ["error validating \"", "error when creating \""] {
        if let Some(rest) = bare.strip_prefix(start)
            && let Some((file, rest)) = rest.split_once("\": ")
            && !file.contains(char::is_whitespace)
        {
            text = rest.to_owned();
            break;
        }
    }
    // `map[…]` dumps, up to the last bracket of the line.
    while let Some(start) = text.find("map[") {
        let line = text[start..]
            .find('\n')
            .map_or(text.len(), |end| start + end);
        let Some(end) = text[start..line].rfind(']') else {
            break;
        };
        text.replace_range(start..=start + end, "");
    }
    if text.starts_with("error when applying patch:")
        && let Some(start) = text.rfind("for: \"")
        && let Some((_, rest)) = text[start + 6..].split_once("\": ")
    {
        text = rest.to_owned();
    }
    text.replace(
        "; if you choose to ignore these errors, turn validation off with --validate=false",
        "",
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// SYNC-100.
    #[rstest]
    #[case(
        "error when creating \"/dev/shm/1\": namespaces \"x\" not found",
        "namespaces \"x\" not found"
    )]
    #[case(
        "error: error validating \"/dev/shm/1\": error validating data: boom; if you choose to ignore these errors, turn validation off with --validate=false",
        "error validating data: boom"
    )]
    #[case(
        "error when applying patch:\n{\"a\":1}\nto:\nx\nfor: \"/dev/shm/1\": no way",
        "no way"
    )]
    #[case(" bad: map[a:b c:[d]] ends ", "bad:  ends")]
    #[case("plain", "plain")]
    fn errors_are_cleaned(#[case] text: &str, #[case] cleaned: &str) {
        assert_eq!(clean_error(text), cleaned);
    }
}
