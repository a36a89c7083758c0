//! What an assessment says.

use std::fmt;

use serde::{Deserialize, Serialize};
use wavetank_json::Value;
use wavetank_model::object;

/// The six health statuses, in the order of severity (SYNC-107).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthStatus {
    /// It does what it should.
    Healthy,
    /// It waits until somebody resumes it.
    Suspended,
    /// It is on its way.
    Progressing,
    /// It is not there.
    Missing,
    /// It failed or cannot get further.
    Degraded,
    /// It could not be assessed.
    Unknown,
}

impl HealthStatus {
    /// Every status, the mildest first.
    pub const ALL: [Self; 6] = [
        Self::Healthy,
        Self::Suspended,
        Self::Progressing,
        Self::Missing,
        Self::Degraded,
        Self::Unknown,
    ];

    /// As Argo CD spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// Reads the exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether this status is worse than `other` (SYNC-107).
    pub fn is_worse(self, other: Self) -> bool {
        self > other
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The health of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The status; `None` is the *empty* status that a script answers by returning nothing (SYNC-123, SYNC-205).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<HealthStatus>,
    /// Why, for a reader; often empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What a script says of the object's deletion, in place of the rule for all kinds; since Argo CD 3.6. An assessment
    /// has it only where it took it: `message` says the same then.
    #[serde(skip)]
    pub deletion_message: String,
}

impl Health {
    /// A health of `status` with `message`.
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self {
            status: Some(status),
            message: message.into(),
            deletion_message: String::new(),
        }
    }

    pub(crate) fn healthy(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Healthy, message)
    }

    pub(crate) fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Progressing, message)
    }

    pub(crate) fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }
}

/// Why a check or a script gave no health; its text is the one users of Argo CD see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HealthError(pub String);

/// An assessment that failed: the object counts as Unknown, and the error is reported beside it (SYNC-105).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct HealthFailure {
    /// Unknown, with the text of the error.
    pub health: Health,
    /// The error itself; where a script failed it names the object.
    pub error: HealthError,
}

impl HealthFailure {
    /// The failure of a script, configured or bundled, on `object`: the error says where, the health does not (SYNC-123).
    pub(crate) fn of_script(object: &Value, error: HealthError) -> Self {
        let (namespace, name) = (object::namespace(object), object::name(object));
        let text = format!("failed to get resource health for {namespace}/{name}: {error}");
        Self {
            error: HealthError(text),
            ..Self::from(error)
        }
    }
}

impl From<HealthError> for HealthFailure {
    fn from(error: HealthError) -> Self {
        Self {
            health: Health::new(HealthStatus::Unknown, error.0.clone()),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-107.
    #[test]
    fn severity_rises_from_healthy_to_unknown() {
        let mut sorted = HealthStatus::ALL;
        sorted.sort_unstable();
        assert_eq!(sorted, HealthStatus::ALL);
        assert!(HealthStatus::Missing.is_worse(HealthStatus::Progressing));
        assert!(!HealthStatus::Suspended.is_worse(HealthStatus::Suspended));
    }

    #[test]
    fn names_are_read_exactly() {
        assert_eq!(
            HealthStatus::parse("Degraded"),
            Some(HealthStatus::Degraded)
        );
        assert_eq!(HealthStatus::parse("degraded"), None);
    }
}
