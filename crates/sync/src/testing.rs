//! Small text descriptions of objects, and a cluster in memory that answers the asks of a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_health::Assessor;
use wavetank_json::{Value, json};
use wavetank_kernel::BoxFuture;
use wavetank_model::{
    GroupVersionKind, ObjectKey, OperationPhase, Phase, Propagation, Status, WaveNumber, argo,
    kinds, object,
};

use crate::engine::{
    AppIdentity, ApplyAsk, Asks, CallError, DeleteAsk, DiscoverError, FinalizerAsk, Note,
    ResourceRef, StepInput, StepOutput,
};
use crate::kinds::{ApiResource, Kinds};
use crate::message;
use crate::options::SyncOptions;
use crate::result::ResourceResult;
use crate::step;
use crate::target::TargetMemo;

/// The application of all tests: `shop` in namespace `demo`.
pub(crate) fn app() -> AppIdentity {
    AppIdentity {
        name: "shop".to_owned(),
        namespace: "demo".to_owned(),
        ..AppIdentity::default()
    }
}

/// One object for each line: `Deployment/web wave=1 hook=PreSync policy=HookFailed option=Replace=true ns=x crd=G/K`.
///
/// `Kind.group/name` is a custom resource in `v1`; `generate=x-` leaves the name out.
pub(crate) fn objects(text: &str) -> Vec<Arc<Value>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| Arc::new(object(line)))
        .collect()
}

/// One object.
pub(crate) fn object(line: &str) -> Value {
    let mut words = line.split_whitespace();
    let (kind, name) = words.next().and_then(|word| word.split_once('/')).unwrap();
    let (kind, api_version) = match kind.split_once('.') {
        Some((kind, group)) => (kind, format!("{group}/v1")),
        None => (
            kind,
            kinds::by_kind(kind)
                .next()
                .map_or("v1".to_owned(), kinds::Kind::api_version),
        ),
    };
    let mut out = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "annotations": {}}});
    if kind == "Deployment" {
        out["spec"] = json!({"replicas": 1});
        out["metadata"]["generation"] = 1.into();
    }
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let annotation = match key {
            "wave" => argo::SYNC_WAVE,
            "hook" => argo::HOOK,
            "policy" => argo::HOOK_DELETE_POLICY,
            "option" => argo::SYNC_OPTIONS,
            "helm" => argo::HELM_HOOK,
            "weight" => argo::HELM_HOOK_WEIGHT,
            "ns" => {
                out["metadata"]["namespace"] = value.into();
                continue;
            }
            "generate" => {
                out["metadata"]["generateName"] = value.into();
                out["metadata"]["name"] = "".into();
                continue;
            }
            "crd" => {
                let (group, kind) = value.split_once('/').unwrap();
                out["spec"] = json!({"group": group, "names": {"kind": kind}});
                continue;
            }
            other => panic!("no word `{other}`"),
        };
        out["metadata"]["annotations"][annotation] = value.into();
    }
    out
}

/// As [`objects`], tracked by the app: live objects without a target.
pub(crate) fn tracked(text: &str) -> Vec<Arc<Value>> {
    let targets = crate::target::normalise(
        &objects(text),
        &app(),
        &Kinds::builtin(),
        wavetank_model::ArgoVersion::default(),
    );
    targets
        .list
        .iter()
        .map(|target| target.object.clone())
        .collect()
}

/// A cluster in memory; its state is also the view.
#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) objects: BTreeMap<ObjectKey, Value>,
    /// Names whose wet apply is rejected, and the text.
    pub(crate) reject: BTreeMap<String, String>,
    /// Names whose dry apply is rejected.
    pub(crate) reject_dry: BTreeMap<String, String>,
    /// What was asked of each deletion for the dependents.
    pub(crate) propagations: Vec<Propagation>,
    /// Names whose deletion is refused with that code.
    pub(crate) refuse_delete: BTreeMap<String, u16>,
    /// Every read is refused with that code.
    pub(crate) refuse_get: Option<u16>,
    /// So many lookups of kinds fail first.
    pub(crate) failing_lookups: u32,
    /// Names that stay terminating when they are deleted.
    pub(crate) lingering: BTreeSet<String>,
    /// Names that the view does not show.
    pub(crate) hidden: BTreeSet<String>,
    /// Error of the wave hook.
    pub(crate) delay_error: Option<String>,
    pub(crate) kinds: Kinds,
    /// One line for each call, in order.
    pub(crate) log: Vec<String>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let mut cluster = Self {
            kinds: Kinds::builtin(),
            ..Self::default()
        };
        cluster.put(object("Namespace/demo"));
        cluster.log.clear();
        cluster
    }

    /// Stores an object as it is.
    pub(crate) fn put(&mut self, mut object: Value) {
        let mut key = ObjectKey::of(&object).unwrap();
        let gvk = GroupVersionKind::of(&object).unwrap();
        if self.kinds.namespaced(&gvk.group_kind()) == Some(false) {
            key.namespace.clear();
        } else if key.namespace.is_empty() {
            key.namespace = "demo".to_owned();
            object["metadata"]["namespace"] = "demo".into();
        }
        self.objects.insert(key, object);
    }

    fn key(&self, name: &str) -> ObjectKey {
        let (kind, name) = name.split_once('/').unwrap();
        self.objects
            .keys()
            .find(|key| key.kind == kind && key.name == name)
            .unwrap()
            .clone()
    }

    /// The stored object `Kind/name`, to change it.
    pub(crate) fn edit(&mut self, name: &str) -> &mut Value {
        let key = self.key(name);
        self.objects.get_mut(&key).unwrap()
    }

    /// The object is gone.
    pub(crate) fn remove(&mut self, name: &str) {
        let key = self.key(name);
        self.objects.remove(&key);
    }

    /// A Job ends, a Deployment becomes ready.
    pub(crate) fn finish(&mut self, name: &str) {
        self.edit(name)["status"] = json!({
            "conditions": [{"type": "Complete", "status": "True", "message": "Reached expected number of succeeded pods"}],
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    }

    /// A Job fails, a Deployment exceeds its deadline.
    pub(crate) fn fail(&mut self, name: &str) {
        self.edit(name)["status"] = json!({
            "conditions": [
                {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"},
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
            "observedGeneration": 1});
    }

    /// The calls since the last look, but reads.
    pub(crate) fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log).join("\n")
    }

    fn full_key(&self, resource: &ResourceRef) -> ObjectKey {
        let gvk = &resource.gvk;
        let namespaced = self.kinds.namespaced(&gvk.group_kind()).unwrap_or(true);
        let namespace = if namespaced {
            resource.namespace.as_str()
        } else {
            ""
        };
        ObjectKey::new(
            gvk.group.as_str(),
            gvk.kind.as_str(),
            namespace,
            resource.name.as_str(),
        )
    }

    fn not_found(key: &ObjectKey) -> CallError {
        CallError::Api(Status::new(
            404,
            "NotFound",
            format!("{} \"{}\" not found", key.kind.to_lowercase(), key.name),
        ))
    }

    fn apply_one(&mut self, ask: &ApplyAsk) -> Result<String, String> {
        let key = self.full_key(&ask.resource);
        let dry = if ask.dry_run { " (dry run)" } else { "" };
        let force = if ask.force { " by force" } else { "" };
        self.log.push(
            format!("{:?} {}/{}{force}{dry}", ask.strategy, key.kind, key.name).to_lowercase(),
        );
        let rejections = if ask.dry_run {
            &self.reject_dry
        } else {
            &self.reject
        };
        if let Some(text) = rejections.get(&key.name) {
            return Err(text.clone());
        }
        let verb = if self.objects.contains_key(&key) {
            "configured"
        } else {
            "created"
        };
        if !ask.dry_run {
            let mut object = Value::clone(&ask.target);
            if key.name.is_empty() {
                let name = format!(
                    "{}{}",
                    object::meta_str(&object, "generateName"),
                    self.objects.len()
                );
                object["metadata"]["name"] = name.into();
            }
            if let Some(old) = self.objects.get(&key) {
                object["status"] = old["status"].clone();
                if let Some(stamp) = old["metadata"].get("deletionTimestamp") {
                    object["metadata"]["deletionTimestamp"] = stamp.clone();
                }
            }
            self.put(object);
        }
        let kind = ask.resource.gvk.group_kind().to_string().to_lowercase();
        Ok(format!("{kind}/{} {verb}{dry}", key.name))
    }

    fn delete_one(&mut self, ask: &DeleteAsk) -> Result<(), CallError> {
        let key = self.full_key(&ask.resource);
        self.propagations.push(ask.propagation);
        self.log
            .push(format!("delete {}/{}", key.kind, key.name).to_lowercase());
        if let Some(&code) = self.refuse_delete.get(&key.name) {
            return Err(CallError::Api(Status::new(
                code,
                "",
                format!("refused with {code}"),
            )));
        }
        let lingers = self.lingering.contains(&key.name);
        let Some(object) = self.objects.get_mut(&key) else {
            return Err(Self::not_found(&key));
        };
        if lingers || object::finalizers(object).next().is_some() {
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        } else {
            self.objects.remove(&key);
        }
        Ok(())
    }
}

impl Asks for Cluster {
    fn discover<'a>(
        &'a mut self,
        gvk: &'a GroupVersionKind,
    ) -> BoxFuture<'a, Result<ApiResource, DiscoverError>> {
        let found = self.kinds.resource(gvk).cloned();
        let fails = self.failing_lookups > 0;
        self.failing_lookups = self.failing_lookups.saturating_sub(1);
        Box::pin(async move {
            if fails {
                return Err(DiscoverError::Failed("away".to_owned()));
            }
            found.ok_or_else(|| DiscoverError::NotFound(message::group_version_not_found(gvk)))
        })
    }

    fn get<'a>(
        &'a mut self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<Option<Arc<Value>>, CallError>> {
        let found = self
            .objects
            .get(&self.full_key(resource))
            .cloned()
            .map(Arc::new);
        let refused = self
            .refuse_get
            .map(|code| CallError::Api(Status::new(code, "", format!("refused with {code}"))));
        Box::pin(async { refused.map_or(Ok(found), Err) })
    }

    fn apply(&mut self, asks: Vec<ApplyAsk>) -> BoxFuture<'_, Vec<Result<String, String>>> {
        let mut out = Vec::new();
        for ask in &asks {
            let outcome = self.apply_one(ask);
            if let Some(note) = ask.note(&outcome) {
                self.note(note);
            }
            out.push(outcome);
        }
        Box::pin(async { out })
    }

    fn delete(&mut self, asks: Vec<DeleteAsk>) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        let out = asks.iter().map(|ask| self.delete_one(ask)).collect();
        Box::pin(async { out })
    }

    fn remove_finalizers(
        &mut self,
        asks: Vec<FinalizerAsk>,
    ) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        let mut out = Vec::new();
        for ask in asks {
            let key = self.full_key(&ask.resource);
            self.log
                .push(format!("strip {}/{}", key.kind, key.name).to_lowercase());
            if self.objects.contains_key(&key) {
                let terminating = object::is_terminating(&self.objects[&key]);
                self.put(Value::clone(&ask.stripped));
                if terminating && !self.lingering.contains(&key.name) {
                    self.objects.remove(&key);
                }
            }
            out.push(Ok(()));
        }
        Box::pin(async { out })
    }

    fn wave_delay(
        &mut self,
        phase: Phase,
        wave: i64,
        is_final: bool,
    ) -> BoxFuture<'_, Result<(), String>> {
        self.log.push(format!(
            "delay {phase}/{wave}{}",
            if is_final { " final" } else { "" }
        ));
        let outcome = self.delay_error.clone().map_or(Ok(()), Err);
        Box::pin(async { outcome })
    }

    fn note(&mut self, note: Note) {
        if let Note::WaveStarted { phase, wave } = note {
            let wave = if wave == WaveNumber::All {
                "*".to_owned()
            } else {
                wave.to_string()
            };
            self.log.push(format!("-- {phase}/{wave}"));
        }
    }
}

/// An operation over a [`Cluster`], pass by pass.
pub(crate) struct Operation {
    pub(crate) targets: Arc<[Arc<Value>]>,
    pub(crate) options: SyncOptions,
    pub(crate) confirmed: bool,
    pub(crate) phase: OperationPhase,
    pub(crate) message: String,
    pub(crate) results: Vec<ResourceResult>,
    pub(crate) revision: String,
    memo: TargetMemo,
}

impl Operation {
    pub(crate) fn new(targets: &str) -> Self {
        Self {
            targets: objects(targets).into(),
            options: SyncOptions::default(),
            confirmed: false,
            phase: OperationPhase::Running,
            message: String::new(),
            results: Vec::new(),
            revision: "0a1b2c3d4e5f".to_owned(),
            memo: TargetMemo::default(),
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut SyncOptions)) -> Self {
        change(&mut self.options);
        self
    }

    pub(crate) fn input(&self, cluster: &Cluster) -> StepInput {
        let shown = cluster
            .objects
            .iter()
            .filter(|(key, _)| !cluster.hidden.contains(&key.name));
        StepInput {
            app: app(),
            revision: self.revision.clone(),
            targets: self.targets.clone(),
            live: shown.map(|(_, object)| Arc::new(object.clone())).collect(),
            kinds: Arc::new(cluster.kinds.clone()),
            options: Arc::new(self.options.clone()),
            started_at: 1_700_000_000,
            phase: self.phase,
            message: self.message.clone(),
            results: self.results.clone(),
            prune_confirmed: self.confirmed,
            answers: Arc::default(),
        }
    }

    fn store(&mut self, output: StepOutput) -> String {
        self.phase = output.phase;
        self.message = output.message;
        self.results = output.results;
        format!("{} {}", self.phase, self.message)
    }

    /// One pass; gives phase and message.
    pub(crate) fn pass(&mut self, cluster: &mut Cluster) -> String {
        let input = self.input(cluster);
        let output = block_on(step::pass(input, &Assessor::new(), &mut self.memo, cluster));
        self.store(output)
    }

    /// One terminating pass.
    pub(crate) fn terminate(&mut self, cluster: &mut Cluster) -> String {
        let input = self.input(cluster);
        let output = block_on(step::terminate(
            input,
            &Assessor::new(),
            &mut self.memo,
            cluster,
        ));
        self.store(output)
    }

    /// One line for each result: `name: status/hookPhase "message"`.
    pub(crate) fn shown(&self) -> String {
        let line = |result: &ResourceResult| {
            let status = result.status.map_or("", |status| status.as_str());
            let phase = result.hook_phase.map_or("", OperationPhase::as_str);
            format!(
                "{} {}: {status}/{phase} \"{}\"",
                result.sync_phase, result.key.name, result.message
            )
        };
        self.results.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Runs a future that never waits for anything outside.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
