//! What built-in kinds fill in: the defaults that a server gives an object as it decodes it (section 20).
//!
//! Functions on a decoded object, one per kind, in a file per family; they need nothing but the object, and filling twice is
//! filling once. Whatever is allocated, generated or kept from the stored object is left to the server, and so are the empty
//! fields that a type always has (`schema::complete`). Custom resources have the defaults of their schemas, none of these.
//!
//! A few parts are public for themselves, for a server does them again where no defaults are filled: after it dropped the
//! status of a new object, for instance.

use wavetank_json::Value;

use crate::fields::ensure;

pub mod cluster;
pub mod extension;
pub mod job;
pub mod networking;
mod pod;
mod resources;
pub mod scaling;
mod storage;
pub mod workload;

/// What a server fills into the objects of one kind as it decodes them.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    whole: Fill,
    /// For a kind that tells those of the status apart.
    status: Option<fn(&mut Value)>,
    /// What conversion to the stored form adds.
    converted: Option<fn(&mut Value)>,
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    Nothing,
    /// The same in every version of the kind.
    Same(fn(&mut Value)),
    /// What the version has; it is named without its group.
    ByVersion(fn(&str, &mut Value)),
}

impl Defaults {
    /// Those that fill nothing.
    pub const NONE: Self = Self {
        whole: Fill::Nothing,
        status: None,
        converted: None,
    };

    const fn new(fill: fn(&mut Value)) -> Self {
        Self {
            whole: Fill::Same(fill),
            status: None,
            converted: None,
        }
    }

    const fn with_status(fill: fn(&mut Value), status: fn(&mut Value)) -> Self {
        Self {
            whole: Fill::Same(fill),
            status: Some(status),
            converted: None,
        }
    }

    /// Fills in what is absent from `object`, which was decoded as of `version` (`v1`, without the group). Idempotent.
    pub fn fill(self, version: &str, object: &mut Value) {
        self.fill_typed(version, object);
        if let Some(convert) = self.converted {
            convert(object);
        }
    }

    /// Fills in what the kind's type says, as programs do that have the server's types and not its store: all that
    /// [`Self::fill`] does but for what conversion to the stored form adds (the kind of claims in a `StatefulSet`).
    pub fn fill_typed(self, version: &str, object: &mut Value) {
        match self.whole {
            Fill::Nothing => {}
            Fill::Same(fill) => fill(object),
            Fill::ByVersion(fill) => fill(version, object),
        }
    }

    /// Fills the defaults of `status` in an object of which nothing else is at hand. For a kind that does not tell them
    /// apart it does what [`Self::fill`] does; what is outside the status is then not to be kept.
    pub fn fill_status(self, version: &str, object: &mut Value) {
        match self.status {
            Some(fill) => fill(object),
            None => self.fill(version, object),
        }
    }
}

/// The defaults of the built-in kind `kind` of `group`; [`Defaults::NONE`] for one that has none or is not built in.
pub fn of(group: &str, kind: &str) -> Defaults {
    match group {
        "" => of_core(kind),
        "apps" => of_apps(kind),
        _ => of_others(group, kind),
    }
}

fn of_core(kind: &str) -> Defaults {
    Defaults::new(match kind {
        "Pod" => return Defaults::with_status(pod::pod, empty_status),
        "Endpoints" => networking::endpoints,
        "Event" => cluster::event,
        "LimitRange" => cluster::limit_range,
        "Namespace" => cluster::namespace,
        "Node" => cluster::node,
        "PersistentVolume" => storage::persistent_volume,
        "PersistentVolumeClaim" => storage::persistent_volume_claim,
        "PodTemplate" => pod::pod_template,
        "ReplicationController" => workload::replication_controller,
        "ResourceQuota" => cluster::resource_quota,
        "Secret" => cluster::secret,
        "Service" => networking::service,
        _ => return Defaults::NONE,
    })
}

fn of_apps(kind: &str) -> Defaults {
    match kind {
        "ControllerRevision" => Defaults::new(workload::controller_revision),
        "DaemonSet" => Defaults::with_status(workload::daemon_set, workload::daemon_set_status),
        "Deployment" => Defaults::with_status(workload::deployment, empty_status),
        "ReplicaSet" => Defaults::with_status(workload::replica_set, workload::replicas_status),
        "StatefulSet" => Defaults {
            converted: Some(workload::claims_as_stored),
            ..Defaults::with_status(workload::stateful_set, workload::stateful_set_status)
        },
        _ => Defaults::NONE,
    }
}

fn of_others(group: &str, kind: &str) -> Defaults {
    Defaults::new(match (group, kind) {
        ("batch", "Job") => return Defaults::with_status(job::job, empty_status),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            return Defaults {
                whole: Fill::ByVersion(scaling::horizontal_pod_autoscaler),
                ..Defaults::NONE
            };
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            extension::mutating_webhooks
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            extension::admission_policy
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            extension::admission_policy_binding
        }
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => extension::webhooks,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            extension::custom_resource_definition
        }
        ("apiregistration.k8s.io", "APIService") => extension::api_service,
        ("batch", "CronJob") => job::cron_job,
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            cluster::certificate_signing_request
        }
        ("coordination.k8s.io", "Lease") => cluster::lease,
        ("discovery.k8s.io", "EndpointSlice") => networking::endpoint_slice,
        ("events.k8s.io", "Event") => cluster::event,
        ("networking.k8s.io", "Ingress") => networking::ingress,
        ("networking.k8s.io", "IngressClass") => networking::ingress_class,
        ("networking.k8s.io", "NetworkPolicy") => networking::network_policy,
        ("node.k8s.io", "RuntimeClass") => cluster::runtime_class,
        ("policy", "PodDisruptionBudget") => scaling::pod_disruption_budget,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => cluster::role,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => {
            cluster::role_binding
        }
        ("scheduling.k8s.io", "PriorityClass") => cluster::priority_class,
        ("storage.k8s.io", "CSIDriver") => storage::csi_driver,
        ("storage.k8s.io", "CSINode") => storage::csi_node,
        ("storage.k8s.io", "StorageClass") => storage::storage_class,
        ("storage.k8s.io", "VolumeAttachment") => storage::volume_attachment,
        _ => return Defaults::NONE,
    })
}

/// Makes sure of a status, which may be empty.
fn empty_status(object: &mut Value) {
    ensure(object, "status");
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;
    use crate::kinds::KINDS;

    /// An object in which every kind finds something to fill, but for those that only want a spec.
    fn sparse() -> Value {
        json!({
            "metadata": {"name": "one"},
            "spec": {
                "ports": [{"port": 80}], "template": {}, "parameters": {}, "service": {},
                "limits": [{"type": "Container", "max": {"cpu": 1}}], "matchResources": {},
            },
            "subsets": [{"ports": [{"port": 80}]}],
            "subjects": [{"kind": "User"}],
            "webhooks": [{"clientConfig": {"service": {}}, "rules": [{}]}],
        })
    }

    #[test]
    fn every_stored_kind_fills_something_but_two() {
        let stored = KINDS.iter().filter(|kind| kind.verbs.contains('w'));
        let idle: Vec<&str> = stored
            .flat_map(|kind| kind.versions.iter().map(move |version| (kind, version)))
            .filter(|(kind, version)| {
                [json!({}), sparse()].into_iter().all(|given| {
                    let mut object = given.clone();
                    of(kind.group, kind.kind).fill(version, &mut object);
                    object == given
                })
            })
            .map(|(kind, _)| kind.kind)
            .collect();
        assert_eq!(idle, ["ConfigMap", "ServiceAccount"]);
    }

    #[test]
    fn filling_twice_is_filling_once() {
        for kind in KINDS {
            for version in kind.versions {
                let defaults = of(kind.group, kind.kind);
                let mut once = sparse();
                defaults.fill(version, &mut once);
                let mut twice = once.clone();
                defaults.fill(version, &mut twice);
                assert_eq!(twice, once, "{} {}", kind.group, kind.kind);
                defaults.fill_status(version, &mut twice);
                assert_eq!(twice, once, "status of {} {}", kind.group, kind.kind);
            }
        }
    }

    #[test]
    fn a_status_is_filled_alone_where_a_kind_tells_it_apart() {
        let filled = |group: &str, kind: &str| {
            let mut object = json!({});
            of(group, kind).fill_status("v1", &mut object);
            object
        };
        assert_eq!(filled("apps", "Deployment"), json!({"status": {}}));
        assert_eq!(
            filled("apps", "ReplicaSet"),
            json!({"status": {"replicas": 0}})
        );
        assert_eq!(
            filled("storage.k8s.io", "VolumeAttachment"),
            json!({"status": {"attached": false}})
        );
        assert!(filled("", "Service").get("spec").is_some());
    }

    #[test]
    fn claims_are_named_by_the_store_alone() {
        let claims = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
        let (mut typed, mut whole) = (claims.clone(), claims);
        of("apps", "StatefulSet").fill_typed("v1", &mut typed);
        of("apps", "StatefulSet").fill("v1", &mut whole);
        let claim = |object: &Value| object["spec"]["volumeClaimTemplates"][0].clone();
        assert_eq!(claim(&typed)["spec"]["volumeMode"], "Filesystem");
        assert_eq!(claim(&typed)["kind"], Value::Null);
        assert_eq!(claim(&whole)["kind"], "PersistentVolumeClaim");
    }

    #[test]
    fn kinds_that_are_not_built_in_fill_nothing() {
        for (group, kind) in [
            ("example.com", "Deployment"),
            ("apps", "Pod"),
            ("", "Deployment"),
        ] {
            let mut object = json!({});
            of(group, kind).fill("v1", &mut object);
            assert_eq!(object, json!({}), "{group} {kind}");
        }
    }

    #[test]
    fn kinds_of_one_family_keep_their_own_defaults() {
        let filled = |kind: &str| {
            let mut object = json!({"webhooks": [{}]});
            of("admissionregistration.k8s.io", kind).fill("v1", &mut object);
            object["webhooks"][0]["reinvocationPolicy"].take()
        };
        assert_eq!(filled("MutatingWebhookConfiguration"), "Never");
        assert_eq!(filled("ValidatingWebhookConfiguration"), Value::Null);
    }
}
