//! A scenario that was read and found right.
//!
//! One value of [`Scenario`] is one run: a file with `cases` gives one per case. Manifests are loaded; every reference
//! and event is parsed; durations are [`Duration`]s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wavetank_json::Value;
use wavetank_model::script::Rule;
use wavetank_model::{ArgoVersion, EventPattern, Propagation, Reference};

use crate::expectations::Expectations;
use crate::manifests::Placed;
use crate::problem::Location;

/// One run: a scenario file, or one case of it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file, as it was named.
    pub path: PathBuf,
    /// `metadata.name`, with `@case` in files with cases.
    pub name: String,
    /// Where `metadata.name` stands, for problems that concern the scenario as a whole.
    pub declared: Location,
    /// Name of the case.
    pub case: Option<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// Prose.
    pub description: Option<String>,
    /// URLs or `owner/repo#123`.
    pub links: Vec<String>,
    /// The application; its manifests include the documents of the file.
    pub app: App,
    /// What is there before.
    pub cluster: Cluster,
    /// Scripted behaviour, first match wins.
    pub workloads: Vec<Rule>,
    /// Faults of the whole run.
    pub faults: Vec<Fault>,
    /// Actions bound to events for the whole run.
    pub on: Vec<BoundAction>,
    /// What happens, in order; `[sync: {}]` when nothing is written.
    pub steps: Vec<Step>,
    /// Whether to run until quiet after the last step.
    pub settle: bool,
    /// What must hold over the whole run.
    pub expect: Expectations,
    /// Known differences.
    pub exceptions: Vec<Exception>,
    /// Invariants that are not judged, each with the reason.
    pub disabled_invariants: BTreeMap<String, String>,
    /// When to give up.
    pub limits: Limits,
    /// Seed when none is given on the command line.
    pub seed: u64,
    /// Whether an event of the application is named anywhere.
    pub names_app: bool,
}

/// Limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Virtual time.
    pub time: Duration,
    /// Real time.
    pub wall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(3600),
            wall: Duration::from_secs(600),
        }
    }
}

/// The application.
#[derive(Clone, Debug, Default)]
pub struct App {
    /// Name of the app.
    pub name: String,
    /// Destination namespace.
    pub namespace: String,
    /// Revision of the first commit; `None`: derived from number and content of the commit.
    pub revision: Option<String>,
    /// The desired objects of the first commit, as rendered, in order of the sources.
    pub manifests: Vec<Arc<Value>>,
    /// Where each of them was written, in the same order.
    pub places: Vec<Location>,
    /// Sync policy.
    pub sync_policy: SyncPolicy,
    /// `ignoreDifferences`, as in Argo CD.
    pub ignore_differences: Vec<Value>,
    /// Finalizers of the app.
    pub finalizers: Vec<String>,
    /// Annotations of the app (from `from`).
    pub annotations: BTreeMap<String, String>,
    /// Spec of the `AppProject`; `None`: everything is allowed.
    pub project: Option<Value>,
    /// Controller settings.
    pub settings: AppSettings,
    /// What can be patched, as it was written.
    pub written: Value,
}

impl App {
    /// The application after a merge patch of section 2, as the step `app` makes it.
    ///
    /// # Errors
    /// What the patch makes wrong, for the reader of the scenario.
    pub fn patched(&self, merge: &Value) -> Result<Self, String> {
        crate::read::patched(self, merge)
    }
}

/// `spec.syncPolicy` of an Application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncPolicy {
    /// Automated sync, as in Argo CD; `None`: off.
    pub automated: Option<Automated>,
    /// Options.
    pub sync_options: Vec<String>,
    /// Retry.
    pub retry: Option<Retry>,
    /// `managedNamespaceMetadata`, as in Argo CD.
    pub managed_namespace_metadata: Option<Value>,
}

/// Automated sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are Argo CD's")]
pub struct Automated {
    /// Whether it is on at all.
    pub enabled: bool,
    /// Whether to prune.
    pub prune: bool,
    /// Whether to correct drift.
    pub self_heal: bool,
    /// Whether the app may become empty.
    pub allow_empty: bool,
}

/// Retry of a failed operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// How many retries; negative for no end.
    pub limit: i64,
    /// Whether retries take the newest revision.
    pub refresh: bool,
    /// How long to wait.
    pub backoff: Backoff,
}

/// Back-off of retries (SYNC-133).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// First wait.
    pub duration: Duration,
    /// Factor.
    pub factor: i64,
    /// Longest wait; zero for no bound.
    pub max_duration: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(5),
            factor: 2,
            max_duration: Duration::from_secs(180),
        }
    }
}

/// Controller settings.
#[derive(Clone, Debug, PartialEq)]
pub struct AppSettings {
    /// `ARGOCD_SYNC_WAVE_DELAY`.
    pub sync_wave_delay: Duration,
    /// Zero for none.
    pub sync_timeout: Duration,
    /// First wait, factor and cap of self-heal.
    pub self_heal_backoff: Backoff,
    /// `timeout.reconciliation`.
    pub resync_period: Duration,
    /// `annotation`, `label` or `annotation+label`.
    pub resource_tracking_method: String,
    /// When the engine looks again.
    pub passes: Passes,
    /// Which Argo CD.
    pub version: ArgoVersion,
    /// What the installation of Argo CD says of kinds.
    pub customizations: Customizations,
}

/// What an installation of Argo CD says of kinds, inline, in folders of scripts and in `argocd-cm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customizations {
    /// Health scripts: `<group>/<Kind>` to Lua.
    pub health_scripts: BTreeMap<String, String>,
    /// `resource.ignoreResourceUpdatesEnabled`.
    pub ignores_resource_updates: bool,
    /// `ignoreResourceUpdates` by `<group>/<Kind>`, where it is not as Argo CD is installed.
    pub ignored_updates: BTreeMap<String, IgnoredFields>,
    /// `ignoreDifferences` of every app by `<group>/<Kind>`.
    pub ignored_differences: BTreeMap<String, IgnoredFields>,
    /// Whether differences that are ignored are updates that are ignored (`ignoreDifferencesOnResourceUpdates` of
    /// `resource.compareoptions`).
    pub ignores_differences_on_updates: bool,
    /// Whether the rules of an aggregated role are ignored (`ignoreAggregatedRoles` there).
    pub ignores_aggregated_roles: bool,
}

/// Fields of a kind that Argo CD passes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredFields {
    /// JSON pointers.
    pub json_pointers: Vec<String>,
    /// jq paths.
    pub jq_path_expressions: Vec<String>,
    /// Field managers; in differences only.
    pub managed_fields_managers: Vec<String>,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            sync_wave_delay: Duration::from_secs(2),
            sync_timeout: Duration::ZERO,
            self_heal_backoff: Backoff {
                duration: Duration::from_secs(2),
                factor: 3,
                max_duration: Duration::from_secs(300),
            },
            resync_period: Duration::from_secs(120),
            resource_tracking_method: "annotation".to_owned(),
            passes: Passes::default(),
            version: ArgoVersion::default(),
            customizations: Customizations::default(),
        }
    }
}

impl Default for Customizations {
    fn default() -> Self {
        Self {
            health_scripts: BTreeMap::new(),
            ignores_resource_updates: true,
            ignored_updates: BTreeMap::new(),
            ignored_differences: BTreeMap::new(),
            ignores_differences_on_updates: true,
            ignores_aggregated_roles: false,
        }
    }
}

impl AppSettings {
    /// How long after the first change of a managed object the engine looks again (SYNC-129).
    ///
    /// Before 3.6 changes were not gathered, but that the cache hands them on ten times a second (SYNC-227).
    pub fn batch(&self) -> Duration {
        let default = if self.pass_rules() < ArgoVersion::V3_6 {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(5)
        };
        self.passes.batch.unwrap_or(default)
    }

    /// How long after the last pass the engine looks again at the latest (SYNC-129).
    ///
    /// Before 3.6 nothing but the resync of the app made it look (SYNC-227); no resync is one in 100 years.
    pub fn backstop(&self) -> Duration {
        const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        let default = match self.pass_rules() {
            ArgoVersion::V3_6 => Duration::from_secs(30),
            _ if self.resync_period.is_zero() => NEVER,
            _ => self.resync_period,
        };
        self.passes.backstop.unwrap_or(default)
    }

    /// Which version's rules say when the engine looks again.
    pub fn pass_rules(&self) -> ArgoVersion {
        self.passes.rules.unwrap_or(self.version)
    }
}

/// When the engine looks again (SYNC-129), where the scenario says so: [`AppSettings::batch`],
/// [`AppSettings::backstop`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// After the first change of a managed object.
    pub batch: Option<Duration>,
    /// After the last pass at the latest.
    pub backstop: Option<Duration>,
    /// Whose rules hold where it is not [`AppSettings::version`]: no scenario says this, but two engines of different
    /// versions can be compared only when they look at the same times.
    pub rules: Option<ArgoVersion>,
}

/// The cluster before the first step.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Kubernetes version, as `1.36`.
    pub version: String,
    /// Created before the first step, in order.
    pub objects: Vec<Arc<Value>>,
    /// How many nodes.
    pub nodes: u32,
    /// When the class `standard` binds.
    pub storage: StorageBinding,
    /// Whether `LoadBalancer` Services and Ingresses get an address.
    pub load_balancers: bool,
    /// Whether objects that a real cluster makes unasked are there.
    pub noise: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            version: "1.36".to_owned(),
            objects: Vec::new(),
            nodes: 1,
            storage: StorageBinding::Immediate,
            load_balancers: true,
            noise: false,
        }
    }
}

/// `volumeBindingMode` of the class `standard`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageBinding {
    /// At once.
    #[default]
    Immediate,
    /// When a Pod uses the claim.
    WaitForFirstConsumer,
}

/// A bent request or delivery (section 6); executed once the seam knows faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Name; `None` gives it a number.
    pub name: Option<String>,
    /// Verb word: `get list create update patch delete write discover any watch view`.
    pub verb: String,
    /// Objects; `None` with `discover`.
    pub target: Option<Reference>,
    /// `engine` or `user`.
    pub by: String,
    /// Only wet (false), only dry (true) or both.
    pub dry_run: Option<bool>,
    /// Let through first.
    pub after: u32,
    /// How many are hit; `None` for no end.
    pub times: Option<u32>,
    /// Whether it may stay unfired.
    pub optional: bool,
    /// What happens to those that are hit.
    pub effect: FaultEffect,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultEffect {
    /// Answers in the server's stead.
    Reply {
        /// HTTP code.
        code: u16,
        /// Reason.
        reason: String,
        /// Message.
        message: String,
    },
    /// The write takes effect, the answer is lost.
    LoseResponse,
    /// The request never arrives.
    LoseRequest,
    /// Request or delivery comes later.
    Delay(Duration),
    /// That many watch events are dropped.
    DropEvents(u32),
    /// The watch is cut.
    Disconnect,
    /// The watch answers 410.
    Expire,
    /// The view shows an old state for that many passes.
    Stale(u32),
    /// The view does not show the object; `None` always.
    Hide(Option<u32>),
}

/// An action bound to an event.
#[derive(Clone, Debug)]
pub struct BoundAction {
    /// Name; given or `on-N`.
    pub name: String,
    /// The event.
    pub event: EventPattern,
    /// Which occurrence, from 1.
    pub nth: u32,
    /// How long after it.
    pub delay: Duration,
    /// Whether it may stay unfired.
    pub optional: bool,
    /// What is done, in order: all actions but sync, advance, wait, settle.
    pub actions: Vec<StepAction>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name.
    pub name: Option<String>,
    /// What is done.
    pub action: StepAction,
    /// Bound actions of this step.
    pub on: Vec<BoundAction>,
    /// Faults that count and live within this step.
    pub faults: Vec<Fault>,
    /// Judged on the trace of this step.
    pub expect: Option<Expectations>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepAction {
    /// Request a sync and run until the operation ends, or until an event.
    Sync(SyncRequest),
    /// Build the task list and write nothing.
    Plan,
    /// Merge patch of the app.
    App(Value),
    /// Change the desired state.
    Commit(Commit),
    /// As a user: `kubectl apply`.
    Apply(Vec<Arc<Value>>),
    /// As a user: merge patch.
    Patch {
        /// The object.
        target: Reference,
        /// The patch.
        merge: Value,
    },
    /// As a user: `kubectl delete`.
    Delete {
        /// The objects.
        target: Reference,
        /// Propagation; `None`: Background, as kubectl.
        propagation: Option<Propagation>,
        /// With grace period 0.
        force: bool,
    },
    /// Terminate the running operation.
    Terminate,
    /// Confirm prunes.
    ConfirmPrune,
    /// Confirm deletions.
    ConfirmDelete,
    /// Compare the app.
    Refresh,
    /// Delete the application.
    DeleteApp {
        /// `None`: no cascade.
        cascade: Option<Propagation>,
        /// Stop waiting at this event.
        until: Option<EventPattern>,
    },
    /// Restart the engine.
    RestartEngine,
    /// Let time pass.
    Advance(Duration),
    /// Run until the event happens.
    Wait {
        /// The event.
        event: EventPattern,
        /// At most this long.
        within: Duration,
    },
    /// Run until quiet.
    Settle,
}

impl StepAction {
    /// The key it is written with.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Sync(_) => "sync",
            Self::Plan => "plan",
            Self::App(_) => "app",
            Self::Commit(_) => "commit",
            Self::Apply(_) => "apply",
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
            Self::Terminate => "terminate",
            Self::ConfirmPrune => "confirmPrune",
            Self::ConfirmDelete => "confirmDelete",
            Self::Refresh => "refresh",
            Self::DeleteApp { .. } => "deleteApp",
            Self::RestartEngine => "restart",
            Self::Advance(_) => "advance",
            Self::Wait { .. } => "wait",
            Self::Settle => "settle",
        }
    }
}

/// A requested sync: fields of Argo CD's operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncRequest {
    /// Whether to prune.
    pub prune: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Takes the manifests of the commit with this revision.
    pub revision: Option<String>,
    /// Selective sync; empty: everything.
    pub resources: Vec<Reference>,
    /// Options in place of the app's.
    pub sync_options: Option<Vec<String>>,
    /// Strategy.
    pub strategy: SyncStrategy,
    /// `--force`.
    pub force: bool,
    /// Retry in place of the app's.
    pub retry: Option<Retry>,
    /// Stop waiting at this event; the operation goes on.
    pub until: Option<EventPattern>,
}

/// Strategy of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncStrategy {
    /// With hooks.
    #[default]
    Hook,
    /// Without hooks.
    Apply,
}

/// A change of the desired state, carried out in this order.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Replaces everything.
    pub manifests: Option<Vec<Placed>>,
    /// Replaces by key, or adds.
    pub apply: Vec<Placed>,
    /// Merge patches of desired objects.
    pub patch: Vec<(Reference, Value)>,
    /// Removes desired objects.
    pub remove: Vec<Reference>,
    /// Revision of the new commit.
    pub revision: Option<String>,
}

/// A known difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Target glob.
    pub target: Option<String>,
    /// Engine glob.
    pub engine: Option<String>,
    /// Case glob.
    pub case: Option<String>,
    /// The expectation that fails: `expect.order`, `steps.2.expect.waves`, `invariant.NAME`, `settled`; `compare…`
    /// is about comparisons of engines alone.
    pub fails: Option<String>,
    /// Why the scenario is skipped.
    pub skip: Option<String>,
    /// Link to the bug.
    pub bug: Option<String>,
}
