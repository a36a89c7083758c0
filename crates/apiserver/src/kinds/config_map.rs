//! `ConfigMap` (API-288).

use wavetank_json::Value;

use super::Strategy;
use super::field::{Errors, Path};
use super::json::{entries, present};
use super::names;

/// The size limit of `ConfigMaps` and Secrets in bytes.
pub(super) const SIZE_LIMIT: usize = 1024 * 1024;

pub(super) struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let mut size = 0;
        let (data, binary) = (Path::new("data"), Path::new("binaryData"));
        for (key, value) in entries(object, "data") {
            errors.invalid_each(&data.key(key), key, names::config_key(key));
            if object
                .get("binaryData")
                .is_some_and(|binary| binary.get(key).is_some())
            {
                errors.invalid(
                    &data.key(key),
                    key.as_str(),
                    "duplicate of key present in binaryData",
                );
            }
            size += value.as_str().map_or(0, str::len);
        }
        for (key, value) in entries(object, "binaryData") {
            errors.invalid_each(&binary.key(key), key, names::config_key(key));
            size += decoded_len(value);
        }
        if size > SIZE_LIMIT {
            errors.too_long(&Path::new("[]"), SIZE_LIMIT);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        validate_immutable(new, old, &["data", "binaryData"], errors);
        self.validate_create(new, errors);
    }
}

/// The length in bytes of base64 text.
pub(super) fn decoded_len(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    text.trim_end_matches('=').len() * 3 / 4
}

/// Once `immutable: true`, neither that nor `fields` change.
pub(super) fn validate_immutable(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    const MESSAGE: &str = "field is immutable when `immutable` is set";
    if old.get("immutable") != Some(&Value::Bool(true)) {
        return;
    }
    if new.get("immutable") != Some(&Value::Bool(true)) {
        errors.forbidden(&Path::new("immutable"), MESSAGE);
    }
    for field in fields {
        if present(new, field) != present(old, field) {
            errors.forbidden(&Path::new(field), MESSAGE);
        }
    }
}
