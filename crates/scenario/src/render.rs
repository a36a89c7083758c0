//! Rendering: `kustomize build` and `helm template`, as Argo CD calls them.
//!
//! The programs get an empty environment, so that no plugin of the user's, no repository and no cluster has a say, and
//! no way to the network that they would take by themselves.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How long a program may take, in real time.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much of what a program says on standard error is shown.
const SHOWN: usize = 2000;

/// What Argo CD tells Helm of the application and of the cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destination {
    /// Name of the application: the release, unless another is given.
    pub app: String,
    /// Destination namespace.
    pub namespace: String,
    /// Kubernetes version of the cluster, as `1.36`.
    pub version: String,
}

/// One rendering: what is called, in the order of the arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rendering {
    /// `kustomize build FOLDER`.
    Kustomize {
        /// The folder.
        folder: PathBuf,
    },
    /// `helm template`.
    Helm {
        /// The folder of the chart.
        chart: PathBuf,
        /// All arguments behind the chart.
        arguments: Vec<String>,
    },
}

impl Rendering {
    /// How Argo CD calls Helm; `set` holds names, values and whether a value is text.
    pub(crate) fn helm(
        chart: PathBuf,
        destination: &Destination,
        release: Option<&str>,
        values: &[PathBuf],
        set: &[(String, String, bool)],
    ) -> Self {
        let mut arguments = vec![
            "--name-template".to_owned(),
            release.unwrap_or(&destination.app).to_owned(),
            "--namespace".to_owned(),
            destination.namespace.clone(),
            "--kube-version".to_owned(),
            destination.version.clone(),
        ];
        for (name, value, is_text) in set {
            arguments.push(if *is_text { "--set-string" } else { "--set" }.to_owned());
            arguments.push(format!("{name}={}", escaped(value)));
        }
        for file in values {
            arguments.push("--values".to_owned());
            arguments.push(absolute(file).display().to_string());
        }
        arguments.push("--include-crds".to_owned());
        Self::Helm { chart, arguments }
    }

    /// What positions in the output are told as.
    pub(crate) fn title(&self) -> PathBuf {
        match self {
            Self::Kustomize { folder } => format!("kustomize build {}", folder.display()).into(),
            Self::Helm { chart, .. } => format!("helm template {}", chart.display()).into(),
        }
    }

    /// The programs that can do it; the first that is there is taken.
    fn programs(&self) -> &'static [&'static str] {
        match self {
            Self::Kustomize { .. } => &["kustomize", "kubectl"],
            Self::Helm { .. } => &["helm"],
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Kustomize { folder } => {
                let is_kubectl = program.file_stem().is_some_and(|name| name == "kubectl");
                command.arg(if is_kubectl { "kustomize" } else { "build" });
                command.arg(folder);
            }
            Self::Helm { chart, arguments } => {
                command.arg("template").arg(".").args(arguments);
                command.current_dir(chart);
            }
        }
        command
    }

    /// Renders with a program of one of `folders`; gives what it wrote, at most `limit` bytes of it.
    pub(crate) fn run(&self, folders: &[PathBuf], limit: usize) -> Result<Vec<u8>, RenderError> {
        for program in self.programs() {
            let Some(program) = find(program, folders) else {
                continue;
            };
            return match isolated(&mut self.command(&program)).spawn() {
                Ok(child) => output(child, limit),
                Err(error) => Err(RenderError::Start(crate::sources::reason(&error))),
            };
        }
        Err(match self {
            Self::Kustomize { .. } => RenderError::Absent("neither `kustomize` nor `kubectl` is"),
            Self::Helm { .. } => RenderError::Absent("`helm` is not"),
        })
    }
}

/// Relative folders are passed over: programs run in the folders of charts.
fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .filter(|folder| folder.is_absolute())
        .map(|folder| {
            folder
                .join(program)
                .with_extension(std::env::consts::EXE_EXTENSION)
        })
        .find(|path| path.is_file())
}

/// Why nothing was rendered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    /// No program can do it.
    #[error("{0} on PATH")]
    Absent(&'static str),
    /// It could not be started.
    #[error("the program cannot be started: {0}")]
    Start(String),
    /// It failed, and said why.
    #[error("{0}")]
    Failed(String),
    /// It did not end.
    #[error("the program did not end within {} s", PATIENCE.as_secs())]
    Late,
    /// It wrote too much.
    #[error("it gives more than {0} bytes, which is the limit")]
    Long(usize),
}

/// No environment of the user's, and a proxy that leads nowhere.
fn isolated(command: &mut Command) -> &mut Command {
    let nowhere = "http://127.0.0.1:9";
    // Helm fails without a word when its folder of plugins is no folder.
    let home = "/nonexistent";
    command
        .env_clear()
        .env("HTTP_PROXY", nowhere)
        .env("HTTPS_PROXY", nowhere)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

fn output(mut child: Child, limit: usize) -> Result<Vec<u8>, RenderError> {
    let (sender, receiver) = mpsc::channel();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let streams = [
        child.stdout.take().map(boxed),
        child.stderr.take().map(boxed),
    ];
    for (number, stream) in streams.into_iter().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(stream) = stream {
                // What cannot be read is missing in what was written; the exit status tells of the rest.
                stream.take(bound).read_to_end(&mut bytes).ok();
            }
            sender.send((number, bytes)).ok();
        });
    }
    drop(sender);
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..2 {
        match receiver.recv_timeout(PATIENCE) {
            Ok((number, bytes)) => texts[number] = bytes,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().ok();
                child.wait().ok();
                return Err(RenderError::Late);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let [written, said] = texts;
    if written.len() > limit {
        child.kill().ok();
        child.wait().ok();
        return Err(RenderError::Long(limit));
    }
    let status = child
        .wait()
        .map_err(|error| RenderError::Start(crate::sources::reason(&error)))?;
    if status.success() {
        return Ok(written);
    }
    let said = String::from_utf8_lossy(&said);
    let said: String = said.trim().chars().take(SHOWN).collect();
    Err(RenderError::Failed(if said.is_empty() {
        format!("it ended with {status}")
    } else {
        said
    }))
}

fn boxed(stream: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(stream)
}

/// A comma would end the value: Argo CD escapes it, but not in a list `{a,b}`.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    value.replace("\\,", ",").replace(',', "\\,")
}

/// Helm runs in the folder of its chart.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_is_called_as_argo_cd_calls_it() {
        let destination = Destination {
            app: "shop".to_owned(),
            namespace: "prod".to_owned(),
            version: "1.36".to_owned(),
        };
        let set = [
            ("replicas".to_owned(), "2".to_owned(), false),
            ("hosts".to_owned(), "a,b".to_owned(), true),
            ("list".to_owned(), "{a,b}".to_owned(), true),
        ];
        let rendering = Rendering::helm("chart".into(), &destination, None, &[], &set);
        let Rendering::Helm { arguments, .. } = rendering else {
            panic!("not Helm")
        };
        insta::assert_snapshot!(arguments.join(" "), @r"--name-template shop --namespace prod --kube-version 1.36 --set replicas=2 --set-string hosts=a\,b --set-string list={a,b} --include-crds");
    }
}
