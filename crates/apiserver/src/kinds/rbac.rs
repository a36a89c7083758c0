//! Role, `ClusterRole`, `RoleBinding`, `ClusterRoleBinding` (API-293).

use wavetank_json::Value;
use wavetank_model::defaults::cluster::RBAC_GROUP as GROUP;

use super::field::{Errors, Path};
use super::json::{items, present, text};
use super::{NameRule, Strategy, label_selector, names};

/// A Role or `ClusterRole`.
pub(super) struct Role {
    pub(super) namespaced: bool,
}

impl Strategy for Role {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let list = Path::new("rules");
        for (index, rule) in items(object, "rules").iter().enumerate() {
            validate_rule(rule, self.namespaced, &list.index(index), errors);
        }
        let Some(aggregation) = present(object, "aggregationRule").filter(|_| !self.namespaced)
        else {
            return;
        };
        let path = Path::new("aggregationRule");
        let list = path.field("clusterRoleSelectors");
        if items(aggregation, "clusterRoleSelectors").is_empty() {
            errors.required(
                &list,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            );
        }
        for (index, selector) in items(aggregation, "clusterRoleSelectors")
            .iter()
            .enumerate()
        {
            label_selector::validate(selector, &list.index(index), errors);
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn validate_rule(rule: &Value, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    if items(rule, "verbs").is_empty() {
        errors.required(
            &path.field("verbs"),
            "verbs must contain at least one value",
        );
    }
    let some = |key: &str| !items(rule, key).is_empty();
    if some("nonResourceURLs") {
        if namespaced {
            errors.invalid(
                &path.field("nonResourceURLs"),
                rule["nonResourceURLs"].clone(),
                "namespaced rules cannot apply to non-resource URLs",
            );
        }
        if some("apiGroups") || some("resources") || some("resourceNames") {
            errors.invalid(
                &path.field("nonResourceURLs"),
                rule["nonResourceURLs"].clone(),
                "rules cannot apply to both regular resources and non-resource URLs",
            );
        }
        return;
    }
    if !some("apiGroups") {
        errors.required(
            &path.field("apiGroups"),
            "resource rules must supply at least one api group",
        );
    }
    if !some("resources") {
        errors.required(
            &path.field("resources"),
            "resource rules must supply at least one resource",
        );
    }
}

/// A `RoleBinding` or `ClusterRoleBinding`.
pub(super) struct RoleBinding {
    pub(super) namespaced: bool,
}

impl Strategy for RoleBinding {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let reference = object.get("roleRef").unwrap_or(&Value::Null);
        let path = Path::new("roleRef");
        let group = text(reference, "apiGroup");
        if group != GROUP {
            errors.not_supported(&path.field("apiGroup"), group, &[GROUP]);
        }
        let kinds: &[&str] = if self.namespaced {
            &["Role", "ClusterRole"]
        } else {
            &["ClusterRole"]
        };
        let kind = text(reference, "kind");
        if !kinds.contains(&kind) {
            errors.not_supported(&path.field("kind"), kind, kinds);
        }
        let name = text(reference, "name");
        if name.is_empty() {
            errors.required(&path.field("name"), "");
        } else {
            errors.invalid_each(&path.field("name"), name, names::path_segment(name, false));
        }
        let list = Path::new("subjects");
        for (index, subject) in items(object, "subjects").iter().enumerate() {
            validate_subject(subject, self.namespaced, &list.index(index), errors);
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
        let reference = new.get("roleRef");
        if reference != old.get("roleRef") {
            let shown = reference.map_or(Value::Null, |reference| {
                wavetank_json::json!({
                    "APIGroup": text(reference, "apiGroup"), "Kind": text(reference, "kind"), "Name": text(reference, "name"),
                })
            });
            errors.invalid(&Path::new("roleRef"), shown, "cannot change roleRef");
        }
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn validate_subject(subject: &Value, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        errors.required(&path.field("name"), "");
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.invalid_each(&path.field("name"), name, names::dns_subdomain(name));
            }
            if !group.is_empty() {
                errors.not_supported(&path.field("apiGroup"), group, &[""]);
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.required(&path.field("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.not_supported(&path.field("apiGroup"), group, &[GROUP]);
            }
        }
        other => errors.not_supported(
            &path.field("kind"),
            other,
            &["ServiceAccount", "User", "Group"],
        ),
    }
}
