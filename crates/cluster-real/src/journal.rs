//! What was started and made, on disk, so that it can be removed by whoever comes later.
//!
//! Each cluster has a folder with a record, written before anything is started, and a lock that is held as long as
//! somebody uses it: the operating system lets go of it when its owner dies. What has a record and nobody's lock is left
//! over, unless it was to be kept.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::processes;

const RECORD: &str = "record.json";
const LOCK: &str = "lease";
/// How often a lock is tried.
const ATTEMPTS: usize = 10;

/// The folder in which everything is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    folder: PathBuf,
}

/// What is written down of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Its name: `wavetank-` and something unique.
    pub name: String,
    /// `control-plane`, `kind` …
    pub target: String,
    /// Process id of who uses it, or used it last.
    pub owner: u32,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was last taken to be used again; empty: never.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub taken: String,
    /// Whether it stays when its owner is done.
    pub kept: bool,
    /// What it was made of: a cluster is used again only for the same.
    pub recipe: String,
    /// Of an existing cluster: the context.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Of an existing cluster: the kubeconfig.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kubeconfig: String,
}

impl Record {
    /// When it has surely been forgotten: a day after it was made, or taken again.
    pub fn expires(&self) -> Option<Timestamp> {
        let since = if self.taken.is_empty() {
            &self.created
        } else {
            &self.taken
        };
        let since: Timestamp = since.parse().ok()?;
        since.checked_add(24.hours()).ok()
    }

    /// The labels of what the driver makes: which cluster it is of, who uses it, and when it expires.
    pub fn labels(&self) -> BTreeMap<String, String> {
        // Values of labels have no colons.
        let expires = self
            .expires()
            .map(|time| time.strftime("%Y-%m-%dT%H.%M.%SZ").to_string());
        let labels = [
            ("dev.wavetank/cluster", Some(self.name.clone())),
            ("dev.wavetank/owner", Some(self.owner.to_string())),
            ("dev.wavetank/expires", expires),
        ];
        labels
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// What could not be read or written, or is somebody else's.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A cluster that is used by one run at a time.
    #[error("{name} is in use by process {owner}: one run at a time uses a cluster")]
    InUse {
        /// Which.
        name: String,
        /// Process id of who uses it; 0 where that is not written down yet.
        owner: u32,
    },
    /// A file or folder.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record.
    #[error("{path} is no record of a cluster")]
    Record {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::File { path, source }
}

/// A cluster of the journal.
#[derive(Debug)]
pub struct Entry {
    /// Its record.
    pub record: Record,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether somebody uses it.
    pub in_use: bool,
}

/// The right to use a cluster: held by one process at a time, let go of when dropped.
#[derive(Debug)]
pub struct Lease {
    folder: PathBuf,
    record: Record,
    lock: File,
}

impl Journal {
    /// The journal in `folder`, which need not be there yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn clusters(&self) -> PathBuf {
        self.folder.join("clusters")
    }

    /// Writes a cluster down and takes its lease: before anything of it is started.
    ///
    /// # Errors
    /// [`JournalError::InUse`] when somebody has the lease of a cluster of that name, others when it cannot be written.
    pub fn open(&self, record: Record) -> Result<Lease, JournalError> {
        let folder = self.clusters().join(&record.name);
        for _ in 0..ATTEMPTS {
            match lock(&folder, Missing::Made)? {
                Locked::Ours(lock, folder) => {
                    let lease = Lease {
                        folder,
                        record,
                        lock,
                    };
                    lease.write()?;
                    return Ok(lease);
                }
                // Whoever lists clusters holds it for an instant.
                Locked::Somebodys => pause(),
                // Its last user has just removed it: the next attempt makes it anew.
                Locked::Gone => {}
            }
        }
        let owner = read_record(&folder)?.map_or(0, |record| record.owner);
        Err(JournalError::InUse {
            name: record.name,
            owner,
        })
    }

    /// Takes the lease of a kept cluster like the `wanted` one, which was to be made, where nobody uses it. It is that
    /// one's owner's now, and left over when he dies: nobody knows then what is in it.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read, or the new owner cannot be written down.
    pub fn reuse(&self, wanted: &Record) -> Result<Option<Lease>, JournalError> {
        let is_wanted = |found: &Record| {
            found.kept && found.target == wanted.target && found.recipe == wanted.recipe
        };
        for entry in self.list()? {
            if entry.in_use || !is_wanted(&entry.record) {
                continue;
            }
            // Somebody may have used it, and not kept it, since it was listed.
            if let Some(mut lease) = take(&entry)?.filter(|lease| is_wanted(&lease.record)) {
                lease.record.owner = wanted.owner;
                lease.record.taken.clone_from(&wanted.created);
                lease.keep(false)?;
                return Ok(Some(lease));
            }
        }
        Ok(None)
    }

    /// Every cluster that is written down, by name.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, JournalError> {
        let clusters = self.clusters();
        let listed = match fs::read_dir(&clusters) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(file_error(&clusters))?,
        };
        let mut out = Vec::new();
        for found in listed {
            let folder = found.map_err(file_error(&clusters))?.path();
            // Another process is just making or removing it.
            let Some(record) = read_record(&folder)? else {
                continue;
            };
            let in_use = is_locked(&folder.join(LOCK));
            out.push(Entry {
                record,
                folder,
                in_use,
            });
        }
        out.sort_by(|left, right| left.record.name.cmp(&right.record.name));
        Ok(out)
    }

    /// Takes the leases of what is left over: clusters that nobody uses, and with `kept` those that were kept.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read.
    pub fn left_over(&self, kept: bool) -> Result<Vec<Lease>, JournalError> {
        let mut out = Vec::new();
        for entry in self.list()? {
            let is_wanted = |found: &Record| kept || !found.kept;
            if !entry.in_use && is_wanted(&entry.record) {
                out.extend(take(&entry)?.filter(|lease| is_wanted(&lease.record)));
            }
        }
        Ok(out)
    }
}

/// The record in a cluster's folder, if it is there.
fn read_record(folder: &Path) -> Result<Option<Record>, JournalError> {
    let path = folder.join(RECORD);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(file_error(&path))?,
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| JournalError::Record { path, source })
}

fn is_locked(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else {
        return false;
    };
    // A lock that was got is let go of at once; who looks does not see others who look.
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

/// What is done about a folder that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Made,
    Left,
}

/// What became of a lock.
enum Locked {
    /// It is ours, in this folder.
    Ours(File, PathBuf),
    /// Somebody has it.
    Somebodys,
    /// The folder is not there, or was removed meanwhile.
    Gone,
}

/// Takes the lock in `folder`, unless somebody has it.
fn lock(folder: &Path, missing: Missing) -> Result<Locked, JournalError> {
    if missing == Missing::Made {
        match fs::create_dir_all(folder) {
            // It was there, and was removed before it was looked at.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Locked::Gone),
            other => other.map_err(file_error(folder))?,
        }
    }
    let path = folder.join(LOCK);
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let lock = match opened {
        Err(error) if is_gone(&error) => return Ok(Locked::Gone),
        other => other.map_err(file_error(&path))?,
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(Locked::Somebodys),
        Err(fs::TryLockError::Error(source)) => return Err(JournalError::File { path, source }),
    }
    // Who had it may have removed all between the two: this is the lock of nothing then.
    let ours = lock.metadata().map_err(file_error(&path))?;
    let there = match fs::metadata(&path) {
        Err(error) if is_gone(&error) => return Ok(Locked::Gone),
        other => other.map_err(file_error(&path))?,
    };
    if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
        return Ok(Locked::Gone);
    }
    let folder = fs::canonicalize(folder).map_err(file_error(folder))?;
    Ok(Locked::Ours(lock, folder))
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes are waited for in real time"
)]
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

/// The lease of a cluster with its record as it is now, unless somebody has it or has removed it.
fn take(entry: &Entry) -> Result<Option<Lease>, JournalError> {
    let Locked::Ours(lock, folder) = lock(&entry.folder, Missing::Left)? else {
        return Ok(None);
    };
    Ok(read_record(&folder)?.map(|record| Lease {
        folder,
        record,
        lock,
    }))
}

impl Lease {
    /// What is written down.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The folder for everything that belongs to the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says whether the cluster stays when its owner is done.
    ///
    /// # Errors
    /// [`JournalError`] when that cannot be written.
    pub fn keep(&mut self, kept: bool) -> Result<(), JournalError> {
        self.record.kept = kept;
        self.write()
    }

    fn write(&self) -> Result<(), JournalError> {
        let (path, new) = (self.folder.join(RECORD), self.folder.join("record.new"));
        let text =
            serde_json::to_vec_pretty(&self.record).map_err(|source| JournalError::Record {
                path: path.clone(),
                source,
            })?;
        let written = || {
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        written().map_err(file_error(&path))
    }

    /// Ends every process whose command line names a file of the cluster's folder; gives how many. What they have asked a
    /// container runtime to make is waited for: nobody would know of it later. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] when the processes cannot be listed.
    pub fn end_processes(&self) -> Result<usize, JournalError> {
        let proc = Path::new(processes::PROC);
        let ended = processes::end(&self.folder).map_err(file_error(proc))?;
        processes::await_containers(&self.record.name).map_err(file_error(proc))?;
        Ok(ended)
    }

    /// Removes the cluster's folder: nothing of it is left.
    ///
    /// # Errors
    /// [`JournalError`] when it cannot be removed.
    pub fn forget(self) -> Result<(), JournalError> {
        // The record goes first: without it the rest is no cluster any more.
        let record = self.folder.join(RECORD);
        match fs::remove_file(&record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error(&record)(error));
            }
            _ => {}
        }
        // Out of the way at once: who waits for the name makes a folder of its own.
        let number = self
            .lock
            .metadata()
            .map_err(file_error(&self.folder))?
            .ino();
        let gone = self.folder.with_extension(format!("gone-{number}"));
        fs::rename(&self.folder, &gone).map_err(file_error(&self.folder))?;
        fs::remove_dir_all(&gone).map_err(file_error(&gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        Record {
            name: name.to_owned(),
            target: "control-plane".to_owned(),
            ..Record::default()
        }
    }

    #[test]
    fn a_cluster_in_use_is_not_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let lease = journal.open(record("wavetank-a")).unwrap();
        assert!(journal.list().unwrap()[0].in_use);
        assert!(journal.left_over(true).unwrap().is_empty());
        drop(lease);
        let mut left = journal.left_over(false).unwrap();
        assert_eq!(left.len(), 1);
        left.remove(0).forget().unwrap();
        assert!(journal.list().unwrap().is_empty());
    }

    #[test]
    fn a_kept_cluster_is_used_again_and_not_swept() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let mut lease = journal.open(record("wavetank-a")).unwrap();
        lease.keep(true).unwrap();
        drop(lease);
        assert!(journal.left_over(false).unwrap().is_empty());
        let kind = Record {
            target: "kind".to_owned(),
            ..record("wavetank-b")
        };
        assert!(journal.reuse(&kind).unwrap().is_none());
        let wanted = record("wavetank-b");
        let again = journal.reuse(&wanted).unwrap().unwrap();
        assert_eq!(again.record().name, "wavetank-a");
        // One at a time.
        assert!(journal.reuse(&wanted).unwrap().is_none());
    }

    #[test]
    fn who_takes_a_kept_cluster_owns_it_and_leaves_it_over_when_killed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let made = Record {
            owner: 1,
            created: "2026-01-01T00:00:00Z".to_owned(),
            ..record("wavetank-a")
        };
        let mut lease = journal.open(made).unwrap();
        lease.keep(true).unwrap();
        drop(lease);
        let wanted = Record {
            owner: 2,
            created: "2026-01-03T00:00:00Z".to_owned(),
            ..record("wavetank-b")
        };
        let again = journal.reuse(&wanted).unwrap().unwrap();
        let labels = again.record().labels();
        assert_eq!(labels["dev.wavetank/owner"], "2");
        assert_eq!(labels["dev.wavetank/expires"], "2026-01-04T00.00.00Z");
        assert_eq!(again.record().created, "2026-01-01T00:00:00Z");
        // Killed: nobody lets go of it as it should be.
        drop(again);
        assert_eq!(journal.left_over(false).unwrap().len(), 1);
    }

    #[test]
    fn who_has_a_cluster_is_named_to_who_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let theirs = Record {
            owner: 7,
            ..record("kubeconfig-a")
        };
        let lease = journal.open(theirs).unwrap();
        let refused = journal.open(record("kubeconfig-a")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "kubeconfig-a is in use by process 7: one run at a time uses a cluster"
        );
        lease.forget().unwrap();
        journal.open(record("kubeconfig-a")).unwrap();
    }

    #[test]
    fn a_cluster_that_went_after_it_was_listed_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let mut lease = journal.open(record("wavetank-a")).unwrap();
        lease.keep(true).unwrap();
        drop(lease);
        let listed = journal.list().unwrap().remove(0);
        // Another run uses it, and does not keep it.
        let other = journal.reuse(&record("wavetank-b")).unwrap().unwrap();
        assert!(take(&listed).unwrap().is_none());
        other.forget().unwrap();
        assert!(take(&listed).unwrap().is_none());
        assert!(!listed.folder.exists());
    }

    #[test]
    fn a_lock_of_a_folder_that_was_removed_is_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        let names = ["wavetank-a"; 4];
        // Four at once: each gets it in its turn, or is refused; none writes into a folder that another has just removed.
        let taken: usize = thread::scope(|scope| {
            let runs = names.map(|name| {
                let journal = &journal;
                scope.spawn(move || {
                    let leases = (0..50).filter_map(|_| match journal.open(record(name)) {
                        Ok(lease) => {
                            lease.forget().unwrap();
                            Some(())
                        }
                        Err(JournalError::InUse { .. }) => None,
                        Err(error) => panic!("{error:?}"),
                    });
                    leases.count()
                })
            });
            runs.map(|run| run.join().unwrap()).iter().sum()
        });
        assert!(taken >= 50, "{taken}");
        assert!(journal.list().unwrap().is_empty());
    }
}
