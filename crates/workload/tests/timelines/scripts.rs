//! Rules on objects: timelines, deletions, reactions, owners, seeds (scenario format, section 5).

use std::time::Duration;

use wavetank_json::json;
use wavetank_model::script::{Behaviour, Delay, Deletion, Rule, TimelineEntry};
use wavetank_model::{DeleteOptions, ObjectKey};

use crate::cluster::Cluster;
use crate::objects::{blank_rule, deployment, fail, job, object, rule, seconds, succeed};

fn ingress() -> wavetank_json::Value {
    object(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        json!({"spec": {"ingressClassName": "a", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}}),
    )
}

#[test]
fn a_timeline_starts_anew_with_each_generation() {
    let timeline = vec![
        TimelineEntry::Status {
            after: seconds(2),
            patch: json!({"loadBalancer": {"ingress": [{"hostname": "first"}]}}),
            observe_generation: false,
        },
        TimelineEntry::Status {
            after: seconds(3),
            patch: json!({"loadBalancer": {"ingress": [{"hostname": "second"}]}}),
            observe_generation: false,
        },
    ];
    let mut cluster = Cluster::new(vec![rule("Ingress/web", Behaviour::Timeline(timeline))]);
    cluster.create(ingress());
    cluster.run();
    cluster.merge(
        &ObjectKey::new("networking.k8s.io", "Ingress", "default", "web"),
        json!({"spec": {"ingressClassName": "b"}}),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["Ingress"]), @r#"
    1.0s Ingress/web created by user
    3.0s Ingress/web updated by wavetank-workload {"status":{"loadBalancer":{"ingress":[{"hostname":"first"}]}}}
    6.0s Ingress/web updated by wavetank-workload {"status":{"loadBalancer":{"ingress":[{"hostname":"second"}]}}}
    6.010s Ingress/web updated by user {"metadata":{"generation":2},"spec":{"ingressClassName":"b"}}
    8.010s Ingress/web updated by wavetank-workload {"status":{"loadBalancer":{"ingress":[{"hostname":"first"}]}}}
    11.010s Ingress/web updated by wavetank-workload {"status":{"loadBalancer":{"ingress":[{"hostname":"second"}]}}}
    "#);
}

#[test]
fn a_rule_for_later_generations_leaves_the_first_alone() {
    let mut late = rule(
        "Deployment/web",
        Behaviour::Timeline(vec![TimelineEntry::Ready(seconds(30))]),
    );
    late.generation = Some(2);
    let mut cluster = Cluster::new(vec![late]);
    cluster.create(deployment("web", json!({})));
    cluster.run();
    let first = cluster.now;
    cluster.merge(
        &ObjectKey::new("apps", "Deployment", "default", "web"),
        json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}),
    );
    cluster.run();
    assert!(
        first.as_millis() < 4_000 && cluster.now.since(first) > Duration::from_secs(30),
        "{first} {}",
        cluster.now
    );
}

#[test]
fn a_write_of_its_own_brings_no_rule_for_later_generations() {
    let mut late = rule(
        "Ingress/web",
        Behaviour::Timeline(vec![TimelineEntry::Patch {
            after: seconds(1),
            patch: json!({"spec": {"ingressClassName": "late"}}),
        }]),
    );
    late.generation = Some(2);
    let first = Behaviour::Timeline(vec![TimelineEntry::Patch {
        after: seconds(1),
        patch: json!({"spec": {"ingressClassName": "first"}}),
    }]);
    let mut cluster = Cluster::new(vec![late, rule("Ingress/web", first)]);
    cluster.create(ingress());
    cluster.run();
    let key = ObjectKey::new("networking.k8s.io", "Ingress", "default", "web");
    // It is looked at again, as on a real cluster after the write itself.
    cluster.merge(&key, json!({"metadata": {"annotations": {"seen": "1"}}}));
    cluster.run();
    let web = cluster.get(&key).unwrap();
    assert_eq!(
        (
            &web["spec"]["ingressClassName"],
            &web["metadata"]["generation"]
        ),
        (&json!("first"), &json!(2))
    );
}

#[test]
fn a_patch_is_played_on_the_object() {
    let timeline = vec![TimelineEntry::Patch {
        after: seconds(5),
        patch: json!({"spec": {"replicas": 3}}),
    }];
    let mut cluster = Cluster::new(vec![rule("Deployment/web", Behaviour::Timeline(timeline))]);
    cluster.create(deployment("web", json!({"replicas": 1})));
    cluster.run();
    let web = cluster
        .get(&ObjectKey::new("apps", "Deployment", "default", "web"))
        .unwrap();
    assert_eq!(
        (
            &web["status"]["availableReplicas"],
            &web["metadata"]["generation"]
        ),
        (&json!(3), &json!(2))
    );
}

#[test]
fn a_deletion_is_held_up_for_a_time() {
    let slow = Rule {
        deletion: Some(Deletion::After(seconds(15))),
        ..blank_rule("ConfigMap/slow")
    };
    let mut cluster = Cluster::new(vec![slow]);
    cluster.create(object("v1", "ConfigMap", "slow", json!({})));
    cluster.run_for(Duration::from_secs(1));
    cluster.delete(
        &ObjectKey::new("", "ConfigMap", "default", "slow"),
        &DeleteOptions::default(),
    );
    cluster.run();
    insta::assert_snapshot!(cluster.timeline(&["ConfigMap"]), @r#"
    1.0s ConfigMap/slow created by user
    1.0s ConfigMap/slow updated by wavetank-workload {"metadata":{"finalizers":["wavetank.dev/deletion"]}}
    2.0s ConfigMap/slow deleting by user {"metadata":{"deletionGracePeriodSeconds":0,"deletionTimestamp":"T00:02Z"}}
    17.0s ConfigMap/slow deleted by wavetank-workload
    "#);
}

#[test]
fn a_deletion_is_held_up_until_an_event() {
    let until = Deletion::Until("Job/a succeeded".parse().unwrap());
    let never = Rule {
        deletion: Some(Deletion::Never),
        ..blank_rule("ConfigMap/never")
    };
    let mut cluster = Cluster::new(vec![
        Rule {
            deletion: Some(until),
            ..blank_rule("ConfigMap/x")
        },
        never,
    ]);
    let key = |name: &str| ObjectKey::new("", "ConfigMap", "default", name);
    for name in ["x", "never"] {
        cluster.create(object("v1", "ConfigMap", name, json!({})));
        cluster.run();
        cluster.delete(&key(name), &DeleteOptions::default());
        cluster.run();
    }
    assert!(cluster.get(&key("x")).is_some());
    let now = cluster.now;
    cluster.controllers.occurred(0, now);
    cluster.run();
    assert!(cluster.get(&key("x")).is_none() && cluster.get(&key("never")).is_some());
}

#[test]
fn a_deletion_is_held_up_from_a_generation_on() {
    let mut cluster = Cluster::new(vec![Rule {
        deletion: Some(Deletion::Never),
        generation: Some(2),
        ..blank_rule("Deployment/web")
    }]);
    let key = ObjectKey::new("apps", "Deployment", "default", "web");
    let held = |cluster: &mut Cluster| {
        let web = cluster.get(&key).unwrap();
        wavetank_model::object::finalizers(&web).count() == 1
    };
    cluster.create(deployment("web", json!({})));
    cluster.run();
    assert!(!held(&mut cluster));
    cluster.merge(&key, json!({"spec": {"replicas": 3}}));
    cluster.run();
    assert!(held(&mut cluster));
}

#[test]
fn controllers_notice_late_where_a_rule_says_so() {
    let blind = Rule {
        reaction: Some(seconds(5)),
        ..blank_rule("Deployment/web")
    };
    let mut cluster = Cluster::new(vec![blind]);
    cluster.create(deployment("web", json!({})));
    cluster.run();
    let made = cluster
        .changes
        .iter()
        .find(|change| change.key.kind == "ReplicaSet")
        .unwrap();
    assert_eq!(made.time.as_millis(), 6_010);
}

#[test]
fn attempts_count_on_over_jobs_of_one_name() {
    let mut cluster = Cluster::new(vec![rule(
        "Job/a",
        Behaviour::Attempts(vec![fail(1), succeed(1)]),
    )]);
    let key = ObjectKey::new("batch", "Job", "default", "a");
    cluster.create(job("a", &["x"], json!({"backoffLimit": 0})));
    cluster.run();
    assert_eq!(cluster.get(&key).unwrap()["status"]["failed"], 1);
    let options = DeleteOptions {
        propagation: Some(wavetank_model::Propagation::Background),
        ..DeleteOptions::default()
    };
    cluster.delete(&key, &options);
    cluster.run();
    cluster.create(job("a", &["x"], json!({"backoffLimit": 0})));
    cluster.run();
    assert_eq!(cluster.get(&key).unwrap()["status"]["succeeded"], 1);
}

#[test]
fn jitter_is_drawn_from_the_seed() {
    let run = || {
        let jittered = Delay {
            after: Duration::from_secs(3),
            jitter: Duration::from_secs(5),
        };
        let timeline = vec![TimelineEntry::Ready(jittered)];
        let mut cluster = Cluster::new(vec![rule("Deployment/*", Behaviour::Timeline(timeline))]);
        for name in ["a", "b", "c"] {
            cluster.create(deployment(name, json!({"replicas": 2})));
        }
        cluster.run();
        cluster.timeline(&["Deployment", "ReplicaSet", "Pod"])
    };
    assert_eq!(run(), run());
}

#[test]
fn frozen_objects_are_left_alone() {
    let mut cluster = Cluster::new(Vec::new());
    cluster
        .controllers
        .freeze(&ObjectKey::new("apps", "Deployment", "default", "web"));
    cluster.create(deployment("web", json!({})));
    cluster.run();
    assert_eq!(cluster.changes.len(), 1);
}
