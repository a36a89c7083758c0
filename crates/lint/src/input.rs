//! What is looked at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use wavetank_json::Value;
use wavetank_model::object;
use wavetank_scenario::{App, Placed, Scenario, StepAction, StorageBinding};

/// Names codes, separated by commas, that are not told: of an object, or of a scenario as a whole.
pub(crate) const ALLOW: &str = "wavetank/allow";

/// When claims without a class of their own are bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// At once.
    Immediate,
    /// When a Pod uses them.
    FirstConsumer,
    /// Nobody knows: the manifests are all there is.
    #[default]
    Unknown,
}

/// What is looked at: the desired objects, and what is known around them.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The desired objects.
    pub objects: Vec<Placed>,
    /// What is there before the first sync.
    pub there: Vec<Arc<Value>>,
    /// Destination namespace.
    pub namespace: String,
    /// How often a failed sync is tried again; `None` where nobody knows.
    pub retries: Option<i64>,
    /// Whether drift is corrected.
    pub self_heal: bool,
    /// Whether a sync ends by itself after a time.
    pub has_timeout: bool,
    /// Sync options of the application.
    pub sync_options: Vec<String>,
    /// When claims of the default class are bound.
    pub binding: Binding,
    /// Kinds with health scripts of their own: `group/Kind`, perhaps with `*`.
    pub scripted: BTreeSet<String>,
    /// Codes that are not told.
    pub allowed: BTreeSet<String>,
}

impl Input {
    /// What a scenario says: its first commit, and the cluster before.
    pub fn of(scenario: &Scenario) -> Self {
        let app = &scenario.app;
        let mut input = Self {
            objects: app.placed().collect(),
            there: scenario.cluster.objects.clone(),
            namespace: app.namespace.clone(),
            binding: match scenario.cluster.storage {
                StorageBinding::Immediate => Binding::Immediate,
                StorageBinding::WaitForFirstConsumer => Binding::FirstConsumer,
            },
            scripted: app
                .settings
                .customizations
                .health_scripts
                .keys()
                .cloned()
                .collect(),
            allowed: scenario
                .annotations
                .get(ALLOW)
                .map(|text| codes(text))
                .unwrap_or_default(),
            ..Self::default()
        };
        input.follow(app);
        input
    }

    /// What a scenario says, and what is so after each of its steps `commit`, with the number of the step from 0.
    ///
    /// What was desired before a commit is there after it where a sync was asked for in between, or auto-sync is on.
    pub fn states(scenario: &Scenario) -> Vec<(Option<usize>, Self)> {
        let mut app = scenario.app.clone();
        let mut input = Self::of(scenario);
        let mut synced = false;
        let mut out = vec![(None, input.clone())];
        for (number, step) in scenario.steps.iter().enumerate() {
            match &step.action {
                StepAction::Sync(_) => synced = true,
                StepAction::Apply(objects) => input.there.extend(objects.iter().cloned()),
                StepAction::App(merge) => {
                    // A patch that is wrong was refused when the file was read.
                    if let Ok(patched) = app.patched(merge) {
                        app = patched;
                        input.follow(&app);
                    }
                }
                StepAction::Commit(commit) => {
                    // A run ends at a commit that cannot be made, and says why.
                    let Ok(objects) = commit.carried_out(&input.objects, &input.namespace) else {
                        break;
                    };
                    let automated = app.sync_policy.automated;
                    if synced || automated.is_some_and(|automated| automated.enabled) {
                        let before = input.objects.iter();
                        let before = before.map(|placed| Arc::clone(&placed.object));
                        input.there.extend(before);
                    }
                    input.objects = objects;
                    synced = false;
                    out.push((Some(number), input.clone()));
                }
                _ => {}
            }
        }
        out
    }

    /// Takes over what can change during a run.
    fn follow(&mut self, app: &App) {
        let policy = &app.sync_policy;
        self.retries = Some(policy.retry.as_ref().map_or(0, |retry| retry.limit));
        self.self_heal = policy
            .automated
            .is_some_and(|automated| automated.enabled && automated.self_heal);
        self.has_timeout = app.settings.sync_timeout > Duration::ZERO;
        self.sync_options.clone_from(&policy.sync_options);
    }

    /// Manifests of which nothing is known but the namespace they go to.
    pub fn of_manifests(objects: Vec<Placed>, namespace: &str) -> Self {
        Self {
            objects,
            namespace: namespace.to_owned(),
            ..Self::default()
        }
    }
}

/// The codes that `object` itself allows.
pub(crate) fn allowed(object: &Value) -> BTreeSet<String> {
    object::annotation(object, ALLOW)
        .map(codes)
        .unwrap_or_default()
}

fn codes(text: &str) -> BTreeSet<String> {
    text.split([',', ' '])
        .map(str::trim)
        .filter(|code| !code.is_empty())
        .map(str::to_owned)
        .collect()
}
