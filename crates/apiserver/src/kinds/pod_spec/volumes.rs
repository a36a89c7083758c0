//! Volumes and their mounts (API-275).

use std::collections::{BTreeMap, BTreeSet};

use wavetank_json::Value;

use crate::kinds::field::{Errors, Path};
use crate::kinds::json::{int, items, present, text};
use crate::kinds::names;
use crate::kinds::quantity;

use super::environment::{validate_field_ref, validate_resource_ref};

/// The valid volumes of a Pod, by name.
pub(super) struct Volumes<'a>(BTreeMap<&'a str, &'a Value>);

const MODE_RANGE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

impl<'a> Volumes<'a> {
    /// Checks the volumes of a Pod spec and collects the good ones.
    pub(super) fn validate(spec: &'a Value, path: &Path<'_>, errors: &mut Errors) -> Self {
        let list = path.field("volumes");
        let mut good = BTreeMap::new();
        for (index, volume) in items(spec, "volumes").iter().enumerate() {
            let path = list.index(index);
            let mut found = Errors::default();
            validate_source(volume, &path, &mut found);
            let name = text(volume, "name");
            if name.is_empty() {
                found.required(&path.field("name"), "");
            } else {
                found.invalid_each(&path.field("name"), name, names::dns_label(name));
            }
            if good.contains_key(name) {
                found.duplicate(&path.field("name"), name);
            }
            if found.is_empty() {
                good.insert(name, volume);
            } else {
                errors.extend(found.into_vec());
            }
        }
        Self(good)
    }

    /// Checks the mounts and devices of a container.
    pub(super) fn validate_mounts(&self, container: &Value, path: &Path<'_>, errors: &mut Errors) {
        let devices = items(container, "volumeDevices");
        let list = path.field("volumeMounts");
        let mut paths = BTreeSet::new();
        for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
            let path = list.index(index);
            let (name, target) = (text(mount, "name"), text(mount, "mountPath"));
            if name.is_empty() {
                errors.required(&path.field("name"), "");
            }
            if !self.0.contains_key(name) {
                errors.not_found(&path.field("name"), name);
            }
            if target.is_empty() {
                errors.required(&path.field("mountPath"), "");
            }
            if !paths.insert(target) {
                errors.invalid(&path.field("mountPath"), target, "must be unique");
            }
            if devices.iter().any(|device| text(device, "name") == name) {
                errors.invalid(
                    &path.field("name"),
                    name,
                    "must not already exist in volumeDevices",
                );
            }
            if devices
                .iter()
                .any(|device| text(device, "devicePath") == target)
            {
                errors.invalid(
                    &path.field("mountPath"),
                    target,
                    "must not already exist as a path in volumeDevices",
                );
            }
            let (sub_path, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
            if !sub_path.is_empty() {
                check_relative(sub_path, &list.field("subPath"), errors);
            }
            if !expression.is_empty() {
                if !sub_path.is_empty() {
                    errors.invalid(
                        &path.field("subPathExpr"),
                        expression,
                        "subPathExpr and subPath are mutually exclusive",
                    );
                }
                check_relative(expression, &list.field("subPathExpr"), errors);
            }
            errors.optional_one_of(
                &list,
                mount,
                "mountPropagation",
                &["Bidirectional", "HostToContainer", "None"],
            );
            errors.optional_one_of(
                &list,
                mount,
                "recursiveReadOnly",
                &["Disabled", "Enabled", "IfPossible"],
            );
        }
        self.validate_devices(devices, path, errors);
    }

    fn validate_devices(&self, devices: &[Value], path: &Path<'_>, errors: &mut Errors) {
        let list = path.field("volumeDevices");
        for (index, device) in devices.iter().enumerate() {
            let path = list.index(index);
            let name = text(device, "name");
            if name.is_empty() {
                errors.required(&path.field("name"), "");
            }
            match self.0.get(name) {
                None => errors.not_found(&path.field("name"), name),
                Some(volume) => {
                    if present(volume, "persistentVolumeClaim")
                        .or(present(volume, "ephemeral"))
                        .is_none()
                    {
                        errors.invalid(
                            &path.field("name"),
                            name,
                            "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                        );
                    }
                }
            }
            if text(device, "devicePath").is_empty() {
                errors.required(&path.field("devicePath"), "");
            }
        }
    }
}

/// Checks a path inside a volume: relative, without `..`.
fn check_relative(target: &str, path: &Path<'_>, errors: &mut Errors) {
    if target.starts_with('/') {
        errors.invalid(path, target, "must be a relative path");
    }
    check_backsteps(target, path, errors);
}

/// Checks that a path has no `..`.
pub(in crate::kinds) fn check_backsteps(target: &str, path: &Path<'_>, errors: &mut Errors) {
    if target.split('/').any(|part| part == "..") {
        errors.invalid(path, target, "must not contain '..'");
    }
}

fn check_mode(object: &Value, key: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Some(mode) = int(object, key).filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(&path.field(key), mode, MODE_RANGE);
    }
}

fn check_items(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("items");
    for (index, item) in items(source, "items").iter().enumerate() {
        let path = list.index(index);
        for key in ["key", "path"] {
            if text(item, key).is_empty() {
                errors.required(&path.field(key), "");
            }
        }
        let target = text(item, "path");
        check_relative(target, &path.field("path"), errors);
        if target.starts_with("..") && !target.starts_with("../") {
            errors.invalid(&path.field("path"), target, "must not start with '..'");
        }
        check_mode(item, "mode", &path, errors);
    }
}

/// The sources in the order in which they are counted.
const SOURCES: [&str; 29] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// A volume has one source; others are counted in their order.
fn validate_source(volume: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(members) = volume.as_object() else {
        return;
    };
    let place = |kind: &str| SOURCES.iter().position(|one| *one == kind);
    let mut sources: Vec<(&String, &Value)> = members
        .iter()
        .filter(|(key, source)| *key != "name" && !source.is_null())
        .collect();
    sources.sort_by_key(|(kind, _)| place(kind).unwrap_or(SOURCES.len()));
    let mut first = true;
    for (kind, source) in sources {
        let path = path.field(kind);
        if !first {
            errors.forbidden(&path, "may not specify more than 1 volume type");
            continue;
        }
        first = false;
        match kind.as_str() {
            "emptyDir"
                if present(source, "sizeLimit")
                    .and_then(quantity::read)
                    .is_some_and(|size| size.signum() < 0) =>
            {
                errors.forbidden(
                    &path.field("sizeLimit"),
                    "SizeLimit field must be a valid resource quantity",
                );
            }
            "hostPath" => validate_host_path(source, &path, errors),
            "secret" => {
                if text(source, "secretName").is_empty() {
                    errors.required(&path.field("secretName"), "");
                }
                check_mode(source, "defaultMode", &path, errors);
                check_items(source, &path, errors);
            }
            "configMap" => {
                if text(source, "name").is_empty() {
                    errors.required(&path.field("name"), "");
                }
                check_mode(source, "defaultMode", &path, errors);
                check_items(source, &path, errors);
            }
            "persistentVolumeClaim" if text(source, "claimName").is_empty() => {
                errors.required(&path.field("claimName"), "");
            }
            "downwardAPI" => {
                check_mode(source, "defaultMode", &path, errors);
                for file in items(source, "items") {
                    validate_downward_file(file, &path, errors);
                }
            }
            "projected" => validate_projected(source, &path, errors),
            "nfs" => {
                for key in ["server", "path"] {
                    if text(source, key).is_empty() {
                        errors.required(&path.field(key), "");
                    }
                }
                let target = text(source, "path");
                if !target.is_empty() && !target.starts_with('/') {
                    errors.invalid(&path.field("path"), target, "must be an absolute path");
                }
            }
            "csi" if text(source, "driver").is_empty() => {
                errors.required(&path.field("driver"), "");
            }
            _ => {}
        }
    }
    if first {
        errors.required(path, "must specify a volume type");
    }
}

/// Checks a hostPath source; a `PersistentVolume` has the same.
pub(in crate::kinds) fn validate_host_path(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let target = text(source, "path");
    if target.is_empty() {
        errors.required(&path.field("path"), "");
        return;
    }
    check_backsteps(target, &path.field("path"), errors);
    errors.optional_one_of(
        path,
        source,
        "type",
        &[
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ],
    );
}

const DOWNWARD_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

fn validate_downward_file(file: &Value, path: &Path<'_>, errors: &mut Errors) {
    let target = text(file, "path");
    if target.is_empty() {
        errors.required(&path.field("path"), "");
    }
    check_relative(target, &path.field("path"), errors);
    match (present(file, "fieldRef"), present(file, "resourceFieldRef")) {
        (Some(field), other) => {
            validate_field_ref(field, &DOWNWARD_FIELDS, &path.field("fieldRef"), errors);
            if other.is_some() {
                errors.invalid(
                    path,
                    "resource",
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                );
            }
        }
        (None, Some(resource)) => {
            validate_resource_ref(resource, true, &path.field("resourceFieldRef"), errors);
        }
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    check_mode(file, "mode", path, errors);
}

fn validate_projected(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_mode(source, "defaultMode", path, errors);
    let list = path.field("sources");
    for (index, projection) in items(source, "sources").iter().enumerate() {
        let here = list.index(index);
        let mut count = 0;
        for kind in ["secret", "configMap"] {
            if let Some(reference) = present(projection, kind) {
                count += 1;
                let path = here.field(kind);
                if text(reference, "name").is_empty() {
                    errors.required(&path.field("name"), "");
                }
                check_items(reference, &path, errors);
            }
        }
        if let Some(downward) = present(projection, "downwardAPI") {
            count += 1;
            for file in items(downward, "items") {
                validate_downward_file(file, &here.field("downwardAPI"), errors);
            }
        }
        if let Some(token) = present(projection, "serviceAccountToken") {
            count += 1;
            let seconds = int(token, "expirationSeconds").unwrap_or(3600);
            if seconds < 600 {
                errors.invalid(
                    &here.field("serviceAccountToken").field("expirationSeconds"),
                    seconds,
                    "may not specify a duration less than 10 minutes",
                );
            }
            if text(token, "path").is_empty() {
                errors.required(&path.field("path"), "");
            }
        }
        if count > 1 {
            errors.forbidden(&here, "may not specify more than 1 volume type per source");
        }
    }
}
