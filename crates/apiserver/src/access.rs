//! Who may do what: role-based access control, when the server is told to have it (API-299 to 303).
//!
//! A request is made by the actor that the caller names, who may do everything, by the `ServiceAccount` whose token it
//! brings, or by whom it impersonates (`Impersonate-User`, `Impersonate-Group`): these may do what roles and bindings
//! allow. Paths that name no resource are open to everybody. Left out: who may bind or escalate.

mod bootstrap;
mod subject;

use std::borrow::Cow;

use wavetank_json::Value;
use wavetank_model::key::{GroupKind, ObjectKey};
use wavetank_model::selector::FieldSelector;
use wavetank_model::{Status, object};

use crate::asked::Asked;
use crate::failure;
use crate::server::Server;

use subject::MASTERS;
pub(crate) use subject::{ACCOUNT, Subject};

const GROUP: &str = "rbac.authorization.k8s.io";

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

impl Asked<'_> {
    /// Who asks: whom the request impersonates, whose token it brings, or the actor.
    pub(crate) fn subject(&self) -> Cow<'_, Subject> {
        self.other_subject()
            .unwrap_or_else(|| Cow::Owned(Subject::of(self.actor)))
    }

    /// Who asks, where that is not the actor.
    pub(crate) fn other_subject(&self) -> Option<Cow<'_, Subject>> {
        match Subject::impersonated(self.request) {
            Some((other, _)) => Some(Cow::Owned(other)),
            None => self.account.map(Cow::Borrowed),
        }
    }
}

impl Server {
    /// Refuses what the one who asks may not do.
    pub(crate) fn authorize(&self, asked: &Asked<'_>, verb: &str) -> Result<(), Status> {
        if !self.config.rbac {
            return Ok(());
        }
        self.authorize_impersonation(asked)?;
        let subject = asked.subject();
        let resource = &asked.resource;
        // A list of one object is about it (API-052).
        let selector: FieldSelector = asked
            .query
            .text("fieldSelector")
            .parse()
            .unwrap_or_default();
        let name = match verb {
            "list" | "watch" | "deletecollection" if asked.name.is_empty() => {
                selector.exact("metadata.name").unwrap_or_default()
            }
            _ => &asked.name,
        };
        let attributes = Attributes {
            verb,
            group: &resource.group,
            resource: &resource.plural,
            subresource: &asked.subresource,
            namespace: &asked.namespace,
            name,
        };
        if self.allows(&subject, attributes) {
            return Ok(());
        }
        Err(refusal(&subject, attributes))
    }

    /// A `ServiceAccount` may not take everybody's part.
    fn authorize_impersonation(&self, asked: &Asked<'_>) -> Result<(), Status> {
        let Some(account) = asked.account else {
            return Ok(());
        };
        let Some((other, groups)) = Subject::impersonated(asked.request) else {
            return Ok(());
        };
        let wanted = other.as_attributes();
        let groups = groups.iter().map(|group| Attributes {
            resource: "groups",
            name: group,
            ..Attributes::default()
        });
        for wanted in std::iter::once(wanted).chain(groups) {
            let wanted = Attributes {
                verb: "impersonate",
                ..wanted
            };
            if !self.allows(account, wanted) {
                return Err(refusal(account, wanted));
            }
        }
        Ok(())
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

    /// The rules of a role; those of one that is a sum were written by [`Self::aggregate`].
    fn rules_of(&self, of_cluster: bool, namespace: &str, name: &str) -> Vec<Value> {
        let (kind, namespace) = if of_cluster {
            ("ClusterRole", "")
        } else {
            ("Role", namespace)
        };
        let role = self.get(&ObjectKey::new(GROUP, kind, namespace, name));
        let rules = role.as_ref().and_then(|role| role["rules"].as_array());
        rules.into_iter().flatten().cloned().collect()
    }
}

/// Says who may not do what.
fn refusal(subject: &Subject, asked: Attributes<'_>) -> Status {
    let Attributes {
        verb,
        group,
        resource,
        ..
    } = asked;
    let shown = match asked.subresource {
        "" => resource.to_owned(),
        subresource => format!("{resource}/{subresource}"),
    };
    let place = match asked.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let why = format!(
        "User {:?} cannot {verb} resource {shown:?} in API group {group:?} {place}",
        subject.user
    );
    failure::forbidden_to(group, resource, asked.name, &why)
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
    use http::Request;
    use wavetank_json::json;
    use wavetank_kernel::{Chooser, Seed, SimTime};
    use wavetank_model::Actor;

    use super::*;
    use crate::{ResponseBody, ServerConfig};

    fn ask(
        server: &mut Server,
        user: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let headers = [("impersonate-user", user)];
        let headers = if user.is_empty() { &[][..] } else { &headers };
        ask_with(server, headers, method, path, body)
    }

    fn ask_with(
        server: &mut Server,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
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
        let mut server = Server::new(config, Seed(1));
        rest(&mut server);
        server
    }

    /// Lets the server do what follows from what was written: roles are summed up after a moment.
    fn rest(server: &mut Server) {
        let mut chooser = Chooser::canonical();
        server.run_due(SimTime::from_millis(2_000), &mut chooser);
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

    /// API-052.
    #[test]
    fn a_list_of_one_name_is_about_that_object() {
        let mut server = server();
        let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
        let role = json!({"metadata": {"name": "one"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["m"], "verbs": ["list"]}]});
        let binding = json!({"metadata": {"name": "one"}, "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "one"}, "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "bob"}]});
        for (kind, object) in [("roles", role), ("rolebindings", binding)] {
            let path = format!("{roles}/{kind}");
            assert_eq!(ask(&mut server, "", "POST", &path, &object).0, 201);
        }
        for (query, code) in [
            ("", 403),
            ("?fieldSelector=metadata.name=m", 200),
            ("?fieldSelector=metadata.name=n", 403),
        ] {
            let path = format!("/api/v1/namespaces/default/configmaps{query}");
            let found = ask(&mut server, "bob", "GET", &path, &Value::Null).0;
            assert_eq!(found, code, "{query}");
        }
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
        rest(&mut server);
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

    #[test]
    fn the_roles_of_users_are_sums_that_others_add_to() {
        let mut server = server();
        let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
        let part = json!({"metadata": {"name": "foos", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}, "rules": [{"apiGroups": ["example.com"], "resources": ["foos"], "verbs": ["list"]}]});
        assert_eq!(ask(&mut server, "", "POST", roles, &part).0, 201);
        rest(&mut server);
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        for (name, verb, group, resource, allowed) in [
            ("view", "list", "example.com", "foos", true),
            ("view", "create", "", "configmaps", false),
            ("edit", "list", "example.com", "foos", true),
            ("edit", "create", "", "secrets", true),
            ("edit", "create", GROUP, "roles", false),
            ("admin", "create", GROUP, "roles", true),
            ("admin", "delete", "apps", "deployments", true),
            ("admin", "delete", "", "namespaces", false),
        ] {
            let binding = json!({"metadata": {"name": name}, "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}, "subjects": [{"apiGroup": GROUP, "kind": "User", "name": name}]});
            ask(&mut server, "", "POST", path, &binding);
            let attributes = Attributes {
                verb,
                group,
                resource,
                namespace: "default",
                ..Attributes::default()
            };
            let user = Subject::named(name.to_owned(), Vec::new());
            assert_eq!(
                server.allows(&user, attributes),
                allowed,
                "{name} {verb} {resource}"
            );
        }
    }

    /// API-231.
    #[test]
    fn who_brings_a_token_of_an_account_is_that_account() {
        let mut server = server();
        let accounts = "/api/v1/namespaces/default/serviceaccounts";
        let robot = json!({"metadata": {"name": "robot"}});
        assert_eq!(ask(&mut server, "", "POST", accounts, &robot).0, 201);
        let path = format!("{accounts}/robot/token");
        let (code, answer) = ask(&mut server, "", "POST", &path, &json!({}));
        assert_eq!(code, 201);
        let token = answer["status"]["token"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");
        let with = [("authorization", bearer.as_str())];
        let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let (code, answer) = ask_with(&mut server, &with, "POST", whoami, &json!({}));
        assert_eq!(code, 201);
        assert_eq!(
            answer["status"]["userInfo"],
            json!({"username": "system:serviceaccount:default:robot", "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]})
        );
        // It may do what roles allow, and take nobody's part.
        let maps = "/api/v1/namespaces/default/configmaps";
        let (code, answer) = ask_with(&mut server, &with, "GET", maps, &Value::Null);
        assert_eq!(code, 403);
        assert_eq!(
            answer["message"],
            r#"configmaps is forbidden: User "system:serviceaccount:default:robot" cannot list resource "configmaps" in API group "" in the namespace "default""#
        );
        let as_bob = [with[0], ("impersonate-user", "bob")];
        let (_, answer) = ask_with(&mut server, &as_bob, "GET", maps, &Value::Null);
        assert_eq!(
            answer["message"],
            r#"users "bob" is forbidden: User "system:serviceaccount:default:robot" cannot impersonate resource "users" in API group "" at the cluster scope"#
        );
        // Whoever is asked about a token says the same.
        let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
        for (token, authenticated) in [(token.as_str(), json!(true)), ("x.y.z", Value::Null)] {
            let review = json!({"spec": {"token": token}});
            let (_, answer) = ask(&mut server, "", "POST", reviews, &review);
            assert_eq!(answer["status"]["authenticated"], authenticated);
        }
        // Its writes are its own.
        let binding = json!({"metadata": {"name": "robot"}, "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
        let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        assert_eq!(ask(&mut server, "", "POST", bindings, &binding).0, 201);
        let map = json!({"metadata": {"name": "made"}});
        assert_eq!(ask_with(&mut server, &with, "POST", maps, &map).0, 201);
        let changes = server.drain_changes();
        assert_eq!(
            changes.last().map(|change| change.actor.as_str()),
            Some("serviceaccount:default:robot")
        );
        // A token is of no use once it is tampered with, or its account is gone.
        let forged = [("authorization", &*format!("{bearer}x"))];
        assert_eq!(
            ask_with(&mut server, &forged, "GET", maps, &Value::Null).0,
            401
        );
        let gone = format!("{accounts}/robot");
        assert_eq!(ask(&mut server, "", "DELETE", &gone, &Value::Null).0, 200);
        assert_eq!(
            ask_with(&mut server, &with, "GET", maps, &Value::Null).0,
            401
        );
    }
}
