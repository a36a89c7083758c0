//! Kinds that are answered and not stored (API-103, 231, 301, 302): everybody may do everything here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wavetank_model::Status;
use wavetank_model::object::At;

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
}

/// Fills in the status of a review; `None` when the kind is none.
pub(crate) fn review(call: &Call, object: &Value) -> Option<Result<Value, Status>> {
    let spec = &object["spec"];
    let user = json!({"username": call.actor.user_name(), "groups": ["system:masters", "system:authenticated"]});
    let status = match (call.resource.group.as_str(), call.resource.kind()) {
        ("authorization.k8s.io", "SelfSubjectRulesReview") => {
            if spec
                .get("namespace")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
            {
                return Some(Err(failure::bad_request("no namespace on request")));
            }
            json!({
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                "incomplete": false,
            })
        }
        ("authorization.k8s.io", _) => {
            let asked = ["resourceAttributes", "nonResourceAttributes"]
                .map(|field| spec.get(field).is_some_and(Value::is_object));
            if asked[0] == asked[1] {
                let detail = if asked[0] {
                    "cannot be specified in combination with resourceAttributes"
                } else {
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified"
                };
                let field = if asked[0] {
                    "spec.nonResourceAttributes"
                } else {
                    "spec.resourceAttributes"
                };
                let problem = Problem::invalid(field, "null", detail);
                return Some(Err(failure::invalid(
                    &call.resource.group_kind.to_string(),
                    "",
                    vec![problem],
                )));
            }
            json!({"allowed": true})
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
