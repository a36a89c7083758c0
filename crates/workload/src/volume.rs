//! `PersistentVolumes` and claims: binding, provisioning, protection (API-353).

mod consumers;
mod shelves;

use std::collections::BTreeMap;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::At;
use wavetank_model::{DeleteOptions, ObjectKey, PatchType, Status, object};

use crate::context::{Again, Context, MANAGER};
use crate::events::{Kind, Source};
use crate::latency;
use crate::node::PROVISIONER;
use crate::read::{pod_ended, text};
use crate::scheduler;
pub(crate) use consumers::{Consumers, claims_of};
use shelves::Shelves;

const SOURCE: Source = Source::Controller("persistentvolume-controller");
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The volumes, and what is to become one.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    /// Claims whose volume is being made, by uid.
    due: BTreeMap<String, SimTime>,
    shelves: Shelves,
    /// Who uses which claim.
    pub(crate) consumers: Consumers,
}

/// The key of a claim.
pub(crate) fn claim_key(namespace: &str, name: impl Into<String>) -> ObjectKey {
    ObjectKey::new("", "PersistentVolumeClaim", namespace, name)
}

/// The claim that a volume is meant for.
pub(crate) fn meant_for(volume: &Value) -> Option<ObjectKey> {
    let claim = volume.at(&["spec", "claimRef"])?;
    Some(claim_key(
        text(claim, &["namespace"]),
        text(claim, &["name"]),
    ))
}

impl Volumes {
    /// A volume came or changed; `None` when it went.
    pub(crate) fn note(&mut self, name: &str, volume: Option<&Value>) {
        self.shelves.note(name, volume);
    }

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
            return self.release(key, &claim, context);
        }
        if text(&claim, &["status", "phase"]) == "Bound" || context.scripts.plays(key, &claim) {
            return Ok(Again::Never);
        }
        let selected = object::annotation(&claim, "volume.kubernetes.io/selected-node").is_some();
        let waits = !selected && scheduler::waits_for_consumer(context.api, &claim);
        let mut volume = self.shelves.meant(key, &claim, context.api);
        // Free volumes are for the scheduler to choose from, where the class waits for a Pod.
        if volume.is_none() && !waits {
            volume = self.shelves.free(&claim, context.api);
        }
        if let Some(volume) = volume {
            if !context.role.binds_volumes() {
                return Ok(Again::Never);
            }
            // Nobody else gets it at the same instant.
            self.shelves.take(object::name(&volume));
            let bound = bind(key, &claim, &volume, context);
            if bound.is_err() {
                self.shelves.note(object::name(&volume), Some(&volume));
            }
            return bound;
        }
        if waits {
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
        let class_name = text(&claim, &["spec", "storageClassName"]);
        let class_key = ObjectKey::new("storage.k8s.io", "StorageClass", "", class_name);
        let class = context.api.get(&class_key);
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

    /// Lets a claim that is deleted go, once no Pod uses it.
    fn release(
        &self,
        key: &ObjectKey,
        claim: &Value,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let mut pods = self
            .consumers
            .of(key)
            .filter_map(|pod| context.api.get(pod));
        if pods.all(|pod| pod_ended(&pod)) {
            drop_finalizer(key, claim, CLAIM_PROTECTION, context)?;
        }
        Ok(Again::Never)
    }
}

fn claims_volume(volume: &Value, claim: &Value) -> bool {
    let reference = volume.at(&["spec", "claimRef"]).unwrap_or(&Value::Null);
    let uid = text(reference, &["uid"]);
    text(reference, &["name"]) == object::name(claim)
        && text(reference, &["namespace"]) == object::namespace(claim)
        && (uid.is_empty() || uid == object::uid(claim))
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

/// Looks at one volume: available, bound, released or deleted.
pub(crate) fn sync_volume(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let Some(volume) = context.api.get(key) else {
        return Ok(Again::Never);
    };
    let phase = text(&volume, &["status", "phase"]);
    let reference = volume.at(&["spec", "claimRef"]);
    let claim = meant_for(&volume)
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
