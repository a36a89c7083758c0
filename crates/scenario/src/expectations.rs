//! What must hold (scenario format, section 8), parsed.

use std::time::Duration;

use indexmap::IndexMap;
use regex::Regex;
use wavetank_json::Value;
use wavetank_model::{EventPattern, Phase, Reference, WaveNumber};

/// The expectations of a scenario or of a step. What is `None` or empty was not written and holds.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// The last operation.
    pub operation: Option<OperationExpectation>,
    /// Exactly these phases ran, in this order.
    pub phases: Option<Vec<Phase>>,
    /// Exactly what the engine applied or pruned, a set per wave, in this order.
    pub waves: Option<Vec<WaveItem>>,
    /// A subsequence of the trace.
    pub order: Vec<OrderItem>,
    /// Key: what must have happened earlier, every time.
    pub before: Vec<(EventPattern, Vec<EventPattern>)>,
    /// What must not happen.
    pub never: Vec<NeverItem>,
    /// How often.
    pub count: Vec<(EventPattern, CountRange)>,
    /// How soon.
    pub within: Vec<(EventPattern, WithinItem)>,
    /// Per-resource results.
    pub results: Option<ResultsExpectation>,
    /// Counts of the engine's requests.
    pub requests: Vec<(RequestCount, CountRange)>,
    /// The app's own state.
    pub app: Option<AppExpectation>,
    /// Partial objects that are there at the end.
    pub present: Vec<Value>,
    /// Objects that are not there at the end.
    pub absent: Vec<Reference>,
    /// CEL expressions.
    pub cel: Vec<String>,
}

impl Expectations {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.operation.is_none()
            && self.phases.is_none()
            && self.waves.is_none()
            && self.order.is_empty()
            && self.before.is_empty()
            && self.never.is_empty()
            && self.count.is_empty()
            && self.within.is_empty()
            && self.results.is_none()
            && self.requests.is_empty()
            && self.app.is_none()
            && self.present.is_empty()
            && self.absent.is_empty()
            && self.cel.is_empty()
    }
}

/// A text, or a regular expression written `/…/`.
#[derive(Clone, Debug)]
pub enum MessagePattern {
    /// Exactly this text.
    Literal(String),
    /// Found anywhere in the text.
    Regex(Regex),
}

impl MessagePattern {
    /// Whether `message` fits. Messages built from unordered sets are compared as sets: see `expect`.
    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::Literal(text) => text == message,
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

impl std::fmt::Display for MessagePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal(text) => write!(f, "{text:?}"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

/// `operation`.
#[derive(Clone, Debug, Default)]
pub struct OperationExpectation {
    /// Phase, as `Succeeded`, `Running`.
    pub phase: Option<String>,
    /// Message.
    pub message: Option<MessagePattern>,
    /// A subsequence of all messages it had, one entry per stored change.
    pub messages: Vec<MessagePattern>,
    /// Retries.
    pub retries: Option<u32>,
    /// Revision.
    pub revision: Option<String>,
}

/// One item of `waves`.
#[derive(Clone, Debug)]
pub enum WaveItem {
    /// `"*"`: waves and objects that are not listed are no error.
    Any,
    /// A wave and its objects; `"*"` among them allows others.
    Wave {
        /// Phase.
        phase: Phase,
        /// Number.
        wave: WaveNumber,
        /// Its objects.
        objects: Vec<Reference>,
        /// Whether others are allowed.
        others: bool,
    },
}

/// One item of `order`: an event, or a set of events in any order.
#[derive(Clone, Debug)]
pub struct OrderItem {
    /// The events; one, unless an inner list was written.
    pub events: Vec<EventPattern>,
}

/// One item of `never`.
#[derive(Clone, Debug)]
pub struct NeverItem {
    /// The event.
    pub event: EventPattern,
    /// Only until this.
    pub until: Option<EventPattern>,
}

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountRange {
    /// At least.
    pub min: u64,
    /// At most; `None` for no bound.
    pub max: Option<u64>,
}

/// How soon something happens.
#[derive(Clone, Debug)]
pub struct WithinItem {
    /// Counted from this event, nth occurrence with nth occurrence; `None`: the start of the judged part.
    pub since: Option<EventPattern>,
    /// Not sooner.
    pub min: Duration,
    /// Not later; `None` for no bound.
    pub max: Option<Duration>,
}

/// `results`.
#[derive(Clone, Debug, Default)]
pub struct ResultsExpectation {
    /// What each result must be.
    pub items: Vec<(Option<Phase>, Reference, ResultExpectation)>,
    /// `"*": none`: no others.
    pub no_others: bool,
}

/// One result.
#[derive(Clone, Debug)]
pub enum ResultExpectation {
    /// The operation has no result for it.
    None,
    /// All of these that are written fit.
    Fields(Box<ResultFields>),
}

/// Fields of a result.
#[derive(Clone, Debug, Default)]
pub struct ResultFields {
    /// Phase of the task.
    pub sync_phase: Option<Phase>,
    /// Outcome; the empty text for none.
    pub hook_phase: Option<String>,
    /// Type of the hook; the empty text for other objects.
    pub hook_type: Option<String>,
    /// Status, as `Synced`; the empty text for none.
    pub status: Option<String>,
    /// Message.
    pub message: Option<MessagePattern>,
    /// Container images.
    pub images: Option<Vec<String>>,
}

/// The key of `requests`: `write Deployment/web`, `dry-run create Job/x`.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestCount {
    /// Verb word of section 6.
    pub verb: String,
    /// Objects; `None` with `discover`.
    pub target: Option<Reference>,
    /// Dry-run requests in place of wet ones.
    pub dry_run: bool,
}

/// `app`.
#[derive(Clone, Debug, Default)]
pub struct AppExpectation {
    /// App health.
    pub health: Option<String>,
    /// Its message.
    pub health_message: Option<MessagePattern>,
    /// Sync status.
    pub sync: Option<String>,
    /// Condition type to message; `None`: the condition is absent.
    pub conditions: IndexMap<String, Option<MessagePattern>>,
    /// Per resource: sync status and health.
    pub resources: Vec<(Reference, Option<String>, Option<String>)>,
    /// Length of the history.
    pub history: Option<u32>,
}
