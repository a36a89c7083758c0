//! Watching one kind: list, watch, resume, and list again when the revision is too old.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use http::Request;
use http_body_util::BodyStream;
use kube::client::Body;
use tokio::time::{sleep, timeout};
use wavetank_json::Value;
use wavetank_model::{ObjectKey, object};

use crate::discovery;
use crate::hub::{Hub, Seen};
use crate::resource::Resource;

/// Items of one page of a list.
const PAGE: u32 = 500;
/// A watch is asked to end after this many seconds.
const WATCH_SECONDS: u32 = 3600;
/// A server that does not begin its answer within this time has lost the request.
const ANSWER: Duration = Duration::from_secs(15);
/// A watch that brings nothing for this long, not even a bookmark, has lost its connection: bookmarks come every minute.
const SILENCE: Duration = Duration::from_secs(180);
/// Wait after a failed request.
const BACKOFF: Duration = Duration::from_millis(500);

/// All objects of a kind, and the revision of the list.
pub(crate) struct Listed {
    /// The objects.
    pub(crate) objects: Vec<(ObjectKey, Arc<Value>)>,
    /// From where to watch.
    pub(crate) revision: String,
}

/// Lists a kind.
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn list(client: &kube::Client, resource: &Resource) -> Result<Listed, String> {
    let mut objects = Vec::new();
    let mut token = String::new();
    loop {
        let mut path = format!("{}?limit={PAGE}", resource.path());
        if !token.is_empty() {
            path = format!("{path}&continue={token}");
        }
        let mut page: Value = discovery::get(client, &path).await?;
        let meta = |field: &str| {
            page["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let (revision, next) = (meta("resourceVersion"), meta("continue"));
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            objects.extend(items.into_iter().map(|item| identified(resource, item)));
        }
        if next.is_empty() {
            return Ok(Listed { objects, revision });
        }
        token = next;
    }
}

/// Items of built-in lists carry no kind (API-187).
fn identified(resource: &Resource, mut item: Value) -> (ObjectKey, Arc<Value>) {
    if let Value::Object(fields) = &mut item {
        fields
            .entry("apiVersion")
            .or_insert_with(|| resource.gvk.api_version().into());
        fields
            .entry("kind")
            .or_insert_with(|| resource.gvk.kind.clone().into());
    }
    let key = ObjectKey::new(
        &resource.gvk.group,
        &resource.gvk.kind,
        object::namespace(&item),
        object::name(&item),
    );
    (key, Arc::new(item))
}

/// Tells `hub` of every change of a kind from `revision` on. Never ends.
pub(crate) async fn follow(
    client: kube::Client,
    resource: Resource,
    hub: Arc<Hub>,
    revision: String,
) {
    let mut from = Some(revision);
    loop {
        let revision = match from.take() {
            Some(revision) => revision,
            None => match list(&client, &resource).await {
                Ok(listed) => {
                    hub.relisted(&resource, listed.objects);
                    listed.revision
                }
                // The kind is not served any more, or the server is away: look again.
                Err(_away) => {
                    sleep(BACKOFF).await;
                    continue;
                }
            },
        };
        match watch(&client, &resource, &hub, &revision).await {
            Ended::Resume(revision) => from = Some(revision),
            Ended::Again => {}
        }
        if hub.is_forgotten(&resource) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

enum Ended {
    /// Go on from this revision.
    Resume(String),
    /// List again.
    Again,
}

async fn watch(client: &kube::Client, resource: &Resource, hub: &Hub, from: &str) -> Ended {
    let uri = format!(
        "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={from}",
        resource.path()
    );
    let Ok(request) = Request::get(uri).body(Body::empty()) else {
        return Ended::Again;
    };
    let response = match timeout(ANSWER, client.send(request)).await {
        Ok(Ok(response)) if response.status().is_success() => response,
        Ok(Ok(_refused)) => {
            sleep(BACKOFF).await;
            return Ended::Again;
        }
        Ok(Err(_away)) => {
            sleep(BACKOFF).await;
            return Ended::Resume(from.to_owned());
        }
        Err(_silent) => return Ended::Resume(from.to_owned()),
    };
    hub.watches(resource);
    let mut revision = from.to_owned();
    let mut pending: Vec<u8> = Vec::new();
    let mut frames = BodyStream::new(response.into_body());
    loop {
        let Ok(Some(frame)) = timeout(SILENCE, frames.next()).await else {
            return Ended::Resume(revision);
        };
        let Ok(Some(data)) = frame.map(|frame| frame.into_data().ok()) else {
            return Ended::Resume(revision);
        };
        pending.extend_from_slice(&data);
        let complete = pending
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines: Vec<u8> = pending.drain(..complete).collect();
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match take_line(resource, hub, line) {
                Some(next) => revision = next,
                None => return Ended::Again,
            }
        }
    }
}

/// Takes one line; gives the revision to go on from, or `None` when the list must be read again.
fn take_line(resource: &Resource, hub: &Hub, line: &[u8]) -> Option<String> {
    let mut event: Value = serde_json::from_slice(line).ok()?;
    let body = event.get_mut("object").map(Value::take)?;
    let verb = event.get("type").and_then(Value::as_str)?;
    let revision = object::resource_version(&body).to_owned();
    let seen = match verb {
        "ADDED" | "MODIFIED" => Seen::There,
        "DELETED" => Seen::Gone,
        "BOOKMARK" => return Some(revision),
        _ => return None,
    };
    let (key, object) = identified(resource, body);
    hub.arrive(resource, key, seen, object);
    Some(revision)
}
