//! From a request to an answer: routing and the order of checks (API-011).

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use wavetank_json::Value;
use wavetank_kernel::SimTime;
use wavetank_model::patch::apply::{ManagedFields, Tracked};
use wavetank_model::{Actor, PatchType, Status, object};

use crate::access::Subject;
use crate::admission::Operation;
use crate::answer::{self, Answer};
use crate::asked::Asked;
use crate::body::{Media, delete_options};
use crate::create::{Call, Incoming, accept_body};
use crate::delete::Deletion;
use crate::failure;
use crate::filter::Filter;
use crate::read::Shape;
use crate::registry::Resource;
use crate::request::{self, Path, Query, Target};
use crate::server::{Server, Written};
use crate::token;

impl Server {
    /// Answers a request.
    pub(crate) fn route(
        &mut self,
        request: &Request<Bytes>,
        actor: &Actor,
        now: SimTime,
    ) -> Answer {
        match self.authenticate(request, now) {
            Ok(account) => self.answer(request, account.as_ref(), actor, now),
            Err(status) => Answer::failure(&status),
        }
    }

    fn answer(
        &mut self,
        request: &Request<Bytes>,
        account: Option<&Subject>,
        actor: &Actor,
        now: SimTime,
    ) -> Answer {
        match request::target(request.uri().path()) {
            Target::Other(path) => self.answer_other(request, path, now),
            Target::Nothing(path) => Answer::not_understood(path),
            Target::Resource(path) => {
                let own = account.map(token::actor);
                self.answer_resource(request, path, account, own.as_ref().unwrap_or(actor), now)
            }
        }
    }

    fn answer_resource(
        &mut self,
        request: &Request<Bytes>,
        path: Path<'_>,
        account: Option<&Subject>,
        actor: &Actor,
        now: SimTime,
    ) -> Answer {
        let Some((resource, api_version)) = self.find(path) else {
            let known = self.registry.has_group_version(path.group, path.version)
                && !self.registry.is_custom_group(path.group);
            // No object is missing, a route is (API-392).
            return if known {
                Answer::failure(&failure::no_route())
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
            media: Media::Json,
            actor,
            account,
            now,
            wall: self.config.epoch.wall(now),
        };
        let verb = match asked.verb(path.too_long, path.watched) {
            Ok(verb) => verb,
            Err(status) => return Answer::failure(&status),
        };
        let accepted = asked.accept();
        if let Ok((shape, media)) = accepted {
            (asked.shape, asked.media) = (shape, media);
        }
        let allowed = accepted.and_then(|_| self.authorize(&asked, verb));
        let answer = match allowed.and_then(|()| self.perform(&asked, verb)) {
            Ok(mut answer) => {
                let custom = asked.resource.custom_version(&asked.api_version);
                if matches!(
                    verb,
                    "get" | "list" | "watch" | "delete" | "deletecollection"
                ) && asked.resource.kind() == "Endpoints"
                {
                    // The whole kind is deprecated, not what is written.
                    let warnings = asked.resource.strategy.warnings(&Value::Null);
                    answer.warn(&warnings);
                }
                if let Some(warning) = custom.and_then(|version| version.deprecation.clone()) {
                    answer.warn(&[warning]);
                }
                answer
            }
            Err(status) => Answer::failure(&status),
        };
        self.counted.count(asked.resource.table, verb, answer.code);
        if asked.media == Media::Protobuf {
            answer.into_protobuf()
        } else {
            answer
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
        if verb != "watch" {
            asked.check_name()?;
        }
        if asked.connects() {
            return Err(self.no_connection(asked));
        }
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
            ("get", "log") => self.read_log(asked),
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
            ("watch", _) => self.watch(asked),
            ("create", "") => {
                let mut call = asked.call("CreateOptions", false)?;
                let body = asked.body()?;
                if !asked.resource.has_verb('g') {
                    return self.answer_unstored(&mut call, body, &asked.subject());
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

    /// Why there is no connection to what runs in a Pod.
    fn no_connection(&self, asked: &Asked<'_>) -> Status {
        let resource = &asked.resource;
        let key = resource.storage_key(&asked.namespace, &asked.name);
        if self.store.get(resource.table, &key).is_none() {
            return failure::not_found(resource, &asked.name);
        }
        failure::not_implemented(&format!(
            "{} is not supported by this server: Pods are simulated, nothing runs in them",
            asked.subresource
        ))
    }

    /// A create of a kind that is not stored: reviews, and `bindings`.
    fn answer_unstored(
        &mut self,
        call: &mut Call,
        body: Incoming,
        subject: &Subject,
    ) -> Result<Answer, Status> {
        let object = accept_body(call, body)?;
        if let Some(answered) = self.review(call, &object, subject) {
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
        let written = Tracked {
            object: &body,
            managed: &ManagedFields::default(),
        };
        self.ask_policies(&mut call, Operation::Create, Some(written), None)?;
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
        let (resource, version) = (&asked.resource, &asked.api_version);
        let mut answer = if let Some(stored) = &written.stored {
            self.object_answer(code, resource, version, asked.shape, stored)
        } else {
            let whole = written.object.whole();
            let shaped = crate::read::shaped(resource, version, asked.shape, &whole);
            Answer::json(code, &shaped)
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
                    &answer::deleted(
                        &asked.resource,
                        &asked.name,
                        object::uid(&written.object.value),
                    ),
                )
            }
            _ => {
                let mut written = deletion.written().clone();
                written.created = false;
                let mut answer = self.written(asked, &call, &written);
                // Only who does not want orphans in the old words is told that it is not done yet (API-115).
                if !matches!(deletion, Deletion::Gone(_)) && asked.refuses_orphans() {
                    answer.code = 202;
                }
                answer
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
                of_collection: true,
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
