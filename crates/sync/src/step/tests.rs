//! Passes over a cluster in memory: the worked traces of the specification, then rule by rule.

mod failures;
mod hooks;
mod order;
mod prunes;
mod strategy;
mod traces;

use wavetank_json::Value;

use crate::testing::{Cluster, object, tracked};

/// A cluster that has the objects of `text`, tracked by the app.
fn cluster_with(text: &str) -> Cluster {
    let mut cluster = Cluster::new();
    for object in tracked(text) {
        cluster.put(Value::clone(&object));
    }
    cluster
}

/// A cluster without the destination namespace.
fn without_namespace() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.remove("Namespace/demo");
    cluster
}

/// Marks an object as being deleted.
fn terminate(cluster: &mut Cluster, name: &str) {
    cluster.edit(name)["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
}

#[test]
fn a_text_describes_an_object() {
    let object = object("Job/x wave=3");
    assert_eq!(object["apiVersion"], "batch/v1");
}
