//! Standard output and standard error: where text goes, whether it has colour, how wide it may be.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use wavetank_report::{Layout, Palette};

/// The process's own streams. Nothing else in the workspace prints.
#[derive(Debug)]
pub(crate) struct Streams {
    /// For results.
    pub(crate) stdout: Layout,
    /// For everything else.
    pub(crate) stderr: Layout,
    progress: bool,
    progress_shown: bool,
}

/// Standard output was closed by its reader: there is nobody left to tell.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct OutputError(#[from] io::Error);

impl OutputError {
    pub(crate) fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Streams {
    /// Looks at the streams and the environment (`NO_COLOR`, `CLICOLOR_FORCE`, `TERM`).
    pub(crate) fn detect() -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let layout = |terminal: bool, choice: ColorChoice| Layout {
            palette: if choice == ColorChoice::Never {
                Palette::plain()
            } else {
                Palette::coloured()
            },
            width: width.filter(|_| terminal),
        };
        Self {
            stdout: layout(stdout.is_terminal(), AutoStream::choice(&stdout)),
            stderr: layout(stderr.is_terminal(), AutoStream::choice(&stderr)),
            progress: stderr.is_terminal(),
            progress_shown: false,
        }
    }

    /// Writes results.
    pub(crate) fn result(&mut self, text: &str) -> Result<(), OutputError> {
        self.clear_progress();
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Writes anything that is no result. When standard error is closed nobody can be told.
    pub(crate) fn message(&mut self, text: &str) {
        self.clear_progress();
        let _closed = anstream::stderr().lock().write_all(text.as_bytes());
    }

    /// Shows how far a long run has come, on a terminal only; the line is replaced by what comes next.
    pub(crate) fn progress(&mut self, text: &str) {
        if self.progress {
            let width = self.stderr.width.unwrap_or(80).saturating_sub(1);
            let text: String = text.chars().take(width).collect();
            let _closed = write!(io::stderr().lock(), "\r\x1b[2K{text}");
            self.progress_shown = true;
        }
    }

    pub(crate) fn clear_progress(&mut self) {
        if self.progress_shown {
            let _closed = io::stderr().lock().write_all(b"\r\x1b[2K");
            self.progress_shown = false;
        }
    }
}

/// Writes to standard error from wherever something has to be said at once.
pub(crate) fn notice(text: &str) {
    let _closed = anstream::stderr().lock().write_all(text.as_bytes());
}
