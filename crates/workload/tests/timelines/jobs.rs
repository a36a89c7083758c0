//! Jobs (API-326…338).

use serde_json::json;

use wavetank_model::script::Behaviour;

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
    1.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"ContainersReady"},"Initialized":{"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"True","type":"Initialized"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"False","type":"PodReadyToStartContainers"},"PodScheduled":{"lastProbeTime":null},"Ready":{"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"Ready"}},"containerStatuses":[{"image":"busybox:1","imageID":"","lastState":{},"name":"main","ready":false,"restartCount":0,"started":false,"state":{"waiting":{"reason":"ContainerCreating"}}}],"hostIPs":[{"ip":""}],"observedGeneration":1,"phase":"Pending","startTime":"T00:01Z"}}
    2.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:02Z","status":"True"},"Ready":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"}},"containerStatuses":{"main":{"containerID":"containerd://49cde9cb0778","imageID":"busybox@sha256:a69857381abf","ready":true,"started":true,"state":{"running":{"startedAt":"T00:02Z"},"waiting":null}}},"phase":"Running","podIP":"10.244.0.2","podIPs":[{"ip":"10.244.0.2"}]}}
    3.030s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    22.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:22Z","reason":"PodCompleted","status":"False"},"Initialized":{"reason":"PodCompleted"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:22Z","status":"False"},"Ready":{"lastTransitionTime":"T00:22Z","reason":"PodCompleted","status":"False"}},"containerStatuses":{"main":{"ready":false,"started":false,"state":{"running":null,"terminated":{"containerID":"containerd://49cde9cb0778","exitCode":0,"finishedAt":"T00:22Z","reason":"Completed","startedAt":"T00:02Z"}}}},"phase":"Succeeded"}}
    23.030s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":[{"lastProbeTime":"T00:23Z","lastTransitionTime":"T00:23Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"ready":0,"uncountedTerminatedPods":{"succeeded":["uid:a-#1"]}}}
    23.030s Pod/a-#1 updated by kube-controller-manager {"metadata":{"finalizers":null}}
    23.030s Job/a updated by kube-controller-manager {"status":{"completionTime":"T00:23Z","conditions":{"Complete":{"lastProbeTime":"T00:23Z","lastTransitionTime":"T00:23Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}},"succeeded":1,"uncountedTerminatedPods":{"succeeded":null}}}
    "#);
}

#[test]
fn t101_a_job_with_back_off_limit_0_fails() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(job("a", &["sh", "-c", "sleep 2; exit 3"], json!({"backoffLimit": 0})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Job", "Pod"]), @r#"
    1.0s Job/a created by user
    1.010s Pod/a-#1 created by kube-controller-manager
    1.010s Job/a updated by kube-controller-manager {"status":{"active":1,"ready":0,"startTime":"T00:01Z","terminating":0,"uncountedTerminatedPods":{}}}
    1.020s Pod/a-#1 updated by kube-scheduler {"spec":{"nodeName":"node-1"},"status":{"conditions":[{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","status":"True","type":"PodScheduled"}]}}
    1.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"ContainersReady"},"Initialized":{"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"True","type":"Initialized"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"False","type":"PodReadyToStartContainers"},"PodScheduled":{"lastProbeTime":null},"Ready":{"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"Ready"}},"containerStatuses":[{"image":"busybox:1","imageID":"","lastState":{},"name":"main","ready":false,"restartCount":0,"started":false,"state":{"waiting":{"reason":"ContainerCreating"}}}],"hostIPs":[{"ip":""}],"observedGeneration":1,"phase":"Pending","startTime":"T00:01Z"}}
    2.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:02Z","status":"True"},"Ready":{"lastTransitionTime":"T00:02Z","message":null,"reason":null,"status":"True"}},"containerStatuses":{"main":{"containerID":"containerd://49cde9cb0778","imageID":"busybox@sha256:a69857381abf","ready":true,"started":true,"state":{"running":{"startedAt":"T00:02Z"},"waiting":null}}},"phase":"Running","podIP":"10.244.0.2","podIPs":[{"ip":"10.244.0.2"}]}}
    3.030s Job/a updated by kube-controller-manager {"status":{"ready":1}}
    4.030s Pod/a-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastTransitionTime":"T00:04Z","reason":"PodFailed","status":"False"},"PodReadyToStartContainers":{"lastTransitionTime":"T00:04Z","status":"False"},"Ready":{"lastTransitionTime":"T00:04Z","reason":"PodFailed","status":"False"}},"containerStatuses":{"main":{"ready":false,"started":false,"state":{"running":null,"terminated":{"containerID":"containerd://49cde9cb0778","exitCode":3,"finishedAt":"T00:04Z","reason":"Error","startedAt":"T00:02Z"}}}},"phase":"Failed"}}
    5.030s Job/a updated by kube-controller-manager {"status":{"active":null,"conditions":[{"lastProbeTime":"T00:05Z","lastTransitionTime":"T00:05Z","message":"Job has reached the specified backoff limit","reason":"BackoffLimitExceeded","status":"True","type":"FailureTarget"}],"ready":0,"uncountedTerminatedPods":{"failed":["uid:a-#1"]}}}
    5.030s Pod/a-#1 updated by kube-controller-manager {"metadata":{"finalizers":null}}
    5.030s Job/a updated by kube-controller-manager {"status":{"conditions":{"Failed":{"lastProbeTime":"T00:05Z","lastTransitionTime":"T00:05Z","message":"Job has reached the specified backoff limit","reason":"BackoffLimitExceeded","status":"True","type":"Failed"}},"failed":1,"uncountedTerminatedPods":{"failed":null}}}
    "#);
}

#[test]
fn t101_a_failed_pod_is_replaced_after_a_back_off() {
    let mut cluster = Cluster::new(vec![rule("Job/a", Behaviour::Attempts(vec![fail(2), succeed(3)]))]);
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
