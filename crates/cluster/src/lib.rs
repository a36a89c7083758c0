//! The trait that every target implements: where a scenario is replayed.
//!
//! Simulated and real meet here and nowhere else: [`Cluster::service`] is the API below a `kube::Client`,
//! [`Cluster::observe`] gets each committed change once, in commit order, and [`Cluster::clock`] is the time of the run.
//! A target knows of no fault: the seam lies above it. What only a simulation can do is a [`Capability`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use kube::client::Body;
use tower::BoxError;
use tower::util::BoxCloneSyncService;
use wavetank_kernel::{BoxFuture, Chooser, Clock, SimTime};
use wavetank_model::timestamp::Epoch;
use wavetank_model::{Actor, Change, ObjectKey};

/// The API of a target as one actor reaches it: what a `kube::Client` is made from.
pub type ApiService = BoxCloneSyncService<Request<Body>, Response<ApiBody>, BoxError>;

/// The body of an answer.
pub type ApiBody = UnsyncBoxBody<Bytes, BoxError>;

/// What a target can do beyond answering requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Waiting costs nothing.
    VirtualTime,
    /// Workloads follow scripts.
    ScriptedWorkloads,
    /// Controllers can be made to notice changes later.
    ReactionLag,
    /// Services of type LoadBalancer and Ingresses get addresses.
    LoadBalancers,
    /// Containers run.
    RealContainers,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VirtualTime => "virtual-time",
            Self::ScriptedWorkloads => "scripted-workloads",
            Self::ReactionLag => "reaction-lag",
            Self::LoadBalancers => "load-balancers",
            Self::RealContainers => "real-containers",
        })
    }
}

/// The capabilities of a target.
pub type Capabilities = BTreeSet<Capability>;

/// Why a target cannot be used (exit code 4).
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It is not there, or was lost.
    #[error("the target `{target}` is not available: {reason}")]
    Unavailable {
        /// The target.
        target: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// A connection that ends without an answer. Whoever serves an API on sockets ends the connection of the client, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HangUp(pub String);

impl HangUp {
    /// Whether this is what an error comes from.
    pub fn is_cause(error: &(dyn std::error::Error + 'static)) -> bool {
        std::iter::successors(Some(error), |error| error.source())
            .any(<dyn std::error::Error>::is::<Self>)
    }
}

/// Is told what a target did. Called while the target is at work: it must return soon and must not call the target.
pub trait Observer: Send + Sync {
    /// One change was committed. Called once for each, in commit order.
    fn committed(&self, change: &Change);

    /// No work is pending any more: nothing will change unless somebody acts.
    fn idle(&self);
}

/// A place where a scenario is replayed.
pub trait Cluster: Send + Sync {
    /// `fake`, `kind` …
    fn target(&self) -> &str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The API as `actor`.
    fn service(&self, actor: &Actor) -> ApiService;

    /// A client as `actor`.
    fn client(&self, actor: &Actor) -> kube::Client {
        kube::Client::new(self.service(actor), "default")
    }

    /// Tells `observer` of every change from now on.
    fn observe(&self, observer: Arc<dyn Observer>);

    /// The clock of the run.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Who makes the choices of the run: the target's own, and those of whoever uses it.
    fn chooser(&self) -> Arc<Mutex<Chooser>>;

    /// The wall time at which the clock stands at zero.
    fn epoch(&self) -> Epoch;

    /// When the next pending work is due; `None` when nothing will change unless somebody acts. A real target says
    /// `Some` until it has been quiet for a while.
    fn next_work(&self) -> Option<SimTime>;

    /// No controller touches this object: its status is as the scenario states it. Called before the object is made.
    fn freeze(&self, key: &ObjectKey);

    /// The event that deletions of objects of workload rule `rule` wait for has happened; rules count from 0, in the
    /// order the target got them. Without scripted workloads there is nothing to let go.
    fn release(&self, rule: usize);

    /// What pending work is about, for messages: why a run waits.
    fn waiting(&self) -> Vec<String>;

    /// How the changes it told of were ordered: `commit`, or `observed` where some came later than younger ones.
    fn order(&self) -> &'static str {
        "commit"
    }

    /// Ends when the target is lost, and says why. A simulated one never is.
    fn lost(&self) -> BoxFuture<'static, String> {
        Box::pin(std::future::pending())
    }

    /// Releases what the target holds.
    fn shutdown(&self) -> BoxFuture<'_, Result<(), ClusterError>>;
}
