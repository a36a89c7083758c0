//! Secret (API-288).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wavetank_json::Value;

use super::config_map::{SIZE_LIMIT, decoded_len, validate_immutable};
use super::field::{Errors, FieldError, Path};
use super::json::{entries, present, restore, text};
use super::{Env, Strategy, names};

pub(super) struct Secret;

impl Strategy for Secret {
    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        _subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        if text(new, "type").is_empty() {
            restore(new, old, "type");
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("data");
        let mut size = 0;
        for (key, value) in entries(object, "data") {
            errors.invalid_each(&path.key(key), key, names::config_key(key));
            size += decoded_len(value);
        }
        if size > SIZE_LIMIT {
            errors.too_long(&path, SIZE_LIMIT);
        }
        validate_type(object, &path, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        errors.immutable(&Path::new("type"), new.get("type"), old.get("type"));
        validate_immutable(new, old, &["data"], errors);
        self.validate_create(new, errors);
    }
}

fn validate_type(object: &Value, path: &Path<'_>, errors: &mut Errors) {
    let data = |key: &str| {
        object
            .get("data")
            .and_then(|data| present(data, key))
            .and_then(Value::as_str)
    };
    let mut need = |key: &str| {
        if data(key).is_none() {
            errors.required(&path.key(key), "");
        }
    };
    match text(object, "type") {
        "kubernetes.io/tls" => {
            need("tls.crt");
            need("tls.key");
        }
        "kubernetes.io/basic-auth" if data("username").is_none() && data("password").is_none() => {
            need("username");
            need("password");
        }
        "kubernetes.io/ssh-auth" if data("ssh-privatekey").is_none_or(str::is_empty) => {
            errors.required(&path.key("ssh-privatekey"), "");
        }
        "kubernetes.io/dockercfg" => need_json(data(".dockercfg"), &path.key(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => {
            need_json(
                data(".dockerconfigjson"),
                &path.key(".dockerconfigjson"),
                errors,
            );
        }
        "kubernetes.io/service-account-token" => {
            const KEY: &str = "kubernetes.io/service-account.name";
            if wavetank_model::object::annotation(object, KEY).is_none_or(str::is_empty) {
                errors.required(&Path::new("metadata").field("annotations").key(KEY), "");
            }
        }
        _ => {}
    }
}

fn need_json(encoded: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    let Some(encoded) = encoded else {
        errors.required(path, "");
        return;
    };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) if value.is_object() || value.is_null() => {}
        Ok(value) => {
            let kind = match value {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            errors.invalid(
                path,
                "<secret contents redacted>",
                format!(
                    "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
                ),
            );
        }
        Err(_) => {
            let detail = match bytes.first() {
                None => "unexpected end of JSON input".to_owned(),
                Some(byte) => format!(
                    "invalid character '{}' looking for beginning of value",
                    char::from(*byte)
                ),
            };
            errors.invalid(path, "<secret contents redacted>", detail);
        }
    }
}
