//! The rules of `metadata` that every kind shares (API-084 to API-097).

use std::collections::BTreeSet;

use wavetank_json::Value;
use wavetank_model::key::split_api_version;

use super::field::{Errors, Path};
use super::json::{entries, flag, int, items, present, restore, set, text};
use super::{Strategy, names};

const ANNOTATION_LIMIT: usize = 256 * 1024;

/// Checks the metadata of a new object; its name is already generated.
pub(crate) fn validate_create(
    object: &Value,
    namespaced: bool,
    strategy: &dyn Strategy,
    errors: &mut Errors,
) {
    let rule = strategy.name_rule();
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let path = Path::new("metadata");
    let generate_name = text(metadata, "generateName");
    if !generate_name.is_empty() {
        errors.invalid_each(
            &path.field("generateName"),
            generate_name,
            rule.check(generate_name, true),
        );
    }
    let name = text(metadata, "name");
    if name.is_empty() {
        errors.required(&path.field("name"), "name or generateName is required");
    } else {
        errors.invalid_each(&path.field("name"), name, rule.check(name, false));
    }
    let namespace = text(metadata, "namespace");
    if namespaced {
        if namespace.is_empty() {
            errors.required(&path.field("namespace"), "");
        } else {
            errors.invalid_each(
                &path.field("namespace"),
                namespace,
                names::dns_label(namespace),
            );
        }
    } else if !namespace.is_empty() {
        errors.forbidden(&path.field("namespace"), "not allowed on this type");
    }
    validate_common(metadata, &path, errors);
    validate_finalizers(
        metadata,
        strategy.standard_finalizers_only(),
        &path.field("finalizers"),
        errors,
    );
}

/// Checks the metadata of a changed object.
pub(crate) fn validate_update(
    new: &Value,
    old: &Value,
    strategy: &dyn Strategy,
    errors: &mut Errors,
) {
    let (metadata, before) = (
        new.get("metadata").unwrap_or(&Value::Null),
        old.get("metadata").unwrap_or(&Value::Null),
    );
    let path = Path::new("metadata");
    if present(before, "deletionTimestamp").is_some() {
        let had: BTreeSet<&str> = items(before, "finalizers")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let extra: BTreeSet<&str> = items(metadata, "finalizers")
            .iter()
            .filter_map(Value::as_str)
            .filter(|finalizer| !had.contains(finalizer))
            .collect();
        if !extra.is_empty() {
            let list: Vec<String> = extra
                .iter()
                .map(|finalizer| super::field::quote(finalizer))
                .collect();
            errors.forbidden(
                &path.field("finalizers"),
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    list.join(", ")
                ),
            );
        }
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        // These are looked at by the kind's own rules and by those of all kinds.
        let times = if matches!(field, "uid" | "deletionTimestamp") {
            2
        } else {
            1
        };
        for _ in 0..times {
            errors.immutable(
                &path.field(field),
                present(metadata, field),
                present(before, field),
            );
        }
    }
    validate_common(metadata, &path, errors);
    if items(metadata, "finalizers") != items(before, "finalizers") {
        validate_finalizers(
            metadata,
            strategy.standard_finalizers_only(),
            &path.field("finalizers"),
            errors,
        );
    }
}

fn validate_common(metadata: &Value, path: &Path<'_>, errors: &mut Errors) {
    errors.not_negative(&path.field("generation"), metadata.get("generation"));
    validate_labels(metadata, "labels", path, errors);
    validate_annotations(metadata, path, errors);
    validate_owners(
        items(metadata, "ownerReferences"),
        &path.field("ownerReferences"),
        errors,
    );
}

/// Checks the map of labels at `key` of `parent`, whose path is `path` (API-094).
pub(crate) fn validate_labels(parent: &Value, key: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.field(key);
    for (label, value) in entries(parent, key) {
        errors.invalid_each(&path, label, names::label_key(label));
        let value = value.as_str().unwrap_or_default();
        errors.invalid_each(&path, value, names::label_value(value));
    }
}

/// Checks the annotations of `metadata` (API-094).
pub(crate) fn validate_annotations(metadata: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.field("annotations");
    let mut size = 0;
    for (key, value) in entries(metadata, "annotations") {
        let lower = if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            key.to_lowercase()
        } else {
            key.clone()
        };
        errors.invalid_each(&path, key, names::label_key(&lower));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATION_LIMIT {
        errors.too_long(&path, ANNOTATION_LIMIT);
    }
}

fn validate_owners(owners: &[Value], path: &Path<'_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in owners {
        // The real server leaves the index out of these paths.
        let api_version = text(owner, "apiVersion");
        if api_version.is_empty() || split_api_version(api_version).1.is_empty() {
            errors.invalid(
                &path.field("apiVersion"),
                api_version,
                "version must not be empty",
            );
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                errors.invalid(&path.field(field), "", "must not be empty");
            }
        }
        if api_version == "v1" && text(owner, "kind") == "Event" {
            errors.invalid(
                path,
                owner.clone(),
                "/v1, Kind=Event is disallowed from being an owner",
            );
        }
        if flag(owner, "controller") {
            let this = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
            if let Some(first) = &controller {
                errors.invalid(
                    path,
                    Value::Array(owners.to_vec()),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                         and {this}"
                    ),
                );
            } else {
                controller = Some(this);
            }
        }
    }
}

fn validate_finalizers(
    metadata: &Value,
    standard_only: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let finalizers = items(metadata, "finalizers");
    for finalizer in finalizers.iter().filter_map(Value::as_str) {
        errors.invalid_each(path, finalizer, names::label_key(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(
            path,
            Value::Array(finalizers.to_vec()),
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
    if standard_only {
        for (index, finalizer) in finalizers.iter().filter_map(Value::as_str).enumerate() {
            if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
                errors.invalid(
                    &path.index(index),
                    finalizer,
                    "name is neither a standard finalizer name nor is it fully qualified",
                );
            }
        }
    }
}

/// Finalizers that need no domain (API-096).
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Puts back what a write cannot change or drop: uid when empty, creation and an existing deletion mark, generation
/// (API-084, API-085, API-097, API-108).
pub(crate) fn restore_system_fields(new: &mut Value, old: &Value) {
    let (Some(metadata), Some(before)) = (new.get_mut("metadata"), old.get("metadata")) else {
        return;
    };
    if text(metadata, "uid").is_empty() {
        restore(metadata, before, "uid");
    }
    restore(metadata, before, "creationTimestamp");
    restore(metadata, before, "generation");
    set(metadata, "selfLink", None);
    if present(before, "deletionTimestamp").is_some() {
        restore(metadata, before, "deletionTimestamp");
    }
    if int(before, "deletionGracePeriodSeconds").is_some() {
        restore(metadata, before, "deletionGracePeriodSeconds");
    }
}

/// Drops repeated owner references; gives the warning that goes with it (API-095).
pub(crate) fn deduplicate_owners(object: &mut Value) -> Vec<String> {
    let Some(owners) = object
        .pointer_mut("/metadata/ownerReferences")
        .and_then(Value::as_array_mut)
    else {
        return Vec::new();
    };
    let mut seen: Vec<Value> = Vec::with_capacity(owners.len());
    let mut repeated: Vec<String> = Vec::new();
    for owner in owners.drain(..) {
        if seen.contains(&owner) {
            repeated.push(text(&owner, "uid").to_owned());
        } else {
            seen.push(owner);
        }
    }
    *owners = seen;
    if repeated.is_empty() {
        return Vec::new();
    }
    vec![format!(
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        repeated.join(", ")
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;
    use wavetank_model::key::GroupKind;

    use crate::kinds::strategy;

    fn problems(metadata: Value) -> String {
        let mut errors = Errors::default();
        validate_create(
            &json!({ "metadata": metadata }),
            true,
            strategy(&GroupKind::new("", "ConfigMap")),
            &mut errors,
        );
        errors
            .into_vec()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_name_is_required() {
        assert_eq!(
            problems(json!({"namespace": "a"})),
            "metadata.name: Required value: name or generateName is required"
        );
    }

    #[test]
    fn owner_references_are_checked() {
        let owner = |name: &str| json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": "u", "controller": true});
        let shown = problems(
            json!({"name": "a", "namespace": "b", "ownerReferences": [{"apiVersion": "v1"}]}),
        );
        assert_eq!(
            shown,
            "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty\n\
             metadata.ownerReferences.name: Invalid value: \"\": must not be empty\n\
             metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"
        );
        let shown = problems(
            json!({"name": "a", "namespace": "b", "ownerReferences": [owner("x"), owner("y")]}),
        );
        assert!(
            shown.ends_with("Found \"true\" in references for K/x and K/y"),
            "{shown}"
        );
    }

    #[test]
    fn a_repeated_owner_is_dropped_with_a_warning() {
        let owner = json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u-1"});
        let mut object = json!({"metadata": {"ownerReferences": [owner, owner]}});
        let warnings = deduplicate_owners(&mut object);
        assert!(warnings[0].ends_with("duplicate UID(s) observed: u-1"));
        assert_eq!(items(&object["metadata"], "ownerReferences").len(), 1);
    }

    #[test]
    fn finalizers_cannot_be_added_to_a_terminating_object() {
        let metadata = |finalizers: Value| json!({"metadata": {"name": "c", "deletionTimestamp": "x", "finalizers": finalizers}});
        let mut errors = Errors::default();
        validate_update(
            &metadata(json!(["x.io/f", "y.io/g"])),
            &metadata(json!(["x.io/f"])),
            strategy(&GroupKind::new("", "ConfigMap")),
            &mut errors,
        );
        assert_eq!(
            errors.into_vec()[0].to_string(),
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
             finalizers []string{\"y.io/g\"}"
        );
    }

    #[test]
    fn dropping_the_creation_time_is_harmless() {
        let old = json!({"metadata": {"name": "c", "uid": "u", "creationTimestamp": "t", "generation": 3}});
        let mut new = json!({"metadata": {"name": "c", "generation": 9}});
        restore_system_fields(&mut new, &old);
        assert_eq!(new, old);
    }
}
