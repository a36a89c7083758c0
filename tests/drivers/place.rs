//! A folder of its own for each test, with a `kind` that is a script, and what is left there and in the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::Done;

pub(crate) const SWEEP: [&str; 2] = ["cluster", "sweep"];
pub(crate) const ON_PLANE: [&str; 4] = ["run", "quick.yaml", "--target", "control-plane"];

/// A place of its own for one test.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    assets: Option<PathBuf>,
}

pub(crate) const QUICK: &str = "apiVersion: wavetank/v1
kind: Scenario
metadata: {name: quick}
spec:
  app: {namespace: quick-of-the-run, syncPolicy: {syncOptions: [CreateNamespace=true]}}
  expect: {operation: {phase: Succeeded}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
";

pub(crate) const SLOW: &str = "apiVersion: wavetank/v1
kind: Scenario
metadata: {name: slow}
spec:
  steps: [{sync: {}}, {advance: 5m}]
  expect: {operation: {phase: Succeeded}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
";

impl Place {
    pub(crate) fn new(assets: Option<&Path>) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("bin"))?;
        fs::write(folder.path().join("quick.yaml"), QUICK)?;
        fs::write(folder.path().join("slow.yaml"), SLOW)?;
        Ok(Self {
            folder,
            assets: assets.map(Path::to_owned),
        })
    }

    /// A `kind` that is this shell script.
    pub(crate) fn kind(&self, script: &str) -> Done {
        let log = self.folder.path().join("kind.log");
        self.program(
            "kind",
            &format!("echo \"$@\" >> {}\n{script}", log.display()),
        )
    }

    /// A program on PATH that is this shell script.
    pub(crate) fn program(&self, name: &str, script: &str) -> Done {
        let path = self.folder.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// A `kind` that is new enough, and of whose commands these do something: arms of a shell's `case`.
    pub(crate) fn new_kind(&self, arms: &str) -> Done {
        self.kind(&format!(
            "case \"$1\" in version) echo 'kind v0.33.0 go1.26 linux/amd64';; {arms} esac"
        ))
    }

    /// What `kind` was asked for.
    pub(crate) fn asked(&self) -> String {
        fs::read_to_string(self.folder.path().join("kind.log")).unwrap_or_default()
    }

    pub(crate) fn has_deleted(&self) -> Done {
        let asked = self.asked();
        if asked.contains("delete cluster --name wavetank-") {
            Ok(())
        } else {
            Err(format!("kind was not asked to delete: {asked}").into())
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("WAVETANK_STATE_DIR", self.folder.path().join("state"))
            .env("HOME", self.folder.path())
            .env_remove("KUBECONFIG")
            .env_remove("WAVETANK_KIND_IMAGE")
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match &self.assets {
            Some(assets) => command.env("KUBEBUILDER_ASSETS", assets),
            None => command.env_remove("KUBEBUILDER_ASSETS"),
        };
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    /// Nothing is written down, and no process has a file of ours open.
    pub(crate) fn is_clean(&self) -> Done {
        let listed = self.run(&["cluster", "list"])?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        if text != "no clusters\n" {
            return Err(format!("something is left: {text}").into());
        }
        let left = self.processes();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("processes are left: {left:?}").into())
        }
    }

    /// A sweep removes what a run has left; its processes end, and nothing stays.
    pub(crate) fn swept_by(&self, sweep: &mut Command) -> Done {
        left_with(&sweep.output()?, 0, &["removed wavetank-"])?;
        self.until("its processes have ended", |place| {
            place.processes().is_empty()
        })?;
        self.is_clean()
    }

    /// Ids and command lines of processes that name a file of this place.
    pub(crate) fn processes(&self) -> Vec<(String, String)> {
        let inside = format!("{}/state", self.folder.path().display());
        let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
        listed
            .filter_map(|entry| {
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let pid = entry.file_name().to_string_lossy().into_owned();
                Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
            })
            .filter(|(_, line)| line.contains(&inside))
            .collect()
    }

    /// Process ids of a program of this place.
    pub(crate) fn pids(&self, program: &str) -> Vec<String> {
        let is_wanted = |line: &str| {
            let first = line.split(' ').next();
            first.is_some_and(|first| first.ends_with(program))
        };
        self.processes()
            .into_iter()
            .filter(|(_, line)| is_wanted(line))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// The slow scenario's object is there.
    pub(crate) fn has_begun(&self, assets: &Path) -> Done {
        let clusters = self.folder.path().join("state/clusters");
        self.until("the run has begun", |_| {
            let found = fs::read_dir(&clusters)
                .into_iter()
                .flatten()
                .flatten()
                .next();
            found.is_some_and(|cluster| {
                Command::new(assets.join("kubectl"))
                    .arg("--kubeconfig")
                    .arg(cluster.path().join("kubeconfig"))
                    .args(["get", "configmap", "a"])
                    .output()
                    .is_ok_and(|output| output.status.success())
            })
        })
    }

    /// What is kept of the slow scenario holds these files.
    pub(crate) fn has_evidence(&self, files: &[&str]) -> Done {
        let evidence = self.folder.path().join("evidence/slow");
        for file in files {
            if !evidence.join(file).is_file() {
                return Err(format!("the evidence lacks {file}").into());
            }
        }
        Ok(())
    }

    pub(crate) fn until(&self, what: &str, test: impl Fn(&Self) -> bool) -> Done {
        for _ in 0..1200 {
            if test(self) {
                return Ok(());
            }
            pause();
        }
        Err(format!("within two minutes: {what}").into())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs outside are waited for in real time"
)]
fn pause() {
    thread::sleep(Duration::from_millis(100));
}

pub(crate) fn left_with(output: &Output, code: i32, texts: &[&str]) -> Done {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.code() != Some(code) {
        return Err(format!("exit code {:?} in place of {code}: {said}", output.status).into());
    }
    for text in texts {
        if !said.contains(text) {
            return Err(format!("`{text}` is not in: {said}").into());
        }
    }
    Ok(())
}

pub(crate) fn signal(child: &Child, name: &str) -> Done {
    let pid = child.id().to_string();
    if Command::new("kill").args([name, &pid]).status()?.success() {
        Ok(())
    } else {
        Err(format!("kill {name} {pid} failed").into())
    }
}
