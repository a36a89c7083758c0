//! The API as one actor reaches it: an answer is held back until what it tells of was seen.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde::Deserialize;
use tokio::time::timeout;
use tower::{BoxError, Service};
use wavetank_cluster::ApiBody;
use wavetank_json::Value;
use wavetank_kernel::BoxFuture;
use wavetank_model::{Actor, Status, object};

use crate::confine::Confinement;
use crate::hub::Hub;

/// How long the answer to a write waits for its change.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the answer to a read waits: a revision may never be seen.
const READ_PATIENCE: Duration = Duration::from_millis(100);

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
