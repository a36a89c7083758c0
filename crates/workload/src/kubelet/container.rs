//! One container of a Pod.

use std::time::Duration;

use wavetank_json::Value;
use wavetank_kernel::SimTime;

use crate::command::{self, Run};
use crate::latency;
use crate::read::{int, text};

/// How a run of a container ended, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started: SimTime,
    pub(crate) finished: SimTime,
    /// Which run it was, from 0.
    pub(crate) run: u32,
}

impl Exit {
    /// An exit to come; without a reason that of the exit code.
    pub(crate) fn planned(code: i32, reason: Option<String>, message: Option<String>) -> Self {
        let reason =
            reason.unwrap_or_else(|| if code == 0 { "Completed" } else { "Error" }.to_owned());
        Self {
            code,
            reason,
            message,
            started: SimTime::ZERO,
            finished: SimTime::ZERO,
            run: 0,
        }
    }

    pub(crate) fn at(mut self, now: SimTime) -> Self {
        self.finished = now;
        self
    }
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// An empty reason stands for `ContainerCreating` or `PodInitializing`.
    Waiting {
        reason: String,
        message: Option<String>,
    },
    Running {
        since: SimTime,
    },
    Terminated(Exit),
}

impl State {
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

/// One container.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    /// An init container that keeps running.
    pub(crate) sidecar: bool,
    pub(crate) command: Option<Run>,
    /// How long after the start the first probes succeed; `None`: it counts as ready at once.
    probes: Option<Duration>,
    pub(crate) state: State,
    pub(crate) last: Option<Exit>,
    pub(crate) restarts: u32,
    pub(crate) ready: bool,
    pub(crate) start_at: Option<SimTime>,
    pub(crate) exit_at: Option<(SimTime, Exit)>,
    pub(crate) ready_at: Option<SimTime>,
    /// The wait before the restart to come.
    back_off: Option<Duration>,
    /// Whether what it does next only goes round in a crash loop.
    pub(crate) upkeep: bool,
}

impl Container {
    pub(crate) fn new(spec: &Value) -> Self {
        Self {
            name: text(spec, &["name"]).to_owned(),
            image: text(spec, &["image"]).to_owned(),
            sidecar: text(spec, &["restartPolicy"]) == "Always",
            command: command::read(spec),
            probes: probes(spec),
            state: State::Waiting {
                reason: String::new(),
                message: None,
            },
            last: None,
            restarts: 0,
            ready: false,
            start_at: None,
            exit_at: None,
            ready_at: None,
            back_off: None,
            upkeep: false,
        }
    }

    pub(crate) fn start(&mut self, now: SimTime) {
        self.start_at = None;
        if self.last.is_some() {
            self.restarts += 1;
        }
        self.state = State::Running { since: now };
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Is going to end.
    pub(crate) fn exit_after(&mut self, after: Duration, exit: Exit, now: SimTime) {
        self.exit_at = Some((now + after, exit));
    }

    /// Is ready now, or when its probes succeed.
    pub(crate) fn become_ready(&mut self, now: SimTime) {
        match self.probes {
            None => self.ready = true,
            Some(after) => self.ready_at = Some(now + after),
        }
    }

    /// Ends for good.
    pub(crate) fn end(&mut self, exit: Exit) {
        let exit = self.complete(exit);
        self.rest();
        self.state = State::Terminated(exit);
    }

    /// Forgets what it was going to do.
    pub(crate) fn rest(&mut self) {
        self.ready = false;
        self.start_at = None;
        self.exit_at = None;
        self.ready_at = None;
    }

    /// Ends and is started again: the first time at once, then with back-off (API-318).
    pub(crate) fn crash(&mut self, exit: Exit, now: SimTime, upkeep: bool) {
        let exit = self.complete(exit);
        self.rest();
        self.upkeep = upkeep;
        let ran = exit.finished.since(exit.started);
        if ran >= latency::CRASH_BACK_OFF_RESET {
            self.back_off = None;
        }
        match self.back_off {
            None => {
                self.back_off = Some(latency::CRASH_BACK_OFF);
                self.state = State::Terminated(exit.clone());
                self.start_at = Some(now + latency::CONTAINER_START);
            }
            Some(wait) => {
                self.back_off = Some((wait * 2).min(latency::CRASH_BACK_OFF_MAX));
                self.state = State::Waiting {
                    reason: "CrashLoopBackOff".to_owned(),
                    message: Some(latency::go_duration(wait)),
                };
                self.start_at = Some(now + wait);
            }
        }
        self.last = Some(exit);
    }

    pub(crate) fn waits_for(&self, reason: &str) -> bool {
        matches!(&self.state, State::Waiting { reason: waits, .. } if waits == reason)
    }

    pub(crate) fn finished(&self) -> Option<SimTime> {
        match &self.state {
            State::Terminated(exit) => Some(exit.finished),
            _ => None,
        }
    }

    fn complete(&self, mut exit: Exit) -> Exit {
        exit.started = match &self.state {
            State::Running { since } => *since,
            _ => exit.finished,
        };
        exit.run = self.restarts;
        exit
    }
}

/// How long after its start a container's startup and readiness probes have succeeded.
fn probes(spec: &Value) -> Option<Duration> {
    let time = |field: &str| {
        let probe = spec.get(field)?;
        let seconds = |field: &str, default: i64| {
            int(probe, &[field])
                .unwrap_or(default)
                .max(0)
                .unsigned_abs()
        };
        let wait = seconds("initialDelaySeconds", 0)
            + (seconds("successThreshold", 1).max(1) - 1) * seconds("periodSeconds", 10);
        Some(Duration::from_secs(wait) + latency::PROBE)
    };
    match (time("startupProbe"), time("readinessProbe")) {
        (None, None) => None,
        (startup, readiness) => Some(
            startup
                .unwrap_or_default()
                .max(readiness.unwrap_or_default()),
        ),
    }
}
