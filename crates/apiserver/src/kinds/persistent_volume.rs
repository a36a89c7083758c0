//! `PersistentVolumeClaim` and `PersistentVolume` (API-289, API-290).

use wavetank_json::{Value, json};
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path};
use super::json::{ensure, entries, items, present, restore, set, text};
use super::pod_spec::{resources, scheduling, volumes};
use super::quantity::{self, Quantity};
use super::{Env, Strategy, label_selector, names};

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

pub(super) struct PersistentVolumeClaim;

impl Strategy for PersistentVolumeClaim {
    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        set(object, "status", Some(json!({ "phase": "Pending" })));
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_claim_spec(
            object.get("spec").unwrap_or(&Value::Null),
            &Path::new("spec"),
            errors,
        );
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            let path = Path::new("status");
            let status = new.get("status").unwrap_or(&Value::Null);
            for (name, value) in entries(status, "capacity") {
                resources::check_quantity(name, value, &path.field("capacity").key(name), errors);
            }
            return;
        }
        self.validate_create(new, errors);
        validate_claim_change(new, old, errors);
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

/// Checks the spec of a claim; templates of `StatefulSets` have the same.
pub(super) fn validate_claim_spec(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    if items(spec, "accessModes").is_empty() {
        errors.required(
            &path.field("accessModes"),
            "at least 1 access mode is required",
        );
    }
    if let Some(selector) = present(spec, "selector") {
        label_selector::validate(selector, &path.field("selector"), errors);
    }
    validate_access_modes(spec, path, errors);
    let storage = path.field("resources");
    let storage = storage.key("storage");
    match spec.at(&["resources", "requests", "storage"]) {
        None => errors.required(&storage, ""),
        Some(value) => match quantity::read(value) {
            Some(size) if size.signum() <= 0 => {
                errors.invalid(&storage, size.to_string(), "must be greater than zero");
            }
            _ => resources::check_quantity("storage", value, &storage, errors),
        },
    }
    validate_class_and_mode(spec, path, errors);
}

fn validate_access_modes(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.field("accessModes");
    let modes: Vec<&str> = items(spec, "accessModes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for mode in &modes {
        if !ACCESS_MODES.contains(mode) {
            errors.not_supported(&path, *mode, &ACCESS_MODES);
        }
    }
    let others = modes
        .iter()
        .any(|mode| *mode != "ReadWriteOncePod" && ACCESS_MODES.contains(mode));
    if modes.contains(&"ReadWriteOncePod") && others {
        errors.forbidden(
            &path,
            "may not use ReadWriteOncePod with other access modes",
        );
    }
}

/// What a claim and a volume are asked for alike.
fn validate_class_and_mode(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        let problems = names::dns_subdomain(class);
        errors.invalid_each(&path.field("storageClassName"), class, problems);
    }
    errors.optional_one_of(path, spec, "volumeMode", &["Block", "Filesystem"]);
}

fn validate_claim_change(new: &Value, old: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let (spec, before) = (
        new.get("spec").unwrap_or(&null),
        old.get("spec").unwrap_or(&null),
    );
    let (mut munged, mut base) = (spec.clone(), before.clone());
    if text(before, "volumeName").is_empty() {
        restore(&mut base, spec, "volumeName");
    }
    if present(before, "storageClassName").is_none() {
        restore(&mut munged, before, "storageClassName");
    }
    let size = |spec: &Value| spec.at(&["resources", "requests", "storage"]).cloned();
    if new.at(&["status", "phase"]).and_then(Value::as_str) == Some("Bound") {
        if let Some(requests) = munged.pointer_mut("/resources/requests") {
            set(requests, "storage", size(before));
        }
        restore(&mut munged, before, "volumeAttributesClassName");
    }
    let path = Path::new("spec");
    if munged != base {
        errors.forbidden(
            &path,
            format!(
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
                 claims\n{}",
                super::pod::difference(&base, &munged)
            ),
        );
    }
    let read = |value: Option<Value>| {
        value
            .as_ref()
            .and_then(quantity::read)
            .unwrap_or(Quantity::ZERO)
    };
    let (wanted, had) = (read(size(spec)), read(size(before)));
    if wanted < had && wanted <= read(old.at(&["status", "capacity", "storage"]).cloned()) {
        let path = path.field("resources");
        errors.forbidden(
            &path.field("requests").field("storage"),
            "field can not be less than status.capacity",
        );
    }
    errors.immutable(
        &Path::new("volumeMode"),
        spec.get("volumeMode"),
        before.get("volumeMode"),
    );
}

pub(super) struct PersistentVolume;

/// The fields of the spec that are no source.
const COMMON: [&str; 10] = [
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
    "apiVersion",
];

/// Sources in the order in which they are counted.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

fn sources(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    spec.as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| !COMMON.contains(&key.as_str()) && !value.is_null())
}

impl Strategy for PersistentVolume {
    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        set(
            object,
            "status",
            Some(json!({ "phase": "Pending", "lastPhaseTransitionTime": env.timestamp })),
        );
        Ok(())
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        // The time of the phase is the server's business unless the client says otherwise.
        if subresource == "status"
            && new.at(&["status", "phase"]) != old.at(&["status", "phase"])
            && let Some(status) = ensure(new, "status")
            && present(status, "lastPhaseTransitionTime")
                == old.at(&["status", "lastPhaseTransitionTime"])
        {
            set(
                status,
                "lastPhaseTransitionTime",
                Some(env.timestamp.into()),
            );
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        if items(spec, "accessModes").is_empty() {
            errors.required(&path.field("accessModes"), "");
        }
        validate_access_modes(spec, &path, errors);
        validate_capacity(spec, &path.field("capacity"), errors);
        let policy = text(spec, "persistentVolumeReclaimPolicy");
        if !matches!(policy, "" | "Delete" | "Recycle" | "Retain") {
            errors.not_supported(
                &path.field("persistentVolumeReclaimPolicy"),
                policy,
                &["Delete", "Recycle", "Retain"],
            );
        }
        if let Some(selector) = spec.at(&["nodeAffinity", "required"]) {
            let path = path.field("nodeAffinity");
            scheduling::validate_node_selector(selector, &path.field("required"), errors);
        }
        let mut first = true;
        let outer = path;
        let mut given: Vec<(&String, &Value)> = sources(spec).collect();
        given.sort_by_key(|(kind, _)| SOURCES.iter().position(|known| known == kind));
        for (kind, source) in given {
            let path = path.field(kind);
            if !first {
                errors.forbidden(&path, "may not specify more than 1 volume type");
                continue;
            }
            first = false;
            match kind.as_str() {
                "hostPath" => volumes::validate_host_path(source, &path, errors),
                "csi" => {
                    for key in ["driver", "volumeHandle"] {
                        if text(source, key).is_empty() {
                            errors.required(&path.field(key), "");
                        }
                    }
                }
                "local" => {
                    if text(source, "path").is_empty() {
                        errors.required(&path.field("path"), "");
                    }
                    if present(spec, "nodeAffinity").is_none() {
                        errors.required(
                            &outer.field("nodeAffinity"),
                            "Local volume requires node affinity",
                        );
                    }
                }
                _ => {}
            }
        }
        if first {
            errors.required(&path, "must specify a volume type");
        }
        validate_class_and_mode(spec, &path, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            return;
        }
        self.validate_create(new, errors);
        let null = Value::Null;
        let (spec, before) = (
            new.get("spec").unwrap_or(&null),
            old.get("spec").unwrap_or(&null),
        );
        if !sources(spec).eq(sources(before)) {
            errors.forbidden(
                &Path::new("spec").field("persistentvolumesource"),
                format!(
                    "spec.persistentvolumesource is immutable after creation\n{}",
                    super::pod::difference(before, spec)
                ),
            );
        }
        errors.immutable(
            &Path::new("volumeMode"),
            spec.get("volumeMode"),
            before.get("volumeMode"),
        );
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

fn validate_capacity(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let count = entries(spec, "capacity").count();
    if count == 0 {
        errors.required(path, "");
    }
    let capacity = spec.get("capacity").cloned().unwrap_or(Value::Null);
    if count != 1 || capacity.get("storage").is_none() {
        errors.not_supported(path, capacity, &["storage"]);
    }
    for (name, value) in entries(spec, "capacity") {
        if let Some(size) = quantity::read(value).filter(|size| size.signum() <= 0) {
            errors.invalid(
                &path.key(name),
                size.to_string(),
                "must be greater than zero",
            );
        }
    }
}
