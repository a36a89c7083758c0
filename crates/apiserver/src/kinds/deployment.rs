//! Deployment (API-277).

use wavetank_json::Value;
use wavetank_model::object::At;

use super::Strategy;
use super::field::{Errors, Path};
use super::json::{int, present, text};
use super::{pod_spec, workload};

pub(super) struct Deployment;

impl Strategy for Deployment {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn bumps_generation(&self, new: &Value, old: &Value) -> bool {
        new.get("spec") != old.get("spec")
            || new.at(&["metadata", "annotations"]) != old.at(&["metadata", "annotations"])
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        _env: &mut super::Env<'_>,
    ) -> Result<(), Vec<super::FieldError>> {
        // A status write leaves labels alone (API-222).
        if subresource == "status"
            && let (Some(metadata), Some(before)) = (new.get_mut("metadata"), old.get("metadata"))
        {
            super::json::restore(metadata, before, "labels");
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_spec(
            object.get("spec").unwrap_or(&Value::Null),
            &Path::new("spec"),
            errors,
        );
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            validate_status(new.get("status").unwrap_or(&Value::Null), errors);
            return;
        }
        self.validate_create(new, errors);
        errors.immutable(
            &Path::new("spec").field("selector"),
            new.at(&["spec", "selector"]),
            old.at(&["spec", "selector"]),
        );
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        object
            .at(&["spec", "template", "spec"])
            .map_or_else(Vec::new, |spec| {
                pod_spec::warnings::of_spec(spec, "spec.template.spec")
            })
    }
}

fn validate_spec(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    errors.not_negative(&path.field("replicas"), spec.get("replicas"));
    workload::validate_selector(spec, "deployment", path, errors);
    if workload::validate_selection(spec, path, errors) {
        workload::validate_template(spec, "ReplicaSet", path, errors);
    }
    if let Some(strategy) = present(spec, "strategy") {
        validate_strategy(strategy, &path.field("strategy"), errors);
    }
    errors.not_negative(&path.field("minReadySeconds"), spec.get("minReadySeconds"));
    errors.not_negative(
        &path.field("revisionHistoryLimit"),
        spec.get("revisionHistoryLimit"),
    );
    if let Some(deadline) = int(spec, "progressDeadlineSeconds") {
        let path = path.field("progressDeadlineSeconds");
        errors.not_negative(&path, spec.get("progressDeadlineSeconds"));
        if deadline <= int(spec, "minReadySeconds").unwrap_or(0) {
            errors.invalid(&path, deadline, "must be greater than minReadySeconds");
        }
    }
}

fn validate_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Errors) {
    match (text(strategy, "type"), present(strategy, "rollingUpdate")) {
        ("Recreate", Some(_)) => errors.forbidden(
            &path.field("rollingUpdate"),
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            errors.required(
                &path.field("rollingUpdate"),
                "this should be defaulted and never be nil",
            );
        }
        ("RollingUpdate", Some(rolling)) => {
            let path = path.field("rollingUpdate");
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            workload::validate_count_or_percent(unavailable, &path.field("maxUnavailable"), errors);
            workload::validate_count_or_percent(surge, &path.field("maxSurge"), errors);
            if workload::count_or_percent(unavailable) == 0
                && workload::count_or_percent(surge) == 0
            {
                errors.invalid(
                    &path.field("maxUnavailable"),
                    unavailable.cloned().unwrap_or(Value::Null),
                    "may not be 0 when `maxSurge` is 0",
                );
            }
            workload::validate_at_most_all(unavailable, &path.field("maxUnavailable"), errors);
        }
        _ => errors.struct_not_supported(
            path,
            &workload::strategy_as_go(strategy),
            &["Recreate", "RollingUpdate"],
        ),
    }
}

fn validate_status(status: &Value, errors: &mut Errors) {
    workload::validate_counters(
        status,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
        errors,
    );
    workload::validate_at_most_replicas(
        status,
        &["updatedReplicas", "readyReplicas", "availableReplicas"],
        errors,
    );
}
