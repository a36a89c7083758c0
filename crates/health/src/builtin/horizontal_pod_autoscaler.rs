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
            let Some(text) = object::annotation(autoscaler, CONDITIONS) else {
                return Ok(Health::progressing(WAITING));
            };
            let failed = |error: String| {
                HealthError(format!(
                    "failed to convert conditions annotation to typed: {error}"
                ))
            };
            if text.is_empty() {
                return Err(failed("unexpected end of JSON input".to_owned()));
            }
            let entries: Option<Vec<Value>> =
                serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
            read(&entries.unwrap_or_default())
                .map(|conditions| judge(&conditions, argo))
                .map_err(|error| error.of(KIND))
        }
        "v2" | "v2beta1" | "v2beta2" if version == "v2" || argo < ArgoVersion::V3_5 => {
            let go_type = format!("{version}.HorizontalPodAutoscalerConditionType");
            let read = |autoscaler| conditions(Struct::of(autoscaler)?.get("status")?, &go_type);
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

/// Since 3.5 a failure counts wherever it stands; before, the first condition counts that says anything (SYNC-227).
fn judge(conditions: &[Condition<'_>], argo: ArgoVersion) -> Health {
    let broken = conditions
        .iter()
        .position(|condition| is_failure(condition.kind, condition.reason, argo));
    let working = conditions.iter().position(|condition| {
        matches!(condition.kind, "AbleToScale" | "ScalingLimited") && condition.is_true()
    });
    match (broken, working) {
        (Some(broken), working)
            if argo >= ArgoVersion::V3_5 || working.is_none_or(|place| broken <= place) =>
        {
            Health::degraded(conditions[broken].message)
        }
        (_, Some(working)) => Health::healthy(conditions[working].message),
        (_, None) => Health::progressing(WAITING),
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
