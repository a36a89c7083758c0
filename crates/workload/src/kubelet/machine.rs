//! The life of one Pod on a node, as a state machine without I/O (API-316…324).
//!
//! [`Machine::next_step`] says what is to be done now: write a status, remove the Pod, or wait. The in-memory cluster
//! and the stand-in on a real cluster carry the same steps out.
//!
//! Known differences from a real kubelet: `CrashLoopBackOff` is written at once where a real one shows the terminated
//! state for a moment; the alternation of `ErrImagePull` and `ImagePullBackOff` ends in the latter; liveness probes
//! never fail.

use std::time::Duration;

use wavetank_json::Value;
use wavetank_kernel::{Load, SimTime};
use wavetank_model::object;
use wavetank_model::script::{Behaviour, Delay, HangState, TimelineEntry};
use wavetank_model::timestamp::Epoch;

use super::conduct::Conduct;
use super::container::{Container, Exit, State};
use super::report::Report;
use crate::command::Run;
use crate::latency;
use crate::read::{int, list, text};

/// What is to be done for a Pod now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing before `at`; `None`: nothing until the Pod changes.
    Wait {
        /// When to ask again.
        at: Option<SimTime>,
        /// Whether what happens then changes more than a crash loop's counters.
        load: Load,
    },
    /// Patch the Pod's status with this strategic merge patch, then ask again.
    Report(Value),
    /// Delete the Pod with a grace period of 0; the machine's work is done.
    Remove,
}

/// `spec.restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// `status.phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// How far the deletion of a Pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Nobody asked for it.
    No,
    /// Its containers end then.
    At(SimTime),
    /// Nothing runs any more.
    Done,
}

/// One Pod on its node.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) policy: RestartPolicy,
    conduct: Conduct,
    pub(crate) init: Vec<Container>,
    pub(crate) main: Vec<Container>,
    /// When the kubelet took the Pod on.
    pub(crate) since: Option<SimTime>,
    /// When the own containers were, or will be, started for the first time.
    main_started: bool,
    deadline: Option<SimTime>,
    stop: Stop,
    image_failed: Option<SimTime>,
    pub(crate) phase: Phase,
    pub(crate) reason: Option<&'static str>,
    pub(crate) obstacle: Option<Obstacle>,
    /// Whether crash loops end (a Job counts restarts), so that they are work.
    counted: bool,
    changed: bool,
    pub(crate) report: Report,
}

/// Why a Pod's containers cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A volume's source is not there: containers wait as `ContainerCreating`.
    Volume,
    /// Something that the environment refers to is not there (`CreateContainerConfigError`).
    Config(String),
}

/// Draws the time of a delay.
pub(crate) type Draw<'a> = &'a mut dyn FnMut(Delay) -> Duration;

impl Machine {
    /// The machine of `pod`, which plays `behaviour`; the number says which entry of `attempts` is its own.
    pub(crate) fn new(
        pod: &Value,
        behaviour: Option<(Behaviour, usize)>,
        epoch: Epoch,
        address: String,
    ) -> Self {
        let policy = match text(pod, &["spec", "restartPolicy"]) {
            "Never" => RestartPolicy::Never,
            "OnFailure" => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        let containers = |field: &str| {
            list(pod, &["spec", field])
                .iter()
                .map(Container::new)
                .collect::<Vec<_>>()
        };
        let counted = policy == RestartPolicy::OnFailure
            && object::controller(pod)
                .is_some_and(|owner| owner.kind == "Job" && owner.api_version == "batch/v1");
        Self {
            policy,
            conduct: Conduct::of(behaviour),
            init: containers("initContainers"),
            main: containers("containers"),
            since: None,
            main_started: false,
            deadline: None,
            stop: Stop::No,
            image_failed: None,
            phase: Phase::Pending,
            reason: None,
            obstacle: None,
            counted,
            changed: false,
            report: Report::new(epoch, address),
        }
    }

    /// Whether the script keeps the Pod from being scheduled.
    pub(crate) fn is_held(&self) -> bool {
        self.conduct.hangs(HangState::Pending)
    }

    /// Says the address of the Pod's node.
    pub(crate) fn set_host(&mut self, address: String) {
        self.report.host = address;
    }

    /// Whether containers are still to be started for the first time: obstacles are looked for until then.
    pub(crate) fn is_starting(&self) -> bool {
        !self.main_started
            || self
                .main
                .iter()
                .any(|container| container.restarts == 0 && container.state.is_waiting())
    }

    /// Says what hinders the start, or that nothing does.
    pub(crate) fn set_obstacle(&mut self, obstacle: Option<Obstacle>, now: SimTime) {
        if self.obstacle == obstacle {
            return;
        }
        self.obstacle = obstacle;
        self.changed = true;
        for container in self.init.iter_mut().chain(&mut self.main) {
            container.start_at = container.start_at.map(|at| at.max(now));
        }
    }

    /// What is to be done at `now`.
    pub(crate) fn next_step(&mut self, pod: &Value, now: SimTime, draw: Draw<'_>) -> Step {
        if self.stop == Stop::Done {
            return Step::Remove;
        }
        if self.since.is_none() {
            if object::is_terminating(pod) {
                self.stop = Stop::Done;
                return Step::Remove;
            }
            self.take_on(pod, now);
        }
        if object::is_terminating(pod) && self.stop == Stop::No {
            let grace = int(pod, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(30);
            let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
            self.stop = Stop::At(if self.phase.is_final() {
                now
            } else {
                now + latency::CONTAINER_STOP.min(grace)
            });
        }
        while !self.changed && self.advance(now, draw) {}
        if std::mem::take(&mut self.changed) {
            self.phase = self.derive_phase();
            if let Some(patch) = Report::patch(self, pod, now) {
                return Step::Report(patch);
            }
        }
        if self.stop == Stop::Done {
            return Step::Remove;
        }
        let (at, load) = self.next_due();
        Step::Wait { at, load }
    }

    /// The last report did not arrive: the next one says everything again.
    pub(crate) fn report_refused(&mut self) {
        self.report.forget();
        self.changed = true;
    }

    fn take_on(&mut self, pod: &Value, now: SimTime) {
        self.since = Some(now);
        self.changed = true;
        self.deadline = int(pod, &["spec", "activeDeadlineSeconds"])
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(|seconds| now + Duration::from_secs(seconds));
        if self.conduct.hangs(HangState::ImagePullBackOff) {
            self.image_failed = Some(now + latency::CONTAINER_START);
        } else {
            self.start_next(now);
        }
    }

    /// Plans the start of the next init container, or of the own containers.
    fn start_next(&mut self, now: SimTime) {
        let start = now + latency::CONTAINER_START;
        for container in &mut self.init {
            match &container.state {
                State::Waiting { .. } => {
                    if container.start_at.is_none() {
                        container.start_at = Some(start);
                    }
                    return;
                }
                State::Running { .. } if container.sidecar => {}
                State::Terminated(exit) if exit.code == 0 => {}
                _ => return,
            }
        }
        if !self.main_started {
            self.main_started = true;
            for container in &mut self.main {
                container.start_at = Some(start);
            }
        }
    }

    /// Whether all init containers did their work.
    pub(crate) fn is_initialized(&self) -> bool {
        self.init.iter().all(|container| match &container.state {
            State::Running { .. } => container.sidecar,
            State::Terminated(exit) => exit.code == 0,
            State::Waiting { .. } => container.sidecar && container.last.is_some(),
        })
    }

    /// Does the first thing that is due; false when there is none.
    fn advance(&mut self, now: SimTime, draw: Draw<'_>) -> bool {
        let due = |at: Option<SimTime>| at.is_some_and(|at| at <= now);
        if self.phase.is_final() {
            if due(self.stop_at()) {
                self.stop = Stop::Done;
            }
            return false;
        }
        if due(self.stop_at()) {
            self.stop(now);
            return true;
        }
        if due(self.deadline) {
            self.deadline = None;
            self.kill(now, 137);
            self.phase = Phase::Failed;
            self.reason = Some("DeadlineExceeded");
            self.changed = true;
            return true;
        }
        if due(self.image_failed) {
            self.fail_image(now);
            return true;
        }
        self.advance_containers(now, draw) || self.advance_timeline(now, draw)
    }

    fn advance_containers(&mut self, now: SimTime, draw: Draw<'_>) -> bool {
        let due = |at: Option<SimTime>| at.is_some_and(|at| at <= now);
        let inits = self.init.len();
        for index in 0..inits + self.main.len() {
            let is_init = index < inits;
            let container = if is_init {
                &mut self.init[index]
            } else {
                &mut self.main[index - inits]
            };
            if due(container.exit_at.as_ref().map(|(at, _)| *at))
                && let Some((_, exit)) = container.exit_at.take()
            {
                self.exited(index, exit.at(now), now);
                return true;
            }
            if due(container.ready_at) {
                container.ready_at = None;
                container.ready = true;
                self.changed = true;
                return true;
            }
        }
        // Containers that are due together start in one write.
        let mut started = false;
        if self.obstacle.is_none() {
            for index in 0..inits + self.main.len() {
                let container = if index < inits {
                    &self.init[index]
                } else {
                    &self.main[index - inits]
                };
                if due(container.start_at) {
                    self.start(index, now, draw);
                    started = true;
                }
            }
        }
        self.changed |= started;
        started
    }

    fn start(&mut self, index: usize, now: SimTime, draw: Draw<'_>) {
        let inits = self.init.len();
        if index < inits {
            let container = &mut self.init[index];
            container.start(now);
            if container.sidecar {
                container.become_ready(now);
                self.start_next(now);
            } else {
                let (after, code) = match container.command {
                    Some(Run::Ends { after, exit_code }) => (after, exit_code),
                    Some(Run::Forever) => return,
                    None => (latency::UNKNOWN_COMMAND, 0),
                };
                container.exit_at = Some((now + after, Exit::planned(code, None, None)));
            }
            return;
        }
        let always = self.policy == RestartPolicy::Always;
        let container = &mut self.main[index - inits];
        container.start(now);
        self.conduct
            .begin(container, index == inits, always, now, draw);
    }

    /// Plays the entry of the timeline that is due, if the first container runs.
    fn advance_timeline(&mut self, now: SimTime, draw: Draw<'_>) -> bool {
        let runs = self.main.first().is_some_and(Container::is_running);
        if !runs || self.conduct.due().is_none_or(|at| at > now) {
            return false;
        }
        match self.conduct.next_entry(now, draw) {
            Some(TimelineEntry::Ready(_)) => {
                for container in &mut self.main {
                    container.ready = container.is_running();
                }
                self.changed = true;
            }
            Some(TimelineEntry::Crash {
                reason,
                exit_code,
                message,
                ..
            }) => {
                let exit = Exit::planned(exit_code, Some(reason), message).at(now);
                self.exited(self.init.len(), exit, now);
            }
            _ => {}
        }
        true
    }

    fn exited(&mut self, index: usize, exit: Exit, now: SimTime) {
        self.changed = true;
        let inits = self.init.len();
        let is_init = index < inits;
        let restarts = match self.policy {
            RestartPolicy::Always => !is_init || exit.code != 0,
            RestartPolicy::OnFailure => exit.code != 0,
            RestartPolicy::Never => false,
        };
        let next_run = if is_init {
            0
        } else {
            self.main[index - inits].restarts + 1
        };
        let upkeep = !self.counted && (is_init || !self.conduct.has_further_entry(next_run));
        let container = if is_init {
            &mut self.init[index]
        } else {
            &mut self.main[index - inits]
        };
        if restarts || (is_init && container.sidecar) {
            container.crash(exit, now, upkeep);
            return;
        }
        container.end(exit);
        if is_init {
            self.start_next(now);
        } else if self.conduct.is_timeline() {
            // A scripted crash ends the Pod where nothing is started again.
            for container in &mut self.main {
                if !matches!(container.state, State::Terminated(_)) {
                    container.end(Exit::planned(0, None, None).at(now));
                }
            }
        }
    }

    fn fail_image(&mut self, now: SimTime) {
        self.changed = true;
        let first = self
            .main
            .first()
            .is_some_and(|container| !container.waits_for("ErrImagePull"));
        self.image_failed = first.then(|| now + latency::IMAGE_PULL_RETRY);
        let blocked = if self.init.is_empty() {
            &mut self.main
        } else {
            &mut self.init
        };
        for container in blocked {
            let (reason, message) = if first {
                (
                    "ErrImagePull",
                    format!(
                        "failed to pull and unpack image \"{0}\": failed to resolve reference \"{0}\": not found",
                        container.image
                    ),
                )
            } else {
                (
                    "ImagePullBackOff",
                    format!("Back-off pulling image \"{}\"", container.image),
                )
            };
            container.state = State::Waiting {
                reason: reason.to_owned(),
                message: Some(message),
            };
        }
    }

    fn stop_at(&self) -> Option<SimTime> {
        match self.stop {
            Stop::At(at) => Some(at),
            Stop::No | Stop::Done => None,
        }
    }

    /// Ends every running container.
    fn kill(&mut self, now: SimTime, code: i32) {
        for container in self.init.iter_mut().chain(&mut self.main) {
            if matches!(container.state, State::Running { .. }) {
                let code = if container.sidecar { 0 } else { code };
                container.end(Exit::planned(code, None, None).at(now));
            }
            container.rest();
        }
    }

    /// Ends the Pod because its deletion was asked for (API-322).
    fn stop(&mut self, now: SimTime) {
        let ran = self
            .init
            .iter()
            .chain(&self.main)
            .any(|container| !container.state.is_waiting() || container.last.is_some());
        self.kill(now, 143);
        self.stop = Stop::Done;
        self.changed = ran;
        if ran {
            let failed =
                self.init
                    .iter()
                    .chain(&self.main)
                    .any(|container| match &container.state {
                        State::Terminated(exit) => exit.code != 0,
                        _ => true,
                    });
            self.phase = if failed {
                Phase::Failed
            } else {
                Phase::Succeeded
            };
        }
    }

    fn derive_phase(&mut self) -> Phase {
        if self.phase.is_final() {
            return self.phase;
        }
        let never = self.policy == RestartPolicy::Never;
        if !self.is_initialized() {
            let failed = |container: &Container| matches!(&container.state, State::Terminated(exit) if exit.code != 0);
            if never && self.init.iter().any(failed) {
                return Phase::Failed;
            }
            return Phase::Pending;
        }
        let codes: Option<Vec<i32>> = self
            .main
            .iter()
            .map(|container| match &container.state {
                State::Terminated(exit) if container.start_at.is_none() => Some(exit.code),
                _ => None,
            })
            .collect();
        if let Some(codes) = codes {
            let phase = if codes.iter().all(|code| *code == 0) {
                Phase::Succeeded
            } else {
                Phase::Failed
            };
            for container in &mut self.init {
                if matches!(container.state, State::Running { .. }) {
                    let now = self
                        .main
                        .iter()
                        .filter_map(Container::finished)
                        .max()
                        .unwrap_or_default();
                    container.end(Exit::planned(0, None, None).at(now));
                }
                container.rest();
            }
            return phase;
        }
        if self
            .main
            .iter()
            .any(|container| container.state.is_waiting() && container.last.is_none())
        {
            return Phase::Pending;
        }
        Phase::Running
    }

    fn next_due(&self) -> (Option<SimTime>, Load) {
        let mut next: Option<SimTime> = None;
        let mut load = Load::Upkeep;
        let mut wish = |at: Option<SimTime>, upkeep: bool| {
            if let Some(at) = at {
                next = Some(next.map_or(at, |next| next.min(at)));
                if !upkeep {
                    load = Load::Work;
                }
            }
        };
        wish(self.stop_at(), false);
        if !self.phase.is_final() {
            wish(self.deadline, false);
            wish(self.image_failed, false);
            for container in self.init.iter().chain(&self.main) {
                if self.obstacle.is_none() {
                    wish(container.start_at, container.upkeep);
                }
                wish(container.ready_at, container.upkeep);
                wish(
                    container.exit_at.as_ref().map(|(at, _)| *at),
                    container.upkeep,
                );
            }
            if self.main.first().is_some_and(Container::is_running) {
                wish(self.conduct.due(), false);
            }
        }
        (next, load)
    }
}
