//! The API of a cluster on a socket, for programs from outside.
//!
//! Sockets live in a runtime of the ordinary clock, never in the one that paces a simulated run: [`crate::runtime`] has
//! no I/O. Whoever has a token gets the service behind its [`Door`]; the tokens of `ServiceAccounts` are for the API to
//! judge.

mod kubeconfig;
mod listener;
mod tls;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::net::TcpListener;
use wavetank_cluster::ApiService;
use wavetank_kernel::BoxFuture;

pub use kubeconfig::{Kubeconfig, Written, token};
pub use listener::{Door, Doors, Listener};
pub use tls::{HTTP_1, HTTP_2, Identity};

/// Why the API cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct EndpointError {
    what: String,
    cause: String,
}

impl EndpointError {
    pub(crate) fn of<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |cause| Self {
            what,
            cause: cause.to_string(),
        }
    }
}

/// An API that is offered to one program.
pub struct Endpoint {
    /// The kubeconfig to reach it with, as JSON, which is YAML.
    pub kubeconfig: String,
    /// Serves until it is dropped; ends only when nothing can be accepted any more.
    pub serve: BoxFuture<'static, EndpointError>,
}

/// Offers `service` on a free loopback port over HTTPS, to whoever has the kubeconfig. Needs a runtime with I/O.
///
/// Speaks HTTP/1.1 only: where an answer is lost, the connection ends and no other request with it.
///
/// # Errors
/// [`EndpointError`] when the operating system gives no port or no random numbers.
pub async fn open(service: ApiService) -> Result<Endpoint, EndpointError> {
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let tcp = TcpListener::bind((home, 0))
        .await
        .map_err(EndpointError::of("cannot listen on a loopback port"))?;
    let address = tcp
        .local_addr()
        .map_err(EndpointError::of("cannot learn the port"))?;
    let identity = Identity::generate(home)?;
    let token = token()?;
    let kubeconfig = Kubeconfig {
        server: &format!("https://{address}"),
        authority: Some(&identity.authority),
        user: &token,
        engine: &token,
    }
    .text();
    let listener = Listener {
        tcp,
        acceptor: Some(identity.acceptor(&[HTTP_1])?),
        doors: Arc::new(Doors {
            actors: vec![Door { token, service }],
            others: None,
        }),
    };
    Ok(Endpoint {
        kubeconfig,
        serve: Box::pin(listener.serve()),
    })
}
