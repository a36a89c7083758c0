//! What Pods cannot start without: the objects that their specs refer to.

use wavetank_json::Value;

/// A reference from a Pod to an object of the core group in its namespace, or to a cluster-scoped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Kind of the object.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Where the name stands: keys, and positions in lists.
    pub path: Vec<String>,
}

/// The Pod spec that `object` holds, and where: of a Pod, of a template, of a template of Jobs.
pub fn spec(object: &Value) -> Option<(&'static [&'static str], &Value)> {
    let path: &[&str] = match object.get("kind").and_then(Value::as_str)? {
        "Pod" => &["spec"],
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    };
    let spec = path.iter().try_fold(object, |value, key| value.get(key))?;
    spec.get("containers")?;
    Some((path, spec))
}

/// What the Pods of `object` cannot start without; optional references are left out.
pub fn needs(object: &Value) -> Vec<Need> {
    let Some((path, spec)) = spec(object) else {
        return Vec::new();
    };
    let path = path.iter().map(|&key| key.to_owned()).collect();
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

/// Gathers references on the way through a spec.
struct Uses {
    path: Vec<String>,
    found: Vec<Need>,
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
        self.found.push(Need {
            kind,
            name: name.to_owned(),
            path: path.collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let job = json!({"kind": "Job", "spec": {"template": {"spec": {
            "serviceAccountName": "account",
            "volumes": [
                {"name": "a", "persistentVolumeClaim": {"claimName": "claim"}},
                {"name": "b", "projected": {"sources": [{"secret": {"name": "token"}}]}},
                {"name": "c", "configMap": {"name": "perhaps", "optional": true}},
            ],
            "initContainers": [{"name": "i", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "key"}}}]}],
            "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
        }}}});
        let found: Vec<String> = needs(&job)
            .iter()
            .map(|need| format!("{}/{}", need.kind, need.name))
            .collect();
        assert_eq!(
            found,
            [
                "ServiceAccount/account",
                "PersistentVolumeClaim/claim",
                "Secret/token",
                "Secret/key",
                "ConfigMap/settings"
            ]
        );
        let need = &needs(&job)[4];
        let pointer = format!("/{}", need.path.join("/"));
        assert_eq!(job.pointer(&pointer), Some(&json!("settings")));
        assert_eq!(needs(&json!({"kind": "ConfigMap"})), []);
    }
}
