//! The `Status` object: how an API server says that something went wrong.

use serde::{Deserialize, Serialize};
use wavetank_json::{Map, Value, json};

/// A failure Status (`metav1.Status`), as the API server sends it (API-070).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, as `NotFound`; may be empty.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<StatusDetails>>,
}

/// A Status as it mostly comes; whatever else there may be is read field by field.
#[derive(Deserialize)]
struct Wire {
    kind: String,
    status: String,
    code: Option<u16>,
    reason: Option<String>,
    message: Option<String>,
    details: Option<Box<StatusDetails>>,
}

/// `details` of a Status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusDetails {
    /// Name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Group of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural resource name; the Kind for Invalid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Uid of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The single causes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<StatusCause>,
    /// Seconds to wait before a retry; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

/// One cause in the details of a Status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusCause {
    /// Machine-readable reason, as `FieldValueInvalid`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Path of the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl StatusDetails {
    /// As it goes over the wire, without what is empty.
    fn to_json(&self) -> Value {
        let texts = [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ];
        let mut out: Map = texts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), Value::from(text.as_str())))
            .collect();
        if !self.causes.is_empty() {
            let causes = wavetank_json::to_value(&self.causes);
            out.insert("causes".to_owned(), causes.unwrap_or_default());
        }
        if self.retry_after_seconds > 0 {
            let seconds = Value::from(self.retry_after_seconds);
            out.insert("retryAfterSeconds".to_owned(), seconds);
        }
        Value::Object(out)
    }
}

impl Status {
    /// A Status without details.
    pub fn new(code: u16, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            details: None,
        }
    }

    /// With `details`.
    #[must_use]
    pub fn with_details(mut self, details: StatusDetails) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The object as it goes over the wire.
    pub fn to_json(&self) -> Value {
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            out["reason"] = Value::from(self.reason.clone());
        }
        if let Some(details) = &self.details {
            out["details"] = details.to_json();
        }
        out
    }

    /// Reads a failure Status from the text of a response body; `None` when it is none.
    pub fn read(body: &[u8]) -> Option<Self> {
        let Ok(wire) = wavetank_json::from_slice::<Wire>(body) else {
            return Self::from_json(&serde_json::from_slice(body).ok()?);
        };
        (wire.kind == "Status" && wire.status == "Failure").then_some(Self {
            code: wire.code.unwrap_or(500),
            reason: wire.reason.unwrap_or_default(),
            message: wire.message.unwrap_or_default(),
            details: wire.details,
        })
    }

    /// Reads a failure Status from a response body; `None` when it is none.
    pub fn from_json(body: &Value) -> Option<Self> {
        if body.get("kind")?.as_str()? != "Status" || body.get("status")?.as_str()? != "Failure" {
            return None;
        }
        Some(Self {
            code: body
                .get("code")
                .and_then(Value::as_u64)
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(500),
            reason: body
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            message: body
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            details: body
                .get("details")
                .and_then(|details| wavetank_json::from_value(details.clone()).ok()),
        })
    }

    /// Whether the object was not there.
    pub fn is_not_found(&self) -> bool {
        self.code == 404 && self.reason == "NotFound"
    }

    /// Whether a precondition or resourceVersion did not match.
    pub fn is_conflict(&self) -> bool {
        self.code == 409 && self.reason == "Conflict"
    }

    /// Whether the object was there already.
    pub fn is_already_exists(&self) -> bool {
        self.code == 409 && self.reason == "AlreadyExists"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(body: &[u8]) -> Option<Status> {
        let value = serde_json::from_slice::<Value>(body).ok();
        let slow = value.as_ref().and_then(Status::from_json);
        assert_eq!(
            Status::read(body),
            slow,
            "{}",
            String::from_utf8_lossy(body)
        );
        slow
    }

    #[test]
    fn details_are_written_as_serde_does_and_read_back() {
        let cause = StatusCause {
            field: "spec".to_owned(),
            ..StatusCause::default()
        };
        let full = StatusDetails {
            name: "web".to_owned(),
            group: "apps".to_owned(),
            kind: "deployments".to_owned(),
            uid: "u".to_owned(),
            causes: vec![cause],
            retry_after_seconds: 2,
        };
        let of_name = StatusDetails {
            name: "web".to_owned(),
            ..StatusDetails::default()
        };
        for details in [StatusDetails::default(), of_name, full] {
            let serde = wavetank_json::to_value(&details).unwrap();
            assert_eq!(details.to_json(), serde);
            let status = Status::new(404, "NotFound", "no \"web\"").with_details(details);
            let body = wavetank_json::to_vec(&status.to_json());
            assert_eq!(both(&body), Some(status));
        }
    }

    #[test]
    fn a_status_is_read_whatever_is_odd_about_it() {
        for body in [
            r#"{"kind": "Status", "status": "Failure"}"#,
            r#"{"kind": "Status", "status": "Failure", "code": 1e9, "details": []}"#,
            r#"{"kind": "Status", "status": "Failure", "code": -1, "reason": 1, "message": null}"#,
            r#"{"kind": "Status", "status": "Failure", "details": {"name": 1}, "metadata": {}}"#,
            r#"{"kind": "Status", "status": "Failure", "code": 404, "code": 410}"#,
        ] {
            assert!(both(body.as_bytes()).is_some());
        }
        for body in [
            r#"{"kind": "Status", "status": "Success"}"#,
            r#"{"kind": "Pod", "status": {}}"#,
            r#"{"status": "Failure"}"#,
            "[]",
            "no JSON",
        ] {
            assert_eq!(both(body.as_bytes()), None);
        }
    }
}
