//! A stand-in for the health crate: the few kinds that the first passes need.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthStatus {
    Healthy,
    Suspended,
    Progressing,
    Missing,
    Degraded,
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) status: Option<HealthStatus>,
    pub(crate) message: String,
}

/// Judges health.
#[derive(Debug, Default)]
pub struct Assessor;

impl Assessor {
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the shape of the health crate")]
    pub(crate) fn assess(&self, object: &Value) -> Result<Option<Health>, String> {
        let condition = |name: &str| {
            let conditions = object.pointer("/status/conditions")?.as_array()?;
            conditions.iter().find(|entry| entry["type"] == name && entry["status"] == "True").cloned()
        };
        let health = |status, message: &str| {
            Ok(Some(Health { status: Some(status), message: message.to_owned() }))
        };
        match object["kind"].as_str().unwrap_or_default() {
            "Job" => match (condition("Failed"), condition("Complete")) {
                (Some(failed), _) => health(HealthStatus::Degraded, failed["message"].as_str().unwrap_or_default()),
                (None, Some(done)) => health(HealthStatus::Healthy, done["message"].as_str().unwrap_or_default()),
                (None, None) => health(HealthStatus::Progressing, ""),
            },
            "Deployment" => {
                let count = |at: &str| object.pointer(at).and_then(Value::as_i64).unwrap_or(0);
                if count("/metadata/generation") > count("/status/observedGeneration") {
                    health(HealthStatus::Progressing, "Waiting for rollout to finish: observed deployment generation less than desired generation")
                } else if count("/status/availableReplicas") < count("/spec/replicas") {
                    health(HealthStatus::Progressing, "waiting")
                } else {
                    health(HealthStatus::Healthy, "")
                }
            }
            _ => Ok(None),
        }
    }
}
