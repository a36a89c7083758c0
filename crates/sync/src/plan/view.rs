//! Answers for a plan that makes no request.

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_kernel::BoxFuture;
use wavetank_model::{GroupVersionKind, ObjectKey, Phase, Status};

use crate::engine::{
    ApplyAsk, Asks, CallError, DeleteAsk, DiscoverError, FinalizerAsk, Note, ResourceRef,
};
use crate::kinds::{ApiResource, Kinds};
use crate::message;

/// Answers reads from the view and refuses every write: for `plan` steps and the command `wavetank plan`.
#[derive(Debug)]
pub struct ViewAsks {
    kinds: Arc<Kinds>,
    live: Vec<Arc<Value>>,
}

impl ViewAsks {
    /// Over the kinds and objects of a view.
    pub fn new(kinds: Arc<Kinds>, live: Vec<Arc<Value>>) -> Self {
        Self { kinds, live }
    }

    fn refusal() -> CallError {
        CallError::Api(Status::new(
            405,
            "MethodNotAllowed",
            "a plan makes no request",
        ))
    }
}

/// Discovery as a real server would answer it, from what the view knows.
pub(crate) fn resolve(kinds: &Kinds, gvk: &GroupVersionKind) -> Result<ApiResource, DiscoverError> {
    match kinds.resource(gvk) {
        Some(resource) => Ok(resource.clone()),
        None if kinds.has_group_version(&gvk.group, &gvk.version) => {
            Err(DiscoverError::NotFound(message::kind_not_found(gvk)))
        }
        None => Err(DiscoverError::NotFound(message::group_version_not_found(
            gvk,
        ))),
    }
}

impl Asks for ViewAsks {
    fn discover<'a>(
        &'a mut self,
        gvk: &'a GroupVersionKind,
    ) -> BoxFuture<'a, Result<ApiResource, DiscoverError>> {
        Box::pin(async { resolve(&self.kinds, gvk) })
    }

    fn get<'a>(
        &'a mut self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<Option<Arc<Value>>, CallError>> {
        let namespaced = resource
            .resource
            .as_ref()
            .is_none_or(|known| known.namespaced);
        let namespace = if namespaced {
            resource.namespace.as_str()
        } else {
            ""
        };
        let wanted = ObjectKey::new(
            resource.gvk.group.as_str(),
            resource.gvk.kind.as_str(),
            namespace,
            resource.name.as_str(),
        );
        let found = self
            .live
            .iter()
            .find(|live| ObjectKey::of(live).as_ref() == Some(&wanted))
            .cloned();
        Box::pin(async { Ok(found) })
    }

    fn apply(&mut self, asks: Vec<ApplyAsk>) -> BoxFuture<'_, Vec<Result<String, String>>> {
        Box::pin(async move {
            asks.iter()
                .map(|_| Err(Self::refusal().to_string()))
                .collect()
        })
    }

    fn delete(&mut self, asks: Vec<DeleteAsk>) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        Box::pin(async move { asks.iter().map(|_| Err(Self::refusal())).collect() })
    }

    fn remove_finalizers(
        &mut self,
        asks: Vec<FinalizerAsk>,
    ) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        Box::pin(async move { asks.iter().map(|_| Err(Self::refusal())).collect() })
    }

    fn wave_delay(&mut self, _: Phase, _: i64, _: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn note(&mut self, _: Note) {}
}
