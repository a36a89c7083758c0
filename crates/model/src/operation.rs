//! Words that the stored state of an operation is told in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Phase of an operation, and of a single resource of it (SYNC-079, SYNC-080).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationPhase {
    /// In progress.
    Running,
    /// Asked to end early.
    Terminating,
    /// Done.
    Succeeded,
    /// Objects or hooks failed, tasks were not valid, or it was terminated.
    Failed,
    /// The infrastructure failed.
    Error,
}

impl OperationPhase {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Terminating,
        Self::Succeeded,
        Self::Failed,
        Self::Error,
    ];

    /// Reads the exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Whether it is over: Failed, Error or Succeeded.
    pub const fn completed(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Error)
    }

    /// As Argo CD spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Error => "Error",
        }
    }
}

impl fmt::Display for OperationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Result code of one resource (SYNC-080).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ResultCode {
    /// Applied.
    Synced,
    /// Not applied, not pruned, or gone since.
    SyncFailed,
    /// Its deletion was asked for.
    Pruned,
    /// Left alone although it left the desired state.
    PruneSkipped,
}

impl ResultCode {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Synced,
        Self::SyncFailed,
        Self::Pruned,
        Self::PruneSkipped,
    ];

    /// As Argo CD spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::SyncFailed => "SyncFailed",
            Self::Pruned => "Pruned",
            Self::PruneSkipped => "PruneSkipped",
        }
    }

    /// Reads the exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The resource's phase right after the call (SYNC-065).
    pub const fn phase(self) -> OperationPhase {
        match self {
            Self::Synced => OperationPhase::Running,
            Self::SyncFailed => OperationPhase::Failed,
            Self::Pruned | Self::PruneSkipped => OperationPhase::Succeeded,
        }
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-065, SYNC-080: what a call left behind, until health is looked at.
    #[test]
    fn a_result_code_has_a_phase() {
        let phases = [
            ("Synced", ResultCode::Synced, OperationPhase::Running),
            ("SyncFailed", ResultCode::SyncFailed, OperationPhase::Failed),
            ("Pruned", ResultCode::Pruned, OperationPhase::Succeeded),
            (
                "PruneSkipped",
                ResultCode::PruneSkipped,
                OperationPhase::Succeeded,
            ),
        ];
        for (name, code, phase) in phases {
            assert_eq!((code.as_str(), code.phase()), (name, phase));
        }
    }

    /// SYNC-079.
    #[test]
    fn three_phases_are_the_end() {
        let phases = [
            ("Running", OperationPhase::Running, false),
            ("Terminating", OperationPhase::Terminating, false),
            ("Succeeded", OperationPhase::Succeeded, true),
            ("Failed", OperationPhase::Failed, true),
            ("Error", OperationPhase::Error, true),
        ];
        for (name, phase, completed) in phases {
            assert_eq!((phase.as_str(), phase.completed()), (name, completed));
        }
    }
}
