//! What kubectl does against `wavetank serve`, with the real kubectl.
//!
//! The binary is the one that `KUBECTL` names, or that of the folder `KUBEBUILDER_ASSETS`. Without one every transcript is
//! reported as ignored, and a message says so.
//!
//! A transcript (`*.txt` beside this file) is a list of commands: `$ kubectl …`; `exit N` where the exit code is not 0; and
//! texts that the output holds, in this order. Single quotes hold words together. Files are those of `files/`.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let kubectl = kubectl();
    if kubectl.is_none() {
        let text = "SKIPPED: no kubectl. Name one in KUBECTL, or its folder in KUBEBUILDER_ASSETS, to try serve with it\n";
        std::io::stderr().write_all(text.as_bytes()).ok();
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of transcripts can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let trials = files.into_iter().map(|file| {
        let name = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let found = kubectl.clone();
        Trial::test(name, move || match found {
            Some(kubectl) => replay(&kubectl, &file).map_err(Failed::from),
            None => Err("no kubectl".into()),
        })
        .with_ignored_flag(kubectl.is_none())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kubectl")
}

fn kubectl() -> Option<PathBuf> {
    let named = env::var_os("KUBECTL").filter(|path| !path.is_empty());
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join("kubectl"));
    named
        .map(PathBuf::from)
        .or(assets)
        .filter(|path| path.is_file())
}

/// `wavetank serve` with an empty cluster, ended when this is dropped.
struct Server {
    process: Child,
    home: TempDir,
}

impl Server {
    fn start() -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_wavetank"))
            .args(["serve", "--kubeconfig"])
            .arg(home.path().join("kubeconfig"))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
        }
        let server = Self { process, home };
        if line.starts_with("ready ") {
            Ok(server)
        } else {
            Err(format!("the server said {line:?} instead of being ready"))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A command with what is expected of it.
#[derive(Debug, Default)]
struct Step<'a> {
    line: &'a str,
    code: i32,
    texts: Vec<&'a str>,
}

fn steps(transcript: &str) -> Result<Vec<Step<'_>>, String> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let lines = transcript.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(line) = line.strip_prefix("$ kubectl ") {
            steps.push(Step {
                line,
                ..Step::default()
            });
            continue;
        }
        let step = steps
            .last_mut()
            .ok_or("a transcript begins with a command")?;
        match line.strip_prefix("exit ") {
            Some(code) => step.code = code.parse().map_err(|_| format!("no exit code: {line}"))?,
            None => step.texts.push(line),
        }
    }
    Ok(steps)
}

/// Splits at spaces outside of single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn replay(kubectl: &Path, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let server = Server::start()?;
    for step in steps(&text)? {
        let output = Command::new(kubectl)
            .args(words(step.line))
            .current_dir(folder().join("files"))
            .env_clear()
            // `kubectl diff` calls a program.
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", server.home.path())
            .env("KUBECONFIG", server.home.path().join("kubeconfig"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start kubectl: {error}"))?;
        let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
        shown.push_str(&String::from_utf8_lossy(&output.stderr));
        let problem =
            |what: String| format!("$ kubectl {}\n{what}; it printed\n{shown}", step.line);
        if output.status.code() != Some(step.code) {
            return Err(problem(format!("ended with {}", output.status)));
        }
        let mut rest = shown.as_str();
        for text in step.texts {
            let at = rest
                .find(text)
                .ok_or_else(|| problem(format!("{text:?} is missing")))?;
            rest = &rest[at + text.len()..];
        }
    }
    Ok(())
}
