//! Whether a cluster that was just made can be used.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wavetank_cluster::ClusterError;
use wavetank_json::Value;
use wavetank_model::object;

use crate::discovery;
use crate::said::{self, last_lines};

/// How long a cluster may take to become ready after it was made: half a minute, and much longer on a machine that is busy.
const READY: Duration = Duration::from_secs(300);
/// How long the log of a Pod may take.
const LOG: Duration = Duration::from_secs(10);
/// The system's Pods.
const PODS: &str = "/api/v1/namespaces/kube-system/pods";

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
                let said = match restarted(client).await {
                    Some((name, restarts)) => last_words(client, &name, restarts).await,
                    None => String::new(),
                };
                return Err(unavailable(format!(
                    "the cluster was not ready within {} s: {reason}{said}",
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
    for path in ["/api/v1/nodes", PODS] {
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

/// The late one of the system's Pods that was restarted most, and how often: others wait for it.
async fn restarted(client: &kube::Client) -> Option<(String, u64)> {
    let list: Value = discovery::get(client, PODS).await.ok()?;
    let late = list["items"].as_array()?.iter().filter(|pod| is_late(pod));
    let restarts = late.map(|pod| (object::name(pod).to_owned(), restarts(pod)));
    restarts
        .filter(|(_, restarts)| *restarts > 0)
        .max_by_key(|(_, restarts)| *restarts)
}

fn restarts(pod: &Value) -> u64 {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let counts = statuses.into_iter().flatten();
    counts
        .filter_map(|status| status["restartCount"].as_u64())
        .sum()
}

/// The end of the log of one of the system's Pods, as more of a message.
async fn last_words(client: &kube::Client, name: &str, restarts: u64) -> String {
    let mut text = format!("; {name} was restarted {restarts} times");
    let path = format!("{PODS}/{name}/log?tailLines=3");
    let log = match http::Request::get(path).body(Vec::new()) {
        Ok(request) => timeout(LOG, client.request_text(request)).await,
        Err(_unreadable_name) => return text,
    };
    if let Ok(Ok(log)) = log {
        let said = last_lines(log.as_bytes(), 3);
        text = format!("{text}, and said last:\n{said}");
        text.push_str(&said::remedy(&said));
    }
    text
}

/// Whether a node or Pod is still to become ready. The Pods of Jobs end.
fn is_late(item: &Value) -> bool {
    item["status"]["phase"] != "Succeeded" && !object::is_true(item, "Ready")
}
