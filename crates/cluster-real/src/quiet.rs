//! What real controllers are still going to do by themselves: timers that no watch shows.
//!
//! A real cluster cannot be asked whether it is done. Nothing having changed for a while is a good sign, unless a
//! controller waits for a time that is written in the objects: back-off of a Job, deadlines, a namespace that empties.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wavetank_json::Value;
use wavetank_kernel::doubling;
use wavetank_model::pod::missing_image;
use wavetank_model::timestamp::parse;
use wavetank_model::{ObjectKey, object};
use wavetank_workload::latency;

/// Nothing having changed for this long is quiet (scenario format, section 10).
pub(crate) const QUIET: Duration = Duration::from_secs(3);
/// How much later than due a controller may act.
const GRACE: SignedDuration = SignedDuration::from_secs(8);
/// How long a deletion may take that nothing holds: the garbage collector learns of new kinds every half minute, and may
/// miss a round.
const DELETION: SignedDuration = SignedDuration::from_secs(80);

/// How long a Pod on a real node may take to start: images are pulled.
const START: SignedDuration = SignedDuration::from_mins(5);
/// How long a Pod whose image cannot be pulled is waited for: the kubelet tries it at once, after ten seconds, and after
/// twenty more.
const PULL: SignedDuration = SignedDuration::from_secs(35);
/// The deadline of a rollout that states none.
const ROLLOUT: SignedDuration = SignedDuration::from_mins(10);

/// Until when a controller may still act on some object, judged at `now`; `None` when none waits for anything. With
/// `real_nodes` their kubelets may act as well.
pub(crate) fn expected(
    objects: &BTreeMap<ObjectKey, Arc<Value>>,
    now: Timestamp,
    real_nodes: bool,
) -> Option<Timestamp> {
    let uids: BTreeSet<&str> = objects.values().map(|object| object::uid(object)).collect();
    let hopeless = if real_nodes {
        hopeless(objects, now)
    } else {
        BTreeSet::new()
    };
    objects
        .iter()
        .flat_map(|(key, object)| {
            let controllers = match (key.group.as_str(), key.kind.as_str()) {
                ("batch", "Job") => job(object, objects),
                ("apps", "Deployment") => {
                    deployment(object, hopeless.contains(object::uid(object)))
                }
                ("", "Pod") if real_nodes => pod(object, now),
                _ => None,
            };
            [controllers, deletion(key, object, objects, &uids)]
        })
        .flatten()
        .map(|due| due + GRACE)
        .filter(|until| *until > now)
        .max()
}

fn time(object: &Value, path: &str) -> Option<Timestamp> {
    object.pointer(path)?.as_str().and_then(parse)
}

fn seconds(object: &Value, path: &str) -> Option<SignedDuration> {
    object
        .pointer(path)?
        .as_i64()
        .map(SignedDuration::from_secs)
}

/// Deadline, back-off and removal of a Job.
fn job(job: &Value, objects: &BTreeMap<ObjectKey, Arc<Value>>) -> Option<Timestamp> {
    let ended = ["Complete", "Failed"]
        .into_iter()
        .find(|name| object::is_true(job, name));
    if let Some(ended) = ended {
        let at = object::condition(job, ended)
            .and_then(|condition| time(condition, "/lastTransitionTime"));
        return Some(at? + seconds(job, "/spec/ttlSecondsAfterFinished")?);
    }
    if job["spec"]["suspend"] == true {
        return None;
    }
    let deadline = time(job, "/status/startTime")
        .zip(seconds(job, "/spec/activeDeadlineSeconds"))
        .map(|(start, seconds)| start + seconds);
    let failed = job["status"]["failed"].as_u64().unwrap_or(0);
    let rests = job["status"]["active"].as_u64().unwrap_or(0) == 0;
    let back_off = (failed > 0 && rests).then(|| {
        let doublings = u32::try_from(failed - 1).unwrap_or(u32::MAX);
        let wait = doubling(latency::JOB_BACK_OFF, doublings, latency::JOB_BACK_OFF_MAX);
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::ZERO);
        last_end(object::uid(job), objects).map(|at| at + wait)
    });
    deadline.max(back_off.flatten())
}

/// When the last Pod of an owner ended.
fn last_end(owner: &str, objects: &BTreeMap<ObjectKey, Arc<Value>>) -> Option<Timestamp> {
    objects
        .iter()
        .filter(|(key, pod)| {
            key.kind == "Pod" && object::owners(pod).any(|reference| reference.uid == owner)
        })
        .filter_map(|(_, pod)| {
            pod["status"]["containerStatuses"]
                .as_array()?
                .iter()
                .filter_map(|status| time(status, "/state/terminated/finishedAt"))
                .max()
        })
        .max()
}

/// Whoever owns, directly or not, a Pod whose image has been tried long enough.
fn hopeless(objects: &BTreeMap<ObjectKey, Arc<Value>>, now: Timestamp) -> BTreeSet<&str> {
    let mut out = BTreeSet::new();
    let mut next: Vec<&Value> = objects
        .iter()
        .filter(|(key, _)| key.kind == "Pod" && key.group.is_empty())
        .filter(|(_, pod)| missing_image(pod).is_some())
        .filter(|(_, live)| pod(live, now).is_none_or(|due| due + GRACE <= now))
        .map(|(_, pod)| &**pod)
        .collect();
    while let Some(object) = next.pop() {
        for owner in object::owners(object) {
            if out.insert(owner.uid) {
                let owners = objects.values();
                next.extend(
                    owners
                        .map(|object| &**object)
                        .find(|object| object::uid(object) == owner.uid),
                );
            }
        }
    }
    out
}

/// The progress deadline, and Pods that are ready but not yet available. A rollout that is `hopeless` is waited for only
/// where somebody has stated how long.
fn deployment(deployment: &Value, hopeless: bool) -> Option<Timestamp> {
    let progressing = object::condition(deployment, "Progressing")?;
    let count = |field: &str| deployment["status"][field].as_i64().unwrap_or(0);
    let since = time(progressing, "/lastUpdateTime")?;
    let soon = seconds(deployment, "/spec/minReadySeconds")
        .filter(|_| count("readyReplicas") > count("availableReplicas"))
        .map(|seconds| since + seconds);
    let done = matches!(
        progressing["reason"].as_str(),
        Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
    );
    if done || deployment["spec"]["paused"] == true {
        return soon;
    }
    let deadline = seconds(deployment, "/spec/progressDeadlineSeconds")
        .filter(|seconds| !hopeless || *seconds != ROLLOUT)
        .map(|seconds| since + seconds);
    deadline.max(soon)
}

/// The start of a Pod on a real node, and its end where it is to end.
fn pod(pod: &Value, now: Timestamp) -> Option<Timestamp> {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    if matches!(phase, "Succeeded" | "Failed") {
        return None;
    }
    let ends = pod["spec"]["restartPolicy"] != "Always";
    if phase == "Running" && (ends || object::is_true(pod, "Ready")) {
        // What a container does is its own business; that it ends is promised.
        return ends.then(|| now + START);
    }
    let patience = match missing_image(pod) {
        None => START,
        Some(image) if image.is_tried_again() => PULL,
        Some(_) => SignedDuration::ZERO,
    };
    Some(time(pod, "/metadata/creationTimestamp")? + patience)
}

/// A deletion that only controllers hold up, and what is left of an owner that is gone.
fn deletion(
    key: &ObjectKey,
    object: &Value,
    objects: &BTreeMap<ObjectKey, Arc<Value>>,
    uids: &BTreeSet<&str>,
) -> Option<Timestamp> {
    if let Some(asked) = time(object, "/metadata/deletionTimestamp") {
        let of_controllers = |finalizer: &str| {
            matches!(
                finalizer,
                "foregroundDeletion"
                    | "orphan"
                    | "kubernetes.io/pvc-protection"
                    | "kubernetes.io/pv-protection"
                    | "customresourcecleanup.apiextensions.k8s.io"
            )
        };
        let mut held = object::finalizers(object).any(|finalizer| !of_controllers(finalizer));
        if key.kind == "Namespace" && key.group.is_empty() {
            held |= objects.iter().any(|(inner, object)| {
                inner.namespace == key.name && object::finalizers(object).next().is_some()
            });
        }
        if object::finalizers(object).any(|finalizer| finalizer == "foregroundDeletion") {
            held |= objects.values().any(|dependent| {
                object::owners(dependent).any(|owner| owner.uid == object::uid(object))
                    && object::finalizers(dependent).any(|finalizer| !of_controllers(finalizer))
            });
        }
        return (!held).then_some(asked + DELETION);
    }
    let mut owners = object::owners(object).peekable();
    owners.peek()?;
    let left = owners.all(|owner| !uids.contains(owner.uid));
    let since = time(object, "/metadata/creationTimestamp")?;
    (left && key.kind != "Event").then_some(since + DELETION)
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    fn world(objects: Vec<Value>) -> BTreeMap<ObjectKey, Arc<Value>> {
        objects
            .into_iter()
            .map(|object| (ObjectKey::of(&object).unwrap(), Arc::new(object)))
            .collect()
    }

    fn at(text: &str) -> Timestamp {
        parse(text).unwrap()
    }

    #[test]
    fn a_failed_job_waits_for_its_back_off() {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "uid": "j"},
            "status": {"failed": 2},
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a-1", "uid": "p", "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "j", "controller": true},
            ]},
            "status": {"containerStatuses": [{"state": {"terminated": {"finishedAt": "2026-01-01T00:00:10Z"}}}]},
        });
        let world = world(vec![job, pod]);
        // Ten seconds, doubled once, and the grace.
        let until = at("2026-01-01T00:00:38Z");
        assert_eq!(
            expected(&world, at("2026-01-01T00:00:12Z"), false),
            Some(until)
        );
        assert_eq!(expected(&world, until, false), None);
    }

    #[test]
    fn a_job_that_ended_is_removed_in_time() {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "uid": "j"},
            "spec": {"ttlSecondsAfterFinished": 20},
            "status": {"conditions": [
                {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        });
        assert_eq!(
            expected(&world(vec![job]), at("2026-01-01T00:00:05Z"), false),
            Some(at("2026-01-01T00:00:28Z"))
        );
    }

    #[test]
    fn a_deletion_that_somebody_holds_is_no_work() {
        let object = |finalizers: Value| {
            world(vec![json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "uid": "c", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers},
            })])
        };
        let now = at("2026-01-01T00:00:05Z");
        assert!(expected(&object(json!(["foregroundDeletion"])), now, false).is_some());
        assert!(expected(&object(json!(["example.com/hold"])), now, false).is_none());
    }

    #[test]
    fn a_rollout_waits_for_its_deadline_until_it_is_done() {
        let deployment = |reason: &str| {
            world(vec![json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "uid": "d"},
                "spec": {"progressDeadlineSeconds": 60},
                "status": {"conditions": [
                    {"type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": "2026-01-01T00:00:00Z"},
                ]},
            })])
        };
        let now = at("2026-01-01T00:00:05Z");
        assert_eq!(
            expected(&deployment("ReplicaSetUpdated"), now, false),
            Some(at("2026-01-01T00:01:08Z"))
        );
        assert_eq!(
            expected(&deployment("NewReplicaSetAvailable"), now, false),
            None
        );
    }

    #[test]
    fn on_real_nodes_pods_that_start_or_are_to_end_are_work() {
        let pod = |policy: &str, status: Value| {
            world(vec![json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "a", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"restartPolicy": policy}, "status": status,
            })])
        };
        let now = at("2026-01-01T00:02:00Z");
        let works =
            |policy: &str, status: Value| expected(&pod(policy, status), now, true).is_some();
        assert!(works("Always", json!({"phase": "Pending"})));
        assert!(works("Never", json!({"phase": "Running"})));
        assert!(!works("Never", json!({"phase": "Succeeded"})));
        let ready = json!([{"type": "Ready", "status": "True"}]);
        assert!(!works(
            "Always",
            json!({"phase": "Running", "conditions": ready})
        ));
        let image = json!([{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]);
        assert!(!works(
            "Never",
            json!({"phase": "Pending", "containerStatuses": image})
        ));
    }

    /// A Deployment with this deadline, its `ReplicaSet`, and a Pod whose container waits for this reason since midnight.
    fn rollout(deadline: u64, reason: &str) -> BTreeMap<ObjectKey, Arc<Value>> {
        let owned = |kind: &str, uid: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": uid, "controller": true}]);
        world(vec![
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "uid": "d"},
                "spec": {"progressDeadlineSeconds": deadline},
                "status": {"conditions": [
                    {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "lastUpdateTime": "2026-01-01T00:00:00Z"},
                ]},
            }),
            json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": "web-1", "uid": "r", "ownerReferences": owned("Deployment", "d")},
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "web-1-x", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z",
                    "ownerReferences": owned("ReplicaSet", "r"),
                },
                "spec": {"restartPolicy": "Always"},
                "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason}}}]},
            }),
        ])
    }

    #[test]
    fn a_rollout_without_its_image_is_given_up_long_before_its_usual_deadline() {
        let until = |world, now| expected(&world, at(now), true);
        let pulled = || rollout(600, "ImagePullBackOff");
        let deadline = Some(at("2026-01-01T00:10:08Z"));
        assert_eq!(until(pulled(), "2026-01-01T00:00:42Z"), deadline);
        assert_eq!(until(pulled(), "2026-01-01T00:00:43Z"), None);
        // Nobody tries again what must not be pulled.
        let never = || rollout(600, "ErrImageNeverPull");
        assert_eq!(until(never(), "2026-01-01T00:00:08Z"), None);
        // It may be slow to start for other reasons.
        let starts = || rollout(600, "ContainerCreating");
        assert_eq!(until(starts(), "2026-01-01T00:01:00Z"), deadline);
    }

    #[test]
    fn a_deadline_that_somebody_has_stated_is_waited_for() {
        assert_eq!(
            expected(
                &rollout(120, "ErrImageNeverPull"),
                at("2026-01-01T00:01:00Z"),
                true
            ),
            Some(at("2026-01-01T00:02:08Z"))
        );
    }
}
