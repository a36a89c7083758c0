//! The order of tasks (SYNC-035, SYNC-036, SYNC-039, SYNC-040, SYNC-041).

use std::cmp::Ordering;
use std::sync::Arc;

use wavetank_model::{ObjectKey, Phase};

use super::task::{Reason, Task};

/// Kinds in the order in which they are applied, by kind alone (SYNC-040, SYNC-191).
const KIND_ORDER: [&str; 35] = [
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// How many kinds have a rank of their own.
pub const RANKED_KINDS: u8 = 35;

/// Rank of a kind, from 1; all others share the rank after the last.
pub fn kind_rank(kind: &str) -> u8 {
    let place = KIND_ORDER.iter().position(|ranked| *ranked == kind);
    place
        .and_then(|place| u8::try_from(place + 1).ok())
        .unwrap_or(RANKED_KINDS + 1)
}

/// Compares two tasks (SYNC-039); ties, unspecified there, are broken by namespace and group.
fn compare(a: &Task, b: &Task) -> Ordering {
    (a.phase, a.wave(), a.kind_rank)
        .cmp(&(b.phase, b.wave(), b.kind_rank))
        .then_with(|| a.key.name.cmp(&b.key.name))
        .then_with(|| {
            (&a.key.kind, &a.key.namespace, &a.key.group).cmp(&(
                &b.key.kind,
                &b.key.namespace,
                &b.key.group,
            ))
        })
}

/// Sorts the tasks and pulls namespaces and CRDs before what needs them (SYNC-039, SYNC-041).
pub(super) fn sort(tasks: &mut Vec<Task>) {
    tasks.sort_by(compare);
    adjust(tasks, namespace_link);
    adjust(tasks, definition_link);
}

/// Mirrors the waves of prunes (SYNC-035).
pub(super) fn mirror_prune_waves(tasks: &mut [Task]) {
    let mut waves: Vec<i64> = tasks
        .iter()
        .filter(|task| task.is_prune())
        .map(Task::wave)
        .collect();
    waves.sort_unstable();
    waves.dedup();
    for task in tasks.iter_mut().filter(|task| task.is_prune()) {
        let from = task.wave();
        if let Ok(place) = waves.binary_search(&from) {
            let to = waves[waves.len() - 1 - place];
            if to != from {
                task.wave_override = Some(to);
                task.moved.push(Reason::Mirrored { from, to });
            }
        }
    }
}

/// Puts prunes after everything of phase Sync, where an option says so (SYNC-036, SYNC-184).
pub(super) fn prune_last(tasks: &mut [Task], all: bool) {
    let waves = tasks
        .iter()
        .filter(|task| task.phase == Phase::Sync)
        .map(Task::wave);
    let last = waves.fold(0, i64::max).saturating_add(1);
    for task in tasks.iter_mut().filter(|task| task.is_prune()) {
        if all || task.live_has_option("PruneLast=true") {
            task.wave_override = Some(last);
            task.moved.push(Reason::PruneLast(last));
        }
    }
}

/// What a task is to an adjustment pass.
#[derive(Clone, Copy)]
enum Link<'a> {
    /// It is what others need.
    Dependency(&'a str, &'a str),
    /// It needs something.
    Reference(&'a str, &'a str),
    /// Neither.
    None,
}

/// Pass N: namespaces and what lives in them.
fn namespace_link(task: &Task) -> Link<'_> {
    if task.is_prune() {
        Link::None
    } else if task.key.kind == "Namespace" && task.key.group.is_empty() {
        Link::Dependency("", &task.key.name)
    } else if task.key.namespace.is_empty() {
        Link::None
    } else {
        Link::Reference("", &task.key.namespace)
    }
}

/// Pass C: CRDs and their objects.
fn definition_link(task: &Task) -> Link<'_> {
    let Some(target) = task.target.as_deref() else {
        return Link::None;
    };
    if task.key.kind == "CustomResourceDefinition"
        && let Some((group, kind)) = super::defined_kind(target)
    {
        return Link::Dependency(group, kind);
    }
    Link::Reference(&task.key.group, &task.key.kind)
}

/// Moves each dependency to the first task that refers to it, into that task's phase and wave (SYNC-041).
fn adjust(tasks: &mut Vec<Task>, link: fn(&Task) -> Link<'_>) {
    // What is depended on, with the first task that refers to it; most lists have nothing of the kind.
    let mut first: Vec<((String, String), Option<usize>)> = Vec::new();
    for task in tasks.iter() {
        if let Link::Dependency(group, name) = link(task) {
            first.push(((group.to_owned(), name.to_owned()), None));
        }
    }
    if first.is_empty() {
        return;
    }
    first.sort();
    first.dedup();
    let find = |first: &[((String, String), Option<usize>)], group: &str, name: &str| {
        first
            .binary_search_by(|((of, called), _)| {
                (of.as_str(), called.as_str()).cmp(&(group, name))
            })
            .ok()
    };
    for place in 0..tasks.len() {
        match link(&tasks[place]) {
            Link::None => {}
            Link::Reference(group, name) => {
                if let Some(found) = find(&first, group, name) {
                    first[found].1.get_or_insert(place);
                }
            }
            Link::Dependency(group, name) => {
                let to = find(&first, group, name).and_then(|found| first[found].1);
                let Some(to) = to else { continue };
                pull_forward(tasks, place, to);
                for (_, index) in &mut first {
                    *index = index.map(|index| if index >= to { index + 1 } else { index });
                }
            }
        }
    }
}

/// Moves the task at `from` before the one at `to` and gives it its phase and wave.
fn pull_forward(tasks: &mut Vec<Task>, from: usize, to: usize) {
    let (phase, wave, needed_by): (Phase, i64, Arc<ObjectKey>) =
        (tasks[to].phase, tasks[to].wave(), tasks[to].key.clone());
    let mut task = tasks.remove(from);
    if (task.phase, task.wave()) != (phase, wave) {
        task.moved.push(Reason::PulledForward {
            phase: task.phase,
            wave: task.wave(),
            needed_by,
        });
    }
    task.phase = phase;
    task.wave_override = Some(wave);
    tasks.insert(to, task);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-040: the table as the specification numbers it.
    #[test]
    fn kinds_are_ranked_by_the_table() {
        for (kind, rank) in [
            ("Namespace", 1),
            ("ServiceAccount", 7),
            ("Secret", 8),
            ("CustomResourceDefinition", 14),
            ("ClusterRole", 15),
            ("RoleBinding", 21),
            ("RoleBindingList", 22),
            ("Deployment", 28),
            ("HorizontalPodAutoscaler", 29),
            ("APIService", 35),
            ("Widget", 36),
            ("ValidatingWebhookConfiguration", 36),
        ] {
            assert_eq!(kind_rank(kind), rank, "{kind}");
        }
    }
}
