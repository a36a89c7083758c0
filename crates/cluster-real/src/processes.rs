//! Processes that were started for a cluster, found by their command lines: who started them may be gone.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Where the operating system lists them.
pub(crate) const PROC: &str = "/proc";
/// How often it is looked whether containers are still being made, and the time between two looks.
const LOOKS: (usize, Duration) = (600, Duration::from_millis(50));

/// Ids and command lines of all processes but this one.
fn all() -> io::Result<Vec<(Pid, Vec<String>)>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut out = Vec::new();
    for found in fs::read_dir(PROC)? {
        let Ok(found) = found else { continue };
        let name = found.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.parse().ok())
            .filter(|pid| *pid != own)
            .and_then(Pid::from_raw);
        // Processes come and go while they are looked at.
        let (Some(pid), Ok(line)) = (pid, fs::read(found.path().join("cmdline"))) else {
            continue;
        };
        out.push((pid, arguments(&line)));
    }
    Ok(out)
}

fn arguments(line: &[u8]) -> Vec<String> {
    let line = String::from_utf8_lossy(line);
    line.trim_end_matches('\0')
        .split('\0')
        .map(str::to_owned)
        .collect()
}

/// Ends every process of a program of ours that names a file of a cluster's `folder`; gives how many.
///
/// # Errors
/// When the processes cannot be listed.
pub(crate) fn end(folder: &Path) -> io::Result<usize> {
    let ours = all()?.into_iter().filter(|(_, line)| is_ours(line, folder));
    Ok(ours
        .filter(|(pid, _)| kill_process(*pid, Signal::KILL).is_ok())
        .count())
}

/// Waits until nobody makes a container any more for the cluster `name`: kind that was killed leaves a `docker run` behind,
/// whose container is not there yet, and would stay.
///
/// # Errors
/// When the processes cannot be listed.
pub(crate) fn await_containers(name: &str) -> io::Result<()> {
    let (looks, pause) = LOOKS;
    for _ in 0..looks {
        if !all()?.iter().any(|(_, line)| makes_container(line, name)) {
            break;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "other processes are waited for in real time"
        )]
        thread::sleep(pause);
    }
    Ok(())
}

fn program(argument: &str) -> &str {
    argument.rsplit('/').next().unwrap_or_default()
}

/// Whether a command line is that of a program that we start, and names a file of `folder`.
fn is_ours(line: &[String], folder: &Path) -> bool {
    let Some((first, arguments)) = line.split_first() else {
        return false;
    };
    let inside = format!("{}/", folder.display());
    matches!(
        program(first),
        "etcd" | "kind" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler"
    ) && arguments.iter().any(|argument| {
        argument
            .split_once('=')
            .is_some_and(|(_, value)| value.starts_with(&inside))
    })
}

/// Whether a command line is `docker run …` or the like, for a node of the cluster `name`. A runtime may be a script.
fn makes_container(line: &[String], name: &str) -> bool {
    let is_runtime = |argument: &str| matches!(program(argument), "docker" | "podman" | "nerdctl");
    let at = line.iter().take(2).position(|first| is_runtime(first));
    at.is_some_and(|at| {
        let rest = &line[at + 1..];
        rest.first().is_some_and(|verb| verb == "run")
            && rest.iter().any(|argument| argument.contains(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_programs_with_our_files_are_ended() {
        let folder = Path::new("/state/clusters/wavetank-a");
        let is_ours = |line: &[u8]| is_ours(&arguments(line), folder);
        assert!(is_ours(
            b"/opt/etcd\0--data-dir=/state/clusters/wavetank-a/etcd\0"
        ));
        assert!(!is_ours(
            b"/opt/tail\0--data-dir=/state/clusters/wavetank-a/etcd"
        ));
        assert!(!is_ours(
            b"/opt/etcd\0--data-dir=/state/clusters/wavetank-b/etcd"
        ));
        assert!(!is_ours(b""));
    }

    #[test]
    fn containers_of_the_cluster_are_being_made() {
        let makes = |line: &[u8]| makes_container(&arguments(line), "wavetank-a");
        let node = b"docker\0run\0--name\0wavetank-a-control-plane\0--detach\0";
        assert!(makes(node));
        assert!(makes(
            b"/bin/sh\0/usr/bin/podman\0run\0--name\0wavetank-a-worker"
        ));
        assert!(!makes(b"docker\0exec\0wavetank-a-control-plane\0kubeadm"));
        assert!(!makes(b"docker\0run\0--name\0wavetank-b-control-plane"));
        assert!(!makes(b"vim\0run\0wavetank-a"));
    }
}
