//! Objects of many kinds, each valid for an API server, nearly always.

use wavetank_json::{Value, json};

use crate::dice::Dice;

/// A kind that is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "as objects call them")]
pub(super) struct Kind {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
}

impl Kind {
    pub(super) fn group(self) -> &'static str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Whether its objects come to an end.
    pub(super) fn is_finite(self) -> bool {
        matches!(self.kind, "Job" | "Pod")
    }
}

const fn kind(api_version: &'static str, kind: &'static str, namespaced: bool) -> Kind {
    Kind {
        api_version,
        kind,
        namespaced,
    }
}

/// The custom kind whose definition may be desired, there, or missing.
pub(super) const WIDGET: Kind = kind("example.com/v1", "Widget", true);
pub(super) const DEFINITION: Kind =
    kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", false);
pub(super) const NAMESPACE: Kind = kind("v1", "Namespace", false);
pub(super) const JOB: Kind = kind("batch/v1", "Job", true);

/// What is drawn, by weight.
pub(super) const KINDS: &[(u64, Kind)] = &[
    (22, kind("v1", "ConfigMap", true)),
    (18, JOB),
    (8, kind("v1", "Pod", true)),
    (8, kind("apps/v1", "Deployment", true)),
    (6, kind("v1", "Service", true)),
    (5, kind("v1", "Secret", true)),
    (5, WIDGET),
    (3, kind("apps/v1", "StatefulSet", true)),
    (2, kind("apps/v1", "DaemonSet", true)),
    (2, kind("apps/v1", "ReplicaSet", true)),
    (2, kind("batch/v1", "CronJob", true)),
    (3, kind("v1", "PersistentVolumeClaim", true)),
    (3, kind("v1", "ServiceAccount", true)),
    (3, NAMESPACE),
    (3, kind("rbac.authorization.k8s.io/v1", "Role", true)),
    (2, kind("rbac.authorization.k8s.io/v1", "RoleBinding", true)),
    (
        3,
        kind("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ),
    (
        2,
        kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false),
    ),
    (2, kind("networking.k8s.io/v1", "Ingress", true)),
    (1, kind("networking.k8s.io/v1", "NetworkPolicy", true)),
    (1, kind("networking.k8s.io/v1", "IngressClass", false)),
    (2, kind("policy/v1", "PodDisruptionBudget", true)),
    (1, kind("autoscaling/v2", "HorizontalPodAutoscaler", true)),
    (1, kind("scheduling.k8s.io/v1", "PriorityClass", false)),
    (1, kind("storage.k8s.io/v1", "StorageClass", false)),
    (1, kind("v1", "LimitRange", true)),
    (1, kind("v1", "ResourceQuota", true)),
    (2, DEFINITION),
];

/// An object of `kind`, without annotations.
pub(super) fn object(kind: Kind, name: &str, dice: &mut Dice) -> Value {
    let mut object =
        json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}});
    if let Value::Object(body) = body(kind.kind, name, dice)
        && let Some(object) = object.as_object_mut()
    {
        object.extend(body);
    }
    // What the server warns of, or refuses where it is asked to.
    if dice.chance(3) {
        object["nonsense"] = 1.into();
    }
    if kind == DEFINITION {
        object["metadata"]["name"] = "widgets.example.com".into();
    }
    object
}

fn container(dice: &mut Dice) -> Value {
    let seconds = dice.between(0, 30).to_string();
    let command = match dice.between(0, 5) {
        0 => json!(["false"]),
        1 => json!(["true"]),
        2 => json!(["sh", "-c", "sleep 3; exit 1"]),
        _ => json!(["sleep", seconds]),
    };
    let mut container = json!({"name": "main", "image": "alpine:3", "command": command});
    if dice.chance(20) {
        container["env"] = json!([{"name": "A", "value": "1"}]);
    }
    if dice.chance(10) {
        container["resources"] = json!({"requests": {"cpu": "100m", "memory": "0.5Gi"}});
    }
    container
}

fn server(dice: &mut Dice) -> Value {
    let mut container = json!({"name": "main", "image": "nginx:1"});
    if dice.chance(30) {
        container["ports"] = json!([{"containerPort": 80}]);
    }
    container
}

fn template(name: &str, container: Value) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}})
}

fn rules(dice: &mut Dice) -> Value {
    let verbs = dice.some(&["get", "list", "watch", "create"], 50);
    let verbs = if verbs.is_empty() {
        vec!["get".to_owned()]
    } else {
        verbs
    };
    json!([{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}])
}

fn body(kind: &str, name: &str, dice: &mut Dice) -> Value {
    let selector = json!({"matchLabels": {"app": name}});
    match kind {
        "ConfigMap" => json!({"data": data(dice)}),
        "Secret" => json!({"stringData": data(dice)}),
        "Pod" => {
            let policy = *dice.pick(&["Never", "OnFailure", "Always"]);
            let container = container(dice);
            json!({"spec": {"restartPolicy": policy, "containers": [container]}})
        }
        "Job" => {
            let policy = *dice.pick(&["Never", "OnFailure"]);
            let mut spec = json!({"template": {"spec": {"restartPolicy": policy, "containers": [container(dice)]}}});
            // The default of 6 means ten minutes of waiting for a Job that fails.
            spec["backoffLimit"] = dice.between(0, 2).into();
            if dice.chance(10) {
                spec["ttlSecondsAfterFinished"] = dice.between(0, 20).into();
            }
            if dice.chance(5) {
                spec["activeDeadlineSeconds"] = dice.between(5, 20).into();
            }
            if dice.chance(4) {
                spec["suspend"] = true.into();
            }
            json!({"spec": spec})
        }
        "Deployment" => {
            let mut spec = json!({"selector": selector, "template": template(name, server(dice))});
            if dice.chance(50) {
                spec["replicas"] = dice.between(0, 3).into();
            }
            if dice.chance(10) {
                spec["paused"] = true.into();
            }
            if dice.chance(15) {
                spec["progressDeadlineSeconds"] = 30.into();
                spec["minReadySeconds"] = 5.into();
            }
            json!({"spec": spec})
        }
        "StatefulSet" => {
            let mut spec = json!({"serviceName": name, "selector": selector, "template": template(name, server(dice))});
            if dice.chance(40) {
                spec["replicas"] = dice.between(0, 2).into();
            }
            if dice.chance(20) {
                spec["updateStrategy"] = json!({"type": "OnDelete"});
            }
            json!({"spec": spec})
        }
        "DaemonSet" | "ReplicaSet" => {
            json!({"spec": {"selector": selector, "template": template(name, server(dice))}})
        }
        "CronJob" => {
            let pod = json!({"spec": {"restartPolicy": "Never", "containers": [container(dice)]}});
            json!({"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pod}}}})
        }
        "Service" => service(name, dice),
        "PersistentVolumeClaim" => {
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
        }
        "Role" | "ClusterRole" => json!({"rules": rules(dice)}),
        "RoleBinding" | "ClusterRoleBinding" => json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": dice.pick(&["view", "edit"])},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        }),
        "Ingress" => {
            let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
            json!({"spec": {"rules": [{"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})
        }
        "NetworkPolicy" => json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        "IngressClass" => json!({"spec": {"controller": "example.com/ingress"}}),
        "PodDisruptionBudget" => json!({"spec": {"minAvailable": 1, "selector": selector}}),
        "HorizontalPodAutoscaler" => json!({"spec": {
            "minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        }}),
        "PriorityClass" => json!({"value": dice.between(1, 1000)}),
        "StorageClass" => json!({"provisioner": "example.com/disk"}),
        "LimitRange" => {
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}})
        }
        "ResourceQuota" => json!({"spec": {"hard": {"pods": "100"}}}),
        "Widget" => {
            json!({"spec": {"size": dice.between(1, 9), "colour": dice.pick(&["red", "blue"])}})
        }
        "CustomResourceDefinition" => definition(),
        _ => json!({}),
    }
}

fn data(dice: &mut Dice) -> Value {
    let mut data = json!({"colour": dice.pick(&["red", "green", "blue"])});
    if dice.chance(30) {
        data["size"] = dice.between(1, 9).to_string().into();
    }
    data
}

fn service(name: &str, dice: &mut Dice) -> Value {
    let mut spec = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
    match dice.between(0, 5) {
        0 => spec["type"] = "LoadBalancer".into(),
        1 => spec["clusterIP"] = "None".into(),
        2 => spec = json!({"type": "ExternalName", "externalName": "example.com"}),
        _ => {}
    }
    json!({"spec": spec})
}

fn definition() -> Value {
    let properties = json!({
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    });
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": properties}});
    json!({"spec": {
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"status": {}}}],
    }})
}
