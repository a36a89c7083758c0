//! The exact texts of an operation and of its results (SYNC-082..085).

use std::collections::BTreeSet;

use wavetank_model::{GroupVersionKind, ObjectKey};

use crate::engine::APPS_NAMESPACE;
use crate::kinds::Kinds;
use crate::plan::Task;
use crate::result::ResourceResult;

/// Every task ran in the last wave of a sync without hooks there.
pub const ALL_TASKS_RUN: &str = "successfully synced (all tasks run)";
/// Nothing is left to do.
pub const NO_MORE_TASKS: &str = "successfully synced (no more tasks)";
/// The task list has errors.
pub const NOT_VALID: &str = "one or more synchronization tasks are not valid";
/// The dry run failed.
pub const DRY_RUN_FAILED: &str = "one or more objects failed to apply (dry run)";
/// A wet run failed.
pub const APPLY_FAILED: &str = "one or more objects failed to apply";
/// A task failed after it was applied.
pub const TASKS_UNSUCCESSFUL: &str = "one or more synchronization tasks completed unsuccessfully";
/// The operation was terminated.
pub const TERMINATED: &str = "Operation terminated";
/// Terminating it met errors.
pub const TERMINATED_WITH_ERRORS: &str = "Operation termination had errors";
/// A prune in an operation that does not prune.
pub const REQUIRES_PRUNING: &str = "ignored (requires pruning)";
/// A prune that an option forbids.
pub const NO_PRUNE: &str = "ignored (no prune)";
/// A prune that was asked for.
pub const PRUNED: &str = "pruned";
/// A prune in a dry run.
pub const PRUNED_DRY_RUN: &str = "pruned (dry run)";
/// A hook that was ended early.
pub const HOOK_TERMINATED: &str = "Terminated";

/// What a wait is about (SYNC-082).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingFor {
    /// Completion of hooks, health of resources.
    Health,
    /// Their deletion.
    Deletion,
}

/// The waiting message over `tasks`; `unconfirmed` tells the prunes that wait for a confirmation (SYNC-082).
pub fn waiting(tasks: &[&Task], what: WaitingFor, unconfirmed: impl Fn(&Task) -> bool) -> String {
    let Some(first) = tasks
        .iter()
        .find(|task| task.hook)
        .or_else(|| tasks.first())
    else {
        return String::new();
    };
    let hooks = tasks.iter().filter(|task| task.hook).count();
    let to_confirm: Vec<&&Task> = tasks.iter().filter(|task| unconfirmed(task)).collect();
    let (reason, first, more) = if let Some(first) = to_confirm.first() {
        ("pruning confirmation of", **first, to_confirm.len() - 1)
    } else {
        let reason = match (what, hooks > 0) {
            (WaitingFor::Health, true) => "completion of hook",
            (WaitingFor::Health, false) => "healthy state of",
            (WaitingFor::Deletion, true) => "deletion of hook",
            (WaitingFor::Deletion, false) => "deletion of",
        };
        (reason, *first, tasks.len() - 1)
    };
    let text = format!("waiting for {reason} {}", first.id());
    if more > 0 {
        let noun = if hooks == tasks.len() {
            "hooks"
        } else {
            "resources"
        };
        return format!("{text} and {more} more {noun}");
    }
    text
}

/// The distinct messages of tasks, sorted, joined by `separator`.
pub fn distinct<'a>(messages: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let distinct: BTreeSet<&str> = messages.filter(|message| !message.is_empty()).collect();
    distinct.into_iter().collect::<Vec<_>>().join(separator)
}

/// What the API says when a kind, or a version of it, is not there.
const NOT_SERVED: &str = "the server could not find the requested resource";

/// Puts the stored results into words for people (SYNC-086).
pub fn augment(results: &mut [ResourceResult], kinds: &Kinds) {
    for result in results {
        if result.message.contains(NOT_SERVED) {
            result.message = not_served(result, kinds);
        } else if result.message.contains(TOO_LONG) && !result.message.contains(TOO_LONG_HINT) {
            result.message.push_str(TOO_LONG_HINT);
        }
    }
}

/// The annotation of a client-side apply does not fit.
const TOO_LONG: &str = "metadata.annotations: Too long: must have at most 262144 bytes";
/// What to do then; the wording is ours.
const TOO_LONG_HINT: &str = "\n\nThe object does not fit into the annotation of a client-side apply: use the sync option ServerSideApply=true or Replace=true.";

fn not_served(result: &ResourceResult, kinds: &Kinds) -> String {
    let key = &result.key;
    let requested = format!("requested resource {}/{}", key.namespace, key.name);
    match kinds.get(&key.group_kind()) {
        None => format!(
            "The Kubernetes API could not find {}/{} for {requested}. Make sure the \"{}\" CRD is installed on the destination cluster.",
            key.group, key.kind, key.kind
        ),
        Some(known) => format!(
            "The Kubernetes API could not find version \"{}\" of {}/{} for {requested}. Version \"{}\" of {}/{} is installed on the destination cluster.",
            result.version,
            key.group,
            key.kind,
            known
                .versions
                .first()
                .map(String::as_str)
                .unwrap_or_default(),
            key.group,
            key.kind
        ),
    }
}

/// Objects of the app are claimed by other ones (SYNC-102): the warning that is stored first of all of them.
pub fn shared_resource(shared: &[(ObjectKey, String)], app: &str) -> Option<String> {
    let text = |(key, other): &(ObjectKey, String)| {
        format!(
            "{}/{} is part of applications {APPS_NAMESPACE}/{app} and {}",
            key.kind,
            key.name,
            other.replace('_', "/")
        )
    };
    shared.iter().map(text).min()
}

/// Discovery: the group and version are not served (SYNC-031).
pub fn group_version_not_found(gvk: &GroupVersionKind) -> String {
    format!(
        "failed to discover server resources for group version {}: {NOT_SERVED}",
        gvk.api_version()
    )
}

/// Discovery: the group and version are served, the kind is not (SYNC-031).
pub fn kind_not_found(gvk: &GroupVersionKind) -> String {
    format!("{} \"\" not found", gvk.group_kind())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::ledger::Ledger;
    use crate::plan;
    use crate::testing::{Cluster, Operation, block_on};

    /// The tasks of a text, in the order of the text.
    fn tasks(text: &str) -> Vec<Task> {
        let mut cluster = Cluster::new();
        let input = Operation::new(text).input(&cluster);
        let targets = crate::target::normalise(
            &input.targets,
            &input.app,
            &input.kinds,
            input.options.version,
        );
        let ledger = &mut Ledger::default();
        let mut tasks = block_on(plan::build(&input, &targets, ledger, &mut cluster)).tasks;
        let place = |task: &Task| text.find(&format!("/{} ", task.key.name));
        tasks.sort_by_key(place);
        tasks
    }

    /// SYNC-082, U-054: hooks are named first; the noun depends on what is waited for.
    #[rstest]
    #[case("", WaitingFor::Health, "")]
    #[case(
        "Pod/my-pod ",
        WaitingFor::Health,
        "waiting for healthy state of /Pod/my-pod"
    )]
    #[case(
        "Pod/pod-1 \nPod/pod-2 \nPod/pod-3 ",
        WaitingFor::Health,
        "waiting for healthy state of /Pod/pod-1 and 2 more resources"
    )]
    #[case(
        "Pod/hook-1 hook=Sync",
        WaitingFor::Health,
        "waiting for completion of hook /Pod/hook-1"
    )]
    #[case(
        "Pod/hook-1 hook=Sync\nPod/hook-2 hook=Sync",
        WaitingFor::Health,
        "waiting for completion of hook /Pod/hook-1 and 1 more hooks"
    )]
    #[case(
        "Pod/pod-1 \nPod/hook-1 hook=Sync\nPod/pod-2 ",
        WaitingFor::Health,
        "waiting for completion of hook /Pod/hook-1 and 2 more resources"
    )]
    #[case(
        "Pod/my-pod ",
        WaitingFor::Deletion,
        "waiting for deletion of /Pod/my-pod"
    )]
    #[case(
        "Pod/pod-1 \nPod/pod-2 \nPod/pod-3 ",
        WaitingFor::Deletion,
        "waiting for deletion of /Pod/pod-1 and 2 more resources"
    )]
    #[case(
        "Pod/hook-1 hook=Sync",
        WaitingFor::Deletion,
        "waiting for deletion of hook /Pod/hook-1"
    )]
    #[case(
        "Pod/hook-1 hook=Sync\nPod/hook-2 hook=Sync",
        WaitingFor::Deletion,
        "waiting for deletion of hook /Pod/hook-1 and 1 more hooks"
    )]
    #[case(
        "Pod/pod-1 \nPod/hook-1 hook=Sync\nPod/pod-2 ",
        WaitingFor::Deletion,
        "waiting for deletion of hook /Pod/hook-1 and 2 more resources"
    )]
    #[case(
        "Deployment/web ",
        WaitingFor::Health,
        "waiting for healthy state of apps/Deployment/web"
    )]
    fn a_waiting_message_names_hooks_first(
        #[case] text: &str,
        #[case] what: WaitingFor,
        #[case] expected: &str,
    ) {
        let tasks = tasks(text);
        let all: Vec<&Task> = tasks.iter().collect();
        assert_eq!(waiting(&all, what, |_| false), expected);
    }

    /// SYNC-082: what waits for a confirmation is named before anything else.
    #[test]
    fn an_unconfirmed_prune_is_named_first() {
        let tasks = tasks("Pod/a hook=Sync\nPod/b \nPod/c ");
        let all: Vec<&Task> = tasks.iter().collect();
        let text = waiting(&all, WaitingFor::Deletion, |task| !task.hook);
        assert_eq!(
            text,
            "waiting for pruning confirmation of /Pod/b and 1 more resources"
        );
    }
}
