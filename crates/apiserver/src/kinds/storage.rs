//! `StorageClass`, `CSIDriver`, `CSINode`, `VolumeAttachment`, `PriorityClass`, `RuntimeClass` (API-294).

use wavetank_json::{Value, json};

use super::field::{Errors, Path};
use super::json::{flag, int, items, present, set, text};
use super::{Strategy, names};

pub(super) struct StorageClass;

impl Strategy for StorageClass {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let provisioner = text(object, "provisioner");
        let path = Path::new("provisioner");
        if provisioner.is_empty() {
            errors.required(&path, "");
        } else {
            let lower = provisioner.to_lowercase();
            errors.invalid_each(&path, &lower, names::label_key(&lower));
        }
        let policy = text(object, "reclaimPolicy");
        if !matches!(policy, "" | "Delete" | "Retain") {
            errors.not_supported(&Path::new("reclaimPolicy"), policy, &["Delete", "Retain"]);
        }
        let mode = text(object, "volumeBindingMode");
        if !matches!(mode, "Immediate" | "WaitForFirstConsumer") {
            errors.not_supported(
                &Path::new("volumeBindingMode"),
                mode,
                &["Immediate", "WaitForFirstConsumer"],
            );
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
        for field in [
            "parameters",
            "provisioner",
            "reclaimPolicy",
            "volumeBindingMode",
        ] {
            errors.immutable(&Path::new(field), new.get(field), old.get(field));
        }
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

pub(super) struct CsiDriver;

impl Strategy for CsiDriver {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let (path, null) = (Path::new("spec"), Value::Null);
        let spec = object.get("spec").unwrap_or(&null);
        let policies = ["File", "None", "ReadWriteOnceWithFSType"];
        errors.optional_one_of(&path, spec, "fsGroupPolicy", &policies);
        let modes = items(spec, "volumeLifecycleModes");
        for mode in modes.iter().filter_map(Value::as_str) {
            if !matches!(mode, "Persistent" | "Ephemeral") {
                let path = path.field("volumeLifecycleModes");
                errors.not_supported(&path, mode, &["Persistent", "Ephemeral"]);
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
        let path = Path::new("spec");
        for field in ["attachRequired", "volumeLifecycleModes"] {
            let pointer = format!("/spec/{field}");
            errors.immutable(
                &path.field(field),
                new.pointer(&pointer),
                old.pointer(&pointer),
            );
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

pub(super) struct CsiNode;

impl Strategy for CsiNode {
    fn validate_create(&self, _object: &Value, _errors: &mut Errors) {}

    fn validate_update(
        &self,
        _new: &Value,
        _old: &Value,
        _subresource: &str,
        _errors: &mut Errors,
    ) {
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

pub(super) struct VolumeAttachment;

impl Strategy for VolumeAttachment {
    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut super::Env<'_>,
    ) -> Result<(), Vec<super::FieldError>> {
        set(object, "status", Some(json!({ "attached": false })));
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        for field in ["attacher", "nodeName"] {
            if text(spec, field).is_empty() {
                errors.required(&path.field(field), "");
            }
        }
        if spec
            .get("source")
            .and_then(|source| present(source, "persistentVolumeName"))
            .is_none()
        {
            errors.required(
                &path.field("source"),
                "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            );
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource.is_empty() && new.get("spec") != old.get("spec") {
            errors.invalid(
                &Path::new("spec"),
                new.get("spec").cloned().unwrap_or(Value::Null),
                "field is immutable",
            );
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}

pub(super) struct PriorityClass;

const HIGHEST_USER_PRIORITY: i64 = 1_000_000_000;

impl Strategy for PriorityClass {
    fn has_generation(&self) -> bool {
        true
    }

    fn bumps_generation(&self, _new: &Value, _old: &Value) -> bool {
        false
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let name = wavetank_model::object::name(object);
        let value = int(object, "value").unwrap_or(0);
        if name.starts_with("system-") {
            let known = match name {
                "system-cluster-critical" => Some(2_000_000_000),
                "system-node-critical" => Some(2_000_001_000),
                _ => None,
            };
            let problem = match known {
                None => Some(format!("{name} is not a known system priority class")),
                Some(known) if known != value => {
                    Some(format!("value of {name} PriorityClass must be {known}"))
                }
                Some(_) if flag(object, "globalDefault") => Some(format!(
                    "globalDefault of {name} PriorityClass must be false"
                )),
                Some(_) => None,
            };
            if let Some(problem) = problem {
                errors.forbidden(
                    &Path::new("metadata").field("name"),
                    format!("priority class names with 'system-' prefix are reserved for system use only. error: {problem}"),
                );
            }
        } else if value > HIGHEST_USER_PRIORITY {
            errors.forbidden(
                &Path::new("value"),
                format!(
                    "maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
                ),
            );
        }
        let path = Path::new("preemptionPolicy");
        match text(object, "preemptionPolicy") {
            "" => errors.required(&path, ""),
            "PreemptLowerPriority" | "Never" => {}
            other => errors.not_supported(&path, other, &["PreemptLowerPriority", "Never"]),
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        if new.get("value") != old.get("value") {
            errors.forbidden(&Path::new("value"), "may not be changed in an update.");
        }
        errors.immutable(
            &Path::new("preemptionPolicy"),
            new.get("preemptionPolicy"),
            old.get("preemptionPolicy"),
        );
    }
}

pub(super) struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let handler = text(object, "handler");
        if handler.is_empty() {
            errors.required(&Path::new("handler"), "");
        } else {
            errors.invalid_each(&Path::new("handler"), handler, names::dns_label(handler));
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        errors.immutable(
            &Path::new("handler"),
            new.get("handler"),
            old.get("handler"),
        );
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}
