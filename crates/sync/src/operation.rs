//! Operations: life cycle, retry, termination, timeout (SYNC-128..137).
//!
//! A state machine without clock and I/O: given the stored [`OperationState`] and now, [`OperationState::due`] says what
//! is due and when; [`OperationState::begin`] opens a pass and says what it does; [`OperationState::finish`] stores its
//! outcome. Times are wall times of the run's epoch, cut to whole seconds where Argo CD stores them so.

pub mod auto_sync;
mod retry;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wavetank_model::{ArgoVersion, OperationPhase};

use crate::engine::StepOutput;
use crate::options::SyncOptions;
use crate::result::ResourceResult;

pub use retry::{Backoff, BackoffError, RetryStrategy};

/// Message of an operation that was asked to end.
pub const TERMINATING: &str = "operation is terminating";
/// Message of an operation that is ended because it took too long.
pub const TERMINATING_BY_TIMEOUT: &str = "operation is terminating due to timeout";
/// What such an operation's last message ends with.
const TIMEOUT_SUFFIX: &str = ", triggered by controller sync timeout";

/// The stored state of an operation, over all its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationState {
    /// Phase.
    pub phase: OperationPhase,
    /// Message.
    #[serde(default)]
    pub message: String,
    /// Start of the operation; retries keep it (SYNC-134).
    pub started_at: Timestamp,
    /// End of the operation, or of the attempt while a retry is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Retries so far, the one that is awaited included.
    #[serde(default)]
    pub retry_count: u32,
    /// The concrete revision of this attempt, pinned by its first pass (SYNC-131).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Results of this attempt.
    #[serde(default)]
    pub results: Vec<ResourceResult>,
    /// Whether and when it is tried again.
    #[serde(default)]
    pub retry: RetryStrategy,
    /// Whether auto-sync or self-heal asked for it.
    #[serde(default)]
    pub automated: bool,
    /// Self-heals in a row up to this operation, 0 when it is none (SYNC-152).
    #[serde(default)]
    pub self_heal_attempts: u32,
    /// Whether the timeout ended it.
    #[serde(default)]
    pub timed_out: bool,
}

/// What is due for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A pass, now.
    Pass,
    /// A pass at the latest then: a retry or the timeout. Changes and the backstop may bring one earlier, except
    /// while a retry is awaited.
    At(Timestamp),
    /// Nothing of its own; passes come with changes and the backstop (SYNC-129).
    Idle,
    /// The operation is over.
    Over,
}

/// What a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A pass of the engine.
    Step,
    /// A terminating pass of the engine.
    Terminate,
    /// Nothing: a retry is awaited, or the operation is over.
    Nothing,
}

/// An opened pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// What it does.
    pub act: Act,
    /// Whether the state was stored anew before it (a retry starts, or the timeout hit).
    pub stored: bool,
}

/// What a finished pass did to the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whether the stored state differs from the one before the pass; then the next pass is due at once.
    pub changed: bool,
    /// Whether an attempt failed and a retry is awaited.
    pub retrying: bool,
    /// Whether the operation is over.
    pub over: bool,
}

impl OperationState {
    /// A new operation (SYNC-130): Running, stored, and stepped in the same pass.
    pub fn start(retry: RetryStrategy, automated: bool, now: Timestamp) -> Self {
        Self {
            phase: OperationPhase::Running,
            message: String::new(),
            started_at: whole_seconds(now),
            finished_at: None,
            retry_count: 0,
            revision: None,
            results: Vec::new(),
            retry,
            automated,
            self_heal_attempts: 0,
            timed_out: false,
        }
    }

    /// Start of the operation as the engine takes it: Unix seconds.
    pub fn started_seconds(&self) -> i64 {
        self.started_at.as_second()
    }

    /// Whether it is over.
    pub fn over(&self) -> bool {
        self.phase.completed()
    }

    /// Whether it waits for a retry.
    pub fn awaits_retry(&self) -> bool {
        self.phase == OperationPhase::Running && self.finished_at.is_some()
    }

    /// When the awaited retry starts (SYNC-134): one factor later than announced (SYNC-199).
    pub fn retry_at(&self) -> Option<Timestamp> {
        let finished = self.finished_at.filter(|_| self.awaits_retry())?;
        let wait = self.retry.wait(self.retry_count).unwrap_or_default();
        finished.checked_add(wait).ok()
    }

    /// When the operation is ended because it takes too long; `None` without a timeout (SYNC-136).
    pub fn timeout_at(&self, timeout: SignedDuration) -> Option<Timestamp> {
        timeout
            .is_positive()
            .then(|| self.started_at.checked_add(timeout).ok())
            .flatten()
    }

    /// What is due at `now`, with the setting `syncTimeout` (zero for none).
    pub fn due(&self, now: Timestamp, timeout: SignedDuration) -> Due {
        if self.over() {
            return Due::Over;
        }
        if self.phase == OperationPhase::Terminating {
            return Due::Pass;
        }
        // The timeout is exceeded a moment after its time.
        let timeout = self
            .timeout_at(timeout)
            .map(|at| at.checked_add(SignedDuration::from_millis(1)).unwrap_or(at));
        match [self.retry_at(), timeout].into_iter().flatten().min() {
            Some(at) if at <= now => Due::Pass,
            Some(at) => Due::At(at),
            None => Due::Idle,
        }
    }

    /// Whether it enters the app's history: it succeeded, wrote, and was about the whole app (SYNC-141).
    pub fn enters_history(&self, options: &SyncOptions) -> bool {
        self.phase == OperationPhase::Succeeded && !options.dry_run && options.resources.is_empty()
    }

    /// Whether the app is compared because it ended (SYNC-129): a dry run changes nothing.
    pub fn brings_comparison(&self, options: &SyncOptions) -> bool {
        self.over() && !options.dry_run
    }

    /// Asks the operation to end; `false` when it is over already (SYNC-137).
    pub fn request_termination(&mut self) -> bool {
        if self.over() {
            return false;
        }
        self.phase = OperationPhase::Terminating;
        TERMINATING.clone_into(&mut self.message);
        true
    }

    /// Opens a pass (SYNC-130, SYNC-134, SYNC-136).
    pub fn begin(&mut self, now: Timestamp, timeout: SignedDuration) -> Begun {
        let begun = |act, stored| Begun { act, stored };
        if self.over() {
            return begun(Act::Nothing, false);
        }
        if self.phase == OperationPhase::Terminating {
            return begun(Act::Terminate, false);
        }
        if self.timeout_at(timeout).is_some_and(|at| now > at) {
            self.phase = OperationPhase::Terminating;
            TERMINATING_BY_TIMEOUT.clone_into(&mut self.message);
            self.timed_out = true;
            return begun(Act::Terminate, true);
        }
        let Some(at) = self.retry_at() else {
            return begun(Act::Step, false);
        };
        if now < at {
            return begun(Act::Nothing, false);
        }
        let latest = if self.retry.refresh {
            " with latest revisions"
        } else {
            ""
        };
        self.message = format!("Retrying operation{latest}. Attempt #{}", self.retry_count);
        if self.retry.refresh {
            self.revision = None;
        }
        self.finished_at = None;
        self.results.clear();
        begun(Act::Step, true)
    }

    /// Stores the outcome of a pass and decides about a retry (SYNC-130, SYNC-132).
    ///
    /// `act` is what [`OperationState::begin`] said, so that a termination that was asked for during a step is seen;
    /// `version` puts the announcement of a retry into its words.
    pub fn finish(
        &mut self,
        act: Act,
        output: StepOutput,
        now: Timestamp,
        version: ArgoVersion,
    ) -> Finished {
        let before = (self.phase, self.finished_at, self.retry_count);
        let asked_meanwhile = act == Act::Step && self.phase == OperationPhase::Terminating;
        let mut changed = self.results != output.results;
        self.results = output.results;
        let (mut phase, mut message) = (output.phase, output.message);
        if phase == OperationPhase::Running && asked_meanwhile {
            (phase, message) = (OperationPhase::Terminating, TERMINATING.to_owned());
        }
        let mut retrying = false;
        if matches!(phase, OperationPhase::Failed | OperationPhase::Error) {
            if self.timed_out {
                message.push_str(TIMEOUT_SUFFIX);
            }
            (phase, message, retrying) = self.after_failure(act, phase, message, now, version);
        }
        if phase.completed() {
            self.finished_at = Some(whole_seconds(now));
        }
        changed |= self.message != message;
        (self.phase, self.message) = (phase, message);
        changed |= before != (self.phase, self.finished_at, self.retry_count);
        Finished {
            changed,
            retrying,
            over: self.over(),
        }
    }

    /// The retry decision (SYNC-132): phase, message, and whether a retry is awaited.
    fn after_failure(
        &mut self,
        act: Act,
        phase: OperationPhase,
        message: String,
        now: Timestamp,
        version: ArgoVersion,
    ) -> (OperationPhase, String, bool) {
        if act != Act::Terminate && self.retry.allows(self.retry_count) {
            let at = self
                .retry
                .wait(self.retry_count)
                .map(|wait| now.checked_add(wait).unwrap_or(Timestamp::MAX));
            return match at {
                Ok(at) => {
                    self.finished_at = Some(whole_seconds(now));
                    self.retry_count += 1;
                    let time = shown(at, version);
                    let text = format!(
                        "{message}. Retrying attempt #{} at {time}.",
                        self.retry_count
                    );
                    (OperationPhase::Running, text, true)
                }
                Err(error) => (
                    OperationPhase::Error,
                    format!("{message} (failed to retry: {error})"),
                    false,
                ),
            };
        }
        if self.retry_count > 0 {
            return (
                phase,
                format!("{message} (retried {} times).", self.retry_count),
                false,
            );
        }
        (phase, message, false)
    }
}

/// Whether the annotation `argocd.argoproj.io/deletion-approved` confirms what began at `since`: an operation's prunes
/// (SYNC-067), or the deletion of an app (SYNC-145).
pub fn is_confirmed(annotation: Option<&str>, since: Timestamp) -> bool {
    annotation
        .and_then(wavetank_model::timestamp::parse)
        .is_some_and(|at| at >= since)
}

/// Cut to whole seconds, as stored times are.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// `3:04PM`, in UTC; since 3.6 the day too, as stored times are written (SYNC-084, SYNC-227).
fn shown(at: Timestamp, version: ArgoVersion) -> String {
    if version >= ArgoVersion::V3_6 {
        return whole_seconds(at).to_string();
    }
    let seconds = at.as_second().rem_euclid(86_400);
    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{hour}:{minute:02}{half}")
}

#[cfg(test)]
mod tests;
