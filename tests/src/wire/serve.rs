//! `wavetank serve` as a process.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::program::Program;

/// A served cluster; killed when this is dropped.
#[derive(Debug)]
pub struct Serve {
    /// The process.
    pub program: Program,
    // Kept open: the server may say more.
    _stdout: BufReader<ChildStdout>,
    home: TempDir,
}

impl Serve {
    /// Starts `binary serve` with further arguments and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, or says something else than that it is ready.
    pub fn start(binary: &Path, arguments: &[&str]) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let child = Command::new(binary)
            .args(["serve", "--kubeconfig"])
            .arg(home.path().join("kubeconfig"))
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let mut program = Program(child);
        let stdout = program.0.stdout.take().ok_or("the server has no output")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        if !line.starts_with("ready ") {
            return Err(format!("the server said {line:?} instead of being ready"));
        }
        Ok(Self {
            program,
            _stdout: stdout,
            home,
        })
    }

    /// The kubeconfig it wrote.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// A folder that goes away with the server.
    pub fn home(&self) -> &Path {
        self.home.path()
    }
}
