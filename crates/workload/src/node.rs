//! The nodes of the simulated cluster, and what else is there from the start (API-350).

use wavetank_json::{Value, json};
use wavetank_kernel::{Load, SimTime};
use wavetank_model::{ObjectKey, PatchType, Status, kinds, object};

use crate::agenda::Task;
use crate::config::Config;
use crate::context::{Again, Context};
use crate::read::list;
use crate::{kubelet, latency};

/// The name of node `index`.
pub fn name(index: usize) -> String {
    format!("node-{}", index + 1)
}

/// The address of node `index`.
pub fn address(index: usize) -> String {
    let number = index + 2;
    format!("172.18.{}.{}", number / 256 % 256, number % 256)
}

/// The objects that the world creates at the start: nodes, and the `StorageClass` named `standard`.
pub fn bootstrap(config: &Config) -> Vec<Value> {
    let mut out: Vec<Value> = (0..config.nodes).map(|index| node(index, config)).collect();
    out.push(json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": config.binding_mode.as_str(),
        "allowVolumeExpansion": true,
    }));
    out
}

/// The namespace of the nodes' Leases.
pub(crate) const LEASES: &str = "kube-node-lease";

/// Who makes the volumes of the class `standard`.
pub const PROVISIONER: &str = "wavetank.dev/volume";

fn node(index: usize, config: &Config) -> Value {
    let name = name(index);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"], "providerID": format!("wavetank://{name}")},
        "status": status(&name, &address(index), &config.epoch.time(SimTime::ZERO)),
    })
}

/// The status of a Ready node.
fn status(name: &str, address: &str, now: &str) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let resources =
        json!({"cpu": "16", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "10k"});
    json!({
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ],
        "capacity": resources,
        "allocatable": resources,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "containerd://2.1.0",
            "kernelVersion": "6.1.0",
            "kubeProxyVersion": "",
            "kubeletVersion": format!("v{}", kinds::VERSION),
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "wavetank",
            "systemUUID": "",
        },
    })
}

/// What a node's kubelet does first: it takes a Lease, where the cluster is noisy, and reports the node Ready unless its
/// status says something.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(node) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let lease_key = ObjectKey::new("coordination.k8s.io", "Lease", LEASES, key.name.as_str());
    if context.config.noise
        && context.role.does(Task::Lease)
        && context.api.get(&lease_key).is_none()
    {
        let lease = lease(&node, context);
        context.api.create(kubelet::MANAGER, lease)?;
    }
    if !list(&node, &["status", "conditions"]).is_empty() {
        return Ok(Again::Never);
    }
    let known = (0..context.config.nodes).find(|index| name(*index) == object::name(&node));
    let status = status(
        &key.name,
        &address(known.unwrap_or(context.config.nodes)),
        &context.api.timestamp(),
    );
    context.api.patch(
        kubelet::MANAGER,
        key,
        "status",
        PatchType::Merge,
        json!({"status": status}),
    )?;
    Ok(Again::Never)
}

/// The Lease goes with its node.
fn lease(node: &Value, context: &Context<'_>) -> Value {
    let name = object::name(node);
    let now = context.config.epoch.micro_time(context.now);
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": object::uid(node)});
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASES, "ownerReferences": [owner]},
        "spec": lease_spec(name, &now),
    })
}

/// The spec of a node's Lease, renewed at `now`, RFC 3339 with microseconds.
pub fn lease_spec(node: &str, now: &str) -> Value {
    json!({"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now})
}

/// Renews a node's Lease.
pub(crate) fn sync_lease(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    if context.api.get(key).is_none() {
        return Ok(Again::Never);
    }
    let now = context.config.epoch.micro_time(context.now);
    context.api.patch(
        kubelet::MANAGER,
        key,
        "",
        PatchType::Merge,
        json!({"spec": {"renewTime": now}}),
    )?;
    Ok(Again::At(
        context.now + latency::LEASE_RENEWAL,
        Load::Upkeep,
    ))
}
