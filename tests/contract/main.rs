//! The contract that every target keeps, run on the simulated cluster always, on a control plane where
//! `KUBEBUILDER_ASSETS` names its programs, on kind where `WAVETANK_CONTRACT_KIND` is set, and on k3s where
//! `WAVETANK_CONTRACT_K3S` is, in a build with `--features wavetank-cluster-real/k3s`.

mod bodies;
mod recorder;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::sync::watch;
use wavetank_cluster::Cluster;
use wavetank_cluster_real::{
    Assets, Driver, Journal, K3sOptions, KindOptions, Machine, SessionConfig,
};
use wavetank_cluster_sim::{SimCluster, SimConfig, drive, runtime};
use wavetank_kernel::{BoxFuture, Chooser, Seed};
use wavetank_model::Reference;
use wavetank_model::script::{Attempt, Behaviour, Delay, Deletion, Rule};
use wavetank_workload::Config;

use recorder::Tape;

/// What is asked of a target.
type Body = for<'a> fn(&'a dyn Cluster, &'a Tape) -> BoxFuture<'a, Result<(), String>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for &(name, body) in bodies::ANYWHERE.iter().chain(bodies::SCRIPTED) {
        trials.push(Trial::test(format!("fake::{name}"), move || {
            simulated(body)
        }));
    }
    let mut drivers = Vec::new();
    match env::var_os("KUBEBUILDER_ASSETS") {
        Some(folder) => match Assets::find(Path::new(&folder)) {
            Ok(assets) => drivers.push(Driver::ControlPlane(assets)),
            Err(error) => skipped("control-plane", &error.to_string()),
        },
        None => skipped("control-plane", "KUBEBUILDER_ASSETS is not set"),
    }
    if env::var_os("WAVETANK_CONTRACT_KIND").is_some() {
        let options = KindOptions {
            image: env::var("WAVETANK_KIND_IMAGE").ok(),
            ..KindOptions::default()
        };
        match options.check() {
            Ok(_) => drivers.push(Driver::Kind(options)),
            Err(error) => skipped("kind", &error.to_string()),
        }
    } else {
        skipped("kind", "WAVETANK_CONTRACT_KIND is not set");
    }
    if env::var_os("WAVETANK_CONTRACT_K3S").is_some() {
        let options = K3sOptions {
            image: env::var("WAVETANK_K3S_IMAGE").ok(),
            ..K3sOptions::default()
        };
        match options.check() {
            Ok(_) => drivers.push(Driver::K3s(options)),
            Err(error) => skipped("k3s", &error.to_string()),
        }
    } else {
        skipped("k3s", "WAVETANK_CONTRACT_K3S is not set");
    }
    let state = match tempfile::tempdir() {
        Ok(state) => state,
        Err(error) => {
            skipped("every real target", &error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let targets: Vec<Arc<Real>> = drivers
        .into_iter()
        .map(|driver| Arc::new(Real::new(driver, Journal::new(state.path()))))
        .collect();
    for target in &targets {
        let scripted: &[_] = if target.driver.simulates_workloads() {
            bodies::SCRIPTED
        } else {
            skipped(target.driver.target(), "scripts: its workloads are real");
            &[]
        };
        for &(name, body) in bodies::ANYWHERE.iter().chain(scripted) {
            let target = Arc::clone(target);
            let name = format!("{}::{name}", target.driver.target());
            trials.push(Trial::test(name, move || target.test(body)));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for target in &targets {
        target.end();
    }
    conclusion.exit_code()
}

#[expect(clippy::print_stderr, reason = "nobody may think it was tested")]
fn skipped(target: &str, reason: &str) {
    eprintln!("SKIPPED the contract on {target}: {reason}");
}

/// The place of the rule that holds deletions until its event is told.
const HELD: usize = 1;

/// What is scripted in every test.
fn rules() -> Vec<Rule> {
    let attempt = Attempt::Succeed(Delay {
        after: std::time::Duration::from_secs(2),
        jitter: std::time::Duration::ZERO,
    });
    let rule = |matches: &str| Rule {
        matches: matches.parse::<Reference>().expect("a reference"),
        generation: None,
        behaviour: None,
        deletion: None,
        reaction: None,
    };
    let event = "Job/scripted succeeded".parse().expect("an event");
    vec![
        Rule {
            behaviour: Some(Behaviour::Attempts(vec![attempt])),
            ..rule("Job/scripted")
        },
        Rule {
            deletion: Some(Deletion::Until(event)),
            ..rule("ConfigMap/scripted")
        },
    ]
}

fn simulated(body: Body) -> Result<(), Failed> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let cluster = SimCluster::new(SimConfig {
            seed: Seed(1),
            chooser: Chooser::canonical(),
            server: wavetank_apiserver::ServerConfig::default(),
            workload: Config::default(),
            rules: rules(),
            namespace: "default".to_owned(),
            time_scale: 1,
            controllers: true,
        })?;
        let cluster = Arc::new(cluster);
        let pace = tokio::spawn(drive(Arc::clone(&cluster)));
        let tape = Tape::of(cluster.as_ref());
        let done = body(cluster.as_ref(), &tape).await;
        pace.abort();
        Ok(done?)
    })
}

/// A real target; its cluster is started by the first test and used by one at a time.
struct Real {
    driver: Driver,
    journal: Journal,
    machine: Mutex<Option<Machine>>,
}

impl Real {
    fn new(driver: Driver, journal: Journal) -> Self {
        Self {
            driver,
            journal,
            machine: Mutex::new(None),
        }
    }

    fn test(&self, body: Body) -> Result<(), Failed> {
        let mut held = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let (_never, interrupted) = watch::channel(false);
        let mut machine = match held.take() {
            Some(machine) => machine,
            None => self.driver.start(&self.journal, 0, interrupted.clone())?,
        };
        let simulates = self.driver.simulates_workloads();
        let config = SessionConfig {
            seed: Seed(1),
            workload: simulates.then(Config::default),
            schedule: false,
            rules: if simulates { rules() } else { Vec::new() },
            namespace: "default".to_owned(),
            confined: None,
            allow_cluster_scoped: false,
            labels: BTreeMap::new(),
        };
        let work = move |session: Arc<wavetank_cluster_real::Session>| -> BoxFuture<'static, _> {
            Box::pin(async move {
                let tape = Tape::of(session.as_ref());
                body(session.as_ref(), &tape).await
            })
        };
        let ran = machine.run(config, interrupted, work, |_| None)?;
        ran.result?;
        // Everything a run made can be removed.
        if let Some(reason) = ran.spoilt {
            return Err(reason.into());
        }
        *held = Some(machine);
        Ok(())
    }

    fn end(&self) {
        drop(
            self.machine
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}
