//! Namespaces: what exists at the start, what a new one gets, how one ends (API-234 to 242).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::At;
use wavetank_model::{DeleteOptions, GroupKind, Propagation, object};

use crate::config::Bootstrap;
use crate::create::Call;
use crate::delete::is_namespace;
use crate::registry::Resource;
use crate::server::{Server, Work};
use crate::store::Event;

const ACTOR: &str = "namespace-controller";
const MANAGER: &str = "kube-controller-manager";

/// What is left in a namespace that is going away.
#[derive(Debug, Default)]
struct Remaining {
    /// Objects by resource.
    objects: BTreeMap<String, usize>,
    /// Objects by finalizer.
    finalizers: BTreeMap<String, usize>,
}

impl Server {
    /// What follows from a commit.
    pub(crate) fn after_commit(
        &mut self,
        resource: &Arc<Resource>,
        event: &Event,
        value: &Value,
        now: SimTime,
    ) {
        self.plan_collection(resource, event, value, now);
        self.after_definition(resource, event, value, now);
        self.plan_expiry(resource, event, now);
        self.after_policy(resource);
        if is_namespace(resource) {
            if event.old.is_none() {
                self.furnish(object::name(value), now);
            } else if event.new.terminating && !event.deleted {
                self.plan_end(object::name(value), now);
            }
        } else if event.deleted && resource.namespaced {
            let namespace = object::namespace(value);
            let ending = self
                .registry
                .by_plural("", "namespaces")
                .is_some_and(|namespaces| {
                    self.store
                        .get(namespaces.table, namespace)
                        .is_some_and(|stored| stored.terminating)
                });
            if ending {
                self.plan_end(namespace, now);
            }
        }
    }

    fn plan_end(&mut self, name: &str, now: SimTime) {
        if self.planned.namespaces.insert(name.to_owned()) {
            self.plan(
                now + self.config.latencies.namespace,
                Work::EndNamespace(name.to_owned()),
            );
        }
    }

    /// Makes the objects that exist before anything happens (API-234).
    pub(crate) fn bootstrap(&mut self) {
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            self.make(
                "",
                "Namespace",
                json!({"metadata": {"name": name}}),
                SimTime::ZERO,
            );
        }
        if self.config.rbac {
            self.bootstrap_roles();
        }
        if self.config.bootstrap == Bootstrap::Full {
            let ports =
                json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]);
            self.make(
                "",
                "Service",
                json!({
                    "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
                    "spec": {"clusterIP": "10.96.0.1", "ports": ports},
                }),
                SimTime::ZERO,
            );
            for (name, value) in [
                ("system-cluster-critical", 2_000_000_000),
                ("system-node-critical", 2_000_001_000),
            ] {
                self.make(
                    "scheduling.k8s.io",
                    "PriorityClass",
                    json!({"metadata": {"name": name}, "value": value}),
                    SimTime::ZERO,
                );
            }
        }
    }

    /// Gives a new namespace what controllers put into each one (API-237), in the same instant.
    fn furnish(&mut self, namespace: &str, now: SimTime) {
        self.make(
            "",
            "ServiceAccount",
            json!({"metadata": {"name": "default", "namespace": namespace}}),
            now,
        );
        if self.config.bootstrap == Bootstrap::Full {
            self.make(
                "",
                "ConfigMap",
                json!({
                    "metadata": {
                        "name": "kube-root-ca.crt", "namespace": namespace,
                        "annotations": {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."},
                    },
                    "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"},
                }),
                now,
            );
        }
    }

    /// Creates an object as kube-controller-manager. A failure means that somebody else made it before: as good.
    pub(crate) fn make(&mut self, group: &str, kind: &str, object: Value, now: SimTime) {
        let Some(resource) = self.registry.by_kind(&GroupKind::new(group, kind)).cloned() else {
            return;
        };
        let namespace = object::namespace(&object).to_owned();
        let mut call = Call::inside(&resource, MANAGER, MANAGER, &namespace, "", now);
        // Who deletes the namespace meanwhile gets no furniture.
        self.create(&mut call, object.into()).ok();
    }

    /// Takes a namespace that is going away one step further (API-239).
    pub(crate) fn end_namespace(&mut self, name: &str, now: SimTime) {
        self.planned.namespaces.remove(name);
        let Some(namespaces) = self.registry.by_plural("", "namespaces").cloned() else {
            return;
        };
        let Some(stored) = self
            .store
            .get(namespaces.table, name)
            .filter(|stored| stored.terminating)
            .cloned()
        else {
            return;
        };
        if object_finalizers(&self.store.value(&stored))
            .next()
            .is_none()
        {
            return;
        }
        let pods = self.registry.by_plural("", "pods").cloned();
        let mut remaining = Remaining::default();
        if let Some(pods) = &pods {
            self.empty_table(pods, name, &mut remaining, now);
        }
        // Other things go when the Pods are gone.
        if remaining.objects.is_empty() {
            let others: Vec<Arc<Resource>> = self
                .registry
                .iter()
                .filter(|resource| {
                    resource.namespaced && resource.has_verb('d') && resource.has_verb('l')
                })
                .cloned()
                .collect();
            for resource in others {
                self.empty_table(&resource, name, &mut remaining, now);
            }
        }
        self.report_end(&namespaces, name, &remaining, now);
        if remaining.objects.is_empty() {
            self.finish_end(&namespaces, name, now);
        }
    }

    fn empty_table(
        &mut self,
        resource: &Arc<Resource>,
        namespace: &str,
        remaining: &mut Remaining,
        now: SimTime,
    ) {
        let found: Vec<_> = self
            .store
            .scan(resource.table, namespace)
            .cloned()
            .collect();
        for stored in found.iter().filter(|stored| !stored.terminating) {
            let value = self.store.value(stored);
            let mut call = Call::inside(
                resource,
                ACTOR,
                MANAGER,
                namespace,
                object::name(&value),
                now,
            );
            let options = DeleteOptions {
                propagation: Some(Propagation::Background),
                ..DeleteOptions::default()
            };
            // What is refused stays, and the namespace with it.
            self.delete(&mut call, &options).ok();
        }
        let left: Vec<_> = self
            .store
            .scan(resource.table, namespace)
            .cloned()
            .collect();
        if left.is_empty() {
            return;
        }
        remaining
            .objects
            .insert(resource.group_resource(), left.len());
        for stored in left {
            for finalizer in object::finalizers(&self.store.value(&stored)) {
                *remaining
                    .finalizers
                    .entry(finalizer.to_owned())
                    .or_default() += 1;
            }
        }
    }

    /// Writes the conditions of a namespace that is going away.
    fn report_end(
        &mut self,
        namespaces: &Arc<Resource>,
        name: &str,
        remaining: &Remaining,
        now: SimTime,
    ) {
        let Some(stored) = self.store.get(namespaces.table, name).cloned() else {
            return;
        };
        let mut object = Value::clone(&self.store.value(&stored));
        let stamp = self.timestamp(now);
        let shown = |counts: &BTreeMap<String, usize>, join: &str| {
            let texts: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{name}{join}{count} resource instances"))
                .collect();
            texts.join(", ")
        };
        let content = remaining
            .objects
            .iter()
            .map(|(name, count)| {
                (
                    if name.contains('.') {
                        name.clone()
                    } else {
                        format!("{name}.")
                    },
                    *count,
                )
            })
            .collect();
        let rows = [
            (
                "NamespaceDeletionDiscoveryFailure",
                "ResourcesDiscovered",
                "All resources successfully discovered",
                None,
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
                None,
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
                None,
            ),
            (
                "NamespaceContentRemaining",
                "ContentRemoved",
                "All content successfully removed",
                (!remaining.objects.is_empty()).then(|| {
                    (
                        "SomeResourcesRemain",
                        format!("Some resources are remaining: {}", shown(&content, " has ")),
                    )
                }),
            ),
            (
                "NamespaceFinalizersRemaining",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
                (!remaining.finalizers.is_empty()).then(|| {
                    let texts = shown(&remaining.finalizers, " in ");
                    (
                        "SomeFinalizersRemain",
                        format!("Some content in the namespace has finalizers remaining: {texts}"),
                    )
                }),
            ),
        ];
        let before = object
            .at(&["status", "conditions"])
            .cloned()
            .unwrap_or_default();
        let conditions: Vec<Value> = rows
            .into_iter()
            .map(|(kind, good, text, bad)| {
                let status = if bad.is_some() { "True" } else { "False" };
                let (reason, message) = bad.unwrap_or((good, text.to_owned()));
                let same = before.as_array().into_iter().flatten().find(|one| one["type"] == kind && one["status"] == status);
                let since = same.and_then(|one| one["lastTransitionTime"].as_str()).unwrap_or(&stamp);
                json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
            })
            .collect();
        object["status"]["conditions"] = Value::from(conditions);
        let mut call = Call::inside(namespaces, ACTOR, MANAGER, "", name, now);
        "status".clone_into(&mut call.subresource);
        // A namespace that changed meanwhile is looked at again.
        self.update(&mut call, object.into()).ok();
    }

    /// Takes the finalizer `kubernetes` away.
    fn finish_end(&mut self, namespaces: &Arc<Resource>, name: &str, now: SimTime) {
        let Some(stored) = self.store.get(namespaces.table, name).cloned() else {
            return;
        };
        let mut object = Value::clone(&self.store.value(&stored));
        let left: Vec<Value> = object_finalizers(&object)
            .filter(|finalizer| *finalizer != "kubernetes")
            .cloned()
            .collect();
        object["spec"]["finalizers"] = Value::from(left);
        let mut call = Call::inside(namespaces, ACTOR, MANAGER, "", name, now);
        "finalize".clone_into(&mut call.subresource);
        // A namespace that changed meanwhile is looked at again.
        self.update(&mut call, object.into()).ok();
    }
}

/// `spec.finalizers` of a Namespace.
fn object_finalizers(namespace: &Value) -> impl Iterator<Item = &Value> {
    namespace
        .at(&["spec", "finalizers"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
