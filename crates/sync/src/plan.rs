//! The task list: which tasks there are, and in which order (SYNC-014..042).
//!
//! [`build`] asks for discovery and for the destination namespace, as Argo CD does; [`ViewAsks`] answers both from the
//! view, for a plan without any request.

mod order;
mod task;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::{
    ArgoVersion, GroupVersionKind, ObjectKey, OperationPhase, Phase, ResultCode, argo, object,
};

pub use order::{RANKED_KINDS, kind_rank};
pub use task::{Reason, Task};
pub use view::ViewAsks;

use crate::engine::{Asks, DiscoverError, ResourceRef, StepInput};
use crate::kinds::ApiResource;
use crate::ledger::Ledger;
use crate::reconcile::{LiveIndex, Pair, reconcile};
use crate::target::{Target, Targets, Warning};

/// The task list of a pass.
#[derive(Debug, Default)]
pub struct Plan {
    /// The tasks in order.
    pub tasks: Vec<Task>,
    /// Remarks about the desired state.
    pub warnings: Vec<Warning>,
    /// Whether every task may run (SYNC-031); else the failures are in the ledger.
    pub valid: bool,
}

/// Builds the task list and records what is wrong with it.
pub async fn build(
    input: &StepInput,
    targets: &Targets,
    ledger: &mut Ledger,
    asks: &mut dyn Asks,
) -> Plan {
    let reconciled = reconcile(targets, &input.live, &input.app, &input.options);
    let mut tasks = resource_tasks(input, &reconciled.pairs);
    if !input.options.skip_hooks() {
        hook_tasks(input, &reconciled.hooks, &mut tasks);
    }
    auto_namespace(input, &reconciled.pairs, &mut tasks, ledger, asks).await;
    find_live(&mut tasks, &reconciled.pairs);
    let valid = check(input, targets, &mut tasks, ledger, asks).await;
    order::mirror_prune_waves(&mut tasks);
    order::prune_last(&mut tasks, input.options.prune_last);
    order::sort(&mut tasks);
    for task in &mut tasks {
        ledger.attach(task);
    }
    Plan {
        tasks,
        warnings: targets.warnings.clone(),
        valid,
    }
}

/// Finds live objects for hooks and for the destination namespace (SYNC-030). All other targets without a live object
/// have been looked for by their full key already.
fn find_live(tasks: &mut [Task], pairs: &[Pair]) {
    let mut index = None;
    for task in tasks
        .iter_mut()
        .filter(|task| task.live.is_none() && wants_lookup(task))
    {
        let index = index.get_or_insert_with(|| LiveIndex::new(pairs));
        task.live = index.find(&task.gvk, &task.key.namespace, &task.key.name);
    }
}

fn wants_lookup(task: &Task) -> bool {
    task.target.is_some() && (task.hook || task.key.namespace.is_empty())
}

/// Group and kind that a CRD defines; `None` for anything else.
pub(crate) fn defined_kind(object: &Value) -> Option<(&str, &str)> {
    let api_version = object.get("apiVersion")?.as_str()?;
    let is_crd = object.get("kind")?.as_str()? == "CustomResourceDefinition"
        && api_version
            .split_once('/')
            .is_some_and(|(group, _)| group == "apiextensions.k8s.io");
    if !is_crd {
        return None;
    }
    let spec = object.get("spec")?;
    Some((
        spec.get("group")?.as_str()?,
        spec.get("names")?.get("kind")?.as_str()?,
    ))
}

/// One task for each pair that takes part (SYNC-021, SYNC-022).
fn resource_tasks(input: &StepInput, pairs: &[Pair]) -> Vec<Task> {
    let mut tasks = Vec::with_capacity(pairs.len());
    // Live objects that the project does not permit are none of the app's (SYNC-010).
    let permitted = |pair: &Pair| match (&input.options.project, &pair.live, &pair.target) {
        (Some(project), Some(live), None) => {
            ObjectKey::of(live).is_none_or(|key| project.permits_live(&key, input.options.version))
        }
        _ => true,
    };
    for pair in pairs
        .iter()
        .filter(|pair| !pair.foreign_copy && permitted(pair))
    {
        let task = match (&pair.target, &pair.live) {
            (Some(target), live) => {
                if target.phases.is_empty() || !selected(input, target, live.as_deref()) {
                    continue;
                }
                let mut task = target_task(target, Phase::Sync);
                if let Some(live) = live {
                    respect_ignored(input, &mut task, live);
                }
                task.live.clone_from(live);
                task
            }
            (None, Some(live)) => match prune_task(input, live) {
                Some(task) => task,
                None => continue,
            },
            (None, None) => continue,
        };
        tasks.push(task);
    }
    tasks
}

/// Gives ignored fields their live values, where an option says so (SYNC-103).
fn respect_ignored(input: &StepInput, task: &mut Task, live: &Value) {
    let options = &input.options;
    if !options.respect_ignore_differences {
        return;
    }
    if let Some(target) = &mut task.target {
        *target = Arc::new(crate::ignore::with_live_values(
            &options.ignored(target),
            target,
            live,
            options.version,
        ));
    }
}

/// The filter of a selective sync, by the live object's key if there is one (SYNC-022).
fn selected(input: &StepInput, target: &Target, live: Option<&Value>) -> bool {
    input.options.resources.is_empty()
        || match live.and_then(ObjectKey::of) {
            Some(key) => input.options.selects(&key),
            None => input.options.selects(&target.key),
        }
}

/// A task for a live object that no target names; none for hooks and skipped objects (SYNC-021, SYNC-216).
fn prune_task(input: &StepInput, live: &Arc<Value>) -> Option<Task> {
    let (gvk, key) = (GroupVersionKind::of(live)?, ObjectKey::of(live)?);
    if argo::is_hook(live) || argo::is_skipped(live) || !input.options.selects(&key) {
        return None;
    }
    let kind_rank = kind_rank(&gvk.kind);
    let mut task = new_task(
        Phase::Sync,
        Arc::new(key),
        Arc::new(gvk),
        argo::wave(live),
        kind_rank,
    );
    task.live = Some(live.clone());
    Some(task)
}

fn new_task(
    phase: Phase,
    key: Arc<ObjectKey>,
    gvk: Arc<GroupVersionKind>,
    own_wave: i64,
    kind_rank: u8,
) -> Task {
    Task {
        phase,
        key,
        gvk,
        target: None,
        live: None,
        hook: false,
        policies: Vec::new(),
        own_wave,
        wave_override: None,
        kind_rank,
        resource: None,
        skip_dry_run: false,
        status: None,
        operation: None,
        message: String::new(),
        moved: Vec::new(),
    }
}

/// A task that applies `target`; an empty namespace becomes the destination's, whatever the scope (SYNC-027).
fn target_task(target: &Target, phase: Phase) -> Task {
    let (key, gvk) = (target.result_key.clone(), target.gvk.clone());
    let mut task = new_task(phase, key, gvk, target.wave, target.kind_rank);
    task.target = Some(target.object.clone());
    task.hook = target.hook;
    task.policies.clone_from(&target.policies);
    task
}

/// One task for each phase of each hook (SYNC-023, SYNC-024).
fn hook_tasks(input: &StepInput, hooks: &[Arc<Target>], tasks: &mut Vec<Task>) {
    for hook in hooks {
        for &phase in &hook.phases {
            let mut task = target_task(hook, phase);
            if task.key.name.is_empty() {
                let name = generated_name(&hook.object, &input.revision, phase, input.started_at);
                let mut object = Value::clone(&hook.object);
                crate::target::metadata(&mut object).insert("name".to_owned(), name.clone().into());
                task.target = Some(Arc::new(object));
                task.key = Arc::new(ObjectKey {
                    name,
                    ..ObjectKey::clone(&task.key)
                });
            }
            tasks.push(task);
        }
    }
}

/// The name of a generateName hook: stable over the steps and retries of an operation (SYNC-024, SYNC-171).
fn generated_name(hook: &Value, revision: &str, phase: Phase, started_at: i64) -> String {
    let short = if revision.chars().count() >= 8 {
        revision.chars().take(7).collect::<String>()
    } else {
        revision.to_owned()
    };
    let suffix = format!("{short}-{phase}-{started_at}").to_lowercase();
    format!("{}{suffix}", object::meta_str(hook, "generateName"))
}

/// The task that makes the destination namespace (SYNC-028, SYNC-029).
async fn auto_namespace(
    input: &StepInput,
    pairs: &[Pair],
    tasks: &mut Vec<Task>,
    ledger: &mut Ledger,
    asks: &mut dyn Asks,
) {
    let name = &input.app.namespace;
    if !input.options.create_namespace || name.is_empty() {
        return;
    }
    // A filtered-out target counts, one that is a hook does not (SYNC-185, SYNC-186).
    let desired = |target: &Arc<Target>| {
        target.key.group.is_empty() && target.key.kind == "Namespace" && target.key.name == *name
    };
    let mut targets = pairs.iter().filter_map(|pair| pair.target.as_ref());
    if targets.any(desired) {
        return;
    }
    let gvk = GroupVersionKind::new("v1", "Namespace");
    let resource = ApiResource {
        plural: "namespaces".to_owned(),
        namespaced: false,
    };
    let reference = ResourceRef {
        gvk: gvk.clone(),
        resource: Some(resource),
        namespace: String::new(),
        name: name.clone(),
    };
    let found = asks.get(&reference).await;
    let mut task = new_task(
        Phase::PreSync,
        Arc::new(ObjectKey::new("", "Namespace", "", name.as_str())),
        Arc::new(gvk),
        0,
        1,
    );
    task.moved.push(Reason::AutoNamespace);
    // Made from a typed object: the empty parts are sent, and kept as last applied.
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {},
    });
    match found {
        Ok(live) => {
            if !modify_namespace(input, &mut namespace, live.is_some()) {
                return;
            }
            task.live = live;
            task.target = Some(Arc::new(namespace));
        }
        Err(error) => {
            task.target = Some(Arc::new(namespace));
            let message = format!("namespace auto creation failed: {error}");
            ledger.record(
                &mut task,
                Some(ResultCode::SyncFailed),
                Some(OperationPhase::Error),
                &message,
            );
        }
    }
    tasks.push(task);
}

/// Whether the namespace is synced, and with which metadata (SYNC-029).
fn modify_namespace(input: &StepInput, namespace: &mut Value, exists: bool) -> bool {
    let Some(managed) = &input.options.managed_namespace else {
        return !exists;
    };
    managed.put_into(namespace);
    true
}

/// Resolves the kind of every task; `false` when something is wrong, which is then recorded (SYNC-031, SYNC-033).
///
/// A kind that was found is looked for once; since 3.5 one that was not is too (SYNC-227).
async fn check(
    input: &StepInput,
    targets: &Targets,
    tasks: &mut [Task],
    ledger: &mut Ledger,
    asks: &mut dyn Asks,
) -> bool {
    let mut known: BTreeMap<Arc<GroupVersionKind>, Result<Arc<ApiResource>, DiscoverError>> =
        BTreeMap::new();
    let again = input.options.version < ArgoVersion::V3_5;
    let mut valid = true;
    for task in tasks {
        if known
            .get(&task.gvk)
            .is_none_or(|answer| again && answer.is_err())
        {
            let answer = asks.discover(&task.gvk).await;
            known.insert(task.gvk.clone(), answer.map(Arc::new));
        }
        match &known[&task.gvk] {
            Ok(resource) => {
                task.resource = Some(resource.clone());
                let options = &input.options;
                if let Some(project) = options.project.as_deref()
                    && let Err(error) =
                        project.validate(&task.key, resource.namespaced, options.version)
                {
                    valid = false;
                    ledger.record(task, Some(ResultCode::SyncFailed), None, &error);
                }
            }
            Err(DiscoverError::NotFound(_)) if may_be_missing(input, targets, task) => {
                task.skip_dry_run = true;
            }
            Err(error) => {
                valid = false;
                ledger.record(task, Some(ResultCode::SyncFailed), None, &error.to_string());
            }
        }
    }
    valid
}

/// Whether a missing API is no error yet: an option says so, or its CRD is among the targets (SYNC-033).
fn may_be_missing(input: &StepInput, targets: &Targets, task: &Task) -> bool {
    let defines =
        |(group, kind): &(String, String)| *group == task.gvk.group && *kind == task.gvk.kind;
    input.options.skip_dry_run_on_missing_resource
        || task.target_has_option("SkipDryRunOnMissingResource=true")
        || targets.defined.iter().any(defines)
}

#[cfg(test)]
mod tests;
