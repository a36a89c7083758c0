//! `ValidatingAdmissionPolicy` and `ValidatingAdmissionPolicyBinding`: validation (API-309).

use std::collections::BTreeMap;

use wavetank_json::Value;
use wavetank_model::object;

use super::extension::validate_rule;
use super::field::{Errors, Path};
use super::json::{items, present, text};
use super::{Strategy, label_selector, names};
use crate::expression::RESERVED;
use crate::expression::check::{Scope, Type, check};

pub(super) struct Policy;

pub(super) struct Binding;

impl Strategy for Policy {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        errors.optional_one_of(&path, spec, "failurePolicy", &["Fail", "Ignore"]);
        let kind = present(spec, "paramKind");
        if let Some(kind) = kind {
            validate_param_kind(kind, &path.field("paramKind"), errors);
        }
        let constraints_path = path.field("matchConstraints");
        match present(spec, "matchConstraints") {
            None => errors.required(&constraints_path, ""),
            Some(constraints) => {
                validate_matching(constraints, &constraints_path, errors);
                if items(constraints, "resourceRules").is_empty() {
                    errors.required(&constraints_path.field("resourceRules"), "");
                }
            }
        }
        let mut scope = Scope::policy(kind.is_some(), None);
        validate_conditions(spec, &scope, &path, errors);
        scope.variables = Some(validate_variables(spec, &scope, &path, errors));
        let annotations = items(spec, "auditAnnotations");
        if items(spec, "validations").is_empty() && annotations.is_empty() {
            let why = "validations or auditAnnotations must contain at least one item";
            errors.required(&path.field("validations"), why);
            errors.required(&path.field("auditAnnotations"), why);
        }
        for (index, validation) in items(spec, "validations").iter().enumerate() {
            let list = path.field("validations");
            validate_validation(validation, &scope, &list.index(index), errors);
        }
        validate_annotations(object::name(object), annotations, &scope, &path, errors);
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource.is_empty() {
            self.validate_create(new, errors);
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_param_kind(kind: &Value, path: &Path<'_>, errors: &mut Errors) {
    let version = text(kind, "apiVersion");
    if version.is_empty() {
        errors.required(&path.field("apiVersion"), "");
    } else if version.matches('/').count() > 1 {
        let why = format!("unexpected GroupVersion string: {version}");
        errors.invalid(&path.field("apiVersion"), version, why);
    }
    let name = text(kind, "kind");
    if name.is_empty() {
        errors.required(&path.field("kind"), "");
    } else {
        let problems = names::dns_1035_label(&name.to_lowercase());
        if !problems.is_empty() {
            let why = format!(
                "may have mixed case, but should otherwise match: {}",
                problems.join(", ")
            );
            errors.invalid(&path.field("kind"), name, why);
        }
    }
}

fn validate_matching(matching: &Value, path: &Path<'_>, errors: &mut Errors) {
    errors.optional_one_of(path, matching, "matchPolicy", &["Equivalent", "Exact"]);
    for key in ["namespaceSelector", "objectSelector"] {
        if let Some(selector) = present(matching, key) {
            label_selector::validate(selector, &path.field(key), errors);
        }
    }
    for key in ["resourceRules", "excludeResourceRules"] {
        let list = path.field(key);
        for (index, rule) in items(matching, key).iter().enumerate() {
            let path = list.index(index);
            // Names are not checked, but for names that stand twice; these are told between operations and groups.
            validate_rule(rule, &path, errors);
        }
    }
}

/// Checks an expression that is to be of one of some types; gives the type it has.
fn validate_expression(
    text: &str,
    wanted: &[Type],
    scope: &Scope,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Type {
    match check(text, scope) {
        Err(why) => {
            errors.invalid(path, text, format!("compilation failed: {why}"));
            Type::Unknown
        }
        Ok(found) => {
            if !wanted.is_empty() && found != Type::Unknown && !wanted.contains(&found) {
                let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                let list = match wanted.as_slice() {
                    [one] => one.clone(),
                    several => format!("one of [{}]", several.join(" ")),
                };
                errors.invalid(
                    path,
                    text,
                    format!("must evaluate to {list} but got {found}"),
                );
            }
            found
        }
    }
}

fn validate_conditions(spec: &Value, scope: &Scope, path: &Path<'_>, errors: &mut Errors) {
    let list = path.field("matchConditions");
    let conditions = items(spec, "matchConditions");
    for (index, condition) in conditions.iter().enumerate() {
        let path = list.index(index);
        let expression = text(condition, "expression");
        let expression_path = path.field("expression");
        if expression.trim().is_empty() {
            errors.required(&expression_path, "");
        } else {
            validate_expression(expression, &[Type::Bool], scope, &expression_path, errors);
        }
        let name = text(condition, "name");
        let name_path = path.field("name");
        if name.is_empty() {
            errors.required(&name_path, "");
            continue;
        }
        errors.invalid_each(&name_path, name, names::label_key(name));
        if conditions[..index]
            .iter()
            .any(|earlier| text(earlier, "name") == name)
        {
            errors.duplicate(&name_path, name);
        }
    }
}

/// Checks the variables, each of which may use those before it; gives their types.
fn validate_variables(
    spec: &Value,
    scope: &Scope,
    path: &Path<'_>,
    errors: &mut Errors,
) -> BTreeMap<String, Type> {
    let list = path.field("variables");
    let mut scope = scope.clone();
    scope.variables = Some(BTreeMap::new());
    for (index, variable) in items(spec, "variables").iter().enumerate() {
        let path = list.index(index);
        let (name, expression) = (text(variable, "name"), text(variable, "expression"));
        if name.is_empty() {
            errors.required(&path.field("name"), "name is not specified");
        } else if !is_identifier(name) {
            errors.invalid(&path.field("name"), name, "must be a valid CEL identifier");
        }
        let found = if expression.trim().is_empty() {
            errors.required(&path.field("expression"), "expression is not specified");
            Type::Unknown
        } else {
            validate_expression(expression, &[], &scope, &path.field("expression"), errors)
        };
        if let Some(known) = &mut scope.variables {
            known.insert(name.to_owned(), found);
        }
    }
    scope.variables.unwrap_or_default()
}

fn is_identifier(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !RESERVED.contains(&name)
}

fn validate_validation(validation: &Value, scope: &Scope, path: &Path<'_>, errors: &mut Errors) {
    let expression = text(validation, "expression");
    let expression_path = path.field("expression");
    if expression.trim().is_empty() {
        errors.required(&expression_path, "expression is not specified");
    } else {
        validate_expression(expression, &[Type::Bool], scope, &expression_path, errors);
    }
    let given = |key: &str| present(validation, key).and_then(Value::as_str);
    let empty = "must be non-empty if specified";
    if let Some(message) = given("message").filter(|message| !message.is_empty()) {
        if message.trim().is_empty() {
            errors.invalid(&path.field("message"), message, empty);
        } else if message.trim().contains(['\n', '\r']) {
            errors.invalid(
                &path.field("message"),
                message,
                "must not contain line breaks",
            );
        }
    }
    if let Some(message) = given("messageExpression").filter(|message| !message.is_empty()) {
        let path = path.field("messageExpression");
        if message.trim().is_empty() {
            errors.invalid(&path, message, empty);
        } else {
            validate_expression(message, &[Type::String], scope, &path, errors);
        }
    }
    let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
    errors.optional_one_of(path, validation, "reason", &reasons);
}

fn validate_annotations(
    policy: &str,
    annotations: &[Value],
    scope: &Scope,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let list = path.field("auditAnnotations");
    for (index, annotation) in annotations.iter().enumerate() {
        let path = list.index(index);
        let key = text(annotation, "key");
        let full = format!("{policy}/{key}");
        errors.invalid_each(&path.field("key"), &full, names::label_key(&full));
        let value = text(annotation, "valueExpression");
        let value_path = path.field("valueExpression");
        if value.trim().is_empty() {
            errors.required(&value_path, "valueExpression is not specified");
        } else {
            let wanted = [Type::String, Type::Null];
            validate_expression(value, &wanted, scope, &value_path, errors);
        }
        if annotations[..index]
            .iter()
            .any(|earlier| text(earlier, "key") == key)
        {
            errors.duplicate(&path.field("key"), key);
        }
    }
}

impl Strategy for Binding {
    fn has_generation(&self) -> bool {
        true
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let policy = text(spec, "policyName");
        let policy_path = path.field("policyName");
        if policy.is_empty() {
            errors.required(&policy_path, "");
        } else {
            errors.invalid_each(&policy_path, policy, names::dns_subdomain(policy));
        }
        if let Some(reference) = present(spec, "paramRef") {
            validate_param_ref(reference, &path.field("paramRef"), errors);
        }
        if let Some(matching) = present(spec, "matchResources") {
            validate_matching(matching, &path.field("matchResources"), errors);
        }
        validate_actions(spec, &path.field("validationActions"), errors);
    }

    fn validate_update(&self, new: &Value, _old: &Value, _subresource: &str, errors: &mut Errors) {
        self.validate_create(new, errors);
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate_param_ref(reference: &Value, path: &Path<'_>, errors: &mut Errors) {
    let name = text(reference, "name");
    let selector = present(reference, "selector");
    let both = "name and selector are mutually exclusive";
    match (name.is_empty(), selector) {
        (false, Some(_)) => {
            errors.forbidden(&path.field("name"), both);
            errors.forbidden(&path.field("selector"), both);
        }
        (true, None) => errors.required(path, "one of name or selector must be specified"),
        (false, None) => {
            let problems = names::path_segment(name, false);
            errors.invalid_each(&path.field("name"), name, problems);
        }
        (true, Some(selector)) => {
            label_selector::validate(selector, &path.field("selector"), errors);
        }
    }
    let action_path = path.field("parameterNotFoundAction");
    match text(reference, "parameterNotFoundAction") {
        "" => errors.required(&action_path, ""),
        "Deny" | "Allow" => {}
        other => errors.not_supported(&action_path, other, &["Deny", "Allow"]),
    }
}

fn validate_actions(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
    let actions = items(spec, "validationActions");
    for (index, action) in actions.iter().enumerate() {
        let text = action.as_str().unwrap_or_default();
        if !ACTIONS.contains(&text) {
            errors.not_supported(&path.index(index), text, &ACTIONS);
        }
        if actions[..index].contains(action) {
            errors.duplicate(&path.index(index), text);
        }
    }
    let has = |action: &str| actions.iter().any(|one| one == action);
    if has("Deny") && has("Warn") {
        errors.invalid(
            path,
            Value::Array(actions.to_vec()),
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        );
    }
    if actions.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}
