//! Which volume a claim gets (API-353).

use wavetank_json::{Value, json};
use wavetank_model::ObjectKey;

use crate::cluster::Cluster;
use crate::objects::pod;

fn volume(name: &str, size: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "hostPath": {"path": "/x"},
        },
    })
}

fn claim(name: &str, size: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": size}},
        },
    })
}

/// The volume of a claim, and its phase.
fn bound(cluster: &mut Cluster, name: &str) -> String {
    let key = ObjectKey::new("", "PersistentVolumeClaim", "default", name);
    let claim = cluster.get(&key).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "{} {}",
        text(&claim["status"]["phase"]),
        text(&claim["spec"]["volumeName"])
    )
}

#[test]
fn claims_get_the_smallest_volumes_of_their_class_that_fit() {
    let mut cluster = Cluster::new(Vec::new());
    for (name, size, class) in [
        ("a", "10Gi", "slow"),
        ("b", "2Gi", "slow"),
        ("c", "2048Mi", "slow"),
        ("d", "1Gi", "fast"),
        ("e", "1Gi", "slow"),
    ] {
        cluster.create(volume(name, size, class));
    }
    for (name, size, class) in [
        ("one", "1500M", "slow"),
        ("two", "1500M", "slow"),
        ("three", "1500M", "slow"),
        ("four", "1500M", "slow"),
        ("five", "1Gi", "fast"),
    ] {
        cluster.create(claim(name, size, class));
    }
    cluster.run();
    let mut volumes: Vec<String> = ["one", "two", "three", "four", "five"]
        .map(|name| bound(&mut cluster, name))
        .into();
    volumes.sort();
    assert_eq!(
        volumes,
        ["Bound a", "Bound b", "Bound c", "Bound d", "Pending -"]
    );
    let last = ["one", "two", "three", "four"]
        .into_iter()
        .find(|name| bound(&mut cluster, name) == "Pending -")
        .unwrap();
    cluster.create(volume("f", "3Gi", "slow"));
    cluster.run();
    assert_eq!(bound(&mut cluster, last), "Bound f");
}

#[test]
fn a_volume_meant_for_a_claim_is_not_given_to_others() {
    let mut cluster = Cluster::new(Vec::new());
    let mut meant = volume("v", "5Gi", "slow");
    meant["spec"]["claimRef"] = json!({"namespace": "default", "name": "second"});
    cluster.create(meant);
    cluster.create(claim("first", "1Gi", "slow"));
    cluster.create(claim("second", "1Gi", "slow"));
    cluster.run();
    assert_eq!(bound(&mut cluster, "first"), "Pending -");
    assert_eq!(bound(&mut cluster, "second"), "Bound v");
}

#[test]
fn a_volume_that_is_free_again_is_taken() {
    let mut cluster = Cluster::new(Vec::new());
    let mut meant = volume("v", "5Gi", "slow");
    meant["spec"]["claimRef"] = json!({"namespace": "default", "name": "nobody"});
    cluster.create(meant);
    cluster.create(claim("first", "1Gi", "slow"));
    cluster.run();
    assert_eq!(bound(&mut cluster, "first"), "Pending -");
    let key = ObjectKey::new("", "PersistentVolume", "", "v");
    cluster.merge(&key, json!({"spec": {"claimRef": null}}));
    cluster.run();
    assert_eq!(bound(&mut cluster, "first"), "Bound v");
}

#[test]
fn a_class_that_waits_for_a_pod_leaves_free_volumes_alone_until_then() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    }));
    cluster.create(volume("v", "1Gi", "local"));
    cluster.create(claim("data", "1Gi", "local"));
    cluster.run();
    assert_eq!(bound(&mut cluster, "data"), "Pending -");
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    cluster.create(pod("user", json!({"volumes": volumes})));
    cluster.run();
    assert_eq!(bound(&mut cluster, "data"), "Bound v");
    let key = ObjectKey::new("", "Pod", "default", "user");
    assert_eq!(cluster.get(&key).unwrap()["status"]["phase"], "Running");
}
