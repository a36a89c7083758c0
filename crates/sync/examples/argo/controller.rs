//! What only the application controller says.

use jiff::Timestamp;
use wavetank_health::{Assessor, Pair};
use wavetank_json::{Value, json};
use wavetank_model::{ArgoVersion, ObjectKey};
use wavetank_sync::compare::{Comparison, ResourceComparison, SyncCode};
use wavetank_sync::operation::auto_sync::{
    AutoSync, AutomatedPolicy, Decision, SelfHealBackoff, decide,
};
use wavetank_sync::operation::{OperationState, RetryStrategy};

use crate::AskedPair;

/// What auto-sync does with an app that compares so.
pub(crate) fn decided(
    app: &Value,
    sync: &Value,
    resources: &[Value],
    now: Timestamp,
) -> Option<Value> {
    let (policy, state) = (&app["spec"]["syncPolicy"], &app["status"]["operationState"]);
    let on = |policy: &Value, name| policy[name] == true;
    let automated = policy.get("automated").map(|policy| AutomatedPolicy {
        enabled: policy["enabled"] != false,
        prune: on(policy, "prune"),
        self_heal: on(policy, "selfHeal"),
        allow_empty: on(policy, "allowEmpty"),
    });
    let retry: Option<RetryStrategy> = policy
        .get("retry")
        .and_then(|retry| wavetank_json::from_value(retry.clone()).ok());
    let compared = |resource: &Value| {
        Some(ResourceComparison {
            key: wavetank_json::from_value(resource.clone()).ok()?,
            // What is skipped has none.
            status: wavetank_json::from_value(resource["status"].clone()).ok()?,
            requires_pruning: resource["requiresPruning"] == true,
            live: None,
            extraneous: false,
        })
    };
    let comparison = Comparison {
        status: wavetank_json::from_value::<SyncCode>(sync["status"].clone()).ok()?,
        resources: resources.iter().filter_map(compared).collect(),
        others: resources.iter().any(|resource| resource["status"] == ""),
        copies: Vec::new(),
        unpermitted: Vec::new(),
        shared: Vec::new(),
        warnings: Vec::new(),
    };
    let decision = decide(&AutoSync {
        policy: automated,
        comparison: &comparison,
        revision: sync["revision"].as_str()?,
        same_sources: state["syncResult"]["source"] == app["spec"]["source"],
        last: last_operation(state).as_ref(),
        requested: app.get("operation").is_some(),
        deleting: app["metadata"].get("deletionTimestamp").is_some(),
        backoff: SelfHealBackoff::default(),
        retry: retry.as_ref(),
        now,
    });
    let decision = match decision {
        Decision::Nothing(_) => json!({}),
        Decision::SyncError(text) => json!({"syncError": text}),
        Decision::Later(at) => json!({"later": at.duration_since(now).as_secs_f64().ceil()}),
        Decision::Start(operation) => {
            let heals = |one: &wavetank_sync::ResourceFilter| json!({"group": one.group.clone(), "kind": one.kind.clone(), "name": one.name.clone()});
            json!({"start": {
                "prune": operation.prune,
                "attempts": operation.self_heal_attempts,
                "resources": operation.resources.iter().map(heals).collect::<Vec<Value>>(),
                "retry": wavetank_json::to_value(&operation.retry).ok()?,
            }})
        }
    };
    Some(json!({"decision": decision}))
}

/// The operation of a status, if there is one.
pub(crate) fn last_operation(state: &Value) -> Option<OperationState> {
    let time = |name| state[name].as_str().and_then(|text| text.parse().ok());
    let attempts = &state["operation"]["sync"]["autoHealAttemptsCount"];
    let revision = |result: &Value| result["revision"].as_str().unwrap_or_default().to_owned();
    Some(OperationState {
        phase: wavetank_json::from_value(state["phase"].clone()).ok()?,
        message: state["message"].as_str().unwrap_or_default().to_owned(),
        finished_at: time("finishedAt"),
        revision: state.get("syncResult").map(revision),
        self_heal_attempts: attempts
            .as_u64()
            .and_then(|count| count.try_into().ok())
            .unwrap_or(0),
        ..OperationState::start(RetryStrategy::never(), true, time("startedAt")?)
    })
}

/// The health of the app `app` that has these objects.
pub(crate) fn app_health(asked: &[AskedPair], version: ArgoVersion) -> Value {
    let app = ObjectKey {
        group: "argoproj.io".to_owned(),
        kind: "Application".to_owned(),
        namespace: "argocd".to_owned(),
        name: "app".to_owned(),
    };
    let pairs: Vec<Pair<'_>> = asked
        .iter()
        .map(|pair| Pair {
            target: pair.target.as_ref(),
            live: pair.live.as_ref(),
        })
        .collect();
    let health = wavetank_health::application(&Assessor::new().with_version(version), &app, &pairs);
    let each = |one: &Option<wavetank_health::Health>| {
        one.as_ref().map_or(Value::Null, |one| {
            wavetank_json::to_value(one).unwrap_or_default()
        })
    };
    // Since 3.6 it has one.
    let message = if version < ArgoVersion::V3_6 {
        String::new()
    } else {
        health.message()
    };
    json!({"app": {
        "status": health.status.as_str(),
        "message": message,
        "error": health.error.clone().unwrap_or_default(),
        "resources": health.resources.iter().map(each).collect::<Vec<Value>>(),
    }})
}
