//! `ServiceAccount` (API-291).

use wavetank_json::Value;

use super::Strategy;
use super::field::Errors;

pub(super) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn validate_create(&self, _object: &Value, _errors: &mut Errors) {}

    fn validate_update(
        &self,
        _new: &Value,
        _old: &Value,
        _subresource: &str,
        _errors: &mut Errors,
    ) {
    }

    fn delete_returns_object(&self) -> bool {
        true
    }
}
