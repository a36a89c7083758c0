//! Endpoints, addresses, budgets and accounts (API-351, API-352, API-355, API-237).

use std::time::Duration;

use wavetank_json::json;
use wavetank_model::{DeleteOptions, ObjectKey};
use wavetank_workload::Config;

use crate::cluster::Cluster;
use crate::objects::{deployment, object};

#[test]
fn a_service_shows_ready_pods() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(object("v1", "Service", "web", json!({"spec": {
        "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
    }})));
    cluster.run();
    cluster.create(deployment("web", json!({})));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Endpoints", "EndpointSlice"]), @r#"
    1.010s Endpoints/web created by kube-controller-manager
    1.010s EndpointSlice/web-#1 created by kube-controller-manager
    2.060s Endpoints/web updated by kube-controller-manager {"metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"T00:02Z"}},"subsets":[{"addresses":[{"ip":"10.244.0.2","nodeName":"node-1","targetRef":{"kind":"Pod","name":"web-bbrmkx5mv6-#1","namespace":"default","uid":"uid:web-bbrmkx5mv6-#1"}}],"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}]}
    2.060s EndpointSlice/web-#1 updated by kube-controller-manager {"endpoints":[{"addresses":["10.244.0.2"],"conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"node-1","targetRef":{"kind":"Pod","name":"web-bbrmkx5mv6-#1","namespace":"default","uid":"uid:web-bbrmkx5mv6-#1"}}],"metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"T00:02Z"},"generation":2},"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}
    "#);
    cluster.changes.clear();
    cluster.merge(
        &ObjectKey::new("apps", "Deployment", "default", "web"),
        json!({"spec": {"replicas": 0}}),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Endpoints", "EndpointSlice"]), @r#"
    2.110s Endpoints/web updated by kube-controller-manager {"subsets":null}
    2.110s EndpointSlice/web-5h2k5 updated by kube-controller-manager {"endpoints":[{"addresses":["10.244.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true},"nodeName":"node-1","targetRef":{"kind":"Pod","name":"web-bbrmkx5mv6-xtgbk","namespace":"default","uid":"a115f38e-2315-47b3-a20b-df64d927776f"}}],"metadata":{"generation":3}}
    3.120s EndpointSlice/web-5h2k5 updated by kube-controller-manager {"endpoints":null,"metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"T00:03Z"},"generation":4},"ports":null}
    "#);
}

#[test]
fn load_balancers_and_ingresses_get_an_address() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(object("v1", "Service", "web", json!({"spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}})));
    cluster.create(object(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        json!({"spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Service", "Ingress"]), @r#"
    1.0s Service/web created by user
    1.0s Ingress/web created by user
    2.010s Service/web updated by cloud-controller-manager {"status":{"loadBalancer":{"ingress":[{"ip":"172.18.200.2","ipMode":"VIP"}]}}}
    2.010s Ingress/web updated by ingress-controller {"status":{"loadBalancer":{"ingress":[{"ip":"172.18.200.3"}]}}}
    "#);
}

#[test]
fn without_load_balancers_services_stay_without_address() {
    let mut cluster = Cluster::with(
        Vec::new(),
        Config {
            load_balancers: false,
            ..Config::default()
        },
    );
    cluster.create(object("v1", "Service", "web", json!({"spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}})));
    cluster.run();
    let service = cluster
        .get(&ObjectKey::new("", "Service", "default", "web"))
        .unwrap();
    assert_eq!(service["status"]["loadBalancer"].get("ingress"), None);
}

#[test]
fn a_budget_counts_its_pods() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(deployment("web", json!({"replicas": 3})));
    cluster.create(object(
        "policy/v1",
        "PodDisruptionBudget",
        "web",
        json!({"spec": {
            "maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}},
        }}),
    ));
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["PodDisruptionBudget"]), @r#"
    1.0s PodDisruptionBudget/web created by user
    1.010s PodDisruptionBudget/web updated by kube-controller-manager {"status":{"conditions":[{"lastTransitionTime":"T00:01Z","message":"","observedGeneration":1,"reason":"InsufficientPods","status":"False","type":"DisruptionAllowed"}],"observedGeneration":1}}
    1.030s PodDisruptionBudget/web updated by kube-controller-manager {"status":{"desiredHealthy":2,"expectedPods":3}}
    2.050s PodDisruptionBudget/web updated by kube-controller-manager {"status":{"conditions":{"DisruptionAllowed":{"lastTransitionTime":"T00:02Z","reason":"SufficientPods","status":"True"}},"currentHealthy":3,"disruptionsAllowed":1}}
    "#);
}

#[test]
fn an_autoscaler_keeps_its_bounds() {
    let mut cluster = Cluster::new(Vec::new());
    cluster.create(deployment("web", json!({"replicas": 1})));
    cluster.create(object("autoscaling/v2", "HorizontalPodAutoscaler", "web", json!({"spec": {
        "minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    }})));
    cluster.run();
    let web = cluster
        .get(&ObjectKey::new("apps", "Deployment", "default", "web"))
        .unwrap();
    assert_eq!(web["status"]["availableReplicas"], 2);
    insta::assert_snapshot!(cluster.timeline(&["HorizontalPodAutoscaler"]), @r#"
    1.0s HorizontalPodAutoscaler/web created by user
    1.010s HorizontalPodAutoscaler/web updated by kube-controller-manager {"status":{"conditions":[{"lastTransitionTime":"T00:01Z","message":"recommended size matches current size","reason":"ReadyForNewScale","status":"True","type":"AbleToScale"},{"lastTransitionTime":"T00:01Z","message":"the HPA was able to successfully calculate a replica count","reason":"ValidMetricFound","status":"True","type":"ScalingActive"},{"lastTransitionTime":"T00:01Z","message":"the desired count is within the acceptable range","reason":"DesiredWithinRange","status":"False","type":"ScalingLimited"}],"currentReplicas":0,"desiredReplicas":2,"lastScaleTime":"T00:01Z"}}
    1.050s HorizontalPodAutoscaler/web updated by kube-controller-manager {"status":{"currentReplicas":2}}
    "#);
}

#[test]
fn a_deleted_default_account_comes_back() {
    let mut cluster = Cluster::new(Vec::new());
    let account = ObjectKey::new("", "ServiceAccount", "default", "default");
    let first = cluster.get(&account).unwrap();
    cluster.delete(&account, &DeleteOptions::default());
    cluster.run_for(Duration::from_secs(1));
    assert_ne!(
        cluster.get(&account).unwrap()["metadata"]["uid"],
        first["metadata"]["uid"]
    );
}
