//! The error catalogue (API-073): one function per failure, with the exact message of a real server.

use wavetank_model::Status;
use wavetank_model::status::{StatusCause, StatusDetails};

use crate::registry::Resource;

fn details(resource: &Resource, name: &str) -> StatusDetails {
    StatusDetails {
        name: name.to_owned(),
        group: resource.group.clone(),
        kind: resource.plural.clone(),
        ..StatusDetails::default()
    }
}

/// 400 with a free text.
pub(crate) fn bad_request(message: impl Into<String>) -> Status {
    Status::new(400, "BadRequest", message)
}

/// 404 of an object.
pub(crate) fn not_found(resource: &Resource, name: &str) -> Status {
    Status::new(
        404,
        "NotFound",
        format!("{} \"{name}\" not found", resource.group_resource()),
    )
    .with_details(details(resource, name))
}

/// 404 of a route in a group version that is built in (API-055 b).
pub(crate) fn no_route() -> Status {
    Status::new(
        404,
        "NotFound",
        "the server could not find the requested resource",
    )
    .with_details(StatusDetails::default())
}

/// 405 of a route.
pub(crate) fn method_not_allowed() -> Status {
    Status::new(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
    .with_details(StatusDetails::default())
}

/// 405 of a custom resource.
pub(crate) fn verb_not_supported(resource: &Resource, verb: &str) -> Status {
    let text = format!(
        "{verb} is not supported on resources of kind \"{}\"",
        resource.group_resource()
    );
    Status::new(405, "MethodNotAllowed", text).with_details(details(resource, ""))
}

/// 409 of a create; `terminating` when the object that is there is being deleted.
pub(crate) fn already_exists(resource: &Resource, name: &str, terminating: bool) -> Status {
    let prefix = if terminating {
        "object is being deleted: "
    } else {
        ""
    };
    Status::new(
        409,
        "AlreadyExists",
        format!(
            "{prefix}{} \"{name}\" already exists",
            resource.group_resource()
        ),
    )
    .with_details(details(resource, name))
}

/// 409 when a generated name was taken each time.
pub(crate) fn no_unique_name(resource: &Resource, name: &str) -> Status {
    let message = format!(
        "{} \"{name}\" already exists, the server was not able to generate a unique name for the object",
        resource.group_resource()
    );
    let details = StatusDetails {
        retry_after_seconds: 1,
        ..details(resource, name)
    };
    Status::new(409, "AlreadyExists", message).with_details(details)
}

/// 409 of an update with the given reason.
pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Status {
    Status::new(
        409,
        "Conflict",
        format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            resource.group_resource()
        ),
    )
    .with_details(details(resource, name))
}

/// 409 of a stale resourceVersion.
pub(crate) fn modified(resource: &Resource, name: &str) -> Status {
    conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

/// 400 of a write whose object has no name.
pub(crate) fn name_undeterminable(name: &str) -> Status {
    bad_request(format!(
        "the name of the object ({name} based on URL) was undeterminable: name must be provided"
    ))
}

/// 409 of an update whose uid is another one.
pub(crate) fn uid_differs(
    resource: &Resource,
    key: &str,
    name: &str,
    wanted: &str,
    stored: &str,
) -> Status {
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {stored}",
        resource.plural
    );
    conflict(resource, name, &why)
}

/// 409 of a delete whose precondition does not hold; the Kind stands where the resource usually does.
pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Status {
    let kind = resource.group_kind.to_string();
    Status::new(
        409,
        "Conflict",
        format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}"),
    )
    .with_details(StatusDetails {
        name: name.to_owned(),
        group: resource.group.clone(),
        kind: resource.group_kind.kind.clone(),
        ..StatusDetails::default()
    })
}

/// 403 of admission.
pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Status {
    let name = if name.is_empty() { "Unknown" } else { name };
    forbidden_to(&resource.group, &resource.plural, name, why)
}

/// 403 of something that need not be there, of all of them where the name is empty.
pub(crate) fn forbidden_to(group: &str, plural: &str, name: &str, why: &str) -> Status {
    let mut what = plural.to_owned();
    if !group.is_empty() {
        what = format!("{what}.{group}");
    }
    if !name.is_empty() {
        what = format!("{what} {name:?}");
    }
    let message = format!("{what} is forbidden: {why}");
    Status::new(403, "Forbidden", message).with_details(StatusDetails {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: plural.to_owned(),
        ..StatusDetails::default()
    })
}

/// One field error as (cause reason, field, message without the field).
pub(crate) struct Problem {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Problem {
    /// `Forbidden: detail`.
    pub(crate) fn forbidden(field: &str, detail: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.to_owned(),
            message: format!("Forbidden: {detail}"),
        }
    }

    /// `Invalid value: value: detail`; `value` is printed as it is.
    pub(crate) fn invalid(field: &str, value: &str, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.to_owned(),
            message: format!("Invalid value: {value}: {detail}"),
        }
    }

    /// `Required value: detail`.
    pub(crate) fn required(field: &str, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.to_owned(),
            message,
        }
    }

    /// `Unsupported value: value: supported values: …`.
    pub(crate) fn unsupported(field: &str, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|text| format!("{text:?}")).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            supported.join(", ")
        );
        Self {
            reason: "FieldValueNotSupported",
            field: field.to_owned(),
            message,
        }
    }
}

/// 422 of something called `kind` (as `Deployment.apps`, `ListOptions.meta.k8s.io`), API-074 to 077.
pub(crate) fn invalid(kind: &str, name: &str, problems: Vec<Problem>) -> Status {
    let texts: Vec<String> = problems
        .iter()
        .map(|one| format!("{}: {}", one.field, one.message))
        .collect();
    let all = if let [one] = texts.as_slice() {
        one.clone()
    } else {
        format!("[{}]", texts.join(", "))
    };
    let (plain, group) = kind.split_once('.').unwrap_or((kind, ""));
    Status::new(
        422,
        "Invalid",
        format!("{kind} \"{name}\" is invalid: {all}"),
    )
    .with_details(StatusDetails {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: plain.to_owned(),
        causes: problems
            .into_iter()
            .map(|one| StatusCause {
                reason: one.reason.to_owned(),
                message: one.message,
                field: one.field,
            })
            .collect(),
        ..StatusDetails::default()
    })
}

/// 422 of a JSON patch that cannot be applied.
pub(crate) fn inapplicable_patch() -> Status {
    Status::new(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
    .with_details(StatusDetails::default())
}

/// 415 with the accepted media types.
pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Status {
    Status::new(
        415,
        "UnsupportedMediaType",
        format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        ),
    )
}

/// 406.
pub(crate) fn not_acceptable(accepted: &str) -> Status {
    Status::new(
        406,
        "NotAcceptable",
        format!("only the following media types are accepted: {accepted}"),
    )
}

/// 413.
pub(crate) fn too_large() -> Status {
    Status::new(
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    )
}

/// 410 of a list.
pub(crate) fn expired_list() -> Status {
    Status::new(
        410,
        "Expired",
        "The resourceVersion for the provided list is too old.",
    )
}

/// 504 of a resourceVersion that is still to come.
pub(crate) fn future_revision(wanted: u64, current: u64) -> Status {
    Status::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {wanted}, current: {current}"),
    )
    .with_details(StatusDetails {
        causes: vec![StatusCause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        }],
        retry_after_seconds: 1,
        ..StatusDetails::default()
    })
}

/// 501 of what this server does not do.
pub(crate) fn not_implemented(why: &str) -> Status {
    Status::new(501, "NotImplemented", why)
}

/// 500 with a text.
pub(crate) fn internal(why: &str) -> Status {
    Status::new(
        500,
        "InternalError",
        format!("Internal error occurred: {why}"),
    )
    .with_details(StatusDetails {
        causes: vec![StatusCause {
            message: why.to_owned(),
            ..StatusCause::default()
        }],
        ..StatusDetails::default()
    })
}

/// What is said of a kind that nobody knows in a version.
pub(crate) fn unregistered(kind: &str, api_version: &str) -> String {
    format!(
        "no kind {kind:?} is registered for version {api_version:?} in scheme \"pkg/runtime/scheme.go:111\""
    )
}
