//! Client-side apply: a three-way patch computed here (SYNC-089, SYNC-091).

use std::time::Duration;

use wavetank_json::{Map, Value};
use wavetank_model::patch::apply::LAST_APPLIED;
use wavetank_model::schema::{self, SchemaRef};
use wavetank_model::{GroupVersionKind, PatchType, Propagation, object, patch};

use super::output::{
    cannot_retrieve, clean_error, deleting, done, missing_annotation, with_warnings,
};
use super::write::Writer;
use super::{RETRIES, rbac};
use crate::engine::CallError;

/// Pause between two tries of a conflicting patch, after the first.
const BACK_OFF: Duration = Duration::from_secs(1);

impl Writer<'_> {
    /// For RBAC objects a reconcile; then GET, and POST or a three-way PATCH.
    pub(super) async fn client_side_apply(&self) -> Result<String, String> {
        if self.place.name.is_empty() {
            let generate = object::meta_str(&self.ask.target, "generateName");
            return Err(format!(
                "from {generate}: cannot use generate name with apply"
            )); // SYNC-025
        }
        Ok(self.reconciled().await? + &self.apply().await?)
    }

    /// What an RBAC object's reconcile says; nothing of others. What its apply says follows without a separator
    /// (SYNC-093).
    pub(super) async fn reconciled(&self) -> Result<String, String> {
        if rbac::applies_to(self.ask) {
            self.reconcile_rbac().await
        } else {
            Ok(String::new())
        }
    }

    async fn apply(&self) -> Result<String, String> {
        let live = match self.connection.get(self.place).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => return self.create_annotated().await,
            Err(error) => {
                return Err(clean_error(&cannot_retrieve(
                    self.ask,
                    &self.place.plural,
                    &error.to_string(),
                )));
            }
        };
        let mut warnings = Vec::new();
        if object::annotation(&live, LAST_APPLIED).is_none() {
            warnings.push(missing_annotation(&self.place.plural, &self.place.name));
        }
        let modified = annotated(&self.ask.target);
        let outcome = if self.ask.dry_run {
            self.patch_locally(&modified, &live)
        } else {
            self.patch_with_retries(&modified, live).await
        };
        match outcome {
            Ok(patched) => {
                if patched.is_deleting {
                    warnings.push(deleting(&self.place.name));
                }
                Ok(with_warnings(done(self.ask, patched.operation), &warnings))
            }
            Err(error) => Err(clean_error(&error.to_string())),
        }
    }

    fn manager(&self) -> [(&'static str, &str); 1] {
        [("fieldManager", self.ask.manager.as_str())]
    }

    async fn create_annotated(&self) -> Result<String, String> {
        if !self.ask.dry_run {
            let mut object = annotated(&self.ask.target);
            // The annotation keeps them, as it would after a patch.
            drop_nulls(&mut object);
            let outcome = self
                .connection
                .post(self.place, &object, &self.manager())
                .await;
            outcome.map_err(|error| clean_error(&error.to_string()))?;
        }
        Ok(done(self.ask, "created"))
    }

    /// Patches, again with a fresh object after a conflict, by force where that is wanted; gives the operation's name.
    async fn patch_with_retries(
        &self,
        modified: &Value,
        mut live: Value,
    ) -> Result<Patched, CallError> {
        let mut outcome = self.patch(modified, &live).await;
        for attempt in 1..=RETRIES {
            if !outcome.as_ref().is_err_and(CallError::is_conflict) {
                break;
            }
            if attempt > 1 {
                self.clock.sleep(BACK_OFF).await;
            }
            live = self.connection.get(self.place).await?;
            outcome = self.patch(modified, &live).await;
        }
        let by_force = |error: &CallError| matches!(error, CallError::Api(status) if status.code == 422 || status.is_conflict());
        match outcome {
            Err(error) if self.ask.force && by_force(&error) => {
                self.recreate(modified, &live).await
            }
            outcome => outcome,
        }
    }

    async fn patch(&self, modified: &Value, live: &Value) -> Result<Patched, CallError> {
        let original = last_applied_of(live);
        let (patch_type, patch) = three_way(&self.ask.resource.gvk, &original, modified, live)?;
        if patch.as_object().is_none_or(Map::is_empty) {
            return Ok(Patched::new("unchanged", live));
        }
        let patched = self
            .connection
            .patch(self.place, patch_type, &patch, &self.manager())
            .await?;
        Ok(Patched::new("configured", &patched))
    }

    /// A dry run computes the patch, too.
    fn patch_locally(&self, modified: &Value, live: &Value) -> Result<Patched, CallError> {
        let original = last_applied_of(live);
        let (_, patch) = three_way(&self.ask.resource.gvk, &original, modified, live)?;
        let is_empty = patch.as_object().is_none_or(Map::is_empty);
        let operation = if is_empty { "unchanged" } else { "configured" };
        Ok(Patched::new(operation, live))
    }

    /// DELETE, POST; the object of before comes back when the new one is refused. kubectl's patience is none here: an
    /// object that is not gone at once is an error.
    async fn recreate(&self, modified: &Value, live: &Value) -> Result<Patched, CallError> {
        self.connection
            .delete(self.place, Propagation::Background)
            .await?;
        match self.connection.get(self.place).await {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(CallError::Transport("context deadline exceeded".to_owned()));
            }
        }
        let created = self
            .connection
            .post(self.place, modified, &self.manager())
            .await;
        let refused = match created {
            Ok(created) => {
                return Ok(Patched {
                    operation: "configured",
                    is_deleting: created.is_terminating(),
                });
            }
            Err(refused) => refused,
        };
        let mut before = live.clone();
        crate::target::metadata(&mut before).remove("resourceVersion");
        match self
            .connection
            .post(self.place, &before, &self.manager())
            .await
        {
            Ok(_) => Err(refused),
            Err(error) => Err(CallError::Transport(format!(
                "An error occurred force-replacing the existing object with the newly provided one:\n\n{refused}.\n\nAdditionally, an error occurred attempting to restore the original object:\n\n{error}"
            ))),
        }
    }
}

/// What became of an object.
struct Patched {
    operation: &'static str,
    is_deleting: bool,
}

impl Patched {
    fn new(operation: &'static str, object: &Value) -> Self {
        Self {
            operation,
            is_deleting: object::is_terminating(object),
        }
    }
}

/// What was applied last, by the annotation; null without one.
pub(crate) fn last_applied_of(live: &Value) -> Value {
    object::annotation(live, LAST_APPLIED)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// The target with the annotation that holds it.
pub(crate) fn annotated(target: &Value) -> Value {
    let mut object = target.clone();
    let annotations = crate::target::annotations(&mut object);
    annotations.remove(LAST_APPLIED);
    let text = last_applied(&object);
    crate::target::annotations(&mut object).insert(LAST_APPLIED.to_owned(), text.into());
    object
}

/// Takes fields that are null away, items of lists left alone: what kubectl creates has none.
fn drop_nulls(value: &mut Value) {
    if !has_null(value) {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(|value| value.is_null() || has_null(value)),
        Value::Array(items) => items.iter().any(has_null),
        _ => false,
    }
}

/// The object as Go's encoder writes it: keys sorted, `<`, `>`, `&` escaped, with a line end.
fn last_applied(object: &Value) -> String {
    let mut text = object.to_string();
    // The first byte of the two line ends is one of many letters, too.
    let is_plain = |byte: u8| !matches!(byte, b'<' | b'>' | b'&' | 0xe2);
    if text.bytes().all(is_plain) {
        text.push('\n');
        return text;
    }
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out.push('\n');
    out
}

/// Groups that a real server has built in, but whose types kubectl does not know: it sends merge patches for them.
const UNKNOWN_TO_KUBECTL: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

/// The type that clients know of a kind: they know none of CRDs and `APIServices`.
pub(crate) fn typed(gvk: &GroupVersionKind) -> Option<SchemaRef<'static>> {
    schema::builtin(gvk).filter(|_| !UNKNOWN_TO_KUBECTL.contains(&gvk.group.as_str()))
}

/// The patch from `live` to `modified` that also removes what `original` had and `modified` has not: strategic for
/// built-in kinds, a merge patch for custom resources, CRDs and `APIServices`.
pub(super) fn three_way(
    gvk: &GroupVersionKind,
    original: &Value,
    modified: &Value,
    live: &Value,
) -> Result<(PatchType, Value), CallError> {
    let Some(schema) = typed(gvk) else {
        return Ok((
            PatchType::Merge,
            patch::three_way_merge(original, modified, live),
        ));
    };
    match patch::three_way_strategic(original, modified, live, schema) {
        Ok(patch) => Ok((PatchType::Strategic, patch)),
        Err(error) => Err(CallError::Transport(format!(
            "creating patch with:\n{error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    /// SYNC-091: what is created has no null fields; those of lists stay.
    #[test]
    fn nulls_are_not_created() {
        let mut object =
            json!({"data": {"a": null, "b": {"c": null, "d": [null, {"e": null, "f": 1}]}}});
        drop_nulls(&mut object);
        assert_eq!(object, json!({"data": {"b": {"d": [null, {"f": 1}]}}}));
    }

    /// SYNC-091: what is sent holds itself, without what it held before.
    #[test]
    fn the_annotation_holds_the_object_as_go_writes_it() {
        let target = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "a<b"}, "metadata": {"name": "c"}});
        let object = annotated(&annotated(&target));
        assert_eq!(
            object::annotation(&object, LAST_APPLIED),
            Some(
                "{\"apiVersion\":\"v1\",\"data\":{\"k\":\"a\\u003cb\"},\"kind\":\"ConfigMap\",\"metadata\":{\"annotations\":{},\"name\":\"c\"}}\n"
            )
        );
    }
}
