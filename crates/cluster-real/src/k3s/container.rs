//! The container: made, asked, removed.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::bollard::query_parameters::{LogsOptions, RemoveContainerOptions};
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::{ExecCommand, IntoContainerPort as _};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _, ReuseDirective};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use wavetank_cluster::ClusterError;

use super::{K3sOptions, unavailable};
use crate::journal::Record;
use crate::said::{Causes, last_lines};

/// The API server's port inside.
const PORT: u16 = 6443;
/// Where k3s writes its kubeconfig.
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
/// Where k3s looks for archives of images.
const ARCHIVES: &str = "/var/lib/rancher/k3s/agent/images";
/// Lines of its log that are kept.
const LINES: &str = "20000";
/// Lines of its log that an error shows.
const SHOWN: usize = 6;
/// How long a container may take to go.
const GO: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// What only costs time: nothing of it is what scenarios are about.
const LEFT_OUT: [&str; 3] = ["traefik", "servicelb", "metrics-server"];

/// What a container that was started tells.
pub(super) struct Started {
    /// The kubeconfig, as k3s wrote it.
    pub(super) kubeconfig: String,
    /// Where its API server is reached from here.
    pub(super) address: String,
}

async fn engine() -> Result<Docker, ClusterError> {
    docker_client_instance()
        .await
        .map_err(|error| no_engine(&Causes(&error)))
}

fn no_engine(reason: &Causes<'_>) -> ClusterError {
    unavailable(format!(
        "no container engine answers: {reason}\n  = start Docker (or Podman's Docker API), or name its socket in \
         DOCKER_HOST"
    ))
}

fn blocking<T>(work: impl Future<Output = Result<T, ClusterError>>) -> Result<T, ClusterError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unavailable(error.to_string()))?;
    runtime.block_on(work)
}

/// The version of the container engine. Blocks.
pub(super) fn engine_version() -> Result<String, ClusterError> {
    blocking(async {
        let version = engine().await?.version().await;
        let version = version.map_err(|error| no_engine(&Causes(&error)))?;
        Ok(version.version.unwrap_or_else(|| "unknown".to_owned()))
    })
}

/// Makes and starts the container, pulls its image where that is missing, and waits for its kubeconfig.
pub(super) async fn start(
    options: &K3sOptions,
    record: &Record,
    patience: Duration,
) -> Result<Started, ClusterError> {
    let end = Instant::now() + patience;
    let (image, tag) = options.image();
    let started = request(options, record)
        .with_startup_timeout(patience)
        .start();
    let container = tokio::time::timeout_at(end, started)
        .await
        .map_err(|_| {
            unavailable(format!(
                "the container was not there within {} s",
                patience.as_secs()
            ))
        })?
        .map_err(|error| {
            unavailable(format!(
                "{image}:{tag} cannot be started: {}",
                Causes(&error)
            ))
        })?;
    let kubeconfig = kubeconfig(&container, &record.name, end).await?;
    let port = container
        .get_host_port_ipv4(PORT.tcp())
        .await
        .map_err(|error| unavailable(format!("its port is not known: {}", Causes(&error))))?;
    let host = options.engine_host.as_deref().unwrap_or("127.0.0.1");
    Ok(Started {
        kubeconfig,
        address: format!("https://{host}:{port}"),
    })
}

/// Everything about the container.
fn request(
    options: &K3sOptions,
    record: &Record,
) -> testcontainers::ContainerRequest<GenericImage> {
    let (image, tag) = options.image();
    let mut arguments = vec!["server".to_owned()];
    arguments.extend(LEFT_OUT.map(|part| format!("--disable={part}")));
    let host = options.engine_host.as_ref();
    arguments.extend(host.map(|host| format!("--tls-san={host}")));
    let host_ip = host.is_none().then(|| "127.0.0.1".to_owned());
    let mut request = GenericImage::new(image, tag)
        .with_exposed_port(PORT.tcp())
        .with_cmd(arguments)
        .with_container_name(&record.name)
        .with_privileged(true)
        .with_labels(record.labels())
        .with_host_config_modifier(move |config| open_port(config, host_ip.clone()))
        // It goes when the journal says so, and not when somebody lets go of a handle.
        .with_reuse(ReuseDirective::Always);
    for (number, file) in options.archives.iter().enumerate() {
        // k3s takes archives by their ending.
        let target = format!("{ARCHIVES}/{number}-{}", file_name(file));
        request = request.with_copy_to(target, file.clone());
    }
    request
}

fn file_name(file: &Path) -> String {
    file.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// One port alone, at an address of its own choosing.
fn open_port(config: &mut HostConfig, host_ip: Option<String>) {
    let binding = PortBinding {
        host_ip,
        host_port: None,
    };
    config.publish_all_ports = Some(false);
    config.port_bindings = Some([(format!("{PORT}/tcp"), Some(vec![binding]))].into());
}

/// The kubeconfig, as soon as k3s has written it.
async fn kubeconfig(
    container: &ContainerAsync<GenericImage>,
    name: &str,
    end: Instant,
) -> Result<String, ClusterError> {
    loop {
        let text = printed(container, ["cat", KUBECONFIG]).await;
        if let Some(text) = text.filter(|text| text.contains("client-key-data")) {
            return Ok(text);
        }
        let runs = container.is_running().await.unwrap_or(false);
        if !runs || Instant::now() > end {
            let what = if runs {
                "wrote no kubeconfig in time"
            } else {
                "has ended"
            };
            let said = said(name).await;
            return Err(unavailable(format!(
                "k3s {what}; it said last:\n{}",
                last_lines(&said, SHOWN)
            )));
        }
        sleep(LOOK).await;
    }
}

/// What a program in the container prints, if it ends well.
async fn printed<const N: usize>(
    container: &ContainerAsync<GenericImage>,
    command: [&str; N],
) -> Option<String> {
    let mut ran = container.exec(ExecCommand::new(command)).await.ok()?;
    let text = ran.stdout_to_vec().await.ok()?;
    (ran.exit_code().await.ok()? == Some(0)).then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The end of what the container `name` has printed; why there is nothing, where there is nothing.
pub(super) async fn said(name: &str) -> Vec<u8> {
    let options = LogsOptions {
        stdout: true,
        stderr: true,
        tail: LINES.to_owned(),
        ..LogsOptions::default()
    };
    let engine = match engine().await {
        Ok(engine) => engine,
        Err(error) => return error.to_string().into_bytes(),
    };
    let mut lines = std::pin::pin!(engine.logs(name, Some(options)));
    let mut text = Vec::new();
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => text.extend_from_slice(&line.into_bytes()),
            Err(error) => {
                text.extend_from_slice(Causes(&error).to_string().as_bytes());
                break;
            }
        }
    }
    text
}

/// Removes the container, and waits until it is gone. Blocks.
pub(super) fn delete(name: &str) -> Result<(), ClusterError> {
    blocking(async {
        let engine = engine().await?;
        let end = Instant::now() + GO;
        let mut missing = 0;
        loop {
            let options = RemoveContainerOptions {
                force: true,
                v: true,
                ..RemoveContainerOptions::default()
            };
            let reason = match engine.remove_container(name, Some(options)).await {
                Ok(()) => "it is not gone yet".to_owned(),
                Err(EngineError::DockerResponseServerError {
                    status_code: 404, ..
                }) => {
                    missing += 1;
                    // A creation that was given up may still be carried out: it is looked twice.
                    if missing == 2 {
                        return Ok(());
                    }
                    "it is not there".to_owned()
                }
                Err(error) => Causes(&error).to_string(),
            };
            if Instant::now() > end {
                return Err(unavailable(format!(
                    "the container {name} could not be removed: {reason}"
                )));
            }
            sleep(LOOK).await;
        }
    })
}
