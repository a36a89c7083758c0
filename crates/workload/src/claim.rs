//! Who controls what: objects without controller that a selector picks are adopted, controlled ones that it no longer
//! picks are released, as the controllers of a real cluster do.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::object::At;
use wavetank_model::{GroupKind, ObjectKey, PatchType, Status, object};

use crate::context::{Context, MANAGER};
use crate::read::{controller_reference, flag, text};
use crate::selectors::{Labelled, Pickers, picks};

const LABELS: &[&str] = &["metadata", "labels"];

/// Objects without controller, and who may want them.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Pods, `ReplicaSets` and `ControllerRevisions` that nobody controls.
    orphans: Labelled,
    owners: Pickers,
}

/// Whether objects of this kind adopt others, and their selector.
fn selector(key: &ObjectKey, owner: &Value) -> Option<Value> {
    let adopts = match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Deployment") => true,
        // The selector of any other Job picks the Pods that it made alone.
        ("batch", "Job") => flag(owner, &["spec", "manualSelector"]),
        _ => false,
    };
    if adopts {
        owner.at(&["spec", "selector"]).cloned()
    } else {
        None
    }
}

impl Claims {
    /// A Pod, `ReplicaSet` or `ControllerRevision` came, changed or went: gives those who are to look at it now. A
    /// revision waits for the next look at a set.
    pub(crate) fn note_object(
        &mut self,
        key: &Arc<ObjectKey>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Vec<Arc<ObjectKey>> {
        let is_orphan = |item: &&Value| object::controller(item).is_none();
        let (was, is) = (old.filter(is_orphan), new.filter(is_orphan));
        let same = matches!((was, is), (Some(was), Some(is)) if was.at(LABELS) == is.at(LABELS));
        if same {
            return Vec::new();
        }
        if let Some(was) = was {
            self.orphans.remove(key, was);
        }
        let Some(new) = is else {
            return Vec::new();
        };
        self.orphans.insert(key, new);
        if object::is_terminating(new) || key.kind == "ControllerRevision" {
            return Vec::new();
        }
        let by = |owner: &ObjectKey| (owner.kind == "Deployment") == (key.kind == "ReplicaSet");
        let owners = self.owners.of(&key.namespace, new);
        owners.into_iter().filter(|owner| by(owner)).collect()
    }

    /// Somebody who adopts came, changed its selector or went.
    pub(crate) fn note_owner(
        &mut self,
        key: &Arc<ObjectKey>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let selector = |owner: Option<&Value>| owner.and_then(|owner| selector(key, owner));
        if old.is_some() && new.is_some() {
            // Selectors do not change.
            return;
        }
        self.owners
            .note(key, selector(old).as_ref(), selector(new).as_ref());
    }
}

/// The Pods of `owner`, after it adopted those it may have and released those it may not. `fits` says what beside the
/// selector makes a Pod one of its own; `finalizer` is what its Pods carry.
pub(crate) fn pods(
    owner: &Value,
    finalizer: Option<&str>,
    fits: impl Fn(&Value) -> bool,
    context: &mut Context<'_>,
) -> Result<Vec<Arc<Value>>, Status> {
    objects(owner, &GroupKind::new("", "Pod"), finalizer, fits, context)
}

/// The revisions of a `StatefulSet` or `DaemonSet`, after it adopted those it may have. One that the selector does not
/// pick is released by a `DaemonSet`, and passed over by a `StatefulSet`.
pub(crate) fn revisions(
    owner: &Value,
    context: &mut Context<'_>,
) -> Result<Vec<Arc<Value>>, Status> {
    let kind = GroupKind::new("apps", "ControllerRevision");
    if text(owner, &["kind"]) == "DaemonSet" {
        return objects(owner, &kind, None, |_| true, context);
    }
    let selector = owner.at(&["spec", "selector"]).unwrap_or(&Value::Null);
    let is_own = |item: &Value| picks(selector, item);
    let mut controlled = controlled(owner, &kind, context);
    controlled.retain(|item| is_own(item));
    adopt(owner, &kind, None, is_own, &mut controlled, context)?;
    Ok(controlled)
}

fn controlled(owner: &Value, kind: &GroupKind, context: &Context<'_>) -> Vec<Arc<Value>> {
    let uid = object::uid(owner);
    let mut out = context.api.owned(kind, uid);
    out.retain(|item| object::controller(item).is_some_and(|controller| controller.uid == uid));
    out
}

/// The objects of `kind` that `owner` controls, after it adopted and released.
pub(crate) fn objects(
    owner: &Value,
    kind: &GroupKind,
    finalizer: Option<&str>,
    fits: impl Fn(&Value) -> bool,
    context: &mut Context<'_>,
) -> Result<Vec<Arc<Value>>, Status> {
    let mut controlled = controlled(owner, kind, context);
    if object::is_terminating(owner) {
        return Ok(controlled);
    }
    let selector = owner.at(&["spec", "selector"]).unwrap_or(&Value::Null);
    let is_own = |item: &Value| picks(selector, item) && fits(item);
    if controlled.iter().any(|item| !is_own(item)) {
        for lost in controlled.iter().filter(|item| !is_own(item)) {
            release(lost, owner, finalizer, context)?;
        }
        controlled.retain(|item| is_own(item));
    }
    adopt(owner, kind, finalizer, is_own, &mut controlled, context)?;
    Ok(controlled)
}

/// Adds what nobody controls and `owner` may have to what it controls.
fn adopt(
    owner: &Value,
    kind: &GroupKind,
    finalizer: Option<&str>,
    is_own: impl Fn(&Value) -> bool,
    controlled: &mut Vec<Arc<Value>>,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let selector = owner.at(&["spec", "selector"]).unwrap_or(&Value::Null);
    let mut adopted = false;
    let candidates = context
        .claims
        .orphans
        .candidates(object::namespace(owner), selector);
    for key in candidates.into_iter().filter(|key| key.kind == kind.kind) {
        let Some(item) = context.api.get(&key) else {
            continue;
        };
        if object::controller(&item).is_some() || object::is_terminating(&item) || !is_own(&item) {
            continue;
        }
        let mut patch = json!({"metadata": {
            "uid": object::uid(&item),
            "ownerReferences": [controller_reference(owner)],
        }});
        if let Some(finalizer) = finalizer {
            patch["metadata"]["finalizers"] = json!([finalizer]);
        }
        match context
            .api
            .patch(MANAGER, &key, "", PatchType::Strategic, patch)
        {
            Ok(item) => controlled.push(item),
            Err(status) if status.is_not_found() => {}
            Err(status) => return Err(status),
        }
        adopted = true;
    }
    if adopted {
        controlled.sort_by(|one, other| object::name(one).cmp(object::name(other)));
    }
    Ok(())
}

fn release(
    item: &Value,
    owner: &Value,
    finalizer: Option<&str>,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let (group, _) = wavetank_model::key::split_api_version(
        item.get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or("v1"),
    );
    let kind = item.get("kind").and_then(Value::as_str).unwrap_or("Pod");
    let key = ObjectKey::new(group, kind, object::namespace(item), object::name(item));
    let mut patch = json!({"metadata": {
        "uid": object::uid(item),
        "ownerReferences": [{"$patch": "delete", "uid": object::uid(owner)}],
    }});
    if let Some(finalizer) = finalizer {
        patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
    }
    match context
        .api
        .patch(MANAGER, &key, "", PatchType::Strategic, patch)
    {
        Err(status) if !status.is_not_found() => Err(status),
        _ => Ok(()),
    }
}
