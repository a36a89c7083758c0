//! Pod (section 20.1).

use wavetank_json::{Value, json};
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path};
use super::json::{ensure, int, items, present, restore, set, text};
use super::pod_spec::{resources, validate_spec, warnings};
use super::{Env, Strategy};

pub(super) struct Pod;

impl Strategy for Pod {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let mut status = json!({ "phase": "Pending", "qosClass": resources::qos_class(spec) });
        if !items(spec, "schedulingGates").is_empty() {
            status["conditions"] = json!([{
                "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "lastProbeTime": null, "lastTransitionTime": env.timestamp,
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }]);
        }
        set(object, "status", Some(status));
        Ok(())
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        if subresource == "status" {
            if let (Some(metadata), Some(before)) = (new.get_mut("metadata"), old.get("metadata")) {
                restore(metadata, before, "deletionTimestamp");
                restore(metadata, before, "ownerReferences");
            }
            if let Some(status) = ensure(new, "status")
                && text(status, "qosClass").is_empty()
            {
                restore(
                    status,
                    old.get("status").unwrap_or(&Value::Null),
                    "qosClass",
                );
            }
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let spec = object.get("spec").unwrap_or(&Value::Null);
        validate_spec(spec, true, &Path::new("spec"), errors);
        if present(spec, "ephemeralContainers")
            .is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty()))
        {
            errors.forbidden(
                &Path::new("spec").field("ephemeralContainers"),
                "cannot be set on create",
            );
        }
        if !text(spec, "nodeName").is_empty() && !items(spec, "schedulingGates").is_empty() {
            errors.forbidden(
                &Path::new("spec").field("nodeName"),
                "cannot be set until all schedulingGates have been cleared",
            );
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        match subresource {
            "" => validate_update(new, old, errors),
            "status" => {
                let path = Path::new("status");
                errors.immutable(
                    &path.field("qosClass"),
                    new.at(&["status", "qosClass"]),
                    old.at(&["status", "qosClass"]),
                );
            }
            _ => {}
        }
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        object
            .get("spec")
            .map_or_else(Vec::new, |spec| warnings::of_spec(spec, "spec"))
    }

    fn delete_returns_object(&self) -> bool {
        true
    }

    fn grace_period(&self, object: &Value, asked: Option<i64>) -> Option<i64> {
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let period = asked
            .or_else(|| int(spec, "terminationGracePeriodSeconds"))
            .unwrap_or(30);
        let phase = object
            .at(&["status", "phase"])
            .and_then(Value::as_str)
            .unwrap_or_default();
        Some(
            if text(spec, "nodeName").is_empty() || matches!(phase, "Succeeded" | "Failed") {
                0
            } else if period < 0 {
                1
            } else {
                period
            },
        )
    }
}

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
     `spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set \
     to 1 if it was previously negative)";

/// API-276.
fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let (spec, before) = (
        new.get("spec").unwrap_or(&null),
        old.get("spec").unwrap_or(&null),
    );
    let path = Path::new("spec");
    validate_spec(spec, true, &path, errors);
    for list in ["containers", "initContainers"] {
        if items(spec, list).len() != items(before, list).len() {
            errors.forbidden(
                &path.field(list),
                "pod updates may not add or remove containers",
            );
            return;
        }
        for (index, container) in items(spec, list).iter().enumerate() {
            let image = text(container, "image");
            if image.trim() != image {
                errors.invalid(
                    &path.field(list).index(index).field("image"),
                    image,
                    "must not have leading or trailing whitespace",
                );
            }
        }
    }
    if !validate_deadline(spec, before, &path.field("activeDeadlineSeconds"), errors) {
        return;
    }
    validate_tolerations(spec, before, &path.field("tolerations"), errors);
    validate_gates(spec, before, &path.field("schedulingGates"), errors);
    if spec == before {
        return;
    }
    let mut munged = spec.clone();
    for list in ["containers", "initContainers"] {
        if let Some(containers) = munged.get_mut(list).and_then(Value::as_array_mut) {
            for (container, earlier) in containers.iter_mut().zip(items(before, list)) {
                restore(container, earlier, "image");
            }
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        restore(&mut munged, before, key);
    }
    if int(before, "terminationGracePeriodSeconds").unwrap_or(0) < 0
        && int(spec, "terminationGracePeriodSeconds") == Some(1)
    {
        restore(&mut munged, before, "terminationGracePeriodSeconds");
    }
    if !items(before, "schedulingGates").is_empty() {
        // A gated Pod may still be told where it may run.
        restore(&mut munged, before, "nodeSelector");
        restore(&mut munged, before, "affinity");
    }
    if munged != *before {
        errors.forbidden(
            &path,
            format!(
                "pod updates may not change fields other than {UPDATABLE}\n{}",
                difference(before, &munged)
            ),
        );
    }
}

/// Whether checks may go on.
fn validate_deadline(spec: &Value, before: &Value, path: &Path<'_>, errors: &mut Errors) -> bool {
    match (
        int(spec, "activeDeadlineSeconds"),
        int(before, "activeDeadlineSeconds"),
    ) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            errors.invalid(path, new, "must be between 0 and 2147483647, inclusive");
            false
        }
        (Some(new), Some(old)) if old < new => {
            errors.invalid(path, new, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            errors.invalid(
                path,
                Value::Null,
                "must not update from a positive integer to nil value",
            );
            true
        }
        _ => true,
    }
}

fn validate_tolerations(spec: &Value, before: &Value, path: &Path<'_>, errors: &mut Errors) {
    let without_seconds = |toleration: &Value| {
        let mut out = toleration.clone();
        set(&mut out, "tolerationSeconds", None);
        out
    };
    let kept: Vec<Value> = items(spec, "tolerations")
        .iter()
        .map(without_seconds)
        .collect();
    if items(before, "tolerations")
        .iter()
        .any(|toleration| !kept.contains(&without_seconds(toleration)))
    {
        errors.forbidden(
            path,
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
}

fn validate_gates(spec: &Value, before: &Value, path: &Path<'_>, errors: &mut Errors) {
    let had = items(before, "schedulingGates");
    for (index, gate) in items(spec, "schedulingGates").iter().enumerate() {
        if !had.contains(gate) {
            errors.forbidden(
                &path.index(index).field("name"),
                format!(
                    "only deletion is allowed, but found new scheduling gate '{}'",
                    text(gate, "name")
                ),
            );
        }
    }
}

/// The lines in which the two specs differ; clients match the message by its first line.
pub(super) fn difference(old: &Value, new: &Value) -> String {
    let lines = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (old, new) = (lines(old), lines(new));
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let gone = a
        .iter()
        .filter(|line| !b.contains(line))
        .map(|line| format!("-{line}"));
    let come = b
        .iter()
        .filter(|line| !a.contains(line))
        .map(|line| format!("+{line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}
