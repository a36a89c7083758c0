//! Answers as `tools/argo` does, by our own code: a line for each line of standard input. The argument is the version
//! of Argo CD.

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use wavetank_health::{Assessor, Pair};
use wavetank_json::{Value, json};
use wavetank_model::{ArgoVersion, ObjectKey};
use wavetank_sync::compare::{Comparison, ResourceComparison, SyncCode, is_modified};
use wavetank_sync::ignore::{IgnoredDifference, with_live_values};
use wavetank_sync::operation::auto_sync::{
    AutoSync, AutomatedPolicy, Decision, SelfHealBackoff, decide,
};
use wavetank_sync::operation::{OperationState, RetryStrategy};
use wavetank_sync::project::{Project, SyncWindow, WindowVerdict, can_sync};
use wavetank_sync::server_side_diff::{self, Question};
use wavetank_sync::{SyncOptions, TrackingMethod};

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    target: Value,
    #[serde(default)]
    live: Value,
    #[serde(default)]
    ignored: Vec<IgnoredDifference>,
    way: Way,
    #[serde(default)]
    windows: Vec<SyncWindow>,
    project: Option<Project>,
    #[serde(default)]
    manual: bool,
    at: Option<Timestamp>,
    started: Option<Timestamp>,
    #[serde(default)]
    app: Value,
    #[serde(default)]
    sync: Value,
    #[serde(default)]
    resources: Vec<Value>,
    #[serde(default)]
    pairs: Vec<AskedPair>,
    #[serde(default)]
    retry: RetryStrategy,
    #[serde(default)]
    count: u32,
}

/// An object as it is desired, as it is in the cluster, or both.
#[derive(Deserialize)]
struct AskedPair {
    target: Option<Value>,
    live: Option<Value>,
}

/// What is asked of the objects.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Way {
    Compared,
    ByServer,
    Merged,
    Respected,
    Assessed,
    Permitted,
    Overrun,
    InProject,
    Decided,
    AppHealth,
    Retried,
}

/// What our own code says; `None` where there is no answer.
fn answer(asked: Asked, version: ArgoVersion) -> Option<Value> {
    let options = SyncOptions {
        ignore_differences: asked.ignored,
        server_side_apply: asked.way == Way::Merged,
        version,
        ..SyncOptions::default()
    };
    let (target, live) = (asked.target, Arc::new(asked.live));
    Some(match asked.way {
        Way::Compared | Way::Merged => {
            let modified = is_modified(&target, &live, TrackingMethod::Annotation, &options);
            json!({"modified": modified})
        }
        Way::ByServer => {
            let question = Question::new(&target, live, &options)?;
            let predicted = dry_run(&question.target).ok()?;
            let modified = server_side_diff::is_modified(&question, &predicted, &options).ok()?;
            json!({"modified": modified})
        }
        Way::Respected => {
            let ignored = options.ignored(&target);
            json!({"sent": with_live_values(&ignored, &target, &live, version)})
        }
        Way::Assessed => match Assessor::new().with_version(version).assess(&live) {
            Ok(health) => json!({"health": wavetank_json::to_value(&health).ok()?}),
            Err(error) => json!({"error": error.to_string()}),
        },
        Way::Permitted | Way::Overrun => {
            // Virtual time counts milliseconds.
            let at = Timestamp::from_millisecond(asked.at?.as_millisecond()).ok()?;
            let (windows, manual) = (&asked.windows, asked.manual);
            match can_sync(windows, "app", "demo", manual, at, asked.started) {
                WindowVerdict::Allowed => json!({"permitted": true}),
                WindowVerdict::Blocked(text) if text.contains("invalid") => json!({"error": text}),
                WindowVerdict::Blocked(_) => json!({"permitted": false}),
            }
        }
        Way::InProject => {
            let permitted = asked.project?.permits_live(&ObjectKey::of(&live)?, version);
            json!({"permitted": permitted})
        }
        Way::Decided => decided(&asked.app, &asked.sync, &asked.resources, asked.at?)?,
        Way::AppHealth => app_health(&asked.pairs, version),
        Way::Retried => match asked.retry.wait(asked.count) {
            Ok(wait) => json!({"wait": wait.as_secs_f64()}),
            Err(error) => json!({"error": error.to_string()}),
        },
    })
}

/// What auto-sync does with an app that compares so.
fn decided(app: &Value, sync: &Value, resources: &[Value], now: Timestamp) -> Option<Value> {
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
fn last_operation(state: &Value) -> Option<OperationState> {
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
fn app_health(asked: &[AskedPair], version: ArgoVersion) -> Value {
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

/// What the server says of an object: who asks us is asked.
fn dry_run(object: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    writeln!(std::io::stdout(), "{}", json!({"dryRun": object}))?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let version = std::env::args().nth(1);
    let version = version.and_then(|version| ArgoVersion::parse(&version));
    let version = version.ok_or("usage: argo VERSION, that of Argo CD")?;
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        let asked: Asked = serde_json::from_str(&line)?;
        let answer = answer(asked, version).unwrap_or_else(|| json!({"modified": null}));
        writeln!(std::io::stdout(), "{answer}")?;
        line.clear();
    }
    Ok(())
}
