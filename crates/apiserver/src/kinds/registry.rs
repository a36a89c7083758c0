//! Which strategy belongs to which kind.

use wavetank_model::key::GroupKind;

use super::{Strategy, custom_resource};

/// The strategy of `gk`; that of custom resources with a status subresource for kinds that are not built in.
pub fn strategy(gk: &GroupKind) -> &'static dyn Strategy {
    built_in(&gk.group, &gk.kind).unwrap_or_else(|| custom_resource(true))
}

fn built_in(group: &str, kind: &str) -> Option<&'static dyn Strategy> {
    Some(match (group, kind) {
        ("", "Pod") => &super::pod::Pod,
        ("", "Service") => &super::service::Service,
        ("", "Namespace") => &super::namespace::Namespace,
        ("", "ConfigMap") => &super::config_map::ConfigMap,
        ("", "Secret") => &super::secret::Secret,
        ("", "ServiceAccount") => &super::service_account::ServiceAccount,
        ("apps", "Deployment") => &super::deployment::Deployment,
        ("apps", "ReplicaSet") => &super::replica_set::ReplicaSet,
        ("apps", "StatefulSet") => &super::stateful_set::StatefulSet,
        ("apps", "DaemonSet") => &super::daemon_set::DaemonSet,
        ("batch", "Job") => &super::job::Job,
        _ => return None,
    })
}
