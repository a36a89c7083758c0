//! Jobs (API-326…338).

use std::time::Duration;

use wavetank_json::json;

use wavetank_model::script::Behaviour;
use wavetank_model::{DeleteOptions, ObjectKey, Propagation};

use crate::cluster::Cluster;

use crate::objects::{fail, job, rule, succeed};

#[test]
fn t101_a_job_succeeds() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["sleep", "20"], json!({})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job", "Pod"]), @r#"
    1.0s Job/a created by user
    1.010s Pod/a-#1 created by kube-controller-manager
    1.010s Job/a updated by kube-controller-manager {"status":{"active":1,"ready":0,"startTime":"T00:01Z","terminating":0,"uncountedTerminatedPods":{}}}
    1.020s Pod/a-#1 updated by kube-scheduler {"spec":{"nodeName":"node-1"},"status":{"conditions":[{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","status":"True","type":"PodScheduled"}]}}
    1.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"ContainersReady"},"Initialized":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"True","type":"Initialized"},"PodReadyToStartContainers":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"False","type":"PodReadyToStartContainers"},"Ready":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"Ready"}},"containerStatuses":[{"image":"busybox:1","imageID":"","lastState":{},"name":"main","ready":false,"restartCount":0,"started":false,"state":{"waiting":{"reason":"ContainerCreating"}}}],"hostIP":"172.18.0.2","hostIPs":[{"ip":"172.18.0.2"}],"observedGeneration":1,"startTime":"T00:01Z"}}
    2.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:02Z","status":"True"},"Ready":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"}},"containerStatuses":{"main":{"containerID":"containerd://4c8dce5ee0e8","imageID":"busybox@sha256:a69857381abf","ready":true,"started":true,"state":{"running":{"startedAt":"T00:02Z"},"waiting":null}}},"phase":"Running","podIP":"10.244.0.2","podIPs":[{"ip":"10.244.0.2"}]}}
    3.030s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    22.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:22Z","reason":"PodCompleted","status":"False"},"Initialized":{"reason":"PodCompleted"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:22Z","status":"False"},"Ready":{"lastTransitionTime":"T00:22Z","reason":"PodCompleted","status":"False"}},"containerStatuses":{"main":{"ready":false,"started":false,"state":{"running":null,"terminated":{"containerID":"containerd://4c8dce5ee0e8","exitCode":0,"finishedAt":"T00:22Z","reason":"Completed","startedAt":"T00:02Z"}}}},"phase":"Succeeded"}}
    23.030s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":[{"lastProbeTime":"T00:23Z","lastTransitionTime":"T00:23Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"ready":0,"uncountedTerminatedPods":{"succeeded":["uid:a-#1"]}}}
    23.030s Pod/a-#1 updated by kube-controller-manager {"metadata":{"finalizers":null}}
    23.030s Job/a updated by kube-controller-manager {"status":{"completionTime":"T00:23Z","conditions":{"Complete":{"lastProbeTime":"T00:23Z","lastTransitionTime":"T00:23Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}},"succeeded":1,"uncountedTerminatedPods":{"succeeded":null}}}
    "#);
}

#[test]
fn t101_a_job_with_back_off_limit_0_fails() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job(
        "a",
        &["sh", "-c", "sleep 2; exit 3"],
        json!({"backoffLimit": 0}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job", "Pod"]), @r#"
    1.0s Job/a created by user
    1.010s Pod/a-#1 created by kube-controller-manager
    1.010s Job/a updated by kube-controller-manager {"status":{"active":1,"ready":0,"startTime":"T00:01Z","terminating":0,"uncountedTerminatedPods":{}}}
    1.020s Pod/a-#1 updated by kube-scheduler {"spec":{"nodeName":"node-1"},"status":{"conditions":[{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","status":"True","type":"PodScheduled"}]}}
    1.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"ContainersReady"},"Initialized":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"True","type":"Initialized"},"PodReadyToStartContainers":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"False","type":"PodReadyToStartContainers"},"Ready":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"Ready"}},"containerStatuses":[{"image":"busybox:1","imageID":"","lastState":{},"name":"main","ready":false,"restartCount":0,"started":false,"state":{"waiting":{"reason":"ContainerCreating"}}}],"hostIP":"172.18.0.2","hostIPs":[{"ip":"172.18.0.2"}],"observedGeneration":1,"startTime":"T00:01Z"}}
    2.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:02Z","status":"True"},"Ready":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"}},"containerStatuses":{"main":{"containerID":"containerd://4c8dce5ee0e8","imageID":"busybox@sha256:a69857381abf","ready":true,"started":true,"state":{"running":{"startedAt":"T00:02Z"},"waiting":null}}},"phase":"Running","podIP":"10.244.0.2","podIPs":[{"ip":"10.244.0.2"}]}}
    3.030s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    4.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:04Z","reason":"PodFailed","status":"False"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:04Z","status":"False"},"Ready":{"lastTransitionTime":"T00:04Z","reason":"PodFailed","status":"False"}},"containerStatuses":{"main":{"ready":false,"started":false,"state":{"running":null,"terminated":{"containerID":"containerd://4c8dce5ee0e8","exitCode":3,"finishedAt":"T00:04Z","reason":"Error","startedAt":"T00:02Z"}}}},"phase":"Failed"}}
    5.030s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":[{"lastProbeTime":"T00:05Z","lastTransitionTime":"T00:05Z","message":"Job has reached the specified backoff limit","reason":"BackoffLimitExceeded","status":"True","type":"FailureTarget"}],"ready":0,"uncountedTerminatedPods":{"failed":["uid:a-#1"]}}}
    5.030s Pod/a-#1 updated by kube-controller-manager {"metadata":{"finalizers":null}}
    5.030s Job/a updated by kube-controller-manager {"status":{"conditions":{"Failed":{"lastProbeTime":"T00:05Z","lastTransitionTime":"T00:05Z","message":"Job has reached the specified backoff limit","reason":"BackoffLimitExceeded","status":"True","type":"Failed"}},"failed":1,"uncountedTerminatedPods":{"failed":null}}}
    "#);
}

#[test]
fn t101_a_failed_pod_is_replaced_after_a_back_off() {
    let mut cluster = Cluster::new(vec![rule(
        "Job/a",
        Behaviour::Attempts(vec![fail(2), succeed(3)]),
    )]);
    cluster.create(job("a", &["x"], json!({"backoffLimit": 1})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job"]), @r#"
    1.0s Job/a created by user
    1.010s Job/a updated by kube-controller-manager {"status":{"active":1,"ready":0,"startTime":"T00:01Z","terminating":0,"uncountedTerminatedPods":{}}}
    3.030s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    5.030s Job/a updated by kube-controller-manager {"status":{"active":null,"ready":0,"uncountedTerminatedPods":{"failed":["uid:a-#1"]}}}
    5.030s Job/a updated by kube-controller-manager {"status":{"failed":1,"uncountedTerminatedPods":{"failed":null}}}
    14.030s Job/a updated by kube-controller-manager {"status":{"active":1}}
    16.050s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    19.050s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":[{"lastProbeTime":"T00:19Z","lastTransitionTime":"T00:19Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"ready":0,"uncountedTerminatedPods":{"succeeded":["uid:a-#2"]}}}
    19.050s Job/a updated by kube-controller-manager {"status":{"completionTime":"T00:19Z","conditions":{"Complete":{"lastProbeTime":"T00:19Z","lastTransitionTime":"T00:19Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}},"succeeded":1,"uncountedTerminatedPods":{"succeeded":null}}}
    "#);
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("batch", "Job", "default", name)
}

#[test]
fn t102_a_deadline_fails_a_job() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job(
        "a",
        &["sleep", "100"],
        json!({"activeDeadlineSeconds": 5}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job"]), @r#"
    1.0s Job/a created by user
    1.010s Job/a updated by kube-controller-manager {"status":{"active":1,"ready":0,"startTime":"T00:01Z","terminating":0,"uncountedTerminatedPods":{}}}
    3.030s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    6.0s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":[{"lastProbeTime":"T00:06Z","lastTransitionTime":"T00:06Z","message":"Job was active longer than specified deadline","reason":"DeadlineExceeded","status":"True","type":"FailureTarget"}],"ready":0,"terminating":1,"uncountedTerminatedPods":{"failed":["uid:a-#1"]}}}
    6.0s Job/a updated by kube-controller-manager {"status":{"failed":1,"uncountedTerminatedPods":{"failed":null}}}
    8.010s Job/a updated by kube-controller-manager {"status":{"terminating":0}}
    8.010s Job/a updated by kube-controller-manager {"status":{"conditions":{"Failed":{"lastProbeTime":"T00:08Z","lastTransitionTime":"T00:08Z","message":"Job was active longer than specified deadline","reason":"DeadlineExceeded","status":"True","type":"Failed"}}}}
    "#);
    insta::assert_snapshot!(cluster.comings_and_goings(&["Pod"]), @r#"
    1.010s Pod/a-#1 created by kube-controller-manager
    6.0s Pod/a-#1 deleting by kube-controller-manager
    7.010s Pod/a-#1 deleted by kubelet
    "#);
}

#[test]
fn t102_a_job_with_ttl_0_is_deleted_at_its_end() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["true"], json!({"ttlSecondsAfterFinished": 0})));
    cluster.run();
    assert_eq!(cluster.get(&key("a")), None);
    insta::assert_snapshot!(cluster.comings_and_goings(&["Job", "Pod"]), @r#"
    1.0s Job/a created by user
    1.010s Pod/a-#1 created by kube-controller-manager
    3.040s Job/a deleting by kube-controller-manager
    3.050s Pod/a-#1 deleting by kube-controller-manager
    3.050s Pod/a-#1 deleted by kube-controller-manager
    3.060s Job/a deleted by kube-controller-manager
    "#);
}

#[test]
fn completions_run_in_parallel() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job(
        "a",
        &["sleep", "3"],
        json!({"completions": 5, "parallelism": 2}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.counters("a"), @r#"
    1.0s {} null
    1.010s {"active":2,"ready":0,"terminating":0} null
    3.030s {"active":2,"ready":2,"terminating":0} null
    6.030s {"active":2,"ready":0,"terminating":0} null
    6.030s {"active":2,"ready":0,"succeeded":2,"terminating":0} null
    8.050s {"active":2,"ready":2,"succeeded":2,"terminating":0} null
    11.050s {"active":1,"ready":0,"succeeded":2,"terminating":0} null
    11.050s {"active":1,"ready":0,"succeeded":4,"terminating":0} null
    13.070s {"active":1,"ready":1,"succeeded":4,"terminating":0} null
    16.070s {"ready":0,"succeeded":4,"terminating":0} "SuccessCriteriaMet"
    16.070s {"ready":0,"succeeded":5,"terminating":0} "Complete"
    "#);
}

#[test]
fn an_indexed_job_completes_each_index() {
    let rules = vec![rule(
        "Job/a",
        Behaviour::Attempts(vec![fail(1), succeed(1)]),
    )];
    let mut cluster = Cluster::new(rules);
    cluster.create(job(
        "a",
        &["x"],
        json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.counters("a"), @r#"
    1.0s {} null
    1.010s {"active":3,"ready":0,"terminating":0} null
    3.030s {"active":3,"ready":3,"terminating":0} null
    4.030s {"completedIndexes":"1,2","ready":0,"succeeded":2,"terminating":0} null
    4.030s {"completedIndexes":"1,2","failed":1,"ready":0,"succeeded":2,"terminating":0} null
    13.030s {"active":1,"completedIndexes":"1,2","failed":1,"ready":0,"succeeded":2,"terminating":0} null
    15.050s {"active":1,"completedIndexes":"1,2","failed":1,"ready":1,"succeeded":2,"terminating":0} null
    16.050s {"completedIndexes":"0-2","failed":1,"ready":0,"succeeded":3,"terminating":0} "SuccessCriteriaMet"
    16.050s {"completedIndexes":"0-2","failed":1,"ready":0,"succeeded":3,"terminating":0} "Complete"
    "#);
}

#[test]
fn a_job_is_suspended_and_resumed() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["sleep", "3"], json!({"suspend": true})));
    cluster.run();
    cluster.merge(&key("a"), json!({"spec": {"suspend": false}}));
    cluster.run_for(Duration::from_secs(3));
    cluster.merge(&key("a"), json!({"spec": {"suspend": true}}));
    cluster.run();
    cluster.merge(&key("a"), json!({"spec": {"suspend": false}}));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job"]), @r#"
    1.0s Job/a created by user
    1.010s Job/a updated by kube-controller-manager {"status":{"conditions":[{"lastProbeTime":"T00:01Z","lastTransitionTime":"T00:01Z","message":"Job suspended","reason":"JobSuspended","status":"True","type":"Suspended"}],"ready":0,"terminating":0,"uncountedTerminatedPods":{}}}
    2.010s Job/a updated by user {"metadata":{"generation":2},"spec":{"suspend":false}}
    2.020s Job/a updated by kube-controller-manager {"status":{"active":1,"conditions":{"Suspended":{"lastProbeTime":"T00:02Z","lastTransitionTime":"T00:02Z","message":"Job resumed","reason":"JobResumed","status":"False"}},"startTime":"T00:02Z"}}
    4.040s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    5.010s Job/a updated by user {"metadata":{"generation":3},"spec":{"suspend":true}}
    5.020s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":{"Suspended":{"lastProbeTime":"T00:05Z","lastTransitionTime":"T00:05Z","message":"Job suspended","reason":"JobSuspended","status":"True"}},"ready":0,"startTime":null,"terminating":1}}
    7.030s Job/a updated by kube-controller-manager {"status":{"terminating":0}}
    8.030s Job/a updated by user {"metadata":{"generation":4},"spec":{"suspend":false}}
    8.040s Job/a updated by kube-controller-manager {"status":{"active":1,"conditions":{"Suspended":{"lastProbeTime":"T00:08Z","lastTransitionTime":"T00:08Z","message":"Job resumed","reason":"JobResumed","status":"False"}},"startTime":"T00:08Z"}}
    10.060s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    13.060s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":{"SuccessCriteriaMet":{"lastProbeTime":"T00:13Z","lastTransitionTime":"T00:13Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}},"ready":0,"uncountedTerminatedPods":{"succeeded":["uid:a-#2"]}}}
    13.060s Job/a updated by kube-controller-manager {"status":{"completionTime":"T00:13Z","conditions":{"Complete":{"lastProbeTime":"T00:13Z","lastTransitionTime":"T00:13Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}},"succeeded":1,"uncountedTerminatedPods":{"succeeded":null}}}
    "#);
}

#[test]
fn restarts_count_as_failures_on_failure() {
    let mut cluster = Cluster::new(Vec::new());
    let mut object = job("a", &["false"], json!({"backoffLimit": 2}));
    object["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    cluster.create(object);
    cluster.run();
    insta::assert_snapshot!(cluster.counters("a"), @r#"
    1.0s {} null
    1.010s {"active":1,"ready":0,"terminating":0} null
    14.030s {"ready":0,"terminating":1} "FailureTarget"
    14.030s {"failed":1,"ready":0,"terminating":1} "FailureTarget"
    16.040s {"failed":1,"ready":0,"terminating":0} "FailureTarget"
    16.040s {"failed":1,"ready":0,"terminating":0} "Failed"
    "#);
    assert_eq!(
        cluster.get(&key("a")).unwrap()["status"]["conditions"][1]["reason"],
        "BackoffLimitExceeded"
    );
}

#[test]
fn a_deleted_job_takes_its_running_pod_along() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["sleep", "100"], json!({})));
    cluster.run_for(Duration::from_secs(5));
    cluster.changes.clear();
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    cluster.delete(&key("a"), &options);
    cluster.run();
    insta::assert_snapshot!(cluster.comings_and_goings(&["Job", "Pod"]), @r#"
    6.0s Job/a deleted by user
    6.010s Pod/a-5h2k5 deleting by kube-controller-manager
    7.020s Pod/a-5h2k5 deleted by kubelet
    "#);
}

#[test]
fn a_foreground_deletion_waits_for_the_pod() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["sleep", "100"], json!({})));
    cluster.run_for(Duration::from_secs(5));
    cluster.changes.clear();
    let options = DeleteOptions {
        propagation: Some(Propagation::Foreground),
        ..DeleteOptions::default()
    };
    cluster.delete(&key("a"), &options);
    cluster.run();
    insta::assert_snapshot!(cluster.comings_and_goings(&["Job", "Pod"]), @r#"
    6.0s Job/a deleting by user
    6.010s Pod/a-5h2k5 deleting by kube-controller-manager
    7.020s Pod/a-5h2k5 deleted by kubelet
    7.030s Job/a deleted by kube-controller-manager
    "#);
}

#[test]
fn a_failure_is_counted_after_the_back_off_while_another_pod_is_ready() {
    // Seen on a real controller: its status during the back-off is refused by the server.
    let mut cluster = Cluster::new(vec![rule(
        "Job/a",
        Behaviour::Attempts(vec![fail(2), succeed(30), succeed(1)]),
    )]);
    cluster.create(job(
        "a",
        &["x"],
        json!({"completions": 2, "parallelism": 2}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.counters("a"), @r#"
    1.0s {} null
    1.010s {"active":2,"ready":0,"terminating":0} null
    3.030s {"active":2,"ready":2,"terminating":0} null
    14.030s {"active":2,"ready":1,"terminating":0} null
    14.030s {"active":2,"failed":1,"ready":1,"terminating":0} null
    16.050s {"active":2,"failed":1,"ready":2,"terminating":0} null
    17.050s {"active":1,"failed":1,"ready":1,"terminating":0} null
    17.050s {"active":1,"failed":1,"ready":1,"succeeded":1,"terminating":0} null
    33.030s {"failed":1,"ready":0,"succeeded":1,"terminating":0} "SuccessCriteriaMet"
    33.030s {"failed":1,"ready":0,"succeeded":2,"terminating":0} "Complete"
    "#);
}

#[test]
fn pods_over_the_parallelism_do_not_count_as_failed() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job(
        "a",
        &["sleep", "5"],
        json!({"completions": 3, "parallelism": 2}),
    ));
    cluster.run_for(Duration::from_secs(4));
    cluster.merge(&key("a"), json!({"spec": {"parallelism": 1}}));
    cluster.run();
    insta::assert_snapshot!(cluster.counters("a"), @r#"
    1.0s {} null
    1.010s {"active":2,"ready":0,"terminating":0} null
    3.030s {"active":2,"ready":2,"terminating":0} null
    5.0s {"active":2,"ready":2,"terminating":0} null
    5.010s {"active":1,"ready":1,"terminating":1} null
    7.020s {"active":1,"ready":1,"terminating":0} null
    8.020s {"active":1,"ready":0,"terminating":0} null
    8.020s {"active":1,"ready":0,"succeeded":1,"terminating":0} null
    10.040s {"active":1,"ready":1,"succeeded":1,"terminating":0} null
    15.040s {"active":1,"ready":0,"succeeded":1,"terminating":0} null
    15.040s {"active":1,"ready":0,"succeeded":2,"terminating":0} null
    17.060s {"active":1,"ready":1,"succeeded":2,"terminating":0} null
    22.060s {"ready":0,"succeeded":2,"terminating":0} "SuccessCriteriaMet"
    22.060s {"ready":0,"succeeded":3,"terminating":0} "Complete"
    "#);
}
