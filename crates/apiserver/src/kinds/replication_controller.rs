//! `ReplicationController`, `PodTemplate` and `ControllerRevision`.

use wavetank_json::Value;
use wavetank_model::api::Propagation;
use wavetank_model::defaults::workload::replicas_status;
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path};
use super::json::{entries, int, present};
use super::{Env, Strategy, pod_spec, workload};

pub(super) struct ReplicationController;

impl Strategy for ReplicationController {
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
        replicas_status(object);
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        errors.not_negative(&path.field("minReadySeconds"), spec.get("minReadySeconds"));
        if entries(spec, "selector").next().is_none() {
            errors.required(&path.field("selector"), "");
        }
        errors.not_negative(&path.field("replicas"), spec.get("replicas"));
        if present(spec, "template").is_none() {
            errors.required(&path.field("template"), "");
            return;
        }
        let labels = spec.at(&["template", "metadata", "labels"]);
        if entries(spec, "selector")
            .any(|(key, value)| labels.and_then(|labels| labels.get(key)) != Some(value))
        {
            errors.invalid(
                &path.field("template").field("metadata").field("labels"),
                labels.cloned().unwrap_or(Value::Null),
                "`selector` does not match template `labels`",
            );
        }
        workload::validate_template(spec, "ReplicationController", &path, errors);
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            let status = new.get("status").unwrap_or(&Value::Null);
            let counters = [
                "replicas",
                "fullyLabeledReplicas",
                "readyReplicas",
                "availableReplicas",
                "observedGeneration",
            ];
            workload::validate_counters(status, &counters, errors);
            workload::validate_at_most_replicas(
                status,
                &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
                errors,
            );
        } else {
            self.validate_create(new, errors);
        }
    }

    fn default_propagation(&self) -> Propagation {
        Propagation::Orphan
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        object
            .at(&["spec", "template", "spec"])
            .map_or_else(Vec::new, |spec| {
                pod_spec::warnings::of_spec(spec, "spec.template.spec")
            })
    }
}

pub(super) struct PodTemplate;

impl Strategy for PodTemplate {
    fn has_generation(&self) -> bool {
        true
    }

    fn bumps_generation(&self, new: &Value, old: &Value) -> bool {
        new.get("template") != old.get("template")
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("template");
        pod_spec::validate_template(
            object.get("template").unwrap_or(&Value::Null),
            &path,
            errors,
        );
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

pub(super) struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("data");
        match present(object, "data") {
            None => errors.required(&path, "data is mandatory"),
            Some(data) if !data.is_object() => {
                errors.required(&path, "data must be a valid JSON object");
            }
            Some(_) => {}
        }
        validate_revision(object, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        validate_revision(new, errors);
        errors.immutable(&Path::new("data"), new.get("data"), old.get("data"));
    }
}

fn validate_revision(object: &Value, errors: &mut Errors) {
    if int(object, "revision").is_some_and(|revision| revision < 0) {
        errors.not_negative(&Path::new("revision"), object.get("revision"));
    }
}
