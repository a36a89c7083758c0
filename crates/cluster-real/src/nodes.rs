//! Virtual nodes: made before a run, kept alive during it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use http::Request;
use jiff::Timestamp;
use tokio::time::sleep;
use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::timestamp::Epoch;
use wavetank_model::{ObjectKey, object};
use wavetank_workload::{latency, node};

use crate::discovery;
use crate::hub::revision;
use crate::resource::Resource;

/// Virtual nodes must be ready within this time.
const WAIT: Duration = Duration::from_secs(60);

/// Makes the virtual nodes, with `labels`, and the class `standard`, and waits until Pods can be put on the nodes.
pub(crate) async fn make(
    client: &kube::Client,
    resources: &[Resource],
    workload: &wavetank_workload::Config,
    labels: &BTreeMap<String, String>,
) -> Result<(), String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a node that reports an old heartbeat is not ready"
    )]
    let epoch = Epoch::new(Timestamp::now());
    let config = wavetank_workload::Config {
        epoch,
        ..workload.clone()
    };
    let mut nodes = Vec::new();
    for mut object in wavetank_workload::bootstrap(&config) {
        let key = ObjectKey::of(&object).ok_or("an object without kind")?;
        let resource = resources
            .iter()
            .find(|resource| resource.gvk.group_kind() == key.group_kind())
            .ok_or_else(|| format!("the server does not have {}", key.group_kind()))?;
        if key.kind == "Node" {
            nodes.push(resource.item(&key));
            for (name, value) in labels {
                object["metadata"]["labels"][name] = value.as_str().into();
            }
        }
        let uri = format!(
            "{}?fieldManager=kubelet",
            resource.collection(&key.namespace)
        );
        let body = serde_json::to_vec(&object).map_err(|error| error.to_string())?;
        let request = Request::post(uri)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| error.to_string())?;
        match client.request::<Value>(request).await {
            Ok(_) => {}
            // A class that the cluster brings itself.
            Err(kube::Error::Api(status)) if status.code == 409 && key.kind != "Node" => {}
            Err(error) => return Err(format!("{key} cannot be made: {error}")),
        }
    }
    let ready = join_all(nodes.iter().map(|path| untainted(client, path)));
    let ready = tokio::time::timeout(WAIT, ready)
        .await
        .map_err(|_| "the virtual nodes did not become ready within 60 s".to_owned())?;
    ready.into_iter().collect()
}

/// Waits until a node has no taint: its controller has seen it ready.
async fn untainted(client: &kube::Client, path: &str) -> Result<(), String> {
    loop {
        let node: Value = discovery::get(client, path).await?;
        let taints = node["spec"]["taints"].as_array().map_or(0, Vec::len);
        if taints == 0 && revision(&node) > 0 && !object::is_terminating(&node) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Takes and renews the Leases of the virtual nodes: as long as that is done they are alive. Never ends.
pub(crate) async fn keep_alive(client: kube::Client, nodes: usize) {
    loop {
        #[expect(
            clippy::disallowed_methods,
            reason = "the node controller compares it with its own clock"
        )]
        let now = Epoch::new(Timestamp::now()).micro_time(SimTime::ZERO);
        for index in 0..nodes {
            let name = node::name(index);
            let path = format!(
                "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}?fieldManager=kubelet&force=true"
            );
            let body = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": name}, "spec": node::lease_spec(&name, &now)});
            // Makes the Lease where it is not there.
            let request = Request::patch(path)
                .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
                .body(body.to_string().into_bytes());
            if let Ok(request) = request {
                // What fails is tried again in time: a node is given up after four renewals that did not come.
                client.request::<Value>(request).await.ok();
            }
        }
        sleep(latency::LEASE_RENEWAL).await;
    }
}
