//! Paths that name no resource: discovery, version, health (API-021 to 047).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, ETAG, HOST, IF_NONE_MATCH, VARY};
use http::{HeaderName, Method, Request};
use sha2::{Digest, Sha256};
use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;

use crate::answer::{Answer, ResponseBody, json_line};
use crate::asked::header;
use crate::failure;
use crate::registry::Resource;
use crate::server::Server;
use crate::store::write_object;

const AGGREGATED: [(&str, &str); 2] = [
    (
        "v2",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    ),
    (
        "v2beta1",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    ),
];

/// A group with its versions, the preferred one first.
struct Group<'a> {
    name: &'a str,
    versions: Vec<&'a str>,
    resources: Vec<&'a Arc<Resource>>,
}

impl Server {
    /// Answers a path that names no resource.
    pub(crate) fn answer_other(
        &self,
        request: &Request<Bytes>,
        path: &str,
        now: SimTime,
    ) -> Answer {
        if request.method() != Method::GET {
            return Answer::failure(&failure::method_not_allowed());
        }
        let accept = header(request, &ACCEPT);
        let with_slash = path;
        let path = path.strip_suffix('/').unwrap_or(path);
        // These are paths and no roots of others (API-009).
        if with_slash != path
            && (path.starts_with("/openapi/") || path == "/metrics" || health_check(path).is_some())
        {
            return Answer::page_not_found();
        }
        match path {
            "" => Answer::json(200, &self.root_paths()),
            "/version" => Answer::json(200, &self.version()),
            "/metrics" => Answer::text(200, self.metrics()),
            "/api" | "/apis" => self.groups_answer(request, path == "/api", accept),
            "/openapi/v2" => self.openapi_v2(accept),
            "/openapi/v3" => Answer::json(200, &self.openapi_index()),
            _ => {
                if let Some(key) = path.strip_prefix("/openapi/v3/") {
                    let query = request.uri().query().unwrap_or_default();
                    return self.openapi_document(key, query, now);
                }
                if let Some((check, part)) = health_check(path) {
                    return health(check, part, request.uri().query().unwrap_or_default());
                }
                self.group_version_answer(path)
            }
        }
    }

    /// The resources of a group and version: asked for in every pass of an engine.
    fn group_version_answer(&self, path: &str) -> Answer {
        let make = || {
            let body = self.group_version(path)?;
            Some(json_line(&body))
        };
        if let Some(body) = self.registry.document(path, make) {
            return Answer::bytes(200, body);
        }
        let group = match path.strip_prefix("/apis/") {
            Some(rest) => rest.split_once('/').map(|(group, _)| group),
            None => path.strip_prefix("/api/").map(|_| ""),
        };
        // A version that a group lacks is no route of the group (API-055).
        let known = group.is_some_and(|group| {
            self.registry
                .iter()
                .any(|resource| !resource.is_custom() && resource.group == group)
        });
        if known {
            Answer::failure(&failure::no_route())
        } else {
            Answer::page_not_found()
        }
    }

    fn version(&self) -> Value {
        let version = self.config.version.as_str();
        let mut parts = version.split('.');
        let (major, minor) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let before = minor.parse::<u32>().map_or_else(
            |_| minor.to_owned(),
            |minor| minor.saturating_sub(1).to_string(),
        );
        json!({
            "major": major, "minor": minor, "gitVersion": format!("v{version}"),
            "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
            "emulationMajor": major, "emulationMinor": minor, "minCompatibilityMajor": major, "minCompatibilityMinor": before,
        })
    }

    fn root_paths(&self) -> Value {
        let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
        for group in self.groups().iter().filter(|group| !group.name.is_empty()) {
            paths.push(format!("/apis/{}", group.name));
            paths.extend(
                group
                    .versions
                    .iter()
                    .map(|version| format!("/apis/{}/{version}", group.name)),
            );
        }
        paths.extend(
            [
                "/healthz",
                "/livez",
                "/metrics",
                "/openapi/v2",
                "/openapi/v3",
                "/readyz",
                "/version",
            ]
            .map(str::to_owned),
        );
        json!({"paths": paths})
    }

    /// All groups, built-in ones in their fixed order, then those of CRDs by name (API-026).
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut built_in = 0;
        for resource in self
            .registry
            .iter()
            .filter(|resource| resource.is_discoverable())
        {
            let group =
                if let Some(at) = groups.iter().position(|group| group.name == resource.group) {
                    &mut groups[at]
                } else {
                    groups.push(Group {
                        name: &resource.group,
                        versions: Vec::new(),
                        resources: Vec::new(),
                    });
                    built_in += usize::from(!resource.is_custom());
                    let last = groups.len() - 1;
                    &mut groups[last]
                };
            for version in &resource.versions {
                if !group.versions.contains(&version.name.as_str()) {
                    group.versions.push(&version.name);
                }
            }
            group.resources.push(resource);
        }
        groups[built_in..].sort_unstable_by_key(|group| group.name);
        for group in &mut groups {
            group
                .versions
                .sort_unstable_by_key(|version| version_rank(version));
            group
                .resources
                .sort_unstable_by_key(|resource| resource.plural.as_str());
        }
        groups
    }

    fn groups_answer(&self, request: &Request<Bytes>, core: bool, accept: &str) -> Answer {
        let wanted = accept.split(',').find_map(|clause| {
            let has = |text: &str| clause.split(';').any(|part| part.trim() == text);
            if has("as=APIGroupDiscoveryList") {
                AGGREGATED
                    .iter()
                    .find(|(version, _)| has(&format!("v={version}")))
                    .map(Some)
            } else {
                has("application/json")
                    .then_some(None)
                    .or_else(|| has("*/*").then_some(None))
            }
        });
        let (body, content_type) = match wanted {
            Some(Some((version, content_type))) => (self.aggregated(core, version), *content_type),
            _ if core => (legacy_core(header(request, &HOST)), crate::answer::JSON),
            _ => (self.legacy_groups(), crate::answer::JSON),
        };
        let mut out = Vec::new();
        write_object(&mut out, &body);
        out.push(b'\n');
        let tag = format!("\"{}\"", hash(&out));
        let mut answer = Answer::bytes(200, out.into());
        if header(request, &IF_NONE_MATCH) == tag {
            answer.code = 304;
            answer.body = ResponseBody::Full(Bytes::new());
        }
        answer.content_type = content_type;
        answer.headers = vec![(ETAG, tag), (VARY, "Accept".to_owned())];
        answer
    }

    /// API-022 to 024.
    fn aggregated(&self, core: bool, version: &str) -> Value {
        let items: Vec<Value> = self
            .groups()
            .iter()
            .filter(|group| group.name.is_empty() == core)
            .map(|group| {
                let versions: Vec<Value> = group
                    .versions
                    .iter()
                    .map(|version| {
                        let resources = group.resources.iter().filter_map(|resource| aggregated_resource(resource, version));
                        json!({"version": version, "freshness": "Current", "resources": resources.collect::<Vec<_>>()})
                    })
                    .collect();
                let metadata = if core { json!({}) } else { json!({"name": group.name}) };
                json!({"metadata": metadata, "versions": versions})
            })
            .collect();
        json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items})
    }

    fn legacy_groups(&self) -> Value {
        let groups: Vec<Value> = self
            .groups()
            .iter()
            .filter(|group| !group.name.is_empty())
            .map(legacy_group)
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }

    /// `/apis/{group}`, `/apis/{group}/{version}` and `/api/v1` (API-027).
    fn group_version(&self, path: &str) -> Option<Value> {
        let (name, version) = match path.strip_prefix("/apis/") {
            Some(rest) => rest
                .split_once('/')
                .map_or((rest, None), |(group, version)| (group, Some(version))),
            None => ("", Some(path.strip_prefix("/api/")?)),
        };
        let groups = self.groups();
        let group = groups.iter().find(|group| group.name == name)?;
        let Some(version) = version else {
            let mut body = legacy_group(group);
            body["kind"] = json!("APIGroup");
            body["apiVersion"] = json!("v1");
            return Some(body);
        };
        if !group.versions.contains(&version) {
            return None;
        }
        let rows: Vec<Value> = group
            .resources
            .iter()
            .flat_map(|resource| legacy_resources(resource, version))
            .collect();
        let group_version = if name.is_empty() {
            version.to_owned()
        } else {
            format!("{name}/{version}")
        };
        Some(
            json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}),
        )
    }
}

/// What is checked, and which part of it, empty for all.
fn health_check(path: &str) -> Option<(&'static str, &str)> {
    let path = path.strip_prefix('/')?;
    ["healthz", "livez", "readyz"]
        .into_iter()
        .find_map(|check| {
            let rest = path.strip_prefix(check)?;
            let part = if rest.is_empty() {
                rest
            } else {
                rest.strip_prefix('/')?
            };
            Some((check, part))
        })
}

/// Everything is well (API-045).
fn health(check: &str, part: &str, query: &str) -> Answer {
    const PARTS: [&str; 3] = ["ping", "log", "etcd"];
    if !part.is_empty() {
        return if PARTS.contains(&part) {
            Answer::text(200, "ok")
        } else {
            Answer::page_not_found()
        };
    }
    if !query.split('&').any(|word| word.starts_with("verbose")) {
        return Answer::plain_text(200, "ok");
    }
    let lines: String = PARTS.iter().map(|part| format!("[+]{part} ok\n")).collect();
    Answer::plain_text(200, format!("{lines}{check} check passed\n"))
}

/// Lower goes first (API-025).
fn version_rank(version: &str) -> (u8, u32, u32, String) {
    let last = (4, 0, 0, version.to_owned());
    let Some(rest) = version.strip_prefix('v') else {
        return last;
    };
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, rest) = rest.split_at(digits);
    let Ok(major) = major.parse::<u32>() else {
        return last;
    };
    let stage = |name: &str| {
        rest.strip_prefix(name)
            .and_then(|number| number.parse::<u32>().ok())
    };
    let down = |number: u32| u32::MAX - number;
    match (rest, stage("beta"), stage("alpha")) {
        ("", ..) => (1, down(major), 0, String::new()),
        (_, Some(minor), _) => (2, down(major), down(minor), String::new()),
        (_, _, Some(minor)) => (3, down(major), down(minor), String::new()),
        _ => last,
    }
}

fn verbs(letters: &str) -> Vec<&'static str> {
    let all = [
        ('c', "create"),
        ('d', "delete"),
        ('D', "deletecollection"),
        ('g', "get"),
        ('l', "list"),
        ('p', "patch"),
        ('u', "update"),
        ('w', "watch"),
    ];
    all.into_iter()
        .filter(|(letter, _)| letters.contains(*letter))
        .map(|(_, verb)| verb)
        .collect()
}

/// Group, version and kind of a subresource where they are not those of the resource (API-024).
pub(crate) fn subresource_kind(
    resource: &Resource,
    subresource: &str,
) -> Option<(&'static str, &'static str, &'static str)> {
    match subresource {
        "scale" => Some(("autoscaling", "v1", "Scale")),
        "eviction" => Some(("policy", "v1", "Eviction")),
        "token" => Some(("authentication.k8s.io", "v1", "TokenRequest")),
        "binding" if !resource.is_custom() => Some(("", "v1", "Binding")),
        _ => None,
    }
}

fn aggregated_resource(resource: &Resource, version: &str) -> Option<Value> {
    let served = resource.version(version)?;
    let kind = |name: &str| json!({"group": "", "version": "", "kind": name});
    let mut out = json!({
        "resource": resource.plural, "responseKind": kind(resource.kind()),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(&resource.verbs),
    });
    if !resource.short_names.is_empty() {
        out["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        out["categories"] = json!(resource.categories);
    }
    let subresources: Vec<Value> = resource
        .served_subresources(served)
        .map(|(name, letters)| {
            let response = subresource_kind(resource, name).map_or_else(
                || kind(resource.kind()),
                |(group, version, kind)| json!({"group": group, "version": version, "kind": kind}),
            );
            json!({"subresource": name, "responseKind": response, "verbs": verbs(letters)})
        })
        .collect();
    if !subresources.is_empty() {
        out["subresources"] = Value::from(subresources);
    }
    Some(out)
}

fn legacy_core(host: &str) -> Value {
    let host = if host.is_empty() {
        "127.0.0.1:6443"
    } else {
        host
    };
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}],
    })
}

fn legacy_group(group: &Group<'_>) -> Value {
    let entry = |version: &str| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| entry(version))
        .collect();
    json!({"name": group.name, "preferredVersion": versions.first(), "versions": versions})
}

fn legacy_resources(resource: &Resource, version: &str) -> Vec<Value> {
    let Some(served) = resource.version(version) else {
        return Vec::new();
    };
    let mut row = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind(), "verbs": verbs(&resource.verbs),
    });
    if !resource.short_names.is_empty() {
        row["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        row["categories"] = json!(resource.categories);
    }
    if resource.has_verb('g') {
        row["storageVersionHash"] = Value::from(storage_version_hash(resource));
    }
    let mut rows = vec![row];
    for (name, letters) in resource.served_subresources(served) {
        let mut row = json!({
            "name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
            "kind": resource.kind(), "verbs": verbs(letters),
        });
        if let Some((group, version, kind)) = subresource_kind(resource, name) {
            row["kind"] = Value::from(kind);
            if group != resource.group {
                row["group"] = Value::from(group);
                row["version"] = Value::from(version);
            }
        }
        rows.push(row);
    }
    rows
}

/// API-029.
fn storage_version_hash(resource: &Resource) -> String {
    let storage = if resource.group.is_empty() {
        format!("/{}", resource.storage)
    } else {
        resource.storage.clone()
    };
    STANDARD.encode(&Sha256::digest(format!("{storage}/{}", resource.kind()))[..8])
}

/// Names the content of a document.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |text, byte| {
            text + &format!("{byte:02X}")
        })
}

/// Header of documents that differ by what is accepted.
pub(crate) fn vary() -> (HeaderName, String) {
    (VARY, "Accept".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn versions_are_ordered_by_maturity() {
        let mut versions = ["x", "v1alpha1", "v1", "v2", "v1beta2", "v2beta1", "v1beta1"];
        versions.sort_unstable_by_key(|version| version_rank(version));
        assert_eq!(
            versions,
            ["v2", "v1", "v2beta1", "v1beta2", "v1beta1", "v1alpha1", "x"]
        );
    }

    #[test]
    fn storage_version_hash_is_that_of_a_real_server() {
        let registry = Registry::new();
        let config_maps = registry.by_plural("", "configmaps").expect("a resource");
        assert_eq!(storage_version_hash(config_maps), "qFsyl6wFWjQ=");
    }
}
