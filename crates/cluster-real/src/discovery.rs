//! What a server has: every kind that can be listed and watched.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Request;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use wavetank_json::Value;
use wavetank_model::{GroupVersionKind, kinds};

use crate::resource::Resource;
use crate::said::Causes;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The kinds of the server, each in one version: the built-in ones in the version the simulated cluster stores them in,
/// others in the group's preferred one.
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn discover(client: &kube::Client) -> Result<Vec<Resource>, String> {
    let core: Value = get(client, "/api/v1").await?;
    let groups: Value = get(client, "/apis").await?;
    let mut out = BTreeSet::new();
    take("v1", &core, &mut out);
    for group in groups["groups"].as_array().into_iter().flatten() {
        // The preferred version stands first.
        for version in group["versions"].as_array().into_iter().flatten() {
            let api = version["groupVersion"].as_str().unwrap_or_default();
            let list: Option<Value> = find(client, &format!("/apis/{api}")).await?;
            // A group whose definitions were just removed is listed for a moment longer than it is served.
            take(api, &list.unwrap_or_default(), &mut out);
        }
    }
    Ok(one_version_each(out))
}

/// Whether the server lists the kind of a definition in every version that it serves.
///
/// # Errors
/// What went wrong, in words.
pub(crate) async fn lists(client: &kube::Client, definition: &Value) -> Result<bool, String> {
    let spec = &definition["spec"];
    let group = spec["group"].as_str().unwrap_or_default();
    let versions = spec["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|version| version["served"] == true) {
        let name = version["name"].as_str().unwrap_or_default();
        let list: Option<Value> = find(client, &format!("/apis/{group}/{name}")).await?;
        let list = list.unwrap_or_default();
        let mut resources = list["resources"].as_array().into_iter().flatten();
        if !resources.any(|resource| resource["name"] == spec["names"]["plural"]) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a JSON document.
pub(crate) async fn get<T: DeserializeOwned>(
    client: &kube::Client,
    path: &str,
) -> Result<T, String> {
    let found = find(client, path).await?;
    found.ok_or_else(|| format!("{path}: not found"))
}

/// Reads a JSON document that may not be there.
async fn find<T: DeserializeOwned>(client: &kube::Client, path: &str) -> Result<Option<T>, String> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(|error| format!("{path}: {error}"))?;
    match timeout(ANSWER, client.request(request)).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Ok(Err(error)) => Err(format!("{path}: {}", Causes(&error))),
        Err(_) => Err(format!("{path}: no answer within {} s", ANSWER.as_secs())),
    }
}

fn take(api: &str, list: &Value, out: &mut BTreeSet<Resource>) {
    for resource in list["resources"].as_array().into_iter().flatten() {
        let text = |field: &str| resource[field].as_str().unwrap_or_default();
        let can = |verb: &str| {
            resource["verbs"]
                .as_array()
                .is_some_and(|verbs| verbs.iter().any(|known| known == verb))
        };
        if text("name").contains('/') || !can("list") || !can("watch") {
            continue;
        }
        // Events are stored once and shown in two groups.
        if api.starts_with("events.k8s.io/") {
            continue;
        }
        out.insert(Resource {
            gvk: GroupVersionKind::new(api, text("kind")),
            plural: text("name").to_owned(),
            namespaced: resource["namespaced"] == true,
            deletable: can("delete"),
        });
    }
}

fn one_version_each(found: BTreeSet<Resource>) -> Vec<Resource> {
    let mut out: Vec<Resource> = Vec::new();
    for resource in found {
        let rank = |resource: &Resource| {
            kinds::find(&resource.gvk.group, &resource.gvk.kind)
                .and_then(|kind| {
                    kind.versions
                        .iter()
                        .position(|version| *version == resource.gvk.version)
                })
                .unwrap_or(usize::MAX)
        };
        match out
            .iter_mut()
            .find(|known| known.gvk.group_kind() == resource.gvk.group_kind())
        {
            Some(known) if rank(&resource) < rank(known) => *known = resource,
            Some(_) => {}
            None => out.push(resource),
        }
    }
    out
}
