//! A real API server: etcd, kube-apiserver and kube-controller-manager as processes.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wavetank_json::json;

use super::program::Program;

/// A control plane without nodes; its processes end when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    // Ended in this order: who writes goes before who stores.
    manager: Option<Program>,
    /// The API server.
    pub server: Program,
    /// Its store.
    pub etcd: Program,
    kubeconfig: PathBuf,
    home: TempDir,
    assets: PathBuf,
}

const TOKEN: &str = "differential-cases";

impl ControlPlane {
    /// Starts etcd and kube-apiserver from `assets` and waits until the server is ready.
    ///
    /// # Errors
    /// When a program cannot be started or is not ready in time; what it logged stands in the message.
    pub fn start(assets: &Path) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let [client, peer, secure] = free_ports()?;
        let etcd = format!("http://127.0.0.1:{client}");
        let etcd_program = Start::new(&home, assets, "etcd").run(&[
            &format!("--data-dir={}", home.path().join("store").display()),
            "--unsafe-no-fsync",
            &format!("--listen-client-urls={etcd}"),
            &format!("--advertise-client-urls={etcd}"),
            &format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        ])?;
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            fs::write(&path, text)
                .map_err(|error| error.to_string())
                .map(|()| path.display().to_string())
        };
        let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
        let private = write("service-account.key", &key.serialize_pem())?;
        let public = write("service-account.pub", &key.public_key_pem())?;
        let tokens = write("tokens", &format!("{TOKEN},admin,admin,system:masters\n"))?;
        let certificates = home.path().join("certificates");
        let server = Start::new(&home, assets, "kube-apiserver").run(&[
            &format!("--etcd-servers={etcd}"),
            "--bind-address=127.0.0.1",
            &format!("--secure-port={secure}"),
            &format!("--cert-dir={}", certificates.display()),
            &format!("--token-auth-file={tokens}"),
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            &format!("--service-account-key-file={public}"),
            &format!("--service-account-signing-key-file={private}"),
        ])?;
        let mut plane = Self {
            manager: None,
            server,
            etcd: etcd_program,
            kubeconfig: home.path().join("kubeconfig"),
            assets: assets.to_owned(),
            home,
        };
        plane.await_certificate(&certificates.join("apiserver.crt"), secure)?;
        plane.await_ready()?;
        Ok(plane)
    }

    /// Starts kube-controller-manager with these controllers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_controllers(&mut self, controllers: &str) -> Result<(), String> {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        let key = self.home.path().join("service-account.key");
        let manager = Start::new(&self.home, &self.assets, "kube-controller-manager").run(&[
            &kubeconfig,
            "--leader-elect=false",
            "--authentication-skip-lookup",
            "--secure-port=0",
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
            &format!("--service-account-private-key-file={}", key.display()),
            &format!("--controllers={controllers}"),
        ])?;
        self.manager = Some(manager);
        Ok(())
    }

    /// The file that clients find the server with.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The self-signed certificate that the server made, for a kubeconfig.
    fn await_certificate(&mut self, path: &Path, port: u16) -> Result<(), String> {
        self.wait("has no certificate", || {
            let text = fs::read_to_string(path).ok()?;
            text.ends_with("-----END CERTIFICATE-----\n").then_some(())
        })?;
        // JSON is YAML.
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "real",
            "clusters": [{"name": "real", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": path.to_string_lossy()}}],
            "users": [{"name": "real", "user": {"token": TOKEN}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real"}}],
        });
        fs::write(&self.kubeconfig, text.to_string()).map_err(|error| error.to_string())
    }

    fn await_ready(&mut self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let client = {
            let _context = runtime.enter();
            runtime.block_on(super::client(&self.kubeconfig))?
        };
        self.wait("is not ready", || {
            let request = http::Request::get("/readyz").body(Vec::new()).ok()?;
            let answer = runtime.block_on(client.request_text(request));
            (answer.ok()? == "ok").then_some(())
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a process starts in its own time"
    )]
    fn wait(&mut self, what: &str, mut check: impl FnMut() -> Option<()>) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            if check().is_some() {
                return Ok(());
            }
            let log = || {
                let text = fs::read_to_string(self.home.path().join("kube-apiserver.log"));
                let text = text.unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(20)..].join("\n")
            };
            if let Ok(Some(status)) = self.server.0.try_wait() {
                return Err(format!("kube-apiserver ended with {status}: {}", log()));
            }
            if Instant::now() > end {
                return Err(format!("kube-apiserver {what}: {}", log()));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A program of the folder, with its output in a file of its name.
struct Start<'a> {
    home: &'a TempDir,
    assets: &'a Path,
    name: &'a str,
}

impl<'a> Start<'a> {
    fn new(home: &'a TempDir, assets: &'a Path, name: &'a str) -> Self {
        Self { home, assets, name }
    }

    fn run(&self, arguments: &[&str]) -> Result<Program, String> {
        let failed = |error: std::io::Error| format!("cannot start {}: {error}", self.name);
        let log = File::create(self.home.path().join(format!("{}.log", self.name)));
        let log = log.map_err(failed)?;
        Command::new(self.assets.join(self.name))
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map(Program)
            .map_err(failed)
    }
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        *port = listener
            .local_addr()
            .map_err(|error| error.to_string())?
            .port();
        held.push(listener);
    }
    Ok(ports)
}
