//! A program that we started: its log is a file, and it ends when it is dropped.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::said::last_lines;

/// How much of a log is shown.
const TAIL_LINES: usize = 12;

/// A running program.
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    left: bool,
}

impl Process {
    /// Starts `program`; it logs to `folder`.
    ///
    /// # Errors
    /// Why it did not start.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        folder: &Path,
    ) -> Result<Self, String> {
        let name = program
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let errors = file
            .try_clone()
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            // A Ctrl-C in the terminal is for us alone: we end our programs ourselves.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        Ok(Self {
            name,
            log,
            child,
            left: false,
        })
    }

    /// Lets it run on, without us.
    pub(super) fn leave(mut self) {
        self.left = true;
    }

    /// Says how it ended, with what it logged last; `None` while it runs.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!(
                "{} ended ({status}); it logged last:\n{}",
                self.name,
                self.tail()
            )),
            Err(error) => Some(format!("{} cannot be watched: {error}", self.name)),
        }
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        last_lines(&text, TAIL_LINES)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // Its data is thrown away: there is nothing it could save.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
