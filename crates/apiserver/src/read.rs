//! Get and list (API-186 to 197).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use wavetank_json::{Value, json};
use wavetank_model::Status;

use crate::answer::Answer;
use crate::convert;
use crate::failure::{self, Problem};
use crate::filter::Filter;
use crate::printing::{self, Include};
use crate::registry::Resource;
use crate::request::Query;
use crate::server::Server;
use crate::store::{Objects, Stored, scan, write_object};

/// In which form objects go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// `PartialObjectMetadata` (API-220).
    Metadata,
    /// A `Table` (API-214).
    Table {
        /// What rows carry.
        include: Include,
        /// The time by which ages are shown.
        now: Timestamp,
    },
}

/// An object in another version or form.
pub(crate) fn shaped(resource: &Resource, api_version: &str, shape: Shape, value: &Value) -> Value {
    match shape {
        Shape::Object => convert::from_storage(resource, api_version, value),
        Shape::Table { include, now } => {
            let row = printing::row(resource, api_version, include, value, now);
            printing::table_of(resource, api_version, row, value, true)
        }
        Shape::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value.get("metadata"),
        }),
    }
}

/// Where a list starts and of which state it is.
struct Page {
    objects: Objects,
    revision: u64,
    /// Key of the last object of the page before.
    after: Option<String>,
}

/// What a list begins with.
enum Found {
    Page(Page),
    /// The token is too old: the answer, with a token for the newest state.
    Expired(Answer),
}

impl Server {
    /// Answers a get.
    pub(crate) fn read_one(
        &self,
        resource: &Resource,
        api_version: &str,
        shape: Shape,
        namespace: &str,
        name: &str,
        query: &Query,
    ) -> Result<Answer, Status> {
        self.not_in_the_future(query)?;
        let key = resource.storage_key(namespace, name);
        let stored = self
            .store
            .get(resource.table, &key)
            .ok_or_else(|| failure::not_found(resource, name))?;
        Ok(self.object_answer(200, resource, api_version, shape, stored))
    }

    /// One stored object as an answer.
    pub(crate) fn object_answer(
        &self,
        code: u16,
        resource: &Resource,
        api_version: &str,
        shape: Shape,
        stored: &Stored,
    ) -> Answer {
        if shape == Shape::Object && resource.is_as_stored(api_version) {
            return Answer::bytes(code, stored.json());
        }
        Answer::json(
            code,
            &shaped(
                resource,
                api_version,
                shape,
                &self.store.parsed(stored).whole(),
            ),
        )
    }

    fn not_in_the_future(&self, query: &Query) -> Result<Option<u64>, Status> {
        let text = query.text("resourceVersion");
        if text.is_empty() {
            return Ok(None);
        }
        let wanted: u64 = text.parse().map_err(|_| {
            failure::bad_request(format!(
                "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?;
        let current = self.store.revision();
        if wanted > current {
            Err(failure::future_revision(wanted, current))
        } else {
            Ok(Some(wanted))
        }
    }

    /// Answers a list.
    pub(crate) fn read_list(
        &self,
        resource: &Resource,
        api_version: &str,
        shape: Shape,
        filter: &Filter,
        query: &Query,
    ) -> Result<Answer, Status> {
        let limit = query
            .number("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let page = match self.page(resource, query, limit.is_some())? {
            Found::Page(page) => page,
            Found::Expired(answer) => return Ok(answer),
        };
        let mut writer = ListWriter::new(self, resource, api_version, shape);
        let mut rest = 0_usize;
        let mut last: Option<&Arc<Stored>> = None;
        let candidates = scan(Some(&page.objects), &filter.namespace)
            .filter(|stored| {
                page.after
                    .as_deref()
                    .is_none_or(|after| &*stored.key > after)
            })
            .filter(|stored| filter.matches(&self.store, stored));
        for stored in candidates {
            if limit.is_some_and(|limit| writer.count >= limit) {
                rest += 1;
                if filter.selects() {
                    break;
                }
            } else {
                writer.push(stored);
                last = Some(stored);
            }
        }
        let more = (rest > 0).then(|| {
            let start = last
                .map(|stored| stored.key.to_string())
                .unwrap_or_default();
            (
                continue_token(i64::try_from(page.revision).unwrap_or(NEWEST), &start),
                (!filter.selects()).then_some(rest),
            )
        });
        Ok(Answer::bytes(200, writer.finish(page.revision, more)))
    }

    fn page(&self, resource: &Resource, query: &Query, limited: bool) -> Result<Found, Status> {
        check_list_options(query)?;
        let newest = || (self.store.objects(resource.table), self.store.revision());
        let at = |revision: u64| {
            let objects = self
                .store
                .objects_at(resource.table, revision)
                .ok_or_else(failure::expired_list)?;
            Ok::<_, Status>((objects, revision))
        };
        if let Some(token) = query.get("continue").filter(|token| !token.is_empty()) {
            let (revision, after) = read_token(token)?;
            if !matches!(query.text("resourceVersion"), "" | "0") {
                return Err(failure::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let (objects, revision) = match u64::try_from(revision) {
                Err(_) => newest(),
                Ok(revision) => match self.store.objects_at(resource.table, revision) {
                    Some(objects) => (objects, revision),
                    None => return Ok(Found::Expired(expired_token(&after))),
                },
            };
            return Ok(Found::Page(Page {
                objects,
                revision,
                after: Some(after),
            }));
        }
        let wanted = self.not_in_the_future(query)?;
        let (objects, revision) = match (wanted, query.text("resourceVersionMatch")) {
            (Some(revision), "Exact") => at(revision)?,
            (Some(revision), "") if limited && revision > 0 => at(revision)?,
            _ => newest(),
        };
        Ok(Found::Page(Page {
            objects,
            revision,
            after: None,
        }))
    }
}

fn check_list_options(query: &Query) -> Result<(), Status> {
    let matching = query.text("resourceVersionMatch");
    let mut problems = Vec::new();
    if query.get("sendInitialEvents").is_some() {
        problems.push(Problem::forbidden(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        ));
    }
    if !matching.is_empty() {
        let field = "resourceVersionMatch";
        if query.text("resourceVersion").is_empty() {
            problems.push(Problem::forbidden(
                field,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !query.text("continue").is_empty() {
            problems.push(Problem::forbidden(
                field,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            let value = format!("{matching:?}");
            problems.push(Problem::unsupported(
                field,
                &value,
                &["Exact", "NotOlderThan", ""],
            ));
        }
        if matching == "Exact" && query.text("resourceVersion") == "0" {
            problems.push(Problem::forbidden(
                field,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(failure::invalid("ListOptions.meta.k8s.io", "", problems))
    }
}

/// Revision of a token that continues in the newest state.
const NEWEST: i64 = -1;

fn continue_token(revision: i64, start: &str) -> String {
    let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{start}\u{0}")});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

/// Revision (-1: the newest) and last key of a token (API-192).
fn read_token(token: &str) -> Result<(i64, String), Status> {
    let bad = |why: &str| {
        failure::bad_request(format!(
            "invalid continue token: continue key is not valid: {why}"
        ))
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| bad("illegal base64 data at input byte 0"))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| {
        let first = String::from_utf8_lossy(&bytes).chars().next();
        let shown = first.unwrap_or_default();
        bad(&format!(
            "invalid character '{shown}' looking for beginning of value"
        ))
    })?;
    if value.get("v").and_then(Value::as_str) != Some("meta.k8s.io/v1") {
        return Err(bad("server does not recognize this encoded version"));
    }
    let revision = value
        .get("rv")
        .and_then(Value::as_i64)
        .ok_or_else(|| bad("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"))?;
    let start = value
        .get("start")
        .and_then(Value::as_str)
        .filter(|start| !start.is_empty());
    let start = start.ok_or_else(|| bad("encoded start key empty (version meta.k8s.io/v1)"))?;
    Ok((revision, start.trim_end_matches('\u{0}').to_owned()))
}

fn expired_token(after: &str) -> Answer {
    let status = Status::new(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let mut body = status.to_json();
    body["metadata"]["continue"] = Value::from(continue_token(NEWEST, after));
    Answer::json(410, &body)
}

/// Writes a list by putting stored bytes together.
struct ListWriter<'a> {
    server: &'a Server,
    resource: &'a Resource,
    api_version: &'a str,
    shape: Shape,
    items: Vec<u8>,
    count: usize,
}

impl<'a> ListWriter<'a> {
    fn new(server: &'a Server, resource: &'a Resource, api_version: &'a str, shape: Shape) -> Self {
        Self {
            server,
            resource,
            api_version,
            shape,
            items: Vec::new(),
            count: 0,
        }
    }

    fn push(&mut self, stored: &Stored) {
        if self.count > 0 {
            self.items.push(b',');
        }
        self.count += 1;
        if self.shape == Shape::Object && self.resource.is_as_stored(self.api_version) {
            if self.resource.is_custom() {
                self.items.extend_from_slice(&stored.json());
            } else {
                self.items.push(b'{');
                self.items.extend_from_slice(stored.list_item());
            }
            return;
        }
        let value = self.server.store.parsed(stored).whole();
        if let Shape::Table { include, now } = self.shape {
            let row = printing::row(self.resource, self.api_version, include, &value, now);
            write_object(&mut self.items, &row);
            return;
        }
        let mut shaped = shaped(self.resource, self.api_version, self.shape, &value);
        if self.shape == Shape::Object
            && !self.resource.is_custom()
            && let Some(fields) = shaped.as_object_mut()
        {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        write_object(&mut self.items, &shaped);
    }

    fn finish(self, revision: u64, more: Option<(String, Option<usize>)>) -> bytes::Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some((token, rest)) = more {
            metadata["continue"] = Value::from(token);
            if let Some(rest) = rest {
                metadata["remainingItemCount"] = Value::from(rest);
            }
        }
        let (kind, api_version) = match self.shape {
            Shape::Object => (self.resource.list_kind.as_str(), self.api_version),
            Shape::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1"),
            Shape::Table { .. } => ("Table", "meta.k8s.io/v1"),
        };
        let items = match self.shape {
            Shape::Table { .. } => {
                format!(
                    "\"columnDefinitions\":{},\"rows\":[",
                    printing::columns(self.resource, self.api_version)
                )
            }
            Shape::Object | Shape::Metadata => "\"items\":[".to_owned(),
        };
        let mut out = Vec::with_capacity(self.items.len() + 200);
        out.extend_from_slice(
            format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},{items}").as_bytes(),
        );
        out.extend_from_slice(&self.items);
        out.extend_from_slice(b"]}\n");
        out.into()
    }
}
