//! The results of the attempt so far, found by task (SYNC-004, SYNC-008).

use std::sync::Arc;

use indexmap::IndexMap;
use wavetank_json::Value;
use wavetank_model::{ObjectKey, OperationPhase, Phase, ResultCode};

use crate::plan::Task;
use crate::result::ResourceResult;

/// All results, by `order`, with an index.
#[derive(Debug, Default)]
pub struct Ledger {
    results: Vec<ResourceResult>,
    index: IndexMap<(Arc<ObjectKey>, Phase), usize>,
}

impl Ledger {
    /// Over the stored results.
    pub fn new(mut results: Vec<ResourceResult>) -> Self {
        results.sort_by_key(|result| result.order);
        let places = results.iter().enumerate();
        let index = places
            .map(|(place, result)| ((result.key.clone(), result.sync_phase), place))
            .collect();
        Self { results, index }
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// The results, by `order`.
    pub fn results(&self) -> &[ResourceResult] {
        &self.results
    }

    /// Gives the results away.
    pub fn into_results(self) -> Vec<ResourceResult> {
        self.results
    }

    /// Copies an earlier result into the task (SYNC-037).
    pub fn attach(&self, task: &mut Task) {
        if self.index.is_empty() {
            return;
        }
        if let Some(&place) = self.index.get(&(task.key.clone(), task.phase)) {
            let result = &self.results[place];
            task.status = result.status;
            task.operation = result.hook_phase;
            task.message.clone_from(&result.message);
        }
    }

    /// Records what became of a task; an empty message keeps the previous one (SYNC-081).
    ///
    /// A first record gets the next `order`; a later one changes status, phase and message only.
    pub fn record(
        &mut self,
        task: &mut Task,
        status: Option<ResultCode>,
        operation: Option<OperationPhase>,
        message: &str,
    ) {
        task.status = status;
        task.operation = operation;
        if !message.is_empty() {
            message.clone_into(&mut task.message);
        }
        let key = (task.key.clone(), task.phase);
        if let Some(&place) = self.index.get(&key) {
            let result = &mut self.results[place];
            result.status = status;
            result.hook_phase = operation;
            result.message.clone_from(&task.message);
            return;
        }
        let order = u32::try_from(self.results.len() + 1).unwrap_or(u32::MAX);
        self.index.insert(key, self.results.len());
        self.results.push(ResourceResult {
            key: task.key.clone(),
            version: task.gvk.version.clone(),
            images: images(task.object()),
            status,
            message: task.message.clone(),
            hook_type: task.hook.then_some(task.phase),
            hook_phase: operation,
            sync_phase: task.phase,
            order,
        });
    }
}

/// Images of the containers (init containers not among them) at the first place where there are any (SYNC-087).
fn images(object: &Value) -> Vec<String> {
    let places = [
        "/spec/containers",
        "/spec/template/spec/containers",
        "/spec/jobTemplate/spec/template/spec/containers",
    ];
    let containers = places
        .iter()
        .find_map(|place| object.pointer(place)?.as_array());
    let containers = containers.into_iter().flatten();
    containers
        .filter_map(|container| Some(container.get("image")?.as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    /// SYNC-087.
    #[test]
    fn init_containers_are_not_listed() {
        let pod = json!({"containers": [{"image": "a"}, {"image": "b"}], "initContainers": [{"image": "c"}]});
        assert_eq!(
            images(&json!({"spec": {"template": {"spec": pod}}})),
            ["a", "b"]
        );
        assert_eq!(images(&json!({"spec": pod})), ["a", "b"]);
        assert!(images(&json!({"data": {}})).is_empty());
    }
}
