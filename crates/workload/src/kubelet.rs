//! The kubelet stand-in of the simulated cluster: carries out what a Pod's machine says.
//!
//! The decisions are in [`machine`] and know no API; a stand-in on a real cluster drives the same machines.

pub(crate) mod machine;

pub(crate) mod conduct;
pub(crate) mod container;
pub(crate) mod report;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::object::At;
use wavetank_model::{Api, DeleteOptions, ObjectKey, PatchType, Status, object};

use self::machine::{Machine, Obstacle, Step};
use crate::context::{Again, Context};
use crate::read::{flag, int, list, text};

/// The manager of the kubelet's writes.
pub(crate) const MANAGER: &str = "kubelet";

/// All Pods that run, by uid.
#[derive(Debug, Default)]
pub(crate) struct Kubelet {
    machines: BTreeMap<String, Machine>,
    /// Pods that wait for a `ConfigMap`, Secret or claim.
    hindered: BTreeSet<Arc<ObjectKey>>,
    addresses: u32,
}

impl Kubelet {
    /// Forgets a Pod that is gone.
    pub(crate) fn forget(&mut self, key: &Arc<ObjectKey>, uid: &str) {
        self.machines.remove(uid);
        self.hindered.remove(key);
    }

    /// The Pods of `namespace` that wait for something to be created.
    pub(crate) fn hindered(&self, namespace: &str) -> Vec<Arc<ObjectKey>> {
        self.hindered
            .iter()
            .filter(|key| key.namespace == namespace)
            .map(Arc::clone)
            .collect()
    }

    /// Takes note of a Pod before it is scheduled, so that its number among the attempts is that of its creation; says
    /// whether its script keeps it from being scheduled.
    pub(crate) fn admit(&mut self, key: &ObjectKey, context: &mut Context<'_>) -> bool {
        let Some(pod) = context.api.get(key) else {
            return false;
        };
        self.machine(key, &pod, context).is_held()
    }

    fn machine(&mut self, key: &ObjectKey, pod: &Value, context: &mut Context<'_>) -> &mut Machine {
        let (addresses, epoch) = (&mut self.addresses, context.config.epoch);
        self.machines
            .entry(object::uid(pod).to_owned())
            .or_insert_with(|| {
                let number = *addresses;
                *addresses += 1;
                // 10.244.0.0/16, without the first two and the last addresses of each /24.
                let address = format!("10.244.{}.{}", number / 250 % 256, number % 250 + 2);
                let behaviour = context.scripts.for_pod(context.api, key, pod);
                Machine::new(pod, behaviour, epoch, address)
            })
    }

    /// Does everything that is due for one Pod.
    pub(crate) fn sync(
        &mut self,
        key: &Arc<ObjectKey>,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        loop {
            let Some(pod) = context.api.get(key) else {
                return Ok(Again::Never);
            };
            let node = text(&pod, &["spec", "nodeName"]);
            if node.is_empty() || context.role.is_real(node) {
                return Ok(Again::Never);
            }
            let machine = self.machine(key, &pod, context);
            // A real scheduler knows of no script: the Pod stays Pending on its node.
            if machine.is_held() && !object::is_terminating(&pod) {
                return Ok(Again::Never);
            }
            if machine.since.is_none() {
                let Some(address) = node_address(context.api, text(&pod, &["spec", "nodeName"]))
                else {
                    return Ok(Again::Never);
                };
                machine.set_host(address);
            }
            let obstacle = machine.is_starting().then(|| obstacle(context.api, &pod));
            if let Some(obstacle) = obstacle {
                machine.set_obstacle(obstacle.clone(), context.now);
                if obstacle.is_some() {
                    self.hindered.insert(Arc::clone(key));
                } else {
                    self.hindered.remove(key);
                }
            }
            let machine = self.machine(key, &pod, context);
            let (chance, chooser) = (&mut *context.chance, &mut *context.chooser);
            match machine.next_step(&pod, context.now, &mut |delay| chance.draw(delay, chooser)) {
                Step::Wait { at: None, .. } => return Ok(Again::Never),
                Step::Wait { at: Some(at), load } => return Ok(Again::At(at, load)),
                Step::Report(patch) => {
                    match context
                        .api
                        .patch(MANAGER, key, "status", PatchType::Strategic, patch)
                    {
                        Ok(reported) => words::note(&pod, &reported, context),
                        Err(refusal) => {
                            machine.report_refused();
                            return Err(refusal);
                        }
                    }
                }
                Step::Remove => return remove(key, &pod, context),
            }
        }
    }
}

/// The address of a node; `None` when there is no such node, hence no kubelet.
fn node_address(api: &dyn Api, name: &str) -> Option<String> {
    let node = api.get(&ObjectKey::new("", "Node", "", name))?;
    let addresses = list(&node, &["status", "addresses"]);
    let internal = addresses
        .iter()
        .find(|address| text(address, &["type"]) == "InternalIP");
    Some(
        internal
            .map(|address| text(address, &["address"]).to_owned())
            .unwrap_or_default(),
    )
}

fn remove(key: &ObjectKey, pod: &Value, context: &mut Context<'_>) -> Result<Again, Status> {
    if int(pod, &["metadata", "deletionGracePeriodSeconds"]) == Some(0) {
        // Only finalizers hold it.
        return Ok(Again::Never);
    }
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        uid: Some(object::uid(pod).to_owned()),
        ..DeleteOptions::default()
    };
    match context.api.delete(MANAGER, key, &options) {
        Err(status) if !status.is_not_found() => Err(status),
        _ => Ok(Again::Never),
    }
}

/// What hinders the start of the Pod's containers: a `ConfigMap`, Secret or claim that is not there.
fn obstacle(api: &dyn Api, pod: &Value) -> Option<Obstacle> {
    let namespace = object::namespace(pod);
    let missing = |kind: &str, name: &str| {
        !name.is_empty()
            && api
                .get(&ObjectKey::new("", kind, namespace, name))
                .is_none()
    };
    for volume in list(pod, &["spec", "volumes"]) {
        for (source, field, kind) in [
            ("configMap", "name", "ConfigMap"),
            ("secret", "secretName", "Secret"),
        ] {
            let Some(source) = volume.get(source) else {
                continue;
            };
            if !flag(source, &["optional"]) && missing(kind, text(source, &[field])) {
                return Some(Obstacle::Volume);
            }
        }
    }
    let containers = list(pod, &["spec", "initContainers"])
        .iter()
        .chain(list(pod, &["spec", "containers"]));
    for container in containers {
        let sources = list(container, &["envFrom"]).iter().chain(
            list(container, &["env"])
                .iter()
                .filter_map(|variable| variable.get("valueFrom")),
        );
        for source in sources {
            if let Some(obstacle) = environment_obstacle(api, namespace, source) {
                return Some(obstacle);
            }
        }
    }
    None
}

fn environment_obstacle(api: &dyn Api, namespace: &str, source: &Value) -> Option<Obstacle> {
    let kinds = [
        ("configMapRef", "ConfigMap", "configmap"),
        ("configMapKeyRef", "ConfigMap", "configmap"),
        ("secretRef", "Secret", "secret"),
        ("secretKeyRef", "Secret", "secret"),
    ];
    for (field, kind, resource) in kinds {
        let Some(reference) = source.get(field) else {
            continue;
        };
        let name = text(reference, &["name"]);
        if flag(reference, &["optional"]) || name.is_empty() {
            continue;
        }
        let Some(object) = api.get(&ObjectKey::new("", kind, namespace, name)) else {
            return Some(Obstacle::Config(format!("{resource} \"{name}\" not found")));
        };
        let key = text(reference, &["key"]);
        let has = |data: &str| object.at(&[data, key]).is_some();
        if !key.is_empty() && !has("data") && !has("binaryData") {
            return Some(Obstacle::Config(format!(
                "couldn't find key {key} in {kind} {namespace}/{name}"
            )));
        }
    }
    None
}
