//! Namespace (API-235, API-225, API-232).

use wavetank_json::{Value, json};
use wavetank_model::defaults::cluster::force_name_label;
use wavetank_model::object::{self, At};

use super::field::{Errors, FieldError, Path};
use super::json::{ensure, items, restore, set};
use super::{Env, NameRule, Strategy, names};

pub(super) struct Namespace;

impl Strategy for Namespace {
    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        force_name_label(object);
        set(object, "status", Some(json!({ "phase": "Active" })));
        if let Some(finalizers) =
            ensure(object, "spec").and_then(|spec| super::json::ensure_list(spec, "finalizers"))
            && !finalizers.iter().any(|finalizer| finalizer == "kubernetes")
        {
            finalizers.push("kubernetes".into());
        }
        Ok(())
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        match subresource {
            "" => {
                force_name_label(new);
                restore(new, old, "spec");
            }
            "finalize" => restore(new, old, "status"),
            _ => {}
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_finalizers(object, errors);
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        match subresource {
            "status" => {
                let phase = new
                    .at(&["status", "phase"])
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let path = Path::new("status");
                if object::is_terminating(new) {
                    if phase != "Terminating" {
                        errors.invalid(
                            &path.field("Phase"),
                            phase,
                            "may only be 'Terminating' if `deletionTimestamp` is not empty",
                        );
                    }
                } else if phase != "Active" {
                    errors.invalid(
                        &path.field("Phase"),
                        phase,
                        "may only be 'Active' if `deletionTimestamp` is empty",
                    );
                }
            }
            "finalize" => validate_finalizers(new, errors),
            _ => {}
        }
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

fn validate_finalizers(object: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let spec = object.get("spec").unwrap_or(&Value::Null);
    for finalizer in items(spec, "finalizers").iter().filter_map(Value::as_str) {
        errors.invalid_each(
            &path.field("finalizers"),
            finalizer,
            names::label_key(finalizer),
        );
        if !finalizer.contains('/') && finalizer != "kubernetes" {
            errors.invalid(
                &path.field("finalizers"),
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
}
