//! `PersistentVolumeClaim`, `PersistentVolume`, `StorageClass`, `CSIDriver`, `CSINode`, `VolumeAttachment` (API-289,
//! API-290, API-294).

use wavetank_json::{Value, json};

use super::resources::{canonical_list, default_resources};
use crate::fields::{default_text, default_to, ensure, items, null_when_empty, present, set, text};

pub(super) fn persistent_volume_claim(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        default_text(status, "phase", "Pending");
        if let Some(capacity) = status.get_mut("capacity") {
            canonical_list(capacity);
        }
    }
    if let Some(spec) = ensure(object, "spec") {
        default_claim_spec(spec);
        // Either of the two names the other where it can (API-289).
        let (source, reference) = (
            present(spec, "dataSource").cloned(),
            present(spec, "dataSourceRef").cloned(),
        );
        match (source, reference) {
            (Some(source), None) => set(spec, "dataSourceRef", Some(source)),
            (None, Some(reference)) if text(&reference, "namespace").is_empty() => {
                set(spec, "dataSource", Some(reference));
            }
            _ => {}
        }
    }
}

/// Fills the spec of a volume claim.
pub(super) fn default_claim_spec(spec: &mut Value) {
    default_to(spec, "volumeMode", "Filesystem");
    if let Some(resources) = ensure(spec, "resources") {
        default_resources(resources);
    }
}

pub(super) fn persistent_volume(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        default_text(status, "phase", "Pending");
    }
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
    default_to(spec, "volumeMode", "Filesystem");
    if let Some(capacity) = spec.get_mut("capacity") {
        canonical_list(capacity);
    }
    if let Some(path) = spec.get_mut("hostPath").filter(|path| path.is_object()) {
        default_to(path, "type", "");
    }
    if let Some(disk) = spec.get_mut("iscsi").filter(|disk| disk.is_object()) {
        default_text(disk, "iscsiInterface", "default");
    }
}

pub(super) fn storage_class(object: &mut Value) {
    default_to(object, "reclaimPolicy", "Delete");
    default_to(object, "volumeBindingMode", "Immediate");
}

pub(super) fn csi_driver(object: &mut Value) {
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    default_to(spec, "attachRequired", true);
    for key in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
    ] {
        default_to(spec, key, false);
    }
    default_to(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if items(spec, "volumeLifecycleModes").is_empty() {
        set(spec, "volumeLifecycleModes", Some(json!(["Persistent"])));
    }
}

pub(super) fn csi_node(object: &mut Value) {
    if let Some(spec) = ensure(object, "spec") {
        null_when_empty(spec, "drivers");
    }
}

pub(super) fn volume_attachment(object: &mut Value) {
    if let Some(status) = ensure(object, "status") {
        default_to(status, "attached", false);
    }
}
