//! An existing cluster, which is somebody's: named by its context, allowed by its UID, changed only inside what a run
//! makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Request;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use wavetank_cluster::ClusterError;
use wavetank_json::{Value, json};
use wavetank_model::object;

use crate::confine::Line;
use crate::discovery;
use crate::journal::Record;
use crate::server::Server;

/// The name of the target.
pub const TARGET: &str = "kubeconfig";
/// The file in a lease's folder with what the runs made.
pub(crate) const MADE: &str = "made.jsonl";
/// How long it may take until everything that was made is gone.
const LIMIT: Duration = Duration::from_secs(120);
/// Finalizers that are ours to remove.
const OURS: [&str; 2] = ["wavetank.dev/", "argocd.argoproj.io/"];

fn unavailable(reason: impl Into<String>) -> ClusterError {
    ClusterError::Unavailable {
        target: TARGET.to_owned(),
        reason: reason.into(),
    }
}

/// Which cluster, and what is allowed there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingOptions {
    /// The kubeconfig, which is only read.
    pub kubeconfig: PathBuf,
    /// The context; the current one is never taken.
    pub context: String,
    /// The UID of the cluster's namespace `kube-system`: the user's word that this cluster is meant.
    pub allow_cluster: Option<String>,
    /// Whether a run may make cluster-scoped objects beside namespaces.
    pub allow_cluster_scoped: bool,
}

/// An existing cluster that may be used.
pub struct Existing {
    server: Server,
    version: String,
}

impl Existing {
    /// Connects, and checks that the cluster is the one that is allowed.
    ///
    /// # Errors
    /// [`ClusterError`] when it is not: the text says its UID and what a run would do.
    pub async fn connect(options: &ExistingOptions) -> Result<Self, ClusterError> {
        let (server, uid) = reach(&options.kubeconfig, &options.context).await?;
        if options.allow_cluster.as_deref() != Some(uid.as_str()) {
            let was = match &options.allow_cluster {
                Some(other) => format!("--allow-cluster names {other}, which is another cluster"),
                None => "nobody has allowed it".to_owned(),
            };
            return Err(unavailable(format!(
                "the context `{}` ({}) is a cluster that wavetank did not make, and {was}\n  \
                 = a run would create, change and delete objects there, in namespaces that it makes and removes, with the \
                 rights of the context's user\n  = its kube-system has the UID {uid}; if this cluster is meant, add \
                 --allow-cluster {uid}",
                options.context,
                server.address(),
            )));
        }
        let client = server.client()?;
        let version: Value = discovery::get(&client, "/version")
            .await
            .map_err(unavailable)?;
        Ok(Self {
            server,
            version: version["gitVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// How it is reached.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its Kubernetes version.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The server of a context, and the UID of its `kube-system`.
async fn reach(kubeconfig: &Path, context: &str) -> Result<(Server, String), ClusterError> {
    let text = fs::read_to_string(kubeconfig)
        .map_err(|error| unavailable(format!("cannot read {}: {error}", kubeconfig.display())))?;
    let server = Server::of_kubeconfig(TARGET, &text, Some(context), false).await?;
    let client = server.client()?;
    let system: Value = discovery::get(&client, "/api/v1/namespaces/kube-system")
        .await
        .map_err(|error| unavailable(format!("the context `{context}`: {error}")))?;
    Ok((server, object::uid(&system).to_owned()))
}

/// Removes what runs on an existing cluster have written down and not removed. Blocks.
///
/// # Errors
/// [`ClusterError`] when something stays, with its name.
pub(crate) fn sweep(record: &Record, folder: &Path) -> Result<(), ClusterError> {
    let path = folder.join(MADE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other
            .map_err(|error| unavailable(format!("cannot read {}: {error}", path.display())))?,
    };
    // A line that was cut off by a crash was not acted on.
    let lines: Vec<Line> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut made: Vec<(String, String)> = Vec::new();
    for line in lines {
        match made.iter_mut().find(|(path, _)| *path == line.path) {
            Some(known) => known.1 = line.uid,
            None => made.push((line.path, line.uid)),
        }
    }
    if made.is_empty() {
        return Ok(());
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unavailable(error.to_string()))?;
    runtime.block_on(async {
        let (server, uid) = reach(Path::new(&record.kubeconfig), &record.context).await?;
        if uid != record.recipe {
            return Err(unavailable(format!(
                "the context `{}` is another cluster now: {} was made on one whose kube-system had the UID {}",
                record.context, made[0].0, record.recipe
            )));
        }
        remove(&server.client()?, &made).await.map_err(unavailable)
    })
}

/// Deletes objects by path and uid, and waits until they are gone. One whose uid is not known is never touched.
///
/// # Errors
/// What stays, and why.
pub(crate) async fn remove(client: &kube::Client, made: &[(String, String)]) -> Result<(), String> {
    let end = Instant::now() + LIMIT;
    loop {
        let mut left = Vec::new();
        for (path, uid) in made {
            match discovery::get::<Value>(client, path).await {
                Ok(object) if uid.is_empty() => {
                    left.push(format!(
                        "{path} (uid {}) is there, and it is not known whether a run made it: look, and delete it yourself",
                        object::uid(&object)
                    ));
                }
                Ok(object) if object::uid(&object) == uid => {
                    delete(client, path, uid, &object).await;
                    left.push(format!("{path} is still there{}", held_by(&object)));
                }
                // Another object has its name now, or it is gone.
                Ok(_) | Err(_) => {}
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let hopeless = left.iter().all(|text| text.contains("not known"));
        if hopeless || Instant::now() > end {
            return Err(left.join("; "));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

fn held_by(object: &Value) -> String {
    let finalizers: Vec<&str> = object::finalizers(object).collect();
    let conditions = object["status"]["conditions"].as_array();
    let why = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] == "True")
        .filter_map(|condition| condition["message"].as_str())
        .collect::<Vec<_>>()
        .join(" ");
    match (finalizers.is_empty(), why.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" ({why})"),
        (false, _) => format!(" (finalizers {})", finalizers.join(", ")),
    }
}

async fn delete(client: &kube::Client, path: &str, uid: &str, object: &Value) {
    if object::is_terminating(object) {
        if object["kind"] == "Namespace" {
            release(client, path).await;
        }
        return;
    }
    let body =
        json!({"propagationPolicy": "Background", "preconditions": {"uid": uid}}).to_string();
    let request = Request::delete(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.into_bytes());
    if let Ok(request) = request {
        // It is looked at again.
        client.request::<Value>(request).await.ok();
    }
}

/// Takes our own finalizers off what a namespace of the run still holds.
async fn release(client: &kube::Client, namespace: &str) {
    let Ok(resources) = discovery::discover(client).await else {
        return;
    };
    let name = namespace.rsplit('/').next().unwrap_or_default();
    for resource in resources.iter().filter(|resource| resource.namespaced) {
        let Ok(list) = discovery::get::<Value>(client, &resource.collection(name)).await else {
            continue;
        };
        for item in list["items"].as_array().into_iter().flatten() {
            let rest: Vec<&str> = object::finalizers(item)
                .filter(|finalizer| !OURS.iter().any(|ours| finalizer.starts_with(ours)))
                .collect();
            if rest.len() == object::finalizers(item).count() {
                continue;
            }
            let path = format!("{}/{}", resource.collection(name), object::name(item));
            let body = json!({"metadata": {"finalizers": rest}}).to_string();
            let request = Request::patch(path)
                .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
                .body(body.into_bytes());
            if let Ok(request) = request {
                client.request::<Value>(request).await.ok();
            }
        }
    }
}
