//! Deleting objects (API-015, 111 to 123).

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::object::At;
use wavetank_model::{DeleteOptions, Propagation, Status, object, timestamp};

use crate::admission::Operation;
use crate::create::Call;
use crate::establish::{CLEANUP, is_definition, state};
use crate::failure;
use crate::registry::Resource;
use crate::server::{Server, Written};
use crate::store::{Parsed, Stored};

/// Finalizer of an owner whose dependents go first.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an owner whose dependents are to be let go.
pub(crate) const ORPHAN: &str = "orphan";

/// What a delete did.
pub(crate) enum Deletion {
    /// The object stays for now; this is how.
    Marked(Written),
    /// It is gone; this was its last state.
    Gone(Written),
}

impl Deletion {
    /// The object afterwards.
    pub(crate) fn written(&self) -> &Written {
        match self {
            Self::Marked(written) | Self::Gone(written) => written,
        }
    }
}

impl Server {
    /// Deletes an object, or marks it when something holds it.
    pub(crate) fn delete(
        &mut self,
        call: &mut Call,
        options: &DeleteOptions,
    ) -> Result<Deletion, Status> {
        let resource = Arc::clone(&call.resource);
        let key = call.storage_key(&call.name);
        let stored = self.store.get(resource.table, &key).cloned();
        let stored = stored.ok_or_else(|| failure::not_found(&resource, &call.name))?;
        let before = self.store.parsed(&stored);
        let old = Arc::clone(&before.value);
        check_preconditions(&resource, &call.name, &stored, &old, options)?;
        self.admit(call, Operation::Delete, &mut Value::Null, Some(&old))?;
        // An eviction was asked about as such.
        if call.subresource.is_empty() {
            self.ask_policies(call, Operation::Delete, None, Some(before.tracked()))?;
        }
        let mut finalizers = settle_finalizers(&resource, &old, options);
        if is_definition(&resource)
            && !object::is_terminating(&old)
            && !finalizers.iter().any(|name| name == CLEANUP)
        {
            finalizers.push(CLEANUP.to_owned());
        }
        let graceful = resource
            .strategy
            .grace_period(&old, options.grace_period_seconds);
        let grace = graceful.unwrap_or(0);
        let held = !finalizers.is_empty() || holds_itself(&resource, &old);
        if grace == 0 && !held {
            let gone = self.delete_now(call, &key, before, graceful.is_some());
            return Ok(Deletion::Gone(gone));
        }
        let mut new = Value::clone(&old);
        set_finalizers(&mut new, finalizers);
        self.mark_terminating(call, &mut new, grace);
        if new == *old {
            return Ok(Deletion::Marked(Written::unchanged(before, &stored)));
        }
        let new = (new, before.managed.clone());
        if call.options.dry_run {
            return Ok(Deletion::Marked(Written::unstored(new, false)));
        }
        let marked = self.commit(&resource, &key, Some(before), new, false, call.author());
        Ok(Deletion::Marked(marked))
    }

    /// Deletes an object that nothing holds. A Pod is first marked as ending with a grace period of zero, in a commit of
    /// its own: a real server deletes what can be deleted gracefully in these two steps.
    fn delete_now(&mut self, call: &Call, key: &str, old: Parsed, graceful: bool) -> Written {
        let mut last = Value::clone(&old.value);
        let mut before = old;
        let period = last
            .at(&["metadata", "deletionGracePeriodSeconds"])
            .and_then(Value::as_i64);
        if graceful && period != Some(0) {
            set_finalizers(&mut last, Vec::new());
            self.mark_terminating(call, &mut last, 0);
            if !call.options.dry_run {
                let resource = Arc::clone(&call.resource);
                let ending = (last, before.managed.clone());
                let marked =
                    self.commit(&resource, key, Some(before), ending, false, call.author());
                last = Value::clone(&marked.object.value);
                before = marked.object;
            }
        }
        self.remove(call, key, before, last)
    }

    /// Sets the deletionTimestamp; a second time it can only move nearer (API-113, 117, 118).
    fn mark_terminating(&self, call: &Call, new: &mut Value, grace: i64) {
        let end = |start_ms: i64| (start_ms / 1000).saturating_add(grace);
        let wall = |seconds: i64| {
            jiff::Timestamp::from_second(seconds)
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
                .unwrap_or_default()
        };
        let now_ms = self.config.epoch.wall(call.now).as_millisecond();
        if !object::is_terminating(new) && is_definition(&call.resource) {
            // As a namespace: without a generation of its own.
            new["metadata"]["deletionTimestamp"] = Value::from(wall(now_ms / 1000));
            let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
            state(
                new,
                "Terminating",
                "True",
                "InstanceDeletionPending",
                message,
                &wall(now_ms / 1000),
            );
            return;
        }
        if !object::is_terminating(new) {
            mark(new, &wall(end(now_ms)), grace);
            if is_namespace(&call.resource) {
                new["status"]["phase"] = json!("Terminating");
            }
            return;
        }
        let metadata = &new["metadata"];
        let period = metadata
            .get("deletionGracePeriodSeconds")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        if grace >= period {
            return;
        }
        let due = timestamp::parse(object::meta_str(new, "deletionTimestamp"))
            .map_or(0, jiff::Timestamp::as_second);
        let start = due.saturating_sub(period);
        let due = start.saturating_add(grace).max(now_ms / 1000);
        new["metadata"]["deletionTimestamp"] = Value::from(wall(due));
        new["metadata"]["deletionGracePeriodSeconds"] = Value::from(grace);
    }
}

fn mark(object: &mut Value, timestamp: &str, grace: i64) {
    let metadata = &mut object["metadata"];
    metadata["deletionTimestamp"] = Value::from(timestamp);
    metadata["deletionGracePeriodSeconds"] = Value::from(grace);
    if let Some(generation) = metadata
        .get("generation")
        .and_then(Value::as_i64)
        .filter(|generation| *generation > 0)
    {
        metadata["generation"] = Value::from(generation + 1);
    }
}

pub(crate) fn is_namespace(resource: &Resource) -> bool {
    resource.kind() == "Namespace" && resource.group.is_empty()
}

/// Whether something else than finalizers in its metadata holds the object: a Namespace has its own.
fn holds_itself(resource: &Resource, old: &Value) -> bool {
    is_namespace(resource)
        && old
            .at(&["spec", "finalizers"])
            .and_then(Value::as_array)
            .is_some_and(|left| !left.is_empty())
}

/// UID and resourceVersion of the options must be those of the object (API-119).
fn check_preconditions(
    resource: &Resource,
    name: &str,
    stored: &Stored,
    old: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != &*stored.uid) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            stored.uid
        );
        return Err(failure::precondition(resource, name, &why));
    }
    let revision = object::resource_version(old);
    if let Some(wanted) = options
        .resource_version
        .as_deref()
        .filter(|wanted| *wanted != revision)
    {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({revision}). The object might have been modified"
        );
        return Err(failure::precondition(resource, name, &why));
    }
    Ok(())
}

/// The finalizers after the propagation policy has been written into them (API-116).
fn settle_finalizers(resource: &Resource, old: &Value, options: &DeleteOptions) -> Vec<String> {
    let has = |name: &str| object::finalizers(old).any(|finalizer| finalizer == name);
    let policy = options.propagation.unwrap_or_else(|| {
        if has(ORPHAN) {
            Propagation::Orphan
        } else if has(FOREGROUND) {
            Propagation::Foreground
        } else {
            resource.strategy.default_propagation()
        }
    });
    let mut finalizers: Vec<String> = object::finalizers(old).map(str::to_owned).collect();
    let wanted = match policy {
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
        Propagation::Background => None,
    };
    finalizers.retain(|finalizer| {
        (finalizer != FOREGROUND && finalizer != ORPHAN) || Some(finalizer.as_str()) == wanted
    });
    if let Some(wanted) = wanted.filter(|wanted| {
        resource.strategy.collects_garbage()
            && !finalizers.iter().any(|finalizer| finalizer == wanted)
    }) {
        finalizers.push(wanted.to_owned());
    }
    finalizers
}

fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        } else {
            metadata.insert("finalizers".to_owned(), Value::from(finalizers));
        }
    }
}
