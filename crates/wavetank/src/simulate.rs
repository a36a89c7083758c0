//! A scenario on the simulated cluster.

use std::sync::{Arc, PoisonError};

use wavetank_apiserver::{Bootstrap, ServerConfig};
use wavetank_cluster::Cluster;
use wavetank_cluster_sim::{SimCluster, SimConfig, drive, runtime};
use wavetank_health::Assessor;
use wavetank_kernel::{Choice, Chooser, Seed};
use wavetank_model::timestamp::Epoch;
use wavetank_runner::{RunEnd, RunOptions, RunRecord, UnfiredFault, replay};
use wavetank_scenario::{Scenario, StorageBinding};
use wavetank_sync::{Builtin, StepEngine};
use wavetank_trace::Trace;
use wavetank_workload::BindingMode;

/// Who makes the choices of a run.
#[derive(Clone, Debug, Default)]
pub enum Choices {
    /// The canonical schedule: always the default.
    #[default]
    Canonical,
    /// Always the last option.
    Last,
    /// Drawn from the seed.
    Random,
    /// A recorded schedule.
    Replay(Vec<Choice>),
}

/// How a scenario is simulated.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Seed; `None` takes the scenario's.
    pub seed: Option<u64>,
    /// Who makes the choices.
    pub choices: Choices,
    /// Whether Secret values are written as they are.
    pub show_secrets: bool,
    /// Whether a run ends as soon as an expectation cannot hold any more; runs of scenarios with `exceptions` never do.
    pub fail_fast: bool,
}

/// What a simulation gave.
#[derive(Debug)]
pub struct Simulation {
    /// Everything that happened.
    pub trace: Trace,
    /// How the run ended, before its expectations are judged.
    pub end: RunEnd,
    /// Faults that never fired and are not optional.
    pub unfired: Vec<UnfiredFault>,
    /// The choices that were not the default.
    pub schedule: Vec<Choice>,
}

/// Replays a scenario with the built-in engine on a fresh simulated cluster, in virtual time, on this thread.
pub fn simulate(scenario: &Arc<Scenario>, options: Options) -> Simulation {
    simulate_on(scenario, options, None)
}

/// As [`simulate`], with the given engine.
pub fn simulate_with(
    scenario: &Arc<Scenario>,
    options: Options,
    engine: Box<dyn StepEngine>,
) -> Simulation {
    simulate_on(scenario, options, Some(engine))
}

/// Without an engine the built-in one is made, with the rules of health that the scenario asks for.
fn simulate_on(
    scenario: &Arc<Scenario>,
    options: Options,
    engine: Option<Box<dyn StepEngine>>,
) -> Simulation {
    let seed = Seed(options.seed.unwrap_or(scenario.seed));
    match runtime() {
        Ok(runtime) => runtime.block_on(simulate_in(scenario, seed, options, engine)),
        Err(error) => unavailable(
            scenario,
            "fake",
            seed,
            format!("the operating system gives no runtime: {error}"),
        ),
    }
}

async fn simulate_in(
    scenario: &Arc<Scenario>,
    seed: Seed,
    options: Options,
    engine: Option<Box<dyn StepEngine>>,
) -> Simulation {
    let cluster = match SimCluster::new(cluster_config(scenario, &options, Epoch::default(), 1)) {
        Ok(cluster) => Arc::new(cluster),
        Err(error) => return unavailable(scenario, "fake", seed, error.to_string()),
    };
    let pace = tokio::spawn(drive(Arc::clone(&cluster)));
    let assessor = match assessor(scenario, cluster.as_ref()) {
        Ok(assessor) => assessor,
        Err(reason) => return unavailable(scenario, "fake", seed, reason),
    };
    let engine = engine.unwrap_or_else(|| Box::new(Builtin::new(assessor.clone())));
    let assessor = Arc::new(assessor);
    let run_options = RunOptions {
        seed: seed.0,
        show_secrets: options.show_secrets,
        fail_fast: options.fail_fast && scenario.exceptions.is_empty(),
    };
    let target = Arc::clone(&cluster) as Arc<dyn Cluster>;
    let RunRecord {
        trace,
        ended,
        unfired,
    } = replay(Arc::clone(scenario), target, engine, assessor, &run_options).await;
    pace.abort();
    match pace.await {
        // The world panicked: a bug that must surface.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => {}
    }
    let chooser = cluster.world().chooser();
    let schedule = chooser
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .schedule()
        .to_vec();
    Simulation {
        trace,
        end: ended,
        unfired,
        schedule,
    }
}

/// The rules of health that `scenario` asks for: the built-in ones and its scripts, which see the time of `cluster`.
///
/// # Errors
/// There are scripts, and this program was built without Lua.
#[cfg(feature = "lua")]
pub fn assessor(scenario: &Scenario, cluster: &dyn Cluster) -> Result<Assessor, String> {
    let (clock, epoch) = (cluster.clock(), cluster.epoch());
    let now: wavetank_health::LuaClock = Arc::new(move || epoch.wall(clock.now()).as_second());
    let settings = &scenario.app.settings;
    let assessor = Assessor::new().with_version(settings.version);
    Ok(assessor.with_scripts(&settings.customizations.health_scripts, &now))
}

/// The rules of health that `scenario` asks for, which must be the built-in ones.
///
/// # Errors
/// There are scripts, and this program was built without Lua.
#[cfg(not(feature = "lua"))]
pub fn assessor(scenario: &Scenario, _cluster: &dyn Cluster) -> Result<Assessor, String> {
    let settings = &scenario.app.settings;
    if settings.customizations.health_scripts.is_empty() {
        return Ok(Assessor::new().with_version(settings.version));
    }
    Err("`resourceCustomizations` needs Lua, and this program was built without it".to_owned())
}

/// The simulated cluster that `scenario` asks for, whose clock starts at `epoch` and passes `time_scale` times faster
/// than the runtime's.
pub fn cluster_config(
    scenario: &Scenario,
    options: &Options,
    epoch: Epoch,
    time_scale: u32,
) -> SimConfig {
    let seed = Seed(options.seed.unwrap_or(scenario.seed));
    let chooser = match &options.choices {
        Choices::Canonical => Chooser::canonical(),
        Choices::Last => Chooser::last(),
        Choices::Random => Chooser::random(seed.child("choices")),
        Choices::Replay(schedule) => Chooser::replay(schedule),
    };
    let cluster = &scenario.cluster;
    SimConfig {
        seed,
        chooser,
        server: ServerConfig {
            bootstrap: if cluster.noise {
                Bootstrap::Full
            } else {
                Bootstrap::Minimal
            },
            epoch,
            ..ServerConfig::default()
        },
        workload: wavetank_workload::Config {
            epoch,
            nodes: usize::try_from(cluster.nodes).unwrap_or(usize::MAX),
            binding_mode: match cluster.storage {
                StorageBinding::Immediate => BindingMode::Immediate,
                StorageBinding::WaitForFirstConsumer => BindingMode::WaitForFirstConsumer,
            },
            load_balancers: cluster.load_balancers,
            noise: cluster.noise,
        },
        rules: scenario.workloads.clone(),
        namespace: scenario.app.namespace.clone(),
        time_scale,
        controllers: true,
    }
}

pub(crate) fn unavailable(
    scenario: &Scenario,
    target: &str,
    seed: Seed,
    reason: String,
) -> Simulation {
    let header = wavetank_runner::header(scenario, target, "builtin", seed.0, Epoch::default());
    Simulation {
        trace: Trace {
            header,
            entries: Vec::new(),
        },
        end: RunEnd::Unavailable(reason),
        unfired: Vec::new(),
        schedule: Vec::new(),
    }
}
