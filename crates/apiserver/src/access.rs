//! Who may do what: role-based access control, when the server is told to have it (API-300 to 303).
//!
//! A request is made by the actor that the caller names, who may do everything, or by whom it impersonates
//! (`Impersonate-User`, `Impersonate-Group`), who may do what roles and bindings allow. Paths that name no resource are
//! open to everybody. Left out: who may impersonate, bind or escalate.

use http::{HeaderName, Request};
use serde_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::key::GroupKind;
use wavetank_model::selector::LabelSelector;
use wavetank_model::{Actor, Status, object};

use crate::asked::{Asked, header};
use crate::failure;
use crate::server::Server;

const GROUP: &str = "rbac.authorization.k8s.io";
/// May do everything, whatever the roles say.
const MASTERS: &str = "system:masters";
/// Everybody who says who they are.
const AUTHENTICATED: &str = "system:authenticated";
const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUPS: HeaderName = HeaderName::from_static("impersonate-group");

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
}

/// What is asked for, in the words of a rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl Subject {
    /// The one that a request names, or the actor itself.
    pub(crate) fn of<T>(request: &Request<T>, actor: &Actor) -> Self {
        let text = |name: &HeaderName| {
            request
                .headers()
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        match text(&USER).into_iter().next() {
            Some(user) => Self::named(user, text(&GROUPS)),
            None => Self {
                user: actor.user_name(),
                groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
            },
        }
    }

    /// A user with the groups that follow from its name.
    pub(crate) fn named(user: String, mut groups: Vec<String>) -> Self {
        if let Some(account) = user.strip_prefix("system:serviceaccount:") {
            let namespace = account.split(':').next().unwrap_or_default();
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        let known = if user == "system:anonymous" {
            "system:unauthenticated"
        } else {
            AUTHENTICATED
        };
        groups.push(known.to_owned());
        Self { user, groups }
    }

    fn is(&self, subject: &Value, namespace: &str) -> bool {
        let text = |field: &str| {
            subject
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match text("kind") {
            "User" => text("name") == self.user,
            "Group" => self.groups.iter().any(|group| group == text("name")),
            _ => {
                let namespace = match text("namespace") {
                    "" => namespace,
                    own => own,
                };
                self.user == format!("system:serviceaccount:{namespace}:{}", text("name"))
            }
        }
    }
}

impl Server {
    /// Refuses what the one who asks may not do.
    pub(crate) fn authorize(&self, asked: &Asked<'_>, verb: &str) -> Result<(), Status> {
        if !self.config.rbac || header(asked.request, &USER).is_empty() {
            return Ok(());
        }
        let subject = Subject::of(asked.request, asked.actor);
        let resource = &asked.resource;
        let attributes = Attributes {
            verb,
            group: &resource.group,
            resource: &resource.plural,
            subresource: &asked.subresource,
            namespace: &asked.namespace,
            name: &asked.name,
        };
        if self.allows(&subject, attributes) {
            return Ok(());
        }
        let shown = if asked.subresource.is_empty() {
            resource.plural.clone()
        } else {
            format!("{}/{}", resource.plural, asked.subresource)
        };
        let place = if asked.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", asked.namespace)
        };
        let why = format!(
            "User {:?} cannot {verb} resource {shown:?} in API group {:?} {place}",
            subject.user, resource.group
        );
        let mut status = failure::forbidden(resource, &asked.name, &why);
        if asked.name.is_empty() {
            status.message = format!("{} is forbidden: {why}", resource.group_resource());
            if let Some(details) = &mut status.details {
                details.name.clear();
            }
        }
        Err(status)
    }

    /// Whether a rule allows it.
    pub(crate) fn allows(&self, subject: &Subject, asked: Attributes<'_>) -> bool {
        if !self.config.rbac || subject.groups.iter().any(|group| group == MASTERS) {
            return true;
        }
        self.rules(subject, asked.namespace)
            .iter()
            .any(|rule| fits(rule, asked))
    }

    /// The rules of a subject in a namespace, or of the whole cluster when it is empty.
    pub(crate) fn rules(&self, subject: &Subject, namespace: &str) -> Vec<Value> {
        let mut rules = Vec::new();
        if subject.groups.iter().any(|group| group == AUTHENTICATED) {
            // What the role `system:basic-user` gives everybody on a real server.
            for (group, resources) in [
                (
                    "authorization.k8s.io",
                    ["selfsubjectaccessreviews", "selfsubjectrulesreviews"].as_slice(),
                ),
                ("authentication.k8s.io", &["selfsubjectreviews"]),
            ] {
                rules.push(
                    json!({"verbs": ["create"], "apiGroups": [group], "resources": resources}),
                );
            }
        }
        let bindings = |kind: &str, namespace: Option<&str>| {
            self.list(&GroupKind::new(GROUP, kind), namespace)
        };
        let mut all = bindings("ClusterRoleBinding", None);
        if !namespace.is_empty() {
            all.extend(bindings("RoleBinding", Some(namespace)));
        }
        for binding in all {
            let own = object::namespace(&binding);
            let subjects = binding["subjects"].as_array();
            if subjects.is_some_and(|all| all.iter().any(|one| subject.is(one, own))) {
                let role = &binding["roleRef"];
                let name = role["name"].as_str().unwrap_or_default();
                rules.extend(self.rules_of(role["kind"] == "ClusterRole", own, name));
            }
        }
        rules
    }

    fn rules_of(&self, of_cluster: bool, namespace: &str, name: &str) -> Vec<Value> {
        let (kind, namespace) = if of_cluster {
            ("ClusterRole", None)
        } else {
            ("Role", Some(namespace))
        };
        let roles = self.list(&GroupKind::new(GROUP, kind), namespace);
        let Some(role) = roles.iter().find(|role| object::name(role) == name) else {
            return Vec::new();
        };
        let own = |role: &Value| role["rules"].as_array().cloned().unwrap_or_default();
        let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array();
        let Some(selectors) = selectors else {
            return own(role);
        };
        let selected = |other: &Value| {
            selectors.iter().any(|selector| {
                LabelSelector::from_object(Some(selector)).is_ok_and(|selector| {
                    selector.matches_labels(other["metadata"]["labels"].as_object())
                })
            })
        };
        roles
            .iter()
            .filter(|other| selected(other))
            .flat_map(|other| own(other))
            .collect()
    }

    /// The roles that every cluster has, and who administers it.
    #[expect(clippy::too_many_lines, reason = "a table of roles")]
    pub(crate) fn bootstrap_roles(&mut self) {
        let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
        let paths = json!({"nonResourceURLs": ["*"], "verbs": ["*"]});
        let kinds = |resources: Value, groups: Value, verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
        let read = ["get", "list", "watch"];
        let write = [
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ];
        let core = json!([
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
            "services/status"
        ]);
        let grouped = json!([
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
            "statefulsets/status"
        ]);
        let groups = json!([
            "apps",
            "autoscaling",
            "batch",
            "discovery.k8s.io",
            "networking.k8s.io",
            "policy"
        ]);
        let namespaces = kinds(
            json!([
                "namespaces",
                "namespaces/status",
                "limitranges",
                "resourcequotas"
            ]),
            json!([""]),
            &read,
        );
        let both = |verbs: &[&str]| {
            vec![
                kinds(core.clone(), json!([""]), verbs),
                kinds(grouped.clone(), groups.clone(), verbs),
                namespaces.clone(),
            ]
        };
        let mut edit = both(&write);
        edit.push(kinds(
            json!(["secrets", "pods/eviction", "serviceaccounts/token"]),
            json!([""]),
            &write,
        ));
        let mut admin = edit.clone();
        admin.push(kinds(
            json!(["roles", "rolebindings"]),
            json!([GROUP]),
            &write,
        ));
        for (name, rules) in [
            ("cluster-admin", vec![all, paths]),
            ("admin", admin),
            ("edit", edit),
            ("view", both(&read)),
        ] {
            let role = json!({"metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules});
            self.make(GROUP, "ClusterRole", role, SimTime::ZERO);
        }
        let binding = json!({
            "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": MASTERS}],
        });
        self.make(GROUP, "ClusterRoleBinding", binding, SimTime::ZERO);
    }
}

fn fits(rule: &Value, asked: Attributes<'_>) -> bool {
    let has = |list: &str, wanted: &str| {
        rule[list]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == "*" || one == wanted))
    };
    let resource = if asked.subresource.is_empty() {
        has("resources", asked.resource)
    } else {
        has(
            "resources",
            &format!("{}/{}", asked.resource, asked.subresource),
        ) || has("resources", &format!("*/{}", asked.subresource))
    };
    let named = rule["resourceNames"].as_array().is_none_or(|names| {
        names.is_empty() || (!asked.name.is_empty() && names.iter().any(|name| name == asked.name))
    });
    resource && named && has("verbs", asked.verb) && has("apiGroups", asked.group)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wavetank_kernel::Seed;

    use super::*;
    use crate::{ResponseBody, ServerConfig};

    fn ask(
        server: &mut Server,
        user: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !user.is_empty() {
            request = request.header("impersonate-user", user);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = request.body(Bytes::from(body)).unwrap();
        let now = SimTime::from_millis(1_000);
        let answer = server.handle(&request, &Actor::new(Actor::USER), now);
        let code = answer.status().as_u16();
        let ResponseBody::Full(body) = answer.into_body() else {
            panic!("no watch was asked for")
        };
        (code, serde_json::from_slice(&body).unwrap())
    }

    fn server() -> Server {
        let config = ServerConfig {
            rbac: true,
            ..ServerConfig::default()
        };
        Server::new(config, Seed(1))
    }

    #[test]
    fn who_is_impersonated_may_do_what_roles_allow() {
        let mut server = server();
        let maps = "/api/v1/namespaces/default/configmaps";
        let (code, status) = ask(&mut server, "bob", "GET", maps, &Value::Null);
        assert_eq!(code, 403);
        assert_eq!(
            status["message"],
            r#"configmaps is forbidden: User "bob" cannot list resource "configmaps" in API group "" in the namespace "default""#
        );
        let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
        let reader = json!({"metadata": {"name": "readers"}, "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "bob"}, {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
        assert_eq!(ask(&mut server, "", "POST", bindings, &reader).0, 201);
        for user in ["bob", "system:serviceaccount:default:robot"] {
            assert_eq!(ask(&mut server, user, "GET", maps, &Value::Null).0, 200);
        }
        let map = json!({"metadata": {"name": "m"}});
        assert_eq!(ask(&mut server, "bob", "POST", maps, &map).0, 403);
        assert_eq!(ask(&mut server, "", "POST", maps, &map).0, 201);
        let (_, status) = ask(
            &mut server,
            "bob",
            "DELETE",
            &format!("{maps}/m"),
            &Value::Null,
        );
        assert_eq!(
            status["message"],
            r#"configmaps "m" is forbidden: User "bob" cannot delete resource "configmaps" in API group "" in the namespace "default""#
        );
        // A role binding is worth nothing elsewhere.
        assert_eq!(
            ask(
                &mut server,
                "bob",
                "GET",
                "/api/v1/configmaps",
                &Value::Null
            )
            .0,
            403
        );
    }

    #[test]
    fn reviews_say_what_roles_allow() {
        let mut server = server();
        let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
        let part = json!({"metadata": {"name": "part", "labels": {"sum": "yes"}}, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"], "verbs": ["get"]}]});
        let sum = json!({"metadata": {"name": "sum"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"sum": "yes"}}]}});
        let binding = json!({"metadata": {"name": "sums"}, "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "sum"}, "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": "system:authenticated"}]});
        assert_eq!(ask(&mut server, "", "POST", roles, &part).0, 201);
        assert_eq!(ask(&mut server, "", "POST", roles, &sum).0, 201);
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        assert_eq!(ask(&mut server, "", "POST", path, &binding).0, 201);
        let review = |kind: &str, name: &str| {
            (
                format!("/apis/authorization.k8s.io/v1/{kind}"),
                json!({"spec": {"user": "eve", "groups": ["system:authenticated"], "resourceAttributes": {"verb": "get", "group": "apps", "resource": "deployments", "name": name, "namespace": "default"}}}),
            )
        };
        for (name, allowed) in [("web", true), ("other", false)] {
            let (path, body) = review("subjectaccessreviews", name);
            let (_, answer) = ask(&mut server, "", "POST", &path, &body);
            assert_eq!(answer["status"]["allowed"], allowed, "{name}");
        }
        // Who asks for itself asks as everybody does, and the administrator may all.
        let (path, body) = review("selfsubjectaccessreviews", "other");
        assert_eq!(
            ask(&mut server, "", "POST", &path, &body).1["status"]["allowed"],
            true
        );
    }
}
