//! Where scenarios are replayed: the simulated cluster, or real ones that are started when they are needed.

mod options;

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::Instant;
use wavetank::{Options, RunOutcome, StepEngine, Verdict};
use wavetank_cluster::{Capabilities, Cluster, ClusterError};
use wavetank_cluster_real::{
    Assets, Driver, ExistingOptions, Journal, K3sOptions, KindOptions, Machine, SessionConfig,
};
use wavetank_model::timestamp::Epoch;
use wavetank_scenario::Scenario;

use crate::args::{TargetName, TargetOptions, Workloads};
use crate::load::Refused;
use crate::output::{self, Streams};
use crate::{UNAVAILABLE, interrupt};

pub(crate) use options::{refuse_jobs, refuse_workloads};

/// A target that a command line names.
pub(crate) enum Target {
    /// The simulated cluster.
    Fake,
    /// Real clusters.
    Real(Box<Fleet>),
}

impl Target {
    /// Finds what the target needs; `Err` holds the exit code of what was said.
    pub(crate) fn find_or_say(
        name: TargetName,
        options: &TargetOptions,
        streams: &mut Streams,
    ) -> anyhow::Result<Result<Self, u8>> {
        if name != TargetName::Fake {
            refuse_workloads(name, options.workloads)?;
        }
        let driver = match name {
            TargetName::Fake => return Ok(Ok(Self::Fake)),
            TargetName::ControlPlane => control_plane(),
            TargetName::Kind => kind(options),
            TargetName::K3s => k3s(options),
            TargetName::Kubeconfig => existing(options)?,
        };
        match driver {
            Ok(driver) => Ok(Ok(Self::Real(Box::new(Fleet::new(driver, options)?)))),
            Err(error) => {
                streams.message(&format!("error: {error}\n"));
                Ok(Err(UNAVAILABLE))
            }
        }
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

    /// Its name, as the command line spells it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::Real(fleet) => fleet.name(),
        }
    }

    /// Whether somebody wants the program to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        match self {
            Self::Fake => false,
            Self::Real(fleet) => *fleet.interrupted.borrow(),
        }
    }
}

impl TargetName {
    /// What such a target can do.
    pub(crate) fn capabilities(self, workloads: Option<Workloads>) -> Capabilities {
        let real =
            matches!(self, Self::K3s | Self::Kubeconfig) || workloads == Some(Workloads::Real);
        match self {
            Self::Fake => wavetank_cluster_sim::capabilities(),
            _ => wavetank_cluster_real::capabilities(!real),
        }
    }
}

/// The programs of `KUBEBUILDER_ASSETS`.
fn control_plane() -> Result<Driver, ClusterError> {
    let Some(folder) = env::var_os("KUBEBUILDER_ASSETS") else {
        return Err(ClusterError::Unavailable {
            target: "control-plane".to_owned(),
            reason:
                "KUBEBUILDER_ASSETS is not set: it names the folder with etcd, kube-apiserver and \
                     kube-controller-manager"
                    .to_owned(),
        });
    };
    Assets::find(&PathBuf::from(folder)).map(Driver::ControlPlane)
}

fn kind(options: &TargetOptions) -> Result<Driver, ClusterError> {
    let absolute = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let kind = KindOptions {
        config: options.kind_config.as_ref().map(absolute),
        image: options
            .kind_image
            .clone()
            .or_else(|| env::var("WAVETANK_KIND_IMAGE").ok()),
        archives: options.kind_load.iter().map(absolute).collect(),
        real_workloads: options.workloads == Some(Workloads::Real),
    };
    kind.check().map(|_version| Driver::Kind(kind))
}

fn k3s(options: &TargetOptions) -> Result<Driver, ClusterError> {
    let absolute = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let engine = env::var("DOCKER_HOST").unwrap_or_default();
    let k3s = K3sOptions {
        image: options
            .k3s_image
            .clone()
            .or_else(|| env::var("WAVETANK_K3S_IMAGE").ok()),
        archives: options.k3s_load.iter().map(absolute).collect(),
        engine_host: host_of(&engine),
    };
    k3s.check().map(|_version| Driver::K3s(k3s))
}

/// The machine that `DOCKER_HOST` names, where that is not a socket of this one.
fn host_of(engine: &str) -> Option<String> {
    let (scheme, rest) = engine.split_once("://")?;
    let (address, _) = rest.split_once('/').unwrap_or((rest, ""));
    let host = address
        .rsplit_once(':')
        .map_or(address, |(host, _port)| host);
    (scheme != "unix" && !host.is_empty()).then(|| host.to_owned())
}

/// The cluster of `--context`.
fn existing(options: &TargetOptions) -> anyhow::Result<Result<Driver, ClusterError>> {
    let refused = |text: &str| Err(Refused(format!("error: {text}\n")).into());
    let Some(context) = options.context.clone() else {
        return refused(
            "--target kubeconfig needs --context NAME: the current context is never taken",
        );
    };
    let kubeconfig = options
        .kubeconfig
        .clone()
        .or_else(|| {
            let named = env::var_os("KUBECONFIG")?;
            env::split_paths(&named).next()
        })
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config")))
        .context("neither --kubeconfig nor KUBECONFIG nor HOME says where the context is")?;
    let existing = ExistingOptions {
        kubeconfig: kubeconfig.canonicalize().unwrap_or(kubeconfig),
        context,
        allow_cluster: options.allow_cluster.clone(),
        allow_cluster_scoped: options.allow_cluster_scoped,
    };
    // Whether it may be used is asked before anything else, and before any write.
    Ok(Driver::existing(existing))
}

/// The journal of everything that was started: in `WAVETANK_STATE_DIR`, or where programs keep their state.
///
/// # Errors
/// When there is no such place.
pub(crate) fn journal() -> anyhow::Result<Journal> {
    let folder = env::var_os("WAVETANK_STATE_DIR")
        .map(PathBuf::from)
        .or_else(|| env::var_os("XDG_STATE_HOME").map(|state| PathBuf::from(state).join("wavetank")))
        .or_else(|| {
            env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state/wavetank"))
        })
        .context("neither WAVETANK_STATE_DIR nor HOME is set: there is no place for the journal of clusters")?;
    Ok(Journal::new(folder))
}

/// Real clusters of one kind: as many as are used at a time.
pub(crate) struct Fleet {
    driver: Driver,
    journal: Journal,
    idle: Mutex<Vec<Machine>>,
    started: AtomicU32,
    options: TargetOptions,
    version: Mutex<String>,
    interrupted: watch::Receiver<bool>,
    began: Instant,
    /// Why clusters could not be had, since the last one that could.
    failures: Mutex<Vec<String>>,
}

impl Fleet {
    fn new(driver: Driver, options: &TargetOptions) -> anyhow::Result<Self> {
        Ok(Self {
            driver,
            journal: journal()?,
            idle: Mutex::new(Vec::new()),
            started: AtomicU32::new(0),
            options: options.clone(),
            version: Mutex::new(String::new()),
            interrupted: interrupt::listen().context("cannot listen to signals")?,
            began: Instant::now(),
            failures: Mutex::new(Vec::new()),
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Machine>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Machine, ClusterError> {
        if let Some(machine) = self.idle().pop() {
            return Ok(machine);
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        // What failed twice is not tried again for each scenario.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let [_, .., reason] = failures.as_slice() {
            return Err(ClusterError::Unavailable {
                target: self.name().to_owned(),
                reason: format!("it could not be had twice before: {reason}"),
            });
        }
        drop(failures);
        let started = self
            .driver
            .start(&self.journal, number, self.interrupted.clone());
        failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = match started {
            Ok(machine) => machine,
            Err(error) => {
                failures.push(error.to_string());
                return Err(error);
            }
        };
        failures.clear();
        drop(failures);
        machine
            .version()
            .clone_into(&mut self.version.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(machine)
    }

    /// Whether the cluster was there before us.
    fn is_somebodys(&self) -> bool {
        matches!(self.driver, Driver::Existing(_))
    }

    /// The scenario as it is run. On somebody's cluster its application has a name of its own, so that nothing that is
    /// tracked there can be taken for the run's.
    fn named(&self, scenario: &Arc<Scenario>) -> Arc<Scenario> {
        if !self.is_somebodys() {
            return Arc::clone(scenario);
        }
        let mut own = Scenario::clone(scenario);
        let name = format!("wavetank-{:x}-{}", std::process::id(), own.app.name);
        own.app.name = name.chars().take(63).collect();
        Arc::new(own)
    }

    /// The name of the target.
    pub(crate) fn name(&self) -> &'static str {
        self.driver.target()
    }

    /// Why `scenario` is skipped here, if it is.
    pub(crate) fn skips(&self, scenario: &Scenario) -> Option<String> {
        let lacking = wavetank::lacking(scenario, &self.driver.capabilities());
        lacking.or_else(|| {
            let allowed = self.options.allow_cluster_scoped;
            self.is_somebodys()
                .then(|| wavetank::leaves_its_namespaces(scenario, allowed))
                .flatten()
        })
    }

    /// Why there is no time for `scenario` here, if there is none; it is simulated to know how long it takes.
    pub(crate) fn is_too_long(
        &self,
        scenario: &Arc<Scenario>,
        options: &Options,
    ) -> Option<String> {
        if let Some(limit) = self.options.stop_after
            && self.began.elapsed() > limit
        {
            return Some(format!("not begun within {} s", limit.as_secs()));
        }
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
            workload: self.driver.simulates_workloads().then_some(config.workload),
            schedule: false,
            rules: match self.options.time_scale {
                Some(scale) => wavetank::faster(config.rules, scale),
                None => config.rules,
            },
            namespace: config.namespace,
            confined: None,
            allow_cluster_scoped: self.options.allow_cluster_scoped,
            labels: BTreeMap::new(),
        };
        let mut machine = self.take()?;
        let (name, scenario) = (scenario.name.clone(), self.named(scenario));
        let judged = Arc::clone(&scenario);
        let ran = match machine.run(
            config,
            self.interrupted.clone(),
            |session| {
                Box::pin(async move {
                    let cluster = session as Arc<dyn Cluster>;
                    wavetank::check_on(&scenario, cluster, &options, engine).await
                })
            },
            |outcome| {
                let folder = self.options.evidence.as_ref()?;
                // Of a run that was interrupted nobody knows whether all was well.
                let is_wanted = outcome.is_none_or(|outcome| !outcome.verdict.is_fine());
                is_wanted.then(|| folder.join(&name))
            },
        ) {
            Ok(ran) => ran,
            Err(error) => {
                end(machine);
                return Err(error);
            }
        };
        let mut outcome = ran.result;
        if let Some(lacking) = ran.evidence {
            outcome
                .warnings
                .push(format!("not all evidence could be kept: {lacking}"));
        }
        let lost = matches!(outcome.verdict, Verdict::Unavailable { .. });
        match ran.spoilt {
            None if !lost => self.idle().push(machine),
            None => end(machine),
            Some(reason) => {
                end(machine);
                outcome.warnings.push(format!(
                    "the cluster was thrown away after {name}: {reason}"
                ));
            }
        }
        if let Some(remedy) = self.images_come_by() {
            wavetank::blame_images(&mut outcome, &judged, remedy);
        }
        Ok(outcome)
    }

    /// How images get to the nodes; `None` where no containers run.
    fn images_come_by(&self) -> Option<&'static str> {
        Some(match &self.driver {
            Driver::ControlPlane(_) => return None,
            Driver::Kind(options) if !options.real_workloads => return None,
            Driver::Kind(options) if options.archives.is_empty() => {
                "`--kind-load FILE` loads an archive (`docker save -o FILE IMAGE`) into the nodes; else its registry has to be \
                 within their reach"
            }
            Driver::Kind(_) => {
                "what `--kind-load` loads does not hold it under that name; else its registry has to be within the reach of \
                 the nodes"
            }
            Driver::K3s(options) if options.archives.is_empty() => {
                "`--k3s-load FILE` loads an archive (`docker save -o FILE IMAGE`) into the node; else its registry has to be \
                 within its reach"
            }
            Driver::K3s(_) => {
                "what `--k3s-load` loads does not hold it under that name; else its registry has to be within the reach of the \
                 node"
            }
            Driver::Existing(_) => {
                "its registry has to be within the reach of the cluster's nodes, or the image has to be on them"
            }
        })
    }
}

/// Removes a cluster, and says what stays.
fn end(machine: Machine) {
    if let Err(error) = machine.end() {
        output::notice(&format!(
            "error: {error}\n`wavetank cluster sweep` removes what is left\n"
        ));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let machines = std::mem::take(&mut *self.idle());
        for machine in machines {
            if !self.options.keep {
                end(machine);
                continue;
            }
            match machine.keep() {
                Ok((name, kubeconfig)) => output::notice(&format!(
                    "kept {name}\n  use it     export KUBECONFIG={}\n  remove it  wavetank cluster sweep --kept\n",
                    kubeconfig.display()
                )),
                Err(error) => output::notice(&format!("error: {error}\n")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn only_an_address_names_another_machine() {
        assert_eq!(host_of(""), None);
        assert_eq!(host_of("unix:///var/run/docker.sock"), None);
        assert_eq!(
            host_of("tcp://build.example:2376").as_deref(),
            Some("build.example")
        );
        assert_eq!(host_of("tcp://[::1]:2376/").as_deref(), Some("[::1]"));
    }
}
