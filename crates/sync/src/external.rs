//! What the controller around an engine does before a pass: for engines from outside, which only get the outcome.
//!
//! An Application controller normalises the desired objects, finds the live ones that are the app's, compares both,
//! and knows what the project permits and how healthy custom kinds are. All of it happens here, for any engine; the
//! engine itself pairs, plans and carries out.

use std::sync::Arc;

use wavetank_health::{Assessor, Health};
use wavetank_json::Value;
use wavetank_model::{GroupKind, ObjectKey};

use crate::compare;
use crate::engine::StepInput;
use crate::reconcile::{Pair, reconcile};
use crate::target::{Target, TargetMemo};

/// A live object, as an engine from outside gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalLive {
    /// The object, as the view has it.
    pub object: Arc<Value>,
    /// Whether it is a copy that another controller made: it takes no part (SYNC-013).
    pub foreign: bool,
    /// Whether an apply would change it; only said where the operation leaves out what is in sync (SYNC-058).
    pub modified: Option<bool>,
    /// Its health, or why it cannot be told; what an engine cannot judge itself it takes from here.
    pub health: Result<Option<Health>, String>,
    /// Whether a script of the settings judges it: then the engine's own checks do not count (SYNC-124).
    pub overridden: bool,
}

/// What an engine from outside gets beside the [`StepInput`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// The desired objects, normalised (SYNC-011, SYNC-012), with ignored fields at their live values (SYNC-103).
    pub targets: Vec<Arc<Value>>,
    /// The live objects that are the app's (SYNC-010).
    pub live: Vec<ExternalLive>,
    /// Whether a kind has a namespace, for every kind among them whose scope is known.
    pub kinds: Vec<(GroupKind, bool)>,
    /// What the project does not permit (SYNC-032), with the error text.
    pub denied: Vec<(ObjectKey, String)>,
}

/// Does the controller's part of a pass.
pub fn prepare(input: &StepInput, memo: &mut TargetMemo, assessor: &Assessor) -> External {
    let targets = memo.targets(
        &input.targets,
        &input.app,
        &input.kinds,
        input.options.version,
    );
    let reconciled = reconcile(&targets, &input.live, &input.app, &input.options);
    let mut out = External::default();
    for pair in &reconciled.pairs {
        if let Some(target) = &pair.target {
            out.add_target(input, target, pair.live.as_deref());
        }
        if let Some(live) = &pair.live
            && takes_part(pair, input)
        {
            out.add_live(input, pair, live, assessor);
        }
    }
    for hook in &reconciled.hooks {
        out.add_target(input, hook, None);
    }
    out.kinds.sort();
    out.kinds.dedup();
    out
}

/// What the project does not permit is not the app's (SYNC-010).
fn takes_part(pair: &Pair, input: &StepInput) -> bool {
    match (
        &input.options.project,
        pair.live.as_deref().and_then(ObjectKey::of),
    ) {
        (Some(project), Some(key)) if pair.target.is_none() => {
            project.permits_live(&key, input.options.version)
        }
        _ => true,
    }
}

impl External {
    fn add_target(&mut self, input: &StepInput, target: &Target, live: Option<&Value>) {
        let options = &input.options;
        let object = match live.filter(|_| options.respect_ignore_differences) {
            Some(live) => Arc::new(crate::ignore::with_live_values(
                &options.ignored(&target.object),
                &target.object,
                live,
                options.version,
            )),
            None => Arc::clone(&target.object),
        };
        self.targets.push(object);
        self.learn(input, &target.key, &target.result_key);
    }

    fn add_live(&mut self, input: &StepInput, pair: &Pair, live: &Arc<Value>, assessor: &Assessor) {
        let modified = pair
            .target
            .as_ref()
            .filter(|_| input.options.apply_out_of_sync_only)
            .map(|target| {
                compare::differs(
                    &target.object,
                    live,
                    &input.app,
                    &input.options,
                    &input.answers,
                )
            });
        self.live.push(ExternalLive {
            object: Arc::clone(live),
            foreign: pair.foreign_copy,
            modified,
            health: assessor
                .assess(live)
                .map_err(|failure| failure.health.message),
            overridden: assessor.is_overridden(live),
        });
        if let Some(key) = ObjectKey::of(live) {
            self.learn(input, &key, &key);
        }
    }

    /// Notes scope and permission of one object; `task` is the key that its task has.
    fn learn(&mut self, input: &StepInput, key: &ObjectKey, task: &ObjectKey) {
        let Some(namespaced) = input.kinds.namespaced(&key.group_kind()) else {
            return;
        };
        self.kinds.push((key.group_kind(), namespaced));
        if let Some(project) = &input.options.project
            && let Err(text) = project.validate(task, namespaced, input.options.version)
        {
            self.denied.push((task.clone(), text));
        }
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_model::{OperationPhase, argo};

    use super::*;
    use crate::engine::{AppIdentity, TrackingMethod};
    use crate::kinds::Kinds;
    use crate::options::SyncOptions;

    fn config(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
    }

    fn tracked(name: &str) -> Arc<Value> {
        let mut object = config(name);
        object["metadata"]["annotations"] = json!({argo::TRACKING_ID: "shop:/ConfigMap:shop/old"});
        Arc::new(object)
    }

    fn input() -> StepInput {
        StepInput {
            app: AppIdentity {
                name: "shop".to_owned(),
                namespace: "shop".to_owned(),
                tracking: TrackingMethod::Annotation,
            },
            revision: "abc".to_owned(),
            targets: vec![Arc::new(config("new"))].into(),
            live: vec![tracked("old"), tracked("copy"), Arc::new(config("other"))],
            kinds: Arc::new(Kinds::builtin()),
            options: Arc::new(SyncOptions::default()),
            started_at: 0,
            phase: OperationPhase::Running,
            message: String::new(),
            results: Vec::new(),
            prune_confirmed: false,
            answers: Arc::default(),
        }
    }

    /// SYNC-010, SYNC-011, SYNC-013: tracked targets, the app's live objects, copies marked.
    #[test]
    fn an_engine_from_outside_gets_what_the_controller_found() {
        let out = prepare(&input(), &mut TargetMemo::default(), &Assessor::new());
        let id = wavetank_model::object::annotation(&out.targets[0], argo::TRACKING_ID);
        assert_eq!(id, Some("shop:/ConfigMap:shop/new"));
        let live: Vec<(&str, bool)> = out
            .live
            .iter()
            .map(|live| (wavetank_model::object::name(&live.object), live.foreign))
            .collect();
        assert_eq!(live, [("old", false), ("copy", true)]);
        assert_eq!(out.kinds, [(GroupKind::new("", "ConfigMap"), true)]);
    }
}
