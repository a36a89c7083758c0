//! `DaemonSet` (API-279).

use wavetank_json::Value;
use wavetank_model::defaults::workload::daemon_set_status;
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path};
use super::json::{ensure, present, set, text};
use super::{Env, Strategy, label_selector, pod_spec, workload};

pub(super) struct DaemonSet;

/// Where `apps/v1` keeps the hidden `spec.templateGeneration`.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

impl Strategy for DaemonSet {
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
        daemon_set_status(object);
        set_template_generation(object, 1);
        Ok(())
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        if subresource.is_empty() {
            let before = old
                .at(&["metadata", "annotations"])
                .and_then(|annotations| text(annotations, TEMPLATE_GENERATION).parse().ok())
                .unwrap_or(0);
            let changed = new.at(&["spec", "template"]) != old.at(&["spec", "template"]);
            set_template_generation(new, before + i64::from(changed));
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        if let Some(selector) = present(spec, "selector") {
            label_selector::validate(selector, &path.field("selector"), errors);
        }
        workload::validate_selection(spec, &path, errors);
        if let Some(selector) =
            present(spec, "selector").filter(|selector| label_selector::is_empty(selector))
        {
            errors.invalid(
                &path.field("selector"),
                selector.clone(),
                "empty selector is invalid for daemonset",
            );
        }

        workload::validate_template(spec, "DaemonSet", &path, errors);
        errors.not_negative(&path.field("minReadySeconds"), spec.get("minReadySeconds"));
        if let Some(strategy) = present(spec, "updateStrategy") {
            validate_strategy(strategy, &path.field("updateStrategy"), errors);
        }
        errors.not_negative(
            &path.field("revisionHistoryLimit"),
            spec.get("revisionHistoryLimit"),
        );
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            let status = new.get("status").unwrap_or(&Value::Null);
            workload::validate_counters(
                status,
                &[
                    "currentNumberScheduled",
                    "numberMisscheduled",
                    "desiredNumberScheduled",
                    "numberReady",
                    "observedGeneration",
                    "updatedNumberScheduled",
                    "numberAvailable",
                    "numberUnavailable",
                ],
                errors,
            );
            return;
        }
        errors.immutable(
            &Path::new("spec").field("selector"),
            new.at(&["spec", "selector"]),
            old.at(&["spec", "selector"]),
        );
        self.validate_create(new, errors);
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        object
            .at(&["spec", "template", "spec"])
            .map_or_else(Vec::new, |spec| {
                pod_spec::warnings::of_spec(spec, "spec.template.spec")
            })
    }
}

fn set_template_generation(object: &mut Value, generation: i64) {
    if let Some(annotations) =
        ensure(object, "metadata").and_then(|metadata| ensure(metadata, "annotations"))
    {
        set(
            annotations,
            TEMPLATE_GENERATION,
            Some(generation.to_string().into()),
        );
    }
}

fn validate_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Errors) {
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let path = path.field("rollingUpdate");
            let Some(rolling) = present(strategy, "rollingUpdate") else {
                errors.required(&path, "");
                return;
            };
            let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
            let (unavailable_path, surge_path) =
                (path.field("maxUnavailable"), path.field("maxSurge"));
            workload::validate_count_or_percent(unavailable, &unavailable_path, errors);
            workload::validate_count_or_percent(surge, &surge_path, errors);
            workload::validate_at_most_all(unavailable, &unavailable_path, errors);
            workload::validate_at_most_all(surge, &surge_path, errors);
            match (
                workload::count_or_percent(unavailable) != 0,
                workload::count_or_percent(surge) != 0,
            ) {
                (true, true) => errors.invalid(
                    &surge_path,
                    surge.cloned().unwrap_or(Value::Null),
                    "may not be set when maxUnavailable is non-zero",
                ),
                (false, false) => {
                    errors.required(&unavailable_path, "cannot be 0 when maxSurge is 0");
                }
                _ => {}
            }
        }
        _ => errors.struct_not_supported(
            path,
            &workload::strategy_as_go(strategy),
            &["RollingUpdate", "OnDelete"],
        ),
    }
}
