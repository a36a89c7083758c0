//! WT101 to WT114: the life of hooks.

use wavetank_json::Value;
use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::{Phase, object, pod};
use wavetank_workload::command::{self, Run};

use crate::code::{self, Code};
use crate::finding::Finding;
use crate::helm::words;
use crate::item::{Item, Items};

/// Kinds whose deletion loses what they hold.
const STATEFUL: &[(&str, &str, &str)] = &[
    ("", "PersistentVolumeClaim", "the volume"),
    ("", "PersistentVolume", "the volume"),
    ("apps", "StatefulSet", "its Pods, and perhaps their volumes"),
    ("", "Namespace", "everything in it"),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "every object of its kind",
    ),
];

pub(crate) fn check(app: &Items<'_>, found: &mut Vec<Finding>) {
    for item in &app.list {
        if item.hook {
            let findings = [
                deadline(app, item),
                ttl(item),
                stateful(item),
                retries(app, item),
                runs_once(item),
                follows_the_sync(item),
                piles_up(item),
                finalizer(item),
                cleaned_late(item),
                namespace(app, item),
                two_phases(item),
            ];
            found.extend(wanted(findings, item));
        } else {
            found.extend(wanted([unnamed(item), comes_back(app, item)], item));
        }
        in_use(app, item, found);
    }
}

fn wanted<const N: usize>(
    findings: [Option<Finding>; N],
    item: &Item<'_>,
) -> impl Iterator<Item = Finding> {
    findings
        .into_iter()
        .flatten()
        .filter(|finding| item.wants(finding.code.id))
}

fn spec<'v>(item: &Item<'v>, field: &str) -> Option<&'v Value> {
    item.object.get("spec")?.get(field)
}

/// Whether it runs at all.
fn runs(item: &Item<'_>) -> bool {
    !item.moments.is_empty() || argo::is_any_delete_hook(item.object)
}

/// WT101.
fn deadline(app: &Items<'_>, item: &Item<'_>) -> Option<Finding> {
    let bounded = spec(item, "activeDeadlineSeconds").is_some();
    if !item.is_finite() || !runs(item) || bounded || app.input.has_timeout || ends_by_itself(item)
    {
        return None;
    }
    let message = format!("{} has no deadline", item.name);
    let label = if item.moments.is_empty() {
        "the deletion of the application waits for it, without limit"
    } else {
        "the sync waits for it, without limit"
    };
    let location = item.hook_annotation();
    Some(
        Finding::new(&code::NO_DEADLINE, item, location, message, label)
            .note("set `spec.activeDeadlineSeconds`"),
    )
}

/// Whether everything its containers do is plain and ends: `sleep 5`, `true`.
fn ends_by_itself(item: &Item<'_>) -> bool {
    let Some((_, spec)) = pod::spec(item.object) else {
        return false;
    };
    let containers = spec.get("containers").and_then(Value::as_array);
    containers.is_some_and(|containers| {
        containers
            .iter()
            .all(|container| matches!(command::read(container), Some(Run::Ends { .. })))
    })
}

/// WT102.
fn ttl(item: &Item<'_>) -> Option<Finding> {
    spec(item, "ttlSecondsAfterFinished")?;
    let location = item.placed.find(&["spec", "ttlSecondsAfterFinished"]);
    let message = format!("{} deletes itself", item.name);
    let label = "the hook delete policy does that already";
    let location = location.unwrap_or_else(|| item.placed.name());
    Some(Finding::new(
        &code::HOOK_TTL,
        item,
        location,
        message,
        label,
    ))
}

/// WT103.
fn stateful(item: &Item<'_>) -> Option<Finding> {
    let (_, _, loss) = STATEFUL
        .iter()
        .find(|(group, kind, _)| item.is(group, kind))?;
    if item.is_unnamed() || item.moments.is_empty() {
        return None;
    }
    let when = if item.has(DeletePolicy::BeforeHookCreation) {
        "every sync deletes it first"
    } else if item.has(DeletePolicy::HookSucceeded) {
        "it is deleted when the sync succeeded"
    } else {
        "it is deleted when the sync failed"
    };
    let message = format!("{} is a hook and holds data", item.name);
    let label = format!("{when}, and {loss} with it");
    Some(Finding::new(
        &code::STATEFUL_HOOK,
        item,
        item.hook_annotation(),
        message,
        label,
    ))
}

/// WT104.
fn retries(app: &Items<'_>, item: &Item<'_>) -> Option<Finding> {
    let cleaned = item.has(DeletePolicy::BeforeHookCreation) || item.has(DeletePolicy::HookFailed);
    if !item.is_unnamed() || cleaned || app.input.retries.unwrap_or(0) == 0 {
        return None;
    }
    let message = format!(
        "a retry finds the failed {} and does not run it again",
        item.name
    );
    let label = "a retry keeps the generated name, and this policy keeps the failed hook";
    Some(Finding::new(
        &code::GENERATED_NAME_RETRIES,
        item,
        item.policy_annotation(),
        message,
        label,
    ))
}

/// Policies that leave the hook where it is in one of the two outcomes, and nothing that deletes it before it runs.
fn stays(item: &Item<'_>) -> Option<(&'static str, &'static str)> {
    let (succeeded, failed) = (
        item.has(DeletePolicy::HookSucceeded),
        item.has(DeletePolicy::HookFailed),
    );
    match (succeeded, failed) {
        (true, false) => Some(("failed", "HookSucceeded")),
        (false, true) => Some(("succeeded", "HookFailed")),
        _ => None,
    }
}

/// WT105.
fn runs_once(item: &Item<'_>) -> Option<Finding> {
    let only_on_failure = item.moments.iter().all(|at| at.phase == Phase::SyncFail);
    if !item.is_finite()
        || item.is_unnamed()
        || only_on_failure
        || item.has(DeletePolicy::BeforeHookCreation)
    {
        return None;
    }
    let (outcome, policy) = stays(item)?;
    let message = format!(
        "{} does not run again after a sync that {outcome}",
        item.name
    );
    let label = format!("{policy} leaves it where it is then, and its old outcome counts");
    Some(Finding::new(
        &code::RUNS_ONCE,
        item,
        item.policy_annotation(),
        message,
        label,
    ))
}

/// WT106: what WT105 does not tell already.
fn follows_the_sync(item: &Item<'_>) -> Option<Finding> {
    if item.moments.is_empty() || !item.has(DeletePolicy::BeforeHookCreation) && !item.is_unnamed()
    {
        return None;
    }
    let (outcome, policy) = stays(item)?;
    let message = format!(
        "{} stays when the sync {outcome}, whatever it did itself",
        item.name
    );
    let label = format!("{policy} looks at the sync as a whole");
    Some(Finding::new(
        &code::POLICY_OF_THE_SYNC,
        item,
        item.policy_annotation(),
        message,
        label,
    ))
}

/// WT107.
fn piles_up(item: &Item<'_>) -> Option<Finding> {
    let cleaned = item.has(DeletePolicy::HookSucceeded) || item.has(DeletePolicy::HookFailed);
    let expires = spec(item, "ttlSecondsAfterFinished").is_some();
    if !item.is_unnamed() || cleaned || expires || item.moments.is_empty() {
        return None;
    }
    let message = format!("every sync leaves one more {} behind", item.name);
    let label = "nothing deletes those of the syncs before";
    Some(Finding::new(
        &code::HOOKS_PILE_UP,
        item,
        item.placed.name(),
        message,
        label,
    ))
}

/// WT108.
fn finalizer(item: &Item<'_>) -> Option<Finding> {
    let foreign = object::finalizers(item.object).find(|name| *name != argo::HOOK_FINALIZER)?;
    let location = item.placed.word(&["metadata", "finalizers"], foreign);
    let message = format!(
        "{} can be deleted only when `{foreign}` is taken off",
        item.name
    );
    let label = format!(
        "its delete policy ({}) waits for that",
        words(&item.policies)
    );
    Some(Finding::new(
        &code::FOREIGN_FINALIZER,
        item,
        location,
        message,
        label,
    ))
}

/// WT110.
fn cleaned_late(item: &Item<'_>) -> Option<Finding> {
    let only_on_failure =
        !item.moments.is_empty() && item.moments.iter().all(|at| at.phase == Phase::SyncFail);
    let cleaned = item.has(DeletePolicy::HookFailed) || item.has(DeletePolicy::BeforeHookCreation);
    if !only_on_failure || !item.has(DeletePolicy::HookSucceeded) || cleaned {
        return None;
    }
    let message = format!("{} stays until a later sync succeeds", item.name);
    let label = "a SyncFail hook runs only when the sync fails";
    Some(Finding::new(
        &code::SYNC_FAIL_SUCCEEDED,
        item,
        item.policy_annotation(),
        message,
        label,
    ))
}

/// WT111.
fn namespace(app: &Items<'_>, item: &Item<'_>) -> Option<Finding> {
    let creates = app
        .input
        .sync_options
        .iter()
        .any(|option| option == "CreateNamespace=true");
    if !creates || !item.is("", "Namespace") || item.key.name != app.input.namespace {
        return None;
    }
    let message = format!(
        "CreateNamespace=true does not see that {} is declared",
        item.name
    );
    let label = "it looks at ordinary objects only";
    Some(Finding::new(
        &code::NAMESPACE_HOOK,
        item,
        item.hook_annotation(),
        message,
        label,
    ))
}

/// WT112.
fn unnamed(item: &Item<'_>) -> Option<Finding> {
    if !item.is_unnamed() || object::meta_str(item.object, "generateName").is_empty() {
        return None;
    }
    let message = format!("{} has no name and cannot be applied", item.name);
    let label = "only hooks get a generated name";
    Some(Finding::new(
        &code::UNNAMED_OBJECT,
        item,
        item.placed.name(),
        message,
        label,
    ))
}

/// WT113.
fn comes_back(app: &Items<'_>, item: &Item<'_>) -> Option<Finding> {
    if !app.input.self_heal || !item.is("batch", "Job") {
        return None;
    }
    spec(item, "ttlSecondsAfterFinished")?;
    let location = item.placed.find(&["spec", "ttlSecondsAfterFinished"]);
    let location = location.unwrap_or_else(|| item.placed.name());
    let message = format!(
        "{} is made and run again each time it has deleted itself",
        item.name
    );
    let label = "self-heal finds it missing";
    Some(Finding::new(
        &code::JOB_COMES_BACK,
        item,
        location,
        message,
        label,
    ))
}

/// WT114.
fn two_phases(item: &Item<'_>) -> Option<Finding> {
    if item.moments.len() < 2 || item.is_unnamed() || item.has(DeletePolicy::BeforeHookCreation) {
        return None;
    }
    let (first, second) = (item.moments[0].phase, item.moments[1].phase);
    let message = format!("{} runs in {first} and not again in {second}", item.name);
    let label = format!("without BeforeHookCreation {second} finds it finished");
    Some(Finding::new(
        &code::TWO_PHASES,
        item,
        item.hook_annotation(),
        message,
        label,
    ))
}

/// WT109: hooks that are deleted at the end, needed by what is no hook.
fn in_use(app: &Items<'_>, user: &Item<'_>, found: &mut Vec<Finding>) {
    const CODE: &Code = &code::HOOK_IN_USE;
    if user.hook || !user.wants(CODE.id) {
        return;
    }
    for used in pod::needs(user.object) {
        let Some(hook) = app.find(used.kind, &user.key.namespace, &used.name) else {
            continue;
        };
        if !hook.hook || !hook.has(DeletePolicy::HookSucceeded) {
            continue;
        }
        let path: Vec<&str> = used.path.iter().map(String::as_str).collect();
        let location = user
            .placed
            .find(&path)
            .unwrap_or_else(|| user.placed.name());
        let message = format!(
            "{} needs {}, which is deleted when the sync succeeded",
            user.name, hook.name
        );
        let label = format!("a hook with HookSucceeded (line {})", hook.line());
        found.push(Finding::new(CODE, user, location, message, label));
    }
}
