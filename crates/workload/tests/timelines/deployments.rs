//! Deployments and `ReplicaSets` (API-339…346).

use std::time::Duration;

use wavetank_json::json;
use wavetank_model::ObjectKey;
use wavetank_model::script::{Behaviour, HangState, TimelineEntry};

use crate::cluster::Cluster;
use crate::objects::{deployment, rule, seconds};

const KINDS: [&str; 2] = ["Deployment", "ReplicaSet"];

fn web() -> ObjectKey {
    ObjectKey::new("apps", "Deployment", "default", "web")
}

#[test]
fn t103_a_deployment_rolls_out() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(deployment("web", json!({})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&KINDS), @r#"
    1.0s Deployment/web created by user
    1.010s ReplicaSet/web-bbrmkx5mv6 created by kube-controller-manager
    1.010s Deployment/web updated by kube-controller-manager {"metadata":{"annotations":{"deployment.kubernetes.io/revision":"1"}},"status":{"conditions":[{"lastTransitionTime":"T00:01Z","lastUpdateTime":"T00:01Z","message":"Created new replica set \"web-bbrmkx5mv6\"","reason":"NewReplicaSetCreated","status":"True","type":"Progressing"}]}}
    1.010s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Available":{"lastTransitionTime":"T00:01Z","lastUpdateTime":"T00:01Z","message":"Deployment does not have minimum availability.","reason":"MinimumReplicasUnavailable","status":"False","type":"Available"}},"observedGeneration":1,"terminatingReplicas":0,"unavailableReplicas":1}}
    1.020s ReplicaSet/web-bbrmkx5mv6 updated by kube-controller-manager {"status":{"observedGeneration":1,"terminatingReplicas":0}}
    1.030s ReplicaSet/web-bbrmkx5mv6 updated by kube-controller-manager {"status":{"fullyLabeledReplicas":1,"replicas":1}}
    1.030s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Progressing":{"message":"ReplicaSet \"web-bbrmkx5mv6\" is progressing.","reason":"ReplicaSetUpdated"}},"replicas":1,"updatedReplicas":1}}
    2.050s ReplicaSet/web-bbrmkx5mv6 updated by kube-controller-manager {"status":{"availableReplicas":1,"readyReplicas":1}}
    2.060s Deployment/web updated by kube-controller-manager {"status":{"availableReplicas":1,"conditions":{"Available":{"lastTransitionTime":"T00:02Z","lastUpdateTime":"T00:02Z","message":"Deployment has minimum availability.","reason":"MinimumReplicasAvailable","status":"True"},"Progressing":{"lastUpdateTime":"T00:02Z","message":"ReplicaSet \"web-bbrmkx5mv6\" has successfully progressed.","reason":"NewReplicaSetAvailable"}},"readyReplicas":1,"unavailableReplicas":null}}
    "#);
}

#[test]
fn t103_a_bad_image_exceeds_the_progress_deadline() {
    let mut cluster = Cluster::new(vec![rule(
        "Deployment/web",
        Behaviour::Hang(HangState::ImagePullBackOff),
    )]);
    cluster.create(deployment("web", json!({"progressDeadlineSeconds": 60})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Deployment", "Pod"]), @r#"
    1.0s Deployment/web created by user
    1.010s Deployment/web updated by kube-controller-manager {"metadata":{"annotations":{"deployment.kubernetes.io/revision":"1"}},"status":{"conditions":[{"lastTransitionTime":"T00:01Z","lastUpdateTime":"T00:01Z","message":"Created new replica set \"web-bbrmkx5mv6\"","reason":"NewReplicaSetCreated","status":"True","type":"Progressing"}]}}
    1.010s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Available":{"lastTransitionTime":"T00:01Z","lastUpdateTime":"T00:01Z","message":"Deployment does not have minimum availability.","reason":"MinimumReplicasUnavailable","status":"False","type":"Available"}},"observedGeneration":1,"terminatingReplicas":0,"unavailableReplicas":1}}
    1.020s Pod/web-bbrmkx5mv6-#1 created by kube-controller-manager
    1.030s Pod/web-bbrmkx5mv6-#1 updated by kube-scheduler {"spec":{"nodeName":"node-1"},"status":{"conditions":[{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","status":"True","type":"PodScheduled"}]}}
    1.030s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Progressing":{"message":"ReplicaSet \"web-bbrmkx5mv6\" is progressing.","reason":"ReplicaSetUpdated"}},"replicas":1,"updatedReplicas":1}}
    1.040s Pod/web-bbrmkx5mv6-#1 updated by kubelet {"status":{"conditions":{"ContainersReady":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"ContainersReady"},"Initialized":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"True","type":"Initialized"},"PodReadyToStartContainers":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","observedGeneration":1,"status":"False","type":"PodReadyToStartContainers"},"Ready":{"lastProbeTime":null,"lastTransitionTime":"T00:01Z","message":"containers with unready status: [main]","observedGeneration":1,"reason":"ContainersNotReady","status":"False","type":"Ready"}},"containerStatuses":[{"image":"nginx:1","imageID":"","lastState":{},"name":"main","ready":false,"restartCount":0,"started":false,"state":{"waiting":{"reason":"ContainerCreating"}}}],"hostIP":"172.18.0.2","hostIPs":[{"ip":"172.18.0.2"}],"observedGeneration":1,"startTime":"T00:01Z"}}
    2.040s Pod/web-bbrmkx5mv6-#1 updated by kubelet {"status":{"containerStatuses":{"main":{"state":{"waiting":{"message":"failed to pull and unpack image \"nginx:1\": failed to resolve reference \"nginx:1\": not found","reason":"ErrImagePull"}}}}}}
    12.040s Pod/web-bbrmkx5mv6-#1 updated by kubelet {"status":{"containerStatuses":{"main":{"state":{"waiting":{"message":"Back-off pulling image \"nginx:1\"","reason":"ImagePullBackOff"}}}}}}
    62.0s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Progressing":{"lastTransitionTime":"T01:02Z","lastUpdateTime":"T01:02Z","message":"ReplicaSet \"web-bbrmkx5mv6\" has timed out progressing.","reason":"ProgressDeadlineExceeded","status":"False"}}}}
    "#);
}

#[test]
fn a_template_change_rolls_within_surge_and_availability() {
    let ready = vec![TimelineEntry::Ready(seconds(3))];
    let mut cluster = Cluster::new(vec![rule("Deployment/web", Behaviour::Timeline(ready))]);
    cluster.create(deployment("web", json!({"replicas": 3})));
    cluster.run();
    cluster.run_for(Duration::from_secs(10));
    cluster.changes.clear();
    cluster.merge(
        &web(),
        json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.replicas(), @r#"
    15.080s set 0 wants 1 has 0 available null
    15.090s Pod Created
    15.090s set 0 wants 1 has 0 available null
    15.1s set 0 wants 1 has 1 available null
    19.120s set 0 wants 1 has 1 available 1
    19.130s set 1 wants 2 has 3 available 3
    19.140s set 0 wants 2 has 1 available 1
    19.140s Pod Deleting
    19.140s set 1 wants 2 has 3 available 3
    19.150s Pod Created
    19.150s set 0 wants 2 has 1 available 1
    19.150s set 1 wants 2 has 2 available 2
    19.160s set 0 wants 2 has 2 available 1
    20.150s Pod Deleted
    20.160s set 1 wants 2 has 2 available 2
    23.180s set 0 wants 2 has 2 available 2
    23.190s set 1 wants 1 has 2 available 2
    23.2s set 0 wants 3 has 2 available 2
    23.2s Pod Deleting
    23.2s set 1 wants 1 has 2 available 2
    23.210s Pod Created
    23.210s set 0 wants 3 has 2 available 2
    23.210s set 1 wants 1 has 1 available 1
    23.220s set 0 wants 3 has 3 available 2
    24.210s Pod Deleted
    24.220s set 1 wants 1 has 1 available 1
    27.240s set 0 wants 3 has 3 available 3
    27.250s set 1 wants 0 has 1 available 1
    27.260s Pod Deleting
    27.260s set 1 wants 0 has 1 available 1
    27.270s set 1 wants 0 has 0 available null
    28.270s Pod Deleted
    28.280s set 1 wants 0 has 0 available null
    "#);
}

#[test]
fn recreate_waits_until_old_pods_are_gone() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(deployment("web", json!({"strategy": {"type": "Recreate"}})));
    cluster.run();
    cluster.changes.clear();
    cluster.merge(
        &web(),
        json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.replicas(), @r#"
    2.080s set 0 wants 0 has 1 available 1
    2.090s Pod Deleting
    2.090s set 0 wants 0 has 1 available 1
    2.1s set 0 wants 0 has 0 available null
    3.1s Pod Deleted
    3.110s set 0 wants 0 has 0 available null
    3.120s set 1 wants 1 has 0 available null
    3.130s Pod Created
    3.130s set 1 wants 1 has 0 available null
    3.140s set 1 wants 1 has 1 available null
    4.160s set 1 wants 1 has 1 available 1
    "#);
}

#[test]
fn scaling_and_pausing() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(deployment("web", json!({"replicas": 2})));
    cluster.run();
    cluster.changes.clear();
    cluster.merge(&web(), json!({"spec": {"replicas": 4, "paused": true}}));
    cluster.run();
    cluster.merge(&web(), json!({"spec": {"replicas": 0, "paused": false}}));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Deployment"]), @r#"
    2.070s Deployment/web updated by user {"metadata":{"generation":2},"spec":{"paused":true,"replicas":4}}
    2.080s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Progressing":{"lastTransitionTime":"T00:02Z","message":"Deployment is paused","reason":"DeploymentPaused","status":"Unknown"}}}}
    2.085s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Available":{"message":"Deployment does not have minimum availability.","reason":"MinimumReplicasUnavailable","status":"False"}},"observedGeneration":2,"unavailableReplicas":2}}
    2.110s Deployment/web updated by kube-controller-manager {"status":{"replicas":4,"updatedReplicas":4}}
    3.130s Deployment/web updated by kube-controller-manager {"status":{"availableReplicas":4,"conditions":{"Available":{"lastTransitionTime":"T00:03Z","lastUpdateTime":"T00:03Z","message":"Deployment has minimum availability.","reason":"MinimumReplicasAvailable","status":"True"}},"readyReplicas":4,"unavailableReplicas":null}}
    3.140s Deployment/web updated by user {"metadata":{"generation":3},"spec":{"paused":null,"replicas":0}}
    3.150s Deployment/web updated by kube-controller-manager {"status":{"conditions":{"Progressing":{"lastUpdateTime":"T00:03Z","message":"Deployment is resumed","reason":"DeploymentResumed"}}}}
    3.155s Deployment/web updated by kube-controller-manager {"status":{"observedGeneration":3}}
    3.180s Deployment/web updated by kube-controller-manager {"status":{"availableReplicas":null,"conditions":{"Progressing":{"lastTransitionTime":"T00:03Z","message":"ReplicaSet \"web-bbrmkx5mv6\" has successfully progressed.","reason":"NewReplicaSetAvailable","status":"True"}},"readyReplicas":null,"replicas":null,"terminatingReplicas":4,"updatedReplicas":null}}
    4.190s Deployment/web updated by kube-controller-manager {"status":{"terminatingReplicas":0}}
    "#);
}
