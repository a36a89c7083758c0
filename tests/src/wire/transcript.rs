//! Transcripts: commands of real clients with what is expected of them, replayed against `wavetank serve`.
//!
//! A transcript is a list of commands: `$ PROGRAM …`; `exit N` where the exit code is not 0; and texts that the output
//! holds, in this order. Single quotes hold words together; `#` begins a remark. A first line `serve ARGUMENTS` is for the
//! server.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Serve;

/// What a transcript is replayed with.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    /// The command `wavetank`.
    pub wavetank: &'a Path,
    /// Programs by the name they have in transcripts.
    pub programs: &'a BTreeMap<String, PathBuf>,
    /// Where commands are run.
    pub folder: &'a Path,
}

/// A command with what is expected of it.
#[derive(Debug, Default)]
struct Step<'a> {
    program: &'a str,
    line: &'a str,
    code: i32,
    texts: Vec<&'a str>,
}

/// The transcripts of a folder, by name.
///
/// # Panics
/// When the folder cannot be read.
pub fn transcripts(folder: &Path) -> BTreeMap<String, PathBuf> {
    fs::read_dir(folder)
        .expect("the folder of transcripts can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let name = path.file_stem().unwrap_or_default();
            (name.to_string_lossy().into_owned(), path)
        })
        .collect()
}

impl Replay<'_> {
    /// Replays a transcript with a fresh server.
    ///
    /// # Errors
    /// The first command that did otherwise than expected, with its output.
    pub fn run(&self, transcript: &Path) -> Result<(), String> {
        let text = fs::read_to_string(transcript).map_err(|error| error.to_string())?;
        let (arguments, steps) = steps(&text)?;
        let server = Serve::start(self.wavetank, &arguments)?;
        for step in steps {
            self.step(&step, &server)?;
        }
        Ok(())
    }

    fn step(&self, step: &Step<'_>, server: &Serve) -> Result<(), String> {
        let Step { program, line, .. } = step;
        let path = self
            .programs
            .get(*program)
            .ok_or_else(|| format!("no program {program}"))?;
        let output = Command::new(path)
            .args(words(line))
            .current_dir(self.folder)
            .env_clear()
            // `kubectl diff` calls a program.
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", server.home())
            .env("KUBECONFIG", server.kubeconfig())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
        shown.push_str(&String::from_utf8_lossy(&output.stderr));
        let problem = |what: String| format!("$ {program} {line}\n{what}; it printed\n{shown}");
        if output.status.code() != Some(step.code) {
            return Err(problem(format!("ended with {}", output.status)));
        }
        let mut rest = shown.as_str();
        for text in &step.texts {
            let at = rest
                .find(text)
                .ok_or_else(|| problem(format!("{text:?} is missing")))?;
            rest = &rest[at + text.len()..];
        }
        Ok(())
    }
}

/// The arguments of the server, and the commands.
fn steps(transcript: &str) -> Result<(Vec<&str>, Vec<Step<'_>>), String> {
    let (mut arguments, mut steps): (Vec<&str>, Vec<Step<'_>>) = (Vec::new(), Vec::new());
    let lines = transcript.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(command) = line.strip_prefix("$ ") {
            let (program, line) = command.split_once(' ').unwrap_or((command, ""));
            steps.push(Step {
                program,
                line,
                ..Step::default()
            });
            continue;
        }
        let Some(step) = steps.last_mut() else {
            let rest = line.strip_prefix("serve ");
            arguments.extend(
                rest.ok_or("a transcript begins with a command")?
                    .split_whitespace(),
            );
            continue;
        };
        match line.strip_prefix("exit ") {
            Some(code) => step.code = code.parse().map_err(|_| format!("no exit code: {line}"))?,
            None => step.texts.push(line),
        }
    }
    Ok((arguments, steps))
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
