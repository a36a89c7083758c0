//! How many clusters the machine's inotify instances allow at a time.
//!
//! Nearly every program of a cluster watches files, each time with an instance of inotify, of which a user has 128 on many
//! machines. Who gets none fails with "too many open files", minutes after the cluster was begun. What runs in the nodes
//! of kind is root's, unless the container runtime is rootless.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

/// Instances of a control plane of ours: counted with v1.36.2, 10.
const CONTROL_PLANE: u64 = 12;
/// Instances of a kind cluster of one node: counted with v0.33.0 and v1.36.2, 28. A worker takes 15 more.
const KIND: u64 = 30;
/// What is enough for dozens of clusters.
const ENOUGH: u64 = 1024;

/// The inotify instances of the user who runs this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inotify {
    /// How many the user may have.
    pub limit: u64,
    /// How many are in use; one that processes share is counted for each.
    pub used: u64,
    /// Whether the user is root, to whom the nodes of kind belong.
    pub of_root: bool,
}

impl Inotify {
    /// Those of this machine; `None` where it does not say.
    pub fn of_machine() -> Option<Self> {
        Self::read(Path::new("/proc"), geteuid().as_raw())
    }

    /// Those of the user `owner`, by the files in `proc`.
    fn read(proc: &Path, owner: u32) -> Option<Self> {
        let limit = fs::read_to_string(proc.join("sys/fs/inotify/max_user_instances")).ok()?;
        let limit = limit.trim().parse().ok()?;
        // Processes come and go while they are looked at.
        let processes = fs::read_dir(proc).ok()?.flatten();
        let used = processes
            .filter(|process| process.metadata().is_ok_and(|found| found.uid() == owner))
            .map(|process| instances(&process.path()))
            .sum();
        Some(Self {
            limit,
            used,
            of_root: owner == 0,
        })
    }

    /// How many clusters that take `each` there is room for.
    fn room(self, each: u64) -> u64 {
        self.limit.saturating_sub(self.used) / each
    }
}

/// How many instances a process has open.
fn instances(process: &Path) -> u64 {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten();
    let open = files.flatten().filter(|file| {
        fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
    });
    // A process has not that many files.
    u64::try_from(open.count()).unwrap_or(u64::MAX)
}

/// `31 of 128 instances in use; room for clusters: 8 of control-plane, or 3 of kind with one node`, and what to do where
/// that is not enough for two.
impl fmt::Display for Inotify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (planes, kinds) = (self.room(CONTROL_PLANE), self.room(KIND));
        let Self { limit, used, .. } = self;
        write!(
            f,
            "{used} of {limit} instances in use; room for clusters: {planes} of control-plane, or {kinds} of kind with one node"
        )?;
        if !self.of_root {
            f.write_str(
                "; kind's nodes take root's, which only root can count, unless containers are rootless",
            )?;
        }
        if kinds < 2 {
            write!(f, "; more: sysctl {}", setting())?;
        }
        Ok(())
    }
}

/// What `sysctl` is to be given.
fn setting() -> String {
    format!("fs.inotify.max_user_instances={ENOUGH}")
}

/// What is to be done where there are none left, in one line that begins with a line break. `found` is what the machine
/// has, where it says that.
pub(crate) fn remedy(found: Option<Inotify>) -> String {
    let counted = found.map_or_else(String::new, |found| {
        format!(" ({} of {} in use)", found.used, found.limit)
    });
    format!(
        "\nthe machine's inotify instances are used up{counted}: `sysctl {}` gives more, and fewer clusters at a time need \
         fewer; a control plane takes about {CONTROL_PLANE}, a kind cluster of one node {KIND}",
        setting()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(limit: u64, used: u64) -> Inotify {
        Inotify {
            limit,
            used,
            of_root: true,
        }
    }

    #[test]
    fn instances_of_the_user_are_counted() {
        let proc = tempfile::tempdir().unwrap();
        let settings = proc.path().join("sys/fs/inotify");
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("max_user_instances"), "128\n").unwrap();
        for (process, targets) in [
            ("7", ["anon_inode:inotify", "/dev/null"]),
            ("8", ["anon_inode:inotify", "anon_inode:inotify"]),
            ("9", ["socket:[1]", "anon_inode:[eventpoll]"]),
        ] {
            let files = proc.path().join(process).join("fd");
            fs::create_dir_all(&files).unwrap();
            for (number, target) in targets.iter().enumerate() {
                symlink(target, files.join(number.to_string())).unwrap();
            }
        }
        let user = fs::metadata(proc.path()).unwrap().uid();
        let read = Inotify::read(proc.path(), user).unwrap();
        assert_eq!((read.limit, read.used), (128, 3));
        assert_eq!(Inotify::read(proc.path(), user + 1).unwrap().used, 0);
        assert_eq!(Inotify::read(&proc.path().join("7"), user), None);
    }

    #[test]
    fn enough_is_told_without_a_remedy() {
        assert_eq!(
            found(1024, 31).to_string(),
            "31 of 1024 instances in use; room for clusters: 82 of control-plane, or 33 of kind with one node"
        );
    }

    #[test]
    fn too_few_for_two_come_with_the_remedy() {
        assert_eq!(
            found(128, 80).to_string(),
            "80 of 128 instances in use; room for clusters: 4 of control-plane, or 1 of kind with one node; more: sysctl \
             fs.inotify.max_user_instances=1024"
        );
        // Lowered after they were taken.
        assert!(
            found(128, 200)
                .to_string()
                .contains("clusters: 0 of control-plane")
        );
    }

    #[test]
    fn who_is_not_root_is_told_that_the_nodes_take_roots() {
        let text = Inotify {
            of_root: false,
            ..found(1024, 0)
        };
        assert!(text.to_string().ends_with("unless containers are rootless"));
    }

    #[test]
    fn the_remedy_says_how_many_are_in_use() {
        let text = remedy(Some(found(128, 127)));
        assert!(
            text.contains(
                "used up (127 of 128 in use): `sysctl fs.inotify.max_user_instances=1024`"
            )
        );
        assert!(remedy(None).contains("used up: `sysctl"));
    }
}
