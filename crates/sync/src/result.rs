//! What a pass leaves behind: per-resource results.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_model::{ObjectKey, OperationPhase, Phase, ResultCode};

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
