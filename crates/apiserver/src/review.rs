//! Kinds that are answered and not stored (API-103, 231, 301, 302).

use wavetank_json::{Value, json};
use wavetank_model::Status;

use crate::access::{Attributes, Subject};
use crate::create::Call;
use crate::failure::{self, Problem};
use crate::server::Server;
use crate::token;

impl Server {
    /// Fills in the status of a review that `subject` asks for; `None` when the kind is none.
    pub(crate) fn review(
        &self,
        call: &Call,
        object: &Value,
        subject: &Subject,
    ) -> Option<Result<Value, Status>> {
        let spec = &object["spec"];
        let status = match (call.resource.group.as_str(), call.resource.kind()) {
            ("authorization.k8s.io", "SelfSubjectRulesReview") => {
                match spec["namespace"].as_str().filter(|text| !text.is_empty()) {
                    None => return Some(Err(failure::bad_request("no namespace on request"))),
                    Some(namespace) => self.rules_review(subject, namespace),
                }
            }
            ("authorization.k8s.io", kind) => {
                if let Err(status) = check_attributes(call, spec) {
                    return Some(Err(status));
                }
                let other = (kind != "SelfSubjectAccessReview").then(|| {
                    let groups = spec["groups"].as_array().into_iter().flatten();
                    let groups = groups.filter_map(Value::as_str).map(str::to_owned);
                    Subject {
                        user: spec["user"].as_str().unwrap_or_default().to_owned(),
                        groups: groups.collect(),
                    }
                });
                json!({"allowed": self.allowed_by(other.as_ref().unwrap_or(subject), spec)})
            }
            ("authentication.k8s.io", "SelfSubjectReview") => json!({"userInfo": info(subject)}),
            ("authentication.k8s.io", "TokenReview") => {
                let token = spec["token"].as_str().unwrap_or_default();
                if let Some(account) = self.whose(token, call) {
                    json!({"authenticated": true, "user": info(&account), "audiences": [token::ISSUER]})
                } else {
                    json!({"user": {}, "error": "[invalid bearer token]"})
                }
            }
            _ => return None,
        };
        let mut out = object.clone();
        out["status"] = status;
        Some(Ok(out))
    }

    /// Whose token it is: that of an account, or one that stands for an actor.
    fn whose(&self, token: &str, call: &Call) -> Option<Subject> {
        let mut known = self.config.tokens.iter();
        match known.find(|(known, _)| known == token) {
            Some((_, actor)) => Some(Subject::of(actor)),
            None => self.account_of(token, call.now),
        }
    }

    fn allowed_by(&self, subject: &Subject, spec: &Value) -> bool {
        let asked = &spec["resourceAttributes"];
        // Paths that name no resource are open.
        if !asked.is_object() {
            return true;
        }
        let text = |field: &str| asked.get(field).and_then(Value::as_str).unwrap_or_default();
        let attributes = Attributes {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
        };
        self.allows(subject, attributes)
    }

    fn rules_review(&self, subject: &Subject, namespace: &str) -> Value {
        let everything = Attributes {
            verb: "*",
            group: "*",
            resource: "*",
            ..Attributes::default()
        };
        let rules = if self.allows(subject, everything) {
            vec![json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})]
        } else {
            let mut rules = self.rules(subject, namespace);
            rules.retain(|rule| rule["resources"].is_array());
            rules
        };
        json!({
            "resourceRules": rules,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        })
    }
}

fn info(subject: &Subject) -> Value {
    json!({"username": subject.user, "groups": subject.groups})
}

/// A review of access asks for a resource or for a path.
fn check_attributes(call: &Call, spec: &Value) -> Result<(), Status> {
    let asked = ["resourceAttributes", "nonResourceAttributes"]
        .map(|field| spec.get(field).is_some_and(Value::is_object));
    if asked[0] != asked[1] {
        return Ok(());
    }
    let (field, detail) = if asked[0] {
        (
            "spec.nonResourceAttributes",
            "cannot be specified in combination with resourceAttributes",
        )
    } else {
        (
            "spec.resourceAttributes",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )
    };
    let problem = Problem::invalid(field, "null", detail);
    let kind = call.resource.group_kind.to_string();
    Err(failure::invalid(&kind, "", vec![problem]))
}
