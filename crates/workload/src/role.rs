//! Which part of a cluster the controllers of this crate are.

use std::collections::BTreeSet;

use crate::agenda::Task;

/// Which part of a cluster [`crate::Controllers`] are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// All of it, beside an API server: the simulated cluster.
    #[default]
    Everything,
    /// What a control plane lacks: kubelets, the provisioner of the class `standard`, load balancers,
    /// and the scripts of custom kinds.
    Nodes {
        /// Whether Pods are bound here, for want of a scheduler.
        schedule: bool,
        /// Nodes that have a kubelet of their own: their Pods are left alone.
        real: BTreeSet<String>,
    },
}

impl Role {
    /// Whether `task` is done here.
    pub(crate) fn does(&self, task: Task) -> bool {
        matches!(self, Self::Everything)
            || matches!(
                task,
                // Where a real scheduler binds, its Pods are looked at all the same: their numbers are those of their
                // creation.
                Task::Schedule
                    | Task::Kubelet
                    | Task::Node
                    | Task::LoadBalancer
                    | Task::Ingress
                    | Task::Volume
                    | Task::Claim
                    | Task::Timeline
                    | Task::Hold
            )
    }

    /// Whether Pods are bound here.
    pub(crate) fn schedules(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Nodes { schedule, .. } => *schedule,
        }
    }

    /// Whether volumes are bound here, and not only made.
    pub(crate) fn binds_volumes(&self) -> bool {
        matches!(self, Self::Everything)
    }

    /// Whether the node has its kubelet elsewhere.
    pub(crate) fn is_real(&self, node: &str) -> bool {
        matches!(self, Self::Nodes { real, .. } if real.contains(node))
    }
}
