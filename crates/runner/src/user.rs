//! Somebody with kubectl, and what makes the cluster before the first step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use tower::ServiceExt;
use wavetank_json::{Value, json};
use wavetank_model::{
    GroupVersionKind, ObjectKey, PatchType, Phase, Propagation, Reference, Status, WaveNumber,
    kinds, object,
};
use wavetank_scenario::desired_key;
use wavetank_sync::apply::{KubeAsks, NoteSink};
use wavetank_sync::{ApiResource, ApplyAsk, Asks, ResourceRef, Strategy};

use crate::seam::Seam;
use crate::shared::{CustomKind, Shared};

/// A CRD of `cluster.objects` must be Established within this time.
const CRD_WAIT: Duration = Duration::from_secs(60);

/// Acts on the live cluster as one actor.
#[derive(Clone)]
pub(crate) struct User {
    seam: Seam,
    shared: Arc<Shared>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server said no.
    #[error("{0}")]
    Api(Status),
    /// No answer came, or none that can be read.
    #[error("{0}")]
    Transport(String),
}

impl CallError {
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(status) if status.code == 404)
    }
}

/// Where a kind is served.
struct Route {
    gvk: GroupVersionKind,
    plural: String,
    namespaced: bool,
}

impl Route {
    fn collection(&self, namespace: &str) -> String {
        let prefix = if self.gvk.group.is_empty() {
            "/api"
        } else {
            "/apis"
        };
        let api = self.gvk.api_version();
        if self.namespaced && !namespace.is_empty() {
            format!("{prefix}/{api}/namespaces/{namespace}/{}", self.plural)
        } else {
            format!("{prefix}/{api}/{}", self.plural)
        }
    }

    fn item(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }
}

/// A client-side apply, as kubectl does it.
fn apply_ask(key: &ObjectKey, route: Route, object: &Arc<Value>) -> ApplyAsk {
    let mut target = Arc::clone(object);
    if route.namespaced && object::namespace(&target) != key.namespace {
        Arc::make_mut(&mut target)["metadata"]["namespace"] = key.namespace.clone().into();
    }
    ApplyAsk {
        key: Arc::new(key.clone()),
        resource: ResourceRef {
            gvk: route.gvk,
            resource: Some(ApiResource {
                plural: route.plural,
                namespaced: route.namespaced,
            }),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        },
        target,
        live: None,
        strategy: Strategy::Apply,
        force: false,
        validate: true,
        dry_run: false,
        manager: "kubectl-client-side-apply".to_owned(),
        migrate_from: None,
        reconcile_always: false,
        validates_creations: false,
        phase: Phase::Sync,
        wave: WaveNumber::Number(0),
        hook: false,
    }
}

impl User {
    pub(crate) fn new(seam: &Seam, shared: &Arc<Shared>) -> Self {
        Self {
            seam: seam.clone(),
            shared: Arc::clone(shared),
        }
    }

    /// Applies objects one after the other, as `kubectl apply` does; those with only a generateName are created.
    pub(crate) async fn apply(&self, objects: &[Arc<Value>]) -> Result<(), String> {
        let sink: NoteSink = Box::new(|_| {});
        let clock = Arc::clone(&self.shared.clock);
        let mut kubectl = KubeAsks::new(
            self.seam.client(),
            clock,
            self.shared.cluster.chooser(),
            Duration::ZERO,
            sink,
        );
        for object in objects {
            let key = desired_key(object, self.shared.home());
            let failed =
                |error: String| format!("cannot apply {}: {error}", key.short(self.shared.home()));
            let route = self.route_of(object).map_err(failed)?;
            if key.name.is_empty() {
                let uri = format!(
                    "{}?fieldManager=kubectl-create",
                    route.collection(&key.namespace)
                );
                self.send(Method::POST, &uri, "application/json", object)
                    .await
                    .map_err(|error| failed(error.to_string()))?;
                continue;
            }
            for outcome in kubectl.apply(vec![apply_ask(&key, route, object)]).await {
                outcome.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Merge-patches every object that `target` names.
    pub(crate) async fn patch(&self, target: &Reference, merge: &Value) -> Result<(), String> {
        for (route, key) in self.find(target).await? {
            let uri = format!(
                "{}?fieldManager=kubectl-patch",
                route.item(&key.namespace, &key.name)
            );
            self.send(Method::PATCH, &uri, PatchType::Merge.content_type(), merge)
                .await
                .map_err(|error| {
                    format!("cannot patch {}: {error}", key.short(self.shared.home()))
                })?;
        }
        Ok(())
    }

    /// Deletes every object that `target` names; Background unless given, as kubectl does. `force`: at once.
    pub(crate) async fn delete(
        &self,
        target: &Reference,
        propagation: Option<Propagation>,
        force: bool,
    ) -> Result<(), String> {
        let mut options =
            json!({"propagationPolicy": propagation.unwrap_or(Propagation::Background).as_str()});
        if force {
            options["gracePeriodSeconds"] = 0.into();
        }
        for (route, key) in self.find(target).await? {
            self.send(
                Method::DELETE,
                &route.item(&key.namespace, &key.name),
                "application/json",
                &options,
            )
            .await
            .map_err(|error| format!("cannot delete {}: {error}", key.short(self.shared.home())))?;
        }
        Ok(())
    }

    /// Makes an object of `cluster.objects`. Its status is kept and no controller touches it then; a CRD is awaited.
    pub(crate) async fn set_up(&self, object: &Arc<Value>) -> Result<(), String> {
        let key = desired_key(object, self.shared.home());
        let name = key.short(self.shared.home());
        let status = object.get("status").filter(|status| !status.is_null());
        if status.is_some() {
            self.shared.cluster.freeze(&key);
        }
        let route = self.route_of(object)?;
        let uri = format!(
            "{}?fieldManager=kubectl-create",
            route.collection(&key.namespace)
        );
        let failed = |error: CallError| format!("cannot create {name} of cluster.objects: {error}");
        let stored = match self
            .send(Method::POST, &uri, "application/json", object)
            .await
        {
            // What a cluster has from the start (the namespace `default`, a ServiceAccount) may be stated all the same.
            Err(CallError::Api(error)) if error.is_already_exists() => {
                let uri = format!(
                    "{}?fieldManager=kubectl-patch",
                    route.item(&key.namespace, &key.name)
                );
                self.send(Method::PATCH, &uri, PatchType::Merge.content_type(), object)
                    .await
                    .map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        if let Some(status) = status {
            let uri = format!(
                "{}/status?fieldManager=kubectl-create",
                route.item(&key.namespace, object::name(&stored))
            );
            let body = json!({"status": status});
            match self
                .send(Method::PATCH, &uri, PatchType::Merge.content_type(), &body)
                .await
            {
                // A kind without the subresource has taken the status with the object.
                Err(error) if error.is_not_found() => {}
                other => drop(other.map_err(failed)?),
            }
        }
        if CustomKind::of(object).is_some() && key.kind == "CustomResourceDefinition" {
            self.await_crd(&route, &key).await?;
        }
        Ok(())
    }

    async fn await_crd(&self, route: &Route, key: &ObjectKey) -> Result<(), String> {
        let clock = &self.shared.clock;
        let end = clock.now() + CRD_WAIT;
        loop {
            let crd = self
                .send(Method::GET, &route.item("", &key.name), "", &Value::Null)
                .await
                .map_err(|error| {
                    format!("cannot read CustomResourceDefinition/{}: {error}", key.name)
                })?;
            if crate::shared::is_established(&crd) {
                let kind = CustomKind::of(&crd);
                self.shared
                    .state()
                    .custom_kinds
                    .extend(kind.map(|kind| (key.name.clone(), kind)));
                return Ok(());
            }
            if clock.now() >= end {
                return Err(format!(
                    "CustomResourceDefinition/{} of cluster.objects was not Established within 60s",
                    key.name
                ));
            }
            clock.sleep(Duration::from_millis(100)).await;
        }
    }

    /// The objects a reference names at this moment: one by its name, or all that fit a pattern.
    async fn find(&self, target: &Reference) -> Result<Vec<(Route, ObjectKey)>, String> {
        let home = self.shared.home();
        let route = self.route_of_reference(target)?;
        let namespace = match &target.namespace {
            Some(written) if written.is_wildcard() => String::new(),
            Some(written) => written.0.clone(),
            None => home.to_owned(),
        };
        let namespace = if route.namespaced {
            namespace
        } else {
            String::new()
        };
        let list = self
            .send(Method::GET, &route.collection(&namespace), "", &Value::Null)
            .await
            .map_err(|error| format!("cannot list {}: {error}", route.plural))?;
        let keys: Vec<ObjectKey> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| {
                ObjectKey::new(
                    &route.gvk.group,
                    &route.gvk.kind,
                    object::namespace(item),
                    object::name(item),
                )
            })
            .filter(|key| target.matches(key, home))
            .collect();
        if keys.is_empty() {
            return Err(format!(
                "there is no {target} at {}",
                self.shared.clock.now()
            ));
        }
        keys.into_iter()
            .map(|key| Ok((self.route_of_reference(target)?, key)))
            .collect()
    }

    fn route_of(&self, object: &Value) -> Result<Route, String> {
        let gvk = GroupVersionKind::of(object).ok_or("an object without apiVersion or kind")?;
        if let Some(kind) = kinds::find(&gvk.group, &gvk.kind) {
            return Ok(Route {
                gvk,
                plural: kind.plural.to_owned(),
                namespaced: kind.namespaced,
            });
        }
        let state = self.shared.state();
        let custom = state
            .custom_kinds
            .values()
            .find(|known| known.group == gvk.group && known.kind == gvk.kind);
        let custom = custom.ok_or_else(|| {
            format!(
                "no matches for kind \"{}\" in version \"{}\": ensure CRDs are installed first",
                gvk.kind,
                gvk.api_version()
            )
        })?;
        Ok(Route {
            gvk,
            plural: custom.plural.clone(),
            namespaced: custom.namespaced,
        })
    }

    fn route_of_reference(&self, target: &Reference) -> Result<Route, String> {
        let group_fits = |group: &str| target.group.as_deref().is_none_or(|wanted| wanted == group);
        if let Some(kind) = kinds::by_kind(&target.kind).find(|kind| group_fits(kind.group)) {
            let gvk = kind.group_kind().with_version(kind.versions[0]);
            return Ok(Route {
                gvk,
                plural: kind.plural.to_owned(),
                namespaced: kind.namespaced,
            });
        }
        let state = self.shared.state();
        let custom = state
            .custom_kinds
            .values()
            .find(|known| known.kind == target.kind && group_fits(&known.group));
        let custom = custom.ok_or_else(|| {
            format!("the kind of {target} is not served by the cluster at this moment")
        })?;
        let version = custom.versions.first().cloned().unwrap_or_default();
        let gvk = GroupVersionKind {
            group: custom.group.clone(),
            version,
            kind: custom.kind.clone(),
        };
        Ok(Route {
            gvk,
            plural: custom.plural.clone(),
            namespaced: custom.namespaced,
        })
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let transport = |error: &dyn std::fmt::Display| CallError::Transport(error.to_string());
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(http::header::USER_AGENT, "kubectl");
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            request = request.header(http::header::CONTENT_TYPE, content_type);
            Bytes::from(serde_json::to_vec(body).map_err(|error| transport(&error))?)
        };
        let request = request
            .body(Body::from(bytes))
            .map_err(|error| transport(&error))?;
        let response = self
            .seam
            .clone()
            .oneshot(request)
            .await
            .map_err(|error| transport(&error))?;
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|error| transport(&error))?
            .to_bytes();
        let answer: Value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        if status.is_success() {
            return Ok(answer);
        }
        let text = || {
            Status::new(
                status.as_u16(),
                "",
                answer
                    .as_str()
                    .unwrap_or("the server could not be understood")
                    .trim(),
            )
        };
        Err(CallError::Api(
            Status::from_json(&answer).unwrap_or_else(text),
        ))
    }
}
