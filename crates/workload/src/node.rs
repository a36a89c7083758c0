//! The nodes of the simulated cluster, and what else is there from the start (API-350).

use serde_json::{Value, json};
use wavetank_kernel::SimTime;

use crate::config::Config;

/// The name of node `index`.
pub fn name(index: usize) -> String {
    if index == 0 { "node-1".to_owned() } else { format!("node-{}", index + 1) }
}

/// The address of node `index`.
pub fn address(index: usize) -> String {
    let number = index + 2;
    format!("172.18.{}.{}", number / 256 % 256, number % 256)
}

/// The objects that the world creates at the start: nodes, with their Leases where the cluster is noisy, and the
/// StorageClass `standard`. Their status is to be stored as it is.
pub fn bootstrap(config: &Config) -> Vec<Value> {
    let mut out: Vec<Value> = (0..config.nodes).map(|index| node(index, config)).collect();
    if config.noise {
        out.extend((0..config.nodes).map(|index| lease(index, config)));
    }
    out.push(json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "wavetank.dev/volume",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": config.binding_mode.as_str(),
        "allowVolumeExpansion": true,
    }));
    out
}

fn node(index: usize, config: &Config) -> Value {
    let (name, now) = (name(index), config.epoch.time(SimTime::ZERO));
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let resources = json!({"cpu": "16", "memory": "65536Mi", "ephemeral-storage": "100Gi", "pods": "10000"});
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
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address(index)},
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
                "kubeletVersion": "v1.36.2",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "wavetank",
                "systemUUID": "",
            },
        },
    })
}

fn lease(index: usize, config: &Config) -> Value {
    let name = name(index);
    let now = config.epoch.micro_time(SimTime::ZERO);
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
    })
}
