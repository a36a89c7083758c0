//! The built-in kinds: what discovery says of them (API-066).

use crate::key::GroupKind;

/// The version of Kubernetes that these are of, without `v`.
pub const VERSION: &str = "1.36.2";

/// One built-in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Served versions, the preferred one (also the one objects are stored in) first.
    pub versions: &'static [&'static str],
    /// Resource name, as in paths.
    pub plural: &'static str,
    /// Singular resource name.
    pub singular: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Verbs by letter: create, get, list, watch, update, patch, delete, D for deletecollection.
    pub verbs: &'static str,
    /// Short names.
    pub short_names: &'static [&'static str],
    /// Categories, as `all`.
    pub categories: &'static [&'static str],
    /// Subresources with their verbs.
    pub subresources: &'static [(&'static str, &'static str)],
}

impl Kind {
    /// Group and kind.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.group, self.kind)
    }

    /// `apps/v1`, `v1`: the preferred version.
    pub fn api_version(&self) -> String {
        let version = self.versions[0];
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }

    /// Whether the kind has the subresource `name`.
    pub fn has_subresource(&self, name: &str) -> bool {
        self.subresources
            .iter()
            .any(|(subresource, _)| *subresource == name)
    }
}

/// The built-in kind `kind` of `group`.
pub fn find(group: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|entry| entry.kind == kind && entry.group == group)
}

/// Whether the kind is that of definitions of kinds, `CustomResourceDefinition`.
pub fn is_definition(group: &str, kind: &str) -> bool {
    group == "apiextensions.k8s.io" && kind == "CustomResourceDefinition"
}

/// Whether `kind` of `group` is built in.
pub fn is_builtin(group: &str, kind: &str) -> bool {
    find(group, kind).is_some()
}

/// The built-in kinds of that name in any group, in the order of discovery: `Event` has two.
pub fn by_kind(kind: &str) -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(move |entry| entry.kind == kind)
}

/// The built-in kind with the resource name `plural` in `group`.
pub fn by_plural(group: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|entry| entry.plural == plural && entry.group == group)
}

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
const fn kind(
    group: &'static str,
    versions: &'static [&'static str],
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
    verbs: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: &'static [(&'static str, &'static str)],
) -> Kind {
    Kind {
        group,
        versions,
        plural,
        singular,
        kind,
        namespaced,
        verbs,
        short_names,
        categories,
        subresources,
    }
}

/// All built-in kinds, groups in the order of a real server's discovery (API-026), resources by name.
#[rustfmt::skip]
pub const KINDS: &[Kind] = &[
    kind("", &["v1"], "bindings", "binding", "Binding", true, "c", &[], &[], &[]),
    kind("", &["v1"], "componentstatuses", "componentstatus", "ComponentStatus", false, "gl", &["cs"], &[], &[]),
    kind("", &["v1"], "configmaps", "configmap", "ConfigMap", true, "cdDglpuw", &["cm"], &[], &[]),
    kind("", &["v1"], "endpoints", "endpoints", "Endpoints", true, "cdDglpuw", &["ep"], &[], &[]),
    kind("", &["v1"], "events", "event", "Event", true, "cdDglpuw", &["ev"], &[], &[]),
    kind("", &["v1"], "limitranges", "limitrange", "LimitRange", true, "cdDglpuw", &["limits"], &[], &[]),
    kind("", &["v1"], "namespaces", "namespace", "Namespace", false, "cdglpuw", &["ns"], &[], &[("finalize", "u"), ("status", "gpu")]),
    kind("", &["v1"], "nodes", "node", "Node", false, "cdDglpuw", &["no"], &[], &[("status", "gpu")]),
    kind("", &["v1"], "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", true, "cdDglpuw", &["pvc"], &[], &[("status", "gpu")]),
    kind("", &["v1"], "persistentvolumes", "persistentvolume", "PersistentVolume", false, "cdDglpuw", &["pv"], &[], &[("status", "gpu")]),
    kind("", &["v1"], "pods", "pod", "Pod", true, "cdDglpuw", &["po"], &["all"], &[("status", "gpu"), ("log", "g"), ("eviction", "c"), ("binding", "c"), ("ephemeralcontainers", "gpu"), ("resize", "gpu")]),
    kind("", &["v1"], "podtemplates", "podtemplate", "PodTemplate", true, "cdDglpuw", &[], &[], &[]),
    kind("", &["v1"], "replicationcontrollers", "replicationcontroller", "ReplicationController", true, "cdDglpuw", &["rc"], &["all"], &[("status", "gpu"), ("scale", "gpu")]),
    kind("", &["v1"], "resourcequotas", "resourcequota", "ResourceQuota", true, "cdDglpuw", &["quota"], &[], &[("status", "gpu")]),
    kind("", &["v1"], "secrets", "secret", "Secret", true, "cdDglpuw", &[], &[], &[]),
    kind("", &["v1"], "serviceaccounts", "serviceaccount", "ServiceAccount", true, "cdDglpuw", &["sa"], &[], &[("token", "c")]),
    kind("", &["v1"], "services", "service", "Service", true, "cdDglpuw", &["svc"], &["all"], &[("status", "gpu")]),
    kind("apps", &["v1"], "controllerrevisions", "controllerrevision", "ControllerRevision", true, "cdDglpuw", &[], &[], &[]),
    kind("apps", &["v1"], "daemonsets", "daemonset", "DaemonSet", true, "cdDglpuw", &["ds"], &["all"], &[("status", "gpu")]),
    kind("apps", &["v1"], "deployments", "deployment", "Deployment", true, "cdDglpuw", &["deploy"], &["all"], &[("status", "gpu"), ("scale", "gpu")]),
    kind("apps", &["v1"], "replicasets", "replicaset", "ReplicaSet", true, "cdDglpuw", &["rs"], &["all"], &[("status", "gpu"), ("scale", "gpu")]),
    kind("apps", &["v1"], "statefulsets", "statefulset", "StatefulSet", true, "cdDglpuw", &["sts"], &["all"], &[("status", "gpu"), ("scale", "gpu")]),
    kind("events.k8s.io", &["v1"], "events", "event", "Event", true, "cdDglpuw", &["ev"], &[], &[]),
    kind("authentication.k8s.io", &["v1"], "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", false, "c", &[], &[], &[]),
    kind("authentication.k8s.io", &["v1"], "tokenreviews", "tokenreview", "TokenReview", false, "c", &[], &[], &[]),
    kind("authorization.k8s.io", &["v1"], "localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview", true, "c", &[], &[], &[]),
    kind("authorization.k8s.io", &["v1"], "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview", false, "c", &[], &[], &[]),
    kind("authorization.k8s.io", &["v1"], "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview", false, "c", &[], &[], &[]),
    kind("authorization.k8s.io", &["v1"], "subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview", false, "c", &[], &[], &[]),
    kind("autoscaling", &["v2", "v1"], "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", true, "cdDglpuw", &["hpa"], &["all"], &[("status", "gpu")]),
    kind("batch", &["v1"], "cronjobs", "cronjob", "CronJob", true, "cdDglpuw", &["cj"], &["all"], &[("status", "gpu")]),
    kind("batch", &["v1"], "jobs", "job", "Job", true, "cdDglpuw", &[], &["all"], &[("status", "gpu")]),
    kind("certificates.k8s.io", &["v1"], "certificatesigningrequests", "certificatesigningrequest", "CertificateSigningRequest", false, "cdDglpuw", &["csr"], &[], &[("status", "gpu"), ("approval", "gpu")]),
    kind("networking.k8s.io", &["v1"], "ingressclasses", "ingressclass", "IngressClass", false, "cdDglpuw", &[], &[], &[]),
    kind("networking.k8s.io", &["v1"], "ingresses", "ingress", "Ingress", true, "cdDglpuw", &["ing"], &[], &[("status", "gpu")]),
    kind("networking.k8s.io", &["v1"], "networkpolicies", "networkpolicy", "NetworkPolicy", true, "cdDglpuw", &["netpol"], &[], &[]),
    kind("policy", &["v1"], "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true, "cdDglpuw", &["pdb"], &[], &[("status", "gpu")]),
    kind("rbac.authorization.k8s.io", &["v1"], "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", false, "cdDglpuw", &[], &[], &[]),
    kind("rbac.authorization.k8s.io", &["v1"], "clusterroles", "clusterrole", "ClusterRole", false, "cdDglpuw", &[], &[], &[]),
    kind("rbac.authorization.k8s.io", &["v1"], "rolebindings", "rolebinding", "RoleBinding", true, "cdDglpuw", &[], &[], &[]),
    kind("rbac.authorization.k8s.io", &["v1"], "roles", "role", "Role", true, "cdDglpuw", &[], &[], &[]),
    kind("storage.k8s.io", &["v1"], "csidrivers", "csidriver", "CSIDriver", false, "cdDglpuw", &[], &[], &[]),
    kind("storage.k8s.io", &["v1"], "csinodes", "csinode", "CSINode", false, "cdDglpuw", &[], &[], &[]),
    kind("storage.k8s.io", &["v1"], "storageclasses", "storageclass", "StorageClass", false, "cdDglpuw", &["sc"], &[], &[]),
    kind("storage.k8s.io", &["v1"], "volumeattachments", "volumeattachment", "VolumeAttachment", false, "cdDglpuw", &[], &[], &[("status", "gpu")]),
    kind("admissionregistration.k8s.io", &["v1"], "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "MutatingWebhookConfiguration", false, "cdDglpuw", &[], &["api-extensions"], &[]),
    kind("admissionregistration.k8s.io", &["v1"], "validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy", false, "cdDglpuw", &[], &["api-extensions"], &[("status", "gpu")]),
    kind("admissionregistration.k8s.io", &["v1"], "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", "ValidatingAdmissionPolicyBinding", false, "cdDglpuw", &[], &["api-extensions"], &[]),
    kind("admissionregistration.k8s.io", &["v1"], "validatingwebhookconfigurations", "validatingwebhookconfiguration", "ValidatingWebhookConfiguration", false, "cdDglpuw", &[], &["api-extensions"], &[]),
    kind("apiextensions.k8s.io", &["v1"], "customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition", false, "cdDglpuw", &["crd", "crds"], &["api-extensions"], &[("status", "gpu")]),
    kind("apiregistration.k8s.io", &["v1"], "apiservices", "apiservice", "APIService", false, "cdDglpuw", &[], &["api-extensions"], &[("status", "gpu")]),
    kind("scheduling.k8s.io", &["v1"], "priorityclasses", "priorityclass", "PriorityClass", false, "cdDglpuw", &["pc"], &[], &[]),
    kind("coordination.k8s.io", &["v1"], "leases", "lease", "Lease", true, "cdDglpuw", &[], &[], &[]),
    kind("node.k8s.io", &["v1"], "runtimeclasses", "runtimeclass", "RuntimeClass", false, "cdDglpuw", &[], &[], &[]),
    kind("discovery.k8s.io", &["v1"], "endpointslices", "endpointslice", "EndpointSlice", true, "cdDglpuw", &[], &[], &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_kind_and_by_resource() {
        assert_eq!(find("apps", "Deployment"), by_plural("apps", "deployments"));
        assert_eq!(find("", "Deployment"), None);
        assert_eq!(by_kind("Event").count(), 2);
    }
}
