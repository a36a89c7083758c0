//! Server-side apply, and taking over what client-side apply owned (SYNC-092, SYNC-096).

use serde_json::{Map, Value, json};
use wavetank_model::{PatchType, object};

use super::output::{clean_error, done};
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
        let query = [
            ("fieldManager", self.ask.manager.as_str()),
            ("force", "true"),
        ];
        match self
            .connection
            .patch(self.place, PatchType::Apply, &self.ask.target, &query)
            .await
        {
            Ok(_) => Ok(done(self.ask, "serverside-applied")),
            Err(error) => Err(clean_error(&error.to_string())),
        }
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
            let patch = json!([
                {"op": "replace", "path": "/metadata/managedFields", "value": upgraded(&fresh, from, &self.ask.manager)},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": object::resource_version(&fresh)},
            ]);
            attempt += 1;
            match self
                .connection
                .patch(self.place, PatchType::Json, &patch, &[])
                .await
            {
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

/// managedFields with the Update entries of `from` merged into the Apply entry of `to`.
fn upgraded(object: &Value, from: &str, to: &str) -> Value {
    let mut entries: Vec<Value> = managers(object).cloned().collect();
    let own = entries
        .iter()
        .position(|entry| is_entry(entry, to, "Apply"));
    let Some(place) = own.or_else(|| {
        entries
            .iter()
            .position(|entry| is_entry(entry, from, "Update"))
    }) else {
        return Value::Array(entries);
    };
    let mut fields = Map::new();
    for (other, entry) in entries.iter().enumerate() {
        if (other == place || is_entry(entry, from, "Update"))
            && let Some(more) = entry.get("fieldsV1").and_then(Value::as_object)
        {
            union(&mut fields, more);
        }
    }
    let entry = &mut entries[place];
    entry["manager"] = to.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = Value::Object(fields);
    entries.retain(|entry| !is_entry(entry, from, "Update"));
    Value::Array(entries)
}

/// Adds a trie of fields to another.
fn union(fields: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, inner) in more {
        let entry = fields
            .entry(key.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        if let (Value::Object(entry), Value::Object(inner)) = (entry, inner) {
            union(entry, inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-096.
    #[test]
    fn the_update_entry_is_merged_into_the_apply_entry() {
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "fieldsV1": fields});
        let object = json!({"metadata": {"managedFields": [
            entry("kubectl", "Update", json!({"f:data": {"f:a": {}}})),
            entry("argo", "Apply", json!({"f:data": {"f:b": {}}})),
            {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}},
        ]}});
        let out = upgraded(&object, "kubectl", "argo");
        assert_eq!(
            out,
            json!([
                entry("argo", "Apply", json!({"f:data": {"f:a": {}, "f:b": {}}})),
                {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            ])
        );
        assert_eq!(upgraded(&object, "kubectl", "new")[0]["manager"], "new");
        assert!(!is_owned_by_update(
            &json!({"metadata": {"managedFields": out}}),
            "kubectl"
        ));
    }
}
