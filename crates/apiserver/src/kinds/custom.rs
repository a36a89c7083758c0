//! Custom resources: generation and status; their schema is the business of the CRD code (API-089, API-100).

use wavetank_json::Value;

use super::field::Errors;
use super::{StatusOnCreate, Strategy};

struct Custom {
    status: bool,
}

static WITH_STATUS: Custom = Custom { status: true };
static WITHOUT_STATUS: Custom = Custom { status: false };

/// The strategy of custom resources whose version has a status subresource, or has none.
pub(crate) fn custom_resource(has_status: bool) -> &'static dyn Strategy {
    if has_status {
        &WITH_STATUS
    } else {
        &WITHOUT_STATUS
    }
}

impl Strategy for Custom {
    fn has_status(&self) -> bool {
        self.status
    }

    fn standard_finalizers_only(&self) -> bool {
        false
    }

    fn status_on_create(&self) -> StatusOnCreate {
        if self.status {
            StatusOnCreate::Absent
        } else {
            StatusOnCreate::Kept
        }
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn bumps_generation(&self, new: &Value, old: &Value) -> bool {
        let relevant = |key: &str| {
            !matches!(key, "metadata" | "apiVersion") && (key != "status" || !self.status)
        };
        let content = |object: &'_ Value| {
            object.as_object().map_or(0, |members| {
                members.keys().filter(|key| relevant(key)).count()
            })
        };
        content(new) != content(old)
            || new
                .as_object()
                .into_iter()
                .flatten()
                .any(|(key, value)| relevant(key) && old.get(key) != Some(value))
    }

    fn validate_create(&self, _object: &Value, _errors: &mut Errors) {}

    fn validate_update(
        &self,
        _new: &Value,
        _old: &Value,
        _subresource: &str,
        _errors: &mut Errors,
    ) {
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        wavetank_model::object::finalizers(object)
            .filter(|finalizer| !finalizer.contains('/') && !matches!(*finalizer, "orphan" | "foregroundDeletion" | "kubernetes"))
            .map(|finalizer| {
                format!(
                    "metadata.finalizers: \"{finalizer}\": prefer a domain-qualified finalizer name including a path (/) \
                     to avoid accidental conflicts with other finalizer writers"
                )
            })
            .collect()
    }
}
