//! The target `fake`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tower::util::BoxCloneSyncService;
use wavetank_apiserver::{Server, ServerConfig};
use wavetank_cluster::{ApiService, Capabilities, Capability, Cluster, ClusterError, Observer};
use wavetank_kernel::{BoxFuture, Chooser, Clock, Seed, SimTime};
use wavetank_model::script::Rule;
use wavetank_model::timestamp::Epoch;
use wavetank_model::{Actor, ObjectKey};
use wavetank_workload::Controllers;

use crate::clock::SimClock;
use crate::service::WorldService;
use crate::world::World;

/// What a simulated cluster is like.
#[derive(Debug)]
pub struct SimConfig {
    /// Seed of the run.
    pub seed: Seed,
    /// Who makes the choices.
    pub chooser: Chooser,
    /// The API server.
    pub server: ServerConfig,
    /// Controllers and kubelet.
    pub workload: wavetank_workload::Config,
    /// Scripted behaviour.
    pub rules: Vec<Rule>,
    /// Namespace that references of the rules mean.
    pub namespace: String,
    /// World time passes this many times faster than the runtime's clock.
    pub time_scale: u32,
    /// Whether there are controllers, nodes and kubelets; else the world is an API server and what belongs to it
    /// (garbage collection, namespaces, definitions).
    pub controllers: bool,
}

/// A simulated cluster.
pub struct SimCluster {
    world: Arc<Mutex<World>>,
    clock: Arc<SimClock>,
    wake: Arc<Notify>,
    epoch: Epoch,
    load_balancers: bool,
}

/// What simulated clusters can do.
pub fn capabilities() -> Capabilities {
    [
        Capability::VirtualTime,
        Capability::ScriptedWorkloads,
        Capability::ReactionLag,
        Capability::LoadBalancers,
    ]
    .into()
}

impl SimCluster {
    /// A cluster as a scenario finds it: nodes and namespaces are there. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ClusterError`] when the server refuses an object the cluster has from the start: a bug.
    pub fn new(config: SimConfig) -> Result<Self, ClusterError> {
        let epoch = config.server.epoch;
        let load_balancers = config.workload.load_balancers;
        let server = Server::new(config.server, config.seed.child("apiserver"));
        let (start, controllers) = if config.controllers {
            let start = wavetank_workload::bootstrap(&config.workload);
            let seed = config.seed.child("workload");
            let controllers =
                Controllers::new(config.rules, config.namespace, config.workload, seed);
            (start, Some(controllers))
        } else {
            (Vec::new(), None)
        };
        let mut world = World::new(server, controllers, config.chooser);
        world
            .bootstrap(start, SimTime::ZERO)
            .map_err(|status| ClusterError::Unavailable {
                target: "fake".to_owned(),
                reason: format!("an object it has from the start was refused: {status}"),
            })?;
        let world = Arc::new(Mutex::new(world));
        let wake = Arc::new(Notify::new());
        let clock = Arc::new(SimClock::new(
            Instant::now(),
            config.time_scale.max(1),
            &world,
            Arc::clone(&wake),
        ));
        Ok(Self {
            world,
            clock,
            wake,
            epoch,
            load_balancers,
        })
    }

    /// The world itself, for what lies below a client.
    ///
    /// Not to be held over an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster for SimCluster {
    fn target(&self) -> &'static str {
        "fake"
    }

    fn capabilities(&self) -> Capabilities {
        let mut all = capabilities();
        if !self.load_balancers {
            all.remove(&Capability::LoadBalancers);
        }
        all
    }

    fn service(&self, actor: &Actor) -> ApiService {
        BoxCloneSyncService::new(WorldService {
            world: Arc::clone(&self.world),
            clock: Arc::clone(&self.clock),
            wake: Arc::clone(&self.wake),
            actor: actor.clone(),
        })
    }

    fn observe(&self, observer: Arc<dyn Observer>) {
        self.world().observe(observer);
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    fn chooser(&self) -> Arc<Mutex<Chooser>> {
        self.world().chooser()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn next_work(&self) -> Option<SimTime> {
        self.world().next_work()
    }

    fn freeze(&self, key: &ObjectKey) {
        self.world().freeze(key);
    }

    fn release(&self, rule: usize) {
        self.world().release(rule, self.clock.now());
        self.wake.notify_one();
    }

    fn waiting(&self) -> Vec<String> {
        self.world().waiting()
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), ClusterError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Paces the world: sleeps until something is due, does it, and again. Never ends; spawn it and abort it at the end.
pub async fn drive(cluster: Arc<SimCluster>) {
    loop {
        let next = {
            let mut world = cluster.world();
            world.run_due(cluster.clock.now());
            world.next_due()
        };
        match next {
            Some(at) => {
                tokio::select! {
                    biased;
                    () = cluster.wake.notified() => {}
                    () = sleep_until(cluster.clock.instant(at)) => {}
                }
            }
            None => cluster.wake.notified().await,
        }
    }
}

/// The runtime a simulated run needs: one thread, time only, paused from the start.
///
/// # Errors
/// When the operating system refuses what the runtime needs.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}
