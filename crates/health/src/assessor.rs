//! In which order checks are asked (SYNC-105, SYNC-124).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::key::split_api_version;
use wavetank_model::{ArgoVersion, argo, object};

use crate::status::{Health, HealthError, HealthFailure};
use crate::{builtin, bundled, glob};

/// A configured health check, as a script is one.
pub trait Override: fmt::Debug + Send + Sync {
    /// The health of the live `object`; `None` falls through to the built-in checks.
    ///
    /// # Errors
    /// When the check itself fails; the object then counts as Unknown.
    fn assess(&self, object: &Value) -> Result<Option<Health>, HealthError>;
}

/// Assesses live objects.
///
/// The default has the built-in checks and the bundled rules.
#[derive(Clone, Debug)]
pub struct Assessor {
    /// By kind, then by group.
    exact: BTreeMap<String, BTreeMap<String, Arc<dyn Override>>>,
    /// By pattern over `group/Kind`, in the order of the patterns: where several fit, Argo CD takes any.
    patterns: BTreeMap<String, Arc<dyn Override>>,
    bundled: bool,
    version: ArgoVersion,
}

impl Default for Assessor {
    fn default() -> Self {
        Self {
            exact: BTreeMap::new(),
            patterns: BTreeMap::new(),
            bundled: true,
            version: ArgoVersion::default(),
        }
    }
}

impl Assessor {
    /// The built-in checks and the bundled rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Switches the bundled rules for CRDs, `CronJobs` and `PodDisruptionBudgets` on or off (SYNC-125).
    #[must_use]
    pub fn with_bundled(mut self, bundled: bool) -> Self {
        self.bundled = bundled;
        self
    }

    /// Follows the rules of that version of Argo CD (SYNC-227); without this, of the newest.
    #[must_use]
    pub fn with_version(mut self, version: ArgoVersion) -> Self {
        self.version = version;
        self
    }

    /// Adds a check for `key`: `group/Kind`, for the core group `Kind`, or a pattern over that (SYNC-124).
    #[must_use]
    pub fn with_override(mut self, key: &str, check: Arc<dyn Override>) -> Self {
        let (group, kind) = key.split_once('/').unwrap_or(("", key));
        if glob::is_pattern(key) {
            self.patterns.insert(key.to_owned(), check);
        } else {
            self.exact
                .entry(kind.to_owned())
                .or_default()
                .insert(group.to_owned(), check);
        }
        self
    }

    /// The health of the live `object`; `None` when nothing assesses its kind (SYNC-122).
    ///
    /// # Errors
    /// A check failed; the failure carries the health that the object then has (Unknown) and the error (SYNC-105).
    pub fn assess(&self, object: &Value) -> Result<Option<Health>, HealthFailure> {
        let leaving = object::is_terminating(object)
            && !object::finalizers(object).any(|name| name == argo::HOOK_FINALIZER);
        if !leaving {
            let mut health = self.check(object)?;
            if let Some(health) = &mut health {
                health.deletion_message.clear();
            }
            return Ok(health);
        }
        if self.version < ArgoVersion::V3_6 {
            return Ok(Some(Health::progressing(PENDING_DELETION)));
        }
        Ok(Some(match self.check(object)? {
            Some(health) if !health.deletion_message.is_empty() => Health {
                message: health.deletion_message.clone(),
                ..health
            },
            _ => Health::progressing(pending_deletion(object)),
        }))
    }

    /// What the checks say, whether or not the object is being deleted.
    fn check(&self, object: &Value) -> Result<Option<Health>, HealthFailure> {
        if let Some(check) = self.find(object)
            && let Some(health) = check
                .assess(object)
                .map_err(|error| HealthFailure::of_script(object, error))?
        {
            return Ok(Some(health));
        }
        if self.bundled
            && let Some(health) = bundled::assess(object, self.version)
        {
            return health
                .map(Some)
                .map_err(|error| HealthFailure::of_script(object, error));
        }
        Ok(builtin::assess(object, self.version)?)
    }

    /// Whether any check is configured.
    pub fn is_configured(&self) -> bool {
        !self.exact.is_empty() || !self.patterns.is_empty()
    }

    /// Whether a configured check judges the kind of `object`, before what is built in.
    pub fn is_overridden(&self, object: &Value) -> bool {
        self.find(object).is_some()
    }

    /// The configured check for the kind of `object`.
    fn find(&self, object: &Value) -> Option<&dyn Override> {
        if !self.is_configured() {
            return None;
        }
        let text = |field: &str| {
            object
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let ((group, _), kind) = (split_api_version(text("apiVersion")), text("kind"));
        if let Some(check) = self.exact.get(kind).and_then(|groups| groups.get(group)) {
            return Some(check.as_ref());
        }
        if self.patterns.is_empty() {
            return None;
        }
        let key = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{group}/{kind}")
        };
        self.patterns
            .iter()
            .find(|(pattern, _)| glob::matches(pattern, &key))
            .map(|(_, check)| check.as_ref())
    }
}

/// What an object that is being deleted says.
const PENDING_DELETION: &str = "Pending deletion";

/// The same since 3.6: with the finalizers that it waits for.
fn pending_deletion(object: &Value) -> String {
    let finalizers: Vec<&str> = object::finalizers(object).collect();
    if finalizers.is_empty() {
        return PENDING_DELETION.to_owned();
    }
    format!(
        "{PENDING_DELETION}; blocked by finalizers: {}",
        finalizers.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;
    use crate::status::HealthStatus;

    #[derive(Debug)]
    struct Says(Result<Option<Health>, HealthError>);

    impl Override for Says {
        fn assess(&self, _: &Value) -> Result<Option<Health>, HealthError> {
            self.0.clone()
        }
    }

    fn says(status: HealthStatus) -> Arc<dyn Override> {
        Arc::new(Says(Ok(Some(Health::new(status, "")))))
    }

    fn status(assessor: &Assessor, object: &Value) -> Option<HealthStatus> {
        assessor.assess(object).unwrap().unwrap().status
    }

    /// SYNC-124: the exact key first, then patterns, then what is built in.
    #[test]
    fn overrides_beat_built_in_checks_and_exact_keys_beat_patterns() {
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
        assert_eq!(
            status(&Assessor::new(), &deployment),
            Some(HealthStatus::Healthy)
        );
        let patterns = Assessor::new().with_override("*/Deploy*", says(HealthStatus::Degraded));
        assert_eq!(status(&patterns, &deployment), Some(HealthStatus::Degraded));
        let both = patterns.with_override("apps/Deployment", says(HealthStatus::Suspended));
        assert_eq!(status(&both, &deployment), Some(HealthStatus::Suspended));
        assert_eq!(
            status(&both, &json!({"apiVersion": "v1", "kind": "Service"})),
            Some(HealthStatus::Healthy)
        );
    }

    /// SYNC-105: an error is Unknown with its text, and an error.
    #[test]
    fn a_failing_override_makes_the_object_unknown() {
        let broken: Arc<dyn Override> = Arc::new(Says(Err(HealthError("boom".to_owned()))));
        let failure = Assessor::new()
            .with_override("ConfigMap", broken)
            .assess(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "x"}}))
            .unwrap_err();
        assert_eq!(failure.health, Health::new(HealthStatus::Unknown, "boom"));
        assert_eq!(
            failure.error.to_string(),
            "failed to get resource health for shop/x: boom"
        );
    }

    /// SYNC-105: before 3.6 the deletion came first, since then the check does.
    #[test]
    fn a_failing_override_is_heard_of_what_is_being_deleted_since_3_6() {
        let broken: Arc<dyn Override> = Arc::new(Says(Err(HealthError("boom".to_owned()))));
        let assessor = Assessor::new().with_override("ConfigMap", broken);
        let leaving = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(
            assessor.assess(&leaving).unwrap_err().health,
            Health::new(HealthStatus::Unknown, "boom")
        );
        let before = assessor.with_version(ArgoVersion::V3_5).assess(&leaving);
        assert_eq!(
            before.unwrap().unwrap(),
            Health::progressing("Pending deletion")
        );
    }

    /// SYNC-105: since 3.6 a check may say of a deletion what it likes; elsewhere that says nothing.
    #[test]
    fn a_deletion_message_counts_while_the_object_is_being_deleted() {
        let said = Health {
            deletion_message: "waits for the bucket".to_owned(),
            ..Health::new(HealthStatus::Degraded, "ignored")
        };
        let assessor =
            Assessor::new().with_override("ConfigMap", Arc::new(Says(Ok(Some(said.clone())))));
        let there = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
        assert_eq!(
            assessor.assess(&there).unwrap().unwrap(),
            Health::degraded("ignored")
        );
        let leaving = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
        let taken = assessor.assess(&leaving).unwrap().unwrap();
        assert_eq!(
            (taken.status, taken.message.as_str()),
            (Some(HealthStatus::Degraded), "waits for the bucket")
        );
        assert_eq!(taken.deletion_message, said.deletion_message);
    }

    /// SYNC-105, SYNC-124.
    #[test]
    fn an_override_without_an_opinion_falls_through() {
        let none: Arc<dyn Override> = Arc::new(Says(Ok(None)));
        let assessor = Assessor::new().with_override("PersistentVolumeClaim", none);
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Lost"}});
        assert_eq!(status(&assessor, &claim), Some(HealthStatus::Degraded));
    }

    /// SYNC-123, SYNC-205: an empty status is an answer.
    #[test]
    fn an_empty_status_does_not_fall_through() {
        let empty: Arc<dyn Override> = Arc::new(Says(Ok(Some(Health::default()))));
        let assessor = Assessor::new().with_override("Service", empty);
        assert_eq!(
            status(&assessor, &json!({"apiVersion": "v1", "kind": "Service"})),
            None
        );
    }

    /// SYNC-125: without the bundled rules a CRD has no health.
    #[test]
    fn bundled_rules_can_be_switched_off() {
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "status": {"conditions": [{"type": "Established", "status": "True"}]}});
        assert_eq!(status(&Assessor::new(), &crd), Some(HealthStatus::Healthy));
        assert_eq!(Assessor::new().with_bundled(false).assess(&crd), Ok(None));
    }
}
