//! Engines: the built-in one, and programs that speak the engine protocol.

mod build;
mod toolchain;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use wavetank::StepEngine;
use wavetank_cluster_sim::endpoint;
use wavetank_model::ArgoVersion;
use wavetank_runner::{Doorway, EngineProgram, Opened, Programs};
use wavetank_scenario::Scenario;

use crate::args::EngineCommand;
use crate::load::Refused;
use crate::output::Streams;

/// The engine that is part of this program.
pub(crate) const BUILTIN: &str = "builtin";
/// The newest engine of Argo CD that can be built.
pub(crate) const NEWEST: &str = "argocd-3.6";
/// How long a program may do and say nothing, in real time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Carries out `wavetank engine …`; gives the exit code.
pub(crate) fn engine(command: &EngineCommand, streams: &mut Streams) -> anyhow::Result<u8> {
    match command {
        EngineCommand::Build { name } => {
            let built = build::build(name, streams)?;
            streams.result(&format!("{}\n", built.display()))?;
        }
        EngineCommand::List => {
            let mut text = format!("{BUILTIN}  part of this program\n");
            for version in build::VERSIONS {
                let program = version.program()?;
                let state = if program.is_file() {
                    program.display().to_string()
                } else {
                    format!("not built: wavetank engine build {}", version.name)
                };
                writeln!(text, "{}  {}  {state}", version.name, version.about)?;
            }
            streams.result(&text)?;
        }
    }
    Ok(0)
}

/// An engine that a command line names, and the version of Argo CD whose rules hold in its runs: where the engine has
/// one it stands in for that of the scenario.
#[derive(Clone)]
pub(crate) struct Choice {
    /// `None` is the built-in one; a program serves one run after the other.
    programs: Option<Arc<Programs>>,
    rules: Option<ArgoVersion>,
    /// Whose rules say when it is asked again, where they are not its own (SYNC-129).
    passes: Option<ArgoVersion>,
}

impl Choice {
    /// Finds the engine of a name: `builtin`, one that was built, or the path of a program (it holds a `/`).
    ///
    /// # Errors
    /// [`Refused`] when there is no such engine, or it is not built.
    pub(crate) fn find(name: &str) -> anyhow::Result<Self> {
        if name == BUILTIN {
            return Ok(Self::builtin());
        }
        if name.contains('/') {
            let path = Path::new(name);
            let path = std::fs::canonicalize(path)
                .with_context(|| format!("there is no engine at {name}"))?;
            return Ok(Self::program(path, None));
        }
        let Some(version) = build::VERSIONS.iter().find(|version| version.name == name) else {
            let known: Vec<&str> = build::VERSIONS.iter().map(|version| version.name).collect();
            let text = format!(
                "error: there is no engine `{name}`\n  = engines are {BUILTIN}, {}, and paths of programs that speak the \
                 engine protocol\n",
                known.join(", ")
            );
            return Err(Refused(text).into());
        };
        let program = version.program()?;
        if !program.is_file() {
            let text = format!(
                "error: the engine `{name}` is not built\n  = wavetank engine build {name}\n"
            );
            return Err(Refused(text).into());
        }
        Ok(Self::program(program, Some(version.rules)))
    }

    /// The engine that is part of this program.
    pub(crate) fn builtin() -> Self {
        Self {
            programs: None,
            rules: None,
            passes: None,
        }
    }

    /// This engine as it is compared with `other`: what has no version of its own follows the other's rules, and of two
    /// versions the newer says when both are asked again, for passes could not be compared else.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        self.rules = self.rules.or(other.rules);
        if other.rules.is_some() && self.rules != other.rules {
            self.passes = self.rules.max(other.rules);
        }
        self
    }

    /// The scenario, with the version of Argo CD that is run.
    pub(crate) fn runs(&self, scenario: &Arc<Scenario>) -> Arc<Scenario> {
        let mut scenario = Arc::clone(scenario);
        if let Some(rules) = self.rules
            && scenario.app.settings.version != rules
        {
            Arc::make_mut(&mut scenario).app.settings.version = rules;
        }
        if let Some(passes) = self.passes {
            Arc::make_mut(&mut scenario).app.settings.passes.rules = Some(passes);
        }
        scenario
    }

    fn program(path: PathBuf, rules: Option<ArgoVersion>) -> Self {
        let program = EngineProgram {
            path,
            arguments: Vec::new(),
            patience: PATIENCE,
        };
        Self {
            programs: Some(Arc::new(Programs::new(program, doorway()))),
            rules,
            passes: None,
        }
    }

    /// Starts it for one run; `None` is the built-in engine, the facade's own.
    ///
    /// # Errors
    /// Why the program cannot be used.
    pub(crate) fn start(&self) -> Result<Option<Box<dyn StepEngine>>, String> {
        let Some(programs) = &self.programs else {
            return Ok(None);
        };
        let engine = programs.engine().map_err(|error| error.to_string())?;
        Ok(Some(Box::new(engine)))
    }
}

/// A loopback port over HTTPS.
fn doorway() -> Doorway {
    Arc::new(|service| {
        Box::pin(async move {
            let endpoint = endpoint::open(service)
                .await
                .map_err(|error| error.to_string())?;
            Ok(Opened {
                kubeconfig: endpoint.kubeconfig,
                serve: Box::pin(async move { endpoint.serve.await.to_string() }),
            })
        })
    })
}
