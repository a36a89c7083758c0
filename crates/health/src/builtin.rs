//! The built-in checks, by group and kind (SYNC-108).

mod api_service;
mod daemon_set;
mod deployment;
mod horizontal_pod_autoscaler;
mod ingress;
mod job;
mod persistent_volume_claim;
mod pod;
mod replica_set;
mod service;
mod stateful_set;
mod workflow;

use wavetank_json::Value;
use wavetank_model::ArgoVersion;
use wavetank_model::key::{GroupVersionKind, split_api_version};

use crate::status::{Health, HealthError};
use crate::typed::{ConversionError, Struct};

/// The health of `object` by the built-in check of its kind, as in version `argo`; `None` when there is no check (SYNC-122).
pub(crate) fn assess(object: &Value, argo: ArgoVersion) -> Result<Option<Health>, HealthError> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let (group, version) = split_api_version(api_version);
    let check: fn(Struct<'_>) -> Result<Health, ConversionError> = match (group, kind) {
        ("apps", "Deployment") => deployment::assess,
        ("apps", "StatefulSet") => stateful_set::assess,
        ("apps", "ReplicaSet") => replica_set::assess,
        ("apps", "DaemonSet") => daemon_set::assess,
        ("batch", "Job") if argo < ArgoVersion::V3_6 => job::assess_before_3_6,
        ("batch", "Job") => job::assess,
        ("", "Pod") if argo < ArgoVersion::V3_6 => pod::assess_before_3_6,
        ("", "Pod") => pod::assess,
        ("", "Service") => service::assess,
        ("", "PersistentVolumeClaim") => persistent_volume_claim::assess,
        ("apiregistration.k8s.io", "APIService") => api_service::assess,
        ("argoproj.io", "Workflow") => workflow::assess,
        ("extensions" | "networking.k8s.io", "Ingress") => {
            return Ok(Some(ingress::assess(object)));
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            return horizontal_pod_autoscaler::assess(object, version, argo).map(Some);
        }
        _ => return Ok(None),
    };
    let supported = match group {
        "argoproj.io" => true,
        "apiregistration.k8s.io" => matches!(version, "v1" | "v1beta1"),
        _ => version == "v1",
    };
    if !supported {
        let gvk = GroupVersionKind::new(api_version, kind);
        return Err(HealthError(format!("unsupported {kind} GVK: {gvk}")));
    }
    Struct::of(object)
        .and_then(check)
        .map(Some)
        .map_err(|error| error.of(kind))
}
