//! The one grammar of events: *subject verb* (scenario format, section 4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::reference::{Reference, ReferenceError};

/// A phase of a sync or of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Before the application's objects.
    PreSync,
    /// The application's objects.
    Sync,
    /// After they are healthy.
    PostSync,
    /// After a failure.
    SyncFail,
    /// Before the application is deleted.
    PreDelete,
    /// After it was deleted.
    PostDelete,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 6] = [
        Self::PreSync,
        Self::Sync,
        Self::PostSync,
        Self::SyncFail,
        Self::PreDelete,
        Self::PostDelete,
    ];

    /// As Argo CD spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
            Self::PreDelete => "PreDelete",
            Self::PostDelete => "PostDelete",
        }
    }

    /// Reads the exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A wave number, or the wave of a phase that has none (`SyncFail/*`, SYNC-164).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WaveNumber {
    /// All of the phase at once, written `*`.
    All,
    /// A numbered wave.
    Number(i64),
}

impl fmt::Display for WaveNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Objects.
    Object(Reference),
    /// The operation.
    Operation,
    /// A phase.
    Phase(Phase),
    /// A wave of a phase.
    Wave(Phase, WaveNumber),
    /// The application.
    App,
    /// The engine.
    Engine,
    /// A named fault.
    Fault(String),
    /// A named bound action.
    Do(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(reference) => reference.fmt(f),
            Self::Operation => f.write_str("operation"),
            Self::Phase(phase) => phase.fmt(f),
            Self::Wave(phase, wave) => write!(f, "{phase}/{wave}"),
            Self::App => f.write_str("app"),
            Self::Engine => f.write_str("engine"),
            Self::Fault(name) => write!(f, "fault/{name}"),
            Self::Do(name) => write!(f, "do/{name}"),
        }
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What happened to a subject.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Verb { $($(#[$doc])* $variant,)* }

        impl Verb {
            /// Every verb.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

verbs! {
    /// The engine's task was carried out.
    Applied = "applied",
    /// The engine's call failed.
    Rejected = "rejected",
    /// The engine asked for the deletion of an object that left the desired state.
    Pruned = "pruned",
    /// Committed by the API: came into being.
    Created = "created",
    /// Committed by the API: changed.
    Updated = "updated",
    /// Committed by the API: deletionTimestamp set; of the app: the request to delete it was accepted.
    Deleting = "deleting",
    /// Gone.
    Deleted = "deleted",
    /// Health became Healthy.
    Healthy = "healthy",
    /// Health became Progressing.
    Progressing = "progressing",
    /// Health became Degraded.
    Degraded = "degraded",
    /// Health became Suspended.
    Suspended = "suspended",
    /// Health became Unknown.
    Unknown = "unknown",
    /// App health became Missing.
    Missing = "missing",
    /// A finite object, or the operation, ended well.
    Succeeded = "succeeded",
    /// A finite object, phase, wave or the operation failed.
    Failed = "failed",
    /// Operation, phase or wave began.
    Started = "started",
    /// Phase or wave ended well.
    Completed = "completed",
    /// The operation ended in Error.
    Error = "error",
    /// The operation is terminating.
    Terminating = "terminating",
    /// The operation will be tried again.
    Retrying = "retrying",
    /// The app became Synced.
    Synced = "synced",
    /// The app became `OutOfSync`.
    OutOfSync = "outofsync",
    /// The engine was restarted.
    Restarted = "restarted",
    /// A fault or bound action fired.
    Fired = "fired",
}

impl Verb {
    /// The verbs a subject can have.
    pub fn of(subject: &Subject) -> &'static [Self] {
        use Verb::{
            Applied, Completed, Created, Degraded, Deleted, Deleting, Error, Failed, Fired,
            Healthy, Missing, OutOfSync, Progressing, Pruned, Rejected, Restarted, Retrying,
            Started, Succeeded, Suspended, Synced, Terminating, Unknown, Updated,
        };
        match subject {
            Subject::Object(_) => &[
                Applied,
                Rejected,
                Pruned,
                Created,
                Updated,
                Deleting,
                Deleted,
                Healthy,
                Progressing,
                Degraded,
                Suspended,
                Unknown,
                Succeeded,
                Failed,
            ],
            Subject::Operation => &[Started, Succeeded, Failed, Error, Terminating, Retrying],
            Subject::Phase(_) | Subject::Wave(..) => &[Started, Completed, Failed],
            Subject::App => &[
                Synced,
                OutOfSync,
                Healthy,
                Progressing,
                Degraded,
                Missing,
                Deleting,
                Deleted,
            ],
            Subject::Engine => &[Restarted],
            Subject::Fault(_) | Subject::Do(_) => &[Fired],
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event as it is written in a scenario: `Job/smoke-* applied`, `Sync/1 started`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPattern {
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub verb: Verb,
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.verb)
    }
}

/// Why a text is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not two words.
    #[error("an event reads `subject verb`, this is `{0}`")]
    Words(String),
    /// The verb does not exist.
    #[error("there is no verb `{verb}`")]
    Verb {
        /// What was written.
        verb: String,
    },
    /// The verb exists, but not for this subject.
    #[error("`{subject}` cannot be `{verb}`; it can be {}", list(.allowed))]
    NotOfSubject {
        /// The subject.
        subject: String,
        /// The verb.
        verb: Verb,
        /// What the subject can be.
        allowed: &'static [Verb],
    },
    /// The subject is no reference.
    #[error("{0}")]
    Subject(#[from] ReferenceError),
    /// The wave is no number.
    #[error("`{0}` is no wave: a wave reads `Sync/1`, and `SyncFail/*`")]
    Wave(String),
}

fn list(verbs: &[Verb]) -> String {
    verbs
        .iter()
        .map(|verb| format!("`{verb}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl FromStr for Subject {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        match text {
            "operation" => return Ok(Self::Operation),
            "app" => return Ok(Self::App),
            "engine" => return Ok(Self::Engine),
            _ => {}
        }
        if let Some(name) = text.strip_prefix("fault/") {
            return Ok(Self::Fault(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("do/") {
            return Ok(Self::Do(name.to_owned()));
        }
        let (head, wave) = match text.split_once('/') {
            Some((head, wave)) => (head, Some(wave)),
            None => (text, None),
        };
        if let Some(phase) = Phase::parse(head) {
            return match (phase, wave) {
                (_, None) => Ok(Self::Phase(phase)),
                (Phase::SyncFail, Some("*")) => Ok(Self::Wave(phase, WaveNumber::All)),
                (Phase::SyncFail, Some(_)) => Err(EventError::Wave(text.to_owned())),
                (_, Some(wave)) => {
                    let number = wave
                        .parse()
                        .map_err(|_| EventError::Wave(text.to_owned()))?;
                    Ok(Self::Wave(phase, WaveNumber::Number(number)))
                }
            };
        }
        Ok(Self::Object(text.parse()?))
    }
}

impl FromStr for EventPattern {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let mut words = text.split_whitespace();
        let (Some(subject), Some(verb), None) = (words.next(), words.next(), words.next()) else {
            return Err(EventError::Words(text.to_owned()));
        };
        let subject: Subject = subject.parse()?;
        let verb = Verb::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == verb)
            .ok_or_else(|| EventError::Verb {
                verb: verb.to_owned(),
            })?;
        let allowed = Verb::of(&subject);
        if !allowed.contains(&verb) {
            return Err(EventError::NotOfSubject {
                subject: subject.to_string(),
                verb,
                allowed,
            });
        }
        Ok(Self { subject, verb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_and_print_alike() {
        for text in [
            "Job/smoke-* applied",
            "Certificate.cert-manager.io/shop/tls healthy",
            "operation retrying",
            "PreSync completed",
            "Sync/-1 started",
            "SyncFail/* failed",
            "app outofsync",
            "fault/flaky fired",
        ] {
            assert_eq!(text.parse::<EventPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_events_say_why() {
        let message = |text: &str| text.parse::<EventPattern>().unwrap_err().to_string();
        assert_eq!(message("Job/x aplied"), "there is no verb `aplied`");
        assert_eq!(
            message("operation applied"),
            "`operation` cannot be `applied`; it can be `started`, `succeeded`, `failed`, `error`, `terminating`, `retrying`"
        );
        assert_eq!(
            message("SyncFail/1 started"),
            "`SyncFail/1` is no wave: a wave reads `Sync/1`, and `SyncFail/*`"
        );
        assert_eq!(
            message("Job/x"),
            "an event reads `subject verb`, this is `Job/x`"
        );
    }
}
