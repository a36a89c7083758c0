//! The seam: what every request of engine and users passes on its way to the target.
//!
//! It enters each request into the trace and bends those that a fault is about, and the deliveries of watches. The
//! target knows nothing of it, so it works on every target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use tower::{BoxError, Service, ServiceExt};
use wavetank_cluster::{ApiBody, ApiService, HangUp};
use wavetank_kernel::BoxFuture;
use wavetank_model::{Actor, GroupKind, ObjectKey, Phase, RequestRecord, Verb, WaveNumber, kinds};
use wavetank_trace::{Event, TaskEvent};

use crate::fault::request::{BentEnd, reply};
use crate::fault::{Faults, delivery};
use crate::recorder::Recorder;

/// Kinds by group and resource name: the built-in ones, and those of the run's CRDs.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResourceNames {
    custom: BTreeMap<(String, String), GroupKind>,
}

impl ResourceNames {
    /// Adds a kind of a CRD.
    pub(crate) fn add(&mut self, group: &str, plural: &str, kind: &str) {
        self.custom.insert(
            (group.to_owned(), plural.to_owned()),
            GroupKind::new(group, kind),
        );
    }

    fn kind(&self, group: &str, plural: &str) -> GroupKind {
        if let Some(kind) = kinds::by_plural(group, plural) {
            return kind.group_kind();
        }
        // A resource nobody told us of is named by its resource name.
        let key = (group.to_owned(), plural.to_owned());
        self.custom
            .get(&key)
            .cloned()
            .unwrap_or_else(|| GroupKind::new(group, plural))
    }
}

/// The API of a target as one actor of the run reaches it.
#[derive(Clone)]
pub(crate) struct Seam {
    inner: ApiService,
    actor: Actor,
    names: Arc<ResourceNames>,
    recorder: Arc<Recorder>,
    faults: Arc<Faults>,
    declared: Option<Arc<BTreeMap<ObjectKey, Declared>>>,
}

/// What the annotations of a declared object say of its place in a sync.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) phase: Phase,
    pub(crate) wave: i64,
    pub(crate) hook: bool,
}

impl Seam {
    pub(crate) fn new(
        inner: ApiService,
        actor: Actor,
        names: Arc<ResourceNames>,
        recorder: Arc<Recorder>,
        faults: Arc<Faults>,
    ) -> Self {
        Self {
            inner,
            actor,
            names,
            recorder,
            faults,
            declared: None,
        }
    }

    /// The faults of the run.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Lets a request through to the target unless a fault ends it, and enters it into the trace.
    async fn pass(
        &self,
        request: Request<Body>,
        mut record: RequestRecord,
    ) -> Result<Response<ApiBody>, BoxError> {
        let bent = self.faults.request(&record);
        self.faults.wait(&bent).await;
        let lost = |mut record: RequestRecord, what: &str, error: &str| {
            (record.code, record.reason) = (0, what.to_owned());
            self.recorder.push(Event::Request(record));
            Err(HangUp(error.to_owned()).into())
        };
        let response = match &bent.end {
            None => self.inner.clone().oneshot(request).await?,
            Some(BentEnd::Reply(status)) => reply(status),
            Some(BentEnd::LoseRequest) => {
                return lost(record, "request lost", "connect: connection refused");
            }
            Some(BentEnd::LoseResponse) => {
                self.inner.clone().oneshot(request).await?;
                return lost(record, "response lost", "EOF");
            }
        };
        record.code = response.status().as_u16();
        let bends = record.verb == "watch"
            && self.actor.as_str() == Actor::ENGINE
            && self.faults.bends_deliveries()
            && response.status().is_success();
        let watched = record
            .key
            .as_ref()
            .filter(|_| bends)
            .map(ObjectKey::group_kind);
        let applied = self.applied(&record);
        self.recorder.push(Event::Request(record));
        if let Some(applied) = applied {
            self.recorder.push(applied);
        }
        Ok(match watched {
            Some(kind) => response.map(|body| delivery::bend(body, kind, Arc::clone(&self.faults))),
            None => response,
        })
    }

    /// Takes accepted wet writes of these objects by the engine for its tasks.
    pub(crate) fn declaring(mut self, declared: Arc<BTreeMap<ObjectKey, Declared>>) -> Self {
        self.declared = (self.actor.as_str() == Actor::ENGINE).then_some(declared);
        self
    }

    fn applied(&self, record: &RequestRecord) -> Option<Event> {
        let writes = matches!(record.verb.as_str(), "create" | "update" | "patch")
            && record.subresource.is_empty();
        if !writes || record.dry_run || !(200..300).contains(&record.code) {
            return None;
        }
        let key = record.key.clone()?;
        let Declared { phase, wave, hook } = *self.declared.as_ref()?.get(&key)?;
        let wave = WaveNumber::Number(wave);
        let message = String::new();
        Some(Event::Task(TaskEvent {
            verb: Verb::Applied,
            key,
            phase,
            wave,
            hook,
            message,
        }))
    }

    /// A client above the seam.
    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }
}

impl Service<Request<Body>> for Seam {
    type Response = Response<ApiBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let seam = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let mut record = describe(
                &parts.method,
                &parts.uri,
                parts.headers.get(http::header::CONTENT_TYPE),
                &body,
                &seam.names,
            );
            record.actor = seam.actor.clone();
            let request = Request::from_parts(parts, Body::from(body));
            seam.pass(request, record).await
        })
    }
}

/// What a request asks for, without its answer.
fn describe(
    method: &Method,
    uri: &Uri,
    content_type: Option<&http::HeaderValue>,
    body: &Bytes,
    names: &ResourceNames,
) -> RequestRecord {
    let query = uri.query().unwrap_or_default();
    let resource = ResourcePath::parse(uri.path());
    let patch = match content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
    {
        "application/json-patch+json" => "json",
        "application/merge-patch+json" => "merge",
        "application/strategic-merge-patch+json" => "strategic",
        "application/apply-patch+yaml" => "apply",
        _ => "",
    };
    let key = resource.as_ref().map(|path| {
        let kind = names.kind(path.group, path.plural);
        let name = if path.name.is_empty() && *method == Method::POST {
            name_in(body)
        } else {
            path.name.to_owned()
        };
        ObjectKey::new(kind.group, kind.kind, path.namespace, name)
    });
    RequestRecord {
        actor: Actor::new(""),
        verb: verb(method, resource.as_ref(), query).to_owned(),
        key,
        subresource: resource
            .as_ref()
            .map(|path| path.subresource.to_owned())
            .unwrap_or_default(),
        dry_run: parameter(query, "dryRun").is_some(),
        manager: parameter(query, "fieldManager")
            .unwrap_or_default()
            .to_owned(),
        patch: if *method == Method::PATCH {
            patch.to_owned()
        } else {
            String::new()
        },
        code: 0,
        reason: String::new(),
    }
}

fn verb(method: &Method, path: Option<&ResourcePath<'_>>, query: &str) -> &'static str {
    let Some(path) = path else { return "discover" };
    let collection = path.name.is_empty();
    match *method {
        Method::GET if matches!(parameter(query, "watch"), Some("true" | "1")) => "watch",
        Method::GET if collection => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ => "get",
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn name_in(body: &Bytes) -> String {
    #[derive(Deserialize)]
    struct Named {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Metadata {
        name: String,
        generate_name: String,
    }
    wavetank_json::from_slice::<Named>(body)
        .map(|named| {
            if named.metadata.name.is_empty() {
                format!("{}*", named.metadata.generate_name)
            } else {
                named.metadata.name
            }
        })
        .unwrap_or_default()
}

/// The parts of a resource's path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ResourcePath<'a> {
    group: &'a str,
    namespace: &'a str,
    plural: &'a str,
    name: &'a str,
    subresource: &'a str,
}

impl<'a> ResourcePath<'a> {
    /// `None` for paths that name no resource: discovery, version, health.
    fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => "",
            "apis" => parts.next()?,
            _ => return None,
        };
        let _version = parts.next()?;
        let rest: Vec<&str> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..]
                if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) =>
            {
                (*namespace, rest)
            }
            rest => ("", rest),
        };
        let at = |index: usize| rest.get(index).copied().unwrap_or_default();
        (!rest.is_empty()).then(|| Self {
            group,
            namespace,
            plural: at(0),
            name: at(1),
            subresource: at(2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let path = |text| ResourcePath::parse(text);
        let parts = |path: ResourcePath<'static>| {
            [
                path.group,
                path.namespace,
                path.plural,
                path.name,
                path.subresource,
            ]
        };
        assert_eq!(
            path("/apis/apps/v1/namespaces/shop/deployments/web/status").map(parts),
            Some(["apps", "shop", "deployments", "web", "status"])
        );
        assert_eq!(
            path("/api/v1/namespaces/shop").map(parts),
            Some(["", "", "namespaces", "shop", ""])
        );
        assert_eq!(
            path("/api/v1/namespaces/shop/finalize").map(parts),
            Some(["", "", "namespaces", "shop", "finalize"])
        );
        assert_eq!(
            path("/api/v1/namespaces/shop/pods").map(parts),
            Some(["", "shop", "pods", "", ""])
        );
        assert_eq!(path("/apis/apps/v1"), None);
        assert_eq!(path("/version"), None);
    }
}
