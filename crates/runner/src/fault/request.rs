//! Bent requests.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use wavetank_cluster::ApiBody;
use wavetank_model::{Actor, RequestRecord, Status};
use wavetank_scenario::{Fault, FaultEffect};

use super::Faults;

/// What becomes of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bent {
    /// It reaches the server that much later.
    pub(crate) delay: Duration,
    /// What becomes of it then; `None`: the server answers.
    pub(crate) end: Option<BentEnd>,
}

/// How a request ends that the server does not answer, or whose answer does not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BentEnd {
    /// It is answered in the server's stead.
    Reply(Status),
    /// It never arrives.
    LoseRequest,
    /// It takes effect, the answer is lost.
    LoseResponse,
}

impl Bent {
    /// Adds an effect; whether it ends the request.
    pub(super) fn take(&mut self, effect: &FaultEffect) -> bool {
        let end = match effect {
            FaultEffect::Delay(time) => {
                self.delay += *time;
                return false;
            }
            FaultEffect::Reply {
                code,
                reason,
                message,
            } => BentEnd::Reply(status(*code, reason, message)),
            FaultEffect::LoseRequest => BentEnd::LoseRequest,
            FaultEffect::LoseResponse => BentEnd::LoseResponse,
            _ => return false,
        };
        self.end = Some(end);
        true
    }
}

impl Faults {
    /// Waits as long as a request is held up.
    pub(crate) async fn wait(self: &Arc<Self>, bent: &Bent) {
        if !bent.delay.is_zero() {
            let held_up = self.hold_up();
            self.clock.sleep(bent.delay).await;
            drop(held_up);
        }
    }
}

/// Whether `fault` is about this request.
pub(super) fn matches(fault: &Fault, record: &RequestRecord, home: &str) -> bool {
    let by = match fault.by.as_str() {
        "user" => Actor::USER,
        _ => Actor::ENGINE,
    };
    record.actor.as_str() == by
        && verb_matches(&fault.verb, &record.verb)
        && fault.dry_run.is_none_or(|dry| dry == record.dry_run)
        && match (&fault.target, &record.key) {
            (None, _) => true,
            (Some(target), Some(key)) => target.matches(key, home),
            (Some(_), None) => false,
        }
}

fn verb_matches(written: &str, verb: &str) -> bool {
    match written {
        "any" => verb != "watch",
        "write" => matches!(
            verb,
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ),
        "delete" => matches!(verb, "delete" | "deletecollection"),
        // Deliveries and view are no requests.
        "watch" | "view" => false,
        written => written == verb,
    }
}

fn status(code: u16, reason: &str, message: &str) -> Status {
    let reason = if reason.is_empty() {
        reason_of(code)
    } else {
        reason
    };
    let message = if message.is_empty() {
        let status = StatusCode::from_u16(code).ok();
        status
            .and_then(|status| status.canonical_reason())
            .unwrap_or("fault")
            .to_lowercase()
    } else {
        message.to_owned()
    };
    Status::new(code, reason, message)
}

/// The reason that API servers give with a code.
fn reason_of(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}

/// The answer that carries `status`.
pub(crate) fn reply(status: &Status) -> Response<ApiBody> {
    let body = Full::from(status.to_json().to_string());
    let mut response = Response::new(ApiBody::new(body.map_err(|never| match never {})));
    *response.status_mut() =
        StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use wavetank_model::ObjectKey;

    use super::*;

    fn fault(verb: &str, target: Option<&str>) -> Fault {
        Fault {
            name: None,
            verb: verb.to_owned(),
            target: target.map(|target| target.parse().unwrap()),
            by: "engine".to_owned(),
            dry_run: None,
            after: 0,
            times: Some(1),
            optional: false,
            effect: FaultEffect::LoseRequest,
        }
    }

    fn record(actor: &str, verb: &str, key: Option<ObjectKey>) -> RequestRecord {
        RequestRecord {
            actor: Actor::new(actor),
            verb: verb.to_owned(),
            key,
            subresource: String::new(),
            dry_run: false,
            manager: String::new(),
            patch: String::new(),
            code: 0,
            reason: String::new(),
        }
    }

    #[test]
    fn verb_object_and_actor_decide() {
        let job = || Some(ObjectKey::new("batch", "Job", "shop", "smoke"));
        let hit = |fault: &Fault, record: &RequestRecord| matches(fault, record, "shop");
        let create = record("engine", "create", job());
        assert!(hit(&fault("create", Some("Job/smoke")), &create));
        assert!(hit(&fault("write", Some("Job/*")), &create));
        assert!(hit(&fault("any", Some("Job/*/*")), &create));
        assert!(!hit(&fault("get", Some("Job/smoke")), &create));
        assert!(!hit(&fault("create", Some("Job/other")), &create));
        let by_user = record("user", "create", job());
        assert!(!hit(&fault("create", Some("Job/smoke")), &by_user));
        let list = record(
            "engine",
            "list",
            Some(ObjectKey::new("batch", "Job", "", "")),
        );
        assert!(hit(&fault("list", Some("Job/*/*")), &list));
        assert!(!hit(&fault("list", Some("Job/smoke")), &list));
        assert!(hit(
            &fault("discover", None),
            &record("engine", "discover", None)
        ));
    }

    #[test]
    fn dry_and_wet_requests_can_be_told_apart() {
        let key = Some(ObjectKey::new("batch", "Job", "shop", "smoke"));
        let mut dry = record("engine", "create", key);
        dry.dry_run = true;
        let mut wet_only = fault("create", Some("Job/smoke"));
        wet_only.dry_run = Some(false);
        assert!(!matches(&wet_only, &dry, "shop"));
        wet_only.dry_run = Some(true);
        assert!(matches(&wet_only, &dry, "shop"));
    }

    #[test]
    fn a_reply_has_the_usual_reason_of_its_code() {
        assert_eq!(status(409, "", "").reason, "Conflict");
        assert_eq!(status(500, "Boom", "x"), Status::new(500, "Boom", "x"));
        assert_eq!(status(503, "", "").message, "service unavailable");
    }
}
