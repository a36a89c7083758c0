//! What a policy says about one write.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use kube_cel::cel::{Context, Value as CelValue};
use wavetank_json::{Map, Value, json};
use wavetank_model::patch::apply::{ManagedFields, Tracked};
use wavetank_model::selector::LabelSelector;
use wavetank_model::{ObjectKey, Status, object};

use crate::access::Subject;
use crate::admission::Operation;
use crate::convert;
use crate::create::Call;
use crate::expression::{self, Expression, dialect};
use crate::registry::Resource;
use crate::scale::scale_of;
use crate::server::Server;

use super::{Objection, Policy, Validation};

/// One write, as policies see it.
pub(super) struct Facts<'a> {
    pub(super) operation: Operation,
    call: &'a Call,
    new: Side<'a>,
    old: Side<'a>,
    namespace: Option<Arc<Value>>,
    /// The `apiVersion` that the policy at hand wants to see.
    version: String,
    values: OnceCell<Values>,
}

/// An object before or after the write; null where there is none.
struct Side<'a> {
    object: Cow<'a, Value>,
    managed: Option<&'a ManagedFields>,
}

/// What expressions see, made when the first is evaluated.
struct Values {
    object: CelValue,
    old: CelValue,
    request: CelValue,
    namespace: CelValue,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        server: &Server,
        call: &'a Call,
        operation: Operation,
        new: Option<Tracked<'a>>,
        old: Option<Tracked<'a>>,
    ) -> Result<Self, Status> {
        let as_seen = |side: Option<Tracked<'a>>| -> Result<Side<'a>, Status> {
            let (object, managed) = match side {
                None => (Cow::Owned(Value::Null), None),
                Some(side) if call.subresource == "scale" => {
                    (Cow::Owned(scale_of(&call.resource, side.object)?), None)
                }
                Some(side) => (Cow::Borrowed(side.object), Some(side.managed)),
            };
            Ok(Side { object, managed })
        };
        let is_in = call.resource.namespaced && !call.namespace.is_empty();
        let key = ObjectKey::new("", "Namespace", "", call.namespace.as_str());
        Ok(Self {
            operation,
            call,
            new: as_seen(new)?,
            old: as_seen(old)?,
            namespace: if is_in { server.get(&key) } else { None },
            version: call.api_version.clone(),
            values: OnceCell::new(),
        })
    }

    /// Shows objects in another version from now on.
    pub(super) fn use_version(&mut self, version: String) {
        if version != self.version {
            self.version = version;
            self.values = OnceCell::new();
        }
    }

    fn resource(&self) -> &Resource {
        &self.call.resource
    }

    pub(super) fn plural(&self) -> &str {
        &self.resource().plural
    }

    pub(super) fn subresource(&self) -> &str {
        &self.call.subresource
    }

    /// The namespace of the request, empty for cluster-scoped objects.
    pub(super) fn namespace(&self) -> &str {
        &self.call.namespace
    }

    pub(super) fn is_namespaced(&self) -> bool {
        self.resource().namespaced
    }

    /// `apiVersion` of the request.
    pub(super) fn requested(&self) -> &str {
        &self.call.api_version
    }

    /// The `apiVersions` in which the resource is served.
    pub(super) fn versions(&self) -> impl Iterator<Item = &str> {
        self.resource()
            .versions
            .iter()
            .map(|version| version.api_version.as_str())
    }

    /// Name of the object; empty for each object of a deleted collection.
    pub(super) fn name(&self) -> &str {
        if self.call.of_collection {
            ""
        } else if self.call.name.is_empty() {
            object::name(&self.new.object)
        } else {
            &self.call.name
        }
    }

    fn is_namespace(&self) -> bool {
        self.resource().kind() == "Namespace" && self.resource().group.is_empty()
    }

    /// Whether a selector picks the namespace of the object, or the Namespace that it is; others are in none.
    pub(super) fn in_namespace(&self, selector: &LabelSelector) -> bool {
        if self.is_namespace() {
            let one = if self.new.object.is_null() {
                &self.old.object
            } else {
                &self.new.object
            };
            return selector.matches(one);
        }
        !self.is_namespaced()
            || selector.is_empty()
            || self
                .namespace
                .as_ref()
                .is_some_and(|namespace| selector.matches(namespace))
    }

    /// Whether a selector picks the object, before or after the write.
    pub(super) fn has_labels(&self, selector: &LabelSelector) -> bool {
        let picks = |object: &Value| !object.is_null() && selector.matches(object);
        selector.is_empty() || picks(&self.new.object) || picks(&self.old.object)
    }

    fn values(&self) -> &Values {
        self.values.get_or_init(|| {
            let seen = |side: &Side<'_>| {
                let object = &*side.object;
                let converts = !object.is_null()
                    && self.subresource() != "scale"
                    && object["apiVersion"].as_str() != Some(self.version.as_str());
                let mut shown = if converts {
                    convert::from_storage(self.resource(), &self.version, object)
                } else {
                    object.clone()
                };
                if let Some(managed) = side.managed {
                    managed.put_into(&mut shown);
                }
                expression::value(&shown)
            };
            Values {
                object: seen(&self.new),
                old: seen(&self.old),
                request: expression::value(&self.request()),
                namespace: expression::value(&self.namespace_object()),
            }
        })
    }

    /// The `request` of expressions; texts that would be empty are left out.
    fn request(&self) -> Value {
        let kind = |api_version: &str| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            match self.subresource() {
                "scale" => json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
                "eviction" => json!({"group": "policy", "version": "v1", "kind": "Eviction"}),
                "binding" => json!({"group": "", "version": "v1", "kind": "Binding"}),
                "token" => {
                    json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"})
                }
                _ => json!({"group": group, "version": version, "kind": self.resource().kind()}),
            }
        };
        let resource = |api_version: &str| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            json!({"group": group, "version": version, "resource": self.plural()})
        };
        let subject = self.call.subject.as_ref().map_or_else(
            || Cow::Owned(Subject::of(&self.call.actor)),
            |subject| Cow::Borrowed(subject.as_ref()),
        );
        let (operation, options) = match self.operation {
            Operation::Create => ("CREATE", "CreateOptions"),
            Operation::Update => ("UPDATE", "UpdateOptions"),
            Operation::Delete => ("DELETE", "DeleteOptions"),
        };
        let dry_run = self.call.options.dry_run;
        let mut options = json!({"apiVersion": "meta.k8s.io/v1", "kind": options});
        if dry_run {
            options["dryRun"] = json!(["All"]);
        }
        let mut request = json!({
            "kind": kind(&self.version), "resource": resource(&self.version),
            "requestKind": kind(self.requested()), "requestResource": resource(self.requested()),
            "operation": operation, "dryRun": dry_run, "options": options,
            "userInfo": {"username": subject.user, "groups": subject.groups},
        });
        let namespace = if self.is_namespace() && self.operation != Operation::Create {
            self.name()
        } else {
            self.namespace()
        };
        for (field, text) in [
            ("name", self.name()),
            ("namespace", namespace),
            ("subResource", self.subresource()),
            ("requestSubResource", self.subresource()),
        ] {
            if !text.is_empty() {
                request[field] = text.into();
            }
        }
        request
    }

    /// The namespace of the object with the fields that expressions know.
    fn namespace_object(&self) -> Value {
        let Some(namespace) = &self.namespace else {
            return Value::Null;
        };
        let mut seen = Map::new();
        for part in ["spec", "status"] {
            if let Some(value) = namespace.get(part) {
                seen.insert(part.to_owned(), value.clone());
            }
        }
        let metadata = namespace["metadata"].as_object().into_iter().flatten();
        let known: Map = metadata
            .filter(|(name, _)| !matches!(name.as_str(), "uid" | "ownerReferences"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        seen.insert("metadata".to_owned(), Value::Object(known));
        Value::Object(seen)
    }
}

/// What a policy has against a write, with one parameter (null where it has none).
pub(super) fn judge(policy: &Policy, facts: &Facts<'_>, params: &Value) -> Vec<Objection> {
    let mut context = dialect::context();
    let values = facts.values();
    for (name, value) in [
        ("object", &values.object),
        ("oldObject", &values.old),
        ("request", &values.request),
        ("namespaceObject", &values.namespace),
    ] {
        dialect::bind(&mut context, name, value);
    }
    dialect::bind(&mut context, "params", &expression::value(params));
    match conditions(policy, &context) {
        Ok(true) => {}
        Err(why) if policy.fail => return vec![why.into()],
        Ok(false) | Err(_) => return Vec::new(),
    }
    let failed = variables(policy, &mut context);
    policy
        .validations
        .iter()
        .filter_map(|validation| objection(validation, policy.fail, &failed, &context))
        .collect()
}

/// Whether all conditions hold. One that does not decides, whatever is wrong with the others.
fn conditions(policy: &Policy, context: &Context<'_>) -> Result<bool, String> {
    let mut errors = Vec::new();
    for condition in &policy.conditions {
        match condition.evaluate(context) {
            Ok(CelValue::Bool(true)) => {}
            Ok(_) => return Ok(false),
            Err(why) => errors.push(in_expression(condition, &why)),
        }
    }
    match errors.as_slice() {
        [] => Ok(true),
        [one] => Err(one.clone()),
        _ => Err(format!("[{}]", errors.join(", "))),
    }
}

fn in_expression(expression: &Expression, why: &str) -> String {
    format!("expression '{}' resulted in error: {why}", expression.text)
}

/// Evaluates the variables in their order; gives the names of those that cannot be, and why. Only who uses one fails.
fn variables<'a>(policy: &'a Policy, context: &mut Context<'_>) -> Vec<(&'a str, String)> {
    let mut known: Vec<(String, CelValue)> = Vec::new();
    let mut failed: Vec<(&str, String)> = Vec::new();
    for (name, expression) in &policy.variables {
        match evaluate(expression, &failed, context) {
            Ok(value) => known.push((name.clone(), value)),
            Err(why) => failed.push((name, why)),
        }
        let so_far = expression::map(known.iter().cloned());
        context.add_variable_from_value("variables", so_far);
    }
    failed
}

/// The value of an expression; when it fails for want of a variable, why that failed.
fn evaluate(
    expression: &Expression,
    failed: &[(&str, String)],
    context: &Context<'_>,
) -> Result<CelValue, String> {
    expression.evaluate(context).map_err(|why| {
        let missing = failed.iter().find(|(name, _)| {
            why == format!("no such key: {name}")
                && expression.text.contains(&format!("variables.{name}"))
        });
        match missing {
            Some((name, cause)) => {
                format!("composited variable \"{name}\" fails to evaluate: {cause}")
            }
            None => why,
        }
    })
}

fn objection(
    validation: &Validation,
    fail: bool,
    failed: &[(&str, String)],
    context: &Context<'_>,
) -> Option<Objection> {
    match evaluate(&validation.expression, failed, context) {
        Ok(CelValue::Bool(true)) => None,
        Ok(_) => Some(Objection {
            message: message(validation, context),
            reason: validation.reason.clone(),
        }),
        Err(why) => fail.then(|| in_expression(&validation.expression, &why).into()),
    }
}

/// The text of a refusal: of `messageExpression` when it gives one line, else `message`, else the expression.
fn message(validation: &Validation, context: &Context<'_>) -> String {
    let expression = validation.message_expression.as_ref();
    let line = expression.and_then(|expression| expression.line(context));
    line.unwrap_or_else(|| match validation.message.trim() {
        "" => format!("failed expression: {}", validation.expression.text.trim()),
        text => text.to_owned(),
    })
}
