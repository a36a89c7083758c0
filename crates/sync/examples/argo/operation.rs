//! One look at an operation.

use std::sync::Arc;

use jiff::SignedDuration;
use serde::Deserialize;
use wavetank_json::{Value, json};
use wavetank_model::{ArgoVersion, ObjectKey, OperationPhase, Phase};
use wavetank_sync::operation::{Act, Due, OperationState, RetryStrategy};
use wavetank_sync::{ResourceResult, StepOutput, SyncOptions};

use crate::Asked;
use crate::controller::last_operation;

/// What a step leaves, and whether somebody asks for the end of the operation meanwhile.
#[derive(Deserialize)]
pub(crate) struct Outcome {
    phase: OperationPhase,
    message: String,
    terminated: bool,
}

/// A result of before.
fn result(stored: &Value) -> Option<ResourceResult> {
    let key: ObjectKey = wavetank_json::from_value(stored.clone()).ok()?;
    Some(ResourceResult {
        key: Arc::new(key),
        version: stored["version"].as_str()?.to_owned(),
        images: Vec::new(),
        status: wavetank_json::from_value(stored["status"].clone()).ok()?,
        message: String::new(),
        hook_type: None,
        hook_phase: None,
        sync_phase: Phase::Sync,
        order: 1,
    })
}

/// What is done with the operation of an app, and how it stands then.
pub(crate) fn standing(asked: &Asked, version: ArgoVersion) -> Option<Value> {
    let (now, outcome) = (asked.at?, asked.outcome.as_ref()?);
    let timeout = SignedDuration::from_secs(asked.timeout);
    let operation = &asked.app["operation"];
    let retry: RetryStrategy = wavetank_json::from_value(operation["retry"].clone()).ok()?;
    let stored = &asked.app["status"]["operationState"];
    let mut state = match last_operation(stored).filter(|state| !state.over()) {
        None => OperationState::start(retry, false, now),
        Some(state) => OperationState {
            retry,
            retry_count: stored["retryCount"].as_u64()?.try_into().ok()?,
            results: stored["syncResult"]["resources"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(result)
                .collect(),
            ..state
        },
    };
    let requested = operation["sync"]["revision"].as_str().map(str::to_owned);
    state.revision = requested;
    let waits = match state.due(now, timeout) {
        Due::At(at) => Some(at),
        Due::Pass | Due::Idle | Due::Over => None,
    };
    let act = state.begin(now, timeout).act;
    let mut standing = json!({"act": "nothing", "results": false, "revision": ""});
    if act == Act::Nothing {
        let later = waits?.duration_since(now).as_secs_f64().ceil();
        standing["later"] = json!(later);
    } else {
        standing["act"] = json!(if act == Act::Step {
            "step"
        } else {
            "terminate"
        });
        if !state.message.is_empty() {
            standing["found"] = json!(state.message.clone());
        }
        standing["results"] = json!(!state.results.is_empty());
        standing["revision"] = json!(state.revision.clone().unwrap_or_default());
        if outcome.terminated {
            state.request_termination();
        }
        let output = StepOutput {
            phase: outcome.phase,
            message: outcome.message.clone(),
            results: Vec::new(),
        };
        state.finish(act, output, now, version);
    }
    let options = SyncOptions {
        dry_run: operation["sync"]["dryRun"] == true,
        ..SyncOptions::default()
    };
    standing["phase"] = wavetank_json::to_value(state.phase).ok()?;
    standing["message"] = json!(state.message.clone());
    standing["retries"] = json!(state.retry_count);
    standing["ended"] = json!(state.finished_at.is_some());
    standing["compares"] = json!(state.brings_comparison(&options));
    Some(json!({"standing": standing}))
}
