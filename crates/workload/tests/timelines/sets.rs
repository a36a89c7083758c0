//! `StatefulSets`, `DaemonSets` and `CronJobs` (API-347…349, API-354).

use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_model::ObjectKey;
use wavetank_workload::Config;

use crate::cluster::Cluster;
use crate::objects::object;

fn stateful_set(spec: Value) -> Value {
    let mut set = object(
        "apps/v1",
        "StatefulSet",
        "db",
        json!({"spec": {
            "serviceName": "db",
            "replicas": 2,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "main", "image": "db:1"}]},
            },
        }}),
    );
    for (field, value) in spec.as_object().into_iter().flatten() {
        set["spec"][field] = value.clone();
    }
    set
}

fn db() -> ObjectKey {
    ObjectKey::new("apps", "StatefulSet", "default", "db")
}

#[test]
fn a_stateful_set_starts_in_order_with_its_claims() {
    let mut cluster = Cluster::new(Vec::new());
    let claim = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "standard", "resources": {"requests": {"storage": "1Gi"}},
    }}]);
    cluster.create(stateful_set(json!({"volumeClaimTemplates": claim})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["StatefulSet", "ControllerRevision"]), @r#"
    1.0s StatefulSet/db created by user
    1.010s ControllerRevision/db-kgw4p627fr created by kube-controller-manager
    1.010s StatefulSet/db updated by kube-controller-manager {"status":{"collisionCount":0,"currentRevision":"db-kgw4p627fr","observedGeneration":1,"updateRevision":"db-kgw4p627fr"}}
    1.020s StatefulSet/db updated by kube-controller-manager {"status":{"currentReplicas":1,"replicas":1,"updatedReplicas":1}}
    3.050s StatefulSet/db updated by kube-controller-manager {"status":{"availableReplicas":1,"readyReplicas":1}}
    3.060s StatefulSet/db updated by kube-controller-manager {"status":{"currentReplicas":2,"replicas":2,"updatedReplicas":2}}
    5.090s StatefulSet/db updated by kube-controller-manager {"status":{"availableReplicas":2,"readyReplicas":2}}
    "#);
    insta::assert_snapshot!(cluster.comings_and_goings(&["Pod", "PersistentVolumeClaim", "PersistentVolume"]), @r#"
    1.010s PersistentVolumeClaim/data-db-0 created by kube-controller-manager
    1.010s Pod/db-0 created by kube-controller-manager
    2.020s PersistentVolume/pvc-uid:data-db-0 created by kube-controller-manager
    3.050s PersistentVolumeClaim/data-db-1 created by kube-controller-manager
    3.050s Pod/db-1 created by kube-controller-manager
    4.060s PersistentVolume/pvc-uid:data-db-1 created by kube-controller-manager
    "#);
}

#[test]
fn a_stateful_set_updates_from_the_highest_ordinal() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(stateful_set(json!({})));
    cluster.run();
    cluster.changes.clear();
    cluster.merge(
        &db(),
        json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["StatefulSet"]), @r#"
    3.080s StatefulSet/db updated by user {"metadata":{"generation":2},"spec":{"template":{"metadata":{"annotations":{"version":"2"}}}}}
    3.090s StatefulSet/db updated by kube-controller-manager {"status":{"currentReplicas":1,"observedGeneration":2,"updateRevision":"db-2v8499788k","updatedReplicas":null}}
    4.110s StatefulSet/db updated by kube-controller-manager {"status":{"availableReplicas":1,"readyReplicas":1,"replicas":1}}
    4.120s StatefulSet/db updated by kube-controller-manager {"status":{"replicas":2,"updatedReplicas":1}}
    5.140s StatefulSet/db updated by kube-controller-manager {"status":{"availableReplicas":2,"currentReplicas":null,"readyReplicas":2}}
    6.160s StatefulSet/db updated by kube-controller-manager {"status":{"availableReplicas":1,"readyReplicas":1,"replicas":1}}
    6.170s StatefulSet/db updated by kube-controller-manager {"status":{"replicas":2,"updatedReplicas":2}}
    7.190s StatefulSet/db updated by kube-controller-manager {"status":{"availableReplicas":2,"currentReplicas":2,"currentRevision":"db-2v8499788k","readyReplicas":2}}
    "#);
    insta::assert_snapshot!(cluster.comings_and_goings(&["Pod"]), @r#"
    3.090s Pod/db-1 deleting by kube-controller-manager
    4.1s Pod/db-1 deleted by kubelet
    4.110s Pod/db-1 created by kube-controller-manager
    5.140s Pod/db-0 deleting by kube-controller-manager
    6.150s Pod/db-0 deleted by kubelet
    6.160s Pod/db-0 created by kube-controller-manager
    "#);
    cluster.changes.clear();
    cluster.merge(&db(), json!({"spec": {"replicas": 0}}));
    cluster.run();
    insta::assert_snapshot!(cluster.comings_and_goings(&["Pod"]), @r#"
    7.210s Pod/db-1 deleting by kube-controller-manager
    8.220s Pod/db-1 deleted by kubelet
    8.230s Pod/db-0 deleting by kube-controller-manager
    9.240s Pod/db-0 deleted by kubelet
    "#);
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node() {
    let mut cluster = Cluster::with(
        Vec::new(),
        Config {
            nodes: 2,
            ..Config::default()
        },
    );
    cluster.create(object("apps/v1", "DaemonSet", "agent", json!({"spec": {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "selector": {"matchLabels": {"app": "agent"}},
        "template": {
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [{"name": "main", "image": "agent:1"}]},
        },
    }})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["DaemonSet"]), @r#"
    1.0s DaemonSet/agent created by user
    1.010s DaemonSet/agent updated by kube-controller-manager {"status":{"desiredNumberScheduled":2,"numberUnavailable":2,"observedGeneration":1}}
    1.020s DaemonSet/agent updated by kube-controller-manager {"status":{"currentNumberScheduled":2,"updatedNumberScheduled":2}}
    2.040s DaemonSet/agent updated by kube-controller-manager {"status":{"numberAvailable":2,"numberReady":2,"numberUnavailable":null}}
    "#);
    cluster.changes.clear();
    let key = ObjectKey::new("apps", "DaemonSet", "default", "agent");
    cluster.merge(
        &key,
        json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.comings_and_goings(&["Pod"]), @r#"
    2.060s Pod/agent-5h2k5 deleting by kube-controller-manager
    3.070s Pod/agent-5h2k5 deleted by kubelet
    3.080s Pod/agent-#1 created by kube-controller-manager
    4.110s Pod/agent-xtgbk deleting by kube-controller-manager
    5.120s Pod/agent-xtgbk deleted by kubelet
    5.130s Pod/agent-#2 created by kube-controller-manager
    "#);
}

#[test]
fn a_cron_job_starts_jobs_as_upkeep() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(object(
        "batch/v1",
        "CronJob",
        "tick",
        json!({"spec": {
            "schedule": "*/2 * * * *",
            "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "x", "command": ["sleep", "5"]}],
            }}}},
        }}),
    ));
    cluster.run();
    assert!(cluster.now.as_millis() < 5_000, "ticks are no work");
    cluster.run_for(Duration::from_secs(300));
    insta::assert_snapshot!(cluster.timeline(&["CronJob"]), @r#"
    1.0s CronJob/tick created by user
    120.0s CronJob/tick updated by kube-controller-manager {"status":{"active":[{"apiVersion":"batch/v1","kind":"Job","name":"tick-29453762","namespace":"default","resourceVersion":"112","uid":"uid:tick-29453762"}],"lastScheduleTime":"T02:00Z"}}
    127.040s CronJob/tick updated by kube-controller-manager {"status":{"active":null,"lastSuccessfulTime":"T02:07Z"}}
    240.0s CronJob/tick updated by kube-controller-manager {"status":{"active":[{"apiVersion":"batch/v1","kind":"Job","name":"tick-29453764","namespace":"default","resourceVersion":"125","uid":"uid:tick-29453764"}],"lastScheduleTime":"T04:00Z"}}
    247.040s CronJob/tick updated by kube-controller-manager {"status":{"active":null,"lastSuccessfulTime":"T04:07Z"}}
    "#);
}
