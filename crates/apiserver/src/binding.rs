//! Binding a Pod to a node (API-228).

use wavetank_json::{Value, json};
use wavetank_model::object::At;
use wavetank_model::{Status, object};

use crate::create::Call;
use crate::failure;
use crate::server::Server;

impl Server {
    /// Writes the node of a binding into its Pod.
    pub(crate) fn bind_pod(&mut self, call: &mut Call, binding: &Value) -> Result<(), Status> {
        let node = binding
            .at(&["target", "name"])
            .and_then(Value::as_str)
            .unwrap_or_default();
        if node.is_empty() {
            let problem = failure::Problem::required("target.name", "");
            return Err(failure::invalid("Binding", &call.name, vec![problem]));
        }
        let key = call.storage_key(&call.name);
        let stored = self.store.get(call.resource.table, &key).cloned();
        let stored = stored.ok_or_else(|| failure::not_found(&call.resource, &call.name))?;
        let before = self.store.parsed(&stored);
        let old = &before.value;
        if object::is_terminating(old) {
            return Err(failure::conflict(
                &call.resource,
                &call.name,
                &format!(
                    "pod {} is being deleted, cannot be assigned to a host",
                    call.name
                ),
            ));
        }
        if let Some(there) = old
            .at(&["spec", "nodeName"])
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
        {
            let why = format!("pod {} is already assigned to node \"{there}\"", call.name);
            return Err(failure::conflict(&call.resource, &call.name, &why));
        }
        let mut new = Value::clone(old);
        new["spec"]["nodeName"] = Value::from(node);
        let stamp = self.timestamp(call.now);
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": stamp});
        set_condition(&mut new, condition);
        if call.options.dry_run {
            return Ok(());
        }
        let resource = std::sync::Arc::clone(&call.resource);
        let new = (new, before.managed.clone());
        self.commit(&resource, &key, Some(before), new, false, call.author());
        Ok(())
    }
}

/// Puts a condition into `status.conditions`, in place of the one of its type.
pub(crate) fn set_condition(object: &mut Value, condition: Value) {
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    let status = &mut object["status"];
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    match conditions
        .iter_mut()
        .find(|one| one["type"] == condition["type"])
    {
        Some(one) => *one = condition,
        None => conditions.push(condition),
    }
}
