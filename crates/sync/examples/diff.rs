//! Answers as `tools/diff` does, by our own comparison: a line for each line of standard input.

use std::io::{BufRead, Write};
use std::sync::Arc;

use serde::Deserialize;
use wavetank_json::Value;
use wavetank_model::{GroupVersionKind, ObjectKey};
use wavetank_sync::compare::is_modified;
use wavetank_sync::ignore::IgnoredDifference;
use wavetank_sync::{ResourceRef, SyncOptions, TrackingMethod, server_side_diff};

#[derive(Deserialize)]
struct Question {
    target: Value,
    live: Value,
    ignored: Vec<IgnoredDifference>,
    predicted: Option<Value>,
}

/// By what the server predicted, or by our own comparison; `null` where there is no answer.
fn answer(asked: Question) -> Option<bool> {
    let options = SyncOptions {
        ignore_differences: asked.ignored,
        ..SyncOptions::default()
    };
    let live = Arc::new(asked.live);
    let Some(predicted) = asked.predicted else {
        return Some(is_modified(
            &asked.target,
            &live,
            TrackingMethod::Annotation,
            &options,
        ));
    };
    let key = ObjectKey::of(&live)?;
    let resource = ResourceRef {
        gvk: GroupVersionKind::of(&live)?,
        resource: None,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    let question = server_side_diff::Question {
        key,
        resource,
        target: Arc::new(asked.target),
        live,
    };
    server_side_diff::is_modified(&question, &predicted, &options).ok()
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let asked: Question = serde_json::from_str(&line?)?;
        let modified = answer(asked).map_or("null".to_owned(), |modified| modified.to_string());
        writeln!(out, "{{\"modified\": {modified}}}")?;
    }
    Ok(())
}
