//! What goes back over the wire.

use bytes::Bytes;
use futures::channel::mpsc::UnboundedReceiver;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use wavetank_json::{Value, json};
use wavetank_model::Status;

use crate::pretty;
use crate::protobuf;
use crate::registry::Resource;
use crate::store::write_object;

/// Names a request in the logs of a server, and in its answer.
pub(crate) const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Body of a response.
#[derive(Debug)]
pub enum ResponseBody {
    /// The whole body.
    Full(Bytes),
    /// A watch: one JSON line, or one frame of protobuf, per item; it ends when the server closes it. Dropping the receiver unsubscribes.
    Watch(UnboundedReceiver<Bytes>),
}

/// A JSON body as it goes out: one line.
pub(crate) fn json_line(body: &Value) -> Bytes {
    let mut out = Vec::with_capacity(256);
    write_object(&mut out, body);
    out.push(b'\n');
    out.into()
}

/// An answer before it becomes a response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: ResponseBody,
    pub(crate) headers: Vec<(HeaderName, String)>,
}

pub(crate) const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    /// A JSON body that is serialised already.
    pub(crate) fn bytes(code: u16, body: Bytes) -> Self {
        Self {
            code,
            content_type: JSON,
            body: ResponseBody::Full(body),
            headers: Vec::new(),
        }
    }

    /// A JSON body.
    pub(crate) fn json(code: u16, body: &Value) -> Self {
        Self::bytes(code, json_line(body))
    }

    /// A text body.
    pub(crate) fn text(code: u16, body: impl Into<Bytes>) -> Self {
        Self {
            code,
            content_type: TEXT,
            body: ResponseBody::Full(body.into()),
            headers: Vec::new(),
        }
    }

    /// An answer without a body.
    pub(crate) fn empty(code: u16) -> Self {
        Self {
            code,
            content_type: "",
            body: ResponseBody::Full(Bytes::new()),
            headers: Vec::new(),
        }
    }

    /// A text body that is a text, whatever it looks like.
    pub(crate) fn plain_text(code: u16, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::text(code, body);
        answer.headers.push((
            HeaderName::from_static("x-content-type-options"),
            "nosniff".to_owned(),
        ));
        answer
    }

    /// The text 404 of API-055 (c).
    pub(crate) fn page_not_found() -> Self {
        Self::plain_text(404, "404 page not found\n")
    }

    /// The text 500 for a path that says too little.
    pub(crate) fn not_understood(path: &str) -> Self {
        let text = format!(
            "Internal Server Error: {path:?}: failed to create RequestInfo: unable to determine kind and namespace from url, {path}\n"
        );
        Self::plain_text(500, text)
    }

    /// A failure.
    pub(crate) fn failure(status: &Status) -> Self {
        let mut answer = Self::json(status.code, &status.to_json());
        if let Some(seconds) = status
            .details
            .as_ref()
            .map(|details| details.retry_after_seconds)
            .filter(|n| *n > 0)
        {
            answer.headers.push((RETRY_AFTER, seconds.to_string()));
        }
        answer
    }

    /// `Warning` headers (API-183).
    pub(crate) fn warn(&mut self, warnings: &[String]) {
        let total: usize = warnings.iter().map(String::len).sum();
        for (index, warning) in warnings.iter().enumerate() {
            if warnings[..index].contains(warning) {
                continue;
            }
            let shown: String = warning
                .chars()
                .filter(|c| !c.is_control())
                .take(if total > 4096 { 256 } else { usize::MAX })
                .collect();
            let quoted = shown.replace('\\', "\\\\").replace('"', "\\\"");
            self.headers.push((WARNING, format!("299 - \"{quoted}\"")));
        }
    }

    /// The same answer as protobuf (API-062), where its object has that form; watches write theirs themselves.
    pub(crate) fn into_protobuf(mut self) -> Self {
        if let ResponseBody::Full(body) = &self.body
            && self.content_type == JSON
            && let Ok(object) = serde_json::from_slice(body)
            && let Some(encoded) = protobuf::encode(&object)
        {
            self.content_type = protobuf::MEDIA_TYPE;
            self.body = ResponseBody::Full(encoded.into());
        }
        self
    }

    /// The same answer with JSON that is easy to read; watches stay one line an event.
    pub(crate) fn indented(mut self) -> Self {
        if let ResponseBody::Full(body) = &self.body
            && self.content_type == JSON
        {
            self.body = ResponseBody::Full(pretty::indented(body).into());
        }
        self
    }

    /// The response, with the headers that all have (API-003); `audit_id` names the request.
    pub(crate) fn into_response(self, audit_id: HeaderValue) -> Response<ResponseBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(AUDIT_ID, audit_id);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if !self.content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            let Ok(value) = HeaderValue::try_from(value) else {
                continue;
            };
            if name == CACHE_CONTROL {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        response
    }
}

/// The Success Status of a delete (API-072, 114).
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": resource.plural, "uid": uid});
    if !resource.group.is_empty() {
        details["group"] = Value::from(resource.group.clone());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// The Success Status of evictions and bindings.
pub(crate) fn created() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
