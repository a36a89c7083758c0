//! The `ReplicaSets` of a Deployment: one per template, numbered by revision (API-342).

use wavetank_json::{Map, Value, json};
use wavetank_model::object::At;
use wavetank_model::patch::apply::LAST_APPLIED;
use wavetank_model::{DeleteOptions, ObjectKey, Status, object};

use super::{Rollout, SOURCE, age, counter, progress, wanted};
use crate::context::{Context, MANAGER};
use crate::events::Kind;
use crate::hash;
use crate::read::{condition, controller_reference, int, map, status_of, text};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HASH_LABEL: &str = "pod-template-hash";
/// Annotations of a Deployment that its sets do not get.
const OWN: [&str; 6] = [
    LAST_APPLIED,
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

fn revision(set: &Value) -> i64 {
    object::annotation(set, REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

impl Rollout {
    /// Finds the set with the current template: the oldest, if there are several.
    pub(super) fn find_new(&mut self) {
        let empty = Value::Null;
        let template = self.deployment.at(&["spec", "template"]).unwrap_or(&empty);
        self.new = (0..self.sets.len())
            .filter(|index| {
                same_template(
                    template,
                    self.sets[*index]
                        .at(&["spec", "template"])
                        .unwrap_or(&empty),
                )
            })
            .min_by_key(|index| age(&self.sets[*index]));
    }

    /// Numbers the set with the current template as the newest; makes it if `create` and it is not there.
    pub(super) fn sync_revision(
        &mut self,
        create: bool,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let newest_old = (0..self.sets.len())
            .filter(|index| Some(*index) != self.new)
            .map(|index| revision(&self.sets[index]))
            .max();
        let next = newest_old.unwrap_or(0) + 1;
        match self.new {
            Some(index) => self.adopt_revision(index, next, context),
            None if create => self.create_set(next, context),
            None => Ok(()),
        }
    }

    fn adopt_revision(
        &mut self,
        index: usize,
        next: i64,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let set = &self.sets[index];
        let mut annotations = map(set, &["metadata", "annotations"])
            .cloned()
            .unwrap_or_default();
        self.copy_annotations(&mut annotations);
        let old = revision(set);
        if old < next
            && let Some(Value::String(old)) =
                annotations.insert(REVISION.to_owned(), next.to_string().into())
        {
            let history = match annotations.get(HISTORY).and_then(Value::as_str) {
                Some(history) if !history.is_empty() => format!("{history},{old}"),
                _ => old,
            };
            annotations.insert(HISTORY.to_owned(), history.into());
        }
        let min_ready = int(&self.deployment, &["spec", "minReadySeconds"]).unwrap_or(0);
        let same_wait = int(set, &["spec", "minReadySeconds"]).unwrap_or(0) == min_ready;
        if map(set, &["metadata", "annotations"]) != Some(&annotations) || !same_wait {
            let mut set = Value::clone(set);
            set["metadata"]["annotations"] = Value::Object(annotations);
            if !same_wait {
                set["spec"]["minReadySeconds"] = min_ready.into();
            }
            self.sets[index] = context.api.update(MANAGER, set, "")?;
        }
        let set = &self.sets[index];
        let number = revision(set).to_string();
        let found = condition(&self.deployment, "Progressing").is_none()
            && progress::has_deadline(&self.deployment);
        let message = found.then(|| {
            (
                "FoundNewReplicaSet",
                format!("Found new replica set \"{}\"", object::name(set)),
            )
        });
        self.note_revision(&number, message, context)
    }

    /// Writes the revision annotation and a Progressing condition, with the status, if they are new.
    fn note_revision(
        &mut self,
        number: &str,
        progressing: Option<(&str, String)>,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let renumbered = object::annotation(&self.deployment, REVISION) != Some(number);
        if !renumbered && progressing.is_none() {
            return Ok(());
        }
        let mut status = status_of(&self.deployment);
        if let Some((reason, message)) = progressing {
            progress::set_condition(
                &mut status,
                "Progressing",
                "True",
                reason,
                &message,
                &context.api.timestamp(),
            );
        }
        let mut deployment = crate::read::with_status(&self.deployment, status);
        if renumbered {
            let mut annotations = map(&self.deployment, &["metadata", "annotations"])
                .cloned()
                .unwrap_or_default();
            annotations.insert(REVISION.to_owned(), number.into());
            deployment["metadata"]["annotations"] = Value::Object(annotations);
        }
        self.deployment = context.api.update(MANAGER, deployment, "status")?;
        Ok(())
    }

    fn copy_annotations(&self, annotations: &mut Map) {
        for (key, value) in map(&self.deployment, &["metadata", "annotations"])
            .into_iter()
            .flatten()
        {
            if !OWN.contains(&key.as_str()) && annotations.get(key) != Some(value) {
                annotations.insert(key.clone(), value.clone());
            }
        }
    }

    fn create_set(&mut self, number: i64, context: &mut Context<'_>) -> Result<(), Status> {
        let set = self.blank_set(number);
        let key = ObjectKey::new(
            "apps",
            "ReplicaSet",
            object::namespace(&set),
            object::name(&set),
        );
        let created = match context.api.create(MANAGER, set) {
            Ok(created) => created,
            Err(refusal) if refusal.is_already_exists() => {
                return self.note_collision(&key, refusal, context);
            }
            Err(refusal) => return self.note_refusal(&key.name, refusal, context),
        };
        let replicas = wanted(&created);
        if replicas > 0 {
            context.event(
                SOURCE,
                &self.deployment,
                Kind::Normal,
                "ScalingReplicaSet",
                format_args!("Scaled up replica set {} from 0 to {replicas}", key.name),
            );
        }
        let message = progress::has_deadline(&self.deployment).then(|| {
            (
                "NewReplicaSetCreated",
                format!("Created new replica set \"{}\"", object::name(&created)),
            )
        });
        self.sets.push(created);
        self.new = Some(self.sets.len() - 1);
        self.note_revision(&number.to_string(), message, context)
    }

    fn blank_set(&self, number: i64) -> Value {
        let deployment = &self.deployment;
        let mut template = deployment
            .at(&["spec", "template"])
            .cloned()
            .unwrap_or_default();
        let hash = hash::template(&template, int(deployment, &["status", "collisionCount"]));
        let mut labels = map(&template, &["metadata", "labels"])
            .cloned()
            .unwrap_or_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone().into());
        template["metadata"]["labels"] = Value::Object(labels.clone());
        let mut selector = deployment
            .at(&["spec", "selector"])
            .cloned()
            .unwrap_or_default();
        selector["matchLabels"][HASH_LABEL] = hash.clone().into();
        let mut annotations = Map::new();
        self.copy_annotations(&mut annotations);
        let replicas = self.replicas();
        annotations.insert(REVISION.to_owned(), number.to_string().into());
        annotations.insert(DESIRED.to_owned(), replicas.to_string().into());
        annotations.insert(
            MAX.to_owned(),
            (replicas + self.max_surge()).to_string().into(),
        );
        let mut spec =
            json!({"replicas": self.new_replicas(0), "selector": selector, "template": template});
        if let Some(seconds) = int(deployment, &["spec", "minReadySeconds"]) {
            spec["minReadySeconds"] = seconds.into();
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{hash}", self.name()),
                "namespace": object::namespace(deployment),
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [controller_reference(deployment)],
            },
            "spec": spec,
        })
    }

    /// Another object has the set's name: the next look uses another hash.
    fn note_collision(
        &mut self,
        key: &ObjectKey,
        refusal: Status,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let mut status = status_of(&self.deployment);
        let count = int(&self.deployment, &["status", "collisionCount"]).unwrap_or(0);
        let own = context.api.get(key).is_some_and(|set| {
            object::controller(&set).is_some_and(|owner| owner.uid == object::uid(&self.deployment))
                && !object::is_terminating(&set)
        });
        if !own {
            status.insert("collisionCount".to_owned(), (count + 1).into());
            self.write(status, context)?;
        }
        Err(refusal)
    }

    fn note_refusal(
        &mut self,
        name: &str,
        refusal: Status,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        if progress::has_deadline(&self.deployment) {
            let message = format!(
                "Failed to create new replica set \"{name}\": {}",
                refusal.message
            );
            let mut status = status_of(&self.deployment);
            progress::set_condition(
                &mut status,
                "Progressing",
                "False",
                "ReplicaSetCreateError",
                &message,
                &context.api.timestamp(),
            );
            self.write(status, context)?;
        }
        Err(refusal)
    }

    /// Deletes the oldest sets without Pods beyond `revisionHistoryLimit`.
    pub(super) fn clean_up(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        let limit = int(&self.deployment, &["spec", "revisionHistoryLimit"]).unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or(0);
        let mut old: Vec<usize> = (0..self.sets.len())
            .filter(|index| Some(*index) != self.new && !object::is_terminating(&self.sets[*index]))
            .collect();
        if old.len() <= limit {
            return Ok(());
        }
        old.sort_by_key(|index| (revision(&self.sets[*index]), age(&self.sets[*index])));
        for index in &old[..old.len() - limit] {
            let set = &self.sets[*index];
            let settled =
                int(set, &["status", "observedGeneration"]).unwrap_or(0) >= object::generation(set);
            if counter(set, "replicas") != 0 || wanted(set) != 0 || !settled {
                continue;
            }
            let key = ObjectKey::new(
                "apps",
                "ReplicaSet",
                object::namespace(set),
                object::name(set),
            );
            match context.api.delete(MANAGER, &key, &DeleteOptions::default()) {
                Err(status) if !status.is_not_found() => return Err(status),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether two Pod templates are the same but for the hash label.
fn same_template(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return one == other;
    };
    let rest = |template: &Map| {
        template
            .iter()
            .filter(|(key, _)| *key != "metadata")
            .count()
    };
    rest(one) == rest(other)
        && one
            .iter()
            .all(|(key, value)| key == "metadata" || other.get(key) == Some(value))
        && same_metadata(one.get("metadata"), other.get("metadata"))
}

fn same_metadata(one: Option<&Value>, other: Option<&Value>) -> bool {
    let empty = Value::Null;
    let (one, other) = (one.unwrap_or(&empty), other.unwrap_or(&empty));
    let pairs = |template: &'_ Value, field: &str| -> Vec<(String, Value)> {
        let pairs = map(template, &[field]).into_iter().flatten();
        pairs
            .filter(|(key, _)| *key != HASH_LABEL)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    text(one, &["name"]) == text(other, &["name"])
        && ["labels", "annotations"]
            .iter()
            .all(|field| pairs(one, field) == pairs(other, field))
        && one.get("finalizers") == other.get("finalizers")
}
