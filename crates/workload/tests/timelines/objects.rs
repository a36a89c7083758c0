//! Objects and rules that the timelines are made of.

use std::time::Duration;

use wavetank_json::{Value, json};
use wavetank_model::script::{Attempt, Behaviour, Delay, Rule};

pub(crate) fn seconds(seconds: u64) -> Delay {
    Delay {
        after: Duration::from_secs(seconds),
        jitter: Duration::ZERO,
    }
}

pub(crate) fn rule(reference: &str, behaviour: Behaviour) -> Rule {
    Rule {
        matches: reference.parse().unwrap(),
        generation: None,
        behaviour: Some(behaviour),
        deletion: None,
        reaction: None,
    }
}

pub(crate) fn fail(after: u64) -> Attempt {
    Attempt::Fail {
        after: seconds(after),
        exit_code: 1,
        message: None,
    }
}

pub(crate) fn succeed(after: u64) -> Attempt {
    Attempt::Succeed(seconds(after))
}

/// A Job; `spec` is merged into its spec.
pub(crate) fn job(name: &str, command: &[&str], spec: Value) -> Value {
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "busybox:1", "command": command}],
        }}},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        job["spec"][field] = value.clone();
    }
    job
}

/// A Deployment; `spec` is merged into its spec.
pub(crate) fn deployment(name: &str, spec: Value) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "nginx:1"}]},
            },
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        deployment["spec"][field] = value.clone();
    }
    deployment
}

/// A rule without behaviour.
pub(crate) fn blank_rule(reference: &str) -> Rule {
    Rule {
        matches: reference.parse().unwrap(),
        generation: None,
        behaviour: None,
        deletion: None,
        reaction: None,
    }
}

/// A Pod with one container; `spec` is merged into its spec.
pub(crate) fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "busybox:1"}]},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][field] = value.clone();
    }
    pod
}

pub(crate) fn object(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object = json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "default"},
    });
    for (field, value) in rest.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    object
}
