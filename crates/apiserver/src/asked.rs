//! One request for a resource: what its path, query, headers and body say.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use jiff::Timestamp;
use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::{Actor, DeleteOptions, PatchType, Status};

use crate::access::Subject;
use crate::body::{self, Media};
use crate::create::{Call, Incoming};
use crate::failure;
use crate::printing::Include;
use crate::protobuf;
use crate::read::Shape;
use crate::registry::Resource;
use crate::request::{Query, WriteOptions};

const BODY_LIMIT: usize = 3_145_728;
const PATCH_TYPES: [PatchType; 4] = [
    PatchType::Json,
    PatchType::Merge,
    PatchType::Strategic,
    PatchType::Apply,
];

/// A request for a resource, as far as it is understood.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request<Bytes>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) api_version: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) query: Query,
    pub(crate) shape: Shape,
    pub(crate) media: Media,
    pub(crate) actor: &'a Actor,
    /// Who asks, where a token says it.
    pub(crate) account: Option<&'a Subject>,
    pub(crate) now: SimTime,
    pub(crate) wall: Timestamp,
}

pub(crate) fn header<'a>(request: &'a Request<Bytes>, name: &http::HeaderName) -> &'a str {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Whether a clause of an Accept header asks for version 1 of a kind.
fn is_version_1(clause: &str) -> bool {
    clause.contains("v=v1;") || clause.trim_end().ends_with("v=v1")
}

impl Asked<'_> {
    /// The verb of a path that begins with `/watch` (API-051). Servers of custom resources look at the method no more.
    fn verb_of_watched(&self) -> Result<&'static str, Status> {
        let resource = &self.resource;
        if !resource.is_custom() {
            let here = self.name.is_empty() || !self.namespace.is_empty() || !resource.namespaced;
            return if self.request.method() != Method::GET {
                Err(failure::method_not_allowed())
            } else if here && self.subresource.is_empty() && resource.has_verb('w') {
                Ok("watch")
            } else {
                Err(failure::no_route())
            };
        }
        match self.subresource.as_str() {
            "" => Ok("watch"),
            known if resource.subresource(known).is_some() => {
                Err(failure::verb_not_supported(resource, "watch"))
            }
            _ => Err(failure::not_found(resource, &self.name)),
        }
    }

    /// The verb of this request, as it is authorised too (API-305), or why there is no such route (API-049, 050, 055, 056).
    pub(crate) fn verb(&self, too_long: bool, watched: bool) -> Result<&'static str, Status> {
        let resource = &self.resource;
        if too_long || (!self.namespace.is_empty() && !resource.namespaced) {
            return Err(failure::no_route());
        }
        if watched {
            return self.verb_of_watched();
        }
        let everywhere = resource.namespaced && self.namespace.is_empty();
        if everywhere && !self.name.is_empty() {
            return Err(failure::no_route());
        }
        let watch = self.query.flag("watch");
        // Servers of custom resources take HEAD for GET; others have no such route (API-057).
        let method = match self.request.method() {
            &Method::HEAD if resource.is_custom() => &Method::GET,
            method => method,
        };
        let (verb, letter) = match (method, self.name.is_empty()) {
            (&Method::GET, true) if watch => ("watch", 'w'),
            (&Method::GET, true) => ("list", 'l'),
            (&Method::POST, true) if !everywhere => ("create", 'c'),
            (&Method::DELETE, true) if !everywhere => ("deletecollection", 'D'),
            (&Method::GET, false) => ("get", 'g'),
            (&Method::PUT, false) => ("update", 'u'),
            (&Method::PATCH, false) => ("patch", 'p'),
            (&Method::DELETE, false) => ("delete", 'd'),
            (&Method::POST, false) if !self.subresource.is_empty() => ("create", 'c'),
            _ => return Err(failure::method_not_allowed()),
        };
        let verbs = if self.subresource.is_empty() {
            Some(resource.verbs.as_str())
        } else {
            resource.subresource(&self.subresource)
        };
        match verbs {
            None if self.connects() => Ok(verb),
            None if resource.is_custom() => Err(failure::not_found(resource, &self.name)),
            None => Err(failure::no_route()),
            Some(verbs) if verbs.contains(letter) => Ok(verb),
            Some(_) => Err(failure::method_not_allowed()),
        }
    }

    /// Whether this opens a connection to what runs in a Pod, over websockets and SPDY alike (API-230).
    pub(crate) fn connects(&self) -> bool {
        match (self.resource.group.as_str(), self.resource.plural.as_str()) {
            ("", "pods") => matches!(
                self.subresource.as_str(),
                "attach" | "exec" | "portforward" | "proxy"
            ),
            ("", "services" | "nodes") => self.subresource == "proxy",
            _ => false,
        }
    }

    /// Reads the Accept header, clause by clause (API-059, 064, 065): in which shape objects go out, and as JSON or
    /// protobuf. YAML is not written; who asks for it gets JSON, which is YAML.
    pub(crate) fn accept(&self) -> Result<(Shape, Media), Status> {
        let accept = header(self.request, &ACCEPT);
        if accept.trim().is_empty() {
            return Ok((Shape::Object, Media::Json));
        }
        for clause in accept.split(',') {
            let mut parts = clause.split(';').map(str::trim);
            let media = match parts.next().unwrap_or_default() {
                "application/json" | "*/*" | "application/*" | "application/yaml" => Media::Json,
                protobuf::MEDIA_TYPE => Media::Protobuf,
                _ => continue,
            };
            let wanted = parts.find_map(|part| part.strip_prefix("as="));
            match wanted {
                None if media == Media::Protobuf && self.resource.is_custom() => {}
                None => return Ok((Shape::Object, media)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Ok((Shape::Metadata, media));
                }
                Some("Table") if media == Media::Json && is_version_1(clause) => {
                    let include = Include::parse(self.query.text("includeObject"));
                    let shape = Shape::Table {
                        include,
                        now: self.wall,
                    };
                    return Ok((shape, media));
                }
                Some(_) => {}
            }
        }
        Err(failure::not_acceptable(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ))
    }

    /// Field manager: of the query, or the user agent up to the first slash (API-170).
    pub(crate) fn manager(&self) -> String {
        let named = self.query.text("fieldManager");
        let text = if named.is_empty() {
            header(self.request, &USER_AGENT)
                .split('/')
                .next()
                .unwrap_or_default()
        } else {
            named
        };
        let text: String = text.chars().filter(|c| !c.is_control()).take(128).collect();
        if text.is_empty() {
            "unknown".to_owned()
        } else {
            text
        }
    }

    pub(crate) fn call(&self, kind: &str, apply: bool) -> Result<Call, Status> {
        let mut options = WriteOptions::parse(&self.query, kind, apply)?;
        options.manager = self.manager();
        Ok(self.call_with(options))
    }

    pub(crate) fn call_with(&self, options: WriteOptions) -> Call {
        Call {
            resource: Arc::clone(&self.resource),
            api_version: self.api_version.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            subresource: self.subresource.clone(),
            actor: self.actor.clone(),
            options,
            now: self.now,
            applied: None,
            patched: false,
            inside: false,
            subject: self
                .other_subject()
                .map(|other| Arc::new(other.into_owned())),
            of_collection: false,
            unasked: false,
            warnings: Vec::new(),
        }
    }

    /// 400 for a name that could not stand in the path of a store (API-053).
    pub(crate) fn check_name(&self) -> Result<(), Status> {
        let why = match self.name.as_str() {
            "." => "may not be '.'".to_owned(),
            ".." => "may not be '..'".to_owned(),
            name => {
                let Some(letter) = ['/', '%'].into_iter().find(|letter| name.contains(*letter))
                else {
                    return Ok(());
                };
                format!("may not contain '{letter}'")
            }
        };
        let name = &self.name;
        Err(failure::bad_request(format!(
            "Name parameter invalid: {name:?}: {why}"
        )))
    }

    pub(crate) fn check_size(&self) -> Result<(), Status> {
        if self.request.body().len() > BODY_LIMIT {
            Err(failure::too_large())
        } else {
            Ok(())
        }
    }

    /// The media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> &str {
        header(self.request, &CONTENT_TYPE)
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }

    /// Reads the body of a write (API-058, 063).
    pub(crate) fn body(&self) -> Result<Incoming, Status> {
        let media = Media::of(self.content_type(), self.resource.is_custom())?;
        self.check_size()?;
        body::object(media, self.request.body(), self.resource.kind())
    }

    /// The type of a patch (API-124).
    pub(crate) fn patch_type(&self) -> Result<PatchType, Status> {
        let media = self.content_type();
        let accepted = || {
            PATCH_TYPES
                .into_iter()
                .filter(|kind| *kind != PatchType::Strategic || !self.resource.is_custom())
        };
        accepted()
            .find(|kind| kind.content_type() == media)
            .ok_or_else(|| {
                let types: Vec<&str> = accepted().map(PatchType::content_type).collect();
                failure::unsupported_media_type(&types)
            })
    }

    /// Reads the body of a patch.
    pub(crate) fn patch(&self, patch_type: PatchType) -> Result<Incoming, Status> {
        let body = self.request.body();
        body::patch(patch_type, body)
    }

    /// Whether a delete says `orphanDependents: false`.
    pub(crate) fn refuses_orphans(&self) -> bool {
        let body = self.request.body();
        if body.is_empty() {
            return self.query.optional_flag("orphanDependents") == Some(false);
        }
        let media = Media::of(self.content_type(), false);
        let options = media.and_then(|media| body::options(media, body));
        options.is_ok_and(|options| options["orphanDependents"] == false)
    }

    /// Options of a delete: from the body, or from the query when there is none (API-111, 112).
    pub(crate) fn delete_call(&self) -> Result<(Call, DeleteOptions), Status> {
        let body = self.request.body();
        let body: Value = if body.is_empty() {
            let mut body = json!({});
            if let Some(period) = self.query.number("gracePeriodSeconds")? {
                body["gracePeriodSeconds"] = Value::from(period);
            }
            if let Some(policy) = self.query.get("propagationPolicy") {
                body["propagationPolicy"] = Value::from(policy);
            }
            if let Some(orphan) = self.query.optional_flag("orphanDependents") {
                body["orphanDependents"] = Value::from(orphan);
            }
            body["dryRun"] = self.query.all("dryRun").map(Value::from).collect();
            body
        } else {
            // The options are of a built-in kind, whatever is deleted.
            body::options(Media::of(self.content_type(), false)?, body)?
        };
        let (options, dry_run) = body::delete_options(&body)?;
        let call = self.call_with(WriteOptions {
            dry_run,
            manager: self.manager(),
            ..WriteOptions::default()
        });
        Ok((call, options))
    }
}
