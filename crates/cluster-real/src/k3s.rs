//! A cluster in one container: k3s, started through testcontainers.
//!
//! Behind the feature `k3s`, for what it depends on; without it the target is known, and says how it is had. The
//! container carries the name that stands in the journal, and nothing but that name decides when it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wavetank_cluster::ClusterError;

use crate::journal::Record;
use crate::server::Server;
use crate::{private_file, ready};

#[cfg(feature = "k3s")]
mod container;
#[cfg(not(feature = "k3s"))]
#[path = "k3s/left_out.rs"]
mod container;

/// The name of the target.
pub const TARGET: &str = "k3s";
/// The image that is taken where none is named: Kubernetes as on the simulated cluster.
pub const IMAGE: &str = "rancher/k3s:v1.36.2-k3s1";
/// How long the container may take to come up, with the pull of its image.
const CREATE: Duration = Duration::from_secs(600);
/// The file with the end of what k3s said, in the folder of evidence.
const LOG: &str = "k3s.log";

fn unavailable(reason: impl Into<String>) -> ClusterError {
    ClusterError::Unavailable {
        target: TARGET.to_owned(),
        reason: reason.into(),
    }
}

/// What a k3s cluster is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct K3sOptions {
    /// Image, with or without tag; `None` is [`IMAGE`].
    pub image: Option<String>,
    /// Image archives that the node has from the start.
    pub archives: Vec<PathBuf>,
    /// The machine of the container engine, where that is another one: the API server's port is then open on all of its
    /// addresses, and else on loopback alone.
    pub engine_host: Option<String>,
}

impl K3sOptions {
    /// Checks that a container engine answers; gives its version. Blocks.
    ///
    /// # Errors
    /// [`ClusterError`] saying what is missing, or that this build has no k3s.
    pub fn check(&self) -> Result<String, ClusterError> {
        let version = container::engine_version()?;
        for file in &self.archives {
            if !file.is_file() {
                return Err(unavailable(format!("there is no file {}", file.display())));
            }
        }
        Ok(version)
    }

    /// Name and tag of the image.
    #[cfg(any(test, feature = "k3s"))]
    fn image(&self) -> (&str, &str) {
        let image = self.image.as_deref().unwrap_or(IMAGE);
        match image.rsplit_once(':') {
            // A colon before a slash is that of a registry's port.
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        }
    }

    /// What makes two clusters alike.
    pub(crate) fn recipe(&self) -> String {
        let archives = self.archives.iter().map(|file| file.display().to_string());
        let image = self.image.as_deref().unwrap_or(IMAGE);
        [image.to_owned()]
            .into_iter()
            .chain(archives)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A running k3s.
pub struct K3s {
    name: String,
    server: Server,
    version: String,
}

impl K3s {
    /// Starts the container of a record with its kubeconfig in `folder`, and waits until the cluster is ready.
    ///
    /// # Errors
    /// [`ClusterError`] with what the container engine, or k3s, said last.
    pub async fn create(
        options: &K3sOptions,
        record: &Record,
        folder: &Path,
    ) -> Result<Self, ClusterError> {
        let started = container::start(options, record, CREATE).await?;
        let path = folder.join("kubeconfig");
        let text = addressed(&started.kubeconfig, &started.address);
        private_file::write(&path, &text)
            .map_err(|error| unavailable(format!("cannot write {}: {error}", path.display())))?;
        Self::attach(&record.name, folder).await
    }

    /// Uses a cluster that runs, once it is ready.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not become ready.
    pub async fn attach(name: &str, folder: &Path) -> Result<Self, ClusterError> {
        let server = Server::of_folder(TARGET, folder).await?;
        let version = ready::await_ready(TARGET, &server.client()?).await?;
        Ok(Self {
            name: name.to_owned(),
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

    /// What k3s said last, in `folder`.
    pub(crate) async fn logs(&self, folder: &Path) -> Vec<PathBuf> {
        let said = container::said(&self.name).await;
        let path = folder.join(LOG);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, said));
        // Who collects the evidence misses what could not be written, and says so.
        written.ok();
        vec![path]
    }
}

/// Removes the container `name`, which may be there or not, with its volumes. Blocks.
///
/// # Errors
/// [`ClusterError`] when it stays.
pub(crate) fn delete(name: &str) -> Result<(), ClusterError> {
    container::delete(name)
}

/// k3s's own kubeconfig names the address inside of the container.
fn addressed(kubeconfig: &str, address: &str) -> String {
    let mut text = String::with_capacity(kubeconfig.len());
    for line in kubeconfig.lines() {
        match line.split_once("server:") {
            Some((before, _)) if before.trim().is_empty() => {
                text.push_str(before);
                text.push_str("server: ");
                text.push_str(address);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(image: Option<&str>) -> (String, String) {
        let options = K3sOptions {
            image: image.map(str::to_owned),
            ..K3sOptions::default()
        };
        let (name, tag) = options.image();
        (name.to_owned(), tag.to_owned())
    }

    #[test]
    fn a_port_of_a_registry_is_no_tag() {
        let parts = |image| parts(Some(image));
        let pair = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
        assert_eq!(
            parts("registry:5000/k3s"),
            pair("registry:5000/k3s", "latest")
        );
        assert_eq!(
            parts("registry:5000/k3s:v1"),
            pair("registry:5000/k3s", "v1")
        );
    }

    #[test]
    fn without_a_choice_the_image_is_ours() {
        let (name, tag) = parts(None);
        assert_eq!(format!("{name}:{tag}"), IMAGE);
    }

    #[test]
    fn the_kubeconfig_names_the_port_outside() {
        let inside = "clusters:\n- cluster:\n    server: https://127.0.0.1:6443\n  name: default\n";
        let outside =
            "clusters:\n- cluster:\n    server: https://localhost:32769\n  name: default\n";
        assert_eq!(addressed(inside, "https://localhost:32769"), outside);
    }

    #[cfg(not(feature = "k3s"))]
    #[test]
    fn a_build_without_k3s_says_how_to_get_one() {
        let error = K3sOptions::default().check().unwrap_err().to_string();
        assert!(error.contains("--features k3s"), "{error}");
        // What another build left is not forgotten.
        let error = delete("wavetank-1").unwrap_err().to_string();
        assert!(error.contains("docker rm -f -v wavetank-1"), "{error}");
    }
}
