//! A Pod's life (API-316…324).

use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_model::script::{Behaviour, HangState, TimelineEntry};
use wavetank_model::{DeleteOptions, ObjectKey};

use crate::cluster::Cluster;
use crate::objects::{object, pod, rule, seconds};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("", "Pod", "default", name)
}

#[test]
fn init_containers_run_one_after_the_other() {
    let mut cluster = Cluster::new(Vec::new());
    let init = |name: &str| json!({"name": name, "image": "busybox:1", "command": ["sleep", "2"]});
    cluster.create(pod(
        "p",
        json!({"restartPolicy": "Never", "initContainers": [init("one"), init("two")]}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    1.0s Created Pending
    1.010s Updated Pending
    1.020s Updated Pending, Ready False ContainersNotReady; one waiting PodInitializing; two waiting PodInitializing; main waiting PodInitializing
    2.020s Updated Pending, Ready False ContainersNotReady; one running ; two waiting PodInitializing; main waiting PodInitializing
    4.020s Updated Pending, Ready False ContainersNotReady; one terminated Completed(0); two waiting PodInitializing; main waiting PodInitializing
    5.020s Updated Pending, Ready False ContainersNotReady; one terminated Completed(0); two running ; main waiting PodInitializing
    7.020s Updated Pending, Ready False ContainersNotReady; one terminated Completed(0); two terminated Completed(0); main waiting PodInitializing
    8.020s Updated Running, Ready True ; one terminated Completed(0); two terminated Completed(0); main running 
    9.020s Updated Succeeded, Ready False PodCompleted; one terminated Completed(0); two terminated Completed(0); main terminated Completed(0)
    "#);
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let mut cluster = Cluster::new(Vec::new());
    let init = json!([{"name": "one", "image": "busybox:1", "command": ["false"]}]);
    cluster.create(pod(
        "p",
        json!({"restartPolicy": "Never", "initContainers": init}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    1.0s Created Pending
    1.010s Updated Pending
    1.020s Updated Pending, Ready False ContainersNotReady; one waiting PodInitializing; main waiting PodInitializing
    2.020s Updated Pending, Ready False ContainersNotReady; one running ; main waiting PodInitializing
    2.020s Updated Failed, Ready False PodFailed; one terminated Error(1); main waiting PodInitializing
    "#);
}

#[test]
fn a_crash_loop_backs_off_and_is_no_work() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(pod("p", json!({"containers": [{"name": "main", "image": "x", "command": ["sh", "-c", "sleep 1; exit 2"]}]})));
    cluster.run();
    assert_eq!(
        cluster.now.as_millis(),
        3020,
        "the first crash ends the work"
    );
    cluster.run_for(Duration::from_secs(120));
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    1.0s Created Pending
    1.010s Updated Pending
    1.020s Updated Pending, Ready False ContainersNotReady; main waiting ContainerCreating
    2.020s Updated Running, Ready True ; main running 
    3.020s Updated Running, Ready False ContainersNotReady; main terminated Error(2)
    4.020s Updated Running, Ready True ; main running  restarts 1 last 2
    5.020s Updated Running, Ready False ContainersNotReady; main waiting CrashLoopBackOff `back-off 10s restarting failed container=main pod=p_default(UID)` restarts 1 last 2
    15.020s Updated Running, Ready True ; main running  restarts 2 last 2
    16.020s Updated Running, Ready False ContainersNotReady; main waiting CrashLoopBackOff `back-off 20s restarting failed container=main pod=p_default(UID)` restarts 2 last 2
    36.020s Updated Running, Ready True ; main running  restarts 3 last 2
    37.020s Updated Running, Ready False ContainersNotReady; main waiting CrashLoopBackOff `back-off 40s restarting failed container=main pod=p_default(UID)` restarts 3 last 2
    77.020s Updated Running, Ready True ; main running  restarts 4 last 2
    78.020s Updated Running, Ready False ContainersNotReady; main waiting CrashLoopBackOff `back-off 1m20s restarting failed container=main pod=p_default(UID)` restarts 4 last 2
    "#);
}

#[test]
fn a_scripted_crash_is_followed_by_readiness() {
    let timeline = vec![
        TimelineEntry::Ready(seconds(5)),
        TimelineEntry::Crash {
            after: seconds(60),
            reason: "OOMKilled".to_owned(),
            exit_code: 137,
            message: Some("too much".to_owned()),
        },
        TimelineEntry::Ready(seconds(10)),
    ];
    let mut cluster = Cluster::new(vec![rule("Pod/p", Behaviour::Timeline(timeline))]);
    cluster.create(pod("p", json!({})));
    cluster.run();
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    1.0s Created Pending
    1.010s Updated Pending
    1.020s Updated Pending, Ready False ContainersNotReady; main waiting ContainerCreating
    2.020s Updated Running, Ready False ContainersNotReady; main running 
    7.020s Updated Running, Ready True ; main running 
    67.020s Updated Running, Ready False ContainersNotReady; main terminated OOMKilled(137) `too much`
    68.020s Updated Running, Ready False ContainersNotReady; main running  restarts 1 last 137
    77.020s Updated Running, Ready True ; main running  restarts 1 last 137
    "#);
}

#[test]
fn a_graceful_deletion_ends_the_containers_first() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(pod("p", json!({})));
    cluster.run();
    cluster.changes.clear();
    cluster.delete(&key("p"), &DeleteOptions::default());
    cluster.run();
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    2.020s Deleting Running, Ready True ; main running 
    3.030s Updated Failed, Ready False PodFailed; main terminated Error(143)
    3.030s Updated Failed, Ready False PodFailed; main terminated Error(143)
    3.030s Deleted Failed, Ready False PodFailed; main terminated Error(143)
    "#);
    assert_eq!(cluster.get(&key("p")), None);
}

#[test]
fn a_deadline_ends_a_pod() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(pod("p", json!({"activeDeadlineSeconds": 3})));
    cluster.run();
    let status = &cluster.get(&key("p")).unwrap()["status"];
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("DeadlineExceeded"))
    );
}

#[test]
fn pods_hang_where_the_script_says() {
    let mut cluster = Cluster::new(vec![
        rule("Pod/pending", Behaviour::Hang(HangState::Pending)),
        rule("Pod/image", Behaviour::Hang(HangState::ImagePullBackOff)),
        rule("Pod/running", Behaviour::Hang(HangState::Running)),
    ]);
    for name in ["pending", "image", "running"] {
        cluster.create(pod(name, json!({"restartPolicy": "Never"})));
    }
    cluster.run();
    let shown: Vec<String> = ["pending", "image", "running"]
        .map(|name| {
            let status = &cluster.get(&key(name)).unwrap()["status"];
            let waiting = status
                .pointer("/containerStatuses/0/state/waiting/reason")
                .unwrap_or(&Value::Null);
            format!("{} {waiting}", status["phase"])
        })
        .into();
    assert_eq!(
        shown,
        [
            "\"Pending\" null",
            "\"Pending\" \"ImagePullBackOff\"",
            "\"Running\" null"
        ]
    );
}

#[test]
fn a_pod_waits_for_the_config_map_it_reads() {
    let mut cluster = Cluster::new(Vec::new());
    let env = json!([{"configMapRef": {"name": "env"}}]);
    cluster.create(pod("p", json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "x", "envFrom": env}]})));
    cluster.run();
    cluster.run_for(Duration::from_secs(60));
    cluster.create(object(
        "v1",
        "ConfigMap",
        "env",
        json!({"data": {"A": "1"}}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    1.0s Created Pending
    1.010s Updated Pending
    1.020s Updated Pending, Ready False ContainersNotReady; main waiting CreateContainerConfigError `configmap "env" not found`
    61.030s Updated Pending, Ready False ContainersNotReady; main waiting ContainerCreating
    61.030s Updated Running, Ready True ; main running 
    62.030s Updated Succeeded, Ready False PodCompleted; main terminated Completed(0)
    "#);
}

#[test]
fn probes_delay_readiness() {
    let mut cluster = Cluster::new(Vec::new());
    let probe = json!({"httpGet": {"port": 80}, "initialDelaySeconds": 5, "periodSeconds": 10, "successThreshold": 2});
    cluster.create(pod(
        "p",
        json!({"containers": [{"name": "main", "image": "x", "readinessProbe": probe}]}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.pod_states("p"), @r#"
    1.0s Created Pending
    1.010s Updated Pending
    1.020s Updated Pending, Ready False ContainersNotReady; main waiting ContainerCreating
    2.020s Updated Running, Ready False ContainersNotReady; main running 
    17.120s Updated Running, Ready True ; main running
    "#);
}

#[test]
fn a_pod_that_fits_no_node_stays_pending() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(pod("p", json!({"nodeSelector": {"disk": "fast"}})));
    cluster.run();
    let message = &cluster.get(&key("p")).unwrap()["status"]["conditions"][0]["message"];
    assert_eq!(
        message,
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    let node = ObjectKey::new("", "Node", "", "node-1");
    cluster.merge(&node, json!({"metadata": {"labels": {"disk": "fast"}}}));
    cluster.run();
    assert_eq!(
        cluster.get(&key("p")).unwrap()["status"]["phase"],
        "Running"
    );
}
