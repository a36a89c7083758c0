//! Webhook configurations, `CustomResourceDefinition`, `APIService` (API-295).
//!
//! `CustomResourceDefinitions` get their generation here; their schemas are checked where they are served.

use wavetank_json::{Value, json};
use wavetank_model::defaults::extension::stored_version;
use wavetank_model::object::{self, At};

use super::field::{Errors, FieldError, Path};
use super::json::{ensure, int, items, present, restore, set, text};
use super::{Env, Strategy, label_selector, names};

/// A Mutating- or `ValidatingWebhookConfiguration`.
pub(super) struct WebhookConfiguration {
    pub(super) mutating: bool,
}

impl Strategy for WebhookConfiguration {
    fn has_generation(&self) -> bool {
        true
    }

    fn bumps_generation(&self, new: &Value, old: &Value) -> bool {
        new.get("webhooks") != old.get("webhooks")
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let list = Path::new("webhooks");
        let webhooks = items(object, "webhooks");
        for (index, webhook) in webhooks.iter().enumerate() {
            let path = list.index(index);
            validate_webhook(webhook, self.mutating, &path, errors);
            let name = text(webhook, "name");
            if !name.is_empty()
                && webhooks[..index]
                    .iter()
                    .any(|earlier| text(earlier, "name") == name)
            {
                errors.duplicate(&path.field("name"), name);
            }
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_webhook(webhook: &Value, mutating: bool, path: &Path<'_>, errors: &mut Errors) {
    let name = text(webhook, "name");
    if name.is_empty() {
        errors.required(&path.field("name"), "");
    } else {
        let problems = names::dns_subdomain(name);
        if !problems.is_empty() {
            errors.invalid(&path.field("name"), name, problems.join(","));
        } else if name.split('.').count() < 3 {
            errors.invalid(
                &path.field("name"),
                name,
                "should be a domain with at least three segments separated by dots",
            );
        }
    }
    let client = webhook.get("clientConfig").unwrap_or(&Value::Null);
    for (index, rule) in items(webhook, "rules").iter().enumerate() {
        validate_rule(rule, &path.field("rules").index(index), errors);
    }
    errors.optional_one_of(path, webhook, "failurePolicy", &["Fail", "Ignore"]);
    errors.optional_one_of(path, webhook, "matchPolicy", &["Equivalent", "Exact"]);
    match text(webhook, "sideEffects") {
        "" => errors.required(
            &path.field("sideEffects"),
            "must specify one of None, NoneOnDryRun",
        ),
        "None" | "NoneOnDryRun" => {}
        other => errors.not_supported(&path.field("sideEffects"), other, &["None", "NoneOnDryRun"]),
    }
    if let Some(seconds) =
        int(webhook, "timeoutSeconds").filter(|seconds| !(1..=30).contains(seconds))
    {
        errors.invalid(
            &path.field("timeoutSeconds"),
            seconds,
            "the timeout value must be between 1 and 30 seconds",
        );
    }
    for key in ["namespaceSelector", "objectSelector"] {
        if let Some(selector) = present(webhook, key) {
            label_selector::validate(selector, &path.field(key), errors);
        }
    }
    if mutating {
        errors.optional_one_of(path, webhook, "reinvocationPolicy", &["IfNeeded", "Never"]);
    }
    let client_path = path.field("clientConfig");
    match (present(client, "url"), present(client, "service")) {
        (Some(_), Some(_)) | (None, None) => {
            errors.required(&client_path, "exactly one of url or service is required");
        }
        (None, Some(service)) => {
            let path = client_path.field("service");
            if text(service, "name").is_empty() {
                errors.required(&path.field("name"), "service name is required");
            }
            if text(service, "namespace").is_empty() {
                errors.required(&path.field("namespace"), "service namespace is required");
            }
        }
        (Some(_), None) => {}
    }
    validate_versions(webhook, &path.field("admissionReviewVersions"), errors);
}

fn validate_versions(webhook: &Value, path: &Path<'_>, errors: &mut Errors) {
    let versions = items(webhook, "admissionReviewVersions");
    if versions.is_empty() {
        errors.required(path, "must specify one of v1, v1beta1");
        return;
    }
    for (index, version) in versions.iter().filter_map(Value::as_str).enumerate() {
        if versions[..index].iter().any(|earlier| earlier == version) {
            errors.invalid(&path.index(index), version, "duplicate version");
            continue;
        }
        errors.invalid_each(&path.index(index), version, names::dns_1035_label(version));
    }
    if !versions
        .iter()
        .any(|version| version == "v1" || version == "v1beta1")
    {
        errors.invalid(
            path,
            Value::Array(versions.to_vec()),
            "must include at least one of v1, v1beta1",
        );
    }
}

/// Checks a rule of a webhook or policy.
pub(super) fn validate_rule(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    if items(rule, "operations").is_empty() {
        errors.required(&path.field("operations"), "");
    }
    only_star(rule, "operations", "operations", path, errors);
    for (index, operation) in items(rule, "operations")
        .iter()
        .filter_map(Value::as_str)
        .enumerate()
    {
        if !OPERATIONS.contains(&operation) {
            errors.not_supported(
                &path.field("operations").index(index),
                operation,
                &OPERATIONS,
            );
        }
    }
    duplicates(rule, "resourceNames", path, errors);
    for (key, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        if items(rule, key).is_empty() {
            errors.required(&path.field(key), "");
        }
        only_star(rule, key, what, path, errors);
    }
    validate_rule_resources(rule, &path.field("resources"), errors);
    errors.optional_one_of(path, rule, "scope", &["*", "Cluster", "Namespaced"]);
}

/// Refuses what stands beside a `*`.
fn only_star(rule: &Value, key: &str, what: &str, path: &Path<'_>, errors: &mut Errors) {
    let values = items(rule, key);
    if values.len() > 1 && values.iter().any(|value| value == "*") {
        let why = format!("if '*' is present, must not specify other {what}");
        errors.invalid(&path.field(key), Value::Array(values.to_vec()), why);
    }
}

fn duplicates(rule: &Value, key: &str, path: &Path<'_>, errors: &mut Errors) {
    let values = items(rule, key);
    for (index, value) in values.iter().enumerate() {
        if values[..index].contains(value) {
            errors.duplicate(&path.field(key).index(index), value.clone());
        }
    }
}

/// Checks that no resource is named twice by way of a `*`.
fn validate_rule_resources(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let resources = items(rule, "resources");
    if resources.is_empty() {
        errors.required(path, "");
    }
    let names: Vec<&str> = resources.iter().filter_map(Value::as_str).collect();
    let mut plain = false;
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            errors.required(&path.index(index), "");
        }
        let Some((resource, subresource)) = name.split_once('/') else {
            plain = *name != "*";
            continue;
        };
        for star in [format!("{resource}/*"), format!("*/{subresource}")] {
            if names[..index].contains(&star.as_str()) {
                let why = format!("if '{star}' is present, must not specify {name}");
                errors.invalid(&path.index(index), *name, why);
            }
        }
    }
    let all = || Value::Array(resources.to_vec());
    if names.len() > 1 && names.contains(&"*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errors.invalid(path, all(), why);
    }
    if names.contains(&"*") && plain {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, all(), why);
    }
}

pub(super) struct CustomResourceDefinition;

impl Strategy for CustomResourceDefinition {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn standard_finalizers_only(&self) -> bool {
        false
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        let stored = object.get("spec").and_then(stored_version);
        let status = json!({
            "conditions": null,
            "acceptedNames": { "plural": "", "kind": "" },
            "storedVersions": stored.map_or(Value::Null, |version| json!([version])),
        });
        set(object, "status", Some(status));
        Ok(())
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        old: &Value,
        subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        // A version that becomes the storage version joins the stored ones.
        if subresource.is_empty() {
            restore(new, old, "status");
            let stored = new.get("spec").and_then(stored_version);
            if let (Some(version), Some(versions)) = (
                stored,
                ensure(new, "status")
                    .and_then(|status| super::json::ensure_list(status, "storedVersions")),
            ) && !versions.iter().any(|known| *known == version)
            {
                versions.push(version.into());
            }
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let name = wavetank_model::object::name(object);
        let plural = spec
            .at(&["names", "plural"])
            .and_then(Value::as_str)
            .unwrap_or_default();
        let expected = format!("{plural}.{}", text(spec, "group"));
        if name != expected {
            errors.invalid(
                &Path::new("metadata").field("name"),
                name,
                "must be spec.names.plural+\".\"+spec.group",
            );
        }
        if text(spec, "group").is_empty() {
            errors.required(&path.field("group"), "");
        }
        if text(spec, "scope").is_empty() {
            errors.required(&path.field("scope"), "");
        } else if !matches!(text(spec, "scope"), "Cluster" | "Namespaced") {
            errors.not_supported(
                &path.field("scope"),
                text(spec, "scope"),
                &["Cluster", "Namespaced"],
            );
        }
        validate_definition_versions(spec, &path.field("versions"), errors);
        let names_path = path.field("names");
        for key in ["plural", "singular", "kind", "listKind"] {
            if spec
                .get("names")
                .map(|names| text(names, key))
                .unwrap_or_default()
                .is_empty()
            {
                errors.required(&names_path.field(key), "");
            }
        }
        if object
            .get("status")
            .is_none_or(|status| items(status, "storedVersions").is_empty())
        {
            errors.invalid(
                &Path::new("status").field("storedVersions"),
                Value::Null,
                "must have at least one stored version",
            );
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if !subresource.is_empty() {
            return;
        }
        self.validate_create(new, errors);
        let path = Path::new("spec");
        if object::is_true(old, "Established") {
            errors.immutable(
                &path.field("scope"),
                new.at(&["spec", "scope"]),
                old.at(&["spec", "scope"]),
            );
            errors.immutable(
                &path.field("names").field("kind"),
                new.at(&["spec", "names", "kind"]),
                old.at(&["spec", "names", "kind"]),
            );
        }
        errors.immutable(
            &path.field("group"),
            new.at(&["spec", "group"]),
            old.at(&["spec", "group"]),
        );
        errors.immutable(
            &path.field("names").field("plural"),
            new.at(&["spec", "names", "plural"]),
            old.at(&["spec", "names", "plural"]),
        );
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_definition_versions(spec: &Value, list: &Path<'_>, errors: &mut Errors) {
    let versions = items(spec, "versions");
    let storage = versions
        .iter()
        .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
        .count();
    let mut repeated = false;
    for (index, version) in versions.iter().enumerate() {
        let path = list.index(index);
        let name = text(version, "name");
        repeated |= versions[..index]
            .iter()
            .any(|earlier| text(earlier, "name") == name);
        errors.invalid_each(&path.field("name"), name, names::dns_1035_label(name));
        if version
            .get("schema")
            .and_then(|schema| present(schema, "openAPIV3Schema"))
            .is_none()
        {
            errors.required(&path.field("schema").field("openAPIV3Schema"), "");
        }
    }
    if repeated {
        errors.invalid(
            list,
            Value::Array(versions.to_vec()),
            "must contain unique version names",
        );
    }
    if storage != 1 {
        let shown = match versions {
            [] => Value::Null,
            some => Value::Array(some.to_vec()),
        };
        errors.invalid(
            list,
            shown,
            "must have exactly one version marked as storage version",
        );
    }
}

pub(super) struct ApiService;

impl Strategy for ApiService {
    fn has_status(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        // An API served by this very server is available at once.
        let local = object
            .get("spec")
            .and_then(|spec| present(spec, "service"))
            .is_none();
        if local {
            set(
                object,
                "status",
                Some(json!({ "conditions": [{
                    "type": "Available", "status": "True", "lastTransitionTime": env.timestamp, "reason": "Local",
                    "message": "Local APIServices are always available",
                }] })),
            );
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let name = wavetank_model::object::name(object);
        let expected = format!("{}.{}", text(spec, "version"), text(spec, "group"));
        if name != expected {
            errors.invalid(
                &Path::new("metadata").field("name"),
                name,
                format!(
                    "must be `spec.version+\".\"+spec.group`: {}",
                    super::field::quote(&expected)
                ),
            );
        }
        for (key, high) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
            let value = int(spec, key).unwrap_or(0);
            if value <= 0 || value > high {
                errors.invalid(
                    &path.field(key),
                    value,
                    format!("must be positive and less than {high}"),
                );
            }
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource.is_empty() {
            self.validate_create(new, errors);
        }
    }
}
