//! From a request to an answer: routing and the order of checks (API-011).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use jiff::Timestamp;
use serde_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::schema;
use wavetank_model::{
    Actor, DeleteOptions, ObjectKey, PatchType, Propagation, RequestRecord, Status, object,
};

use crate::answer::{self, Answer};
use crate::create::{Call, Incoming, accept_body, unrecognized};
use crate::delete::Deletion;
use crate::failure::{self, Problem};
use crate::filter::Filter;
use crate::printing::Include;
use crate::read::Shape;
use crate::registry::Resource;
use crate::request::{self, Path, Query, Target, WriteOptions};
use crate::review;
use crate::server::{Server, Written};

const BODY_LIMIT: usize = 3_145_728;
const PATCH_TYPES: [PatchType; 4] = [
    PatchType::Json,
    PatchType::Merge,
    PatchType::Strategic,
    PatchType::Apply,
];

/// A request for a resource, as far as it is understood.
struct Asked<'a> {
    request: &'a Request<Bytes>,
    resource: Arc<Resource>,
    api_version: String,
    namespace: String,
    name: String,
    subresource: String,
    query: Query,
    shape: Shape,
    actor: &'a Actor,
    now: SimTime,
    wall: Timestamp,
}

impl Server {
    /// Answers a request and says what was asked.
    pub(crate) fn route(
        &mut self,
        request: &Request<Bytes>,
        actor: &Actor,
        now: SimTime,
    ) -> (Answer, RequestRecord) {
        let mut record = RequestRecord {
            actor: actor.clone(),
            verb: "discover".to_owned(),
            key: None,
            subresource: String::new(),
            dry_run: false,
            manager: String::new(),
            patch: String::new(),
            code: 0,
            reason: String::new(),
        };
        let answer = match request::target(request.uri().path()) {
            Target::Other(path) => self.answer_other(request, path),
            Target::Resource(path) => self.answer_resource(request, path, actor, now, &mut record),
        };
        record.code = answer.code;
        (answer, record)
    }

    fn answer_resource(
        &mut self,
        request: &Request<Bytes>,
        path: Path<'_>,
        actor: &Actor,
        now: SimTime,
        record: &mut RequestRecord,
    ) -> Answer {
        let Some((resource, api_version)) = self.find(path) else {
            let known = self.registry.has_group_version(path.group, path.version)
                && !self.registry.is_custom_group(path.group);
            return if known {
                refuse(failure::no_route(), record)
            } else {
                Answer::page_not_found()
            };
        };
        let mut asked = Asked {
            request,
            resource,
            api_version,
            namespace: request::decode(path.namespace, false),
            name: request::decode(path.name, false),
            subresource: path.subresource.to_owned(),
            query: Query::parse(request.uri().query().unwrap_or_default()),
            shape: Shape::Object,
            actor,
            now,
            wall: self.config.epoch.wall(now),
        };
        let verb = match asked.verb(path.too_long) {
            Ok(verb) => verb,
            Err(status) => return refuse(status, record),
        };
        asked.describe(verb, record);
        match asked.accept().and_then(|shape| {
            asked.shape = shape;
            self.perform(&asked, verb)
        }) {
            Ok(mut answer) => {
                let custom = asked.resource.custom_version(&asked.api_version);
                if let Some(warning) = custom.and_then(|version| version.deprecation.clone()) {
                    answer.warn(&[warning]);
                }
                answer
            }
            Err(status) => refuse(status, record),
        }
    }

    fn find(&self, path: Path<'_>) -> Option<(Arc<Resource>, String)> {
        let resource = self.registry.by_plural(path.group, path.plural)?;
        let version = resource.version(path.version)?;
        let api_version = if resource.group == path.group {
            version.api_version.clone()
        } else {
            format!("{}/{}", path.group, path.version)
        };
        Some((Arc::clone(resource), api_version))
    }

    fn perform(&mut self, asked: &Asked<'_>, verb: &str) -> Result<Answer, Status> {
        match (verb, asked.subresource.as_str()) {
            ("get", "" | "status") => self.read_one(
                &asked.resource,
                &asked.api_version,
                asked.shape,
                &asked.namespace,
                &asked.name,
                &asked.query,
            ),
            ("get", "scale") => {
                let scale = self.read_scale(&asked.resource, &asked.namespace, &asked.name)?;
                Ok(Answer::json(200, &scale))
            }
            ("update" | "patch", "scale") => self.scale(asked, verb),
            ("create", "binding" | "eviction" | "token") => self.act_on(asked),
            ("get", "log") => Err(failure::not_implemented(
                "log is not supported by this server",
            )),
            ("list", _) => {
                let filter = Filter::parse(&asked.resource, &asked.namespace, &asked.query)?;
                self.read_list(
                    &asked.resource,
                    &asked.api_version,
                    asked.shape,
                    &filter,
                    &asked.query,
                )
            }
            ("watch", _) => {
                let filter = Filter::parse(&asked.resource, &asked.namespace, &asked.query)?;
                self.watch(
                    &asked.resource,
                    &asked.api_version,
                    asked.shape,
                    filter,
                    &asked.query,
                    asked.now,
                )
            }
            ("create", "") => {
                let mut call = asked.call("CreateOptions", false)?;
                let body = asked.body()?;
                if !asked.resource.has_verb('g') {
                    return self.answer_unstored(&mut call, body);
                }
                let written = self.create(&mut call, body)?;
                Ok(self.written(asked, &call, &written))
            }
            ("update", "" | "status" | "finalize") => {
                asked.check_size()?;
                let mut call = asked.call("UpdateOptions", false)?;
                let body = asked.body()?;
                let written = self.update(&mut call, body)?;
                Ok(self.written(asked, &call, &written))
            }
            ("patch", "" | "status") => {
                let patch_type = asked.patch_type()?;
                asked.check_size()?;
                let mut call = asked.call("PatchOptions", patch_type == PatchType::Apply)?;
                let patch = asked.patch(patch_type)?;
                let written = self.patch(&mut call, patch_type, patch)?;
                Ok(self.written(asked, &call, &written))
            }
            ("delete", "") => self.delete_one(asked),
            ("deletecollection", "") => self.delete_collection(asked),
            _ => Err(failure::method_not_allowed()),
        }
    }

    /// A create of a kind that is not stored: reviews, and `bindings`.
    fn answer_unstored(&mut self, call: &mut Call, body: Incoming) -> Result<Answer, Status> {
        let object = accept_body(call, body)?;
        if let Some(answered) = review::review(call, &object) {
            return Ok(Answer::json(201, &answered?));
        }
        let pods = self
            .registry
            .by_plural("", "pods")
            .cloned()
            .ok_or_else(failure::no_route)?;
        call.resource = pods;
        object::name(&object).clone_into(&mut call.name);
        self.bind_pod(call, &object)?;
        Ok(Answer::json(201, &answer::created()))
    }

    fn scale(&mut self, asked: &Asked<'_>, verb: &str) -> Result<Answer, Status> {
        asked.check_size()?;
        let (mut call, patch_type, body) = if verb == "patch" {
            let patch_type = asked.patch_type()?;
            let call = asked.call("PatchOptions", patch_type == PatchType::Apply)?;
            (call, Some(patch_type), asked.patch(patch_type)?)
        } else {
            (asked.call("UpdateOptions", false)?, None, asked.body()?)
        };
        let scale = self.write_scale(&mut call, patch_type, &body)?;
        Ok(Answer::json(200, &scale))
    }

    /// POST to a subresource that stands for an act.
    fn act_on(&mut self, asked: &Asked<'_>) -> Result<Answer, Status> {
        let mut call = asked.call("CreateOptions", false)?;
        let body = asked.body()?.object;
        match asked.subresource.as_str() {
            "token" => return Ok(Answer::json(201, &self.token(&call, &body)?)),
            "eviction" => {
                let (options, dry_run) =
                    delete_options(body.get("deleteOptions").unwrap_or(&Value::Null))?;
                call.options.dry_run |= dry_run;
                self.evict(&mut call, &body, &options)?;
            }
            _ => self.bind_pod(&mut call, &body)?,
        }
        Ok(Answer::json(201, &answer::created()))
    }

    /// The answer to a write.
    fn written(&self, asked: &Asked<'_>, call: &Call, written: &Written) -> Answer {
        let code = if written.created { 201 } else { 200 };
        let mut answer = match &written.stored {
            Some(stored) => self.object_answer(
                code,
                &asked.resource,
                &asked.api_version,
                asked.shape,
                stored,
            ),
            None => Answer::json(
                code,
                &crate::read::shaped(
                    &asked.resource,
                    &asked.api_version,
                    asked.shape,
                    &written.value,
                ),
            ),
        };
        answer.warn(&call.warnings);
        answer
    }

    fn delete_one(&mut self, asked: &Asked<'_>) -> Result<Answer, Status> {
        asked.check_size()?;
        let (mut call, options) = asked.delete_call()?;
        let deletion = self.delete(&mut call, &options)?;
        Ok(match &deletion {
            Deletion::Gone(written) if !asked.resource.strategy.delete_returns_object() => {
                Answer::json(
                    200,
                    &answer::deleted(&asked.resource, &asked.name, object::uid(&written.value)),
                )
            }
            _ => {
                let mut written = deletion.written().clone();
                written.created = false;
                self.written(asked, &call, &written)
            }
        })
    }

    /// Deletes each match of a collection (API-121).
    fn delete_collection(&mut self, asked: &Asked<'_>) -> Result<Answer, Status> {
        asked.check_size()?;
        let (call, options) = asked.delete_call()?;
        let filter = Filter::parse(&asked.resource, &asked.namespace, &asked.query)?;
        let answer = self.read_list(
            &asked.resource,
            &asked.api_version,
            asked.shape,
            &filter,
            &asked.query,
        )?;
        let limit = asked
            .query
            .number("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let names: Vec<String> = self
            .store
            .scan(asked.resource.table, &asked.namespace)
            .filter(|stored| filter.matches(&self.store, stored))
            .take(limit.unwrap_or(usize::MAX))
            .map(|stored| stored.key.rsplit('/').next().unwrap_or_default().to_owned())
            .collect();
        for name in names {
            let mut call = Call {
                name,
                ..call.clone()
            };
            match self.delete(&mut call, &options) {
                Err(status) if !status.is_not_found() => return Err(status),
                _ => {}
            }
        }
        Ok(answer)
    }
}

fn refuse(status: Status, record: &mut RequestRecord) -> Answer {
    let answer = Answer::failure(&status);
    record.reason = status.reason;
    answer
}

pub(crate) fn header<'a>(request: &'a Request<Bytes>, name: &http::HeaderName) -> &'a str {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

impl Asked<'_> {
    /// The verb of this request, or why there is no such route (API-049, 050, 055, 056).
    fn verb(&self, too_long: bool) -> Result<&'static str, Status> {
        let resource = &self.resource;
        if too_long || (!self.namespace.is_empty() && !resource.namespaced) {
            return Err(failure::no_route());
        }
        let everywhere = resource.namespaced && self.namespace.is_empty();
        if everywhere && !self.name.is_empty() {
            return Err(failure::no_route());
        }
        let watch = self.query.flag("watch");
        let (verb, letter) = match (self.request.method(), self.name.is_empty()) {
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
            None => Err(failure::no_route()),
            Some(verbs) if verbs.contains(letter) => Ok(verb),
            Some(_) => Err(failure::method_not_allowed()),
        }
    }

    /// Fills in the request log.
    fn describe(&self, verb: &str, record: &mut RequestRecord) {
        verb.clone_into(&mut record.verb);
        record.key = Some(ObjectKey::new(
            self.resource.group.clone(),
            self.resource.kind(),
            self.namespace.clone(),
            self.name.clone(),
        ));
        record.subresource.clone_from(&self.subresource);
        record.dry_run = self.query.text("dryRun") == "All";
        if !matches!(verb, "get" | "list" | "watch") {
            record.manager = self.manager();
        }
        if verb == "patch"
            && let Ok(patch_type) = self.patch_type()
        {
            match patch_type {
                PatchType::Json => "json",
                PatchType::Merge => "merge",
                PatchType::Strategic => "strategic",
                PatchType::Apply => "apply",
            }
            .clone_into(&mut record.patch);
        }
    }

    /// Reads the Accept header, clause by clause (API-059, 064, 065).
    fn accept(&self) -> Result<Shape, Status> {
        let accept = header(self.request, &ACCEPT);
        if accept.trim().is_empty() {
            return Ok(Shape::Object);
        }
        for clause in accept.split(',') {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(
                media,
                "application/json" | "*/*" | "application/*" | "application/yaml"
            ) {
                continue;
            }
            let wanted = parts.find_map(|part| part.strip_prefix("as="));
            match wanted {
                None => return Ok(Shape::Object),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Ok(Shape::Metadata);
                }
                Some("Table")
                    if clause.contains("v=v1;") || clause.trim_end().ends_with("v=v1") =>
                {
                    let include = Include::parse(self.query.text("includeObject"));
                    return Ok(Shape::Table {
                        include,
                        now: self.wall,
                    });
                }
                Some(_) => {}
            }
        }
        Err(failure::not_acceptable(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ))
    }

    /// Field manager: of the query, or the user agent up to the first slash (API-170).
    fn manager(&self) -> String {
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

    fn call(&self, kind: &str, apply: bool) -> Result<Call, Status> {
        let mut options = WriteOptions::parse(&self.query, kind, apply)?;
        options.manager = self.manager();
        Ok(self.call_with(options))
    }

    fn call_with(&self, options: WriteOptions) -> Call {
        Call {
            resource: Arc::clone(&self.resource),
            api_version: self.api_version.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            subresource: self.subresource.clone(),
            actor: self.actor.clone(),
            options,
            now: self.now,
            applied: false,
            warnings: Vec::new(),
        }
    }

    fn check_size(&self) -> Result<(), Status> {
        if self.request.body().len() > BODY_LIMIT {
            Err(failure::too_large())
        } else {
            Ok(())
        }
    }

    /// The media type of the body, without parameters.
    fn content_type(&self) -> &str {
        header(self.request, &CONTENT_TYPE)
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }

    /// Reads the body of a write (API-058, 063).
    fn body(&self) -> Result<Incoming, Status> {
        let accepted: &[&str] = if self.resource.is_custom() {
            &["application/json", "application/yaml"]
        } else {
            &[
                "application/json",
                "application/yaml",
                "application/vnd.kubernetes.protobuf",
            ]
        };
        let media = self.content_type();
        if !matches!(media, "" | "application/json" | "application/yaml") {
            return Err(failure::unsupported_media_type(accepted));
        }
        self.check_size()?;
        let body = self.request.body();
        let parsed = if media == "application/yaml" {
            yaml(body)
        } else {
            json(body)
        };
        parsed.map_err(|why| {
            unrecognized(
                self.resource.kind(),
                &format!("couldn't get version/kind; json parse error: {why}"),
                body,
            )
        })
    }

    /// The type of a patch (API-124).
    fn patch_type(&self) -> Result<PatchType, Status> {
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
    fn patch(&self, patch_type: PatchType) -> Result<Incoming, Status> {
        let body = self.request.body();
        if patch_type == PatchType::Apply {
            return yaml(body)
                .map_err(|error| failure::bad_request(format!("error decoding patch: {error}")));
        }
        json(body).map_err(failure::bad_request)
    }

    /// Options of a delete: from the body, or from the query when there is none (API-111, 112).
    fn delete_call(&self) -> Result<(Call, DeleteOptions), Status> {
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
            let text = std::str::from_utf8(body)
                .map_err(|error| failure::bad_request(error.to_string()))?;
            match self.content_type() {
                "application/yaml" => serde_saphyr::from_str(text)
                    .map_err(|error| failure::bad_request(error.to_string()))?,
                "" | "application/json" => serde_json::from_str(text)
                    .map_err(|error| failure::bad_request(go_json_error(&error)))?,
                _ => {
                    return Err(failure::unsupported_media_type(&[
                        "application/json",
                        "application/yaml",
                        "application/vnd.kubernetes.protobuf",
                    ]));
                }
            }
        };
        let (options, dry_run) = delete_options(&body)?;
        let call = self.call_with(WriteOptions {
            dry_run,
            manager: self.manager(),
            ..WriteOptions::default()
        });
        Ok((call, options))
    }
}

fn delete_options(body: &Value) -> Result<(DeleteOptions, bool), Status> {
    let mut problems = Vec::new();
    let dry_run = request::dry_run(
        body.get("dryRun")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
        &mut problems,
    );
    let written = body
        .get("propagationPolicy")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    let mut propagation = match orphan {
        Some(true) => Some(Propagation::Orphan),
        Some(false) => Some(Propagation::Background),
        None => None,
    };
    if let Some(text) = written {
        if orphan.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            problems.push(Problem::invalid(
                "propagationPolicy",
                &format!("{text:?}"),
                detail,
            ));
        }
        propagation = match text {
            "Foreground" => Some(Propagation::Foreground),
            "Background" => Some(Propagation::Background),
            "Orphan" => Some(Propagation::Orphan),
            _ => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                problems.push(Problem::unsupported(
                    "propagationPolicy",
                    &format!("{text:?}"),
                    &supported,
                ));
                None
            }
        };
    }
    if !problems.is_empty() {
        return Err(failure::invalid("DeleteOptions.meta.k8s.io", "", problems));
    }
    let precondition = |field: &str| {
        body.pointer("/preconditions")
            .and_then(|all| all.get(field))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let options = DeleteOptions {
        propagation,
        grace_period_seconds: body.get("gracePeriodSeconds").and_then(Value::as_i64),
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
    };
    Ok((options, dry_run))
}

fn json(body: &[u8]) -> Result<Incoming, String> {
    let (object, problems) = schema::parse(body).map_err(|error| go_json_error(&error))?;
    Ok(Incoming {
        object,
        problems,
        patched: false,
    })
}

fn yaml(body: &[u8]) -> Result<Incoming, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    serde_saphyr::from_str::<Value>(text)
        .map(Incoming::from)
        .map_err(|error| error.to_string())
}

/// Says what is wrong with JSON in the words of Go's decoder, as far as they can be told.
fn go_json_error(error: &serde_json::Error) -> String {
    if error.is_eof() {
        "unexpected end of JSON input".to_owned()
    } else {
        format!("invalid character: {error}")
    }
}
