//! `PodDisruptionBudget` and `HorizontalPodAutoscaler` (API-292).

use wavetank_json::{Value, json};

use super::resources::canonical_quantity;
use crate::fields::{default_to, ensure, items, items_mut, present, set};
use crate::object::At;

/// The counters in the status of a `PodDisruptionBudget`, present even when 0.
pub const DISRUPTION_COUNTERS: [&str; 4] = [
    "currentHealthy",
    "desiredHealthy",
    "disruptionsAllowed",
    "expectedPods",
];

/// Where `autoscaling/v1` keeps the metrics that it has no fields for, as text.
pub const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";

pub(super) fn pod_disruption_budget(object: &mut Value) {
    ensure(object, "spec");
    disruption_counters(object);
}

/// Fills the [`DISRUPTION_COUNTERS`].
pub fn disruption_counters(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        for counter in DISRUPTION_COUNTERS {
            default_to(status, counter, 0);
        }
    }
}

pub(super) fn horizontal_pod_autoscaler(version: &str, object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        default_to(status, "desiredReplicas", 0);
        default_to(status, "currentReplicas", 0);
        if version == "v2" {
            default_to(status, "currentMetrics", Value::Null);
        }
    }
    let measured = version == "v1" && has_metrics(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_to(spec, "minReplicas", 1);
    if version == "v1" {
        if !measured {
            default_to(spec, "targetCPUUtilizationPercentage", 80);
        }
        return;
    }
    if items(spec, "metrics").is_empty() {
        set(
            spec,
            "metrics",
            Some(json!([{
                "type": "Resource",
                "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } },
            }])),
        );
    }
    for metric in items_mut(spec, "metrics") {
        for source in [
            "resource",
            "containerResource",
            "pods",
            "object",
            "external",
        ] {
            let Some(target) = metric
                .get_mut(source)
                .and_then(|source| source.get_mut("target"))
            else {
                continue;
            };
            for key in ["value", "averageValue"] {
                if present(target, key).is_some() {
                    canonical_quantity(target, key, "0");
                }
            }
        }
    }
    if let Some(behavior) = spec
        .get_mut("behavior")
        .filter(|behavior| behavior.is_object())
    {
        default_behavior(behavior);
    }
}

/// Whether an annotation has metrics: then the version's own target has no default.
fn has_metrics(object: &Value) -> bool {
    let text = object.at(&["metadata", "annotations", METRICS_ANNOTATION]);
    let metrics: Option<Vec<Value>> = text
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok());
    metrics.is_some_and(|metrics| !metrics.is_empty())
}

fn default_behavior(behavior: &mut Value) {
    let percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    let pods = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
    if let Some(up) = ensure(behavior, "scaleUp") {
        default_to(up, "stabilizationWindowSeconds", 0);
        default_to(up, "selectPolicy", "Max");
        default_to(up, "policies", json!([pods, percent]));
    }
    if let Some(down) = ensure(behavior, "scaleDown") {
        default_to(down, "selectPolicy", "Max");
        default_to(down, "policies", json!([percent]));
    }
}
