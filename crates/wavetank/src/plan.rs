//! What the first sync of a scenario would do, without doing it.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::{GroupKind, ObjectKey, OperationPhase, ResultCode, object};
use wavetank_report::{Plan, PlannedTask};
use wavetank_scenario::{Scenario, StepAction, SyncRequest};
use wavetank_sync::kinds::KnownKind;
use wavetank_sync::ledger::Ledger;
use wavetank_sync::plan::{Reason, Task, ViewAsks, build};
use wavetank_sync::target::{Targets, normalise};
use wavetank_sync::{ApiResource, AppIdentity, Kinds, ResourceFilter, StepInput, SyncOptions};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The operating system gives no runtime.
    #[error("the operating system gives no runtime")]
    Runtime(#[from] std::io::Error),
    /// No step asks for a sync.
    #[error("{scenario} has no sync step")]
    NoSync {
        /// Name of the scenario.
        scenario: String,
    },
}

/// 2026-01-01T00:00:00Z, the start of every simulated run, in Unix seconds.
const EPOCH: i64 = 1_767_225_600;

/// The task list of the scenario's first sync step, over the objects that are there before the first step.
///
/// Steps before that sync are not carried out; where there are any, a warning says so.
///
/// # Errors
/// [`PlanError::NoSync`] when nothing is synced at all.
pub fn plan(scenario: &Scenario) -> Result<Plan, PlanError> {
    let sync = scenario
        .steps
        .iter()
        .enumerate()
        .find_map(|(index, step)| match &step.action {
            StepAction::Sync(request) => Some((index, request)),
            _ => None,
        });
    let (before, request) = sync.ok_or_else(|| PlanError::NoSync {
        scenario: scenario.name.clone(),
    })?;
    let kinds = Arc::new(kinds(scenario));
    let identity = wavetank_runner::identity(&scenario.app);
    let targets = normalise(
        &scenario.app.manifests,
        &identity,
        &kinds,
        scenario.app.settings.version,
    );
    let live = live(scenario, &kinds);
    let options = options(scenario, request, &targets, &live);
    let prune = options.prune;
    let input = input(
        scenario,
        identity,
        Arc::clone(&kinds),
        live.clone(),
        options,
    );
    let mut ledger = Ledger::new(Vec::new());
    let mut asks = ViewAsks::new(kinds, live);
    let runtime = wavetank_cluster_sim::runtime()?;
    let built = runtime.block_on(build(&input, &targets, &mut ledger, &mut asks));

    let home = &scenario.app.namespace;
    let mut warnings: Vec<String> = built
        .warnings
        .iter()
        .map(|warning| format!("{}: {}", warning.key.short(home), warning.text))
        .collect();
    let refused = ledger
        .results()
        .iter()
        .filter(|result| result.status == Some(ResultCode::SyncFailed));
    warnings
        .extend(refused.map(|result| format!("{}: {}", result.key.short(home), result.message)));
    if before > 0 {
        warnings.push(format!(
            "what the {before} steps before the first sync do is not part of this plan"
        ));
    }
    Ok(Plan {
        scenario: scenario.name.clone(),
        path: scenario.path.display().to_string(),
        namespace: home.clone(),
        tasks: built
            .tasks
            .iter()
            .map(|task| planned(task, prune))
            .collect(),
        warnings,
    })
}

fn input(
    scenario: &Scenario,
    app: AppIdentity,
    kinds: Arc<Kinds>,
    live: Vec<Arc<Value>>,
    options: SyncOptions,
) -> StepInput {
    StepInput {
        app,
        revision: scenario.app.revision.clone().unwrap_or_default(),
        targets: scenario.app.manifests.clone().into(),
        live,
        kinds,
        options: Arc::new(options),
        started_at: EPOCH,
        phase: OperationPhase::Running,
        message: String::new(),
        results: Vec::new(),
        prune_confirmed: false,
        answers: Arc::default(),
    }
}

/// The built-in kinds, and those whose CRDs are there before the first step.
fn kinds(scenario: &Scenario) -> Kinds {
    let mut kinds = Kinds::builtin();
    for object in &scenario.cluster.objects {
        if let Some((kind, known)) = custom_kind(object) {
            kinds.insert(kind, known);
        }
    }
    kinds
}

fn custom_kind(object: &Value) -> Option<(GroupKind, KnownKind)> {
    if object.get("kind")?.as_str()? != "CustomResourceDefinition" {
        return None;
    }
    let spec = object.get("spec")?;
    let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str);
    let versions = spec.get("versions")?.as_array()?.iter();
    let served =
        versions.filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
    let versions = served
        .filter_map(|version| Some(version.get("name")?.as_str()?.to_owned()))
        .collect();
    let resource = ApiResource {
        plural: text("/names/plural")?.to_owned(),
        namespaced: text("/scope")? == "Namespaced",
    };
    Some((
        GroupKind::new(text("/group")?, text("/names/kind")?),
        KnownKind { versions, resource },
    ))
}

/// What is there before the first step: the namespaces every cluster has, and `cluster.objects`.
fn live(scenario: &Scenario, kinds: &Kinds) -> Vec<Arc<Value>> {
    let namespaces = ["default", "kube-node-lease", "kube-public", "kube-system"];
    let namespace = |name| {
        Arc::new(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
    };
    let given = scenario
        .cluster
        .objects
        .iter()
        .map(|object| in_namespace(object, kinds));
    namespaces.into_iter().map(namespace).chain(given).collect()
}

/// As kubectl does it: a namespaced object without namespace goes to `default`.
fn in_namespace(object: &Arc<Value>, kinds: &Kinds) -> Arc<Value> {
    let key = ObjectKey::of(object).unwrap_or_default();
    if !key.namespace.is_empty() || kinds.namespaced(&key.group_kind()) != Some(true) {
        return Arc::clone(object);
    }
    let mut object = Value::clone(object);
    object["metadata"]["namespace"] = "default".into();
    Arc::new(object)
}

fn options(
    scenario: &Scenario,
    request: &SyncRequest,
    targets: &Targets,
    live: &[Arc<Value>],
) -> SyncOptions {
    let mut options = wavetank_runner::sync_options(&scenario.app, request);
    let desired = targets.list.iter().map(|target| target.key.clone());
    let keys: Vec<ObjectKey> = desired
        .chain(live.iter().filter_map(|object| ObjectKey::of(object)))
        .collect();
    for reference in &request.resources {
        let meant = keys
            .iter()
            .filter(|key| reference.matches(key, &scenario.app.namespace));
        options
            .resources
            .extend(meant.map(|key| ResourceFilter::from(key.clone())));
    }
    options
}

fn planned(task: &Task, prune: bool) -> PlannedTask {
    let mut key = ObjectKey::clone(&task.key);
    let prefix = object::meta_str(task.object(), "generateName");
    if !task.is_prune() && !prefix.is_empty() {
        key.name = format!("{prefix}*");
    }
    let action = match (task.is_prune(), task.live.is_some()) {
        (true, _) if prune => "prune",
        (true, _) => "keep",
        (false, true) if task.deletes_before_creation() => "delete and create",
        (false, true) => "apply",
        (false, false) => "create",
    };
    let rank = Reason::KindRank(task.kind_rank);
    let reasons = task.reasons();
    let own = reasons.iter().filter(|reason| **reason != rank);
    // Within a wave the kind decides; hooks among themselves mostly are of one kind.
    let reasons: Vec<String> = own
        .chain((!task.hook).then_some(&rank))
        .map(ToString::to_string)
        .collect();
    PlannedTask {
        phase: task.phase,
        wave: task.wave_number(),
        key,
        action: action.to_owned(),
        hook: task.hook,
        reason: reasons.join("; "),
    }
}
