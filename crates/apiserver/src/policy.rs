//! `ValidatingAdmissionPolicies` with their bindings: what they say about a write (API-309).
//!
//! Policies are compiled when they or their bindings change, and are effective at once; without any, a write pays one
//! comparison. They are asked in the order of their names, as are bindings and parameters. Left out: `authorizer`, types
//! of expressions beyond what [`crate::expression`] tells, costs, audit annotations, and the status of a policy.

mod evaluate;
mod matching;

use std::fmt;
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::key::{GroupKind, ObjectKey};
use wavetank_model::object::At;
use wavetank_model::patch::apply::Tracked;
use wavetank_model::selector::LabelSelector;
use wavetank_model::status::{StatusCause, StatusDetails};
use wavetank_model::{Status, object};

use crate::admission::Operation;
use crate::create::Call;
use crate::failure;
use crate::kinds::json::{items, present, text};
use crate::registry::Resource;
use crate::server::Server;

use crate::expression::Expression;
use evaluate::Facts;
use matching::Matcher;

const GROUP: &str = "admissionregistration.k8s.io";
const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";

/// The policies that have bindings, by name.
#[derive(Clone, Default)]
pub(crate) struct Policies(Arc<Vec<Policy>>);

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policies({})", self.0.len())
    }
}

#[derive(Debug)]
struct Policy {
    name: String,
    /// Whether what cannot be judged is refused.
    fail: bool,
    constraints: Matcher,
    conditions: Vec<Expression>,
    variables: Vec<(String, Expression)>,
    validations: Vec<Validation>,
    /// apiVersion and kind of the parameters.
    param_kind: Option<(String, String)>,
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Validation {
    expression: Expression,
    message: String,
    message_expression: Option<Expression>,
    reason: String,
}

#[derive(Debug)]
struct Binding {
    name: String,
    deny: bool,
    warn: bool,
    matching: Option<Matcher>,
    param_ref: Option<Value>,
}

/// What a policy has against a write.
struct Objection {
    message: String,
    /// The reason of the Status, empty for the usual one.
    reason: String,
}

impl From<String> for Objection {
    fn from(message: String) -> Self {
        Self {
            message,
            reason: String::new(),
        }
    }
}

impl Policy {
    fn of(stored: &Value, bindings: Vec<Binding>) -> Self {
        let spec = stored.get("spec").unwrap_or(&Value::Null);
        let expressions = |key: &str| {
            items(spec, key)
                .iter()
                .map(|item| Expression::new(text(item, "expression")))
        };
        let param_kind = present(spec, "paramKind").map(|kind| {
            (
                text(kind, "apiVersion").to_owned(),
                text(kind, "kind").to_owned(),
            )
        });
        Self {
            name: object::name(stored).to_owned(),
            fail: text(spec, "failurePolicy") != "Ignore",
            constraints: Matcher::of(spec.get("matchConstraints").unwrap_or(&Value::Null)),
            conditions: expressions("matchConditions").collect(),
            variables: items(spec, "variables")
                .iter()
                .map(|item| text(item, "name").to_owned())
                .zip(expressions("variables"))
                .collect(),
            validations: items(spec, "validations")
                .iter()
                .map(|item| Validation {
                    expression: Expression::new(text(item, "expression")),
                    message: text(item, "message").to_owned(),
                    message_expression: present(item, "messageExpression")
                        .and_then(Value::as_str)
                        .map(Expression::new),
                    reason: text(item, "reason").to_owned(),
                })
                .collect(),
            param_kind,
            bindings,
        }
    }
}

impl Binding {
    fn of(stored: &Value) -> Self {
        let spec = stored.get("spec").unwrap_or(&Value::Null);
        let has = |action: &str| {
            items(spec, "validationActions")
                .iter()
                .any(|one| one == action)
        };
        Self {
            name: object::name(stored).to_owned(),
            deny: has("Deny"),
            warn: has("Warn"),
            matching: present(spec, "matchResources").map(Matcher::of),
            param_ref: present(spec, "paramRef").cloned(),
        }
    }
}

impl Server {
    /// Reads the policies anew after a commit to one of their kinds.
    pub(crate) fn after_policy(&mut self, resource: &Resource) {
        if resource.group != GROUP || !matches!(resource.kind(), POLICY | BINDING) {
            return;
        }
        let bindings = self.list(&GroupKind::new(GROUP, BINDING), None);
        let mut policies = Vec::new();
        for policy in self.list(&GroupKind::new(GROUP, POLICY), None) {
            let own = bindings.iter().filter(|binding| {
                binding.at(&["spec", "policyName"]).and_then(Value::as_str)
                    == Some(object::name(&policy))
            });
            let own: Vec<Binding> = own.map(|binding| Binding::of(binding)).collect();
            if !own.is_empty() {
                policies.push(Policy::of(&policy, own));
            }
        }
        self.policies = Policies(Arc::new(policies));
        self.await_retries();
    }

    /// Asks the policies about a write, of which a delete has no `new`. Adds their warnings to those of the call.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) fn ask_policies(
        &self,
        call: &mut Call,
        operation: Operation,
        new: Option<Tracked<'_>>,
        old: Option<Tracked<'_>>,
    ) -> Result<(), Status> {
        // Policies have no say in policies.
        if self.policies.0.is_empty() || call.resource.group == GROUP || call.unasked {
            return Ok(());
        }
        let policies = Arc::clone(&self.policies.0);
        let mut facts = Facts::new(self, &*call, operation, new, old)?;
        let mut refusal = None;
        let mut warnings = Vec::new();
        for policy in policies.iter() {
            let Some(version) = policy.constraints.matches(&facts) else {
                continue;
            };
            facts.use_version(version);
            let parameters = match self.parameter_kind(policy) {
                Ok(parameters) => parameters,
                Err(why) if policy.fail => {
                    let text = format!(
                        "{POLICY} '{}' denied request: failed to configure policy: {why}",
                        policy.name
                    );
                    refusal.get_or_insert((text, String::new()));
                    continue;
                }
                Err(_) => continue,
            };
            for binding in &policy.bindings {
                let matches = binding.matching.as_ref();
                if matches.is_some_and(|matching| matching.matches(&facts).is_none()) {
                    continue;
                }
                for objection in self.objections(policy, binding, parameters.as_deref(), &facts) {
                    let Objection { message, reason } = objection;
                    let named =
                        format!("{POLICY} '{}' with binding '{}'", policy.name, binding.name);
                    if binding.deny {
                        let text = format!("{named} denied request: {message}");
                        refusal.get_or_insert((text, reason));
                    } else if binding.warn {
                        warnings.push(format!("Validation failed for {named}: {message}"));
                    }
                }
            }
        }
        let name = facts.name().to_owned();
        drop(facts);
        for warning in warnings {
            if !call.warnings.contains(&warning) {
                call.warnings.push(warning);
            }
        }
        match refusal {
            Some((text, reason)) => Err(refuse(&call.resource, &name, &text, &reason)),
            None => Ok(()),
        }
    }

    /// What a policy has against a write through one binding.
    fn objections(
        &self,
        policy: &Policy,
        binding: &Binding,
        kind: Option<&Resource>,
        facts: &Facts<'_>,
    ) -> Vec<Objection> {
        let parameters = match (kind, &binding.param_ref) {
            (Some(kind), Some(reference)) => self.parameters(kind, reference, facts.namespace()),
            _ => Ok(vec![Arc::new(Value::Null)]),
        };
        match parameters {
            Ok(parameters) => parameters
                .iter()
                .flat_map(|params| evaluate::judge(policy, facts, params))
                .collect(),
            Err(why) if policy.fail => {
                vec![format!("failed to configure binding: {why}").into()]
            }
            Err(_) => Vec::new(),
        }
    }

    /// The resource of the parameters of a policy that has some.
    fn parameter_kind(&self, policy: &Policy) -> Result<Option<Arc<Resource>>, String> {
        let Some((api_version, kind)) = &policy.param_kind else {
            return Ok(None);
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = self.registry.by_kind(group, kind);
        match found.filter(|resource| resource.version(version).is_some()) {
            Some(resource) => Ok(Some(Arc::clone(resource))),
            None => Err(format!(
                "failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'"
            )),
        }
    }

    /// The parameters that a binding names, for a write in `namespace`.
    fn parameters(
        &self,
        kind: &Resource,
        reference: &Value,
        namespace: &str,
    ) -> Result<Vec<Arc<Value>>, String> {
        let own = text(reference, "namespace");
        let namespace = match (kind.namespaced, own) {
            (false, "") => "",
            (false, _) => {
                return Err(
                    "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
                        .to_owned(),
                );
            }
            (true, "") if namespace.is_empty() => {
                return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned());
            }
            (true, "") => namespace,
            (true, own) => own,
        };
        let found: Vec<Arc<Value>> = match text(reference, "name") {
            "" => {
                let selector = LabelSelector::from_object(reference.get("selector"))
                    .map_err(|error| error.to_string())?;
                let scope = kind.namespaced.then_some(namespace);
                self.list(&kind.group_kind, scope)
                    .into_iter()
                    .filter(|object| selector.matches(object))
                    .collect()
            }
            name => {
                let gk = &kind.group_kind;
                let key = ObjectKey::new(gk.group.clone(), gk.kind.clone(), namespace, name);
                self.get(&key).into_iter().collect()
            }
        };
        if found.is_empty() && text(reference, "parameterNotFoundAction") == "Deny" {
            return Err(
                "no params found for policy binding with `Deny` parameterNotFoundAction".to_owned(),
            );
        }
        Ok(found)
    }
}

/// A refusal in the words of admission, with the code of its reason.
fn refuse(resource: &Resource, name: &str, text: &str, reason: &str) -> Status {
    let (code, reason) = match reason {
        "Unauthorized" => (401, reason),
        "Forbidden" => (403, reason),
        "RequestEntityTooLarge" => (413, reason),
        _ => (422, "Invalid"),
    };
    let forbidden = failure::forbidden(resource, name, text);
    let details = forbidden.details.unwrap_or_default();
    Status::new(code, reason, forbidden.message).with_details(StatusDetails {
        causes: vec![StatusCause {
            message: text.to_owned(),
            ..StatusCause::default()
        }],
        ..*details
    })
}
