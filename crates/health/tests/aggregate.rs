//! Health of applications (SYNC-126, SYNC-127).

use rstest::rstest;
use wavetank_health::{Assessor, HealthStatus, Pair, application};
use wavetank_json::{Value, json};
use wavetank_model::ObjectKey;

fn aggregate(pairs: &[(Option<Value>, Option<Value>)]) -> HealthStatus {
    let pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|(target, live)| Pair {
            target: target.as_ref(),
            live: live.as_ref(),
        })
        .collect();
    let app = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
    application(&Assessor::new(), &app, &pairs).status
}

fn claim(phase: &str, annotations: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": phase, "annotations": annotations},
        "status": {"phase": phase}})
}

/// SYNC-126, SYNC-107, U-248, U-249, U-259.
#[test]
fn the_worst_object_decides() {
    let (bound, pending) = (claim("Bound", json!({})), claim("Pending", json!({})));
    assert_eq!(
        aggregate(&[(None, Some(bound.clone()))]),
        HealthStatus::Healthy
    );
    assert_eq!(
        aggregate(&[(None, Some(bound)), (None, Some(pending.clone()))]),
        HealthStatus::Progressing
    );
    assert_eq!(
        aggregate(&[
            (None, Some(claim("Lost", json!({})))),
            (None, Some(pending))
        ]),
        HealthStatus::Degraded
    );
}

/// SYNC-126, SYNC-127, U-248, U-253.
#[rstest]
#[case::ignored(json!({"argocd.argoproj.io/ignore-healthcheck": "true"}), HealthStatus::Healthy)]
#[case::ignored_only_by_true(json!({"argocd.argoproj.io/ignore-healthcheck": "yes"}), HealthStatus::Degraded)]
#[case::hook(json!({"argocd.argoproj.io/hook": "PreSync"}), HealthStatus::Healthy)]
#[case::hook_without_type(json!({"argocd.argoproj.io/hook": "presync"}), HealthStatus::Healthy)]
fn annotations_keep_objects_out(#[case] annotations: Value, #[case] expected: HealthStatus) {
    let bound = claim("Bound", json!({}));
    assert_eq!(
        aggregate(&[
            (None, Some(bound)),
            (None, Some(claim("Lost", annotations)))
        ]),
        expected
    );
}

/// SYNC-126.
#[test]
fn skipped_targets_do_not_count() {
    let skipped = claim("Lost", json!({"argocd.argoproj.io/hook": "Skip"}));
    let bound = claim("Bound", json!({}));
    assert_eq!(
        aggregate(&[(Some(skipped.clone()), Some(skipped)), (None, Some(bound))]),
        HealthStatus::Healthy
    );
}

/// SYNC-126, U-250, U-256.
#[test]
fn the_app_is_missing_only_when_all_its_objects_are() {
    let (one, two) = (claim("Bound", json!({})), claim("Pending", json!({})));
    assert_eq!(
        aggregate(&[(Some(one.clone()), None), (Some(two.clone()), None)]),
        HealthStatus::Missing
    );
    assert_eq!(
        aggregate(&[(Some(one.clone()), Some(one)), (Some(two), None)]),
        HealthStatus::Healthy
    );
    assert_eq!(aggregate(&[]), HealthStatus::Healthy);
}

#[test]
fn rows_of_absent_objects_say_missing() {
    let target = claim("Bound", json!({}));
    let app = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
    let health = application(
        &Assessor::new(),
        &app,
        &[Pair {
            target: Some(&target),
            live: None,
        }],
    );
    assert_eq!(
        health.resources[0].as_ref().unwrap().status,
        Some(HealthStatus::Missing)
    );
}

#[test]
fn a_failed_assessment_is_unknown_and_reported() {
    let odd = json!({"apiVersion": "apps/v2", "kind": "Deployment"});
    let app = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
    let health = application(
        &Assessor::new(),
        &app,
        &[Pair {
            target: None,
            live: Some(&odd),
        }],
    );
    assert_eq!(health.status, HealthStatus::Unknown);
    assert_eq!(
        health.error.unwrap(),
        "failed to get resource health for \"Deployment\" with name \"\" in namespace \"\": unsupported Deployment GVK: apps/v2, Kind=Deployment"
    );
}

/// SYNC-126, U-254: a child application that is unknown does not count, one that is degraded does.
#[cfg(feature = "lua")]
#[rstest]
#[case("Unknown", HealthStatus::Healthy)]
#[case("Missing", HealthStatus::Healthy)]
#[case("Degraded", HealthStatus::Degraded)]
fn child_applications_that_are_unknown_do_not_count(
    #[case] status: &str,
    #[case] expected: HealthStatus,
) {
    let child = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "child"},
        "status": {"health": {"status": status}}});
    let script = wavetank_health::LuaHealth::new("return {status = obj.status.health.status}");
    let assessor =
        Assessor::new().with_override("argoproj.io/Application", std::sync::Arc::new(script));
    let pairs = [
        Pair {
            target: None,
            live: Some(&child),
        },
        Pair {
            target: Some(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}})),
            live: None,
        },
    ];
    let app = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
    assert_eq!(application(&assessor, &app, &pairs).status, expected);
}

/// SYNC-126, SYNC-227: the objects of the worst health, three by name; who is healthy says nothing.
#[test]
fn the_message_names_whom_the_health_comes_from() {
    let message = |phases: &[(&str, &str)]| {
        let live: Vec<Value> = phases
            .iter()
            .map(|(name, phase)| {
                let mut claim = claim(phase, json!({}));
                claim["metadata"]["name"] = (*name).into();
                claim
            })
            .collect();
        let pairs: Vec<Pair<'_>> = live
            .iter()
            .map(|live| Pair {
                target: None,
                live: Some(live),
            })
            .collect();
        let app = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
        application(&Assessor::new(), &app, &pairs).message()
    };
    assert_eq!(message(&[("a", "Bound")]), "");
    assert_eq!(
        message(&[
            ("a", "Pending"),
            ("b", "Lost"),
            ("c", "Bound"),
            ("d", "Lost")
        ]),
        "Caused by PersistentVolumeClaim:b, PersistentVolumeClaim:d"
    );
    let many = ["a", "b", "c", "d", "e"].map(|name| (name, "Pending"));
    assert_eq!(
        message(&many),
        "Caused by PersistentVolumeClaim:a, PersistentVolumeClaim:b, PersistentVolumeClaim:c and 2 more"
    );
    let target = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let missing = [Pair {
        target: Some(&target),
        live: None,
    }];
    let app = ObjectKey::new("argoproj.io", "Application", "argocd", "shop");
    let health = application(&Assessor::new(), &app, &missing);
    assert_eq!(
        (health.status, health.message()),
        (HealthStatus::Missing, String::new())
    );
}
