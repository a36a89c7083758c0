//! The API as the stand-in's machines see it: reads are of what was seen, writes are requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::timestamp::Epoch;
use wavetank_model::{
    Api, DeleteOptions, GroupKind, GroupVersionKind, ObjectKey, PatchType, Status, object,
};

use crate::hub::{Hub, revision};

/// How long the server may take to answer; a write that was lost is tried again.
const ANSWER: Duration = Duration::from_secs(30);

/// Requests of the stand-in, one after the other.
pub(crate) struct RealApi {
    hub: Arc<Hub>,
    client: kube::Client,
    epoch: Epoch,
    runtime: Handle,
    now: SimTime,
    /// What our own writes gave and the watches have not shown yet; `None`: deleted, with its uid.
    ahead: BTreeMap<ObjectKey, Ahead>,
}

enum Ahead {
    There(Arc<Value>),
    Gone(String),
}

impl RealApi {
    /// Requests of `client`; what was seen is in `hub`.
    pub(crate) fn new(hub: Arc<Hub>, client: kube::Client, epoch: Epoch, runtime: Handle) -> Self {
        Self {
            hub,
            client,
            epoch,
            runtime,
            now: SimTime::ZERO,
            ahead: BTreeMap::new(),
        }
    }

    /// Says the time of the calls to come.
    pub(crate) fn set_now(&mut self, now: SimTime) {
        self.now = now;
        let hub = &self.hub;
        self.ahead.retain(|key, ahead| {
            let seen = hub.get(key);
            match ahead {
                Ahead::There(object) => seen
                    .is_none_or(|seen| revision(&seen) < revision(object) && same(&seen, object)),
                Ahead::Gone(uid) => seen.is_some_and(|seen| object::uid(&seen) == uid),
            }
        });
    }

    fn path(&self, key: &ObjectKey) -> Result<String, Status> {
        let kind = key.group_kind();
        let resource = self.hub.resource(&kind).ok_or_else(|| {
            Status::new(404, "NotFound", format!("the server does not have {kind}"))
        })?;
        Ok(resource.item(key))
    }

    fn collection(&self, object: &Value) -> Result<String, Status> {
        let kind = GroupVersionKind::of(object)
            .map(|gvk| gvk.group_kind())
            .unwrap_or_default();
        let resource = self.hub.resource(&kind).ok_or_else(|| {
            Status::new(404, "NotFound", format!("the server does not have {kind}"))
        })?;
        Ok(resource.collection(object::namespace(object)))
    }

    fn send(
        &self,
        method: Method,
        uri: String,
        content_type: &str,
        body: &Value,
    ) -> Result<Value, Status> {
        let lost = |text: String| Status::new(503, "ServiceUnavailable", text);
        let bytes = serde_json::to_vec(body).map_err(|error| lost(error.to_string()))?;
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(http::header::CONTENT_TYPE, content_type)
            .body(Body::from(bytes))
            .map_err(|error| lost(error.to_string()))?;
        let (status, bytes): (_, Bytes) = self
            .runtime
            .block_on(async {
                let answer = async {
                    let response = self.client.send(request).await?;
                    let status = response.status();
                    Ok((status, response.into_body().collect().await?.to_bytes()))
                };
                timeout(ANSWER, answer).await
            })
            .map_err(|_| lost(format!("no answer within {} s", ANSWER.as_secs())))?
            .map_err(|error: kube::Error| lost(error.to_string()))?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        Err(Status::from_json(&answer).unwrap_or_else(|| {
            Status::new(status.as_u16(), "", String::from_utf8_lossy(&bytes).trim())
        }))
    }

    /// Keeps what a write gave until the watches show it.
    fn keep(&mut self, key: ObjectKey, stored: Value) -> Arc<Value> {
        let stored = Arc::new(stored);
        self.ahead.insert(key, Ahead::There(Arc::clone(&stored)));
        stored
    }
}

/// Whether these are versions of one object.
fn same(left: &Value, right: &Value) -> bool {
    object::uid(left) == object::uid(right)
}

impl Api for RealApi {
    fn now(&self) -> SimTime {
        self.now
    }

    fn timestamp(&self) -> String {
        self.epoch.time(self.now)
    }

    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        let seen = self.hub.get(key);
        match self.ahead.get(key) {
            None => seen,
            Some(Ahead::There(ours)) => match seen {
                Some(seen) if revision(&seen) >= revision(ours) => Some(seen),
                _ => Some(Arc::clone(ours)),
            },
            Some(Ahead::Gone(uid)) => seen.filter(|seen| object::uid(seen) != uid),
        }
    }

    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let fits = |key: &ObjectKey| {
            key.kind == kind.kind
                && key.group == kind.group
                && namespace.is_none_or(|namespace| key.namespace == namespace)
        };
        let mut keys: Vec<ObjectKey> = self
            .hub
            .all(|key, _| fits(key))
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        keys.extend(self.ahead.keys().filter(|key| fits(key)).cloned());
        keys.sort();
        keys.dedup();
        keys.iter().filter_map(|key| self.get(key)).collect()
    }

    fn owned(&self, kind: &GroupKind, uid: &str) -> Vec<Arc<Value>> {
        self.list(kind, None)
            .into_iter()
            .filter(|object| object::owners(object).any(|owner| owner.uid == uid))
            .collect()
    }

    fn create(&mut self, manager: &str, object: Value) -> Result<Arc<Value>, Status> {
        let uri = format!("{}?fieldManager={manager}", self.collection(&object)?);
        let stored = self.send(Method::POST, uri, "application/json", &object)?;
        let key = ObjectKey::of(&stored).unwrap_or_default();
        Ok(self.keep(key, stored))
    }

    fn update(
        &mut self,
        manager: &str,
        object: Value,
        subresource: &str,
    ) -> Result<Arc<Value>, Status> {
        let key = ObjectKey::of(&object).unwrap_or_default();
        let uri = format!(
            "{}{}?fieldManager={manager}",
            self.path(&key)?,
            slashed(subresource)
        );
        let stored = self.send(Method::PUT, uri, "application/json", &object)?;
        Ok(self.keep(key, stored))
    }

    fn patch(
        &mut self,
        manager: &str,
        key: &ObjectKey,
        subresource: &str,
        patch_type: PatchType,
        patch: Value,
    ) -> Result<Arc<Value>, Status> {
        let uri = format!(
            "{}{}?fieldManager={manager}",
            self.path(key)?,
            slashed(subresource)
        );
        let stored = self.send(Method::PATCH, uri, patch_type.content_type(), &patch)?;
        Ok(self.keep(key.clone(), stored))
    }

    fn delete(
        &mut self,
        _manager: &str,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(propagation) = options.propagation {
            body["propagationPolicy"] = propagation.as_str().into();
        }
        if let Some(seconds) = options.grace_period_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(uid) = &options.uid {
            body["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &options.resource_version {
            body["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        let uid = self
            .get(key)
            .map(|object| object::uid(&object).to_owned())
            .unwrap_or_default();
        let answer = self.send(Method::DELETE, self.path(key)?, "application/json", &body)?;
        // An object that something still holds is the answer itself.
        if answer["metadata"]["deletionTimestamp"].is_string() && answer["kind"] != "Status" {
            let held = object::finalizers(&answer).next().is_some()
                || options.grace_period_seconds != Some(0);
            if held {
                self.keep(key.clone(), answer);
                return Ok(());
            }
        }
        self.ahead.insert(key.clone(), Ahead::Gone(uid));
        Ok(())
    }

    fn bind(&mut self, manager: &str, pod: &ObjectKey, node: &str) -> Result<(), Status> {
        let uri = format!("{}/binding?fieldManager={manager}", self.path(pod)?);
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        self.send(Method::POST, uri, "application/json", &binding)
            .map(drop)
    }
}

fn slashed(subresource: &str) -> String {
    if subresource.is_empty() {
        String::new()
    } else {
        format!("/{subresource}")
    }
}
