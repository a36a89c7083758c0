//! Volumes and claims (API-353).

use wavetank_json::{Value, json};
use wavetank_model::{DeleteOptions, ObjectKey};
use wavetank_workload::{BindingMode, Config};

use crate::cluster::Cluster;
use crate::objects::{object, pod};

fn claim() -> Value {
    object(
        "v1",
        "PersistentVolumeClaim",
        "data",
        json!({"spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "standard", "resources": {"requests": {"storage": "1Gi"}},
        }}),
    )
}

fn key() -> ObjectKey {
    ObjectKey::new("", "PersistentVolumeClaim", "default", "data")
}

fn user() -> Value {
    pod(
        "user",
        json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}),
    )
}

#[test]
fn a_claim_of_an_immediate_class_is_bound() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(claim());
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["PersistentVolumeClaim", "PersistentVolume"]), @r#"
    1.0s PersistentVolumeClaim/data created by user
    2.010s PersistentVolume/pvc-uid:data created by kube-controller-manager
    2.010s PersistentVolume/pvc-uid:data updated by kube-controller-manager {"status":{"phase":"Bound"}}
    2.010s PersistentVolumeClaim/data updated by kube-controller-manager {"metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.beta.kubernetes.io/storage-provisioner":"wavetank.dev/volume","volume.kubernetes.io/storage-provisioner":"wavetank.dev/volume"}},"spec":{"volumeName":"pvc-uid:data"}}
    2.010s PersistentVolumeClaim/data updated by kube-controller-manager {"status":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"},"phase":"Bound"}}
    "#);
}

#[test]
fn a_claim_waits_for_its_consumer_and_the_pod_for_its_claim() {
    let mut cluster = Cluster::with(
        Vec::new(),
        Config {
            binding_mode: BindingMode::WaitForFirstConsumer,
            ..Config::default()
        },
    );
    cluster.create(claim());
    cluster.run();
    assert_eq!(cluster.get(&key()).unwrap()["status"]["phase"], "Pending");
    cluster.create(user());
    cluster.run();
    assert_eq!(cluster.get(&key()).unwrap()["status"]["phase"], "Bound");
    assert_eq!(
        cluster
            .get(&ObjectKey::new("", "Pod", "default", "user"))
            .unwrap()["status"]["phase"],
        "Running"
    );
}

#[test]
fn a_pod_waits_for_a_claim_that_comes_later() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(user());
    cluster.run();
    cluster.create(claim());
    cluster.run();
    assert_eq!(
        cluster
            .get(&ObjectKey::new("", "Pod", "default", "user"))
            .unwrap()["status"]["phase"],
        "Running"
    );
}

#[test]
fn a_used_claim_goes_after_its_pod_and_the_volume_after_the_claim() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(claim());
    cluster.create(user());
    cluster.run();
    let mut bound = cluster.get(&key()).unwrap();
    if bound["metadata"].get("finalizers").is_none() {
        // The server under test may leave the finalizer to admission (API-289).
        cluster.merge(
            &key(),
            json!({"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}}),
        );
        bound = cluster.get(&key()).unwrap();
    }
    let volume = ObjectKey::new(
        "",
        "PersistentVolume",
        "",
        bound["spec"]["volumeName"].as_str().unwrap(),
    );
    cluster.delete(&key(), &DeleteOptions::default());
    cluster.run();
    assert!(cluster.get(&key()).is_some(), "the Pod uses it");
    cluster.delete(
        &ObjectKey::new("", "Pod", "default", "user"),
        &DeleteOptions::default(),
    );
    cluster.run();
    assert_eq!((cluster.get(&key()), cluster.get(&volume)), (None, None));
}
