//! Webhook configurations, validating admission policies, `CustomResourceDefinition`, `APIService` (API-295, API-309).

use wavetank_json::{Value, json};

use super::empty_status;
use crate::fields::{default_text, default_to, ensure, items, items_mut, present, set, text};
use crate::object::At;

pub(super) fn mutating_webhooks(object: &mut Value) {
    webhooks(object);
    for webhook in items_mut(object, "webhooks") {
        default_to(webhook, "reinvocationPolicy", "Never");
    }
}

pub(super) fn webhooks(object: &mut Value) {
    for webhook in items_mut(object, "webhooks") {
        default_to(webhook, "failurePolicy", "Fail");
        default_to(webhook, "matchPolicy", "Equivalent");
        default_to(webhook, "namespaceSelector", json!({}));
        default_to(webhook, "objectSelector", json!({}));
        default_to(webhook, "timeoutSeconds", 10);
        default_rules(webhook, "rules");
        if let Some(service) = ensure(webhook, "clientConfig")
            .and_then(|client| client.get_mut("service"))
            .filter(|service| service.is_object())
        {
            default_to(service, "port", 443);
        }
    }
}

pub(super) fn admission_policy(object: &mut Value) {
    empty_status(object);
    if let Some(spec) = ensure(object, "spec") {
        default_to(spec, "failurePolicy", "Fail");
        default_matching(spec, "matchConstraints");
    }
}

pub(super) fn admission_policy_binding(object: &mut Value) {
    if let Some(spec) = ensure(object, "spec") {
        default_matching(spec, "matchResources");
    }
}

fn default_matching(spec: &mut Value, key: &str) {
    if let Some(matching) = spec.get_mut(key).filter(|matching| matching.is_object()) {
        default_to(matching, "matchPolicy", "Equivalent");
        default_to(matching, "namespaceSelector", json!({}));
        default_to(matching, "objectSelector", json!({}));
        default_rules(matching, "resourceRules");
        default_rules(matching, "excludeResourceRules");
    }
}

fn default_rules(owner: &mut Value, key: &str) {
    for rule in items_mut(owner, key) {
        default_to(rule, "scope", "*");
    }
}

pub(super) fn custom_resource_definition(object: &mut Value) {
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    let kind = spec
        .at(&["names", "kind"])
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(names) = ensure(spec, "names")
        && !kind.is_empty()
    {
        default_text(names, "singular", &kind.to_lowercase());
        default_text(names, "listKind", &format!("{kind}List"));
    }
    if present(spec, "conversion").is_none() {
        set(spec, "conversion", Some(json!({ "strategy": "None" })));
    }
    if let Some(service) = spec
        .pointer_mut("/conversion/webhook/clientConfig/service")
        .filter(|service| service.is_object())
    {
        default_to(service, "port", 443);
    }
    let stored = stored_version(spec);
    if let Some(status) = ensure(object, "status")
        && items(status, "storedVersions").is_empty()
        && let Some(stored) = stored
    {
        set(status, "storedVersions", Some(json!([stored])));
    }
}

/// The version that the spec of a `CustomResourceDefinition` stores objects in.
pub fn stored_version(spec: &Value) -> Option<String> {
    items(spec, "versions")
        .iter()
        .find(|version| version.get("storage") == Some(&Value::Bool(true)))
        .map(|version| text(version, "name").to_owned())
}

pub(super) fn api_service(object: &mut Value) {
    empty_status(object);
    if let Some(service) = ensure(object, "spec")
        .and_then(|spec| spec.get_mut("service"))
        .filter(|service| service.is_object())
    {
        default_to(service, "port", 443);
    }
}
