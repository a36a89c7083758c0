//! What Pods cannot start without.

use serde_json::Value;

use crate::item::Item;

/// A reference from a Pod to an object in its namespace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// Where the name stands in the object.
    pub(crate) path: Vec<String>,
}

/// The path and content of the Pod spec that `object` holds.
pub(crate) fn pod_spec(object: &Value) -> Option<(Vec<String>, &Value)> {
    let candidates: [&[&str]; 3] = match object.get("kind").and_then(Value::as_str)? {
        "Pod" => [&["spec"], &[], &[]],
        "CronJob" => [
            &["spec", "jobTemplate", "spec", "template", "spec"],
            &[],
            &[],
        ],
        _ => [&["spec", "template", "spec"], &[], &[]],
    };
    candidates
        .into_iter()
        .filter(|path| !path.is_empty())
        .find_map(|path| {
            let spec = path.iter().try_fold(object, |value, key| value.get(key))?;
            spec.get("containers")?;
            Some((path.iter().map(|&key| key.to_owned()).collect(), spec))
        })
}

/// What the Pods of `item` cannot start without; optional references are left out.
pub(crate) fn of(item: &Item<'_>) -> Vec<Use> {
    let Some((path, spec)) = pod_spec(item.object) else {
        return Vec::new();
    };
    let mut uses = Uses {
        path,
        found: Vec::new(),
    };
    uses.take(spec, &["serviceAccountName"], "ServiceAccount");
    uses.take(spec, &["priorityClassName"], "PriorityClass");
    uses.each(spec, "volumes", |uses, volume| {
        uses.take(
            volume,
            &["persistentVolumeClaim", "claimName"],
            "PersistentVolumeClaim",
        );
        uses.take(volume, &["configMap", "name"], "ConfigMap");
        uses.take(volume, &["secret", "secretName"], "Secret");
        if let Some(projected) = volume.get("projected") {
            uses.within("projected", |uses| {
                uses.each(projected, "sources", |uses, source| {
                    uses.take(source, &["configMap", "name"], "ConfigMap");
                    uses.take(source, &["secret", "name"], "Secret");
                });
            });
        }
    });
    for list in ["initContainers", "containers"] {
        uses.each(spec, list, |uses, container| {
            uses.each(container, "envFrom", |uses, from| {
                uses.take(from, &["configMapRef", "name"], "ConfigMap");
                uses.take(from, &["secretRef", "name"], "Secret");
            });
            uses.each(container, "env", |uses, variable| {
                uses.take(
                    variable,
                    &["valueFrom", "configMapKeyRef", "name"],
                    "ConfigMap",
                );
                uses.take(variable, &["valueFrom", "secretKeyRef", "name"], "Secret");
            });
        });
    }
    uses.found
}

struct Uses {
    path: Vec<String>,
    found: Vec<Use>,
}

impl Uses {
    fn within(&mut self, key: &str, visit: impl FnOnce(&mut Self)) {
        self.path.push(key.to_owned());
        visit(self);
        self.path.pop();
    }

    fn each(&mut self, value: &Value, key: &str, mut visit: impl FnMut(&mut Self, &Value)) {
        let items = value.get(key).and_then(Value::as_array);
        for (position, item) in items.into_iter().flatten().enumerate() {
            self.within(key, |uses| {
                uses.within(&position.to_string(), |uses| visit(uses, item));
            });
        }
    }

    /// The name at `path` below `value`, unless the mapping that holds it says that it is optional.
    fn take(&mut self, value: &Value, path: &[&str], kind: &'static str) {
        let Some((last, holders)) = path.split_last() else {
            return;
        };
        let holder = holders.iter().try_fold(value, |value, key| value.get(key));
        let Some(holder) = holder else { return };
        let Some(name) = holder.get(last).and_then(Value::as_str) else {
            return;
        };
        let optional = holder.get("optional").and_then(Value::as_bool) == Some(true);
        if optional || name.is_empty() {
            return;
        }
        let path = self
            .path
            .iter()
            .cloned()
            .chain(path.iter().map(|&key| key.to_owned()));
        self.found.push(Use {
            kind,
            name: name.to_owned(),
            path: path.collect(),
        });
    }
}
