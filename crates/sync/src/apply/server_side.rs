//! Server-side apply, and taking over what client-side apply owned (SYNC-092, SYNC-096).
//!
//! Fields change hands twice: the engine looks for one manager before the apply; kubectl looks after it for every manager
//! that owns the annotation of a client-side apply, whatever the engine's option says.

use serde_json::{Map, Value, json};
use wavetank_model::{PatchType, object};

use super::client_side::LAST_APPLIED;
use super::output::{clean_error, done, with_warning};
use super::write::Writer;
use super::{CONFLICT_PAUSE, RETRIES};
use crate::engine::CallError;

impl Writer<'_> {
    /// One PATCH that takes every field it names.
    pub(super) async fn server_side_apply(&self) -> Result<String, String> {
        if self.ask.force {
            return Err(
                "error validating options: --force cannot be used with --server-side".to_owned(),
            );
        }
        self.migrate().await?;
        let applied = self
            .apply_patch()
            .await
            .map_err(|error| clean_error(&error.to_string()))?;
        let warning = self.migrate_afterwards(applied).await;
        Ok(with_warning(done(self.ask, "serverside-applied"), warning))
    }

    async fn apply_patch(&self) -> Result<Value, CallError> {
        let query = [
            ("fieldManager", self.ask.manager.as_str()),
            ("force", "true"),
        ];
        self.connection
            .patch(self.place, PatchType::Apply, &self.ask.target, &query)
            .await
    }

    /// kubectl's own migration: whoever owns the annotation by Update loses its fields to us, and the object is applied
    /// again, so that the annotation and what is no longer wanted go. Errors are warnings.
    async fn migrate_afterwards(&self, mut applied: Value) -> Option<String> {
        for attempt in 1..=RETRIES {
            let owners: Vec<String> = managers(&applied)
                .filter(|entry| entry["operation"] == "Update" && owns_last_applied(entry))
                .filter_map(|entry| Some(entry.get("manager")?.as_str()?.to_owned()))
                .collect();
            if owners.is_empty() {
                return None;
            }
            match self
                .take_over(
                    &applied,
                    &owners,
                    &[("fieldManager", self.ask.manager.as_str())],
                )
                .await
            {
                Ok(_) => break,
                Err(error) if error.is_conflict() && attempt < RETRIES => {
                    match self.connection.get(self.place).await {
                        Ok(fresh) => applied = fresh,
                        Err(error) => return Some(migration_failed(&error)),
                    }
                }
                Err(error) => return Some(migration_failed(&error)),
            }
        }
        let again = self.apply_patch().await;
        again.err().map(|error| {
            format!(
                "Warning: failed to re-apply configuration after performing Server-Side Apply migration. This is non-fatal and will be retried next time you apply. Error: {error}"
            )
        })
    }

    /// The JSON patch that moves the fields of managers to ours.
    async fn take_over(
        &self,
        object: &Value,
        from: &[String],
        query: &[(&'static str, &str)],
    ) -> Result<Value, CallError> {
        let patch = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": upgraded(object, from, &self.ask.manager)},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": object::resource_version(object)},
        ]);
        self.connection
            .patch(self.place, PatchType::Json, &patch, query)
            .await
    }

    /// Moves the fields of the client-side manager to ours, when the snapshot says that it has any (SYNC-096).
    async fn migrate(&self) -> Result<(), String> {
        let (Some(from), Some(live)) = (&self.ask.migrate_from, &self.ask.live) else {
            return Ok(());
        };
        if !is_owned_by_update(live, from) {
            return Ok(());
        }
        self.migrate_with_retries(from).await.map_err(|error| {
            let key = &self.ask.key;
            format!(
                "Failed to perform client-side apply migration for {{{} {} {} {}}}: {error}",
                key.group, key.kind, key.namespace, key.name
            )
        })
    }

    async fn migrate_with_retries(&self, from: &str) -> Result<(), CallError> {
        let mut attempt = 0;
        loop {
            let fresh = self.connection.get(self.place).await?;
            if !is_owned_by_update(&fresh, from) {
                return Ok(());
            }
            attempt += 1;
            let from = [from.to_owned()];
            match self.take_over(&fresh, &from, &[]).await {
                Err(error) if error.is_conflict() && attempt < RETRIES => {
                    self.clock.sleep(CONFLICT_PAUSE).await;
                }
                outcome => return outcome.map(drop),
            }
        }
    }
}

fn managers(object: &Value) -> impl Iterator<Item = &Value> {
    object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn is_entry(entry: &Value, manager: &str, operation: &str) -> bool {
    entry["manager"] == manager
        && entry["operation"] == operation
        && entry
            .get("subresource")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .is_empty()
}

/// Whether `manager` owns fields by Update.
fn is_owned_by_update(object: &Value, manager: &str) -> bool {
    managers(object).any(|entry| is_entry(entry, manager, "Update"))
}

/// Whether an entry of managedFields holds the annotation of a client-side apply.
fn owns_last_applied(entry: &Value) -> bool {
    let annotations = &entry["fieldsV1"]["f:metadata"]["f:annotations"];
    annotations.get(format!("f:{LAST_APPLIED}")).is_some()
}

fn migration_failed(error: &CallError) -> String {
    format!(
        "Warning: server rejected managed fields migration to Server-Side Apply. This is non-fatal and will be retried next time you apply. Error: {error}"
    )
}

/// managedFields with the Update entries of `from` merged into the Apply entry of `to`.
fn upgraded(object: &Value, from: &[String], to: &str) -> Value {
    let given = |entry: &Value| {
        from.iter()
            .any(|manager| is_entry(entry, manager, "Update"))
    };
    let mut entries: Vec<Value> = managers(object).cloned().collect();
    let own = entries
        .iter()
        .position(|entry| is_entry(entry, to, "Apply"));
    let Some(place) = own.or_else(|| entries.iter().position(&given)) else {
        return Value::Array(entries);
    };
    let mut fields = Map::new();
    for (other, entry) in entries.iter().enumerate() {
        if (other == place || given(entry))
            && let Some(more) = entry.get("fieldsV1").and_then(Value::as_object)
        {
            union(&mut fields, more);
        }
    }
    let entry = &mut entries[place];
    entry["manager"] = to.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = Value::Object(fields);
    entries.retain(|entry| !given(entry));
    Value::Array(entries)
}

/// Adds a trie of fields to another. An empty node means the field itself; with children beside it that is written `.`.
fn union(fields: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, inner) in more {
        match (fields.get_mut(key), inner) {
            (Some(Value::Object(entry)), Value::Object(inner)) => {
                if entry.is_empty() != inner.is_empty() {
                    entry.insert(".".to_owned(), Value::Object(Map::new()));
                }
                union(entry, inner);
            }
            _ => {
                fields.insert(key.clone(), inner.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-096: a field itself and what is in it.
    #[test]
    fn a_field_and_its_children_are_united() {
        let mut fields = json!({"f:data": {"f:a": {}}, "f:x": {}, "f:y": {}});
        let more = json!({"f:data": {}, "f:x": {"f:b": {}}, "f:y": {}, "f:z": {"f:c": {}}});
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, &more) {
            union(fields, more);
        }
        let expected = json!({"f:data": {".": {}, "f:a": {}}, "f:x": {".": {}, "f:b": {}}, "f:y": {}, "f:z": {"f:c": {}}});
        assert_eq!(fields, expected);
    }

    /// SYNC-096.
    #[test]
    fn the_update_entry_is_merged_into_the_apply_entry() {
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "fieldsV1": fields});
        let object = json!({"metadata": {"managedFields": [
            entry("kubectl", "Update", json!({"f:data": {"f:a": {}}})),
            entry("argo", "Apply", json!({"f:data": {"f:b": {}}})),
            {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}},
        ]}});
        let out = upgraded(&object, &["kubectl".to_owned()], "argo");
        assert_eq!(
            out,
            json!([
                entry("argo", "Apply", json!({"f:data": {"f:a": {}, "f:b": {}}})),
                {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            ])
        );
        assert_eq!(
            upgraded(&object, &["kubectl".to_owned()], "new")[0]["manager"],
            "new"
        );
        assert!(!is_owned_by_update(
            &json!({"metadata": {"managedFields": out}}),
            "kubectl"
        ));
    }
}
