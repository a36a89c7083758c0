//! The application controller of a run: takes up operations, schedules passes, stores what they leave.
//!
//! A pass starts when an operation arrives or a retry is due, when somebody edits the app, as soon as the controller sees
//! its own write of the stored state, `passes.batch` after the first change of a managed object that the view has seen,
//! and `passes.backstop` after the last pass (SYNC-129). The same for every engine. Before 3.6 both are other times by
//! default, and a pass follows each comparison of the app and each change of what its objects own (SYNC-227).

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use jiff::SignedDuration;
use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::{GroupKind, GroupVersionKind, ObjectKey, object, object::OwnerReference};
use wavetank_scenario::App;
use wavetank_sync::engine::APPS_NAMESPACE;
use wavetank_sync::kinds::KnownKind;
use wavetank_sync::operation::{Due, OperationState};
use wavetank_sync::target::owner_app;
use wavetank_sync::{ApiResource, AppIdentity, Kinds, StepEngine, SyncOptions, TrackingMethod};

use crate::asks::RunAsks;
use crate::desired::Revision;
use crate::seam::Seam;
use crate::shared::{AppState, Shared};
use crate::view::View;

/// So many generations of owners are looked at.
const DEEPEST_TREE: usize = 8;

/// One operation of the run.
#[derive(Clone, Debug)]
pub(crate) struct OperationRecord {
    /// Number in the run, from 1.
    pub(crate) number: u32,
    /// What is stored of it.
    pub(crate) state: OperationState,
    /// The commit of this attempt.
    pub(crate) commit: Revision,
    /// The app that the options are of.
    pub(crate) app: Arc<App>,
    /// What the engine is told.
    pub(crate) options: Arc<SyncOptions>,
    /// When the controller has seen that it is requested.
    pub(crate) due: SimTime,
    pub(crate) passes: u32,
    /// When the controller has seen its own write of the stored state: the next pass starts then.
    pub(crate) stored_due: Option<SimTime>,
    pub(crate) last_pass: SimTime,
}

impl OperationRecord {
    pub(crate) fn new(
        number: u32,
        state: OperationState,
        commit: Revision,
        app: Arc<App>,
        options: SyncOptions,
    ) -> Self {
        let options = Arc::new(options);
        Self {
            number,
            state,
            commit,
            app,
            options,
            due: SimTime::ZERO,
            passes: 0,
            stored_due: None,
            last_pass: SimTime::ZERO,
        }
    }

    /// Whether it is not over.
    pub(crate) fn in_progress(&self) -> bool {
        !self.state.over()
    }

    /// Whether a retry is still to come.
    pub(crate) fn awaits_retry(&self) -> bool {
        self.state.awaits_retry()
    }
}

/// Why a pass starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Operation,
    Terminate,
    Edit,
    Restart,
    Retry,
    Stored,
    Batch,
    Backstop,
}

impl Cause {
    /// As the trace has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Terminate => "terminate",
            Self::Edit => "edit",
            Self::Restart => "restart",
            Self::Retry => "retry",
            Self::Stored => "stored",
            Self::Batch => "batch",
            Self::Backstop => "backstop",
        }
    }
}

/// What the controller does next.
enum Next {
    Pass(Cause),
    Refresh,
    Delete(Cause),
    Wait(Option<SimTime>),
}

/// What the next pass depends on beside the state.
pub(crate) struct Times {
    now: SimTime,
    pub(crate) timeout: SignedDuration,
    backstop: Duration,
}

impl Times {
    pub(crate) fn of(app: &App, now: SimTime) -> Self {
        let settings = &app.settings;
        Self {
            now,
            timeout: SignedDuration::try_from(settings.sync_timeout)
                .unwrap_or(SignedDuration::ZERO),
            backstop: settings.backstop(),
        }
    }
}

/// The application as the engine sees it.
pub fn identity(app: &App) -> AppIdentity {
    AppIdentity {
        name: app.name.clone(),
        namespace: app.namespace.clone(),
        tracking: TrackingMethod::parse(&app.settings.resource_tracking_method).unwrap_or_default(),
    }
}

/// Drives one engine through the operations of a run.
pub(crate) struct Controller {
    pub(crate) shared: Arc<Shared>,
    pub(crate) engine: Box<dyn StepEngine>,
    pub(crate) asks: RunAsks,
    pub(crate) identity: AppIdentity,
    kinds: Option<(usize, Arc<Kinds>)>,
}

impl Controller {
    pub(crate) fn new(shared: Arc<Shared>, seam: &Seam, engine: Box<dyn StepEngine>) -> Self {
        let identity = identity(&shared.scenario.app);
        let asks = RunAsks::new(&shared, seam);
        Self {
            shared,
            engine,
            asks,
            identity,
            kinds: None,
        }
    }

    /// Serves operations. Ends only when the engine is lost; tells why through `lost` and then waits for ever.
    pub(crate) async fn serve(mut self, lost: oneshot::Sender<String>) {
        let shared = Arc::clone(&self.shared);
        loop {
            match self.next() {
                Next::Pass(cause) => {
                    // A restart drops the pass where it stands: what it sent stays sent, what it learned is lost.
                    let passed = tokio::select! {
                        biased;
                        () = shared.restart.notified() => None,
                        passed = self.pass(cause) => Some(passed),
                    };
                    match passed {
                        None => shared.state().in_pass = false,
                        Some(Ok(())) => {}
                        Some(Err(error)) => {
                            // Nobody listens when the run is over anyway.
                            drop(lost.send(error.to_string()));
                            return std::future::pending().await;
                        }
                    }
                }
                Next::Refresh => self.refresh().await,
                Next::Delete(cause) => {
                    let dropped = tokio::select! {
                        biased;
                        () = shared.restart.notified() => true,
                        () = self.deletion_pass(cause) => false,
                    };
                    if dropped {
                        shared.state().in_pass = false;
                    }
                }
                Next::Wait(None) => shared.control.notified().await,
                Next::Wait(Some(at)) => tokio::select! {
                    biased;
                    () = shared.control.notified() => {}
                    () = shared.clock.sleep_until(at) => {}
                },
            }
        }
    }

    fn next(&self) -> Next {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let requested = state.requested.as_ref().map(|operation| operation.due);
        if requested.is_some_and(|due| due <= now) {
            state.operation = state.requested.take();
            return Next::Pass(Cause::Operation);
        }
        if state.is_deleted() {
            state.edited = false;
            state.restarted = false;
            return Next::Wait(None);
        }
        let refresh = state.refreshes.next(state.app.settings.resync_period);
        if refresh.is_some_and(|at| at <= now) {
            return Next::Refresh;
        }
        let edited = std::mem::take(&mut state.edited);
        let restarted = std::mem::take(&mut state.restarted);
        if restarted {
            // Nothing is left of a restart that no pass was there to notice.
            self.shared.restart.notified().now_or_never();
        }
        let running = state
            .operation
            .as_ref()
            .filter(|operation| operation.in_progress());
        let next = match (running, &state.deletion) {
            (Some(operation), _) => {
                let times = Times::of(&state.app, now);
                self.next_pass(operation, state.batch_due, edited, restarted, &times)
            }
            // A deletion works only when no operation is in progress (SYNC-144).
            (None, Some(_)) if restarted => Next::Delete(Cause::Restart),
            (None, Some(_)) if edited => Next::Delete(Cause::Edit),
            (None, Some(deletion)) => {
                let (at, cause) = deletion.next(state.app.settings.backstop());
                match state.batch_due {
                    Some(batch) if batch < at && batch <= now => Next::Delete(Cause::Batch),
                    _ if at <= now => Next::Delete(cause),
                    batch => Next::Wait(Some(batch.map_or(at, |batch| batch.min(at)))),
                }
            }
            (None, None) => Next::Wait(None),
        };
        match next {
            Next::Wait(at) => Next::Wait([at, refresh, requested].into_iter().flatten().min()),
            next => next,
        }
    }

    /// What is next for the operation in progress.
    fn next_pass(
        &self,
        operation: &OperationRecord,
        batch_due: Option<SimTime>,
        edited: bool,
        restarted: bool,
        times: &Times,
    ) -> Next {
        let now = times.now;
        let epoch = self.shared.cluster.epoch();
        let due = match operation.state.due(epoch.wall(now), times.timeout) {
            Due::Over => return Next::Wait(None),
            Due::Pass if operation.awaits_retry() => return Next::Pass(Cause::Retry),
            Due::Pass => return Next::Pass(Cause::Terminate),
            // The wall clock of the epoch may hold parts of a millisecond that the run's clock does not.
            Due::At(at) => Some(epoch.sim(at).max(now + Duration::from_millis(1))),
            Due::Idle => None,
        };
        if operation.awaits_retry() {
            return Next::Wait(due);
        }
        if restarted {
            return Next::Pass(Cause::Restart);
        }
        if edited {
            return Next::Pass(Cause::Edit);
        }
        if let Some(at) = operation.stored_due {
            return if at <= now {
                Next::Pass(Cause::Stored)
            } else {
                Next::Wait(Some(at))
            };
        }
        if batch_due.is_some_and(|at| at <= now) {
            return Next::Pass(Cause::Batch);
        }
        let backstop = operation.last_pass + times.backstop;
        if backstop <= now {
            return Next::Pass(Cause::Backstop);
        }
        Next::Wait([due, batch_due, Some(backstop)].into_iter().flatten().min())
    }

    /// The kinds the view knows: the built-in ones and those of Established CRDs.
    pub(crate) fn kinds(&mut self) -> Arc<Kinds> {
        let state = self.shared.state();
        if let Some((generation, kinds)) = &self.kinds
            && *generation == state.custom_generation
        {
            return Arc::clone(kinds);
        }
        let kinds = known_kinds(&state);
        let kinds = Arc::new(kinds);
        self.kinds = Some((state.custom_generation, Arc::clone(&kinds)));
        kinds
    }
}

/// The built-in kinds, and those of the CRDs that the view has seen Established.
pub(crate) fn known_kinds(state: &AppState) -> Kinds {
    let mut kinds = Kinds::builtin();
    for custom in state.custom_kinds.values() {
        let resource = ApiResource {
            plural: custom.plural.clone(),
            namespaced: custom.namespaced,
        };
        let known = KnownKind {
            versions: custom.versions.clone(),
            resource,
        };
        kinds.insert(GroupKind::new(&custom.group, &custom.kind), known);
    }
    kinds
}

/// Whether a change of this object makes the engine look again: it carries the app's tracking id.
/// Objects with an owner are their owner's business (SYNC-010).
pub(crate) fn is_managed(app: &AppIdentity, live: &Value) -> bool {
    object::owners(live).next().is_none() && is_tracked(app, live)
}

/// Whether `key` is the application itself, whose changes it does not look at.
pub(crate) fn is_itself(app: &AppIdentity, key: &ObjectKey) -> bool {
    key.name == app.name
        && *key == ObjectKey::new("argoproj.io", "Application", APPS_NAMESPACE, &app.name)
}

/// Whether an object that has an owner is part of the app's tree: one of its owners or one of theirs has none and carries
/// the app's tracking id.
///
/// Before 3.6 such a change made the engine look again, too (SYNC-129, SYNC-227). Endpoints change too often for that.
pub(crate) fn is_in_tree(app: &AppIdentity, view: &View, key: &ObjectKey, live: &Value) -> bool {
    let changes_often = key.group.is_empty() && key.kind == "Endpoints";
    !changes_often && leads_to(app, view, &key.namespace, live, DEEPEST_TREE)
}

/// Whether `object` or an owner within so many generations is managed by the app.
fn leads_to(
    app: &AppIdentity,
    view: &View,
    namespace: &str,
    object: &Value,
    generations: usize,
) -> bool {
    let owned = |owner: OwnerReference<'_>| {
        let gvk = GroupVersionKind::new(owner.api_version, owner.kind);
        let parent = ObjectKey::new(&gvk.group, &gvk.kind, namespace, owner.name);
        let found = view.get(&parent);
        found.is_some_and(|found| leads_to(app, view, namespace, &found, generations - 1))
    };
    is_managed(app, object) || (generations > 0 && object::owners(object).any(owned))
}

fn is_tracked(app: &AppIdentity, live: &Value) -> bool {
    owner_app(live, app.tracking) == Some(app.name.as_str())
}

impl AppState {
    /// Takes up a new operation unless one is in progress (SYNC-154).
    pub(crate) fn is_busy(&self) -> bool {
        self.requested.is_some()
            || self
                .operation
                .as_ref()
                .is_some_and(OperationRecord::in_progress)
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_model::argo;

    use super::*;

    fn config(kind: &str, name: &str, meta: Value) -> (ObjectKey, Value) {
        let version = if kind == "Endpoints" { "v1" } else { "apps/v1" };
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": meta});
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = "demo".into();
        let key = ObjectKey::of(&object).unwrap();
        (key, object)
    }

    fn owned_by(kind: &str, name: &str) -> Value {
        json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u"}]})
    }

    /// SYNC-129, SYNC-227: the owner's owner counts; what nobody tracks, what goes in circles and Endpoints do not.
    #[test]
    fn the_tree_of_an_app_is_what_its_objects_own() {
        let view = View::default();
        let app = AppIdentity {
            name: "shop".to_owned(),
            namespace: "demo".to_owned(),
            tracking: TrackingMethod::Annotation,
        };
        let tracked = json!({"annotations": {argo::TRACKING_ID: "shop:apps/Deployment:demo/web"}});
        for (kind, name, meta) in [
            ("Deployment", "web", tracked),
            ("ReplicaSet", "web-1", owned_by("Deployment", "web")),
            ("Deployment", "stranger", json!({})),
            ("ReplicaSet", "round", owned_by("ReplicaSet", "about")),
            ("ReplicaSet", "about", owned_by("ReplicaSet", "round")),
        ] {
            let (key, object) = config(kind, name, meta);
            view.show(key, object);
        }
        let is_in_tree = |kind: &str, owner: (&str, &str)| {
            let (key, object) = config(kind, "it", owned_by(owner.0, owner.1));
            is_in_tree(&app, &view, &key, &object)
        };
        assert!(is_in_tree("Pod", ("ReplicaSet", "web-1")));
        assert!(is_in_tree("ReplicaSet", ("Deployment", "web")));
        assert!(!is_in_tree("Pod", ("Deployment", "stranger")));
        assert!(!is_in_tree("Pod", ("Deployment", "gone")));
        assert!(!is_in_tree("Pod", ("ReplicaSet", "round")));
        assert!(!is_in_tree("Endpoints", ("Deployment", "web")));
    }
}
