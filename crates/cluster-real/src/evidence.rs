//! What a cluster knows after a run that went wrong: objects, Events and logs, in one folder.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use wavetank_json::{Value, json};
use wavetank_model::object;

use crate::discovery;
use crate::session::Session;

/// How much of each log is kept: its end.
const LOG_BYTES: u64 = 1 << 20;
/// How much of objects or Events is kept.
const JSON_BYTES: usize = 8 << 20;
/// How much of the logs that another program exports is kept, together.
const EXPORT_BYTES: u64 = 32 << 20;
/// The file that says which exported logs were left out.
const LEFT_OUT: &str = "left-out.txt";

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

/// Copies the end of a log; one that is there already is cut down.
fn copy_end(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::write(to, end_of(from, LOG_BYTES)?)
}

fn end_of(file: &Path, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok(end)
}

/// Cuts down what another program has exported to `folder`: of each file the end is kept, and of all no more than the
/// limit; which were left out for it stands in a file beside them.
///
/// # Errors
/// What could not be read, cut or removed.
pub(crate) fn cut_down(folder: &Path) -> std::io::Result<()> {
    cut_down_to(folder, LOG_BYTES, EXPORT_BYTES)
}

fn cut_down_to(folder: &Path, each: u64, together: u64) -> std::io::Result<()> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    // What a node says of itself lies higher than what its containers say.
    files.sort_by_cached_key(|(path, _)| (path.components().count(), path.clone()));
    let (mut kept, mut left_out) = (0, Vec::new());
    for (path, length) in files {
        if kept + length.min(each) > together {
            let name = path.strip_prefix(folder).unwrap_or(&path).display();
            left_out.push(format!("{name}: {length} bytes\n"));
            fs::remove_file(&path)?;
            continue;
        }
        kept += length.min(each);
        if length > each {
            let end = end_of(&path, each)?;
            fs::write(&path, end)?;
        }
    }
    if left_out.is_empty() {
        Ok(())
    } else {
        fs::write(folder.join(LEFT_OUT), left_out.concat())
    }
}

/// The plain files below `folder`, with their lengths; links are not followed.
fn list(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push((entry.path(), entry.metadata()?.len()));
        }
    }
    Ok(())
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
        copy_end(&from, &from).unwrap();
        assert_eq!(fs::read(&from).unwrap(), kept);
    }

    #[test]
    fn exported_logs_are_cut_down_and_what_is_left_out_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let pods = folder.path().join("node/pods");
        fs::create_dir_all(&pods).unwrap();
        fs::write(folder.path().join("node/kubelet.log"), "a long kubelet log").unwrap();
        fs::write(pods.join("a.log"), "four").unwrap();
        fs::write(pods.join("b.log"), "more than fits").unwrap();
        fs::write(pods.join("c.log"), "3rd").unwrap();
        cut_down_to(folder.path(), 10, 17).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert_eq!(read("node/kubelet.log"), "ubelet log");
        assert_eq!(read("node/pods/a.log"), "four");
        assert_eq!(read("node/pods/c.log"), "3rd");
        assert!(!pods.join("b.log").exists());
        assert_eq!(read(LEFT_OUT), "node/pods/b.log: 14 bytes\n");
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
