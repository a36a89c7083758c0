//! Which strategy belongs to which kind.

use wavetank_model::key::GroupKind;

use super::{Strategy, custom_resource};

/// The strategy of `gk`; that of custom resources with a status subresource for kinds that are not built in.
pub(crate) fn strategy(gk: &GroupKind) -> &'static dyn Strategy {
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
        ("", "PersistentVolumeClaim") => &super::persistent_volume::PersistentVolumeClaim,
        ("", "PersistentVolume") => &super::persistent_volume::PersistentVolume,
        ("", "ReplicationController") => &super::replication_controller::ReplicationController,
        ("", "PodTemplate") => &super::replication_controller::PodTemplate,
        ("", "Node") => &super::cluster::Node,
        ("", "Endpoints") => &super::cluster::Endpoints,
        ("", "LimitRange") => &super::cluster::LimitRange,
        ("", "ResourceQuota") => &super::cluster::ResourceQuota,
        ("" | "events.k8s.io", "Event") => &super::cluster::Event,
        ("apps", "Deployment") => &super::deployment::Deployment,
        ("apps", "ReplicaSet") => &super::replica_set::ReplicaSet,
        ("apps", "StatefulSet") => &super::stateful_set::StatefulSet,
        ("apps", "DaemonSet") => &super::daemon_set::DaemonSet,
        ("apps", "ControllerRevision") => &super::replication_controller::ControllerRevision,
        ("batch", "Job") => &super::job::Job,
        ("batch", "CronJob") => &super::cron_job::CronJob,
        ("networking.k8s.io", "Ingress") => &super::ingress::Ingress,
        ("networking.k8s.io", "IngressClass") => &super::ingress::IngressClass,
        ("networking.k8s.io", "NetworkPolicy") => &super::ingress::NetworkPolicy,
        ("policy", "PodDisruptionBudget") => &super::scaling::PodDisruptionBudget,
        ("autoscaling", "HorizontalPodAutoscaler") => &super::scaling::HorizontalPodAutoscaler,
        ("rbac.authorization.k8s.io", "Role") => &super::rbac::Role { namespaced: true },
        ("rbac.authorization.k8s.io", "ClusterRole") => &super::rbac::Role { namespaced: false },
        ("rbac.authorization.k8s.io", "RoleBinding") => {
            &super::rbac::RoleBinding { namespaced: true }
        }
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
            &super::rbac::RoleBinding { namespaced: false }
        }
        ("storage.k8s.io", "StorageClass") => &super::storage::StorageClass,
        ("storage.k8s.io", "CSIDriver") => &super::storage::CsiDriver,
        ("storage.k8s.io", "CSINode") => &super::storage::CsiNode,
        ("storage.k8s.io", "VolumeAttachment") => &super::storage::VolumeAttachment,
        ("scheduling.k8s.io", "PriorityClass") => &super::storage::PriorityClass,
        ("node.k8s.io", "RuntimeClass") => &super::storage::RuntimeClass,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            &super::extension::WebhookConfiguration { mutating: true }
        }
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            &super::extension::WebhookConfiguration { mutating: false }
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            &super::admission_policy::Policy
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            &super::admission_policy::Binding
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            &super::extension::CustomResourceDefinition
        }
        ("apiregistration.k8s.io", "APIService") => &super::extension::ApiService,
        ("coordination.k8s.io", "Lease") => &super::cluster::Lease,
        ("discovery.k8s.io", "EndpointSlice") => &super::cluster::EndpointSlice,
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            &super::cluster::CertificateSigningRequest
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_model::kinds::KINDS;

    #[test]
    fn every_stored_kind_has_a_strategy_of_its_own() {
        // Reviews, bindings and component statuses are answered, not stored.
        let stored = KINDS.iter().filter(|kind| kind.verbs.contains('w'));
        let missing: Vec<&str> = stored
            .filter(|kind| built_in(kind.group, kind.kind).is_none())
            .map(|kind| kind.kind)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_strategy_has_a_status_where_discovery_says_so() {
        for kind in KINDS.iter().filter(|kind| kind.verbs.contains('w')) {
            assert_eq!(
                strategy(&kind.group_kind()).has_status(),
                kind.has_subresource("status"),
                "{}",
                kind.kind
            );
        }
    }
}
