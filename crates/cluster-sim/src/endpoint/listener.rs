//! Connections, and who may come in.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use wavetank_cluster::{ApiBody, ApiService, HangUp};
use wavetank_model::Status;

use super::EndpointError;

/// The longest request body that is read; the server itself refuses less (API-005).
const LONGEST_BODY: usize = 8 << 20;

/// A token, and the API of the actor it stands for.
pub struct Door {
    /// The bearer token.
    pub token: String,
    /// The API.
    pub service: ApiService,
}

/// Accepts connections.
pub struct Listener {
    /// Where clients come in.
    pub tcp: TcpListener,
    /// `None` over plain HTTP.
    pub acceptor: Option<TlsAcceptor>,
    /// Who may come in.
    pub doors: Arc<Doors>,
}

/// Who may come in.
pub struct Doors {
    /// By tokens that stand for an actor: what is behind the door does not see them.
    pub actors: Vec<Door>,
    /// Who brings another token comes in here: the API itself says whose it is.
    pub others: Option<ApiService>,
}

impl Doors {
    /// The API for who makes this request.
    fn open(&self, request: &mut Request<Incoming>) -> Option<&ApiService> {
        let value = request.headers().get(header::AUTHORIZATION)?;
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let door = self.actors.iter().find(|door| door.token == token.trim());
        let Some(door) = door else {
            return self.others.as_ref();
        };
        request.headers_mut().remove(header::AUTHORIZATION);
        Some(&door.service)
    }
}

impl Listener {
    /// Serves until it is dropped; open connections end with it. Returns only when nothing can be accepted any more.
    pub async fn serve(self) -> EndpointError {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, self.acceptor.clone(), Arc::clone(&self.doors)));
                    }
                    Err(error) if is_of_the_connection(&error) => {}
                    Err(error) => return EndpointError::of("cannot accept connections any more")(error),
                },
            }
        }
    }
}

/// The peer went away before it was accepted: nothing of ours.
fn is_of_the_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// Serves one connection to its end. How it ends is the client's business.
async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, doors: Arc<Doors>) {
    stream.set_nodelay(true).ok();
    match acceptor {
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                http(stream, doors).await;
            }
        }
        None => http(stream, doors).await,
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, doors: Arc<Doors>) {
    let service = service_fn(move |request| {
        let doors = Arc::clone(&doors);
        async move { answer(request, &doors).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // An error here is a client that went away or spoke no HTTP, or a connection that is to end.
    builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
        .ok();
}

/// An error ends the connection without an answer.
async fn answer(
    mut request: Request<Incoming>,
    doors: &Doors,
) -> Result<Response<ApiBody>, HangUp> {
    let Some(service) = doors.open(&mut request) else {
        return Ok(refuse(&Status::new(401, "Unauthorized", "Unauthorized")));
    };
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LONGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let text = "Request entity too large: limit is 3145728";
            return Ok(refuse(&Status::new(413, "RequestEntityTooLarge", text)));
        }
        Err(error) => {
            let text = format!("the body was cut off: {error}");
            return Ok(refuse(&Status::new(400, "BadRequest", text)));
        }
    };
    let request = Request::from_parts(parts, kube::client::Body::from(body));
    match service.clone().oneshot(request).await {
        Ok(response) => Ok(response),
        Err(error) if HangUp::is_cause(&*error) => Err(HangUp(error.to_string())),
        Err(error) => Ok(refuse(&Status::new(
            500,
            "InternalError",
            format!("Internal error occurred: {error}"),
        ))),
    }
}

fn refuse(status: &Status) -> Response<ApiBody> {
    let body = Full::new(Bytes::from(status.to_json().to_string() + "\n"));
    let mut response = Response::new(ApiBody::new(body.map_err(|never| match never {})));
    *response.status_mut() =
        http::StatusCode::from_u16(status.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    // As the API has it (API-003), but for the name of a request that it never saw.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}
