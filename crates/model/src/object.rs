//! Reading an object's metadata.

use wavetank_json::Value;

/// Reading below an object.
pub trait At {
    /// The value at `path`, field by field.
    ///
    /// For paths that are known; unlike [`Value::pointer`] it builds no text on the way.
    fn at(&self, path: &[&str]) -> Option<&Value>;
}

impl At for Value {
    #[inline]
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }
}

/// The text at `metadata.<field>`, empty when it is absent.
pub fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    object
        .at(&["metadata", field])
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// `metadata.name`, empty when absent.
pub fn name(object: &Value) -> &str {
    meta_str(object, "name")
}

/// `metadata.namespace`, empty when absent.
pub fn namespace(object: &Value) -> &str {
    meta_str(object, "namespace")
}

/// `metadata.uid`, empty when absent.
pub fn uid(object: &Value) -> &str {
    meta_str(object, "uid")
}

/// `metadata.resourceVersion`, empty when absent.
pub fn resource_version(object: &Value) -> &str {
    meta_str(object, "resourceVersion")
}

/// `metadata.generation`, 0 when absent.
pub fn generation(object: &Value) -> i64 {
    object
        .at(&["metadata", "generation"])
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// The annotation `key`, if there.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.at(&["metadata", "annotations", key])?.as_str()
}

/// The label `key`, if there.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.at(&["metadata", "labels", key])?.as_str()
}

/// Whether `metadata.deletionTimestamp` is set.
pub fn is_terminating(object: &Value) -> bool {
    object
        .at(&["metadata", "deletionTimestamp"])
        .is_some_and(|stamp| !stamp.is_null())
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object
        .at(&["metadata", "finalizers"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    /// `apiVersion` of the owner.
    pub api_version: &'a str,
    /// Kind of the owner.
    pub kind: &'a str,
    /// Name of the owner.
    pub name: &'a str,
    /// Uid of the owner.
    pub uid: &'a str,
    /// Whether the owner is the managing controller.
    pub controller: bool,
    /// Whether the owner's foreground deletion waits for this object.
    pub block_owner_deletion: bool,
}

/// `metadata.ownerReferences`, in order.
pub fn owners(object: &Value) -> impl Iterator<Item = OwnerReference<'_>> {
    object
        .at(&["metadata", "ownerReferences"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|entry| {
            let text = |name| {
                let value = entry.get(name).and_then(Value::as_str);
                value.unwrap_or_default()
            };
            let flag = |name| {
                let value = entry.get(name).and_then(Value::as_bool);
                value.unwrap_or(false)
            };
            OwnerReference {
                api_version: text("apiVersion"),
                kind: text("kind"),
                name: text("name"),
                uid: text("uid"),
                controller: flag("controller"),
                block_owner_deletion: flag("blockOwnerDeletion"),
            }
        })
}

/// The owner whose reference says `controller: true`.
pub fn controller(object: &Value) -> Option<OwnerReference<'_>> {
    owners(object).find(|owner| owner.controller)
}

/// Whether `object` is a Secret of the core group.
pub fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// Replaces every value of a Secret's `data` and `stringData` by `sha256:…`, and so in the copy that client-side apply
/// keeps in an annotation.
pub fn redact_secret(secret: &mut Value) {
    for field in ["data", "stringData"] {
        if let Some(Value::Object(values)) = secret.get_mut(field) {
            for value in values.values_mut() {
                *value = Value::from(hashed(value));
            }
        }
    }
    let last_applied = secret
        .pointer_mut("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
    if let Some(Value::String(text)) = last_applied {
        *text = match serde_json::from_str::<Value>(text) {
            Ok(mut copy) => {
                redact_secret(&mut copy);
                copy.to_string()
            }
            Err(_) => hashed(&Value::from(text.clone())),
        };
    }
}

fn hashed(value: &Value) -> String {
    use sha2::Digest;
    use std::fmt::Write;

    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned);
    if text.starts_with("sha256:") {
        return text;
    }
    sha2::Sha256::digest(text.as_bytes())
        .iter()
        .fold("sha256:".to_owned(), |mut out, byte| {
            // Writing to a String cannot fail.
            let _written = write!(out, "{byte:02x}");
            out
        })
}

/// The condition of that type in `status.conditions`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object
        .at(&["status", "conditions"])?
        .as_array()?
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

/// Whether the condition of that type is `True`.
pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind)
        .is_some_and(|condition| condition.get("status").and_then(Value::as_str) == Some("True"))
}

/// Whether a finite object reached its end, and how: a Job by its condition `Complete` or `Failed`, a Pod and an Argo
/// Workflow by their phase. `None` while it runs, and for kinds without an end.
pub fn outcome(group: &str, kind: &str, object: &Value) -> Option<bool> {
    match (group, kind) {
        ("batch", "Job") => {
            if is_true(object, "Failed") {
                Some(false)
            } else {
                is_true(object, "Complete").then_some(true)
            }
        }
        ("", "Pod") | ("argoproj.io", "Workflow") => {
            match object.at(&["status", "phase"])?.as_str()? {
                "Succeeded" => Some(true),
                "Failed" | "Error" => Some(false),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn secret_values_are_hashed_also_in_the_last_applied_copy() {
        let copy = json!({"kind": "Secret", "apiVersion": "v1", "data": {"a": "eA=="}}).to_string();
        let mut secret = json!({"kind": "Secret", "apiVersion": "v1", "data": {"a": "eA=="}, "metadata": {
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": copy}}});
        redact_secret(&mut secret);
        assert!(!secret.to_string().contains("eA=="), "{secret}");
        assert!(secret["data"]["a"].as_str().unwrap().starts_with("sha256:"));
        let once = secret.clone();
        redact_secret(&mut secret);
        assert_eq!(secret, once, "hashing twice is hashing once");
    }

    #[test]
    fn a_job_ends_by_its_condition() {
        let job =
            |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True"}]}});
        let outcomes = ["SuccessCriteriaMet", "Complete", "Failed"]
            .map(|kind| outcome("batch", "Job", &job(kind)));
        assert_eq!(outcomes, [None, Some(true), Some(false)]);
    }
}
