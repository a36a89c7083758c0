//! Raw requests through a `kube::Client`.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use wavetank_json::{Value, json, to_vec};
use wavetank_model::{PatchType, Propagation, Status};

use crate::engine::{CallError, ResourceRef};
use crate::kinds::ApiResource;

/// The engine's user agent; requests without a field manager get their manager from it.
pub const USER_AGENT: &str = "argocd-application-controller";

/// The path of an object and of its collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `/apis/apps/v1/namespaces/shop/deployments`.
    pub(crate) collection: String,
    /// Name of the object.
    pub(crate) name: String,
    /// Resource name.
    pub(crate) plural: String,
    /// Namespace; empty for cluster-scoped kinds.
    pub(crate) namespace: String,
    /// The resource with its group, where kubectl's client asks: it says what it asked for when an answer says nothing.
    pub(crate) told: Option<String>,
}

impl Place {
    /// The path of `resource`; the namespace is left out where the kind has none.
    pub(crate) fn new(resource: &ResourceRef, known: &ApiResource) -> Self {
        let mut collection = group_version_path(&resource.gvk.group, &resource.gvk.version);
        let namespace = if known.namespaced {
            resource.namespace.clone()
        } else {
            String::new()
        };
        if !namespace.is_empty() {
            collection.push_str("/namespaces/");
            collection.push_str(&escaped(&namespace));
        }
        collection.push('/');
        collection.push_str(&known.plural);
        Self {
            collection,
            name: resource.name.clone(),
            plural: known.plural.clone(),
            namespace,
            told: None,
        }
    }

    /// The place as kubectl asks for it.
    pub(crate) fn for_kubectl(resource: &ResourceRef, known: &ApiResource) -> Self {
        let told = match resource.gvk.group.as_str() {
            "" => known.plural.clone(),
            group => format!("{}.{group}", known.plural),
        };
        Self {
            told: Some(told),
            ..Self::new(resource, known)
        }
    }

    /// What stands behind the message for an answer that says nothing itself: ` (get widgets.example.com a)`.
    fn asked(&self, method: &Method) -> String {
        let verb = method.as_str().to_lowercase();
        match &self.told {
            None => String::new(),
            Some(resource) if *method == Method::POST => format!(" ({verb} {resource})"),
            Some(resource) => format!(" ({verb} {resource} {})", self.name),
        }
    }

    fn object(&self) -> String {
        format!("{}/{}", self.collection, escaped(&self.name))
    }
}

/// What is looked at of an object that was created.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Created {
    metadata: CreatedMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CreatedMetadata {
    name: String,
    deletion_timestamp: Option<IgnoredAny>,
}

impl Created {
    /// The name, which the server may have made up.
    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether it is on its way out already.
    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// `/api/v1`, `/apis/apps/v1`.
pub(crate) fn group_version_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    }
}

/// A path segment: everything but letters, digits and `-._~:` is percent-encoded.
fn escaped(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble & 15)]);
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    out
}

/// The engine's connection to the API.
pub(crate) struct Connection(kube::Client);

impl Connection {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self(client)
    }

    /// Sends a request and gives the raw body of a successful answer.
    async fn send(
        &self,
        place: Option<&Place>,
        method: Method,
        uri: &str,
        media: Option<&'static str>,
        body: Vec<u8>,
    ) -> Result<Bytes, CallError> {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if let Some(media) = media {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        let lost = |cause: &dyn std::error::Error| {
            CallError::Transport(transport_text(&method, uri, cause))
        };
        let request = request
            .body(Body::from(body))
            .map_err(|error| lost(&error))?;
        let response = self.0.send(request).await.map_err(|error| lost(&error))?;
        let code = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| lost(&error))?
            .to_bytes();
        if code.is_success() {
            return Ok(bytes);
        }
        Err(CallError::Api(Status::read(&bytes).unwrap_or_else(|| {
            let asked = place.map_or_else(String::new, |place| place.asked(&method));
            plain_status(code.as_u16(), &bytes, &asked)
        })))
    }

    /// Sends a request about an object and gives what `T` takes from the answer.
    async fn ask<T: DeserializeOwned>(
        &self,
        place: &Place,
        method: Method,
        uri: &str,
        media: Option<&'static str>,
        body: Vec<u8>,
    ) -> Result<T, CallError> {
        let bytes = self
            .send(Some(place), method.clone(), uri, media, body)
            .await?;
        wavetank_json::from_slice(&bytes)
            .map_err(|error| CallError::Transport(transport_text(&method, uri, &error)))
    }

    /// The raw body at a path.
    pub(crate) async fn text(&self, path: &str) -> Result<Bytes, CallError> {
        self.send(None, Method::GET, path, None, Vec::new()).await
    }

    pub(crate) async fn get(&self, place: &Place) -> Result<Value, CallError> {
        self.ask(place, Method::GET, &place.object(), None, Vec::new())
            .await
    }

    /// POST of a new object.
    pub(crate) async fn post(
        &self,
        place: &Place,
        object: &Value,
        query: &[(&str, &str)],
    ) -> Result<Created, CallError> {
        let uri = with_query(place.collection.clone(), query);
        self.ask(
            place,
            Method::POST,
            &uri,
            Some("application/json"),
            to_vec(object),
        )
        .await
    }

    /// PUT of a whole object.
    pub(crate) async fn put(
        &self,
        place: &Place,
        object: &Value,
        query: &[(&str, &str)],
    ) -> Result<(), CallError> {
        let uri = with_query(place.object(), query);
        let body = to_vec(object);
        self.ask::<IgnoredAny>(place, Method::PUT, &uri, Some("application/json"), body)
            .await
            .map(drop)
    }

    /// PATCH of an object.
    pub(crate) async fn patch(
        &self,
        place: &Place,
        patch_type: PatchType,
        patch: &Value,
        query: &[(&str, &str)],
    ) -> Result<Value, CallError> {
        let uri = with_query(place.object(), query);
        let media = Some(patch_type.content_type());
        self.ask(place, Method::PATCH, &uri, media, to_vec(patch))
            .await
    }

    /// DELETE of an object.
    pub(crate) async fn delete(
        &self,
        place: &Place,
        propagation: Propagation,
    ) -> Result<(), CallError> {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.as_str()});
        let body = to_vec(&options);
        self.send(
            Some(place),
            Method::DELETE,
            &place.object(),
            Some("application/json"),
            body,
        )
        .await
        .map(drop)
    }
}

fn with_query(mut uri: String, query: &[(&str, &str)]) -> String {
    for (number, (key, value)) in query.iter().enumerate() {
        uri.push(if number == 0 { '?' } else { '&' });
        uri.push_str(key);
        uri.push('=');
        uri.push_str(&escaped(value));
    }
    uri
}

/// What an answer that is no Status says; `asked` stands behind it.
fn plain_status(code: u16, body: &[u8], asked: &str) -> Status {
    let text = String::from_utf8_lossy(body);
    let message = match code {
        404 => format!("the server could not find the requested resource{asked}"),
        _ => format!(
            "an error on the server ({:?}) has prevented the request from succeeding{asked}",
            text.trim()
        ),
    };
    Status::new(
        code,
        if code == 404 {
            "NotFound"
        } else {
            "InternalError"
        },
        message,
    )
}

/// As Go's client words it: `Post "/api/v1/…": <cause>`.
fn transport_text(method: &Method, uri: &str, error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let method = method.as_str();
    let (first, rest) = method.split_at(1);
    format!("{first}{} \"{uri}\": {cause}", rest.to_lowercase())
}

#[cfg(test)]
mod tests {
    use wavetank_model::GroupVersionKind;

    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        let place = |api_version: &str, kind: &str, namespaced: bool| {
            let resource = ResourceRef {
                gvk: GroupVersionKind::new(api_version, kind),
                resource: None,
                namespace: "shop".to_owned(),
                name: "a b".to_owned(),
            };
            let known = ApiResource {
                plural: format!("{}s", kind.to_lowercase()),
                namespaced,
            };
            Place::new(&resource, &known).object()
        };
        assert_eq!(
            place("apps/v1", "Deployment", true),
            "/apis/apps/v1/namespaces/shop/deployments/a%20b"
        );
        assert_eq!(place("v1", "Node", false), "/api/v1/nodes/a%20b");
    }
}
