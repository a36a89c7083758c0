//! What the controller finds out about the application itself.

use wavetank_model::ObjectKey;
use wavetank_sync::AppIdentity;
use wavetank_sync::project::Project;

/// The address under which Argo CD knows its own cluster.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";

/// Message of the condition `SharedResourceWarning`: the first object that another app claims (SYNC-102).
pub(crate) fn shared_warning(shared: &[(ObjectKey, String)], app: &AppIdentity) -> Option<String> {
    let (key, other) = shared.first()?;
    let ObjectKey { kind, name, .. } = key;
    Some(format!(
        "{kind}/{name} is part of applications {} and {other}",
        app.name
    ))
}

/// Message of the condition `InvalidSpecError` when the project does not permit the destination.
pub(crate) fn invalid_destination(app: &AppIdentity, project: &Project) -> Option<String> {
    (!project.permits_namespace(&app.namespace)).then(|| {
        format!(
            "application destination server '{IN_CLUSTER}' and namespace '{}' do not match any of the allowed destinations in project '{}'",
            app.namespace, project.name
        )
    })
}
