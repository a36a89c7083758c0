//! Why a run waits: what holds the operation, since when, who holds that, and what would unblock it.
//!
//! [`waiting`] reads it off the end of a trace, [`history`] tells of every wave that took time. Both look at nothing but
//! the trace: what the engine stored of itself (its results and its message), and what the API committed. Where the two
//! disagree (the hook is done and the engine has not noticed), that is the answer.

mod history;
mod object;
mod pods;
mod scene;

use wavetank_kernel::SimTime;
use wavetank_model::{ObjectKey, OperationPhase, Phase, Verb, argo, object as read};
use wavetank_trace::{ResourceResult, Trace};

pub use history::{WaveWait, history};
use scene::Scene;

/// What an operation, or the deletion of the application, waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who waits: `operation 1 in PreSync/0`, `the deletion of the application`.
    pub what: String,
    /// When it last got on.
    pub since: SimTime,
    /// What it waits for, in the order of the engine's results. Not empty.
    pub blockers: Vec<Blocker>,
    /// What comes after it, by wave, as `Sync/0: ConfigMap/settings`.
    pub held_back: Vec<String>,
}

/// One thing that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The object, as `Job/migrate`; or what else it is.
    pub subject: String,
    /// Its state: `running`, `being deleted` …
    pub state: String,
    /// Since when.
    pub since: Option<SimTime>,
    /// Who or what keeps it there, from the outside to the inside.
    pub held_by: Vec<String>,
    /// What would unblock it.
    pub unblock: String,
}

/// What the operation that is in progress at the end of `trace`, or else the deletion of the app, waits for; `None`
/// when neither is.
pub fn waiting(trace: &Trace) -> Option<Waiting> {
    let scene = Scene::of(trace);
    scene.operation_waits().or_else(|| scene.deletion_waits())
}

impl Scene<'_> {
    fn operation_waits(&self) -> Option<Waiting> {
        let operation = self.operation?;
        let phase = operation.state.phase;
        if phase.completed() && operation.verb != Some(Verb::Retrying) {
            return None;
        }
        let place = self
            .wave
            .map(|(phase, wave)| format!(" in {phase}/{wave}"))
            .unwrap_or_default();
        let mut what = format!("operation {}{place}", operation.number);
        if operation.attempt > 1 {
            what = format!("{what}, attempt {}", operation.attempt);
        }
        if phase == OperationPhase::Terminating {
            what = format!("{what}, terminating");
        }
        let blockers = if operation.verb == Some(Verb::Retrying) {
            vec![self.retry(&operation.state.message)]
        } else {
            self.blockers()
        };
        Some(Waiting {
            what,
            since: self.last_progress,
            blockers,
            held_back: self.held_back(),
        })
    }

    fn retry(&self, message: &str) -> Blocker {
        Blocker {
            subject: "the next attempt".to_owned(),
            state: first_line(message),
            since: Some(self.operation_time),
            held_by: Vec::new(),
            unblock: "time: its back-off has to pass".to_owned(),
        }
    }

    fn blockers(&self) -> Vec<Blocker> {
        let Some(operation) = self.operation else {
            return Vec::new();
        };
        let state = &operation.state;
        if state
            .message
            .starts_with("waiting for pruning confirmation")
        {
            return self.unconfirmed();
        }
        let running = state
            .results
            .iter()
            .filter(|result| result.hook_phase == Some(OperationPhase::Running));
        let running: Vec<&ResourceResult> = running.collect();
        // What has no health is done once it is applied (SYNC-048): a namespace that is made on the way is not looked at
        // again, and its result stays as it was.
        let waits = |result: &&&ResourceResult| !self.is_without_health(&result.key);
        let waited: Vec<&ResourceResult> = running.iter().filter(waits).copied().collect();
        let shown = if waited.is_empty() { &running } else { &waited };
        let mut out: Vec<Blocker> = shown
            .iter()
            .map(|result| self.blocker(&result.key, Some(&result.message)))
            .collect();
        if out.is_empty() {
            out = self.deletions();
        }
        if out.is_empty() {
            out.push(self.unknown(&state.message));
        }
        out
    }

    /// Nothing is Running: what is named by the message alone, as sync windows are.
    fn unknown(&self, message: &str) -> Blocker {
        let window = message.contains("sync window");
        let last = self
            .last_pass
            .map(|(at, cause)| format!("the engine looked last at {at} ({cause})"));
        Blocker {
            subject: if window {
                "a sync window"
            } else {
                "the engine"
            }
            .to_owned(),
            state: if message.is_empty() {
                "nothing it started is unfinished".to_owned()
            } else {
                first_line(message)
            },
            since: Some(self.operation_time),
            held_by: last.into_iter().collect(),
            unblock: if window {
                "time: a window that allows it, or an end of the one that does not".to_owned()
            } else {
                "a change that makes the engine look again".to_owned()
            },
        }
    }

    /// Prunes that somebody has to confirm (SYNC-067).
    fn unconfirmed(&self) -> Vec<Blocker> {
        let wanted =
            |object: &wavetank_json::Value| argo::option_value(object, "Prune") == Some("confirm");
        self.world
            .objects()
            .filter(|(key, object)| wanted(object) && !self.is_desired(key))
            .map(|(key, _)| Blocker {
                subject: self.name(key),
                state: "not desired any more, its prune is to be confirmed".to_owned(),
                since: Some(self.operation_time),
                held_by: vec!["the sync option Prune=confirm".to_owned()],
                unblock: "the confirmation: the step `confirmPrune`, in Argo CD the annotation argocd.argoproj.io/deletion-approved".to_owned(),
            })
            .collect()
    }

    /// Objects that have to go before the sync can go on: hooks of old, prunes.
    fn deletions(&self) -> Vec<Blocker> {
        let concerned = |key: &ObjectKey| self.is_desired(key) || self.pruned.contains(key);
        self.world
            .objects()
            .filter(|(key, object)| read::is_terminating(object) && concerned(key))
            .map(|(key, _)| self.blocker(key, None))
            .collect()
    }

    fn deletion_waits(&self) -> Option<Waiting> {
        let since = self.app_deleting?;
        let phase = self
            .delete_phase
            .map(|phase| format!(", in {phase}"))
            .unwrap_or_default();
        let hook = |key: &ObjectKey| self.delete_hooks.contains(key);
        let mut blockers: Vec<Blocker> = self
            .world
            .objects()
            .filter(|(key, object)| {
                read::is_terminating(object) || self.delete_phase.is_some() && hook(key)
            })
            .filter(|(key, _)| !self.is_done(key) || self.is_terminating(key))
            .map(|(key, _)| self.blocker(key, None))
            .collect();
        if blockers.is_empty() {
            blockers.push(self.unconfirmed_deletion(since));
        }
        Some(Waiting {
            what: format!("the deletion of the application{phase}"),
            since: self.last_progress.max(since),
            blockers,
            held_back: Vec::new(),
        })
    }

    fn unconfirmed_deletion(&self, since: SimTime) -> Blocker {
        let asks = |object: &wavetank_json::Value| {
            ["Delete", "Prune"]
                .iter()
                .any(|option| argo::option_value(object, option) == Some("confirm"))
        };
        let objects = self.world.objects().filter(|(_, object)| asks(object));
        let names: Vec<String> = objects.map(|(key, _)| self.name(key)).collect();
        if names.is_empty() {
            return Blocker {
                subject: "the engine".to_owned(),
                state: "nothing it deletes is left, and it has not noticed".to_owned(),
                since: Some(since),
                held_by: Vec::new(),
                unblock: "a change that makes the engine look again".to_owned(),
            };
        }
        Blocker {
            subject: names.join(", "),
            state: "its deletion is to be confirmed".to_owned(),
            since: Some(since),
            held_by: vec!["the sync option Delete=confirm or Prune=confirm".to_owned()],
            unblock: "the confirmation: the step `confirmDelete`, in Argo CD the annotation argocd.argoproj.io/deletion-approved".to_owned(),
        }
    }

    /// Desired objects that no task of this attempt has touched, by wave.
    fn held_back(&self) -> Vec<String> {
        let mut waves: Vec<((Phase, i64), Vec<String>)> = Vec::new();
        for desired in self.desired {
            for phase in argo::phases(&desired.object) {
                let done = self
                    .touched
                    .iter()
                    .any(|(at, key)| *at == phase && same(key, &desired.key));
                if done || phase == Phase::SyncFail {
                    continue;
                }
                let place = (phase, argo::wave(&desired.object));
                let name = self.name(&desired.key);
                match waves.iter_mut().find(|(known, _)| *known == place) {
                    Some((_, names)) => names.push(name),
                    None => waves.push((place, vec![name])),
                }
            }
        }
        waves.sort_by_key(|(place, _)| *place);
        let shown = waves
            .into_iter()
            .map(|((phase, wave), names)| format!("{phase}/{wave}: {}", list(&names)));
        shown.collect()
    }
}

/// Whether `key` is the desired one, whose name may be a pattern `prefix*`.
fn same(key: &ObjectKey, desired: &ObjectKey) -> bool {
    if key == desired {
        return true;
    }
    let kind = key.group == desired.group && key.kind == desired.kind;
    let prefix = desired.name.strip_suffix('*');
    kind && prefix.is_some_and(|prefix| key.name.starts_with(prefix))
}

/// At most three names.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
