//! One run: from a scenario and a cluster to a trace and a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use wavetank_cluster::{Capability, Cluster};
use wavetank_health::Assessor;
use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::timestamp::Epoch;
use wavetank_model::{Actor, GroupKind, GroupVersionKind, kinds};
use wavetank_scenario::{Scenario, StepAction};
use wavetank_sync::{EngineLink, StepEngine};
use wavetank_trace::{Header, Trace, entry};

use crate::actions::Actions;
use crate::child_application;
use crate::controller::Controller;
use crate::desired::Desired;
use crate::fault::UnfiredFault;
use crate::recorder::Recorder;
use crate::seam::{ResourceNames, Seam};
use crate::shared::{CustomKind, Shared, Until, Waited};
use crate::steps::{Ended, StepFailure, Steps};
use crate::user::User;
use crate::view::{OnChange, WatchedKind, reflect};

/// How a run is made.
#[derive(Debug)]
pub struct RunOptions {
    /// Seed, for the header; the cluster was made with it.
    pub seed: u64,
    /// Whether Secret values are written as they are.
    pub show_secrets: bool,
    /// Whether the run ends as soon as an expectation cannot hold any more.
    pub fail_fast: bool,
}

/// What a run gave.
#[derive(Debug)]
pub struct RunRecord {
    /// Everything that happened.
    pub trace: Trace,
    /// How it ended.
    pub ended: RunEnd,
    /// Faults that never fired and are not optional: the scenario fails with each.
    pub unfired: Vec<UnfiredFault>,
}

/// How a run ended, before its expectations are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All steps were carried out; what failed on the way is listed.
    Completed(Vec<StepFailure>),
    /// It did not settle: exit code 2.
    NotSettled {
        /// Why.
        reason: String,
        /// What failed before.
        failures: Vec<StepFailure>,
    },
    /// Target or engine is not available, was lost, or broke its protocol: exit code 4.
    Unavailable(String),
}

/// Replays `scenario` with `engine` on `cluster`, which is fresh, and records what happens.
///
/// Must run in the runtime that paces the cluster.
pub async fn replay(
    scenario: Arc<Scenario>,
    cluster: Arc<dyn Cluster>,
    engine: Box<dyn StepEngine>,
    assessor: Arc<Assessor>,
    options: &RunOptions,
) -> RunRecord {
    let scripted = Capability::ScriptedWorkloads;
    let scenario = if cluster.capabilities().contains(&scripted) {
        child_application::with_definition(scenario)
    } else {
        scenario
    };
    let changed = Arc::new(Notify::new());
    let (recorder, triggers) = Recorder::new(
        cluster.clock(),
        Arc::clone(&assessor),
        scenario.app.namespace.clone(),
        options.show_secrets,
        scenario.limits.wall,
        Arc::clone(&changed),
    );
    let recorder = Arc::new(recorder);
    if options.fail_fast {
        recorder.judge_with(wavetank_expect::RunMonitor::new(&scenario));
    }
    cluster.observe(Arc::clone(&recorder) as Arc<dyn wavetank_cluster::Observer>);
    let app = &scenario.app;
    let desired = Desired::new(
        app.namespace.clone(),
        app.revision.clone(),
        app.placed().collect(),
    );
    let header = header(
        &scenario,
        cluster.target(),
        engine.name(),
        options.seed,
        cluster.epoch(),
    );
    let shared = Arc::new(Shared::new(
        Arc::clone(&scenario),
        cluster,
        recorder,
        changed,
        desired,
    ));
    let view = Arc::clone(&shared.view);
    shared
        .cluster
        .observe(view as Arc<dyn wavetank_cluster::Observer>);
    let ended = Run::new(Arc::clone(&shared), assessor)
        .run(engine, triggers)
        .await;
    let header = Header {
        order: shared.cluster.order().to_owned(),
        ..header
    };
    if shared.recorder.is_lost() {
        let text = crate::recorder::ENDED_EARLY.to_owned();
        shared.recorder.push(wavetank_trace::Event::Note { text });
    }
    let trace = Trace {
        header,
        entries: shared.recorder.take(),
    };
    let unfired = shared.faults.unfired();
    RunRecord {
        trace,
        ended,
        unfired,
    }
}

/// The first line of a run's trace.
pub fn header(scenario: &Scenario, target: &str, engine: &str, seed: u64, epoch: Epoch) -> Header {
    Header {
        version: entry::VERSION.to_owned(),
        scenario: scenario.name.clone(),
        seed,
        target: target.to_owned(),
        engine: engine.to_owned(),
        namespace: scenario.app.namespace.clone(),
        epoch: epoch.time(SimTime::ZERO),
        order: "commit".to_owned(),
    }
}

struct Run {
    shared: Arc<Shared>,
    assessor: Arc<Assessor>,
    names: Arc<ResourceNames>,
    tasks: JoinSet<()>,
}

impl Run {
    fn new(shared: Arc<Shared>, assessor: Arc<Assessor>) -> Self {
        let names = resource_names(&shared.scenario);
        Self {
            shared,
            assessor,
            names: Arc::new(names),
            tasks: JoinSet::new(),
        }
    }

    fn seam(&self, actor: &str) -> Seam {
        let actor = Actor::new(actor);
        let service = self.shared.cluster.service(&actor);
        Seam::new(
            service,
            actor,
            Arc::clone(&self.names),
            Arc::clone(&self.shared.recorder),
            Arc::clone(&self.shared.faults),
        )
    }

    fn user(&self, actor: &str) -> User {
        User::new(&self.seam(actor), &self.shared)
    }

    /// What an engine that works by itself needs.
    fn link(&self) -> EngineLink {
        let cluster = Arc::clone(&self.shared.cluster);
        EngineLink {
            client: self.seam(Actor::ENGINE).client(),
            clock: Arc::clone(&self.shared.clock),
            next_work: Arc::new(move || cluster.next_work()),
            assessor: Arc::clone(&self.assessor),
        }
    }

    async fn run(
        mut self,
        mut engine: Box<dyn StepEngine>,
        triggers: mpsc::UnboundedReceiver<crate::recorder::Trigger>,
    ) -> RunEnd {
        let ready = crate::request::check(&self.shared.scenario.app);
        if let Err(reason) = ready {
            return RunEnd::Unavailable(reason);
        }
        crate::actions::arm_deletions(&self.shared);
        if let Err(reason) = self.set_up().await {
            if self.shared.recorder.is_lost() {
                return RunEnd::Completed(Vec::new());
            }
            return RunEnd::Unavailable(reason);
        }
        self.start_view().await;
        self.shared.state().refreshes.wanted = crate::application::matters(&self.shared.scenario);
        let user = self.user(Actor::USER);
        let actions = Arc::new(Actions::new(Arc::clone(&self.shared)));
        self.tasks
            .spawn(Arc::clone(&actions).serve(triggers, user.clone()));
        engine.connect(self.link());
        let (lost, engine_lost) = oneshot::channel();
        let controller =
            Controller::new(Arc::clone(&self.shared), &self.seam(Actor::ENGINE), engine);
        self.tasks.spawn(controller.serve(lost));
        let lost_target = self.shared.cluster.lost();
        let steps = Steps::new(Arc::clone(&self.shared), actions, user).run();
        let ended = tokio::select! {
            biased;
            Some(joined) = self.tasks.join_next() => {
                // No task ends by itself: it panicked, which is a bug that must surface.
                match joined {
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    _ => RunEnd::Unavailable("a part of the run ended before the run did".to_owned()),
                }
            }
            Ok(reason) = engine_lost => RunEnd::Unavailable(reason),
            reason = lost_target => RunEnd::Unavailable(reason),
            ended = steps => match ended {
                Ended::Completed(failures) => RunEnd::Completed(failures),
                Ended::NotSettled { reason, failures } => RunEnd::NotSettled { reason, failures },
            },
        };
        self.tasks.abort_all();
        ended
    }

    /// Makes `cluster.objects`, in order, and waits until the cluster is quiet.
    async fn set_up(&self) -> Result<(), String> {
        if self.shared.scenario.cluster.objects.is_empty() {
            return Ok(());
        }
        let user = self.user(Actor::SETUP);
        for object in &self.shared.scenario.cluster.objects {
            user.set_up(object).await?;
        }
        match self
            .shared
            .wait(Until::Quiet { actions: false }, None)
            .await
        {
            Waited::GivenUp(reason) => Err(format!(
                "the cluster did not become quiet before the first step: {reason}"
            )),
            _ => Ok(()),
        }
    }

    /// Starts a reflector for every kind in play and waits until each has listed. Kinds of CRDs are watched from the
    /// moment the view sees the CRD Established.
    async fn start_view(&mut self) {
        let (start, kinds) = mpsc::unbounded::<Start>();
        let on_change = self.on_change(start.clone());
        let (seam, shared) = (self.seam(Actor::ENGINE), Arc::clone(&self.shared));
        self.tasks.spawn(reflectors(kinds, seam, shared, on_change));
        list_all(&start, kinds_in_play(&self.shared.scenario)).await;
        let custom: Vec<CustomKind> = {
            let mut state = self.shared.state();
            state.watches_custom_kinds = true;
            state.custom_kinds.values().cloned().collect()
        };
        let versions = custom_versions(&self.shared.scenario);
        list_all(
            &start,
            custom
                .iter()
                .filter_map(|kind| watched(kind, &versions))
                .collect(),
        )
        .await;
    }

    fn on_change(&self, start: mpsc::UnboundedSender<Start>) -> OnChange {
        let shared = Arc::clone(&self.shared);
        let versions = custom_versions(&shared.scenario);
        Arc::new(move |key, old, object| {
            if let Some(kind) = shared
                .seen(key, old, object)
                .and_then(|kind| watched(&kind, &versions))
            {
                // The receiver lives as long as the run.
                drop(start.unbounded_send(Start { kind, listed: None }));
            }
        })
    }
}

/// A kind to be watched, and who waits for its first list.
struct Start {
    kind: WatchedKind,
    listed: Option<oneshot::Sender<()>>,
}

/// Starts reflectors and waits until each has listed.
async fn list_all(start: &mpsc::UnboundedSender<Start>, kinds: Vec<WatchedKind>) {
    let mut waiting = Vec::new();
    for kind in kinds {
        let (sender, listed) = oneshot::channel();
        // The receiver lives as long as the run.
        drop(start.unbounded_send(Start {
            kind,
            listed: Some(sender),
        }));
        waiting.push(listed);
    }
    for listed in waiting {
        // A reflector that is gone shows up as a task that ended.
        listed.await.ok();
    }
}

/// Runs the reflectors of a run. Never ends.
async fn reflectors(
    mut kinds: mpsc::UnboundedReceiver<Start>,
    seam: Seam,
    shared: Arc<Shared>,
    on_change: OnChange,
) {
    let mut running = FuturesUnordered::new();
    let mut known = BTreeSet::new();
    loop {
        tokio::select! {
            biased;
            Some(Start { kind, listed }) = kinds.next() => {
                if known.insert(kind.clone()) {
                    let (view, clock) = (Arc::clone(&shared.view), Arc::clone(&shared.clock));
                    running.push(reflect(kind, seam.clone(), view, clock, Arc::clone(&on_change), listed));
                }
            }
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
}

/// The resource names of the kinds that the scenario's CRDs declare.
pub(crate) fn resource_names(scenario: &Scenario) -> ResourceNames {
    let mut names = ResourceNames::default();
    for crd in world_objects(scenario).filter_map(|object| CustomKind::of(object)) {
        names.add(&crd.group, &crd.plural, &crd.kind);
    }
    names
}

/// Every object that the scenario can bring into being: desired ones, those of `cluster.objects`, and those of steps and
/// bound actions.
pub fn world_objects(scenario: &Scenario) -> impl Iterator<Item = &Arc<Value>> {
    let actions = scenario.steps.iter().flat_map(|step| {
        std::iter::once(&step.action).chain(step.on.iter().flat_map(|bound| &bound.actions))
    });
    let bound = scenario.on.iter().flat_map(|bound| &bound.actions);
    let sources = actions.chain(bound).flat_map(|action| match action {
        StepAction::Commit(commit) => commit
            .manifests
            .iter()
            .flatten()
            .chain(&commit.apply)
            .map(|placed| &placed.object)
            .collect(),
        StepAction::Apply(objects) => objects.iter().collect(),
        _ => Vec::new(),
    });
    scenario
        .app
        .manifests
        .iter()
        .chain(&scenario.cluster.objects)
        .chain(sources)
}

/// The built-in kinds in play: those of the scenario's objects, namespaces and CRDs.
fn kinds_in_play(scenario: &Scenario) -> Vec<WatchedKind> {
    let mut out = BTreeSet::new();
    let always = [GroupVersionKind::new("v1", "Namespace")];
    for gvk in world_objects(scenario)
        .filter_map(|object| GroupVersionKind::of(object))
        .chain(always)
    {
        let Some(kind) = kinds::find(&gvk.group, &gvk.kind).filter(|kind| kind.verbs.contains('w'))
        else {
            continue;
        };
        let version = kind
            .versions
            .iter()
            .find(|version| **version == gvk.version)
            .unwrap_or(&kind.versions[0]);
        let gvk = gvk.group_kind().with_version(*version);
        out.insert(WatchedKind {
            gvk,
            plural: kind.plural.to_owned(),
        });
    }
    out.into_iter().collect()
}

/// The version in which the scenario's objects of each kind that is not built in are written.
fn custom_versions(scenario: &Scenario) -> BTreeMap<GroupKind, String> {
    world_objects(scenario)
        .filter_map(|object| GroupVersionKind::of(object))
        .filter(|gvk| !kinds::is_builtin(&gvk.group, &gvk.kind))
        .map(|gvk| (gvk.group_kind(), gvk.version))
        .collect()
}

fn watched(kind: &CustomKind, versions: &BTreeMap<GroupKind, String>) -> Option<WatchedKind> {
    let group_kind = GroupKind::new(&kind.group, &kind.kind);
    let written = versions
        .get(&group_kind)
        .filter(|version| kind.versions.contains(version));
    let version = written.or_else(|| kind.versions.first())?;
    Some(WatchedKind {
        gvk: group_kind.with_version(version),
        plural: kind.plural.clone(),
    })
}
