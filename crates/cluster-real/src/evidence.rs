//! What a cluster knows after a run that went wrong: objects, Events and logs, in one folder.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wavetank_model::object;

use crate::discovery;
use crate::session::Session;

/// How much of each log is kept: its end.
const LOG_BYTES: u64 = 1 << 20;
/// How much of objects or Events is kept.
const JSON_BYTES: usize = 8 << 20;

/// Writes objects as last seen (Secrets hashed), Events, and the ends of `logs` to `folder`, which is made.
///
/// # Errors
/// What could not be written, in words; the rest is there.
pub(crate) async fn collect(
    session: &Session,
    logs: &[PathBuf],
    folder: &Path,
) -> Result<(), String> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut problems = Vec::new();
    let mut keep = |name: &str, written: std::io::Result<()>| {
        if let Err(error) = written {
            problems.push(format!("{}: {error}", folder.join(name).display()));
        }
    };
    let objects = session.objects().into_iter().map(|object| {
        let mut object = Value::clone(&object);
        if object::is_secret(&object) {
            object::redact_secret(&mut object);
        }
        object
    });
    keep("objects.json", write_all(folder, "objects.json", objects));
    let events: Value = discovery::get(session.admin(), "/api/v1/events?limit=2000")
        .await
        .unwrap_or_else(|error| json!({"items": [{"error": error}]}));
    let events = events["items"].as_array().cloned().unwrap_or_default();
    keep(
        "events.json",
        write_all(folder, "events.json", events.into_iter()),
    );
    for log in logs {
        let name = log
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        keep(&name, copy_end(log, &folder.join(&name)));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("; "))
    }
}

/// One JSON document a line, up to a limit.
fn write_all(
    folder: &Path,
    name: &str,
    values: impl Iterator<Item = Value>,
) -> std::io::Result<()> {
    let mut text = String::new();
    for value in values {
        let line = value.to_string();
        if text.len() + line.len() > JSON_BYTES {
            text.push_str("{\"error\":\"there is more: the limit was reached\"}\n");
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    fs::write(folder.join(name), text)
}

fn copy_end(from: &Path, to: &Path) -> std::io::Result<()> {
    if from == to {
        return Ok(());
    }
    let mut file = fs::File::open(from)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut end = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut end)?;
    fs::write(to, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_end_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.log"), folder.path().join("b.log"));
        let mut text = vec![b'x'; usize::try_from(LOG_BYTES).unwrap()];
        text.extend_from_slice(b"the end");
        fs::write(&from, &text).unwrap();
        copy_end(&from, &to).unwrap();
        let kept = fs::read(&to).unwrap();
        assert_eq!(kept.len() as u64, LOG_BYTES);
        assert!(kept.ends_with(b"the end"));
    }

    #[test]
    fn what_is_too_long_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let long = Value::from("x".repeat(JSON_BYTES / 2));
        write_all(
            folder.path(),
            "a.json",
            [long.clone(), long.clone(), long].into_iter(),
        )
        .unwrap();
        let text = fs::read_to_string(folder.path().join("a.json")).unwrap();
        assert!(text.ends_with("the limit was reached\"}\n"));
    }
}
