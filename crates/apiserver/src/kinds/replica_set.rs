//! `ReplicaSet` (API-279).

use wavetank_json::Value;
use wavetank_model::defaults::workload::replicas_status;
use wavetank_model::object::At;

use super::Strategy;
use super::field::{Errors, Path};
use super::{pod_spec, workload};

pub(super) struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut super::Env<'_>,
    ) -> Result<(), Vec<super::FieldError>> {
        replicas_status(object);
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        errors.not_negative(&path.field("replicas"), spec.get("replicas"));
        errors.not_negative(&path.field("minReadySeconds"), spec.get("minReadySeconds"));
        workload::validate_selector(spec, "deployment", &path, errors);
        if workload::validate_selection(spec, &path, errors) {
            workload::validate_template(spec, "ReplicaSet", &path, errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            let status = new.get("status").unwrap_or(&Value::Null);
            workload::validate_counters(
                status,
                &[
                    "replicas",
                    "fullyLabeledReplicas",
                    "readyReplicas",
                    "availableReplicas",
                    "terminatingReplicas",
                    "observedGeneration",
                ],
                errors,
            );
            workload::validate_at_most_replicas(
                status,
                &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
                errors,
            );
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
