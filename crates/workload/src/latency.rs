//! The one table of fixed latencies of the simulated cluster.
//!
//! Everything the cluster does by itself takes one of these times on the canonical schedule; a scenario's script adds
//! to them. They are magnitudes of an idle real cluster.

use std::time::Duration;

/// From a commit to the watch events of it.
pub const WATCH_DELIVERY: Duration = Duration::from_millis(1);
/// From a change to a controller's reaction.
pub const CONTROLLER_REACTION: Duration = Duration::from_millis(10);
/// From a Pod's creation to its binding to a node.
pub const BINDING: Duration = Duration::from_millis(10);
/// From a binding, or a deletion request, to the kubelet's reaction.
pub const KUBELET_REACTION: Duration = Duration::from_millis(10);
/// From the kubelet's reaction to the first running container; also between init containers, and for a restart.
pub const CONTAINER_START: Duration = Duration::from_secs(1);
/// From a Pod's change to the Job controller's reaction: it batches Pod changes (API-326).
pub const JOB_BATCH: Duration = Duration::from_secs(1);
/// From a started container (after `initialDelaySeconds`) to the result of its first probe.
pub const PROBE: Duration = Duration::from_millis(100);
/// From the request to stop a container to its end, unless the grace period is shorter.
pub const CONTAINER_STOP: Duration = Duration::from_secs(1);
/// From `ErrImagePull` to `ImagePullBackOff`.
pub const IMAGE_PULL_RETRY: Duration = Duration::from_secs(10);
/// From a claim to its provisioned volume.
pub const PROVISION: Duration = Duration::from_secs(1);
/// From a `LoadBalancer` Service or an Ingress to its address.
pub const LOAD_BALANCER: Duration = Duration::from_secs(1);
/// First wait before a failed Job Pod is replaced; doubles with each failure (API-326).
pub const JOB_BACK_OFF: Duration = Duration::from_secs(10);
/// Longest wait before a failed Job Pod is replaced.
pub const JOB_BACK_OFF_MAX: Duration = Duration::from_secs(600);
/// First wait before a crashed container is started again; doubles with each crash (API-318).
pub const CRASH_BACK_OFF: Duration = Duration::from_secs(10);
/// Longest wait before a crashed container is started again.
pub const CRASH_BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// A container that ran this long starts its back-off anew.
pub const CRASH_BACK_OFF_RESET: Duration = Duration::from_secs(600);
/// How long a container runs whose command says nothing, where Pods are to end.
pub const UNKNOWN_COMMAND: Duration = Duration::from_secs(1);
/// How often a node renews its Lease.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(10);

/// The table in reading order: name, time, what it is.
pub const TABLE: &[(&str, Duration, &str)] = &[
    (
        "watch delivery",
        WATCH_DELIVERY,
        "from a commit to the watch events of it",
    ),
    (
        "controller reaction",
        CONTROLLER_REACTION,
        "from a change to a controller's reaction",
    ),
    (
        "binding",
        BINDING,
        "from a Pod's creation to its binding to a node",
    ),
    (
        "kubelet reaction",
        KUBELET_REACTION,
        "from a binding or deletion to the kubelet's reaction",
    ),
    (
        "container start",
        CONTAINER_START,
        "from the kubelet's reaction to a running container; per init container; per restart",
    ),
    (
        "job batching",
        JOB_BATCH,
        "from a Pod's change to the Job controller's reaction",
    ),
    (
        "probe",
        PROBE,
        "from a started container and its initialDelaySeconds to the first probe's result",
    ),
    (
        "container stop",
        CONTAINER_STOP,
        "from the request to stop a container to its end",
    ),
    (
        "image pull retry",
        IMAGE_PULL_RETRY,
        "from ErrImagePull to ImagePullBackOff",
    ),
    (
        "provisioning",
        PROVISION,
        "from a claim to its provisioned volume",
    ),
    (
        "load balancer",
        LOAD_BALANCER,
        "from a LoadBalancer Service or an Ingress to its address",
    ),
    (
        "job back-off",
        JOB_BACK_OFF,
        "before a failed Job Pod is replaced; doubles up to 10m",
    ),
    (
        "crash back-off",
        CRASH_BACK_OFF,
        "before the second restart of a crashed container; doubles up to 5m",
    ),
    (
        "unknown command",
        UNKNOWN_COMMAND,
        "how long a container runs whose command says nothing, where Pods are to end",
    ),
    (
        "lease renewal",
        LEASE_RENEWAL,
        "how often a node renews its Lease",
    ),
];

/// The table as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut out = String::from("| what | takes | from … to … |\n|---|---|---|\n");
    for (name, time, meaning) in TABLE {
        let time = go_duration(*time);
        out.push_str("| ");
        out.push_str(name);
        out.push_str(" | ");
        out.push_str(&time);
        out.push_str(" | ");
        out.push_str(meaning);
        out.push_str(" |\n");
    }
    out
}

/// A duration as Go prints it: `10ms`, `10s`, `1m20s`, `5m0s`.
pub fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let millis = duration.subsec_millis();
    if seconds == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let fraction = if millis == 0 {
        String::new()
    } else {
        format!(".{millis:03}").trim_end_matches('0').to_owned()
    };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_in_go() {
        let shown: Vec<String> = [10, 80_000, 300_000, 10_000, 3_600_000]
            .map(|ms| go_duration(Duration::from_millis(ms)))
            .into();
        assert_eq!(shown, ["10ms", "1m20s", "5m0s", "10s", "1h0m0s"]);
    }
}
