//! The roles and bindings that every cluster has; a real one has more of them, for its own components.

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;

use super::GROUP;
use super::subject::{AUTHENTICATED, MASTERS};
use crate::server::Server;

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const CREATE: &[&str] = &["create"];
const ALL: &[&str] = &["*"];

/// API groups, resources of each, and verbs.
type Rule = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// What users see and edit in their namespaces.
const CORE: &[&str] = &[
    "configmaps",
    "endpoints",
    "events",
    "persistentvolumeclaims",
    "pods",
    "pods/log",
    "pods/status",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "serviceaccounts",
    "services",
    "services/status",
];
const GROUPED: &[&str] = &[
    "controllerrevisions",
    "cronjobs",
    "cronjobs/status",
    "daemonsets",
    "daemonsets/status",
    "deployments",
    "deployments/scale",
    "deployments/status",
    "endpointslices",
    "horizontalpodautoscalers",
    "horizontalpodautoscalers/status",
    "ingresses",
    "ingresses/status",
    "jobs",
    "jobs/status",
    "networkpolicies",
    "poddisruptionbudgets",
    "poddisruptionbudgets/status",
    "replicasets",
    "replicasets/scale",
    "replicasets/status",
    "statefulsets",
    "statefulsets/scale",
    "statefulsets/status",
];
const GROUPS: &[&str] = &[
    "apps",
    "autoscaling",
    "batch",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
];
/// What users see and others edit.
const NAMESPACES: &[&str] = &[
    "namespaces",
    "namespaces/status",
    "limitranges",
    "resourcequotas",
];

/// Roles by name: a label that hands them to another, and their rules.
const ROLES: &[(&str, &str, &[Rule])] = &[
    ("cluster-admin", "", &[(ALL, ALL, ALL)]),
    (
        "system:basic-user",
        "",
        &[
            (
                &["authorization.k8s.io"],
                &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                CREATE,
            ),
            (&["authentication.k8s.io"], &["selfsubjectreviews"], CREATE),
        ],
    ),
    (
        "system:aggregate-to-view",
        "view",
        &[
            (&[""], CORE, READ),
            (GROUPS, GROUPED, READ),
            (&[""], NAMESPACES, READ),
        ],
    ),
    (
        "system:aggregate-to-edit",
        "edit",
        &[
            (&[""], CORE, WRITE),
            (GROUPS, GROUPED, WRITE),
            (
                &[""],
                &["secrets", "pods/eviction", "serviceaccounts/token"],
                WRITE,
            ),
        ],
    ),
    (
        "system:aggregate-to-admin",
        "admin",
        &[(&[GROUP], &["roles", "rolebindings"], WRITE)],
    ),
];

/// Roles that are the sum of others, and a label that hands them on.
const SUMS: &[(&str, &str)] = &[("admin", ""), ("edit", "admin"), ("view", "edit")];

/// Bindings of roles of the same name, and to which group.
const BINDINGS: &[(&str, &str)] = &[
    ("cluster-admin", MASTERS),
    ("system:basic-user", AUTHENTICATED),
];

fn aggregate_to(role: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{role}")
}

fn metadata(name: &str, part_of: &str) -> Value {
    let mut labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    if !part_of.is_empty() {
        labels[aggregate_to(part_of)] = "true".into();
    }
    json!({"name": name, "labels": labels, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}})
}

impl Server {
    /// Makes them.
    pub(crate) fn bootstrap_roles(&mut self) {
        let mut make = |kind: &str, object| self.make(GROUP, kind, object, SimTime::ZERO);
        for (name, part_of, rules) in ROLES {
            let mut all: Vec<Value> = rules
                .iter()
                .map(|(groups, resources, verbs)| {
                    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
                })
                .collect();
            if *name == "cluster-admin" {
                all.push(json!({"nonResourceURLs": ALL, "verbs": ALL}));
            }
            make(
                "ClusterRole",
                json!({"metadata": metadata(name, part_of), "rules": all}),
            );
        }
        for (name, part_of) in SUMS {
            let selectors = json!([{"matchLabels": {aggregate_to(name): "true"}}]);
            make(
                "ClusterRole",
                json!({
                    "metadata": metadata(name, part_of),
                    "aggregationRule": {"clusterRoleSelectors": selectors},
                    "rules": [],
                }),
            );
        }
        for (name, group) in BINDINGS {
            make(
                "ClusterRoleBinding",
                json!({
                    "metadata": metadata(name, ""),
                    "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
                    "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group}],
                }),
            );
        }
    }
}
