//! The stored state of an operation, as it goes into the trace.

use wavetank_model::{OperationPhase, Phase, ResultCode};
use wavetank_sync::ResourceResult;
use wavetank_sync::operation::OperationState;
use wavetank_trace as trace;

/// One per-resource result.
pub(crate) fn result(result: &ResourceResult) -> trace::ResourceResult {
    trace::ResourceResult {
        key: (*result.key).clone(),
        version: result.version.clone(),
        status: result.status,
        message: result.message.clone(),
        hook_type: result.hook_type,
        hook_phase: result.hook_phase,
        sync_phase: result.sync_phase,
        images: result.images.clone(),
    }
}

/// The whole state.
pub(crate) fn state(state: &OperationState) -> trace::OperationState {
    trace::OperationState {
        phase: state.phase,
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
