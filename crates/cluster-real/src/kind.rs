//! A cluster of containers, made by the program `kind`.
//!
//! kind and the container runtime it finds do the work; the kubeconfig is a file of our own, so that nobody's current
//! context is touched.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::Request;
use tokio::process::Command;
use tokio::time::timeout;
use wavetank_cluster::ClusterError;
use wavetank_json::{Value, json};

use crate::journal::Record;
use crate::said::{self, last_lines, plain};
use crate::server::Server;
use crate::{discovery, evidence, ready};

/// The name of the target.
pub const TARGET: &str = "kind";
/// The oldest kind that is known to do.
const OLDEST: (u32, u32) = (0, 20);
/// How long `kind create cluster` may take.
const CREATE: Duration = Duration::from_secs(600);
/// How long an export of logs may take.
const EXPORT: Duration = Duration::from_secs(120);
/// How often a deletion is tried while another goes on, half a second apart.
const DELETIONS: usize = 60;
/// How much of what kind said is shown.
const LINES: usize = 6;

fn unavailable(reason: impl Into<String>) -> ClusterError {
    ClusterError::Unavailable {
        target: TARGET.to_owned(),
        reason: reason.into(),
    }
}

/// What a kind cluster is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindOptions {
    /// `--config`; `None` is kind's own default, one node.
    pub config: Option<PathBuf>,
    /// `--image`; `None` is kind's own default.
    pub image: Option<String>,
    /// Image archives that are loaded into the nodes.
    pub archives: Vec<PathBuf>,
    /// Whether containers run on the real kubelet.
    pub real_workloads: bool,
}

impl KindOptions {
    /// Checks that `kind` is there and not too old, and that the container runtime answers.
    ///
    /// # Errors
    /// [`ClusterError`] saying what is missing.
    pub fn check(&self) -> Result<String, ClusterError> {
        let version = kind_version()?;
        let runtime = std::process::Command::new("kind")
            .args(["get", "clusters"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| unavailable(format!("kind does not start: {error}")))?;
        if !runtime.status.success() {
            return Err(unavailable(format!(
                "kind cannot use a container runtime: {}",
                last_lines(&runtime.stderr, LINES)
            )));
        }
        for file in self.config.iter().chain(&self.archives) {
            if !file.is_file() {
                return Err(unavailable(format!("there is no file {}", file.display())));
            }
        }
        Ok(version)
    }

    /// What makes two clusters alike.
    pub(crate) fn recipe(&self) -> String {
        let mut recipe = format!(
            "{} {} {}",
            self.config
                .as_ref()
                .map(|config| config.display().to_string())
                .unwrap_or_default(),
            self.image.as_deref().unwrap_or_default(),
            if self.real_workloads {
                "real"
            } else {
                "simulated"
            }
        );
        for archive in &self.archives {
            recipe.push(' ');
            recipe.push_str(&archive.display().to_string());
        }
        recipe
    }
}

/// The version of the kind on PATH.
fn kind_version() -> Result<String, ClusterError> {
    let output = std::process::Command::new("kind")
        .arg("version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                unavailable(
                    "there is no `kind` on PATH: https://kind.sigs.k8s.io says how to install it",
                )
            } else {
                unavailable(format!("kind does not start: {error}"))
            }
        })?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match parse_version(&text) {
        Some(version) if version < OLDEST => Err(unavailable(format!(
            "`{text}` is too old: {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        ))),
        // A build without a version is somebody's own.
        _ => Ok(text),
    }
}

/// `kind v0.27.0 go1.23 linux/amd64`: 0 and 27.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix('v'))?;
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A running kind cluster.
pub struct KindCluster {
    name: String,
    server: Server,
    version: String,
}

impl KindCluster {
    /// Creates the cluster of a record with its files in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// [`ClusterError`] with what kind said last.
    pub async fn create(
        options: &KindOptions,
        record: &Record,
        folder: &Path,
    ) -> Result<Self, ClusterError> {
        options.check()?;
        let name = record.name.as_str();
        let kubeconfig = folder.join("kubeconfig");
        let mut arguments: Vec<String> = ["create", "cluster", "--name", name, "--retain"]
            .map(str::to_owned)
            .into();
        arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
        if let Some(config) = &options.config {
            arguments.push(format!("--config={}", config.display()));
        }
        if let Some(image) = &options.image {
            arguments.push(format!("--image={image}"));
        }
        if let Err(ClusterError::Unavailable { target, reason }) = kind(&arguments, CREATE).await {
            let reason = reason + &what_nodes_said(name, &folder.join("failed")).await;
            return Err(ClusterError::Unavailable { target, reason });
        }
        for archive in &options.archives {
            let archive = archive.display().to_string();
            let load = ["load", "image-archive", &archive, "--name", name].map(str::to_owned);
            kind(&load, CREATE).await?;
        }
        Self::attach(options, record, folder).await
    }

    /// Uses a cluster that runs, once it is ready.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not become ready.
    pub async fn attach(
        options: &KindOptions,
        record: &Record,
        folder: &Path,
    ) -> Result<Self, ClusterError> {
        let server = Server::of_folder(TARGET, folder).await?;
        let client = server.client()?;
        // `kind create --wait` says that all is well when its time is up, so it is not asked.
        let version = ready::await_ready(TARGET, &client).await?;
        mark(&client, &record.labels(), !options.real_workloads).await?;
        if !options.real_workloads {
            remove_class(&client).await?;
        }
        Ok(Self {
            name: record.name.clone(),
            server,
            version,
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

    /// Logs of nodes and their containers, exported to `folder` and cut down; where that failed, a file that says so.
    pub(crate) async fn logs(&self, folder: &Path) -> Vec<PathBuf> {
        let folder = folder.join("kind");
        let target = folder.display().to_string();
        let export = ["export", "logs", &target, "--name", &self.name].map(str::to_owned);
        let exported = kind(&export, EXPORT).await;
        let cut = evidence::cut_down(&folder);
        let problems = [
            exported.err().map(|error| error.to_string()),
            cut.err()
                .map(|error| format!("cannot cut down {target}: {error}")),
        ];
        let text: String = problems
            .into_iter()
            .flatten()
            .map(|problem| problem + "\n")
            .collect();
        if !text.is_empty() {
            // Where even that cannot be written, the rest of the evidence says so.
            let written = std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(folder.join("problems.txt"), text));
            written.ok();
        }
        // All is where it belongs: nothing is left to copy.
        Vec::new()
    }
}

/// What the nodes of a cluster that could not be created said last, line by line, each after a line break: kind itself
/// says only that it did not find what it waited for. Their logs are exported to `folder`.
async fn what_nodes_said(name: &str, folder: &Path) -> String {
    let target = folder.display().to_string();
    let export = ["export", "logs", &target, "--name", name].map(str::to_owned);
    // Without nodes there is nothing to export, and a part of the export is as good.
    kind(&export, EXPORT).await.ok();
    let nodes = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut out = String::new();
    for node in nodes {
        let Ok(log) = std::fs::read(node.path().join("serial.log")) else {
            continue;
        };
        let said = last_lines(plain(&String::from_utf8_lossy(&log)).as_bytes(), 4);
        if said.is_empty() {
            continue;
        }
        let node = node.file_name().to_string_lossy().into_owned();
        out = format!("{out}\nthe node {node} said last:\n{said}");
    }
    let remedy = said::remedy(&out);
    out + &remedy
}

/// Deletes the cluster `name`, which may be there or not. Blocks.
///
/// # Errors
/// [`ClusterError`] with what kind said.
pub(crate) fn delete(name: &str, folder: &Path) -> Result<(), ClusterError> {
    for _ in 0..DELETIONS {
        match delete_once(name, folder)? {
            Deleted::Done => return Ok(()),
            // A deletion that was left alone goes on in the container runtime.
            Deleted::UnderWay => pause(),
        }
    }
    Err(unavailable(format!(
        "the cluster {name} could not be deleted: somebody else's deletion of it does not end"
    )))
}

/// What came of one attempt.
enum Deleted {
    Done,
    /// Another deletion of the same containers goes on.
    UnderWay,
}

fn delete_once(name: &str, folder: &Path) -> Result<Deleted, ClusterError> {
    let output = std::process::Command::new("kind")
        .args(["delete", "cluster", "--name", name])
        .arg(format!(
            "--kubeconfig={}",
            folder.join("kubeconfig").display()
        ))
        .stdin(Stdio::null())
        // A Ctrl-C in the terminal is for us alone.
        .process_group(0)
        .output()
        .map_err(|error| unavailable(format!("kind does not start: {error}")))?;
    if output.status.success() {
        return Ok(Deleted::Done);
    }
    if String::from_utf8_lossy(&output.stderr).contains("is already in progress") {
        return Ok(Deleted::UnderWay);
    }
    Err(unavailable(format!(
        "the cluster {name} could not be deleted: {}",
        last_lines(&output.stderr, LINES)
    )))
}

#[expect(
    clippy::disallowed_methods,
    reason = "containers are waited for in real time"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(500));
}

/// Runs kind to its end; it is killed when it takes longer than `patience`.
async fn kind(arguments: &[String], patience: Duration) -> Result<(), ClusterError> {
    let child = Command::new("kind")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // A Ctrl-C in the terminal is for us alone.
        .process_group(0)
        .spawn()
        .map_err(|error| unavailable(format!("kind does not start: {error}")))?;
    let what = arguments
        .iter()
        .take(2)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    let output = timeout(patience, child.wait_with_output())
        .await
        .map_err(|_| {
            unavailable(format!(
                "kind {what} was not done within {} s",
                patience.as_secs()
            ))
        })?
        .map_err(|error| unavailable(format!("kind {what}: {error}")))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(unavailable(format!(
            "kind {what} failed: {}",
            last_lines(&output.stderr, LINES)
        )))
    }
}

/// Labels the nodes; to be `tainted` is for kubeadm's own taint, where the scenario's Pods go to virtual nodes.
async fn mark(
    client: &kube::Client,
    labels: &BTreeMap<String, String>,
    tainted: bool,
) -> Result<(), ClusterError> {
    let mut patch = json!({"metadata": {"labels": labels}});
    if tainted {
        let taint = json!({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"});
        patch["spec"] = json!({"taints": [taint]});
    }
    let patch = patch.to_string();
    let nodes: Value = discovery::get(client, "/api/v1/nodes")
        .await
        .map_err(unavailable)?;
    for node in nodes["items"].as_array().into_iter().flatten() {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let request = Request::patch(format!("/api/v1/nodes/{name}?fieldManager=wavetank"))
            .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
            .body(patch.clone().into_bytes())
            .map_err(|error| unavailable(error.to_string()))?;
        client
            .request::<Value>(request)
            .await
            .map_err(|error| unavailable(format!("the node {name} cannot be marked: {error}")))?;
    }
    Ok(())
}

/// Removes kind's own class `standard`: its provisioner would run Pods of its own on the virtual nodes. Each run makes one.
async fn remove_class(client: &kube::Client) -> Result<(), ClusterError> {
    let path = "/apis/storage.k8s.io/v1/storageclasses/standard";
    let request = Request::delete(path)
        .body(Vec::new())
        .map_err(|error| unavailable(error.to_string()))?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        // A kept cluster has none any more.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(unavailable(format!(
            "the class `standard` cannot be replaced: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            parse_version("kind v0.27.0 go1.23.4 linux/amd64"),
            Some((0, 27))
        );
        assert_eq!(parse_version("kind (devel)"), None);
        assert!(parse_version("kind v0.11.1 go1.16").unwrap() < OLDEST);
    }
}
