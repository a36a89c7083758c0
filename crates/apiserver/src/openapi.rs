//! `OpenAPI`, as little of it as clients need (API-033 to 043): the PATCH operation of each kind, no schemas.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, LOCATION};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, JSON};
use crate::discovery::{hash, vary};
use crate::failure;
use crate::request::Query;
use crate::server::Server;

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// A document that says nothing but its version: field 1 = `2.0`.
const EMPTY_V2: &[u8] = &[0x0a, 0x03, b'2', b'.', b'0'];

impl Server {
    /// `/openapi/v2`.
    pub(crate) fn openapi_v2(&self, accept: &str) -> Answer {
        for clause in accept.split(',').map(str::trim) {
            if clause.starts_with("application/com.github.proto-openapi.spec.v2@v1.0+protobuf") {
                let mut answer = Answer::bytes(200, Bytes::from_static(EMPTY_V2));
                answer.content_type = PROTOBUF;
                answer.headers.push(vary());
                return answer;
            }
            if matches!(
                clause.split(';').next(),
                Some("" | "application/json" | "*/*")
            ) {
                let info =
                    json!({"title": "Kubernetes", "version": format!("v{}", self.config.version)});
                return Answer::json(200, &json!({"swagger": "2.0", "info": info, "paths": {}}));
            }
        }
        Answer::bytes(406, Bytes::new())
    }

    /// `/openapi/v3`: the documents with their hashes.
    pub(crate) fn openapi_index(&self) -> Value {
        let mut paths = Map::new();
        for (group, version) in self.registry.group_versions() {
            let key = document_key(&group, &version);
            if let Some(document) = self.document(&key) {
                let url = format!(
                    "/openapi/v3/{key}?hash={}",
                    hash(document.to_string().as_bytes())
                );
                paths.insert(key, json!({"serverRelativeURL": url}));
            }
        }
        json!({"paths": paths})
    }

    /// `/openapi/v3/{key}`.
    pub(crate) fn openapi_document(&self, key: &str, query: &str) -> Answer {
        let Some(document) = self.document(key) else {
            return Answer::failure(&failure::no_route());
        };
        let text = document.to_string();
        let current = hash(text.as_bytes());
        let query = Query::parse(query);
        let asked = query.text("hash");
        if !asked.is_empty() && asked != current {
            let mut answer = Answer::bytes(301, Bytes::new());
            answer
                .headers
                .push((LOCATION, format!("/openapi/v3/{key}?hash={current}")));
            return answer;
        }
        let mut answer = Answer::bytes(200, text.into());
        answer.content_type = JSON;
        answer.headers = vec![(ETAG, format!("\"{current}\"")), vary()];
        if !asked.is_empty() {
            answer
                .headers
                .push((CACHE_CONTROL, "public, immutable".to_owned()));
        }
        answer
    }

    fn document(&self, key: &str) -> Option<Value> {
        let (group, version) = match key.strip_prefix("apis/") {
            Some(rest) => rest.split_once('/')?,
            None => ("", key.strip_prefix("api/")?),
        };
        let mut operations = Map::new();
        for resource in self
            .registry
            .iter()
            .filter(|resource| resource.group == group && resource.version(version).is_some())
        {
            if !resource.has_verb('p') {
                continue;
            }
            let scope = if resource.namespaced {
                "namespaces/{namespace}/"
            } else {
                ""
            };
            let path = format!("/{key}/{scope}{}/{{name}}", resource.plural);
            let options: Vec<Value> = [
                ("dryRun", "string"),
                ("fieldManager", "string"),
                ("fieldValidation", "string"),
                ("force", "boolean"),
            ]
            .into_iter()
            .map(|(name, kind)| json!({"name": name, "in": "query", "schema": {"type": kind}}))
            .collect();
            let operation = json!({
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": resource.kind()},
                "x-kubernetes-action": "patch", "parameters": options, "responses": {"200": {"description": "OK"}},
            });
            operations.insert(path, json!({"patch": operation}));
        }
        if !self.registry.has_group_version(group, version) {
            return None;
        }
        let info = json!({"title": "Kubernetes", "version": format!("v{}", self.config.version)});
        Some(
            json!({"openapi": "3.0.0", "info": info, "paths": operations, "components": {"schemas": {}}}),
        )
    }
}

fn document_key(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}
