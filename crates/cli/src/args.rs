//! The command line.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::shard::ShardChoice;

/// Replays a GitOps sync against a simulated cluster, in virtual time, and says in which order things happen.
#[derive(Debug, Parser)]
#[command(name = "wavetank", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and judge their expectations
    #[command(after_help = EXIT_CODES)]
    Run(RunArguments),
    /// List scenarios without running them
    List(ListArguments),
    /// Show what a sync would do: phases, waves, order, and why
    Plan(PlanArguments),
    /// Tell what will probably go wrong in a sync, without running anything
    #[command(after_help = LINT_EXIT_CODES)]
    Lint(LintArguments),
    /// Explain a code of `wavetank lint`
    Explain(ExplainArguments),
    /// Judge the expectations of a scenario on a trace, as `serve --trace` writes it
    Judge(JudgeArguments),
    /// Serve the simulated cluster over HTTPS, for kubectl, Helm and other programs
    Serve(ServeArguments),
    /// Build and list engines that are programs of their own
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Show and remove the real clusters that runs have started
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Run scenarios on two engines, or on two targets, and report the first difference
    Compare(CompareArguments),
    /// Put the results of several runs together
    #[command(subcommand)]
    Report(ReportCommand),
    /// Draw random scenarios and look for one on which two engines differ
    FuzzEngine(FuzzArguments),
    /// Print the JSON Schema of scenario files
    Schema,
}

const EXIT_CODES: &str = "\
Exit codes (of several the first of 101, 3, 4, 1, 2):
  0    every scenario passed
  1    an expectation or invariant failed
  2    a run did not settle: stuck, livelock, or over its limits
  3    a scenario or the command line is wrong
  4    the target is not available, or every scenario was skipped
  101  a bug in wavetank";

const LINT_EXIT_CODES: &str = "\
Exit codes:
  0    nothing to warn of; notes may be there
  1    at least one warning
  3    a file or the command line is wrong";

/// Which scenarios.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Scenario files, or folders that are searched for them
    #[arg(default_value = "scenarios", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only scenarios whose name or path contains this text
    #[arg(long, value_name = "SUBSTRING")]
    pub(crate) filter: Option<String>,
    /// Only scenarios with this label; several must all fit
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) select: Vec<(String, String)>,
    /// Only this case of files with cases
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What reading a scenario may do.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Reading {
    /// Let scenarios name files outside of the current folder
    #[arg(long)]
    pub(crate) allow_outside: bool,
    /// Let what lies outside of the current folder run Helm and Kustomize
    #[arg(long)]
    pub(crate) allow_render: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Seed of the runs, in place of the scenarios' own
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Run each scenario N times, with the seeds from its first seed on
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) repeat: NonZeroUsize,
    /// Run only one part of the scenarios: `2/5`, or `auto` for what the CI system's environment says
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<ShardChoice>,
    /// Run N scenarios at a time [default: one per processor; 1 on real targets]
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// The engine: `builtin`, one that was built, or the path of a program that speaks the engine protocol
    #[arg(long, value_name = "NAME", default_value = "builtin")]
    pub(crate) engine: String,
    /// Where scenarios are replayed
    #[arg(long, value_enum, value_name = "TARGET", default_value = "fake")]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) target_options: TargetOptions,
    /// Stop at the first run that does not pass
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Exit with 4 when a scenario was skipped
    #[arg(long)]
    pub(crate) fail_on_skip: bool,
    /// Write the trace of each run to this folder, as JSON Lines
    #[arg(long, value_name = "DIR")]
    pub(crate) trace_dir: Option<PathBuf>,
    /// Form of the results
    #[arg(long, value_enum, default_value = "terminal")]
    pub(crate) format: Format,
    /// Write the results to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Tell of each run what its waves waited for; of one that does not end what it waits for, which is told anyway
    #[arg(long)]
    pub(crate) explain: bool,
    /// Show the timeline of each run; twice: every entry of its trace
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Where scenarios are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    /// The simulated cluster, in virtual time
    Fake,
    /// etcd, kube-apiserver and kube-controller-manager of `KUBEBUILDER_ASSETS`, started for the run
    ControlPlane,
    /// A cluster of containers, made by the `kind` on PATH
    Kind,
    /// k3s in one container, started for the run; only in builds with the feature `k3s`
    K3s,
    /// An existing cluster: `--context` names it, and `--allow-cluster` says that it is meant
    Kubeconfig,
}

/// Who runs the containers of a real cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workloads {
    /// Virtual nodes, by the scenario's scripts
    Simulated,
    /// The cluster's own nodes
    Real,
}

/// What to do with results.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Put the JSON results of shards together; the exit code is that of all runs
    Merge {
        /// Results of `run --format json`
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Write the result to this file instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Exit with 4 when a scenario was skipped
        #[arg(long)]
        fail_on_skip: bool,
    },
}

/// What to do with real clusters.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// List the clusters that runs have started and not removed
    List,
    /// Remove what runs have left over that could not clean up
    Sweep {
        /// Also remove clusters that were to be kept
        #[arg(long)]
        kept: bool,
    },
    /// Say which targets can be used, and what is missing
    Doctor,
}

impl Workloads {
    /// As the command line spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
        }
    }
}

impl TargetName {
    /// As the command line spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::ControlPlane => "control-plane",
            Self::Kind => "kind",
            Self::K3s => "k3s",
            Self::Kubeconfig => "kubeconfig",
        }
    }
}

/// What matters on real targets only.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of real targets")]
pub(crate) struct TargetOptions {
    /// Skip scenarios that take longer than this on the simulated cluster
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) at_most: Option<Duration>,
    /// Begin no further run after this time; what is left is skipped
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) stop_after: Option<Duration>,
    /// Who runs the containers [default: simulated; real on k3s and on an existing cluster]
    #[arg(long, value_enum, value_name = "WHO")]
    pub(crate) workloads: Option<Workloads>,
    /// Scripts of workloads pass this many times faster; engine and controllers keep their pace
    /// [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) time_scale: Option<NonZeroU32>,
    /// Write objects, Events and logs of runs that do not pass to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: Option<PathBuf>,
    /// Keep the clusters: the next run uses them again
    #[arg(long)]
    pub(crate) keep: bool,
    /// Configuration of kind's clusters
    #[arg(long, value_name = "FILE")]
    pub(crate) kind_config: Option<PathBuf>,
    /// Node image of kind's clusters [default: `WAVETANK_KIND_IMAGE`, or kind's own]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) kind_image: Option<String>,
    /// Image archive that is loaded into kind's nodes; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) kind_load: Vec<PathBuf>,
    /// Image of k3s [default: `WAVETANK_K3S_IMAGE`, or `rancher/k3s:v1.36.2-k3s1`]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) k3s_image: Option<String>,
    /// Image archive that k3s has from the start; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) k3s_load: Vec<PathBuf>,
    /// Context of an existing cluster; the current one is never taken
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Where the context is looked up [default: `KUBECONFIG`, or `~/.kube/config`]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// UID of the existing cluster's namespace `kube-system`: this cluster is meant
    #[arg(long, value_name = "UID")]
    pub(crate) allow_cluster: Option<String>,
    /// Let scenarios make cluster-scoped objects on an existing cluster
    #[arg(long)]
    pub(crate) allow_cluster_scoped: bool,
}

/// What to do with engines.
#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// Build Argo CD's own engine of a version; needs Go
    Build {
        /// Name of the engine
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the engines, and which are built
    List,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The two engines; with --targets the one engine
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        num_args = 1,
        required_unless_present = "targets"
    )]
    pub(crate) engines: Vec<String>,
    /// The two targets
    #[arg(
        long,
        value_name = "A,B",
        value_enum,
        value_delimiter = ',',
        num_args = 1
    )]
    pub(crate) targets: Vec<TargetName>,
    #[command(flatten)]
    pub(crate) target_options: TargetOptions,
    /// Seed of the runs, in place of the scenarios' own
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Show every difference of a scenario, not only the first; of targets a table too
    #[arg(long)]
    pub(crate) all: bool,
    /// Compare reads as well: kubectl looks up more than an engine needs
    #[arg(long)]
    pub(crate) gets: bool,
    /// Run N scenarios at a time [default: one per processor; 1 on two targets]
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// Arguments of `fuzz-engine`.
#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// How many scenarios are drawn
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) runs: u64,
    /// Seed of the first scenario; the others have those that follow
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The two engines [default: builtin and the newest of Argo CD]
    #[arg(long, value_name = "A,B", value_delimiter = ',', num_args = 1)]
    pub(crate) engines: Vec<String>,
    /// Folder to which scenarios that differ are written
    #[arg(long, short, value_name = "DIR", default_value = "fuzz-engine")]
    pub(crate) output: PathBuf,
    /// Stop after so many differences
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) differences: NonZeroUsize,
    /// Try so often to make a scenario smaller
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub(crate) tries: usize,
    /// Draw no more scenarios after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// Run N scenarios at a time [default: one per processor]
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// A scenario file; or manifests without a scenario: a file, a folder, a chart, a kustomization, or `-` for
    /// standard input
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Only this case of files with cases
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<String>,
    /// Destination namespace of manifests without a scenario [default: default]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Form of the plan
    #[arg(long, value_enum, default_value = "terminal")]
    pub(crate) format: PlanFormat,
}

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub(crate) struct LintArguments {
    /// Scenario files or folders of them; or manifests without a scenario: files, folders, charts, kustomizations, or
    /// `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Destination namespace of manifests without a scenario [default: default]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Do not tell of this code, as `WT101`
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    /// Tell of warnings only
    #[arg(long)]
    pub(crate) no_notes: bool,
    /// Say which scenarios would be skipped on this target, and why
    #[arg(long, value_enum, value_name = "TARGET")]
    pub(crate) target: Option<TargetName>,
    /// Who would run the containers there
    #[arg(long, value_enum, value_name = "WHO", requires = "target")]
    pub(crate) workloads: Option<Workloads>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Form of the findings
    #[arg(long, value_enum, default_value = "terminal")]
    pub(crate) format: PlanFormat,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The code or its name, as `WT101`; all codes are listed without it
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Print the page of all codes, for the documentation
    #[arg(long, hide = true, conflicts_with = "code")]
    pub(crate) page: bool,
}

/// Form of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Terminal,
    /// One JSON document
    Json,
    /// JUnit XML
    Junit,
}

/// Form of plans and findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Text for people
    Terminal,
    /// One JSON document
    Json,
}

/// Reads a time as scenarios write it: `60s`, `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    wavetank_scenario::duration(text)
        .ok_or_else(|| format!("a time reads `60s` or `1m30s`, this is `{text}`"))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("a label reads `key=value`, this is `{text}`")),
    }
}

/// Arguments of `judge`.
#[derive(Debug, Args)]
pub(crate) struct JudgeArguments {
    /// The trace
    #[arg(value_name = "TRACE")]
    pub(crate) trace: PathBuf,
    /// The scenario whose expectations are judged
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,
    /// The case, of a file with cases
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct ServeArguments {
    /// The scenario whose cluster and workloads are served; an empty cluster without it
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: Option<PathBuf>,
    /// The case, of a file with cases
    #[arg(long, value_name = "NAME", requires = "scenario")]
    pub(crate) case: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// A file or folder of objects that are there from the start; a scenario names them in `cluster.objects`
    #[arg(long, value_name = "PATH", conflicts_with = "scenario")]
    pub(crate) objects: Option<PathBuf>,
    /// Port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port: u16,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) address: String,
    /// Listen on an address that others may reach
    #[arg(long)]
    pub(crate) allow_other_addresses: bool,
    /// Serve without TLS
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Where the kubeconfig is written; it must not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Print the line that a shell evaluates to use the cluster
    #[arg(long)]
    pub(crate) print_env: bool,
    /// The cluster's time passes this many times faster
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) time_scale: NonZeroU32,
    /// Serve an API server alone: no controllers, no nodes, no Pods that run
    #[arg(long)]
    pub(crate) no_controllers: bool,
    /// Accounts, and whom a client impersonates, may do only what roles allow
    #[arg(long)]
    pub(crate) rbac: bool,
    /// Write the trace of everything that happened to this file at the end
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Seed of names, uids and addresses, in place of the scenario's own
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Write Secret values to the trace as they are
    #[arg(long, requires = "trace")]
    pub(crate) show_secrets: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
