//! Kinds that are answered and not stored (API-103, 231, 301, 302).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wavetank_model::Status;
use wavetank_model::object::At;

use crate::access::{Attributes, Subject};
use crate::create::Call;
use crate::failure::{self, Problem};
use crate::server::Server;

impl Server {
    /// A token for a `ServiceAccount`.
    pub(crate) fn token(&self, call: &Call, request: &Value) -> Result<Value, Status> {
        let key = call.storage_key(&call.name);
        let stored = self.store.get(call.resource.table, &key);
        let stored = stored.ok_or_else(|| failure::not_found(&call.resource, &call.name))?;
        let seconds = request
            .at(&["spec", "expirationSeconds"])
            .and_then(Value::as_i64)
            .unwrap_or(3600);
        if seconds < 600 {
            let problem = Problem::invalid(
                "spec.expirationSeconds",
                &seconds.to_string(),
                "may not specify a duration less than 10 minutes",
            );
            return Err(failure::invalid(
                "TokenRequest.authentication.k8s.io",
                "",
                vec![problem],
            ));
        }
        let now = self.config.epoch.wall(call.now).as_second();
        let end = now.saturating_add(seconds);
        let subject = format!("system:serviceaccount:{}:{}", call.namespace, call.name);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "iss": "https://kubernetes.default.svc", "sub": subject, "iat": now, "exp": end,
            "kubernetes.io": {"namespace": call.namespace, "serviceaccount": {"name": call.name, "uid": &*stored.uid}},
        });
        let token = format!(
            "{}.{}.unsigned",
            part(&json!({"alg": "none", "typ": "JWT"})),
            part(&claims)
        );
        let expires = jiff::Timestamp::from_second(end)
            .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let mut spec = request
            .get("spec")
            .filter(|spec| spec.is_object())
            .cloned()
            .unwrap_or_else(|| json!({}));
        spec["expirationSeconds"] = json!(seconds);
        let mut out = json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec,
            "metadata": {"name": call.name, "namespace": call.namespace, "creationTimestamp": self.timestamp(call.now)},
        });
        out["status"] = json!({"token": token, "expirationTimestamp": expires.unwrap_or_default()});
        Ok(out)
    }

    /// Fills in the status of a review that `subject` asks for; `None` when the kind is none.
    pub(crate) fn review(
        &self,
        call: &Call,
        object: &Value,
        subject: &Subject,
    ) -> Option<Result<Value, Status>> {
        let spec = &object["spec"];
        let user = json!({"username": subject.user, "groups": subject.groups});
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
            ("authentication.k8s.io", "SelfSubjectReview") => json!({"userInfo": user}),
            ("authentication.k8s.io", "TokenReview") => {
                json!({"authenticated": true, "user": user})
            }
            _ => return None,
        };
        let mut out = object.clone();
        out["status"] = status;
        Some(Ok(out))
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
