//! A control plane of our own: etcd, kube-apiserver, kube-controller-manager and, where it is there, kube-scheduler, as
//! processes on loopback. Needs neither root nor containers.

mod certificates;
mod process;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Request;
use tokio::time::{Instant, sleep};
use wavetank_cluster::ClusterError;

use crate::private_file;
use crate::server::Server;

use certificates::Authority;
use process::Process;

/// The name of the target.
pub const TARGET: &str = "control-plane";
/// The API server must be ready within this time.
const READY: Duration = Duration::from_secs(120);
/// How often it is tried again where another process took a port.
const TRIES: u32 = 3;

fn unavailable(reason: impl Into<String>) -> ClusterError {
    ClusterError::Unavailable {
        target: TARGET.to_owned(),
        reason: reason.into(),
    }
}

/// The programs of a control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    folder: PathBuf,
    etcd: PathBuf,
    apiserver: PathBuf,
    controller_manager: PathBuf,
    scheduler: Option<PathBuf>,
}

impl Assets {
    /// The programs of a folder in the manner of `KUBEBUILDER_ASSETS`; kube-scheduler may be missing.
    ///
    /// # Errors
    /// [`ClusterError`] naming the file that is missing.
    pub fn find(folder: &Path) -> Result<Self, ClusterError> {
        let program = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(unavailable(format!(
                "{} is not there: KUBEBUILDER_ASSETS must hold etcd, kube-apiserver and kube-controller-manager of one \
                 release",
                path.display()
            )))
        };
        Ok(Self {
            folder: folder.to_owned(),
            etcd: program("etcd")?,
            apiserver: program("kube-apiserver")?,
            controller_manager: program("kube-controller-manager")?,
            scheduler: program("kube-scheduler").ok(),
        })
    }
}

impl Assets {
    /// The folder they are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A running control plane; the processes it started end when it is dropped.
pub struct ControlPlane {
    server: Server,
    schedules: bool,
    version: String,
    processes: Vec<Process>,
    folder: PathBuf,
}

impl ControlPlane {
    /// Starts one with its files in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// [`ClusterError`] when a program does not start or does not become ready; what it logged last is part of the text.
    pub async fn start(assets: &Assets, folder: &Path) -> Result<Self, ClusterError> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_start(assets, folder).await {
                Err(error) if error.to_string().contains("address already in use") => {
                    last = Some(error);
                }
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| unavailable("it did not start")))
    }

    async fn try_start(assets: &Assets, folder: &Path) -> Result<Self, ClusterError> {
        let etcd_data = folder.join("etcd");
        if etcd_data.exists() {
            std::fs::remove_dir_all(&etcd_data).map_err(|error| {
                unavailable(format!("cannot remove {}: {error}", etcd_data.display()))
            })?;
        }
        let ports = free_ports::<5>()?;
        let authority = Authority::generate().map_err(unavailable)?;
        let files = Files::write(folder, &authority, ports[2])?;
        let mut plane = Self {
            server: Server::of_kubeconfig(TARGET, &files.kubeconfig_text, None, true).await?,
            schedules: assets.scheduler.is_some(),
            version: String::new(),
            processes: Vec::new(),
            folder: folder.to_owned(),
        };
        plane.run(&assets.etcd, etcd(&files, ports))?;
        plane.run(&assets.apiserver, apiserver(&files, ports))?;
        plane.await_ready().await?;
        plane.run(
            &assets.controller_manager,
            controller_manager(&files, ports[3]),
        )?;
        if let Some(program) = &assets.scheduler {
            plane.run(program, scheduler(&files, ports[4]))?;
        }
        plane.await_controllers().await?;
        Ok(plane)
    }

    fn run(&mut self, program: &Path, arguments: Vec<String>) -> Result<(), ClusterError> {
        let process = Process::start(program, &arguments, &self.folder).map_err(unavailable)?;
        self.processes.push(process);
        Ok(())
    }

    /// How it is reached.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Whether it has a scheduler.
    pub fn schedules(&self) -> bool {
        self.schedules
    }

    /// Its version, as `v1.36.2`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The files its programs log to.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        ]
        .iter()
        .map(|name| self.folder.join(format!("{name}.log")))
        .filter(|path| path.is_file())
        .collect()
    }

    /// Uses one that was left running with its files in `folder`.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not answer.
    pub async fn attach(assets: &Assets, folder: &Path) -> Result<Self, ClusterError> {
        let mut plane = Self {
            server: Server::of_folder(TARGET, folder).await?,
            schedules: assets.scheduler.is_some(),
            version: String::new(),
            processes: Vec::new(),
            folder: folder.to_owned(),
        };
        plane.read_version().await?;
        Ok(plane)
    }

    /// Lets its processes run on.
    pub(crate) fn leave(mut self) {
        for process in self.processes.drain(..) {
            process.leave();
        }
    }

    /// Says which process ended, with what it logged last; `None` while all run.
    pub fn ended(&mut self) -> Option<String> {
        self.processes.iter_mut().find_map(Process::ended)
    }

    async fn await_ready(&mut self) -> Result<(), ClusterError> {
        let client = self.server.client()?;
        let end = Instant::now() + READY;
        loop {
            if let Some(ended) = self.ended() {
                return Err(unavailable(ended));
            }
            let ready = Request::get("/readyz").body(Vec::new());
            if let Ok(request) = ready
                && client.request_text(request).await.is_ok()
            {
                break;
            }
            if Instant::now() > end {
                let tail = self.processes.last().map(Process::tail).unwrap_or_default();
                return Err(unavailable(format!(
                    "kube-apiserver was not ready within {} s; it logged last:\n{tail}",
                    READY.as_secs()
                )));
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.read_version().await
    }

    async fn read_version(&mut self) -> Result<(), ClusterError> {
        let client = self.server.client()?;
        let version: wavetank_json::Value = crate::discovery::get(&client, "/version")
            .await
            .map_err(unavailable)?;
        version["gitVersion"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut self.version);
        Ok(())
    }

    /// Waits until the controllers have done what every cluster has: the `ServiceAccount` of the namespace `default`.
    async fn await_controllers(&mut self) -> Result<(), ClusterError> {
        let client = self.server.client()?;
        let end = Instant::now() + READY;
        let paths = [
            "/api/v1/namespaces/default/serviceaccounts/default",
            "/api/v1/namespaces/kube-public/serviceaccounts/default",
            "/api/v1/namespaces/kube-node-lease/serviceaccounts/default",
            "/api/v1/namespaces/kube-system/serviceaccounts/default",
            "/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
        ];
        for path in paths {
            loop {
                if let Some(ended) = self.ended() {
                    return Err(unavailable(ended));
                }
                if crate::discovery::get::<wavetank_json::Value>(&client, path)
                    .await
                    .is_ok()
                {
                    break;
                }
                if Instant::now() > end {
                    return Err(unavailable(
                        "kube-controller-manager made no ServiceAccount within 120 s",
                    ));
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // In the reverse order of their start: nothing complains about what is gone.
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
    }
}

/// Files that the programs read.
struct Files {
    folder: PathBuf,
    kubeconfig_text: String,
}

impl Files {
    fn write(folder: &Path, authority: &Authority, port: u16) -> Result<Self, ClusterError> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            private_file::write(&path, text)
                .map_err(|error| unavailable(format!("cannot write {}: {error}", path.display())))
        };
        let server = authority.server().map_err(unavailable)?;
        let admin = authority
            .client("wavetank-admin", "system:masters")
            .map_err(unavailable)?;
        let (public, private) = certificates::key_pair().map_err(unavailable)?;
        write("ca.crt", authority.certificate())?;
        write("ca.key", &authority.key())?;
        write("server.crt", &server.certificate)?;
        write("server.key", &server.key)?;
        write("client.crt", &admin.certificate)?;
        write("client.key", &admin.key)?;
        write("sa.pub", &public)?;
        write("sa.key", &private)?;
        let kubeconfig_text = certificates::kubeconfig(port, authority.certificate(), &admin);
        write("kubeconfig", &kubeconfig_text)?;
        Ok(Self {
            folder: folder.to_owned(),
            kubeconfig_text,
        })
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// Ports that nobody listens on now.
fn free_ports<const N: usize>() -> Result<[u16; N], ClusterError> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| unavailable(format!("no loopback port is free: {error}")))?;
        *port = listener
            .local_addr()
            .map_err(|error| unavailable(error.to_string()))?
            .port();
        held.push(listener);
    }
    Ok(ports)
}

fn etcd(files: &Files, ports: [u16; 5]) -> Vec<String> {
    let (client, peer) = (ports[0], ports[1]);
    vec![
        format!("--data-dir={}", files.path("etcd")),
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls=https://127.0.0.1:{client}"),
        format!("--advertise-client-urls=https://127.0.0.1:{client}"),
        format!("--listen-peer-urls=https://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=https://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=https://127.0.0.1:{peer}"),
        format!("--cert-file={}", files.path("server.crt")),
        format!("--key-file={}", files.path("server.key")),
        format!("--trusted-ca-file={}", files.path("ca.crt")),
        "--client-cert-auth".to_owned(),
        format!("--peer-cert-file={}", files.path("server.crt")),
        format!("--peer-key-file={}", files.path("server.key")),
        format!("--peer-trusted-ca-file={}", files.path("ca.crt")),
        "--peer-client-cert-auth".to_owned(),
    ]
}

fn apiserver(files: &Files, ports: [u16; 5]) -> Vec<String> {
    vec![
        format!("--etcd-servers=https://127.0.0.1:{}", ports[0]),
        format!("--etcd-cafile={}", files.path("ca.crt")),
        format!("--etcd-certfile={}", files.path("client.crt")),
        format!("--etcd-keyfile={}", files.path("client.key")),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={}", ports[2]),
        format!("--tls-cert-file={}", files.path("server.crt")),
        format!("--tls-private-key-file={}", files.path("server.key")),
        format!("--client-ca-file={}", files.path("ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", files.path("sa.pub")),
        format!(
            "--service-account-signing-key-file={}",
            files.path("sa.key")
        ),
        // A run is over before anybody asks what happened an hour ago.
        "--event-ttl=10m".to_owned(),
    ]
}

fn controller_manager(files: &Files, port: u16) -> Vec<String> {
    let mut arguments = controllers("kube-controller-manager", files, port);
    arguments.extend([
        "--use-service-account-credentials=true".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            files.path("sa.key")
        ),
        format!("--root-ca-file={}", files.path("ca.crt")),
        format!("--cluster-signing-cert-file={}", files.path("ca.crt")),
        format!("--cluster-signing-key-file={}", files.path("ca.key")),
    ]);
    arguments
}

fn scheduler(files: &Files, port: u16) -> Vec<String> {
    controllers("kube-scheduler", files, port)
}

/// What every program is told that works through the API server.
fn controllers(program: &str, files: &Files, port: u16) -> Vec<String> {
    let kubeconfig = files.path("kubeconfig");
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", files.path(program)),
        "--leader-elect=false".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]
}
