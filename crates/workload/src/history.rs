//! `ControllerRevisions`: the templates a `StatefulSet` or `DaemonSet` has had (API-347, API-349).

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::object::At;
use wavetank_model::{DeleteOptions, ObjectKey, Status, object};

use crate::claim;
use crate::context::{Context, MANAGER};
use crate::hash;
use crate::read::{controller_reference, int, map};

/// The revisions of an owner, oldest first, the last being that of its present template.
pub(crate) struct History {
    pub(crate) revisions: Vec<Arc<Value>>,
}

fn number(revision: &Value) -> i64 {
    int(revision, &["revision"]).unwrap_or(0)
}

fn data(owner: &Value) -> Value {
    let mut template = owner.at(&["spec", "template"]).cloned().unwrap_or_default();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

impl History {
    /// Reads the revisions, and makes or renumbers that of the present template. Its hash is kept in the label `label`.
    pub(crate) fn sync(
        owner: &Value,
        label: &str,
        context: &mut Context<'_>,
    ) -> Result<Self, Status> {
        let mut revisions = claim::revisions(owner, context)?;
        revisions.sort_by_key(|revision| (number(revision), object::name(revision).to_owned()));
        let wanted = data(owner);
        let newest = revisions.last().map_or(0, |revision| number(revision));
        if let Some(index) = revisions
            .iter()
            .rposition(|revision| revision.get("data") == Some(&wanted))
        {
            let mut revision = revisions.remove(index);
            if number(&revision) < newest {
                let mut renumbered = Value::clone(&revision);
                renumbered["revision"] = (newest + 1).into();
                revision = context.api.update(MANAGER, renumbered, "")?;
            }
            revisions.push(revision);
        } else {
            let revision = blank(owner, label, wanted, newest + 1);
            revisions.push(context.api.create(MANAGER, revision)?);
        }
        Ok(Self { revisions })
    }

    /// The revision of the present template.
    pub(crate) fn present(&self) -> Option<&Arc<Value>> {
        self.revisions.last()
    }

    /// The revision of that name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Value>> {
        self.revisions
            .iter()
            .find(|revision| object::name(revision) == name)
    }

    /// Deletes the oldest revisions that nothing uses, beyond the owner's `revisionHistoryLimit`.
    pub(crate) fn truncate(
        &self,
        owner: &Value,
        used: impl Fn(&Value) -> bool,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let limit = usize::try_from(int(owner, &["spec", "revisionHistoryLimit"]).unwrap_or(10))
            .unwrap_or(0);
        let Some((_, past)) = self.revisions.split_last() else {
            return Ok(());
        };
        let unused: Vec<&Arc<Value>> = past.iter().filter(|revision| !used(revision)).collect();
        for revision in unused.iter().take(unused.len().saturating_sub(limit)) {
            let key = ObjectKey::new(
                "apps",
                "ControllerRevision",
                object::namespace(revision),
                object::name(revision),
            );
            match context.api.delete(MANAGER, &key, &DeleteOptions::default()) {
                Err(status) if !status.is_not_found() => return Err(status),
                _ => {}
            }
        }
        Ok(())
    }
}

fn blank(owner: &Value, label: &str, data: Value, number: i64) -> Value {
    let collisions = int(owner, &["status", "collisionCount"]).filter(|count| *count > 0);
    let hash = hash::template(
        data.at(&["spec", "template"]).unwrap_or(&Value::Null),
        collisions,
    );
    let mut labels = map(owner, &["spec", "template", "metadata", "labels"])
        .cloned()
        .unwrap_or_default();
    labels.insert(label.to_owned(), hash.clone().into());
    let mut revision = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{}-{hash}", object::name(owner)),
            "namespace": object::namespace(owner),
            "labels": labels,
            "ownerReferences": [controller_reference(owner)],
        },
        "data": data,
        "revision": number,
    });
    if let Some(annotations) = owner.at(&["metadata", "annotations"]) {
        revision["metadata"]["annotations"] = annotations.clone();
    }
    revision
}

/// `owner` with the template of `revision`.
pub(crate) fn with_template(owner: &Value, revision: &Value) -> Value {
    let mut owner = owner.clone();
    if let Some(template) = revision.at(&["data", "spec", "template"]) {
        let mut template = template.clone();
        if let Some(fields) = template.as_object_mut() {
            fields.remove("$patch");
        }
        owner["spec"]["template"] = template;
    }
    owner
}
