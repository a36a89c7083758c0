//! What Pods cannot start without: the objects that their specs refer to, and images.

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

/// An image that a container of a Pod waits for, and does not get, as the kubelet reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImage {
    /// The container.
    pub container: String,
    /// The image, as the Pod names it.
    pub image: String,
    /// The kubelet's reason: `ErrImagePull`, `ImagePullBackOff`, `ErrImageNeverPull` …
    pub reason: String,
    /// The kubelet's message; may be empty.
    pub message: String,
    /// `imagePullPolicy`; empty where the Pod does not state it.
    pub policy: String,
}

impl MissingImage {
    /// Whether the kubelet goes on trying to get it. Otherwise somebody has to bring it, or to correct its name.
    pub fn is_tried_again(&self) -> bool {
        !matches!(&*self.reason, "ErrImageNeverPull" | "InvalidImageName")
    }
}

/// Whether a container that waits for this reason waits for an image that cannot be had.
pub fn is_about_an_image(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed"
    )
}

/// The first image that `pod` waits for and does not get.
pub fn missing_image(pod: &Value) -> Option<MissingImage> {
    let lists = [
        ("initContainerStatuses", "initContainers"),
        ("containerStatuses", "containers"),
    ];
    lists.into_iter().find_map(|(statuses, containers)| {
        let statuses = pod.get("status")?.get(statuses)?.as_array()?;
        statuses.iter().find_map(|status| {
            let waiting = status.get("state")?.get("waiting")?;
            let text = |value: Option<&Value>| {
                value
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .unwrap_or_default()
            };
            let reason = text(waiting.get("reason"));
            if !is_about_an_image(&reason) {
                return None;
            }
            let name = text(status.get("name"));
            let container = pod
                .get("spec")
                .and_then(|spec| spec.get(containers)?.as_array())
                .into_iter()
                .flatten()
                .find(|container| container.get("name").and_then(Value::as_str) == Some(&name));
            let stated = |field| text(container.and_then(|container| container.get(field)));
            let image = stated("image");
            Some(MissingImage {
                image: if image.is_empty() {
                    text(status.get("image"))
                } else {
                    image
                },
                container: name,
                reason,
                message: text(waiting.get("message")),
                policy: stated("imagePullPolicy"),
            })
        })
    })
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
