//! One pass of the deletion of an app.

use std::sync::Arc;

use jiff::Timestamp;
use wavetank_health::Assessor;
use wavetank_json::{Value, json};
use wavetank_kernel::BoxFuture;
use wavetank_model::{ArgoVersion, GroupKind, GroupVersionKind, Phase, Status};
use wavetank_sync::deletion::{DeletionInput, deletion_pass};
use wavetank_sync::engine::{
    AppIdentity, ApplyAsk, Asks, CallError, DeleteAsk, DiscoverError, FinalizerAsk, Note,
    ResourceRef,
};
use wavetank_sync::{ApiResource, Kinds, SyncOptions, TrackingMethod};

use crate::Asked;

/// What a pass asked for.
#[derive(Default)]
struct Seen {
    created: Vec<String>,
    deleted: Vec<String>,
}

fn named(resource: &ResourceRef) -> String {
    let ResourceRef {
        gvk,
        namespace,
        name,
        ..
    } = resource;
    format!("{} {namespace}/{name}", gvk.kind)
}

impl Asks for Seen {
    fn discover<'a>(
        &'a mut self,
        gvk: &'a GroupVersionKind,
    ) -> BoxFuture<'a, Result<ApiResource, DiscoverError>> {
        let text = format!("{gvk:?} is not looked for");
        Box::pin(async { Err(DiscoverError::Failed(text)) })
    }

    fn get<'a>(
        &'a mut self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<Option<Arc<Value>>, CallError>> {
        let text = format!("{} is not read", named(resource));
        Box::pin(async { Err(CallError::Transport(text)) })
    }

    fn apply(&mut self, asks: Vec<ApplyAsk>) -> BoxFuture<'_, Vec<Result<String, String>>> {
        let outcome = |ask: &ApplyAsk| match ask.resource.name.as_str() {
            "there" => Err("\"there\" already exists".to_owned()),
            name => Ok(format!("{name} created")),
        };
        let outcomes = asks.iter().map(outcome).collect();
        let created = asks.iter().map(|ask| named(&ask.resource));
        self.created.extend(created);
        Box::pin(async { outcomes })
    }

    fn delete(&mut self, asks: Vec<DeleteAsk>) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        let outcome = |ask: &DeleteAsk| {
            let ResourceRef { gvk, name, .. } = &ask.resource;
            let (code, reason, words) = match name.as_str() {
                "gone" => (404, "NotFound", "not found"),
                "forbidden" => (403, "Forbidden", "is forbidden: no"),
                _ => return Ok(()),
            };
            let dot = if gvk.group.is_empty() { "" } else { "." };
            let text = format!("{}{dot}{} \"{name}\" {words}", gvk.kind, gvk.group);
            Err(CallError::Api(Status::new(code, reason, text)))
        };
        let outcomes = asks.iter().map(outcome).collect();
        let deleted = asks
            .iter()
            .map(|ask| format!("{} {}", named(&ask.resource), ask.propagation.as_str()));
        self.deleted.extend(deleted);
        Box::pin(async { outcomes })
    }

    fn remove_finalizers(
        &mut self,
        asks: Vec<FinalizerAsk>,
    ) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        let outcomes = asks.iter().map(|_| Ok(())).collect();
        Box::pin(async { outcomes })
    }

    fn wave_delay(&mut self, _: Phase, _: i64, _: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn note(&mut self, _: Note) {}
}

/// What the pass did, and the finalizers that it leaves.
pub(crate) fn passed(asked: &Asked, version: ArgoVersion) -> Option<Value> {
    let (meta, policy) = (&asked.app["metadata"], &asked.app["spec"]["syncPolicy"]);
    let time = |text: &Value| text.as_str()?.parse::<Timestamp>().ok();
    let deleted = time(&meta["deletionTimestamp"])?;
    let confirmed = time(&meta["annotations"]["argocd.argoproj.io/deletion-approved"]);
    let words = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let options = SyncOptions {
        project: asked.project.clone().map(Arc::new),
        version,
        ..SyncOptions::from_items(&words(&policy["syncOptions"]))
    };
    let mut kinds = Kinds::builtin();
    for kind in &asked.unknown {
        kinds.remove(&GroupKind::new("batch", kind));
    }
    let shared = |object: &Option<Value>| object.clone().map(Arc::new);
    let targets: Vec<Arc<Value>> = asked
        .pairs
        .iter()
        .filter_map(|pair| shared(&pair.target))
        .collect();
    let live = asked.pairs.iter().filter_map(|pair| shared(&pair.live));
    let input = DeletionInput {
        app: AppIdentity {
            name: "app".to_owned(),
            namespace: "demo".to_owned(),
            tracking: TrackingMethod::Annotation,
        },
        targets: targets.into(),
        live: live.collect(),
        kinds: Arc::new(kinds),
        options: Arc::new(options),
        finalizers: words(&meta["finalizers"]),
        confirmed: confirmed.is_some_and(|confirmed| confirmed >= deleted),
    };
    let mut seen = Seen::default();
    let assessor = Assessor::new().with_version(version);
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    let output = runtime.block_on(deletion_pass(&input, &assessor, &mut seen));
    seen.created.sort();
    seen.deleted.sort();
    Some(json!({"passed": {
        "created": seen.created,
        "deleted": seen.deleted,
        "finalizers": output.finalizers,
        "failure": output.error.unwrap_or_default(),
    }}))
}
