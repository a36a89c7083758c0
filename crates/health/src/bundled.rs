//! The rules that Argo CD bundles as scripts for kinds of Kubernetes itself (SYNC-125), in Rust.
//!
//! They beat the built-in checks, as scripts do (SYNC-124); configured overrides beat them. Errors are worded like
//! those of the script engine, without its stack trace.

mod cron_job;
mod custom_resource_definition;
mod pod_disruption_budget;

use wavetank_json::Value;
use wavetank_model::ArgoVersion;
use wavetank_model::key::split_api_version;

use crate::status::{Health, HealthError};

/// The health of `object` by a bundled rule; `None` when there is none for its kind.
pub(crate) fn assess(object: &Value, version: ArgoVersion) -> Option<Result<Health, HealthError>> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, _) = split_api_version(text("apiVersion"));
    match (group, text("kind")) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            Some(custom_resource_definition::assess(object, version))
        }
        ("batch", "CronJob") => Some(cron_job::assess(object)),
        ("policy", "PodDisruptionBudget") => Some(pod_disruption_budget::assess(object)),
        _ => None,
    }
}

/// The field `name` as a script sees it: null is absent, and only tables have fields.
fn index<'a>(value: Option<&'a Value>, name: &str) -> Result<Option<&'a Value>, HealthError> {
    match value {
        Some(Value::Object(map)) => Ok(map.get(name).filter(|value| !value.is_null())),
        Some(Value::Array(_) | Value::String(_)) => Ok(None),
        None => Err(HealthError(format!(
            "attempt to index a non-table object(nil) with key '{name}'"
        ))),
        Some(Value::Bool(_)) => Err(HealthError(format!(
            "attempt to index a non-table object(boolean) with key '{name}'"
        ))),
        Some(_) => Err(HealthError(format!(
            "attempt to index a non-table object(number) with key '{name}'"
        ))),
    }
}

/// A text field of a condition, which a script joins to its message.
fn joined<'a>(condition: &'a Value, name: &str) -> Result<&'a str, HealthError> {
    match index(Some(condition), name)? {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(HealthError(
            "cannot perform concat operation between string and table".to_owned(),
        )),
        None => Err(HealthError(
            "cannot perform concat operation between string and nil".to_owned(),
        )),
    }
}

fn conditions(status: &Value) -> &[Value] {
    status
        .get("conditions")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn is(condition: &Value, name: &str, value: &str) -> bool {
    condition.get(name).and_then(Value::as_str) == Some(value)
}
