//! Environment variables of containers, and references to fields and resources of the Pod (API-275).

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{present, text};
use crate::kinds::names;

const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

pub(super) fn validate_env(variables: &[Value], list: &Path<'_>, errors: &mut Errors) {
    for (index, variable) in variables.iter().enumerate() {
        let path = list.index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.required(&path.field("name"), "");
        } else {
            errors.invalid_each(&path.field("name"), name, names::env_name(name));
        }
        if let Some(source) = present(variable, "valueFrom") {
            validate_env_source(
                source,
                !text(variable, "value").is_empty(),
                &path.field("valueFrom"),
                errors,
            );
        }
    }
}

fn validate_env_source(source: &Value, has_value: bool, path: &Path<'_>, errors: &mut Errors) {
    let mut sources = 0;
    if let Some(field) = present(source, "fieldRef") {
        sources += 1;
        validate_field_ref(field, &ENV_FIELDS, &path.field("fieldRef"), errors);
    }
    if let Some(resource) = present(source, "resourceFieldRef") {
        sources += 1;
        validate_resource_ref(resource, false, &path.field("resourceFieldRef"), errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = present(source, kind) {
            sources += 1;
            let path = path.field(kind);
            let name = text(reference, "name");
            errors.invalid_each(&path.field("name"), name, names::dns_subdomain(name));
            let key = text(reference, "key");
            if key.is_empty() {
                errors.required(&path.field("key"), "");
            } else {
                errors.invalid_each(&path.field("key"), key, names::config_key(key));
            }
        }
    }
    if present(source, "fileKeyRef").is_some() {
        sources += 1;
    }
    if sources == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if has_value {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        errors.invalid(
            path,
            "",
            "may not have more than one field specified at a time",
        );
    }
}

/// Fields that exist but are not for everyone.
const OTHER_FIELDS: [&str; 3] = [
    "metadata.labels",
    "metadata.annotations",
    "spec.restartPolicy",
];

/// Checks a reference to a field of the Pod; `metadata.labels['x']` and annotations go everywhere.
pub(super) fn validate_field_ref(
    field: &Value,
    allowed: &[&str],
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let field_path = text(field, "fieldPath");
    if field_path.is_empty() {
        errors.required(&path.field("fieldPath"), "");
        return;
    }
    if let Some((base, subscript)) = field_path
        .strip_suffix("']")
        .and_then(|rest| rest.split_once("['"))
        .filter(|(base, _)| base.contains('.'))
    {
        match base {
            "metadata.annotations" => {
                errors.invalid_each(path, subscript, names::label_key(&subscript.to_lowercase()));
            }
            "metadata.labels" => errors.invalid_each(path, subscript, names::label_key(subscript)),
            _ => errors.invalid(
                &path.field("fieldPath"),
                field_path,
                format!(
                    "error converting fieldPath: field label does not support subscript: {base}"
                ),
            ),
        }
        return;
    }
    if allowed.contains(&field_path) {
        return;
    }
    if OTHER_FIELDS.contains(&field_path) || ENV_FIELDS.contains(&field_path) {
        errors.not_supported(&path.field("fieldPath"), field_path, allowed);
    } else {
        errors.invalid(
            &path.field("fieldPath"),
            field_path,
            format!("error converting fieldPath: field label not supported: {field_path}"),
        );
    }
}

/// Checks a reference to a resource of a container.
pub(super) fn validate_resource_ref(
    resource: &Value,
    in_volume: bool,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    const ALLOWED: [&str; 6] = [
        "limits.cpu",
        "limits.ephemeral-storage",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ];
    let name = text(resource, "resource");
    if in_volume && text(resource, "containerName").is_empty() {
        errors.required(&path.field("containerName"), "");
    } else if name.is_empty() {
        errors.required(&path.field("resource"), "");
    } else if !ALLOWED.contains(&name)
        && !name.starts_with("limits.hugepages-")
        && !name.starts_with("requests.hugepages-")
    {
        errors.not_supported(&path.field("resource"), name, &ALLOWED);
    }
}

pub(super) fn validate_env_from(sources: &[Value], list: &Path<'_>, errors: &mut Errors) {
    for (index, source) in sources.iter().enumerate() {
        let path = list.index(index);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            errors.invalid_each(&path.field("prefix"), prefix, names::env_name(prefix));
        }
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            if let Some(reference) = present(source, kind) {
                count += 1;
                let path = path.field(kind);
                let name = text(reference, "name");
                if name.is_empty() {
                    errors.required(&path.field("name"), "");
                } else {
                    errors.invalid_each(
                        &path.field("name"),
                        name,
                        names::NameRule::Subdomain.check(name, true),
                    );
                }
            }
        }
        match count {
            0 => errors.invalid(
                list,
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            ),
            1 => {}
            _ => errors.invalid(
                list,
                "",
                "may not have more than one field specified at a time",
            ),
        }
    }
}
