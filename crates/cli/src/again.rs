//! The command line that makes a run again, with the options that make it what it was.

use std::path::Path;

use wavetank_report::{RunOutcome, quoted};

use crate::args::{JudgeArguments, Reading, RunArguments, TargetOptions};
use crate::engine::BUILTIN;

/// The options of a command line, as it is written.
#[derive(Default)]
struct Line(String);

impl Line {
    fn flag(&mut self, option: &str, is_given: bool) {
        if is_given {
            self.0 = format!("{} {option}", self.0);
        }
    }

    fn value(&mut self, option: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.0 = format!("{} {option} {}", self.0, quoted(value));
        }
    }

    fn path(&mut self, option: &str, path: Option<&Path>) {
        self.value(
            option,
            path.map(|path| path.display().to_string()).as_deref(),
        );
    }

    fn reading(&mut self, reading: Reading) {
        self.flag("--allow-outside", reading.allow_outside);
        self.flag("--allow-render", reading.allow_render);
    }

    /// What changes a run, not what limits many or is done with their results.
    fn target(&mut self, options: &TargetOptions) {
        let workloads = options.workloads.map(crate::args::Workloads::as_str);
        self.value("--workloads", workloads);
        let scale = options.time_scale.map(|scale| scale.to_string());
        self.value("--time-scale", scale.as_deref());
        self.path("--kind-config", options.kind_config.as_deref());
        self.value("--kind-image", options.kind_image.as_deref());
        for archive in &options.kind_load {
            self.path("--kind-load", Some(archive));
        }
        self.value("--context", options.context.as_deref());
        self.path("--kubeconfig", options.kubeconfig.as_deref());
        self.value("--allow-cluster", options.allow_cluster.as_deref());
        self.flag("--allow-cluster-scoped", options.allow_cluster_scoped);
    }
}

/// Makes the outcome tell the options that its run was made with.
pub(crate) fn with_options(outcome: &mut RunOutcome, arguments: &RunArguments) {
    let mut line = Line::default();
    line.value(
        "--engine",
        Some(&*arguments.engine).filter(|engine| *engine != BUILTIN),
    );
    line.reading(arguments.selection.reading);
    line.target(&arguments.target_options);
    if !line.0.is_empty() {
        outcome.command = Some(outcome.again() + &line.0);
    }
}

/// Makes the outcome tell how it was judged: nothing was run.
pub(crate) fn judged(outcome: &mut RunOutcome, arguments: &JudgeArguments) {
    let path = |path: &Path| quoted(&path.display().to_string());
    let mut line = Line(format!(
        "wavetank judge {} {}",
        path(&arguments.trace),
        path(&arguments.scenario)
    ));
    line.value("--case", arguments.case.as_deref());
    line.reading(arguments.reading);
    outcome.command = Some(line.0);
}
