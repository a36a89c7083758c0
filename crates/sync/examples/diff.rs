//! Answers as `tools/diff` does, by our own comparison: a line for each line of standard input. The argument is the version
//! of Argo CD.

use std::io::Write;
use std::sync::Arc;

use serde::Deserialize;
use wavetank_json::{Value, json};
use wavetank_model::ArgoVersion;
use wavetank_sync::compare::is_modified;
use wavetank_sync::ignore::{IgnoredDifference, with_live_values};
use wavetank_sync::server_side_diff::{self, Question};
use wavetank_sync::{SyncOptions, TrackingMethod};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    target: Value,
    live: Value,
    ignored: Vec<IgnoredDifference>,
    #[serde(default)]
    by_server: bool,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    respected: bool,
}

/// What is sent where ignored differences are respected, or whether the two differ; `None` where there is no answer.
fn answer(asked: Asked, version: ArgoVersion) -> Option<Value> {
    let options = SyncOptions {
        ignore_differences: asked.ignored,
        server_side_apply: asked.merged,
        version,
        ..SyncOptions::default()
    };
    let live = Arc::new(asked.live);
    if asked.respected {
        let ignored = options.ignored(&asked.target);
        let sent = with_live_values(&ignored, &asked.target, &live, version);
        return Some(json!({"sent": sent}));
    }
    if !asked.by_server {
        let modified = is_modified(&asked.target, &live, TrackingMethod::Annotation, &options);
        return Some(json!({"modified": modified}));
    }
    let question = Question::new(Arc::new(asked.target), live, &options)?;
    let predicted = dry_run(&question.target).ok()?;
    let modified = server_side_diff::is_modified(&question, &predicted, &options).ok()?;
    Some(json!({"modified": modified}))
}

/// What the server says of an object: who asks us is asked.
fn dry_run(object: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    writeln!(std::io::stdout(), "{}", json!({"dryRun": object}))?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let version = std::env::args().nth(1);
    let version = version.and_then(|version| ArgoVersion::parse(&version));
    let version = version.ok_or("usage: diff VERSION, that of Argo CD")?;
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        let asked: Asked = serde_json::from_str(&line)?;
        let answer = answer(asked, version).unwrap_or_else(|| json!({"modified": null}));
        writeln!(std::io::stdout(), "{answer}")?;
        line.clear();
    }
    Ok(())
}
