//! `HorizontalPodAutoscalers` (SYNC-119).

use wavetank_json::Value;
use wavetank_model::key::GroupVersionKind;
use wavetank_model::{ArgoVersion, object};

use crate::condition::{Condition, conditions};
use crate::status::{Health, HealthError};
use crate::typed::{Result, Struct};

/// Where `autoscaling/v1`, which has no conditions, keeps them.
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const WAITING: &str = "Waiting to Autoscale";
const KIND: &str = "HorizontalPodAutoscaler";

pub(crate) fn assess(
    autoscaler: &Value,
    version: &str,
    argo: ArgoVersion,
) -> std::result::Result<Health, HealthError> {
    match version {
        "v1" => {
            let text = object::annotation(autoscaler, CONDITIONS).unwrap_or_default();
            if text.is_empty() {
                return Ok(Health::progressing(WAITING));
            }
            let failed = |error: String| {
                HealthError(format!(
                    "failed to convert conditions annotation to typed: {error}"
                ))
            };
            let entries: Vec<Value> =
                serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
            read(&entries)
                .map(|conditions| judge(&conditions, argo))
                .map_err(|error| error.of(KIND))
        }
        "v2" => {
            let read = |autoscaler| {
                conditions(
                    Struct::of(autoscaler)?.get("status")?,
                    "v2.HorizontalPodAutoscalerConditionType",
                )
            };
            read(autoscaler)
                .map(|conditions| judge(&conditions, argo))
                .map_err(|error| error.of(KIND))
        }
        _ => {
            let gvk = GroupVersionKind::of(autoscaler).unwrap_or_default();
            Err(HealthError(format!("unsupported HPA GVK: {gvk}")))
        }
    }
}

fn read(entries: &[Value]) -> Result<Vec<Condition<'_>>> {
    let go_type = "v1.HorizontalPodAutoscalerConditionType";
    entries
        .iter()
        .map(|entry| Condition::of(Struct::of(entry)?, go_type))
        .collect()
}

fn judge(conditions: &[Condition<'_>], argo: ArgoVersion) -> Health {
    if let Some(broken) = conditions
        .iter()
        .find(|condition| is_failure(condition.kind, condition.reason, argo))
    {
        return Health::degraded(broken.message);
    }
    let works = |condition: &&Condition<'_>| {
        matches!(condition.kind, "AbleToScale" | "ScalingLimited") && condition.is_true()
    };
    match conditions.iter().find(works) {
        Some(condition) => Health::healthy(condition.message),
        None => Health::progressing(WAITING),
    }
}

/// Whatever the status of the condition says; some reasons count since 3.5 (SYNC-227).
fn is_failure(kind: &str, reason: &str, argo: ArgoVersion) -> bool {
    match kind {
        "AbleToScale" => matches!(reason, "FailedGetScale" | "FailedUpdateScale"),
        "ScalingActive" => match reason {
            "FailedGetResourceMetric" | "InvalidSelector" => true,
            "FailedGetObjectMetric"
            | "FailedGetPodsMetric"
            | "FailedGetExternalMetric"
            | "FailedComputeMetricsReplicas" => argo >= ArgoVersion::V3_5,
            _ => false,
        },
        _ => false,
    }
}
