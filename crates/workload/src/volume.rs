//! `PersistentVolumes` and claims: binding, provisioning, protection (API-353).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::At;
use wavetank_model::{Api, DeleteOptions, GroupKind, ObjectKey, PatchType, Status, object};

use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::latency;
use crate::node::PROVISIONER;
use crate::read::{list, pod_ended, text};
use crate::scheduler;

const SOURCE: Source = Source::Controller("persistentvolume-controller");
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Claims whose volume is being made.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    due: BTreeMap<String, SimTime>,
}

fn claim_group() -> GroupKind {
    GroupKind::new("", "PersistentVolumeClaim")
}

impl Volumes {
    /// Looks at one claim: binds it, or lets go of it when it is deleted and no Pod uses it.
    pub(crate) fn sync_claim(
        &mut self,
        key: &ObjectKey,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let Some(claim) = context.api.get(key) else {
            return Ok(Again::Never);
        };
        if object::is_terminating(&claim) {
            if !context.role.binds_volumes() {
                return Ok(Again::Never);
            }
            return release_claim(key, &claim, context);
        }
        if text(&claim, &["status", "phase"]) == "Bound" || context.scripts.plays(key, &claim) {
            return Ok(Again::Never);
        }
        if let Some(volume) = matching_volume(&claim, context.api) {
            if !context.role.binds_volumes() {
                return Ok(Again::Never);
            }
            return bind(key, &claim, &volume, context);
        }
        let class_name = text(&claim, &["spec", "storageClassName"]);
        let class = context.api.get(&ObjectKey::new(
            "storage.k8s.io",
            "StorageClass",
            "",
            class_name,
        ));
        let selected = object::annotation(&claim, "volume.kubernetes.io/selected-node").is_some();
        if !selected && scheduler::waits_for_consumer(context.api, &claim) {
            let message = format_args!("waiting for first consumer to be created before binding");
            context.event(
                SOURCE,
                &claim,
                Kind::Normal,
                "WaitForFirstConsumer",
                message,
            );
            return Ok(Again::Never);
        }
        let Some(class) = class.filter(|class| match text(class, &["provisioner"]) {
            NO_PROVISIONER => false,
            provisioner => context.role.binds_volumes() || provisioner == PROVISIONER,
        }) else {
            if class_name.is_empty() {
                let message = format_args!(
                    "no persistent volumes available for this claim and no storage class is set"
                );
                context.event(SOURCE, &claim, Kind::Normal, "FailedBinding", message);
            }
            return Ok(Again::Never);
        };
        let due = *self
            .due
            .entry(object::uid(&claim).to_owned())
            .or_insert(context.now + latency::PROVISION);
        if due > context.now {
            return Ok(Again::work(due));
        }
        self.due.remove(object::uid(&claim));
        let volume = context.api.create(MANAGER, provisioned(&claim, &class))?;
        let message = format_args!("Successfully provisioned volume {}", object::name(&volume));
        context.event(
            SOURCE,
            &claim,
            Kind::Normal,
            "ProvisioningSucceeded",
            message,
        );
        if !context.role.binds_volumes() {
            return Ok(Again::Never);
        }
        bind(key, &claim, &volume, context)
    }
}

/// Whether `have` is at least `want`; what cannot be read is refused.
fn holds(have: &str, want: &str) -> bool {
    match (bytes(have), bytes(want)) {
        (Some(have), Some(want)) => have >= want,
        _ => have == want,
    }
}

/// A storage quantity in bytes: `1Gi`, `500M`, `100`.
fn bytes(quantity: &str) -> Option<u128> {
    let split = quantity
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(quantity.len());
    let number: u128 = quantity[..split].parse().ok()?;
    let factor: u128 = match &quantity[split..] {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u128.pow(2),
        "G" => 1000_u128.pow(3),
        "T" => 1000_u128.pow(4),
        "Ki" => 1024,
        "Mi" => 1024_u128.pow(2),
        "Gi" => 1024_u128.pow(3),
        "Ti" => 1024_u128.pow(4),
        _ => return None,
    };
    number.checked_mul(factor)
}

fn claims_volume(volume: &Value, claim: &Value) -> bool {
    let reference = volume.at(&["spec", "claimRef"]).unwrap_or(&Value::Null);
    let uid = text(reference, &["uid"]);
    text(reference, &["name"]) == object::name(claim)
        && text(reference, &["namespace"]) == object::namespace(claim)
        && (uid.is_empty() || uid == object::uid(claim))
}

/// The volume meant for the claim, or the smallest free one that fits, the first by name among equals.
fn matching_volume(claim: &Value, api: &dyn Api) -> Option<Arc<Value>> {
    let wanted = text(claim, &["spec", "volumeName"]);
    let size = text(claim, &["spec", "resources", "requests", "storage"]);
    let mut fitting: Vec<Arc<Value>> = api
        .list(&GroupKind::new("", "PersistentVolume"), None)
        .into_iter()
        .filter(|volume| {
            if claims_volume(volume, claim) {
                return true;
            }
            let modes = list(volume, &["spec", "accessModes"]);
            volume.at(&["spec", "claimRef"]).is_none()
                && !object::is_terminating(volume)
                && (wanted.is_empty() || wanted == object::name(volume))
                && text(volume, &["spec", "storageClassName"])
                    == text(claim, &["spec", "storageClassName"])
                && list(claim, &["spec", "accessModes"])
                    .iter()
                    .all(|mode| modes.contains(mode))
                && holds(text(volume, &["spec", "capacity", "storage"]), size)
                && claim
                    .at(&["spec", "selector"])
                    .is_none_or(|selector| crate::selectors::picks(selector, volume))
        })
        .collect();
    fitting.sort_by_key(|volume| {
        (
            !claims_volume(volume, claim),
            bytes(text(volume, &["spec", "capacity", "storage"])),
            object::name(volume).to_owned(),
        )
    });
    fitting.into_iter().next()
}

fn claim_reference(claim: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": object::name(claim),
        "namespace": object::namespace(claim),
        "uid": object::uid(claim),
        "resourceVersion": object::resource_version(claim),
    })
}

fn provisioned(claim: &Value, class: &Value) -> Value {
    let mut spec = json!({
        "capacity": {"storage": claim.at(&["spec", "resources", "requests", "storage"])},
        "accessModes": claim.at(&["spec", "accessModes"]),
        "claimRef": claim_reference(claim),
        "persistentVolumeReclaimPolicy": class.get("reclaimPolicy").and_then(Value::as_str).unwrap_or("Delete"),
        "storageClassName": object::name(class),
        "volumeMode": claim.at(&["spec", "volumeMode"]).and_then(Value::as_str).unwrap_or("Filesystem"),
        "hostPath": {"path": format!("/var/lib/wavetank/{}", object::uid(claim)), "type": "DirectoryOrCreate"},
    });
    if let Some(node) = object::annotation(claim, "volume.kubernetes.io/selected-node") {
        spec["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
        ]}});
    }
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": format!("pvc-{}", object::uid(claim)),
            "annotations": {"pv.kubernetes.io/provisioned-by": text(class, &["provisioner"])},
        },
        "spec": spec,
    })
}

/// Binds in the order of a real binder: the volume, its status, the claim, its status.
fn bind(
    key: &ObjectKey,
    claim: &Value,
    volume: &Value,
    context: &mut Context<'_>,
) -> Result<Again, Status> {
    let volume_key = ObjectKey::new("", "PersistentVolume", "", object::name(volume));
    let by_controller =
        json!({"metadata": {"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}});
    if text(volume, &["spec", "claimRef", "uid"]) != object::uid(claim) {
        let mut patch = by_controller.clone();
        patch["spec"] = json!({"claimRef": claim_reference(claim)});
        context
            .api
            .patch(MANAGER, &volume_key, "", PatchType::Merge, patch)?;
    }
    let phase = json!({"status": {"phase": "Bound"}});
    context
        .api
        .patch(MANAGER, &volume_key, "status", PatchType::Merge, phase)?;
    let provisioner = object::annotation(volume, "pv.kubernetes.io/provisioned-by");
    let mut patch = by_controller;
    patch["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes".into();
    if let Some(provisioner) = provisioner {
        patch["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-provisioner"] =
            provisioner.into();
        patch["metadata"]["annotations"]["volume.kubernetes.io/storage-provisioner"] =
            provisioner.into();
    }
    patch["spec"] = json!({"volumeName": object::name(volume)});
    context
        .api
        .patch(MANAGER, key, "", PatchType::Merge, patch)?;
    let status = json!({"status": {
        "phase": "Bound",
        "accessModes": volume.at(&["spec", "accessModes"]),
        "capacity": volume.at(&["spec", "capacity"]),
    }});
    context
        .api
        .patch(MANAGER, key, "status", PatchType::Merge, status)?;
    Ok(Again::Never)
}

fn drop_finalizer(
    key: &ObjectKey,
    object: &Value,
    finalizer: &str,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    if !object::finalizers(object).any(|known| known == finalizer) {
        return Ok(());
    }
    let rest: Vec<&str> = object::finalizers(object)
        .filter(|known| *known != finalizer)
        .collect();
    context.api.patch(
        MANAGER,
        key,
        "",
        PatchType::Merge,
        json!({"metadata": {"finalizers": rest}}),
    )?;
    Ok(())
}

fn release_claim(
    key: &ObjectKey,
    claim: &Value,
    context: &mut Context<'_>,
) -> Result<Again, Status> {
    let pods = context
        .api
        .list(&GroupKind::new("", "Pod"), Some(&key.namespace));
    let used = pods
        .iter()
        .any(|pod| !pod_ended(pod) && scheduler::claim_names(pod).any(|name| name == key.name));
    if !used {
        drop_finalizer(key, claim, CLAIM_PROTECTION, context)?;
    }
    Ok(Again::Never)
}

/// Looks at one volume: available, bound, released or deleted.
pub(crate) fn sync_volume(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(volume) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let phase = text(&volume, &["status", "phase"]);
    let reference = volume.at(&["spec", "claimRef"]);
    let claim_key = reference.map(|reference| {
        let kind = claim_group();
        ObjectKey::new(
            kind.group,
            kind.kind,
            text(reference, &["namespace"]),
            text(reference, &["name"]),
        )
    });
    let claim = claim_key
        .and_then(|key| context.api.get(&key))
        .filter(|claim| claims_volume(&volume, claim));
    if !context.role.binds_volumes() {
        if phase == "Released" && is_ours_to_delete(&volume) && !object::is_terminating(&volume) {
            context
                .api
                .delete(MANAGER, key, &DeleteOptions::default())?;
        }
        return Ok(Again::Never);
    }
    if object::is_terminating(&volume) {
        if claim.is_none() || phase != "Bound" {
            drop_finalizer(key, &volume, VOLUME_PROTECTION, context)?;
        }
        return Ok(Again::Never);
    }
    let uid_known = reference.is_some_and(|reference| !text(reference, &["uid"]).is_empty());
    let wanted = match (reference, &claim) {
        (Some(_), Some(_)) => return Ok(Again::Never),
        (Some(_), None) if uid_known => "Released",
        _ => "Available",
    };
    if phase != wanted {
        context.api.patch(
            MANAGER,
            key,
            "status",
            PatchType::Merge,
            json!({"status": {"phase": wanted}}),
        )?;
    }
    if wanted == "Released" && is_ours_to_delete(&volume) {
        context
            .api
            .delete(MANAGER, key, &DeleteOptions::default())?;
    }
    Ok(Again::Never)
}

/// Whether the provisioner of the class `standard` made the volume, and is to delete it with its claim.
fn is_ours_to_delete(volume: &Value) -> bool {
    object::annotation(volume, "pv.kubernetes.io/provisioned-by") == Some(PROVISIONER)
        && text(volume, &["spec", "persistentVolumeReclaimPolicy"]) == "Delete"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_in_bytes() {
        assert!(holds("1Gi", "1000Mi"));
        assert!(!holds("1G", "1Gi"));
        assert!(holds("odd", "odd"));
    }
}
