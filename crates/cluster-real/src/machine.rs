//! Clusters that run, and the runs on them, one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use wavetank_cluster::{Capabilities, Capability, ClusterError};
use wavetank_kernel::BoxFuture;

use crate::control_plane::{self, Assets, ControlPlane};
use crate::evidence;
use crate::existing::{self, Existing, ExistingOptions};
use crate::journal::{Journal, JournalError, Lease, Record};
use crate::k3s::{self, K3s, K3sOptions};
use crate::kind::{self, KindCluster, KindOptions};
use crate::said::Causes;
use crate::server::Server;
use crate::session::{Session, SessionConfig};

/// How long evidence is collected when somebody waits for the end.
const INTERRUPTED: Duration = Duration::from_secs(20);

/// What real clusters can do whose workloads are simulated, or real.
pub fn capabilities(simulates_workloads: bool) -> Capabilities {
    if simulates_workloads {
        [Capability::ScriptedWorkloads, Capability::LoadBalancers].into()
    } else {
        [Capability::RealContainers].into()
    }
}

/// How clusters of one target come into being.
#[derive(Clone, Debug)]
pub enum Driver {
    /// Processes of our own.
    ControlPlane(Assets),
    /// Containers, by the program `kind`.
    Kind(KindOptions),
    /// One container, by testcontainers.
    K3s(K3sOptions),
    /// Somebody's cluster.
    Existing(ExistingOptions),
}

impl Driver {
    /// An existing cluster, once it is known that it may be used. Blocks.
    ///
    /// # Errors
    /// [`ClusterError`] when it is not allowed, or does not answer.
    pub fn existing(options: ExistingOptions) -> Result<Self, ClusterError> {
        runtime(existing::TARGET)?.block_on(Existing::connect(&options))?;
        Ok(Self::Existing(options))
    }

    /// The name of the target.
    pub const fn target(&self) -> &'static str {
        match self {
            Self::ControlPlane(_) => control_plane::TARGET,
            Self::Kind(_) => kind::TARGET,
            Self::K3s(_) => k3s::TARGET,
            Self::Existing(_) => existing::TARGET,
        }
    }

    /// What its clusters can do.
    pub fn capabilities(&self) -> Capabilities {
        capabilities(self.simulates_workloads())
    }

    /// Whether Pods are run by virtual nodes.
    pub const fn simulates_workloads(&self) -> bool {
        match self {
            Self::ControlPlane(_) => true,
            Self::Kind(options) => !options.real_workloads,
            Self::K3s(_) | Self::Existing(_) => false,
        }
    }

    /// What makes two clusters of the target alike.
    fn recipe(&self) -> String {
        match self {
            Self::ControlPlane(assets) => assets.folder().display().to_string(),
            Self::Kind(options) => options.recipe(),
            Self::K3s(options) => options.recipe(),
            Self::Existing(options) => options.allow_cluster.clone().unwrap_or_default(),
        }
    }

    /// A cluster: a kept one that nobody uses, or a new one, which is waited for. Blocks.
    ///
    /// # Errors
    /// [`ClusterError`] when it cannot be had; what was started of it has ended then.
    pub fn start(
        &self,
        journal: &Journal,
        number: u32,
        mut interrupted: watch::Receiver<bool>,
    ) -> Result<Machine, ClusterError> {
        let unusable = |error: JournalError| unavailable(self.target(), &Causes(&error));
        let runtime = runtime(self.target())?;
        let interruption = || unavailable(self.target(), &"interrupted");
        let record = self.record(number);
        if let Some(mut lease) = journal.reuse(&record).map_err(unusable)? {
            let attached = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = raised(&mut interrupted) => None,
                    attached = self.attach(lease.folder(), lease.record()) => Some(attached),
                }
            });
            match attached {
                Some(Ok(body)) => return Ok(Machine::new(body, lease, runtime)),
                // It was kept, and is gone all the same.
                Some(Err(_gone)) => remove(lease)?,
                None => {
                    // It was not touched yet.
                    lease.keep(true).map_err(unusable)?;
                    return Err(interruption());
                }
            }
        }
        let lease = journal.open(record).map_err(unusable)?;
        let made = runtime.block_on(async {
            tokio::select! {
                biased;
                () = raised(&mut interrupted) => Err(interruption()),
                made = self.make(lease.folder(), lease.record()) => made,
            }
        });
        match made {
            Ok(body) => Ok(Machine::new(body, lease, runtime)),
            Err(ClusterError::Unavailable { target, mut reason }) => {
                if let Err(left) = remove(lease) {
                    reason = format!("{reason}\nwhat was begun is left over: {left}");
                }
                Err(ClusterError::Unavailable { target, reason })
            }
        }
    }

    fn record(&self, number: u32) -> Record {
        #[expect(
            clippy::disallowed_methods,
            reason = "people look for what is old, and names must be new"
        )]
        let now = Timestamp::now();
        let pid = std::process::id();
        let (context, kubeconfig, name) = match self {
            // One lease for each cluster.
            Self::Existing(options) => (
                options.context.clone(),
                options.kubeconfig.display().to_string(),
                format!("kubeconfig-{}", self.recipe()),
            ),
            _ => (
                String::new(),
                String::new(),
                format!("wavetank-{:x}-{pid}-{number}", now.as_second()),
            ),
        };
        Record {
            name,
            context,
            kubeconfig,
            target: self.target().to_owned(),
            owner: pid,
            created: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            recipe: self.recipe(),
            ..Record::default()
        }
    }

    async fn make(&self, folder: &Path, record: &Record) -> Result<Body, ClusterError> {
        Ok(match self {
            Self::ControlPlane(assets) => {
                Body::ControlPlane(ControlPlane::start(assets, folder).await?)
            }
            Self::Existing(options) => {
                // What an earlier run could not remove goes first.
                existing_left(record, folder).await?;
                Body::Existing(Existing::connect(options).await?)
            }
            Self::Kind(options) => Body::Kind(KindCluster::create(options, record, folder).await?),
            Self::K3s(options) => Body::K3s(K3s::create(options, record, folder).await?),
        })
    }

    async fn attach(&self, folder: &Path, record: &Record) -> Result<Body, ClusterError> {
        Ok(match self {
            Self::ControlPlane(assets) => {
                Body::ControlPlane(ControlPlane::attach(assets, folder).await?)
            }
            Self::Existing(options) => Body::Existing(Existing::connect(options).await?),
            Self::Kind(options) => Body::Kind(KindCluster::attach(options, record, folder).await?),
            Self::K3s(_) => Body::K3s(K3s::attach(&record.name, folder).await?),
        })
    }
}

/// Removes a cluster that is written down: its processes or containers, and its folder.
///
/// # Errors
/// [`ClusterError`] when something of it stays.
pub fn remove(lease: Lease) -> Result<(), ClusterError> {
    let record = lease.record().clone();
    let unusable = |error: JournalError| unavailable(&record.target, &Causes(&error));
    // A creation that is still under way would make what is just removed.
    lease.end_processes().map_err(unusable)?;
    match record.target.as_str() {
        kind::TARGET => kind::delete(&record.name, lease.folder())?,
        k3s::TARGET => k3s::delete(&record.name)?,
        existing::TARGET => existing::sweep(&record, lease.folder())?,
        _ => {}
    }
    lease.forget().map_err(unusable)
}

/// Removes what an earlier run has left on an existing cluster.
async fn existing_left(record: &Record, folder: &Path) -> Result<(), ClusterError> {
    if !folder.join(existing::MADE).is_file() {
        return Ok(());
    }
    let (record, folder) = (record.clone(), folder.to_owned());
    tokio::task::spawn_blocking(move || {
        existing::sweep(&record, &folder)?;
        std::fs::remove_file(folder.join(existing::MADE))
            .map_err(|error| unavailable(existing::TARGET, &error))
    })
    .await
    .map_err(|error| unavailable(existing::TARGET, &error))?
}

pub(crate) fn unavailable(target: &str, reason: &dyn std::fmt::Display) -> ClusterError {
    ClusterError::Unavailable {
        target: target.to_owned(),
        reason: reason.to_string(),
    }
}

enum Body {
    ControlPlane(ControlPlane),
    Kind(KindCluster),
    K3s(K3s),
    Existing(Existing),
}

impl Body {
    fn server(&self) -> &Server {
        match self {
            Self::ControlPlane(plane) => plane.server(),
            Self::Kind(cluster) => cluster.server(),
            Self::K3s(cluster) => cluster.server(),
            Self::Existing(cluster) => cluster.server(),
        }
    }

    /// Why it is of no use any more, if so.
    fn ended(&mut self) -> Option<String> {
        match self {
            Self::ControlPlane(plane) => plane.ended(),
            Self::Kind(_) | Self::K3s(_) | Self::Existing(_) => None,
        }
    }

    /// Files that tell what its parts did.
    async fn logs(&self, folder: &Path) -> Vec<PathBuf> {
        match self {
            Self::ControlPlane(plane) => plane.logs(),
            Self::Kind(cluster) => cluster.logs(folder).await,
            Self::K3s(cluster) => cluster.logs(folder).await,
            Self::Existing(_) => Vec::new(),
        }
    }
}

/// A cluster that runs, with the runtime it is talked to in. Unless it is to be kept, it goes when it is dropped.
pub struct Machine {
    body: Option<Body>,
    lease: Option<Lease>,
    runtime: Runtime,
    version: String,
}

/// What a run on a machine gave.
#[derive(Debug)]
pub struct Ran<T> {
    /// Its result.
    pub result: T,
    /// Why the machine must not be used again, if so.
    pub spoilt: Option<String>,
    /// What the evidence lacks, if it was wanted and something of it could not be had.
    pub evidence: Option<String>,
}

impl Machine {
    fn new(body: Body, lease: Lease, runtime: Runtime) -> Self {
        let version = match &body {
            Body::ControlPlane(plane) => plane.version().to_owned(),
            Body::Kind(cluster) => cluster.version().to_owned(),
            Body::K3s(cluster) => cluster.version().to_owned(),
            Body::Existing(cluster) => cluster.version().to_owned(),
        };
        Self {
            body: Some(body),
            lease: Some(lease),
            runtime,
            version,
        }
    }

    /// Its Kubernetes version, as `v1.36.2`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The file that reaches it.
    pub fn kubeconfig(&self) -> Option<PathBuf> {
        let folder = self.lease.as_ref()?.folder();
        Some(folder.join("kubeconfig"))
    }

    /// Makes one run: begins a session, lets `work` use it, ends it. Blocks. Where `evidence` names a folder for what
    /// `work` gave (nothing where it was interrupted), what the cluster knows is put there before the run's objects are
    /// removed.
    ///
    /// # Errors
    /// [`ClusterError`] when the session cannot begin, or `interrupted` became true.
    pub fn run<T>(
        &mut self,
        config: SessionConfig,
        mut interrupted: watch::Receiver<bool>,
        work: impl FnOnce(Arc<Session>) -> BoxFuture<'static, T>,
        evidence: impl FnOnce(Option<&T>) -> Option<PathBuf>,
    ) -> Result<Ran<T>, ClusterError> {
        let gone = || unavailable("cluster", &"it is gone");
        let body = self.body.as_mut().ok_or_else(gone)?;
        let schedule = matches!(body, Body::ControlPlane(plane) if !plane.schedules());
        let existing = matches!(body, Body::Existing(_));
        let made = self
            .lease
            .as_ref()
            .filter(|_| existing)
            .map(|lease| lease.folder().join(existing::MADE));
        let lease = self.lease.as_ref();
        let labels = lease
            .map(|lease| lease.record().labels())
            .unwrap_or_default();
        let config = SessionConfig {
            schedule,
            confined: made,
            labels,
            ..config
        };
        let server = body.server().clone();
        self.runtime.block_on(async {
            let stopped = raised(&mut interrupted);
            tokio::pin!(stopped);
            let interruption = || unavailable(server.target(), &"interrupted");
            let interrupted_without = |lacking: &str| {
                let reason = format!("interrupted; not all evidence could be kept: {lacking}");
                unavailable(server.target(), &reason)
            };
            let session = tokio::select! {
                biased;
                () = &mut stopped => return Err(interruption()),
                session = Session::begin(&server, config) => session?,
            };
            let result = tokio::select! {
                biased;
                () = &mut stopped => {
                    // Somebody waits for the end: what is not there in time is left out.
                    let collected = async { collect(body, &session, evidence(None)).await };
                    let lacking = timeout(INTERRUPTED, collected).await;
                    session.abandon();
                    return Err(match lacking {
                        Ok(None) => interruption(),
                        Ok(Some(lacking)) => interrupted_without(&lacking),
                        Err(_late) => interrupted_without("there was no time"),
                    });
                }
                result = work(Arc::clone(&session)) => result,
            };
            let lacking = collect(body, &session, evidence(Some(&result))).await;
            let ended = session.end().await.err();
            let spoilt = body.ended().or(ended);
            Ok(Ran {
                result,
                spoilt,
                evidence: lacking,
            })
        })
    }

    /// Removes the cluster. Blocks. What is only dropped is removed too, without a word where that fails.
    ///
    /// # Errors
    /// [`ClusterError`] when something of it stays: it is left over then.
    pub fn end(mut self) -> Result<(), ClusterError> {
        // Our own children first: nobody else can wait for them.
        drop(self.body.take());
        self.lease.take().map_or(Ok(()), remove)
    }

    /// Lets the cluster stay, for the next run or for somebody to look at; gives its name and kubeconfig.
    ///
    /// # Errors
    /// [`ClusterError`] when that cannot be written down: it goes then.
    pub fn keep(mut self) -> Result<(String, PathBuf), ClusterError> {
        let kubeconfig = self.kubeconfig().unwrap_or_default();
        let mut lease = self
            .lease
            .take()
            .ok_or_else(|| unavailable("cluster", &"it is gone"))?;
        let name = lease.record().name.clone();
        let target = lease.record().target.clone();
        if let Err(error) = lease.keep(true) {
            self.lease = Some(lease);
            return Err(unavailable(&target, &Causes(&error)));
        }
        if let Some(Body::ControlPlane(plane)) = self.body.take() {
            plane.leave();
        }
        Ok((name, kubeconfig))
    }
}

/// Puts what a cluster knows into a folder; gives what could not be had.
async fn collect(body: &Body, session: &Session, folder: Option<PathBuf>) -> Option<String> {
    let folder = folder?;
    let logs = body.logs(&folder).await;
    evidence::collect(session, &logs, &folder).await.err()
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Our own children first: nobody else can wait for them.
        drop(self.body.take());
        if let Some(lease) = self.lease.take() {
            // What cannot be removed is found by `cluster sweep`.
            remove(lease).ok();
        }
    }
}

/// Ends when the flag is raised.
async fn raised(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|raised| *raised).await.is_err() {
        // Nobody can raise it any more.
        std::future::pending::<()>().await;
    }
}

fn runtime(target: &str) -> Result<Runtime, ClusterError> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(target)
        .enable_all()
        .build()
        .map_err(|error| {
            unavailable(
                target,
                &format!("the operating system gives no runtime: {error}"),
            )
        })
}
