//! `PodDisruptionBudget` and `HorizontalPodAutoscaler` (API-292).

use wavetank_json::{Value, json};
use wavetank_model::defaults::scaling::{DISRUPTION_COUNTERS, disruption_counters};

use super::field::{Errors, FieldError, Path};
use super::json::{int, items, present, set, text};
use super::{Env, Strategy, label_selector, names, workload};

pub(super) struct PodDisruptionBudget;

impl Strategy for PodDisruptionBudget {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        disruption_counters(object);
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let (least, most) = (
            present(spec, "minAvailable"),
            present(spec, "maxUnavailable"),
        );
        if let (Some(least), Some(most)) = (least, most) {
            // The internal type prints its Go names.
            errors.invalid(
                &path,
                json!({
                    "MinAvailable": least, "Selector": spec.get("selector").cloned().unwrap_or(Value::Null),
                    "MaxUnavailable": most,
                    "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy").cloned().unwrap_or(Value::Null),
                }),
                "minAvailable and maxUnavailable cannot be both set",
            );
        }
        for (key, value) in [("minAvailable", least), ("maxUnavailable", most)] {
            if value.is_some() {
                workload::validate_count_or_percent(value, &path.field(key), errors);
                workload::validate_at_most_all(value, &path.field(key), errors);
            }
        }
        if let Some(selector) = present(spec, "selector") {
            label_selector::validate(selector, &path.field("selector"), errors);
        }
        let policies = ["AlwaysAllow", "IfHealthyBudget"];
        errors.optional_one_of(&path, spec, "unhealthyPodEvictionPolicy", &policies);
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            workload::validate_counters(
                new.get("status").unwrap_or(&Value::Null),
                &DISRUPTION_COUNTERS,
                errors,
            );
        } else {
            self.validate_create(new, errors);
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

pub(super) struct HorizontalPodAutoscaler;

impl Strategy for HorizontalPodAutoscaler {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        false
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        set(
            object,
            "status",
            Some(json!({ "desiredReplicas": 0, "currentMetrics": null })),
        );
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_autoscaler(object.get("spec").unwrap_or(&Value::Null), errors);
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            let status = new.get("status").unwrap_or(&Value::Null);
            workload::validate_counters(status, &["currentReplicas", "desiredReplicas"], errors);
        } else {
            self.validate_create(new, errors);
        }
    }
}

fn validate_autoscaler(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let (least, most) = (
        int(spec, "minReplicas"),
        int(spec, "maxReplicas").unwrap_or(0),
    );
    if let Some(least) = least.filter(|least| *least < 1) {
        errors.invalid(
            &path.field("minReplicas"),
            least,
            "must be greater than or equal to 1",
        );
    }
    if most == 0 {
        errors.required(&path.field("maxReplicas"), "must be set and greater than 0");
    } else if most < 0 {
        errors.invalid(
            &path.field("maxReplicas"),
            most,
            "must be greater than or equal to 1",
        );
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid(
            &path.field("maxReplicas"),
            most,
            "must be greater than or equal to `minReplicas`",
        );
    }
    let reference = spec.get("scaleTargetRef").unwrap_or(&Value::Null);
    let target = path.field("scaleTargetRef");
    for key in ["kind", "name"] {
        let value = text(reference, key);
        if value.is_empty() {
            errors.required(&target.field(key), "");
        } else {
            errors.invalid_each(&target.field(key), value, names::path_segment(value, false));
        }
    }
    let version = text(reference, "apiVersion");
    if !version.contains('/') {
        errors.invalid(
            &target.field("apiVersion"),
            version,
            "apiVersion must specify API group",
        );
    }
    for (index, metric) in items(spec, "metrics").iter().enumerate() {
        validate_metric(metric, &path.field("metrics").index(index), errors);
    }
    let scales_to_zero = items(spec, "metrics")
        .iter()
        .any(|metric| matches!(text(metric, "type"), "Object" | "External"));
    if least == Some(0) && !scales_to_zero {
        errors.forbidden(
            &path.field("metrics"),
            "must specify at least one Object or External metric to support scaling to zero replicas",
        );
    }
    if let Some(behavior) = present(spec, "behavior") {
        let path = path.field("behavior");
        for direction in ["scaleUp", "scaleDown"] {
            if let Some(rules) = present(behavior, direction) {
                validate_rules(rules, &path.field(direction), errors);
            }
        }
    }
}

fn validate_metric(metric: &Value, path: &Path<'_>, errors: &mut Errors) {
    const TYPES: [&str; 5] = [
        "ContainerResource",
        "External",
        "Object",
        "Pods",
        "Resource",
    ];
    let kind = text(metric, "type");
    if kind.is_empty() {
        errors.required(&path.field("type"), "must specify a metric source type");
    }
    if !TYPES.contains(&kind) {
        errors.not_supported(&path.field("type"), kind, &TYPES);
    }
    let expected = match kind {
        "ContainerResource" => "containerResource",
        "External" => "external",
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        _ => return,
    };
    if present(metric, expected).is_none() {
        errors.required(
            &path.field(expected),
            "must populate information for the given metric source",
        );
    }
    for source in [
        "object",
        "external",
        "pods",
        "resource",
        "containerResource",
    ] {
        let Some(content) = present(metric, source) else {
            continue;
        };
        if source != expected {
            errors.forbidden(
                &path.field(source),
                "must populate the given metric source only",
            );
            continue;
        }
        let path = path.field(source);
        let target = content.get("target").unwrap_or(&Value::Null);
        let target_path = path.field("target");
        if matches!(source, "resource" | "containerResource") && text(content, "name").is_empty() {
            errors.required(&path.field("name"), "must specify a resource name");
        }
        let target_kind = text(target, "type");
        if target_kind.is_empty() {
            errors.required(
                &target_path.field("type"),
                "must specify a metric target type",
            );
        }
        if !matches!(target_kind, "Utilization" | "Value" | "AverageValue") {
            errors.invalid(
                &target_path.field("type"),
                target_kind,
                "must be either Utilization, Value, or AverageValue",
            );
        }
        let utilization = int(target, "averageUtilization");
        if let Some(percent) = utilization.filter(|percent| *percent < 1) {
            errors.invalid(
                &target_path.field("averageUtilization"),
                percent,
                "must be greater than 0",
            );
        }
        if source == "resource" {
            let raw = present(target, "averageValue");
            if utilization.is_none() && raw.is_none() {
                errors.required(
                    &target_path.field("averageUtilization"),
                    "must set either a target raw value or a target utilization",
                );
            }
            if utilization.is_some() && raw.is_some() {
                errors.forbidden(
                    &target_path.field("averageValue"),
                    "may not set both a target raw value and a target utilization",
                );
            }
        }
    }
}

fn validate_rules(rules: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(window) = int(rules, "stabilizationWindowSeconds") {
        let path = path.field("stabilizationWindowSeconds");
        if window < 0 {
            errors.invalid(&path, window, "must be greater than or equal to zero");
        } else if window > 3600 {
            errors.invalid(&path, window, "must be less than or equal to 3600");
        }
    }
    errors.optional_one_of(path, rules, "selectPolicy", &["Disabled", "Max", "Min"]);
    let list = path.field("policies");
    if items(rules, "policies").is_empty() {
        errors.required(&list, "must specify at least one Policy");
    }
    for (index, policy) in items(rules, "policies").iter().enumerate() {
        let path = list.index(index);
        let kind = text(policy, "type");
        if !matches!(kind, "Percent" | "Pods") {
            errors.not_supported(&path.field("type"), kind, &["Percent", "Pods"]);
        }
        let (value, period) = (
            int(policy, "value").unwrap_or(0),
            int(policy, "periodSeconds").unwrap_or(0),
        );
        if value <= 0 {
            errors.invalid(&path.field("value"), value, "must be greater than zero");
        }
        if period <= 0 {
            errors.invalid(
                &path.field("periodSeconds"),
                period,
                "must be greater than zero",
            );
        } else if period > 1800 {
            errors.invalid(
                &path.field("periodSeconds"),
                period,
                "must be less than or equal to 1800",
            );
        }
    }
}
