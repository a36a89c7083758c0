//! `NamespaceLifecycle` (API-236, API-073).

use wavetank_model::object::{self, At};
use wavetank_model::status::{Status, StatusCause, StatusDetails};

use super::{Lookup, Operation, Request, core};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) fn admit(request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
    if request.operation == Operation::Delete {
        if request.is("", "Namespace") && IMMORTAL.contains(&request.name) {
            return Err(request.forbidden("this namespace may not be deleted"));
        }
        return Ok(());
    }
    let exempt = request.kind.group == "authorization.k8s.io";
    if request.operation != Operation::Create
        || request.namespace.is_empty()
        || exempt
        || request.is("", "Namespace")
    {
        return Ok(());
    }
    let namespace = request.namespace;
    let Some(stored) = lookup.get(&core("Namespace", "", namespace)) else {
        return Err(Status::new(
            404,
            "NotFound",
            format!("namespaces \"{namespace}\" not found"),
        )
        .with_details(StatusDetails {
            name: namespace.to_owned(),
            kind: "namespaces".to_owned(),
            ..StatusDetails::default()
        }));
    };
    let phase = stored
        .at(&["status", "phase"])
        .and_then(wavetank_json::Value::as_str);
    if object::is_terminating(&stored) || phase == Some("Terminating") {
        let mut status = request.forbidden(&format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        ));
        if let Some(details) = &mut status.details {
            details.causes.push(StatusCause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            });
        }
        return Err(status);
    }
    Ok(())
}
