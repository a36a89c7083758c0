//! What the controllers have still to look at, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_kernel::{Class, Load, Queue, SimTime, Ticket};
use wavetank_model::ObjectKey;

use crate::role::Role;

/// Which controller looks at an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Task {
    /// Puts a Pod on a node.
    Schedule,
    /// Runs a Pod.
    Kubelet,
    /// Registers a node.
    Node,
    Job,
    /// Takes the tracking finalizer from a Pod whose Job is gone (API-335).
    OrphanPod,
    /// Deletes finished Jobs (API-338).
    JobTtl,
    ReplicaSet,
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    ServiceAccount,
    RootCa,
    Endpoints,
    LoadBalancer,
    Ingress,
    Volume,
    Claim,
    DisruptionBudget,
    Autoscaler,
    Lease,
    /// Plays a rule's timeline on the object itself.
    Timeline,
    /// Holds the object's deletion up.
    Hold,
}

impl Task {
    /// What a message says is pending.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "scheduler",
            Self::Kubelet => "kubelet",
            Self::Job => "Job controller",
            Self::OrphanPod => "Job controller (orphan Pods)",
            Self::JobTtl => "TTL-after-finished controller",
            Self::ReplicaSet => "ReplicaSet controller",
            Self::Deployment => "Deployment controller",
            Self::StatefulSet => "StatefulSet controller",
            Self::DaemonSet => "DaemonSet controller",
            Self::CronJob => "CronJob controller",
            Self::ServiceAccount => "ServiceAccount controller",
            Self::RootCa => "root CA publisher",
            Self::Endpoints => "endpoints controllers",
            Self::LoadBalancer => "load balancer",
            Self::Ingress => "ingress controller",
            Self::Volume | Self::Claim => "volume binder",
            Self::DisruptionBudget => "disruption controller",
            Self::Autoscaler => "autoscaler",
            Self::Node => "kubelet (node status)",
            Self::Lease => "node lease",
            Self::Timeline => "scripted timeline",
            Self::Hold => "scripted deletion",
        }
    }

    const fn class(self) -> Class {
        match self {
            Self::Kubelet | Self::Node | Self::Lease => Class::KUBELET,
            _ => Class::CONTROLLER,
        }
    }
}

type Entry = (Task, Arc<ObjectKey>);

/// A queue in which each controller has at most one entry per object: the earliest.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    queue: Queue<Entry>,
    pending: BTreeMap<Entry, (SimTime, Load, Ticket)>,
    role: Role,
}

impl Agenda {
    /// An agenda that takes only what `role` does.
    pub(crate) fn of(role: &Role) -> Self {
        Self {
            role: role.clone(),
            ..Self::default()
        }
    }

    /// Lets `task` look at `key` at `at`, or earlier if that was planned. Work stays work.
    pub(crate) fn push(&mut self, task: Task, key: Arc<ObjectKey>, at: SimTime, load: Load) {
        if !self.role.does(task) {
            return;
        }
        let entry = (task, key);
        let (mut at, mut load) = (at, load);
        if let Some((planned, planned_load, ticket)) = self.pending.get(&entry) {
            if *planned <= at && *planned_load <= load {
                return;
            }
            at = at.min(*planned);
            load = load.min(*planned_load);
            self.queue.cancel(*ticket);
        }
        let ticket = self
            .queue
            .push(at, task.class(), load, (entry.0, Arc::clone(&entry.1)));
        self.pending.insert(entry, (at, load, ticket));
    }

    pub(crate) fn next_due(&self) -> Option<(SimTime, Class)> {
        self.queue.next_due()
    }

    pub(crate) fn next_work(&self) -> Option<SimTime> {
        self.queue.next_work()
    }

    /// The first entry, if it is due at `now` or earlier.
    pub(crate) fn pop_due(&mut self, now: SimTime) -> Option<Entry> {
        let (_, entry) = self.queue.pop_due(now)?;
        self.pending.remove(&entry);
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SimTime, Load, Task, &ObjectKey)> {
        self.queue
            .iter()
            .map(|(at, load, (task, key))| (at, load, *task, &**key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wish_counts_and_work_stays_work() {
        let key = Arc::new(ObjectKey::new("batch", "Job", "shop", "a"));
        let mut agenda = Agenda::default();
        let at = SimTime::from_millis;
        agenda.push(Task::Job, Arc::clone(&key), at(50), Load::Work);
        agenda.push(Task::Job, Arc::clone(&key), at(20), Load::Upkeep);
        agenda.push(Task::Job, Arc::clone(&key), at(70), Load::Work);
        assert_eq!(
            (agenda.next_work(), agenda.iter().count()),
            (Some(at(20)), 1)
        );
        assert_eq!(agenda.pop_due(at(20)), Some((Task::Job, Arc::clone(&key))));
        assert_eq!(agenda.next_due(), None);
    }
}
