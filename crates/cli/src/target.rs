//! Where scenarios are replayed: the simulated cluster, or real ones that are started when they are needed.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wavetank::{Options, RunOutcome, StepEngine, Verdict};
use wavetank_cluster::{Capabilities, Capability, Cluster, ClusterError};
use wavetank_cluster_real::{Assets, Machine, SessionConfig};
use wavetank_model::timestamp::Epoch;
use wavetank_scenario::Scenario;

use crate::args::{TargetName, TargetOptions};

/// A target that a command line names.
pub(crate) enum Target {
    /// The simulated cluster.
    Fake,
    /// Control planes of our own.
    Real(Fleet),
}

impl Target {
    /// Finds what the target needs.
    ///
    /// # Errors
    /// [`ClusterError`] when something is missing.
    pub(crate) fn find(name: TargetName, options: &TargetOptions) -> Result<Self, ClusterError> {
        Ok(match name {
            TargetName::Fake => Self::Fake,
            TargetName::ControlPlane => Self::Real(Fleet::find(options.clone())?),
        })
    }

    /// What it is, with its version; nothing where no cluster was started.
    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Self::Fake => None,
            Self::Real(fleet) => {
                let version = fleet.version.lock().unwrap_or_else(PoisonError::into_inner);
                (!version.is_empty()).then(|| format!("{}: Kubernetes {version}", fleet.name()))
            }
        }
    }
}

/// Real clusters of one kind: as many as are used at a time.
pub(crate) struct Fleet {
    assets: Assets,
    idle: Mutex<Vec<Machine>>,
    started: AtomicU32,
    options: TargetOptions,
    version: Mutex<String>,
}

impl Fleet {
    fn find(options: TargetOptions) -> Result<Self, ClusterError> {
        let folder = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let folder = folder.ok_or_else(|| ClusterError::Unavailable {
            target: "control-plane".to_owned(),
            reason:
                "KUBEBUILDER_ASSETS is not set: it names the folder with etcd, kube-apiserver and \
                     kube-controller-manager"
                    .to_owned(),
        })?;
        Ok(Self {
            assets: Assets::find(&folder)?,
            idle: Mutex::new(Vec::new()),
            started: AtomicU32::new(0),
            options,
            version: Mutex::new(String::new()),
        })
    }

    fn capabilities() -> Capabilities {
        [Capability::ScriptedWorkloads, Capability::LoadBalancers].into()
    }

    fn lease(&self) -> Result<Machine, ClusterError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(machine) = idle {
            return Ok(machine);
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("wavetank-{}-{number}", std::process::id()));
        let machine = Machine::control_plane(&self.assets, &folder)?;
        machine
            .plane()
            .version()
            .clone_into(&mut self.version.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(machine)
    }

    fn give_back(&self, machine: Machine) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(machine);
    }

    /// The name of the target.
    #[expect(clippy::unused_self, reason = "other kinds have other names")]
    pub(crate) fn name(&self) -> &'static str {
        "control-plane"
    }

    /// Why `scenario` is skipped here, if it is.
    #[expect(clippy::unused_self, reason = "other kinds can do other things")]
    pub(crate) fn skips(&self, scenario: &Scenario) -> Option<String> {
        wavetank::lacking(scenario, &Self::capabilities())
    }

    /// Why `scenario` takes too long here, if it does; it is simulated to know.
    pub(crate) fn is_too_long(
        &self,
        scenario: &Arc<Scenario>,
        options: &Options,
    ) -> Option<String> {
        let limit = self.options.at_most?;
        let time = wavetank::check(scenario, options.clone()).virtual_time;
        (time.elapsed() > limit).then(|| format!("takes {time} on the simulated cluster"))
    }

    /// Replays a scenario on one of the clusters and judges it.
    ///
    /// # Errors
    /// [`ClusterError`] when no cluster could be had.
    pub(crate) fn check(
        &self,
        scenario: &Arc<Scenario>,
        options: Options,
        engine: Option<Box<dyn StepEngine>>,
    ) -> Result<RunOutcome, ClusterError> {
        let config = wavetank::cluster_config(scenario, &options, Epoch::default(), 1);
        let config = SessionConfig {
            seed: config.seed,
            workload: Some(config.workload),
            schedule: false,
            rules: config.rules,
            namespace: config.namespace,
        };
        let mut machine = self.lease()?;
        let scenario = Arc::clone(scenario);
        let ran = machine.run(config, |session| {
            Box::pin(async move {
                let cluster = session as Arc<dyn Cluster>;
                wavetank::check_on(&scenario, cluster, &options, engine).await
            })
        })?;
        let lost = matches!(ran.result.verdict, Verdict::Unavailable { .. });
        if ran.spoilt.is_none() && !lost {
            self.give_back(machine);
        }
        Ok(ran.result)
    }
}
