//! Which options have a meaning on which targets: one that would do nothing is refused.

use std::num::NonZeroUsize;

use crate::args::{TargetName, TargetOptions, Workloads};
use crate::load::Refused;

/// Why an option does nothing on a target, if it does nothing.
type Useless = fn(TargetName, Option<Workloads>) -> Option<&'static str>;

impl TargetOptions {
    /// Refuses options that none of `targets` makes use of. In a comparison `--at-most` holds for every target: the
    /// second is not used when the first takes longer.
    ///
    /// # Errors
    /// [`Refused`] with every such option and the reason.
    pub(crate) fn refuse_useless(
        &self,
        targets: &[TargetName],
        is_comparison: bool,
    ) -> Result<(), Refused> {
        let at_most = self.at_most.is_some() && !is_comparison;
        let given: [(&str, bool, Useless); 15] = [
            ("--at-most", at_most, takes_virtual_time),
            (
                "--stop-after",
                self.stop_after.is_some(),
                takes_virtual_time,
            ),
            ("--workloads", self.workloads.is_some(), has_no_containers),
            ("--time-scale", self.time_scale.is_some(), plays_no_scripts),
            ("--evidence", self.evidence.is_some(), is_in_the_trace),
            ("--keep", self.keep, is_not_started),
            ("--kind-config", self.kind_config.is_some(), is_not_kind),
            ("--kind-image", self.kind_image.is_some(), is_not_kind),
            ("--kind-load", !self.kind_load.is_empty(), is_not_kind),
            ("--k3s-image", self.k3s_image.is_some(), is_not_k3s),
            ("--k3s-load", !self.k3s_load.is_empty(), is_not_k3s),
            ("--context", self.context.is_some(), is_ours),
            ("--kubeconfig", self.kubeconfig.is_some(), is_ours),
            ("--allow-cluster", self.allow_cluster.is_some(), is_ours),
            ("--allow-cluster-scoped", self.allow_cluster_scoped, is_ours),
        ];
        let mut texts = Vec::new();
        for (option, _, useless) in given.into_iter().filter(|(_, is_given, _)| *is_given) {
            let reasons: Option<Vec<&str>> = targets
                .iter()
                .map(|target| useless(*target, self.workloads))
                .collect();
            // One target that makes use of it is enough.
            if let Some(reason) = reasons.as_ref().and_then(|reasons| reasons.first()) {
                let mut names: Vec<&str> = targets.iter().map(|target| target.as_str()).collect();
                names.dedup();
                texts.push(text(option, &names.join(" and "), reason));
            }
        }
        if texts.is_empty() {
            Ok(())
        } else {
            Err(Refused(texts.concat()))
        }
    }
}

/// Refuses several runs at a time where one of `targets` is a single cluster.
///
/// # Errors
/// [`Refused`] with the reason.
pub(crate) fn refuse_jobs(
    targets: &[TargetName],
    jobs: Option<NonZeroUsize>,
) -> Result<(), Refused> {
    let is_one = targets.contains(&TargetName::Kubeconfig);
    match jobs.filter(|jobs| is_one && jobs.get() > 1) {
        None => Ok(()),
        Some(jobs) => {
            let reason = "its one cluster is used by one run at a time";
            let option = format!("--jobs {jobs}");
            Err(Refused(text(&option, "kubeconfig", reason)))
        }
    }
}

/// Refuses a choice of who runs the containers that `target` does not leave.
///
/// # Errors
/// [`Refused`] with the reason.
pub(crate) fn refuse_workloads(
    target: TargetName,
    workloads: Option<Workloads>,
) -> Result<(), Refused> {
    let reason = match (target, workloads) {
        (TargetName::Fake, Some(_)) => has_no_containers(target, workloads),
        (TargetName::ControlPlane, Some(Workloads::Real)) => {
            Some("a control plane has no containers: real workloads need another target")
        }
        (TargetName::K3s, Some(Workloads::Simulated)) => {
            Some("k3s runs its workloads itself: virtual nodes need kind or a control plane")
        }
        (TargetName::Kubeconfig, Some(Workloads::Simulated)) => {
            Some("an existing cluster runs its workloads itself: it cannot be given virtual nodes")
        }
        _ => None,
    };
    match (reason, workloads) {
        (Some(reason), Some(workloads)) => {
            let option = format!("--workloads {}", workloads.as_str());
            Err(Refused(text(&option, target.as_str(), reason)))
        }
        _ => Ok(()),
    }
}

fn text(option: &str, targets: &str, reason: &str) -> String {
    format!("error: {option} does nothing on {targets}\n  = {reason}\n")
}

fn takes_virtual_time(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    (target == TargetName::Fake)
        .then_some("runs there take virtual time; this option limits runs that take real time")
}

fn has_no_containers(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    (target == TargetName::Fake).then_some("workloads are always simulated there")
}

fn plays_no_scripts(target: TargetName, workloads: Option<Workloads>) -> Option<&'static str> {
    match target {
        TargetName::Fake => Some("runs there take virtual time: scripts need not pass faster"),
        TargetName::K3s | TargetName::Kubeconfig => {
            Some("no scripts are played there: workloads are real")
        }
        TargetName::Kind => (workloads == Some(Workloads::Real))
            .then_some("no scripts are played with --workloads real"),
        TargetName::ControlPlane => None,
    }
}

fn is_in_the_trace(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    (target == TargetName::Fake).then_some(
        "all that happens there is in the trace, which `wavetank run --trace-dir DIR` writes",
    )
}

fn is_not_started(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    match target {
        TargetName::Fake => Some("that cluster ends with its run; `wavetank serve` keeps one"),
        TargetName::Kubeconfig => Some("an existing cluster stays in any case"),
        TargetName::Kind | TargetName::K3s | TargetName::ControlPlane => None,
    }
}

fn is_not_kind(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    (target != TargetName::Kind).then_some("it is about clusters of the target kind")
}

fn is_not_k3s(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    (target != TargetName::K3s).then_some("it is about clusters of the target k3s")
}

fn is_ours(target: TargetName, _: Option<Workloads>) -> Option<&'static str> {
    (target != TargetName::Kubeconfig).then_some("it is about clusters of the target kubeconfig")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use clap::Parser as _;

    use super::refuse_jobs;
    use crate::args::{Arguments, Command, TargetName};

    fn refused(line: &str) -> String {
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        let result = match arguments.command {
            Command::Run(run) => run.target_options.refuse_useless(&[run.target], false),
            Command::Compare(compare) => compare
                .target_options
                .refuse_useless(&compare.targets, true),
            _ => panic!("{line}"),
        };
        result.map_or_else(|refused| refused.0, |()| String::new())
    }

    #[test]
    fn options_that_do_nothing_on_a_target_are_refused() {
        for (target, options) in [
            (
                "fake",
                "--at-most 1s|--stop-after 1s|--workloads real|--time-scale 2|--evidence x|--keep|--kind-config x\
                 |--kind-image x|--kind-load x|--k3s-image x|--k3s-load x|--context x|--kubeconfig x|--allow-cluster x\
                 |--allow-cluster-scoped",
            ),
            (
                "control-plane",
                "--kind-config x|--kind-image x|--kind-load x|--k3s-image x|--k3s-load x|--context x|--kubeconfig x\
                 |--allow-cluster x|--allow-cluster-scoped",
            ),
            (
                "kind",
                "--workloads real --time-scale 2|--k3s-image x|--k3s-load x|--context x|--kubeconfig x|--allow-cluster x\
                 |--allow-cluster-scoped",
            ),
            (
                "k3s",
                "--time-scale 2|--kind-config x|--kind-image x|--kind-load x|--context x|--kubeconfig x|--allow-cluster x\
                 |--allow-cluster-scoped",
            ),
            (
                "kubeconfig",
                "--time-scale 2|--keep|--kind-config x|--kind-image x|--kind-load x|--k3s-image x|--k3s-load x",
            ),
        ] {
            for option in options.split('|') {
                let text = refused(&format!("wavetank run --target {target} {option}"));
                assert!(text.contains(target), "{target} {option}: {text}");
            }
        }
    }

    #[test]
    fn one_cluster_has_one_run_at_a_time() {
        let jobs = NonZeroUsize::new;
        let refused = refuse_jobs(&[TargetName::Fake, TargetName::Kubeconfig], jobs(2));
        assert_eq!(
            refused.unwrap_err().0,
            "error: --jobs 2 does nothing on kubeconfig\n  = its one cluster is used by one run at a time\n"
        );
        assert!(refuse_jobs(&[TargetName::Kubeconfig], jobs(1)).is_ok());
        assert!(refuse_jobs(&[TargetName::Kind], jobs(2)).is_ok());
    }

    #[test]
    fn options_that_one_of_two_targets_uses_stand() {
        let useful =
            "--at-most 1s --stop-after 1s --workloads simulated --time-scale 2 --evidence x --keep";
        for targets in ["fake,control-plane", "kind,fake"] {
            let line = format!("wavetank compare --targets {targets} {useful}");
            assert_eq!(refused(&line), "");
        }
        let text = refused("wavetank compare --targets fake,control-plane --context x --keep");
        assert_eq!(
            text,
            "error: --context does nothing on fake and control-plane\n  = it is about clusters of the target kubeconfig\n"
        );
    }
}
