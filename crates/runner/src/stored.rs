//! The stored state of an operation, as it goes into the trace.

use wavetank_model::Phase;
use wavetank_sync::operation::OperationState;
use wavetank_sync::{OperationPhase, ResourceResult, ResultCode};
use wavetank_trace as trace;

/// The phase of an operation or resource.
pub(crate) fn phase(phase: OperationPhase) -> trace::OperationPhase {
    match phase {
        OperationPhase::Running => trace::OperationPhase::Running,
        OperationPhase::Terminating => trace::OperationPhase::Terminating,
        OperationPhase::Succeeded => trace::OperationPhase::Succeeded,
        OperationPhase::Failed => trace::OperationPhase::Failed,
        OperationPhase::Error => trace::OperationPhase::Error,
    }
}

/// One per-resource result.
pub(crate) fn result(result: &ResourceResult) -> trace::ResourceResult {
    trace::ResourceResult {
        key: (*result.key).clone(),
        version: result.version.clone(),
        status: result.status.map(|code| match code {
            ResultCode::Synced => trace::ResultStatus::Synced,
            ResultCode::SyncFailed => trace::ResultStatus::SyncFailed,
            ResultCode::Pruned => trace::ResultStatus::Pruned,
            ResultCode::PruneSkipped => trace::ResultStatus::PruneSkipped,
        }),
        message: result.message.clone(),
        hook_type: result.hook_type,
        hook_phase: result.hook_phase.map(phase),
        sync_phase: result.sync_phase,
        images: result.images.clone(),
    }
}

/// The whole state.
pub(crate) fn state(state: &OperationState) -> trace::OperationState {
    trace::OperationState {
        phase: phase(state.phase),
        message: state.message.clone(),
        retries: state.retry_count,
        revision: state.revision.clone().unwrap_or_default(),
        results: state.results.iter().map(result).collect(),
    }
}

/// Whether a SyncFail hook did not do well.
pub(crate) fn sync_fail_failed(results: &[ResourceResult]) -> bool {
    results
        .iter()
        .filter(|result| result.sync_phase == Phase::SyncFail)
        .any(|result| {
            result.status == Some(ResultCode::SyncFailed)
                || matches!(
                    result.hook_phase,
                    Some(OperationPhase::Failed | OperationPhase::Error)
                )
        })
}
