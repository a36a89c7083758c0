//! The API as one actor reaches it: an answer is held back until what it tells of was seen.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tower::{BoxError, Service};
use wavetank_cluster::ApiBody;
use wavetank_json::Value;
use wavetank_kernel::BoxFuture;
use wavetank_model::{Actor, Status, object};

use crate::confine::Confinement;
use crate::discovery;
use crate::hub::Hub;

/// How long the answer to a write waits for its change.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the answer to a read waits: a revision may never be seen.
const READ_PATIENCE: Duration = Duration::from_millis(100);
/// How long the server may take to list what a definition serves, and the pause between two looks.
const DISCOVERY_PATIENCE: Duration = Duration::from_secs(3);
const DISCOVERY_PAUSE: Duration = Duration::from_millis(5);
/// The paths of definitions.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/";

/// Sends the requests of one actor.
#[derive(Clone)]
pub(crate) struct RealService {
    pub(crate) client: kube::Client,
    pub(crate) actor: Actor,
    pub(crate) hub: Arc<Hub>,
    /// Where set, writes are only sent when they stay inside of it.
    pub(crate) confinement: Option<Arc<Confinement>>,
}

/// What an answer tells of.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Meta,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    resource_version: String,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    uid: String,
}

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// Its answer is an object that was written.
    Write,
    Delete,
    /// Its answer is one object.
    Read,
    /// Anything else: lists, watches, dry runs, discovery.
    Other,
}

impl RealService {
    async fn pass(&self, request: Request<Body>) -> Result<Response<ApiBody>, BoxError> {
        let verb = self.note(&request);
        let path = request.uri().path().to_owned();
        let request = match &self.confinement {
            Some(confinement) if matches!(verb, Verb::Write | Verb::Delete) => {
                match admit(confinement, request).await? {
                    Ok(request) => request,
                    Err(refusal) => return Ok(refusal),
                }
            }
            _ => request,
        };
        let response = timeout(ANSWER, self.client.send(request))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))??;
        if verb == Verb::Other || !response.status().is_success() {
            return Ok(response.map(|body| ApiBody::new(body.map_err(BoxError::from))));
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        if let Some(confinement) = self.confinement.as_ref().filter(|_| verb == Verb::Write) {
            confinement.made(&path, &serde_json::from_slice(&body).unwrap_or_default());
        }
        self.await_change(verb, &body).await;
        if verb == Verb::Read && path.starts_with(DEFINITIONS) {
            self.await_discovery(&body).await;
        }
        let body = Full::new(body).map_err(|never| match never {});
        Ok(Response::from_parts(parts, ApiBody::new(body)))
    }

    /// Takes note of who writes what.
    fn note(&self, request: &Request<Body>) -> Verb {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
        let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
        if pairs().any(|(name, _)| name == "dryRun") {
            return Verb::Other;
        }
        let verb = match *request.method() {
            Method::GET => {
                let is_api = path.starts_with("/api/") || path.starts_with("/apis/");
                let watches = pairs().any(|(name, _)| name == "watch");
                return if is_api && !watches {
                    Verb::Read
                } else {
                    Verb::Other
                };
            }
            Method::POST | Method::PUT | Method::PATCH => Verb::Write,
            Method::DELETE => Verb::Delete,
            _ => return Verb::Other,
        };
        let manager = pairs()
            .find(|(name, _)| *name == "fieldManager")
            .map_or("", |(_, value)| value);
        self.hub.asked(&self.actor, path, manager);
        verb
    }

    async fn await_change(&self, verb: Verb, body: &Bytes) {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return;
        };
        if verb == Verb::Delete && answer.kind == "Status" {
            if let Some(details) = answer.details.filter(|details| !details.uid.is_empty()) {
                self.hub.gone(&details.uid, PATIENCE).await;
            }
            return;
        }
        let Ok(revision) = answer.metadata.resource_version.parse() else {
            return;
        };
        let patience = if verb == Verb::Read {
            READ_PATIENCE
        } else {
            PATIENCE
        };
        self.hub.reached(revision, patience).await;
    }

    /// Holds back that a definition is Established until the server lists its kind.
    ///
    /// The list follows some milliseconds later (API-257). kubectl, which Argo CD goes through, spends them on files and
    /// documents of its own; an engine that does not would find no such kind in one of some dozens of runs.
    async fn await_discovery(&self, definition: &[u8]) {
        let Ok(definition) = serde_json::from_slice::<Value>(definition) else {
            return;
        };
        if !object::is_true(&definition, "Established") {
            return;
        }
        let listed = async {
            // A look that fails ends the wait: who asks next meets the failure.
            while let Ok(false) = discovery::lists(&self.client, &definition).await {
                sleep(DISCOVERY_PAUSE).await;
            }
        };
        timeout(DISCOVERY_PATIENCE, listed).await.ok();
    }
}

/// Lets a write through that stays inside of what the run made; another is answered here.
async fn admit(
    confinement: &Confinement,
    request: Request<Body>,
) -> Result<Result<Request<Body>, Response<ApiBody>>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let name = serde_json::from_slice::<Value>(&body)
        .map(|object| object::name(&object).to_owned())
        .unwrap_or_default();
    match confinement.admit(&parts.method, parts.uri.path(), &name) {
        Ok(()) => Ok(Ok(Request::from_parts(parts, Body::from(body)))),
        Err(reason) => {
            let status = Status::new(403, "Forbidden", reason).to_json().to_string();
            let body = Full::new(Bytes::from(status)).map_err(|never| match never {});
            Ok(Err(Response::builder()
                .status(403)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(ApiBody::new(body))?))
        }
    }
}

impl Service<Request<Body>> for RealService {
    type Response = Response<ApiBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { service.pass(request).await })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::channel::mpsc::unbounded;
    use wavetank_json::json;

    use super::*;
    use crate::clock::RealClock;

    /// A service on a server that lists the kind of its one definition from the `listed`th look on, and how often it was
    /// looked.
    fn service(established: &str, listed: usize) -> (RealService, Arc<AtomicUsize>) {
        let looks = Arc::new(AtomicUsize::new(0));
        let definition = json!({
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "names": {"plural": "widgets"},
                "versions": [{"name": "v1", "served": true}, {"name": "v2", "served": false}],
            },
            "status": {"conditions": [{"type": "Established", "status": established}]},
        });
        let counted = Arc::clone(&looks);
        let server = tower::service_fn(move |request: Request<Body>| {
            let (code, answer) = match request.uri().path() {
                "/apis/example.com/v1" => {
                    let look = counted.fetch_add(1, Ordering::SeqCst) + 1;
                    let before = json!({"resources": [{"name": "gadgets"}]});
                    let after = json!({"resources": [{"name": "gadgets"}, {"name": "widgets"}]});
                    match look {
                        1 if listed > 1 => (404, Status::new(404, "NotFound", "no").to_json()),
                        _ if look < listed => (200, before),
                        _ => (200, after),
                    }
                }
                _ => (200, definition.clone()),
            };
            let response = Response::builder().status(code);
            let body = Full::new(Bytes::from(answer.to_string()));
            std::future::ready(response.body(body))
        });
        let (kinds, _) = unbounded();
        let clock = RealClock::start();
        let hub = Hub::new(clock, Vec::new(), BTreeMap::new(), 0, kinds, None);
        let service = RealService {
            client: kube::Client::new(server, "default"),
            actor: Actor::new(Actor::ENGINE),
            hub: Arc::new(hub),
            confinement: None,
        };
        (service, looks)
    }

    async fn read(service: &RealService) {
        let path = format!("{DEFINITIONS}widgets.example.com");
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = service.pass(request).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// API-257, API-393.
    #[tokio::test]
    async fn established_is_told_when_the_kind_is_listed() {
        let (service, looks) = service("True", 3);
        read(&service).await;
        assert_eq!(looks.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn other_definitions_are_told_at_once() {
        let (service, looks) = service("False", 3);
        read(&service).await;
        assert_eq!(looks.load(Ordering::SeqCst), 0);
    }
}
