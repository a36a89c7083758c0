//! Server-side apply, and taking over what client-side apply owned (SYNC-092, SYNC-096).

use std::collections::BTreeSet;

use wavetank_json::{Value, json};
use wavetank_model::PatchType;
use wavetank_model::object::{self, At};
use wavetank_model::patch::apply::{FieldSet, LAST_APPLIED};

use super::connection::{Connection, Place};
use super::output::{clean_error, deleting, done, with_warnings};
use super::write::Writer;
use super::{CONFLICT_PAUSE, RETRIES};
use crate::engine::CallError;

/// What kubectl advises after a conflict, although the engine forces its way.
const CONFLICT: &str = "
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";

impl Writer<'_> {
    /// One PATCH that takes every field it names.
    pub(super) async fn server_side_apply(&self) -> Result<String, String> {
        self.migrate().await?;
        let reconciled = if self.ask.reconcile_always {
            self.reconciled().await?
        } else {
            String::new()
        };
        let server = self.server();
        let applied = server.patch_applied().await.map_err(|error| {
            let advice = if error.is_conflict() { CONFLICT } else { "" };
            clean_error(&format!("{error}{advice}"))
        })?;
        let mut warnings = Vec::new();
        let applied = server.take_over(applied, &mut warnings).await;
        if object::is_terminating(&applied) {
            warnings.push(deleting(&self.place.name));
        }
        let output = done(self.ask, "serverside-applied");
        Ok(reconciled + &with_warnings(output, &warnings))
    }

    fn server(&self) -> ServerSide<'_> {
        ServerSide {
            connection: self.connection,
            place: self.place,
            target: &self.ask.target,
            manager: &self.ask.manager,
            predicts: false,
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
            let fields = fresh.at(&["metadata", "managedFields"]).cloned();
            let fields = upgraded(&fields.unwrap_or_default(), from, &self.ask.manager)?;
            let patch = replacing(fields, &fresh);
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

/// One object that kubectl applies from the server, or only asks about.
pub(super) struct ServerSide<'a> {
    pub(super) connection: &'a Connection,
    pub(super) place: &'a Place,
    pub(super) target: &'a Value,
    pub(super) manager: &'a str,
    /// Dry runs of the server.
    pub(super) predicts: bool,
}

impl ServerSide<'_> {
    /// What the server would make of the object (SYNC-149). kubectl takes over here, too, what client-side apply owned,
    /// and asks again; nothing of that is stored, so that the second answer is the first.
    pub(super) async fn predict(&self) -> Result<Value, CallError> {
        let predicted = self.patch_applied().await?;
        // Remarks go where nobody reads them.
        Ok(self.take_over(predicted, &mut Vec::new()).await)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        let mut query = vec![("fieldManager", self.manager)];
        if self.predicts {
            query.extend([("dryRun", "All"), ("fieldValidation", "Ignore")]);
        }
        query
    }

    async fn patch_applied(&self) -> Result<Value, CallError> {
        let mut query = self.query();
        query.push(("force", "true"));
        self.connection
            .patch(self.place, PatchType::Apply, self.target, &query)
            .await
    }

    /// kubectl's own migration, after the apply: who owns the annotation of client-side apply by Update hands all its
    /// fields over to our Apply, and the object is applied again. Failures are remarks. Gives the object as it is then.
    async fn take_over(&self, applied: Value, warnings: &mut Vec<String>) -> Value {
        const AGAIN: &str = "This is non-fatal and will be retried next time you apply. Error:";
        let (moved, latest) = self.hand_over(applied).await;
        match moved {
            Ok(false) => latest,
            Ok(true) => match self.patch_applied().await {
                Ok(applied) => applied,
                Err(error) => {
                    warnings.push(format!(
                        "Warning: failed to re-apply configuration after performing Server-Side Apply migration. {AGAIN} {error}"
                    ));
                    latest
                }
            },
            Err(error) => {
                warnings.push(format!(
                    "Warning: server rejected managed fields migration to Server-Side Apply. {AGAIN} {error}"
                ));
                latest
            }
        }
    }

    /// Whether fields were handed over, and the object as it was seen last.
    async fn hand_over(&self, mut object: Value) -> (Result<bool, CallError>, Value) {
        let owners = owners_of_last_applied(&object);
        let mut failed = None;
        for _ in 0..RETRIES {
            let before = object.at(&["metadata", "managedFields"]).cloned();
            let mut fields = before.clone().unwrap_or_default();
            for owner in &owners {
                fields = match upgraded(&fields, owner, self.manager) {
                    Ok(fields) => fields,
                    Err(error) => return (Err(error), object),
                };
            }
            if owners.is_empty() || before.is_none_or(|before| before == fields) {
                return (Ok(false), object);
            }
            let query = self.query();
            let patch = replacing(fields, &object);
            match self
                .connection
                .patch(self.place, PatchType::Json, &patch, &query)
                .await
            {
                Ok(patched) => return (Ok(true), patched),
                Err(error) if error.is_conflict() => failed = Some(error),
                Err(error) => return (Err(error), object),
            }
            match self.connection.get(self.place).await {
                Ok(fresh) => object = fresh,
                Err(error) => return (Err(error), object),
            }
        }
        match failed {
            Some(error) => (Err(error), object),
            None => (Ok(false), object),
        }
    }
}

fn managers(object: &Value) -> impl Iterator<Item = &Value> {
    object
        .at(&["metadata", "managedFields"])
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

/// The patch that puts `fields` into `object`, unless somebody else wrote it meanwhile.
fn replacing(fields: Value, object: &Value) -> Value {
    json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": object::resource_version(object)},
    ])
}

/// Who owns the annotation of client-side apply by Update, sorted.
fn owners_of_last_applied(object: &Value) -> BTreeSet<String> {
    let owns = |entry: &&Value| {
        entry["operation"] == "Update"
            && entry["fieldsV1"]["f:metadata"]["f:annotations"]
                .get(format!("f:{LAST_APPLIED}"))
                .is_some()
    };
    managers(object)
        .filter(owns)
        .filter_map(|entry| entry["manager"].as_str().map(str::to_owned))
        .collect()
}

/// Whether `manager` owns fields by Update.
fn is_owned_by_update(object: &Value, manager: &str) -> bool {
    managers(object).any(|entry| is_entry(entry, manager, "Update"))
}

/// managedFields with the Update entries of `from` merged into the Apply entry of `to`; of those for another version only
/// the ownership goes.
fn upgraded(fields: &Value, from: &str, to: &str) -> Result<Value, CallError> {
    let mut entries: Vec<Value> = fields.as_array().cloned().unwrap_or_default();
    let own = entries
        .iter()
        .position(|entry| is_entry(entry, to, "Apply"));
    let first = |entries: &[Value]| {
        entries
            .iter()
            .position(|entry| is_entry(entry, from, "Update"))
    };
    let Some(place) = own.or_else(|| first(&entries)) else {
        return Ok(Value::Array(entries));
    };
    let version = entries[place]["apiVersion"].clone();
    let donor = entries
        .iter()
        .position(|entry| is_entry(entry, from, "Update") && entry["apiVersion"] == version);
    let mut fields = FieldSet::EMPTY;
    for index in [Some(place), donor].into_iter().flatten() {
        let more =
            FieldSet::from_fields_v1(&entries[index]["fieldsV1"]).map_err(CallError::Transport)?;
        fields = fields.union(more);
    }
    let entry = &mut entries[place];
    entry["manager"] = to.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = fields.to_fields_v1();
    entries.retain(|entry| !is_entry(entry, from, "Update"));
    Ok(Value::Array(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SYNC-096: a field itself and what is in it.
    #[test]
    fn a_field_and_its_children_are_united() {
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "fieldsV1": fields});
        let own = json!({"f:data": {"f:a": {}}, "f:x": {}, "f:y": {}});
        let more = json!({"f:data": {}, "f:x": {"f:b": {}}, "f:y": {}, "f:z": {"f:c": {}}});
        let fields = json!([
            entry("argo", "Apply", own),
            entry("kubectl", "Update", more)
        ]);
        let united = json!({"f:data": {".": {}, "f:a": {}}, "f:x": {".": {}, "f:b": {}}, "f:y": {}, "f:z": {"f:c": {}}});
        assert_eq!(
            upgraded(&fields, "kubectl", "argo").unwrap(),
            json!([entry("argo", "Apply", united)])
        );
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
        let fields = &object["metadata"]["managedFields"];
        let out = upgraded(fields, "kubectl", "argo").unwrap();
        assert_eq!(
            out,
            json!([
                entry("argo", "Apply", json!({"f:data": {"f:a": {}, "f:b": {}}})),
                {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            ])
        );
        assert_eq!(
            upgraded(fields, "kubectl", "new").unwrap()[0]["manager"],
            "new"
        );
        assert!(!is_owned_by_update(
            &json!({"metadata": {"managedFields": out}}),
            "kubectl"
        ));
    }
}
