//! Deleting an app: its resources, wave by wave, and the hooks before and after (SYNC-142..147).

use std::collections::BTreeSet;
use std::sync::Arc;

use wavetank_health::{Assessor, HealthStatus};
use wavetank_json::Value;
use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::{GroupVersionKind, ObjectKey, Phase, Propagation, WaveNumber, object};

use crate::engine::{
    AppIdentity, ApplyAsk, Asks, CallError, DeleteAsk, DeleteReason, Note, ResourceRef, Strategy,
};
use crate::kinds::Kinds;
use crate::options::SyncOptions;
use crate::target::{self, Target};

/// Cascading deletion in the foreground.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same, written out.
pub const FOREGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/foreground";
/// Cascading deletion in the background.
pub const BACKGROUND_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io/background";
/// There are `PreDelete` hooks.
pub const PRE_DELETE_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io";
/// They are to be cleaned up.
pub const PRE_DELETE_CLEANUP_FINALIZER: &str = "pre-delete-finalizer.argocd.argoproj.io/cleanup";
/// There are `PostDelete` hooks.
pub const POST_DELETE_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io";
/// They are to be cleaned up.
pub const POST_DELETE_CLEANUP_FINALIZER: &str = "post-delete-finalizer.argocd.argoproj.io/cleanup";

const CASCADE: [&str; 3] = [
    RESOURCES_FINALIZER,
    FOREGROUND_FINALIZER,
    BACKGROUND_FINALIZER,
];

/// What a deletion pass knows.
#[derive(Clone, Debug)]
pub struct DeletionInput {
    /// The application.
    pub app: AppIdentity,
    /// Desired objects at the app's current revision, as rendered.
    pub targets: Arc<[Arc<Value>]>,
    /// The view's snapshot.
    pub live: Vec<Arc<Value>>,
    /// The kinds the view knows.
    pub kinds: Arc<Kinds>,
    /// The app's options: its `Prune=` and `Delete=` values.
    pub options: Arc<SyncOptions>,
    /// The app's finalizers.
    pub finalizers: Vec<String>,
    /// Whether the deletion is confirmed (annotation since its deletionTimestamp).
    pub confirmed: bool,
}

/// What a deletion pass ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletionOutput {
    /// The app's finalizers now; the app is gone when none is left. If they changed the next pass is due at once,
    /// else with the next change of an object of the app, or the backstop.
    pub finalizers: Vec<String>,
    /// Message of the condition `DeletionError`.
    pub error: Option<String>,
    /// A delete phase whose hooks are all done.
    pub completed: Option<Phase>,
    /// A delete phase of which hooks failed; they are made anew by the next pass.
    pub failed: Option<Phase>,
}

/// The delete-hook finalizers that an app gets at a refresh, by its rendered targets (SYNC-142).
pub fn hook_finalizers(targets: &[Arc<Value>]) -> Vec<&'static str> {
    let has = |phase| {
        targets
            .iter()
            .any(|target| argo::is_delete_hook(target, phase))
    };
    let mut out = Vec::new();
    if has(Phase::PreDelete) {
        out.extend([PRE_DELETE_FINALIZER, PRE_DELETE_CLEANUP_FINALIZER]);
    }
    if has(Phase::PostDelete) {
        out.extend([POST_DELETE_FINALIZER, POST_DELETE_CLEANUP_FINALIZER]);
    }
    out
}

/// Does the first thing there is to do (SYNC-144).
pub async fn deletion_pass(
    input: &DeletionInput,
    assessor: &Assessor,
    asks: &mut dyn Asks,
) -> DeletionOutput {
    let mut pass = Pass {
        input,
        assessor,
        asks,
        output: DeletionOutput::default(),
    };
    pass.output.finalizers.clone_from(&input.finalizers);
    if let Err(error) = pass.run().await {
        pass.output.error = Some(error);
    }
    pass.output
}

struct Pass<'a> {
    input: &'a DeletionInput,
    assessor: &'a Assessor,
    asks: &'a mut dyn Asks,
    output: DeletionOutput,
}

impl Pass<'_> {
    fn has(&self, finalizer: &str) -> bool {
        self.output.finalizers.iter().any(|own| own == finalizer)
    }

    /// The last finalizer takes the place of one that goes, as in Argo CD.
    fn drop_finalizers(&mut self, gone: &[&str]) {
        let own = &mut self.output.finalizers;
        while let Some(place) = own.iter().position(|name| gone.contains(&name.as_str())) {
            own.swap_remove(place);
        }
    }

    async fn run(&mut self) -> Result<(), String> {
        if self.has(PRE_DELETE_FINALIZER) {
            let done = self.execute_hooks(Phase::PreDelete).await;
            if !done.map_err(|error| format!("error executing pre-delete hooks: {error}"))? {
                return Ok(());
            }
            self.drop_finalizers(&[PRE_DELETE_FINALIZER]);
        }
        if CASCADE.iter().any(|finalizer| self.has(finalizer)) {
            return self.cascade().await;
        }
        if self.has(POST_DELETE_FINALIZER) {
            if self.execute_hooks(Phase::PostDelete).await? {
                self.drop_finalizers(&[POST_DELETE_FINALIZER]);
            }
            return Ok(());
        }
        if self.has(PRE_DELETE_CLEANUP_FINALIZER) {
            let done = self.clean_up_hooks(Phase::PreDelete).await;
            if done.map_err(|error| format!("error cleaning up pre-delete hooks: {error}"))? {
                self.drop_finalizers(&[PRE_DELETE_CLEANUP_FINALIZER]);
            }
            return Ok(());
        }
        if self.has(POST_DELETE_CLEANUP_FINALIZER) && self.clean_up_hooks(Phase::PostDelete).await?
        {
            self.drop_finalizers(&[POST_DELETE_CLEANUP_FINALIZER]);
        }
        Ok(())
    }

    /// The app's live objects without an owner, but for those that its project does not permit (SYNC-010).
    fn owned(&self) -> Vec<Arc<Value>> {
        let app = &self.input.app;
        let options = &self.input.options;
        let project = options.project.as_deref();
        let permitted = |live: &Value| match (project, ObjectKey::of(live)) {
            (Some(project), Some(key)) => project.permits_live(&key, options.version),
            _ => true,
        };
        let own = |live: &&Arc<Value>| {
            target::owner_app(live, app.tracking) == Some(app.name.as_str())
                && object::owners(live).next().is_none()
                && permitted(live)
        };
        self.input.live.iter().filter(own).cloned().collect()
    }

    /// Deletes the highest wave; waits for what is being deleted (SYNC-145).
    async fn cascade(&mut self) -> Result<(), String> {
        let owned = self.owned();
        if owned.iter().any(|live| object::is_terminating(live)) {
            return Ok(());
        }
        let doomed: Vec<&Arc<Value>> = owned.iter().filter(|live| self.is_deleted(live)).collect();
        if !self.input.confirmed && self.need_confirmation(&doomed) {
            return Ok(());
        }
        let Some(highest) = doomed.iter().map(|live| argo::wave(live)).max() else {
            self.drop_finalizers(&CASCADE);
            return Ok(());
        };
        // The first of several decides.
        let finalizers = &self.output.finalizers;
        let policy = finalizers
            .iter()
            .find(|name| CASCADE.contains(&name.as_str()));
        let propagation = if policy.is_some_and(|name| name == BACKGROUND_FINALIZER) {
            Propagation::Background
        } else {
            Propagation::Foreground
        };
        let wave = doomed
            .into_iter()
            .filter(|live| argo::wave(live) == highest);
        let asks = wave
            .filter_map(|live| delete_ask(live, Phase::Sync, propagation))
            .collect();
        // What is gone already is an error, too.
        match self.delete(asks).await.first() {
            Some(error) => Err(error.to_string()),
            None => Ok(()),
        }
    }

    /// Not a CRD, and nothing says that it stays (SYNC-145, SYNC-211).
    fn is_deleted(&self, live: &Value) -> bool {
        let option =
            argo::option_value(live, "Delete").or(self.input.options.default_delete.as_deref());
        let kept = argo::annotation_items(live, "helm.sh/resource-policy").contains(&"keep");
        crate::plan::defined_kind(live).is_none() && option != Some("false") && !kept
    }

    /// Whether one of these objects, as it is or as it is desired, is deleted only with somebody's word.
    fn need_confirmation(&self, doomed: &[&Arc<Value>]) -> bool {
        let options = &self.input.options;
        let asks = |object: &Value| {
            let is_asked = |name, default: &Option<String>| {
                argo::option_value(object, name).or(default.as_deref()) == Some("confirm")
            };
            is_asked("Delete", &options.default_delete) || is_asked("Prune", &options.default_prune)
        };
        if doomed.iter().any(|live| asks(live)) {
            return true;
        }
        let keys: BTreeSet<ObjectKey> = doomed
            .iter()
            .filter_map(|live| ObjectKey::of(live))
            .collect();
        let desired = target::normalise(
            &self.input.targets,
            &self.input.app,
            &self.input.kinds,
            options.version,
        );
        let mut desired = desired.list.iter();
        desired.any(|target| keys.contains(&target.key) && asks(&target.object))
    }

    /// Deletes, and gives what failed.
    async fn delete(&mut self, asks: Vec<DeleteAsk>) -> Vec<CallError> {
        let outcomes = self.asks.delete(asks).await.into_iter();
        outcomes.filter_map(Result::err).collect()
    }

    fn live_hooks(&self, phase: Phase) -> Vec<Arc<Value>> {
        self.owned()
            .into_iter()
            .filter(|live| argo::is_delete_hook(live, phase))
            .collect()
    }

    /// Makes missing hooks, then waits for all of them; `true` when they are done (SYNC-146, SYNC-214).
    async fn execute_hooks(&mut self, phase: Phase) -> Result<bool, String> {
        let existing = self.live_hooks(phase);
        let known: BTreeSet<ObjectKey> = existing
            .iter()
            .filter_map(|live| ObjectKey::of(live))
            .collect();
        let input = self.input;
        let rendered = target::delete_hooks(&input.targets, &input.app, &input.kinds, phase);
        let mut missing = Vec::new();
        for hook in rendered {
            let namespaced = self.scope(&hook, phase)?;
            if !known.contains(&hook.key) {
                self.check_permission(&hook, namespaced, phase)?;
                missing.push(hook);
            }
        }
        if !missing.is_empty() || self.any_unfinished(&existing) {
            self.asks.note(Note::WaveStarted {
                phase,
                wave: WaveNumber::All,
            });
        }
        if self.create_hooks(phase, missing).await? > 0 {
            return Ok(false);
        }
        let mut degraded = Vec::new();
        let mut progressing = false;
        for live in &existing {
            match self.health(live)? {
                Some(HealthStatus::Degraded) => degraded.push(live),
                Some(HealthStatus::Progressing) => progressing = true,
                _ => {}
            }
        }
        if !degraded.is_empty() {
            let names: Vec<String> = degraded
                .iter()
                .map(|live| format!("{}/{}", object::namespace(live), object::name(live)))
                .collect();
            let asks = degraded
                .iter()
                .filter_map(|live| delete_ask(live, phase, Propagation::Foreground));
            let asks: Vec<DeleteAsk> = asks.collect();
            // A failing deletion is only logged there: the hooks are deleted again by the next pass.
            drop(self.delete(asks).await);
            self.output.failed = Some(phase);
            return Err(format!("{phase} hook(s) failed: {}", names.join(", ")));
        }
        if progressing {
            return Ok(false);
        }
        self.output.completed = Some(phase);
        Ok(true)
    }

    /// Whether the kind of a hook has namespaces.
    fn scope(&self, hook: &Target, phase: Phase) -> Result<bool, String> {
        let kind = hook.gvk.group_kind();
        self.input.kinds.namespaced(&kind).ok_or_else(|| {
            let group = if kind.group.is_empty() {
                String::new()
            } else {
                format!(".{}", kind.group)
            };
            // The namespace is settled later: this is the key as it is written.
            let bare = ObjectKey {
                namespace: String::new(),
                ..hook.key.clone()
            };
            let mut written = self.input.targets.iter();
            let is_bare = written.any(|target| ObjectKey::of(target).as_ref() == Some(&bare));
            let name = in_braces(if is_bare { &bare } else { &hook.key });
            format!("failed to determine scope of {phase} hook {name}: {group} \"\" not found")
        })
    }

    /// What the project does not permit in a sync it does not permit as a delete hook either (SYNC-032, SYNC-146).
    fn check_permission(
        &self,
        hook: &Target,
        namespaced: bool,
        phase: Phase,
    ) -> Result<(), String> {
        let options = &self.input.options;
        let project = options.project.as_deref();
        let verdict = project.map_or(Ok(()), |project| {
            project.validate(&hook.key, namespaced, options.version)
        });
        verdict.map_err(|error| {
            let name = in_braces(&hook.key);
            format!("{phase} hook {name} is not permitted: {error}")
        })
    }

    /// Health of a hook; a check that fails ends the pass.
    fn health(&self, live: &Value) -> Result<Option<HealthStatus>, String> {
        match self.assessor.assess(live) {
            Ok(None) => Ok(Some(HealthStatus::Healthy)),
            Ok(Some(health)) => Ok(health.status),
            Err(failure) => Err(failure.to_string()),
        }
    }

    fn any_unfinished(&self, hooks: &[Arc<Value>]) -> bool {
        hooks
            .iter()
            .any(|live| self.health(live) == Ok(Some(HealthStatus::Progressing)))
    }

    /// POSTs hooks; one that is there already is passed over. Gives how many were made.
    async fn create_hooks(&mut self, phase: Phase, hooks: Vec<Target>) -> Result<usize, String> {
        if hooks.is_empty() {
            return Ok(0);
        }
        let asks = hooks.into_iter().map(|hook| ApplyAsk {
            resource: ResourceRef {
                gvk: GroupVersionKind::clone(&hook.gvk),
                resource: None,
                namespace: hook.key.namespace.clone(),
                name: hook.key.name.clone(),
            },
            key: Arc::new(hook.key),
            target: hook.object,
            live: None,
            strategy: Strategy::Create,
            force: false,
            validate: true,
            dry_run: false,
            manager: self.input.options.manager.clone(),
            migrate_from: None,
            reconcile_always: false,
            validates_creations: false,
            phase,
            wave: WaveNumber::All,
            hook: true,
        });
        let asks: Vec<ApplyAsk> = asks.collect();
        let mut created = 0;
        for outcome in self.asks.apply(asks).await {
            match outcome {
                Ok(_) => created += 1,
                Err(error) if error.ends_with("already exists") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(created)
    }

    /// Deletes hooks by their policy and the worst health; `true` when none of those is left (SYNC-147, SYNC-212).
    async fn clean_up_hooks(&mut self, phase: Phase) -> Result<bool, String> {
        let hooks = self.live_hooks(phase);
        let mut worst = HealthStatus::Healthy;
        for live in &hooks {
            if let Some(next) = self.health(live)?.filter(|next| next.is_worse(worst)) {
                worst = next;
            }
        }
        let policy = match worst {
            HealthStatus::Degraded => DeletePolicy::HookFailed,
            HealthStatus::Healthy => DeletePolicy::HookSucceeded,
            _ => return Ok(true),
        };
        let going: Vec<&Arc<Value>> = hooks
            .iter()
            .filter(|live| argo::delete_policies(live).contains(&policy))
            .collect();
        let asks = going.iter().filter(|live| !object::is_terminating(live));
        let asks: Vec<DeleteAsk> = asks
            .filter_map(|live| delete_ask(live, phase, Propagation::Foreground))
            .collect();
        if !asks.is_empty() {
            let mut failed = self.delete(asks).await.into_iter();
            if let Some(error) = failed.find(|error| !error.is_not_found()) {
                return Err(error.to_string());
            }
        }
        Ok(going.is_empty())
    }
}

/// A key as Go prints it that does not ask for its text.
fn in_braces(key: &ObjectKey) -> String {
    let ObjectKey {
        group,
        kind,
        namespace,
        name,
    } = key;
    format!("{{{group} {kind} {namespace} {name}}}")
}

fn delete_ask(live: &Value, phase: Phase, propagation: Propagation) -> Option<DeleteAsk> {
    let (key, gvk) = (ObjectKey::of(live)?, GroupVersionKind::of(live)?);
    let resource = ResourceRef {
        gvk,
        resource: None,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    let wave = if phase == Phase::Sync {
        WaveNumber::Number(argo::wave(live))
    } else {
        WaveNumber::All
    };
    Some(DeleteAsk {
        key: Arc::new(key),
        resource,
        propagation,
        reason: DeleteReason::AppDeletion,
        phase,
        wave,
    })
}

#[cfg(test)]
mod tests;
