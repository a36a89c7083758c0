//! The entries of a trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::json::Json;
use wavetank_model::{
    Actor, ChangeKind, EventPattern, ObjectKey, OperationPhase, Phase, RequestRecord, ResultCode,
    Subject, Verb, WaveNumber,
};

/// The version of the format.
pub const VERSION: &str = "v0";

/// What was run: the first line of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// [`VERSION`].
    pub version: String,
    /// Name of the scenario, with `@case` where it has cases.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Target: `fake`, `kind` …
    pub target: String,
    /// Engine: `builtin` …
    pub engine: String,
    /// Destination namespace of the app: what references without a namespace mean.
    pub namespace: String,
    /// Wall time at which the clock stands at zero, RFC 3339.
    pub epoch: String,
    /// `commit`, or `observed` where entries are in the order in which a watch told of them.
    pub order: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the trace, from 1, without gaps.
    pub seq: u64,
    /// When, in milliseconds since the start of the run.
    #[serde(
        rename = "ms",
        serialize_with = "write_time",
        deserialize_with = "read_time"
    )]
    pub time: SimTime,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn write_time<S: Serializer>(time: &SimTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SimTime, D::Error> {
    u64::deserialize(deserializer).map(SimTime::from_millis)
}

/// What happened. Externally tagged: `{"api": {…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// The API committed a change.
    Api(ApiEvent),
    /// An object's health changed, entered right after the commit that caused it.
    Health(HealthEvent),
    /// A Job, Pod or other finite object reached its end.
    End {
        /// The object.
        key: ObjectKey,
        /// Whether it succeeded.
        succeeded: bool,
    },
    /// The engine carried out a task.
    Task(TaskEvent),
    /// The operation changed.
    Operation(Box<OperationEvent>),
    /// A phase began or ended.
    Phase {
        /// The phase.
        phase: Phase,
        /// `started`, `completed`, `failed`.
        verb: Verb,
    },
    /// A wave began or ended.
    Wave {
        /// Its phase.
        phase: Phase,
        /// Its number.
        wave: WaveNumber,
        /// `started`, `completed`, `failed`.
        verb: Verb,
    },
    /// The application's own state changed.
    App {
        /// One of the verbs of `app`.
        verb: Verb,
        /// Detail for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// What is stored of the application changed: no event of the grammar, [`Event::App`] tells of those.
    AppState(Box<AppState>),
    /// What a sync would do, built without doing it.
    Plan {
        /// The tasks in the order in which they would be carried out.
        tasks: Vec<PlanTask>,
    },
    /// The engine was restarted.
    EngineRestarted,
    /// A fault fired.
    Fault {
        /// Its name.
        name: String,
        /// The request or delivery it hit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<ObjectKey>,
    },
    /// A bound action fired.
    Do {
        /// Its name.
        name: String,
    },
    /// A request was answered.
    Request(RequestRecord),
    /// A pass of the engine began.
    Pass {
        /// Its number within the operation, from 1.
        number: u32,
        /// Why it was started: `operation`, `terminate`, `confirmation`, `retry`, `stored`, `batch`, `backstop`.
        cause: String,
    },
    /// A step of the scenario began.
    StepStarted {
        /// Its position in `steps`, from 0.
        index: usize,
        /// Its name, or its action.
        name: String,
    },
    /// A step of the scenario ended: its expectations are judged on what stands between.
    StepEnded {
        /// Its position in `steps`, from 0.
        index: usize,
    },
    /// Something the run wants people to know: why it waits, what was unfired.
    Note {
        /// The text.
        text: String,
    },
}

/// A committed change of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiEvent {
    /// What happened.
    pub verb: ChangeKind,
    /// The object.
    pub key: ObjectKey,
    /// `apps/v1`: the version in which the content is written.
    pub api_version: String,
    /// Uid.
    pub uid: String,
    /// Revision of the commit.
    pub resource_version: String,
    /// Who asked.
    pub actor: Actor,
    /// Field manager.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// The object; absent when deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// The content of an object in a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// The whole object.
    Object(Json),
    /// A merge patch (RFC 7386) against the object's previous version.
    Patch(Json),
}

/// A change of health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthEvent {
    /// The object.
    pub key: ObjectKey,
    /// `healthy`, `progressing`, `degraded`, `suspended`, `unknown`, `missing`.
    pub verb: Verb,
    /// The rule's message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A task of the engine, entered when its call returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskEvent {
    /// `applied`, `rejected` or `pruned`.
    pub verb: Verb,
    /// The object.
    pub key: ObjectKey,
    /// Phase of the task.
    pub phase: Phase,
    /// Effective wave of the task.
    pub wave: WaveNumber,
    /// Whether the object is a hook.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hook: bool,
    /// Result or error text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The stored state of the application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppState {
    /// `Synced`, `OutOfSync`, `Unknown`; empty before the first comparison.
    pub sync: String,
    /// `Healthy`, `Progressing` …; empty before the first comparison.
    pub health: String,
    /// The objects that the health comes from, as Argo CD names them since 3.6.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub health_message: String,
    /// The revision that was compared.
    pub revision: String,
    /// The objects that count, by key.
    pub resources: Vec<AppResource>,
    /// Condition type to message.
    pub conditions: BTreeMap<String, String>,
    /// Length of the history (SYNC-141).
    pub history: u32,
}

/// One object of an application as a comparison found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppResource {
    /// The object.
    pub key: ObjectKey,
    /// `Synced`, `OutOfSync`.
    pub sync: String,
    /// Its health; `None` for objects that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanTask {
    /// The object; the name of a generateName hook is a pattern `prefix*`.
    pub key: ObjectKey,
    /// Phase.
    pub phase: Phase,
    /// Effective wave.
    pub wave: WaveNumber,
}

/// A change of the operation. Every stored change is one; those that are no event of the grammar have no verb.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationEvent {
    /// `started`, `succeeded`, `failed`, `error`, `terminating`, `retrying`; `None` for a mere change of the stored state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<Verb>,
    /// Number of the operation in the run, from 1.
    pub number: u32,
    /// Number of the attempt within the operation, from 1.
    pub attempt: u32,
    /// The stored state after the change.
    pub state: OperationState,
    /// With `started`: what was desired, one entry per rendered object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Vec<DesiredObject>>,
}

/// One object of the desired state, with what the gates need to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredObject {
    /// Its key after namespace defaulting; the name of a generateName hook is a pattern `prefix*`.
    pub key: ObjectKey,
    /// The object as rendered.
    pub object: Arc<Value>,
}

/// The stored state of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationState {
    /// Phase.
    pub phase: OperationPhase,
    /// Message.
    pub message: String,
    /// How often it was tried again.
    pub retries: u32,
    /// Revision that is synced.
    pub revision: String,
    /// Per-resource results in order.
    pub results: Vec<ResourceResult>,
}

/// One per-resource result of an operation (SYNC-004).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceResult {
    /// The object.
    pub key: ObjectKey,
    /// API version.
    pub version: String,
    /// Status; `None` where an error came before it (discovery).
    pub status: Option<ResultCode>,
    /// Message.
    pub message: String,
    /// The phase of a hook; `None` for other objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_type: Option<Phase>,
    /// Outcome so far, of all objects; `None` is the empty phase.
    pub hook_phase: Option<OperationPhase>,
    /// Phase of the task.
    pub sync_phase: Phase,
    /// Container images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

impl Event {
    /// The verb of this entry in the grammar of events, if it is an event.
    pub fn verb(&self) -> Option<Verb> {
        Some(match self {
            Self::Api(api) => match api.verb {
                ChangeKind::Created => Verb::Created,
                ChangeKind::Updated => Verb::Updated,
                ChangeKind::Deleting => Verb::Deleting,
                ChangeKind::Deleted => Verb::Deleted,
            },
            Self::Health(health) => health.verb,
            Self::End { succeeded, .. } => {
                if *succeeded {
                    Verb::Succeeded
                } else {
                    Verb::Failed
                }
            }
            Self::Task(task) => task.verb,
            Self::Operation(operation) => return operation.verb,
            Self::Phase { verb, .. } | Self::Wave { verb, .. } | Self::App { verb, .. } => *verb,
            Self::EngineRestarted => Verb::Restarted,
            Self::Fault { .. } | Self::Do { .. } => Verb::Fired,
            Self::Request(_)
            | Self::AppState(_)
            | Self::Plan { .. }
            | Self::Pass { .. }
            | Self::StepStarted { .. }
            | Self::StepEnded { .. }
            | Self::Note { .. } => {
                return None;
            }
        })
    }

    /// The object this entry is an event of, if it is of one.
    pub fn object(&self) -> Option<&ObjectKey> {
        match self {
            Self::Api(api) => Some(&api.key),
            Self::Health(health) => Some(&health.key),
            Self::End { key, .. } => Some(key),
            Self::Task(task) => Some(&task.key),
            _ => None,
        }
    }

    /// Whether this entry is the event that `pattern` names, for an app whose namespace is `home`.
    pub fn matches(&self, pattern: &EventPattern, home: &str) -> bool {
        if self.verb() != Some(pattern.verb) {
            return false;
        }
        match (&pattern.subject, self) {
            (Subject::Object(reference), _) => self
                .object()
                .is_some_and(|key| reference.matches(key, home)),
            (Subject::Operation, Self::Operation(_))
            | (Subject::App, Self::App { .. })
            | (Subject::Engine, Self::EngineRestarted) => true,
            (Subject::Phase(wanted), Self::Phase { phase, .. }) => wanted == phase,
            (Subject::Wave(wanted, number), Self::Wave { phase, wave, .. }) => {
                wanted == phase && number == wave
            }
            (Subject::Fault(wanted), Self::Fault { name, .. })
            | (Subject::Do(wanted), Self::Do { name }) => wanted == name,
            _ => false,
        }
    }

    /// The entry as a reader sees it: `Job/smoke applied`, `Sync/1 started`; `None` for what is no event.
    pub fn describe(&self, home: &str) -> Option<String> {
        let verb = self.verb()?;
        let subject = match self {
            Self::Operation(_) => "operation".to_owned(),
            Self::Phase { phase, .. } => phase.to_string(),
            Self::Wave { phase, wave, .. } => format!("{phase}/{wave}"),
            Self::App { .. } => "app".to_owned(),
            Self::EngineRestarted => "engine".to_owned(),
            Self::Fault { name, .. } => format!("fault/{name}"),
            Self::Do { name } => format!("do/{name}"),
            other => other.object()?.short(home),
        };
        Some(format!("{subject} {verb}"))
    }
}
