//! The world behind a `kube::Client`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::mpsc::UnboundedReceiver;
use futures::{Stream, future};
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use tokio::sync::Notify;
use tower::{BoxError, Service};
use wavetank_apiserver::ResponseBody;
use wavetank_cluster::ApiBody;
use wavetank_kernel::{BoxFuture, Clock};
use wavetank_model::Actor;

use crate::clock::SimClock;
use crate::world::World;

/// Answers the requests of one actor.
#[derive(Clone)]
pub(crate) struct WorldService {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) actor: Actor,
}

impl WorldService {
    fn answer(&self, parts: http::request::Parts, body: Bytes) -> Response<ApiBody> {
        let now = self.clock.now();
        let request = Request::from_parts(parts, body);
        let response = self
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .handle(&request, &self.actor, now);
        self.wake.notify_one();
        response.map(|body| match body {
            ResponseBody::Full(bytes) => ApiBody::new(Full::new(bytes).map_err(never)),
            ResponseBody::Watch(lines) => ApiBody::new(WatchBody { lines }.map_err(never)),
        })
    }
}

impl Service<Request<Body>> for WorldService {
    type Response = Response<ApiBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        if body.size_hint().exact() == Some(0) {
            return Box::pin(future::ready(Ok(self.answer(parts, Bytes::new()))));
        }
        let service = self.clone();
        Box::pin(async move {
            let body = body.collect().await?.to_bytes();
            Ok(service.answer(parts, body))
        })
    }
}

fn never(impossible: Infallible) -> BoxError {
    match impossible {}
}

/// The lines of a watch as a response body.
struct WatchBody {
    lines: UnboundedReceiver<Bytes>,
}

impl HttpBody for WatchBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.lines)
            .poll_next(context)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
