//! Who wrote a change: a watch does not tell, so it is taken from field managers and from our own requests.

use std::collections::BTreeMap;

use wavetank_json::Value;
use wavetank_model::Actor;

/// What is known of who writes.
#[derive(Debug, Default)]
pub(crate) struct Attribution {
    /// The actor that last wrote under a field manager.
    managers: BTreeMap<String, Actor>,
    /// The actor that last asked for a write of a path.
    paths: BTreeMap<String, Actor>,
}

impl Attribution {
    /// `actor` is about to write `path` (without subresource) as `manager`.
    pub(crate) fn asked(&mut self, actor: &Actor, path: &str, manager: &str) {
        if !manager.is_empty() {
            self.managers.insert(manager.to_owned(), actor.clone());
        }
        self.paths.insert(path.to_owned(), actor.clone());
    }

    /// Actor and field manager of a change of the object at `path`; `old` is absent for a new object.
    pub(crate) fn of_write(&self, path: &str, old: Option<&Value>, new: &Value) -> (Actor, String) {
        let Some(manager) = writer(old, new) else {
            return (self.of_path(path), String::new());
        };
        let actor = self.managers.get(manager).cloned();
        (
            actor.unwrap_or_else(|| Actor::new(manager)),
            manager.to_owned(),
        )
    }

    /// Who last asked for a write of the object at `path`; unnamed where nobody of the run did.
    pub(crate) fn of_path(&self, path: &str) -> Actor {
        self.paths
            .get(path)
            .cloned()
            .unwrap_or_else(|| Actor::new(""))
    }
}

/// The manager whose entry is new or changed; the youngest of several.
fn writer<'a>(old: Option<&Value>, new: &'a Value) -> Option<&'a str> {
    let entries = |object: &'a Value| object["metadata"]["managedFields"].as_array();
    let known: &[Value] = old
        .and_then(|old| old["metadata"]["managedFields"].as_array())
        .map_or(&[], Vec::as_slice);
    entries(new)?
        .iter()
        .filter(|entry| !known.contains(entry))
        .max_by_key(|entry| entry["time"].as_str().unwrap_or_default())
        .and_then(|entry| entry["manager"].as_str())
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    #[test]
    fn the_manager_of_the_changed_entry_wrote() {
        let entry = |manager: &str, time: &str| json!({"manager": manager, "time": time});
        let object =
            |entries: Vec<Value>| json!({"metadata": {"name": "a", "managedFields": entries}});
        let old = object(vec![entry("argocd-controller", "1"), entry("kubelet", "2")]);
        let new = object(vec![entry("argocd-controller", "1"), entry("kubelet", "3")]);
        let mut attribution = Attribution::default();
        let engine = Actor::new(Actor::ENGINE);
        attribution.asked(&engine, "/a", "argocd-controller");
        let first = object(vec![entry("argocd-controller", "1")]);
        let written = |old, new| attribution.of_write("/a", old, new);
        assert_eq!(
            written(Some(&old), &new),
            (Actor::new("kubelet"), "kubelet".to_owned())
        );
        assert_eq!(
            attribution.of_write("/a", None, &first),
            (engine.clone(), "argocd-controller".to_owned())
        );
        assert_eq!(written(Some(&new), &new), (engine, String::new()));
    }
}
