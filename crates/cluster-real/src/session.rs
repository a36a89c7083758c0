//! One run on a real cluster: what a scenario is replayed on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::try_join_all;
use http::Request;
use jiff::Timestamp;
use kube::client::Body;
use tokio::runtime::Handle;
use tokio::sync::watch as signal;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::BoxError;
use tower::util::BoxCloneSyncService;
use wavetank_cluster::{ApiService, Capabilities, Capability, Cluster, ClusterError, Observer};
use wavetank_json::Value;
use wavetank_kernel::{BoxFuture, Chooser, Clock, Seed, SimTime};
use wavetank_model::script::Rule;
use wavetank_model::timestamp::Epoch;
use wavetank_model::{Actor, ObjectKey};
use wavetank_workload::{Controllers, Role};

use crate::clock::RealClock;
use crate::confine::Confinement;
use crate::hub::Hub;
use crate::quiet::{self, QUIET};
use crate::resource::Resource;
use crate::server::Server;
use crate::service::RealService;
use crate::standin::StandIn;
use crate::{discovery, existing, nodes, reset, watch};

/// How often it is looked whether the cluster fell quiet, and whether it is still there.
const LOOK: Duration = Duration::from_millis(250);
/// Every kind must be watched within this time.
const WATCHED: Duration = Duration::from_secs(60);
/// How many looks in a row may fail before the cluster is lost.
const FAILURES: u32 = 20;

/// What a run wants of its cluster.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Seed of the scripts' jitter.
    pub seed: Seed,
    /// Nodes, storage, load balancers; `None`: workloads are real.
    pub workload: Option<wavetank_workload::Config>,
    /// Whether Pods are bound by us, for want of a scheduler.
    pub schedule: bool,
    /// Scripted behaviour.
    pub rules: Vec<Rule>,
    /// Namespace that references of the rules mean.
    pub namespace: String,
    /// The file for what the run makes, where it may touch nothing else.
    pub confined: Option<PathBuf>,
    /// Whether a confined run may make cluster-scoped objects beside namespaces.
    pub allow_cluster_scoped: bool,
    /// Labels of the virtual nodes; the machine says which.
    pub labels: BTreeMap<String, String>,
}

impl SessionConfig {
    /// The stand-in's machines, whose nodes are all but the `real` ones.
    fn controllers(&self, epoch: Epoch, real: BTreeSet<String>) -> Option<Controllers> {
        let workload = wavetank_workload::Config {
            epoch,
            ..self.workload.clone()?
        };
        let role = Role::Nodes {
            schedule: self.schedule,
            real,
        };
        let seed = self.seed.child("workload");
        let (rules, namespace) = (self.rules.clone(), self.namespace.clone());
        Some(Controllers::new(rules, namespace, workload, seed).with_role(role))
    }
}

/// One run on a real cluster.
pub struct Session {
    server: Server,
    hub: Arc<Hub>,
    clock: RealClock,
    epoch: Epoch,
    chooser: Arc<Mutex<Chooser>>,
    standin: Option<Mutex<StandIn>>,
    load_balancers: bool,
    lost: signal::Receiver<Option<String>>,
    tasks: Mutex<JoinSet<()>>,
    /// What the run may touch; `None`: everything.
    confinement: Option<Arc<Confinement>>,
    /// What was there before the run.
    before: BTreeMap<ObjectKey, Arc<Value>>,
    client: kube::Client,
}

impl Session {
    /// Begins a run: makes the nodes, lists and watches every kind, starts the stand-in.
    ///
    /// # Errors
    /// [`ClusterError`] when the server does not answer, or nodes do not become ready.
    pub async fn begin(server: &Server, config: SessionConfig) -> Result<Arc<Self>, ClusterError> {
        let failed = |reason: String| ClusterError::Unavailable {
            target: server.target().to_owned(),
            reason,
        };
        let client = server.client()?;
        let resources = discovery::discover(&client).await.map_err(failed)?;
        let confined = config.confined.is_some();
        let (resources, before) = {
            let seen = snapshot(&client, &resources, confined)
                .await
                .map_err(failed)?;
            let readable = seen.watches.into_iter().map(|(resource, _)| resource);
            (readable.collect::<Vec<_>>(), seen.objects)
        };
        let (tell, lost) = signal::channel(None);
        let confinement = config
            .confined
            .as_ref()
            .map(|file| {
                let taken = cluster_scoped(&resources, &before);
                Confinement::new(file, taken, config.allow_cluster_scoped, tell.clone())
            })
            .transpose()
            .map_err(|error| failed(format!("the journal cannot be written: {error}")))?
            .map(Arc::new);
        let real: BTreeSet<String> = before
            .keys()
            .filter(|key| key.kind == "Node" && key.group.is_empty())
            .map(|key| key.name.clone())
            .collect();
        if let Some(workload) = &config.workload {
            nodes::make(&client, &resources, workload, &config.labels)
                .await
                .map_err(failed)?;
        }
        let mut seen = snapshot(&client, &resources, confined)
            .await
            .map_err(failed)?;
        if confined {
            // What is somebody's is none of the run's business.
            seen.objects.clear();
        }
        let clock = RealClock::start();
        #[expect(
            clippy::disallowed_methods,
            reason = "a real run stands in the wall's time"
        )]
        let epoch = Epoch::new(Timestamp::now());
        let (kinds, new_kinds) = unbounded();
        let hub = Arc::new(Hub::new(
            clock,
            resources,
            seen.objects,
            seen.revision,
            kinds,
            confinement.clone(),
        ));
        let standin = config
            .controllers(epoch, real)
            .map(|controllers| {
                let client = client.clone();
                StandIn::start(controllers, &hub, client, clock, epoch, Handle::current())
            })
            .transpose()
            .map_err(|error| failed(format!("no thread can be started: {error}")))?;
        let mut tasks = observe(&client, &hub, seen.watches, new_kinds);
        if let Some(workload) = &config.workload {
            tasks.spawn(nodes::keep_alive(client.clone(), workload.nodes));
        }
        let session = Arc::new(Self {
            server: server.clone(),
            hub,
            clock,
            epoch,
            chooser: Arc::new(Mutex::new(Chooser::canonical())),
            standin: standin.map(Mutex::new),
            load_balancers: config
                .workload
                .is_some_and(|workload| workload.load_balancers),
            lost,
            tasks: Mutex::new(tasks),
            confinement,
            before,
            client,
        });
        if let Err(reason) = session.hub.all_watched(WATCHED).await {
            session.abandon();
            return Err(failed(reason));
        }
        let look = look(Arc::downgrade(&session), session.client.clone(), tell);
        session.tasks().spawn(look);
        Ok(session)
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standin(&self) -> Option<std::sync::MutexGuard<'_, StandIn>> {
        self.standin
            .as_ref()
            .map(|standin| standin.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the run: stops the stand-in, removes everything the run made, and waits until it is gone.
    ///
    /// # Errors
    /// What could not be removed, in words: the cluster should not be used again.
    pub async fn end(&self) -> Result<(), String> {
        if let Some(mut standin) = self.standin() {
            standin.stop();
        }
        let cleaned = match &self.confinement {
            Some(confinement) => existing::remove(&self.client, &confinement.paths()).await,
            None => {
                // A cluster of our own that does not answer any more is thrown away.
                tokio::select! {
                    biased;
                    cleaned = reset::reset(&self.client, &self.hub, &self.before) => cleaned,
                    reason = self.lost() => Err(reason),
                }
            }
        };
        self.tasks().abort_all();
        cleaned
    }

    /// Leaves everything as it is: the cluster is thrown away.
    pub fn abandon(&self) {
        if let Some(mut standin) = self.standin() {
            standin.stop();
        }
        self.tasks().abort_all();
    }

    /// A client of our own.
    pub(crate) fn admin(&self) -> &kube::Client {
        &self.client
    }

    /// Every object as last seen, ordered by key.
    pub fn objects(&self) -> Vec<Arc<Value>> {
        self.hub
            .all(|_, _| true)
            .into_iter()
            .map(|(_, object)| object)
            .collect()
    }

    /// Until when real controllers may still act.
    fn expected(&self, now: SimTime) -> Option<SimTime> {
        let wall = self.epoch.wall(now);
        let until = self
            .hub
            .look(|objects| quiet::expected(objects, wall, self.standin.is_none()))?;
        Some(self.epoch.sim(until).max(now + Duration::from_millis(1)))
    }
}

impl Cluster for Session {
    fn target(&self) -> &str {
        self.server.target()
    }

    fn capabilities(&self) -> Capabilities {
        let mut all = Capabilities::new();
        if self.standin.is_some() {
            all.insert(Capability::ScriptedWorkloads);
        } else {
            all.insert(Capability::RealContainers);
        }
        if self.load_balancers {
            all.insert(Capability::LoadBalancers);
        }
        all
    }

    fn service(&self, actor: &Actor) -> ApiService {
        match self.server.client_of(actor) {
            Ok(client) => BoxCloneSyncService::new(RealService {
                client,
                actor: actor.clone(),
                hub: Arc::clone(&self.hub),
                confinement: self.confinement.clone(),
            }),
            Err(error) => {
                let reason = error.to_string();
                BoxCloneSyncService::new(tower::service_fn(move |_: Request<Body>| {
                    std::future::ready(Err(BoxError::from(reason.clone())))
                }))
            }
        }
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.hub.observe(observer);
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock)
    }

    fn chooser(&self) -> Arc<Mutex<Chooser>> {
        Arc::clone(&self.chooser)
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn next_work(&self) -> Option<SimTime> {
        let now = self.clock.now();
        let scripted = self.standin().and_then(|standin| standin.next_work(now));
        if scripted.is_some() {
            return scripted;
        }
        let quiet = self.hub.last_change().0 + QUIET;
        if self.hub.is_behind() || quiet > now {
            return Some(quiet.max(now));
        }
        self.expected(now)
    }

    fn freeze(&self, key: &ObjectKey) {
        if let Some(standin) = self.standin() {
            standin.freeze(key);
        }
    }

    fn release(&self, rule: usize) {
        if let Some(standin) = self.standin() {
            standin.release(rule);
        }
    }

    fn waiting(&self) -> Vec<String> {
        let mut waiting = self
            .standin()
            .map(|standin| standin.waiting())
            .unwrap_or_default();
        if waiting.is_empty() && self.next_work().is_some() {
            waiting.push("controllers of the cluster".to_owned());
        }
        waiting
    }

    fn order(&self) -> &'static str {
        if self.hub.late() == 0 {
            "commit"
        } else {
            "observed"
        }
    }

    fn lost(&self) -> BoxFuture<'static, String> {
        let mut lost = self.lost.clone();
        Box::pin(async move {
            let reason = lost.wait_for(Option::is_some).await.ok();
            let reason = reason.and_then(|reason| reason.clone());
            match reason {
                Some(reason) => reason,
                // The session is over.
                None => std::future::pending().await,
            }
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(async move {
            self.end()
                .await
                .map_err(|reason| ClusterError::Unavailable {
                    target: self.server.target().to_owned(),
                    reason,
                })
        })
    }
}

/// What lists of all kinds gave.
struct Snapshot {
    objects: BTreeMap<ObjectKey, Arc<Value>>,
    watches: Vec<(Resource, String)>,
    revision: u64,
}

/// Lists every kind. `partly`: kinds that the user may not list are left out.
async fn snapshot(
    client: &kube::Client,
    resources: &[Resource],
    partly: bool,
) -> Result<Snapshot, String> {
    let lists = resources.iter().map(|resource| async move {
        match watch::list(client, resource).await {
            Ok(listed) => Ok(Some(listed)),
            Err(_forbidden) if partly => Ok(None),
            Err(error) => Err(error),
        }
    });
    let lists = try_join_all(lists).await?;
    let mut out = Snapshot {
        objects: BTreeMap::new(),
        watches: Vec::new(),
        revision: 0,
    };
    let listed = resources
        .iter()
        .zip(lists)
        .filter_map(|(resource, listed)| Some((resource, listed?)));
    for (resource, listed) in listed {
        if !resource.is_noise() {
            out.objects.extend(listed.objects);
        }
        out.revision = out.revision.max(listed.revision.parse().unwrap_or(0));
        out.watches.push((resource.clone(), listed.revision));
    }
    Ok(out)
}

/// The paths of all cluster-scoped objects.
fn cluster_scoped(
    resources: &[Resource],
    objects: &BTreeMap<ObjectKey, Arc<Value>>,
) -> BTreeSet<String> {
    objects
        .keys()
        .filter(|key| key.namespace.is_empty())
        .filter_map(|key| {
            let resource = resources
                .iter()
                .find(|resource| resource.gvk.group_kind() == key.group_kind())?;
            Some(resource.item(key))
        })
        .collect()
}

/// Starts everything that feeds the hub.
fn observe(
    client: &kube::Client,
    hub: &Arc<Hub>,
    watches: Vec<(Resource, String)>,
    new_kinds: UnboundedReceiver<Resource>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (resource, revision) in watches {
        tasks.spawn(watch::follow(
            client.clone(),
            resource,
            Arc::clone(hub),
            revision,
        ));
    }
    tasks.spawn(Arc::clone(hub).release());
    tasks.spawn(follow_new(client.clone(), Arc::clone(hub), new_kinds));
    tasks
}

/// Watches kinds from the moment they are served. Never ends before the run does.
async fn follow_new(client: kube::Client, hub: Arc<Hub>, mut kinds: UnboundedReceiver<Resource>) {
    let mut following = JoinSet::new();
    while let Some(resource) = kinds.next().await {
        let (client, hub) = (client.clone(), Arc::clone(&hub));
        following.spawn(async move {
            // Established comes a moment before the kind is served.
            for _ in 0..100 {
                match watch::list(&client, &resource).await {
                    Ok(listed) => {
                        hub.relisted(&resource, listed.objects);
                        return watch::follow(client, resource, hub, listed.revision).await;
                    }
                    Err(_not_yet) => sleep(Duration::from_millis(50)).await,
                }
            }
        });
    }
    following.shutdown().await;
}

/// Looks whether the cluster fell quiet, and whether it is still there. Ends with the session.
async fn look(
    session: std::sync::Weak<Session>,
    client: kube::Client,
    lost: signal::Sender<Option<String>>,
) {
    let (mut failures, mut problem) = (0, String::new());
    loop {
        sleep(LOOK).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        // Again and again: who was told may find an event on its way that tells of nothing, a Lease or a heartbeat, and
        // would wait for ever for the next change.
        if session.next_work().is_none() {
            session.hub.idle();
        }
        let version = discovery::get::<Value>(&client, "/version");
        match tokio::time::timeout(Duration::from_secs(5), version).await {
            Ok(Ok(_)) => failures = 0,
            Ok(Err(error)) => (failures, problem) = (failures + 1, error),
            Err(_) => (failures, problem) = (failures + 4, "no answer within 5 s".to_owned()),
        }
        if session.standin().is_some_and(|standin| standin.is_dead()) {
            lost.send(Some("the kubelet stand-in has ended: a bug".to_owned()))
                .ok();
            return;
        }
        if failures >= FAILURES {
            lost.send(Some(format!("the API server does not answer: {problem}")))
                .ok();
            return;
        }
    }
}
