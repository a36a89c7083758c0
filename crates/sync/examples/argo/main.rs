//! Answers as `tools/argo` does, by our own code: a line for each line of standard input. The argument is the version
//! of Argo CD.

mod comparison;
mod controller;
mod deletion;
mod operation;

use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use wavetank_health::Assessor;
use wavetank_json::{Value, json};
use wavetank_model::{ArgoVersion, ObjectKey};
use wavetank_sync::compare::is_modified;
use wavetank_sync::ignore::{IgnoredDifference, with_live_values};
use wavetank_sync::operation::RetryStrategy;
use wavetank_sync::project::{Project, SyncWindow, WindowVerdict, can_sync};
use wavetank_sync::server_side_diff::{self, Question};
use wavetank_sync::{SyncOptions, TrackingMethod};

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    target: Value,
    #[serde(default)]
    live: Value,
    #[serde(default)]
    ignored: Vec<IgnoredDifference>,
    way: Way,
    #[serde(default)]
    windows: Vec<SyncWindow>,
    project: Option<Project>,
    #[serde(default)]
    manual: bool,
    at: Option<Timestamp>,
    started: Option<Timestamp>,
    #[serde(default)]
    app: Value,
    #[serde(default)]
    sync: Value,
    #[serde(default)]
    resources: Vec<Value>,
    #[serde(default)]
    pairs: Vec<AskedPair>,
    #[serde(default)]
    retry: RetryStrategy,
    #[serde(default)]
    count: u32,
    #[serde(default)]
    unknown: Vec<String>,
    #[serde(default)]
    timeout: i64,
    outcome: Option<operation::Outcome>,
}

/// An object as it is desired, as it is in the cluster, or both.
#[derive(Deserialize)]
struct AskedPair {
    target: Option<Value>,
    live: Option<Value>,
}

/// What is asked of the objects.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
enum Way {
    Compared,
    ByServer,
    Merged,
    Respected,
    Assessed,
    Permitted,
    Overrun,
    InProject,
    Decided,
    AppHealth,
    Retried,
    Deleted,
    Refreshed,
    Operated,
}

/// What our own code says; `None` where there is no answer.
fn answer(mut asked: Asked, version: ArgoVersion) -> Option<Value> {
    let options = SyncOptions {
        ignore_differences: std::mem::take(&mut asked.ignored),
        server_side_apply: asked.way == Way::Merged,
        version,
        ..SyncOptions::default()
    };
    let target = std::mem::take(&mut asked.target);
    let live = Arc::new(std::mem::take(&mut asked.live));
    Some(match asked.way {
        Way::Compared | Way::Merged => {
            let modified = is_modified(&target, &live, TrackingMethod::Annotation, &options);
            json!({"modified": modified})
        }
        Way::ByServer => {
            let question = Question::new(&target, live, &options)?;
            let predicted = dry_run(&question.target).ok()?;
            let modified = server_side_diff::is_modified(&question, &predicted, &options).ok()?;
            json!({"modified": modified})
        }
        Way::Respected => {
            let ignored = options.ignored(&target);
            json!({"sent": with_live_values(&ignored, &target, &live, version)})
        }
        Way::Assessed => match Assessor::new().with_version(version).assess(&live) {
            Ok(health) => json!({"health": wavetank_json::to_value(&health).ok()?}),
            Err(error) => json!({"error": error.to_string()}),
        },
        Way::Permitted | Way::Overrun => {
            // Virtual time counts milliseconds.
            let at = Timestamp::from_millisecond(asked.at?.as_millisecond()).ok()?;
            let (windows, manual) = (&asked.windows, asked.manual);
            match can_sync(windows, "app", "demo", manual, at, asked.started) {
                WindowVerdict::Allowed => json!({"permitted": true}),
                WindowVerdict::Blocked(text) if text.contains("invalid") => json!({"error": text}),
                WindowVerdict::Blocked(_) => json!({"permitted": false}),
            }
        }
        Way::InProject => {
            let permitted = asked.project?.permits_live(&ObjectKey::of(&live)?, version);
            json!({"permitted": permitted})
        }
        Way::Decided => controller::decided(&asked.app, &asked.sync, &asked.resources, asked.at?)?,
        Way::AppHealth => controller::app_health(&asked.pairs, version),
        Way::Retried => match asked.retry.wait(asked.count) {
            Ok(wait) => json!({"wait": wait.as_secs_f64()}),
            Err(error) => json!({"error": error.to_string()}),
        },
        Way::Deleted => deletion::passed(&asked, version)?,
        Way::Refreshed => comparison::found(&asked, version),
        Way::Operated => operation::standing(&asked, version)?,
    })
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
    let version = version.ok_or("usage: argo VERSION, that of Argo CD")?;
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        let asked: Asked = serde_json::from_str(&line)?;
        let answer = answer(asked, version).unwrap_or_else(|| json!({"modified": null}));
        writeln!(std::io::stdout(), "{answer}")?;
        line.clear();
    }
    Ok(())
}
