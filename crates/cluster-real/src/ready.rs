//! Whether a cluster that was just made can be used.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wavetank_cluster::ClusterError;
use wavetank_json::Value;
use wavetank_model::object;

use crate::discovery;

/// How long a cluster may take to become ready after it was made: half a minute, and much longer on a machine that is busy.
const READY: Duration = Duration::from_secs(300);

/// Waits until nodes, the system's Pods and the `ServiceAccount` of the namespace `default` are there; gives the version.
///
/// # Errors
/// [`ClusterError`] of `target` with what is not ready when the time is up.
pub(crate) async fn await_ready(
    target: &str,
    client: &kube::Client,
) -> Result<String, ClusterError> {
    let unavailable = |reason: String| ClusterError::Unavailable {
        target: target.to_owned(),
        reason,
    };
    let end = Instant::now() + READY;
    loop {
        match not_ready(client).await {
            None => break,
            Some(reason) if Instant::now() > end => {
                return Err(unavailable(format!(
                    "the cluster was not ready within {} s: {reason}",
                    READY.as_secs()
                )));
            }
            Some(_) => sleep(Duration::from_millis(500)).await,
        }
    }
    let version: Value = discovery::get(client, "/version")
        .await
        .map_err(unavailable)?;
    Ok(version["gitVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// What is not ready yet.
async fn not_ready(client: &kube::Client) -> Option<String> {
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    for path in ["/version", account] {
        if let Err(error) = discovery::get::<Value>(client, path).await {
            return Some(error);
        }
    }
    for path in ["/api/v1/nodes", "/api/v1/namespaces/kube-system/pods"] {
        let list: Value = match discovery::get(client, path).await {
            Ok(list) => list,
            Err(error) => return Some(error),
        };
        let items = list["items"].as_array();
        let late = items.into_iter().flatten().find(|item| is_late(item));
        if let Some(item) = late {
            return Some(format!("{} is not ready", object::name(item)));
        }
        if items.is_none_or(Vec::is_empty) {
            return Some(format!("there is nothing at {path}"));
        }
    }
    None
}

/// Whether a node or Pod is still to become ready. The Pods of Jobs end.
fn is_late(item: &Value) -> bool {
    item["status"]["phase"] != "Succeeded" && !object::is_true(item, "Ready")
}
