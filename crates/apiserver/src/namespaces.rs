//! Namespaces: what exists at the start, what a new one gets, how one ends (API-234 to 242).

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::At;
use wavetank_model::{DeleteOptions, GroupKind, Propagation, Status, object};

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
    /// Why the objects of a resource could not be deleted, one text for each resource.
    refused: Vec<String>,
    /// The first of these refusals.
    failure: Option<Status>,
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
        self.plan_aggregation(resource, now);
        if is_namespace(resource) {
            if event.old.is_none() {
                self.furnish(object::name(value), now);
            } else if event.new.terminating && !event.deleted {
                self.plan_end(object::name(value), now);
            }
        } else if event.deleted && resource.namespaced {
            let namespace = object::namespace(value);
            if self.is_ending_namespace(namespace) {
                self.plan_end(namespace, now);
            }
        }
    }

    fn is_ending_namespace(&self, namespace: &str) -> bool {
        let namespaces = self.registry.by_plural("", "namespaces");
        namespaces.is_some_and(|namespaces| {
            self.store
                .get(namespaces.table, namespace)
                .is_some_and(|stored| stored.terminating)
        })
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
    pub(crate) fn furnish(&mut self, namespace: &str, now: SimTime) {
        let done = self.furnished(namespace, now);
        self.attempted(Work::Furnish(namespace.to_owned()), done, now);
    }

    fn furnished(&mut self, namespace: &str, now: SimTime) -> Result<(), Status> {
        let account = self.try_make(
            "",
            "ServiceAccount",
            json!({"metadata": {"name": "default", "namespace": namespace}}),
            now,
        );
        if self.config.bootstrap == Bootstrap::Full {
            let bundle = self.try_make(
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
            return account.and(bundle);
        }
        account
    }

    /// Creates an object that exists at the start. Nobody refuses it then.
    pub(crate) fn make(&mut self, group: &str, kind: &str, object: Value, now: SimTime) {
        self.try_make(group, kind, object, now).ok();
    }

    /// Creates an object as kube-controller-manager. That somebody else made it before is as good, and so is that the
    /// namespace is going away.
    fn try_make(
        &mut self,
        group: &str,
        kind: &str,
        object: Value,
        now: SimTime,
    ) -> Result<(), Status> {
        let Some(resource) = self.registry.by_kind(group, kind).cloned() else {
            return Ok(());
        };
        let namespace = object::namespace(&object).to_owned();
        let mut call = Call::inside(&resource, MANAGER, MANAGER, &namespace, "", now);
        match self.create(&mut call, object.into()) {
            Err(status) if !status.is_already_exists() && !self.is_ending_namespace(&namespace) => {
                Err(status)
            }
            _ => Ok(()),
        }
    }

    /// Takes a namespace that is going away one step further (API-239); again later, when something was refused.
    pub(crate) fn end_namespace(&mut self, name: &str, now: SimTime) {
        self.planned.namespaces.remove(name);
        let done = self.take_end_further(name, now);
        self.attempted(Work::EndNamespace(name.to_owned()), done, now);
    }

    fn take_end_further(&mut self, name: &str, now: SimTime) -> Result<(), Status> {
        let Some(namespaces) = self.registry.by_plural("", "namespaces").cloned() else {
            return Ok(());
        };
        let Some(stored) = self
            .store
            .get(namespaces.table, name)
            .filter(|stored| stored.terminating)
            .cloned()
        else {
            return Ok(());
        };
        if object_finalizers(&self.store.value(&stored))
            .next()
            .is_none()
        {
            return Ok(());
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
                if pods
                    .as_ref()
                    .is_some_and(|pods| pods.table == resource.table)
                {
                    continue;
                }
                self.empty_table(&resource, name, &mut remaining, now);
            }
        }
        self.report_end(&namespaces, name, &remaining, now)?;
        match remaining.failure {
            Some(status) => Err(status),
            None if remaining.objects.is_empty() => self.finish_end(&namespaces, name, now),
            None => Ok(()),
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
            call.of_collection = true;
            match self.delete(&mut call, &options) {
                Err(status) if !status.is_not_found() => {
                    // The rest of the collection waits, and is not counted.
                    remaining.refused.push(status.message.clone());
                    remaining.failure.get_or_insert(status);
                    return;
                }
                _ => {}
            }
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
    ) -> Result<(), Status> {
        let Some(stored) = self.store.get(namespaces.table, name).cloned() else {
            return Ok(());
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
                (!remaining.refused.is_empty()).then(|| {
                    let mut refused = remaining.refused.clone();
                    refused.sort();
                    let count = refused.len();
                    let all = refused.join(", ");
                    (
                        "ContentDeletionFailed",
                        format!("Failed to delete all resource types, {count} remaining: {all}"),
                    )
                }),
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
        self.update(&mut call, object.into()).map(|_| ())
    }

    /// Takes the finalizer `kubernetes` away.
    fn finish_end(
        &mut self,
        namespaces: &Arc<Resource>,
        name: &str,
        now: SimTime,
    ) -> Result<(), Status> {
        let Some(stored) = self.store.get(namespaces.table, name).cloned() else {
            return Ok(());
        };
        let mut object = Value::clone(&self.store.value(&stored));
        let left: Vec<Value> = object_finalizers(&object)
            .filter(|finalizer| *finalizer != "kubernetes")
            .cloned()
            .collect();
        object["spec"]["finalizers"] = Value::from(left);
        let mut call = Call::inside(namespaces, ACTOR, MANAGER, "", name, now);
        "finalize".clone_into(&mut call.subresource);
        self.update(&mut call, object.into()).map(|_| ())
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
