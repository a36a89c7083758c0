//! Tokens of `ServiceAccounts`: given out, and taken from who comes in with one (API-231).
//!
//! They are signed with the key of the configuration. One is good until it expires, or its account goes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::{self, At};
use wavetank_model::{Actor, ObjectKey, Status};

use crate::access::{ACCOUNT, Subject};
use crate::asked::header;
use crate::create::Call;
use crate::failure::{self, Problem};
use crate::server::Server;

/// Who signs tokens, and for whom they are meant unless a request says otherwise.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
const PREFIX: &str = "system:";

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
        let audiences = request
            .at(&["spec", "audiences"])
            .filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
            .cloned()
            .unwrap_or_else(|| json!([ISSUER]));
        let subject = format!("{ACCOUNT}{}:{}", call.namespace, call.name);
        let token = self.signed(&json!({
            "aud": audiences, "iss": ISSUER, "sub": subject, "iat": now, "nbf": now, "exp": end,
            "kubernetes.io": {"namespace": call.namespace, "serviceaccount": {"name": call.name, "uid": &*stored.uid}},
        }));
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

    /// The `ServiceAccount` whose token the request brings; `None` where it brings none, for then the caller knows who
    /// asks.
    ///
    /// # Errors
    /// 401 for a token that is none of ours, or good no longer.
    pub(crate) fn authenticate(
        &self,
        request: &Request<Bytes>,
        now: SimTime,
    ) -> Result<Option<Subject>, Status> {
        if !request.headers().contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let value = header(request, &AUTHORIZATION);
        let token = value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        token
            .and_then(|(_, token)| self.account_of(token.trim(), now))
            .map(Some)
            .ok_or_else(|| Status::new(401, "Unauthorized", "Unauthorized"))
    }

    /// The account of a token that is good for this server.
    pub(crate) fn account_of(&self, token: &str, now: SimTime) -> Option<Subject> {
        let (content, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !is_same(&signature, &self.signature(content)) {
            return None;
        }
        let (_, claims) = content.split_once('.')?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let about = claims.get("kubernetes.io")?;
        let account = self.get(&ObjectKey::new(
            "",
            "ServiceAccount",
            about["namespace"].as_str()?,
            about.at(&["serviceaccount", "name"])?.as_str()?,
        ))?;
        let expired = claims["exp"].as_i64()? <= self.config.epoch.wall(now).as_second();
        let is_for_us = claims["aud"].as_array()?.iter().any(|one| one == ISSUER);
        let is_same_account = about
            .at(&["serviceaccount", "uid"])
            .is_some_and(|uid| uid == object::uid(&account));
        (is_for_us && is_same_account && !expired)
            .then(|| claims["sub"].as_str())
            .flatten()
            .map(|user| Subject::named(user.to_owned(), Vec::new()))
    }

    fn signed(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let content = format!(
            "{}.{}",
            part(&json!({"alg": "HS256", "typ": "JWT"})),
            part(claims)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.signature(&content));
        format!("{content}.{signature}")
    }

    /// HMAC with SHA-256 (RFC 2104).
    fn signature(&self, content: &str) -> [u8; 32] {
        const BLOCK: usize = 64;
        let mut key = [0_u8; BLOCK];
        let secret = Sha256::digest(self.config.token_key.as_bytes());
        key[..secret.len()].copy_from_slice(&secret);
        let inner = Sha256::new()
            .chain_update(key.map(|byte| byte ^ 0x36))
            .chain_update(content.as_bytes())
            .finalize();
        Sha256::new()
            .chain_update(key.map(|byte| byte ^ 0x5c))
            .chain_update(inner)
            .finalize()
            .into()
    }
}

/// The actor as whom a `ServiceAccount` is written down.
pub(crate) fn actor(account: &Subject) -> Actor {
    Actor::new(account.user.strip_prefix(PREFIX).unwrap_or(&account.user))
}

/// Compares in a time that does not tell where they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |sum, (one, other)| sum | (one ^ other))
            == 0
}
