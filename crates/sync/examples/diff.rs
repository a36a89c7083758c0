//! Answers as `tools/diff` does, by our own comparison: a line for each line of standard input.

use std::io::{BufRead, Write};

use serde::Deserialize;
use wavetank_json::Value;
use wavetank_sync::compare::is_modified;
use wavetank_sync::ignore::IgnoredDifference;
use wavetank_sync::{SyncOptions, TrackingMethod};

#[derive(Deserialize)]
struct Question {
    target: Value,
    live: Value,
    ignored: Vec<IgnoredDifference>,
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let asked: Question = serde_json::from_str(&line?)?;
        let options = SyncOptions {
            ignore_differences: asked.ignored,
            ..SyncOptions::default()
        };
        let modified = is_modified(
            &asked.target,
            &asked.live.into(),
            TrackingMethod::Annotation,
            &options,
        );
        writeln!(out, "{{\"modified\": {modified}}}")?;
    }
    Ok(())
}
