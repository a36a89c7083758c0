//! Deployment, `ReplicaSet`, `StatefulSet`, `DaemonSet`, `ReplicationController`, `ControllerRevision` (API-277, API-279,
//! API-280).

use wavetank_json::Value;

use super::empty_status;
use super::pod::default_template;
use super::storage::default_claim_spec;
use crate::fields::{default_text, default_to, ensure, entries, items_mut, present, set, text};
use crate::object::At;

pub(super) fn deployment(object: &mut Value) {
    empty_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_template(spec);
    default_to(spec, "replicas", 1);
    if let Some(strategy) = ensure(spec, "strategy") {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = ensure(strategy, "rollingUpdate")
        {
            default_to(rolling, "maxUnavailable", "25%");
            default_to(rolling, "maxSurge", "25%");
        }
    }
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "progressDeadlineSeconds", 600);
}

pub(super) fn replica_set(object: &mut Value) {
    replicas_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_template(spec);
    default_to(spec, "replicas", 1);
}

/// Fills the counter of a `ReplicaSet` or `ReplicationController` that is present even when 0.
pub fn replicas_status(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        default_to(status, "replicas", 0);
    }
}

pub(super) fn stateful_set(object: &mut Value) {
    stateful_set_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_template(spec);
    default_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = ensure(spec, "updateStrategy") {
        if text(strategy, "type").is_empty() {
            default_text(strategy, "type", "RollingUpdate");
            ensure(strategy, "rollingUpdate");
        }
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = strategy
                .get_mut("rollingUpdate")
                .filter(|rolling| rolling.is_object())
        {
            default_to(rolling, "partition", 0);
        }
    }
    if let Some(policy) = ensure(spec, "persistentVolumeClaimRetentionPolicy") {
        default_text(policy, "whenDeleted", "Retain");
        default_text(policy, "whenScaled", "Retain");
    }
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", 10);
    for claim in items_mut(spec, "volumeClaimTemplates") {
        ensure(claim, "metadata");
        if let Some(spec) = ensure(claim, "spec") {
            default_claim_spec(spec);
        }
        if let Some(status) = ensure(claim, "status") {
            default_text(status, "phase", "Pending");
        }
    }
}

/// Claims name their kind where they are stored.
pub(super) fn claims_as_stored(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec") {
        for claim in items_mut(spec, "volumeClaimTemplates") {
            default_text(claim, "apiVersion", "v1");
            default_text(claim, "kind", "PersistentVolumeClaim");
        }
    }
}

/// Fills the counters of a `StatefulSet` that are present even when 0.
pub fn stateful_set_status(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        default_to(status, "replicas", 0);
        default_to(status, "availableReplicas", 0);
    }
}

pub(super) fn daemon_set(object: &mut Value) {
    daemon_set_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_template(spec);
    if let Some(strategy) = ensure(spec, "updateStrategy") {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = ensure(strategy, "rollingUpdate")
        {
            default_to(rolling, "maxUnavailable", 1);
            default_to(rolling, "maxSurge", 0);
        }
    }
    default_to(spec, "revisionHistoryLimit", 10);
}

/// Counters that are present even when 0 (API-349, API-385).
const DAEMON_SET_COUNTERS: [&str; 4] = [
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
];

/// Fills the counters of a `DaemonSet` that are present even when 0.
pub fn daemon_set_status(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        for counter in DAEMON_SET_COUNTERS {
            default_to(status, counter, 0);
        }
    }
}

pub(super) fn replication_controller(object: &mut Value) {
    replicas_status(object);
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    if present(spec, "template").is_some() {
        default_template(spec);
    }
    default_to(spec, "replicas", 1);
    let labels = spec
        .at(&["template", "metadata", "labels"])
        .filter(|labels| !labels.is_null())
        .cloned();
    if let Some(labels) = labels {
        if entries(spec, "selector").next().is_none() {
            set(spec, "selector", Some(labels.clone()));
        }
        if let Some(metadata) = ensure(object, "metadata")
            && entries(metadata, "labels").next().is_none()
        {
            set(metadata, "labels", Some(labels));
        }
    }
}

pub(super) fn controller_revision(object: &mut Value) {
    default_to(object, "revision", 0);
}
