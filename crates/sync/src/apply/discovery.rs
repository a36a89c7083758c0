//! Which kinds the server serves (SYNC-031).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use wavetank_kernel::Clock;
use wavetank_model::GroupVersionKind;

use super::connection::{Connection, group_version_path};
use crate::engine::{CallError, DiscoverError};
use crate::kinds::ApiResource;
use crate::message;

/// How often an Unauthorized answer is tried again, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// What a kind is in one group and version.
#[derive(Clone, Debug)]
struct Entry {
    resource: ApiResource,
    /// Whether it can be read by name.
    readable: bool,
}

/// Asks the server each time; an answer that did not change is not read again.
#[derive(Debug, Default)]
pub(super) struct Discovery(BTreeMap<String, (Bytes, BTreeMap<String, Entry>)>);

impl Discovery {
    /// Resolves a kind for the verb `get`.
    pub(super) async fn resolve(
        &mut self,
        connection: &Connection,
        clock: &dyn Clock,
        gvk: &GroupVersionKind,
    ) -> Result<ApiResource, DiscoverError> {
        let path = group_version_path(&gvk.group, &gvk.version);
        let body = match fetch(connection, clock, &path).await {
            Ok(body) => body,
            Err(error) if error.is_not_found() => {
                return Err(DiscoverError::NotFound(message::group_version_not_found(
                    gvk,
                )));
            }
            Err(error) => {
                let version = gvk.api_version();
                let text = format!(
                    "failed to discover server resources for group version {version}: {error}"
                );
                return Err(DiscoverError::Failed(text));
            }
        };
        let known = self.0.get(&path).is_some_and(|(old, _)| *old == body);
        if !known {
            let kinds = read(&body).map_err(|error| {
                let version = gvk.api_version();
                DiscoverError::Failed(format!(
                    "failed to discover server resources for group version {version}: {error}"
                ))
            })?;
            self.0.insert(path.clone(), (body, kinds));
        }
        match self
            .0
            .get(&path)
            .and_then(|(_, kinds)| kinds.get(&gvk.kind))
        {
            Some(entry) if entry.readable => Ok(entry.resource.clone()),
            Some(_) => {
                let kind = gvk.group_kind();
                Err(DiscoverError::Failed(format!(
                    "get is not supported on resources of kind \"{kind}\""
                )))
            }
            None => Err(DiscoverError::NotFound(message::kind_not_found(gvk))),
        }
    }
}

/// Asks once more when the server says Unauthorized.
async fn fetch(connection: &Connection, clock: &dyn Clock, path: &str) -> Result<Bytes, CallError> {
    let mut tries = 1;
    loop {
        match connection.text(path).await {
            Err(CallError::Api(status)) if status.code == 401 && tries < TRIES => {
                tries += 1;
                clock.sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// What is read of an `APIResourceList`.
#[derive(Deserialize)]
struct ResourceList<'a> {
    #[serde(borrow)]
    resources: Option<Vec<Resource<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    namespaced: bool,
    #[serde(borrow)]
    verbs: Option<Vec<Text<'a>>>,
}

/// A text of a list, which is copied only where it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads an `APIResourceList`; subresources are passed over.
fn read(body: &[u8]) -> Result<BTreeMap<String, Entry>, wavetank_json::Error> {
    let list: ResourceList<'_> = wavetank_json::from_slice(body)?;
    let whole = |resource: &Resource<'_>| !resource.name.contains('/');
    let resources = list.resources.into_iter().flatten();
    let kinds = resources.filter(whole).map(|resource| {
        let entry = Entry {
            readable: resource
                .verbs
                .iter()
                .flatten()
                .any(|Text(verb)| verb == "get"),
            resource: ApiResource {
                plural: resource.name.into_owned(),
                namespaced: resource.namespaced,
            },
        };
        (resource.kind.into_owned(), entry)
    });
    Ok(kinds.collect())
}
