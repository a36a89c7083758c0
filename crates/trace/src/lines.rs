//! Traces as JSON Lines: the header, then one entry a line.

use std::io::{self, BufRead, Write};

use crate::Trace;
use crate::entry::{Entry, Header, VERSION};

/// Why a trace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("cannot read the trace")]
    Io(#[from] io::Error),
    /// There is no header.
    #[error("the trace is empty: its first line must be the header")]
    Empty,
    /// A line is no JSON of the right form.
    #[error("line {line} of the trace is not an entry")]
    Line {
        /// Line number from 1.
        line: usize,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error("the trace is of version `{found}`, this program reads `{VERSION}`")]
    Version {
        /// What the header says.
        found: String,
    },
    /// A line is missing or stands twice.
    #[error("line {line} of the trace has number {found} where {expected} must stand")]
    Gap {
        /// Line number from 1.
        line: usize,
        /// The entry's number.
        found: u64,
        /// The number it should have.
        expected: u64,
    },
}

/// Writes a trace.
///
/// # Errors
/// Those of the writer.
pub fn write(trace: &Trace, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &trace.header)?;
    out.write_all(b"\n")?;
    for entry in &trace.entries {
        serde_json::to_writer(&mut *out, entry)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads a trace.
///
/// # Errors
/// [`ReadError`] names the line.
pub fn read(input: &mut dyn BufRead) -> Result<Trace, ReadError> {
    let mut lines = input.lines().enumerate();
    let (_, first) = lines.next().ok_or(ReadError::Empty)?;
    let header: Header =
        serde_json::from_str(&first?).map_err(|source| ReadError::Line { line: 1, source })?;
    if header.version != VERSION {
        return Err(ReadError::Version {
            found: header.version,
        });
    }
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in lines {
        let line_number = index + 1;
        let entry: Entry = serde_json::from_str(&line?).map_err(|source| ReadError::Line {
            line: line_number,
            source,
        })?;
        let expected = entries.last().map_or(1, |last| last.seq + 1);
        if entry.seq != expected {
            return Err(ReadError::Gap {
                line: line_number,
                found: entry.seq,
                expected,
            });
        }
        entries.push(entry);
    }
    Ok(Trace { header, entries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use wavetank_kernel::SimTime;
    use wavetank_model::{Phase, Verb};

    fn trace() -> Trace {
        let header = Header {
            version: VERSION.to_owned(),
            scenario: "s".to_owned(),
            seed: 1,
            target: "fake".to_owned(),
            engine: "builtin".to_owned(),
            namespace: "default".to_owned(),
            epoch: "2026-01-01T00:00:00Z".to_owned(),
            order: "commit".to_owned(),
        };
        let entry = |seq, event| Entry {
            seq,
            time: SimTime::from_millis(seq * 10),
            event,
        };
        let entries = vec![
            entry(
                1,
                Event::Phase {
                    phase: Phase::PreSync,
                    verb: Verb::Started,
                },
            ),
            entry(2, Event::EngineRestarted),
        ];
        Trace { header, entries }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut text = Vec::new();
        write(&trace(), &mut text).unwrap();
        assert_eq!(read(&mut text.as_slice()).unwrap(), trace());
    }

    #[test]
    fn a_missing_line_is_an_error() {
        let mut text = Vec::new();
        write(&trace(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .enumerate()
            .filter(|(n, _)| *n != 1)
            .map(|(_, line)| line)
            .collect();
        let without = lines.join("\n");
        let error = read(&mut without.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2 of the trace has number 2 where 1 must stand"
        );
    }
}
