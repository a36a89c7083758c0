//! What a pass leaves behind: phases, result codes, per-resource results.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_model::{ObjectKey, Phase};

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
    /// As Argo CD spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::SyncFailed => "SyncFailed",
            Self::Pruned => "Pruned",
            Self::PruneSkipped => "PruneSkipped",
        }
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

/// The stored result of one task (SYNC-004).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceResult {
    /// The object. A cluster-scoped target carries the destination namespace (SYNC-008, SYNC-188).
    pub key: Arc<ObjectKey>,
    /// API version without group, as `v1`.
    #[serde(default)]
    pub version: String,
    /// Container images (SYNC-087).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Result code; `None` only where an error came before any (SYNC-060, SYNC-077).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ResultCode>,
    /// Text of the last record that had one (SYNC-081).
    #[serde(default)]
    pub message: String,
    /// The task's phase when it is a hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_type: Option<Phase>,
    /// How far it is; for all resources, not only hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_phase: Option<OperationPhase>,
    /// Phase of the sync the task ran in.
    pub sync_phase: Phase,
    /// Place among the results, from 1, given when first recorded.
    pub order: u32,
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
