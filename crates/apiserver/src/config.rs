//! What can be set about a server.

use std::time::Duration;

use wavetank_model::timestamp::Epoch;
use wavetank_model::{Actor, kinds};

use crate::admission;

/// Which objects exist when a server starts (API-234).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bootstrap {
    /// The namespaces `default`, `kube-node-lease`, `kube-public` and `kube-system`, and the `ServiceAccount`
    /// `default` in each.
    #[default]
    Minimal,
    /// What a real cluster has as well: the Service `kubernetes`, system priority classes, and the `ConfigMap`
    /// `kube-root-ca.crt` in each namespace.
    Full,
}

/// How long the server's own reactions take, in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// From a commit to the watch event.
    pub watch: Duration,
    /// From a commit to the next act of the garbage collector, or of who sums roles up.
    pub collector: Duration,
    /// From a commit to the namespace controller's next act.
    pub namespace: Duration,
    /// From the creation of a CRD to each of its two status writes.
    pub establish: Duration,
    /// Between bookmarks of a watch that wants them (API-206).
    pub bookmark: Duration,
    /// From the last write of an Event to its end (`--event-ttl`).
    pub event_life: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            watch: Duration::from_millis(1),
            collector: Duration::from_millis(10),
            namespace: Duration::from_millis(10),
            establish: Duration::from_millis(10),
            bookmark: Duration::from_secs(60),
            event_life: Duration::from_secs(3600),
        }
    }
}

/// What of the past is kept, for watches that resume and lists that continue (API-209).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Events per kind.
    pub events: usize,
    /// Bytes of events per kind.
    pub bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            events: 50_000,
            bytes: 16 << 20,
        }
    }
}

/// Settings of a [`Server`](crate::Server).
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Wall time at the start of the run.
    pub epoch: Epoch,
    /// Objects that exist at the start.
    pub bootstrap: Bootstrap,
    /// Which admission plugins run.
    pub admission: admission::Config,
    /// Reaction times.
    pub latencies: Latencies,
    /// What is kept of the past.
    pub history: HistoryLimits,
    /// Events that may wait for a watch's client; a watch with more is ended (API-212), and the client resumes.
    pub watch_backlog: usize,
    /// Whether `ServiceAccounts` that come with a token, and those whom a request impersonates, may only do what roles
    /// and bindings allow; else everybody may do everything.
    pub rbac: bool,
    /// What tokens of `ServiceAccounts` are signed with: a secret where others reach the server.
    pub token_key: String,
    /// Tokens that stand for actors where others reach the server: reviews of tokens know them.
    pub tokens: Vec<(String, Actor)>,
    /// Bytes of serialised objects whose parsed form is kept at hand.
    pub cache_bytes: usize,
    /// The Kubernetes version that `/version` reports, without `v`.
    pub version: String,
    /// Whether CRDs are accepted with CEL rules that cannot be compiled here, which are then not evaluated; else they are
    /// refused.
    pub pass_over_rules: bool,
    /// Whether `sendInitialEvents` is served; a refusal makes clients list first (API-201).
    pub watch_list: bool,
    /// The revision before the first commit (API-081).
    pub first_revision: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            epoch: Epoch::default(),
            bootstrap: Bootstrap::default(),
            admission: admission::Config::default(),
            latencies: Latencies::default(),
            history: HistoryLimits::default(),
            watch_backlog: 10_000,
            rbac: false,
            token_key: String::new(),
            tokens: Vec::new(),
            cache_bytes: 8 << 20,
            version: kinds::VERSION.to_owned(),
            pass_over_rules: false,
            watch_list: true,
            first_revision: 100,
        }
    }
}
