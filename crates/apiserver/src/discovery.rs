//! Paths that name no resource: discovery, version, health (API-021 to 047).

use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::failure;
use crate::server::Server;

impl Server {
    /// Answers a path that names no resource.
    pub(crate) fn answer_other(&self, method: &Method, path: &str, _accept: &str) -> Answer {
        if method != Method::GET {
            return Answer::failure(&failure::method_not_allowed());
        }
        match path {
            "/version" | "/version/" => Answer::json(200, &self.version()),
            "/healthz" | "/livez" | "/readyz" | "/healthz/ping" | "/livez/ping"
            | "/readyz/ping" => Answer::text(200, "ok"),
            _ => Answer::page_not_found(),
        }
    }

    fn version(&self) -> Value {
        let version = self.config.version.as_str();
        let mut parts = version.split('.');
        let (major, minor) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        json!({
            "major": major, "minor": minor, "gitVersion": format!("v{version}"), "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
        })
    }
}
