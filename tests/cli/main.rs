//! Transcripts of the command: what a person sees, whole. Snapshots beside this file.
//!
//! The files run stand in `tests/fixtures`; each is expected to fail in its own way.

mod arguments;
mod engines;
mod lints;
mod loading;
mod plans;
mod runs;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// Runs the command in `tests/fixtures`, without colour, without a terminal, without input.
fn output(arguments: &[&str]) -> Output {
    output_in(&folder("tests/fixtures"), arguments)
}

fn output_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the command can be started")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the command prints UTF-8")
}

/// What the command prints to standard output.
fn stdout(arguments: &[&str]) -> String {
    text(output(arguments).stdout)
}

/// The command line, both streams and the exit code.
fn wavetank(arguments: &[&str]) -> String {
    let output = output(arguments);
    let mut shown = format!(
        "$ wavetank {}\n{}",
        arguments.join(" "),
        text(output.stdout)
    );
    let errors = text(output.stderr);
    if !errors.is_empty() {
        shown.push_str("---- standard error\n");
        shown.push_str(&errors);
    }
    let code = output
        .status
        .code()
        .map_or("none".to_owned(), |code| code.to_string());
    shown + "---- exit code: " + &code + "\n"
}

/// The exit code.
fn code(arguments: &[&str]) -> i32 {
    output(arguments)
        .status
        .code()
        .expect("the command is not killed")
}
