//! What an engine is: a pass from input to output, with every effect asked for.

use std::sync::Arc;

use wavetank_health::Assessor;
use wavetank_json::Value;
use wavetank_kernel::{BoxFuture, Clock, SimTime};
use wavetank_model::{
    GroupVersionKind, ObjectKey, OperationPhase, Phase, Propagation, Status, WaveNumber,
};

use crate::kinds::{ApiResource, Kinds};
use crate::options::SyncOptions;
use crate::result::ResourceResult;
use crate::server_side_diff::Answers;
use crate::step;
use crate::target::TargetMemo;

/// Where Applications live.
pub const APPS_NAMESPACE: &str = "argocd";

/// How an object says which app it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackingMethod {
    /// The annotation `argocd.argoproj.io/tracking-id`.
    #[default]
    Annotation,
    /// The label `app.kubernetes.io/instance`.
    Label,
    /// Both; the annotation decides.
    AnnotationAndLabel,
}

impl TrackingMethod {
    /// Reads the name of the setting `resourceTrackingMethod`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "annotation" => Self::Annotation,
            "label" => Self::Label,
            "annotation+label" => Self::AnnotationAndLabel,
            _ => return None,
        })
    }
}

/// The application as the engine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppIdentity {
    /// Name of the app.
    pub name: String,
    /// Destination namespace; may be empty.
    pub namespace: String,
    /// How its objects are tracked.
    pub tracking: TrackingMethod,
}

/// Everything a pass knows (SYNC-003).
#[derive(Clone, Debug)]
pub struct StepInput {
    /// The application.
    pub app: AppIdentity,
    /// The concrete revision that is synced; empty for several sources (SYNC-172).
    pub revision: String,
    /// Desired objects, as rendered. Sharing the same `Arc` between passes spares the work of reading them again.
    pub targets: Arc<[Arc<Value>]>,
    /// The view's snapshot: every object of the closed world. The engine picks its own by tracking (SYNC-010).
    pub live: Vec<Arc<Value>>,
    /// The kinds the view knows to be served.
    pub kinds: Arc<Kinds>,
    /// Options of the operation.
    pub options: Arc<SyncOptions>,
    /// Start of the operation (not of the attempt), Unix seconds.
    pub started_at: i64,
    /// Stored phase.
    pub phase: OperationPhase,
    /// Stored message.
    pub message: String,
    /// Stored results of this attempt: all that survives between passes (SYNC-002).
    pub results: Vec<ResourceResult>,
    /// Whether prunes are confirmed (SYNC-067).
    pub prune_confirmed: bool,
    /// What the server said of live objects it was asked about (SYNC-149).
    pub answers: Arc<Answers>,
}

/// What a pass ends with (SYNC-004).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutput {
    /// New phase.
    pub phase: OperationPhase,
    /// New message.
    pub message: String,
    /// All results of the attempt, by `order`.
    pub results: Vec<ResourceResult>,
}

/// Why a pass gave no output: the engine itself failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine is gone.
    #[error("the engine was lost: {0}")]
    Lost(String),
    /// The engine said what it may not say.
    #[error("the engine broke its protocol: {0}")]
    Protocol(String),
}

/// How an engine that does its API calls itself reaches the run.
#[derive(Clone)]
pub struct EngineLink {
    /// The API, through everything that requests of the engine pass.
    pub client: kube::Client,
    /// The clock of the run.
    pub clock: Arc<dyn Clock>,
    /// When the target's next pending work is due.
    pub next_work: Arc<dyn Fn() -> Option<SimTime> + Send + Sync>,
    /// How the run judges health, with the scripts of its settings.
    pub assessor: Arc<Assessor>,
}

impl std::fmt::Debug for EngineLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineLink")
    }
}

/// An engine that works pass by pass.
pub trait StepEngine: Send {
    /// Is called once, before the first pass. Engines that only ask need nothing of it.
    fn connect(&mut self, _link: EngineLink) {}

    /// Runs one pass of an operation.
    ///
    /// # Errors
    /// Only when the engine itself fails; whatever the cluster answers is part of the output.
    fn pass<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>>;

    /// Runs one pass that terminates the operation (SYNC-138).
    ///
    /// # Errors
    /// As [`StepEngine::pass`].
    fn terminate<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>>;

    /// Whether a pass with these options over these desired objects looks at `managedFields` of live objects: where it
    /// does not, live objects may come without them.
    fn reads_managed_fields(&self, targets: &[Arc<Value>], options: &SyncOptions) -> bool;

    /// Name of the engine, as reports show it.
    fn name(&self) -> &str;
}

/// The built-in engine.
#[derive(Debug, Default)]
pub struct Builtin {
    assessor: Assessor,
    memo: TargetMemo,
}

impl Builtin {
    /// An engine that judges health with `assessor`.
    pub fn new(assessor: Assessor) -> Self {
        Self {
            assessor,
            memo: TargetMemo::default(),
        }
    }
}

impl StepEngine for Builtin {
    fn pass<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>> {
        Box::pin(async move { Ok(step::pass(input, &self.assessor, &mut self.memo, asks).await) })
    }

    fn terminate<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>> {
        Box::pin(
            async move { Ok(step::terminate(input, &self.assessor, &mut self.memo, asks).await) },
        )
    }

    fn reads_managed_fields(&self, targets: &[Arc<Value>], options: &SyncOptions) -> bool {
        options.read_managed_fields(targets)
    }

    fn name(&self) -> &'static str {
        "builtin"
    }
}

/// Why a call to the API failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The server said no; the text is its message.
    #[error("{0}")]
    Api(Status),
    /// No answer came.
    #[error("{0}")]
    Transport(String),
    /// How the kind is reached could not be found out, so nothing was called.
    #[error("failed to get api resource: {0}")]
    Resource(DiscoverError),
}

impl CallError {
    /// Whether the object was not there: any 404, and a kind that is not served.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Api(status) => status.code == 404,
            Self::Transport(_) => false,
            Self::Resource(error) => matches!(error, DiscoverError::NotFound(_)),
        }
    }

    /// The text behind `what`, the words for the call that failed; where nothing was called it has its own.
    pub(crate) fn behind(&self, what: &str) -> String {
        match self {
            Self::Resource(_) => self.to_string(),
            _ => format!("{what}{self}"),
        }
    }

    /// Whether a resourceVersion or precondition did not fit.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(status) if status.is_conflict())
    }
}

/// Why a kind could not be resolved (SYNC-031).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// The kind, or its group and version, is not served.
    #[error("{0}")]
    NotFound(String),
    /// Discovery failed.
    #[error("{0}")]
    Failed(String),
}

/// Names one object for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRef {
    /// Kind in the version of the call.
    pub gvk: GroupVersionKind,
    /// Path and scope when they are known; else the call discovers them.
    pub resource: Option<ApiResource>,
    /// Namespace; left out where the kind has none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// How an object is written (SYNC-088).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Client-side apply (SYNC-091), for RBAC objects after a reconcile (SYNC-093).
    Apply,
    /// Server-side apply (SYNC-092).
    ServerSideApply,
    /// POST (SYNC-095).
    Create,
    /// PUT, or DELETE and POST with force (SYNC-094).
    Replace,
    /// PUT of CRDs and Namespaces (SYNC-088).
    Update,
}

/// One object to be written.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of one call"
)]
pub struct ApplyAsk {
    /// Key of the task's result.
    pub key: Arc<ObjectKey>,
    /// Where it goes.
    pub resource: ResourceRef,
    /// The object, as it is sent.
    pub target: Arc<Value>,
    /// The live object of the snapshot, if any.
    pub live: Option<Arc<Value>>,
    /// How.
    pub strategy: Strategy,
    /// Delete and re-create where that is the only way.
    pub force: bool,
    /// Whether unknown fields are refused; current servers only hear of it with [`Self::validates_creations`] (SYNC-097).
    pub validate: bool,
    /// Nothing is written (SYNC-089).
    pub dry_run: bool,
    /// Field manager.
    pub manager: String,
    /// The manager whose client-side fields are taken over first (SYNC-096).
    pub migrate_from: Option<String>,
    /// RBAC objects are reconciled before a server-side apply too, as before 3.5 (SYNC-093).
    pub reconcile_always: bool,
    /// A creation tells the server whether to refuse unknown fields, as since 3.6 (SYNC-095).
    pub validates_creations: bool,
    /// Phase of the task.
    pub phase: Phase,
    /// Wave of the run; `All` for SyncFail.
    pub wave: WaveNumber,
    /// Whether it is a hook.
    pub hook: bool,
}

impl ApplyAsk {
    /// What is to be noted when the call returned `outcome`; nothing for dry runs.
    pub fn note(&self, outcome: &Result<String, String>) -> Option<Note> {
        if self.dry_run {
            return None;
        }
        let (mut key, phase, wave) = (ObjectKey::clone(&self.key), self.phase, self.wave);
        // The result of a cluster-scoped object carries a namespace (SYNC-188), the object itself has none.
        if self
            .resource
            .resource
            .as_ref()
            .is_some_and(|known| !known.namespaced)
        {
            key.namespace.clear();
        }
        Some(match outcome {
            Ok(message) => Note::Applied {
                key,
                phase,
                wave,
                message: message.clone(),
                hook: self.hook,
            },
            Err(message) => Note::Rejected {
                key,
                phase,
                wave,
                message: message.clone(),
            },
        })
    }
}

/// Why an object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteReason {
    /// It left the desired state (SYNC-066).
    Prune,
    /// Policy BeforeHookCreation (SYNC-073).
    BeforeHookCreation,
    /// Policy HookSucceeded or HookFailed, or termination.
    HookDone,
    /// The app is being deleted (SYNC-145, SYNC-147).
    AppDeletion,
}

/// One object to be deleted.
#[derive(Clone, Debug)]
pub struct DeleteAsk {
    /// Key of the task's result.
    pub key: Arc<ObjectKey>,
    /// The object.
    pub resource: ResourceRef,
    /// What happens to its dependents.
    pub propagation: Propagation,
    /// Why.
    pub reason: DeleteReason,
    /// Phase of the task.
    pub phase: Phase,
    /// Wave of the run.
    pub wave: WaveNumber,
}

impl DeleteAsk {
    /// What is to be noted when the call returned: accepted prunes.
    pub fn note(&self, outcome: &Result<(), CallError>) -> Option<Note> {
        (self.reason == DeleteReason::Prune && outcome.is_ok()).then(|| Note::Pruned {
            key: ObjectKey::clone(&self.key),
            phase: self.phase,
            wave: self.wave,
        })
    }
}

/// One hook whose finalizer goes (SYNC-068).
#[derive(Clone, Debug)]
pub struct FinalizerAsk {
    /// The object.
    pub resource: ResourceRef,
    /// Its live object from the snapshot, without the finalizer: what is sent first.
    pub stripped: Arc<Value>,
}

/// What the engine did, told the moment it happened. Dry runs tell nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The first wet call of a run is about to be made. A wave that is run again (while it waits for deletions or a
    /// confirmation) says so again.
    WaveStarted {
        /// Phase.
        phase: Phase,
        /// Wave; `All` for SyncFail (SYNC-164).
        wave: WaveNumber,
    },
    /// The engine's task for an object was carried out.
    Applied {
        /// The object, by the key of its result.
        key: ObjectKey,
        /// Phase of the task.
        phase: Phase,
        /// Wave of the run.
        wave: WaveNumber,
        /// Output text (SYNC-099).
        message: String,
        /// Whether it is a hook.
        hook: bool,
    },
    /// That call failed.
    Rejected {
        /// The object, by the key of its result.
        key: ObjectKey,
        /// Phase of the task.
        phase: Phase,
        /// Wave of the run.
        wave: WaveNumber,
        /// Error text (SYNC-100).
        message: String,
    },
    /// The deletion of an object that left the desired state was accepted.
    Pruned {
        /// The object.
        key: ObjectKey,
        /// Phase of the task.
        phase: Phase,
        /// Wave of the run.
        wave: WaveNumber,
    },
}

/// Every effect of a pass.
///
/// Carried out by [`crate::apply::KubeAsks`], and by scripted outcomes in tests. Outcomes stand in the order of the
/// asks; the calls of one list are concurrent, that is, made in an order the implementation draws. An implementation
/// passes [`ApplyAsk::note`] and [`DeleteAsk::note`] on the moment the call returned.
pub trait Asks: Send {
    /// Resolves a kind for the verb `get`.
    fn discover<'a>(
        &'a mut self,
        gvk: &'a GroupVersionKind,
    ) -> BoxFuture<'a, Result<ApiResource, DiscoverError>>;

    /// Reads one object from the API; `None` when it is not there.
    fn get<'a>(
        &'a mut self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<Option<Arc<Value>>, CallError>>;

    /// Writes the objects of one kind group. An outcome is the output text, or the error text.
    fn apply(&mut self, asks: Vec<ApplyAsk>) -> BoxFuture<'_, Vec<Result<String, String>>>;

    /// Deletes objects.
    fn delete(&mut self, asks: Vec<DeleteAsk>) -> BoxFuture<'_, Vec<Result<(), CallError>>>;

    /// Removes the hook finalizer; an object that is gone is fine.
    fn remove_finalizers(
        &mut self,
        asks: Vec<FinalizerAsk>,
    ) -> BoxFuture<'_, Vec<Result<(), CallError>>>;

    /// The wave hook: called after each run of a wave that did not fail (SYNC-128).
    fn wave_delay(
        &mut self,
        phase: Phase,
        wave: i64,
        is_final: bool,
    ) -> BoxFuture<'_, Result<(), String>>;

    /// Takes a note.
    fn note(&mut self, note: Note);
}
