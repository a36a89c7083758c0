//! `OpenAPI`, as much of it as clients need (API-033 to 043): the PATCH operation of each kind, and its schema.

mod schemas;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, EXPIRES, LOCATION};
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use wavetank_json::{Map, Value, json};
use wavetank_kernel::SimTime;

use crate::answer::{Answer, JSON};
use crate::discovery::{hash, vary};
use crate::registry::Resource;
use crate::request::Query;
use crate::server::Server;
use schemas::{Format, Schemas};

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
                return Answer::json(200, &self.swagger());
            }
        }
        let mut answer = Answer::empty(406);
        answer.headers.push(vary());
        answer
    }

    /// The old document in JSON: the types of every kind, no operations.
    fn swagger(&self) -> Value {
        let mut schemas = Schemas::new(Format::V2);
        for resource in self.registry.iter() {
            for version in &resource.versions {
                schemas.add(resource, &version.name);
            }
        }
        let info = json!({"title": "Kubernetes", "version": format!("v{}", self.config.version)});
        json!({"swagger": "2.0", "info": info, "paths": {}, "definitions": schemas.found})
    }

    /// `/openapi/v3`: the documents with their hashes.
    pub(crate) fn openapi_index(&self) -> Value {
        let mut paths = Map::new();
        for (group, version) in self.registry.group_versions() {
            let key = document_key(&group, &version);
            let url = format!(
                "/openapi/v3/{key}?hash={}",
                self.fingerprint(&group, &version)
            );
            paths.insert(key, json!({"serverRelativeURL": url}));
        }
        json!({"paths": paths})
    }

    /// `/openapi/v3/{key}`.
    pub(crate) fn openapi_document(&self, key: &str, query: &str, now: SimTime) -> Answer {
        let found = match key.strip_prefix("apis/") {
            Some(rest) => rest.split_once('/'),
            None => key.strip_prefix("api/").map(|version| ("", version)),
        };
        let Some((group, version)) =
            found.filter(|(group, version)| self.registry.has_group_version(group, version))
        else {
            return Answer::empty(404);
        };
        let current = self.fingerprint(group, version);
        let query = Query::parse(query);
        let asked = query.text("hash");
        if !asked.is_empty() && asked != current {
            let mut answer = Answer::empty(301);
            let there = format!("/openapi/v3/{key}?hash={current}");
            answer.headers = vec![(LOCATION, there), (ETAG, format!("\"{current}\"")), vary()];
            return answer;
        }
        let text = self.document(key, group, version).to_string();
        let mut answer = Answer::bytes(200, text.into());
        answer.content_type = JSON;
        answer.headers = vec![(ETAG, format!("\"{current}\"")), vary()];
        if !asked.is_empty() {
            let headers = &mut answer.headers;
            headers.push((CACHE_CONTROL, "public, immutable".to_owned()));
            headers.push((EXPIRES, self.in_a_year(now)));
        }
        answer
    }

    /// The time in a year, as a header says it.
    fn in_a_year(&self, now: SimTime) -> String {
        let now = self.config.epoch.wall(now).to_zoned(TimeZone::UTC);
        let then = now.saturating_add(1.year());
        then.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
    }

    /// The hash of a document, of what can change in it while the server runs.
    fn fingerprint(&self, group: &str, version: &str) -> String {
        let mut text = format!("{} {group}/{version}", self.config.version);
        for resource in self.resources(group, version) {
            text.push_str(&resource.plural);
            if let Some(schema) = schemas::changeable(resource, version) {
                text.push_str(&schema.to_string());
            }
        }
        hash(text.as_bytes())
    }

    fn resources(&self, group: &str, version: &str) -> impl Iterator<Item = &Resource> {
        self.registry
            .iter()
            .map(AsRef::as_ref)
            .filter(move |resource: &&Resource| {
                resource.group == group && resource.version(version).is_some()
            })
    }

    fn document(&self, key: &str, group: &str, version: &str) -> Value {
        let mut operations = Map::new();
        let mut schemas = Schemas::new(Format::V3);
        for resource in self.resources(group, version) {
            schemas.add(resource, version);
            let scope = if resource.namespaced {
                "namespaces/{namespace}/"
            } else {
                ""
            };
            let path = format!("/{key}/{scope}{}", resource.plural);
            if resource.has_verb('p') {
                let operation = patch_operation(resource, version);
                operations.insert(format!("{path}/{{name}}"), json!({"patch": operation}));
            } else {
                // A kind without objects, as a review: what `kubectl explain` finds it by.
                let kind = json!({"group": group, "version": version, "kind": resource.kind()});
                let operation = json!({"x-kubernetes-group-version-kind": kind, "x-kubernetes-action": "post", "responses": {"201": {"description": "Created"}}});
                operations.insert(path, json!({"post": operation}));
            }
        }
        let info = json!({"title": "Kubernetes", "version": format!("v{}", self.config.version)});
        json!({"openapi": "3.0.0", "info": info, "paths": operations, "components": {"schemas": schemas.found}})
    }
}

/// What kubectl looks for before it leaves validation to the server (API-035, 036).
fn patch_operation(resource: &Resource, version: &str) -> Value {
    let options = [
        ("dryRun", "string"),
        ("fieldManager", "string"),
        ("fieldValidation", "string"),
        ("force", "boolean"),
    ];
    let options: Vec<Value> = options
        .into_iter()
        .map(|(name, kind)| json!({"name": name, "in": "query", "schema": {"type": kind}}))
        .collect();
    json!({
        "x-kubernetes-group-version-kind": {"group": resource.group, "version": version, "kind": resource.kind()},
        "x-kubernetes-action": "patch", "parameters": options, "responses": {"200": {"description": "OK"}},
    })
}

fn document_key(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}
