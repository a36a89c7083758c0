//! What an `AppProject` permits: kinds, destinations and the times of syncs (SYNC-010, SYNC-032, SYNC-140).

mod window;

use serde::{Deserialize, Serialize};
use wavetank_health::glob::{matches as glob, matches_as_file};
use wavetank_model::{ArgoVersion, GroupKind, ObjectKey};

pub use window::{SyncWindow, WindowKind, WindowVerdict, can_sync};

/// The address under which Argo CD knows its own cluster.
pub const IN_CLUSTER: &str = "https://kubernetes.default.svc";
/// The name of that cluster.
const IN_CLUSTER_NAME: &str = "in-cluster";

/// A group and kind, either perhaps a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindPattern {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name of a cluster-scoped object; empty for any.
    pub name: String,
}

impl KindPattern {
    fn matches(&self, kind: &GroupKind) -> bool {
        matches_as_file(&self.group, &kind.group) && matches_as_file(&self.kind, &kind.kind)
    }

    fn matches_named(&self, kind: &GroupKind, name: &str) -> bool {
        self.matches(kind) && (self.name.is_empty() || matches_as_file(&self.name, name))
    }
}

/// A destination that is permitted. A leading `!` turns a pattern round, and denies what is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// Address of the cluster, perhaps a pattern.
    pub server: String,
    /// Name of the cluster, perhaps a pattern; one of both must fit, and an empty one never does.
    pub name: String,
    /// Namespace, perhaps a pattern.
    pub namespace: String,
}

/// What a destination says of a namespace of the one cluster there is, Argo CD's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Permitted,
    Denied,
    Nothing,
}

impl Destination {
    fn says(&self, namespace: &str, version: ArgoVersion) -> Says {
        let fits = |pattern: &str, text: &str| match pattern.strip_prefix('!') {
            Some(denied) => !glob(denied, text),
            None => glob(pattern, text),
        };
        let denies = |pattern: &str| pattern.starts_with('!');
        let server = fits(&self.server, IN_CLUSTER);
        let name = fits(&self.name, IN_CLUSTER_NAME);
        let is_there = fits(&self.namespace, namespace);
        let by_name = !name && denies(&self.name);
        let by_server = !server && denies(&self.server);
        let elsewhere = if version < ArgoVersion::V3_6 {
            // A name denied every namespace.
            by_name || (by_server && is_there)
        } else {
            (by_name || by_server) && is_there
        };
        if (server || name) && is_there {
            Says::Permitted
        } else if elsewhere || (!is_there && server && denies(&self.namespace)) {
            Says::Denied
        } else {
            Says::Nothing
        }
    }
}

/// The spec of an `AppProject`, as far as a sync looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// Name of the project.
    pub name: String,
    /// Where objects may go.
    pub destinations: Vec<Destination>,
    /// Cluster-scoped kinds that are permitted; none when empty.
    pub cluster_resource_whitelist: Vec<KindPattern>,
    /// Cluster-scoped kinds that are not.
    pub cluster_resource_blacklist: Vec<KindPattern>,
    /// Namespaced kinds that are permitted; all when absent.
    pub namespace_resource_whitelist: Option<Vec<KindPattern>>,
    /// Namespaced kinds that are not.
    pub namespace_resource_blacklist: Vec<KindPattern>,
    /// When syncs may run.
    pub sync_windows: Vec<SyncWindow>,
}

impl Project {
    /// A project that permits everything, as `default` does.
    pub fn permissive() -> Self {
        let any = || KindPattern {
            group: "*".to_owned(),
            kind: "*".to_owned(),
            name: String::new(),
        };
        let destination = Destination {
            server: "*".to_owned(),
            namespace: "*".to_owned(),
            ..Destination::default()
        };
        Self {
            name: "default".to_owned(),
            destinations: vec![destination],
            cluster_resource_whitelist: vec![any()],
            ..Self::default()
        }
    }

    /// Whether objects of the kind, and of cluster-scoped kinds the one called `name`, are permitted.
    pub fn permits_kind(&self, kind: &GroupKind, name: &str, namespaced: bool) -> bool {
        if namespaced {
            let any = |list: &[KindPattern]| list.iter().any(|pattern| pattern.matches(kind));
            let listed = self.namespace_resource_whitelist.as_deref().is_none_or(any);
            listed && !any(&self.namespace_resource_blacklist)
        } else {
            let any =
                |list: &[KindPattern]| list.iter().any(|pattern| pattern.matches_named(kind, name));
            any(&self.cluster_resource_whitelist) && !any(&self.cluster_resource_blacklist)
        }
    }

    /// Whether objects may go to the namespace: one destination says so, and none denies it.
    pub fn permits_namespace(&self, namespace: &str, version: ArgoVersion) -> bool {
        let said = |wanted| {
            let mut entries = self.destinations.iter();
            entries.any(|entry| entry.says(namespace, version) == wanted)
        };
        said(Says::Permitted) && !said(Says::Denied)
    }

    /// Whether a live object may be touched at all (SYNC-010).
    pub fn permits_live(&self, key: &ObjectKey, version: ArgoVersion) -> bool {
        let namespaced = !key.namespace.is_empty();
        self.permits_kind(&key.group_kind(), &key.name, namespaced)
            && (!namespaced || self.permits_namespace(&key.namespace, version))
    }

    /// The permission validator for a task's object (SYNC-032).
    ///
    /// # Errors
    /// Argo CD's text for a kind or namespace that is not permitted.
    pub fn validate(
        &self,
        key: &ObjectKey,
        namespaced: bool,
        version: ArgoVersion,
    ) -> Result<(), String> {
        if !self.permits_kind(&key.group_kind(), &key.name, namespaced) {
            return Err(format!(
                "resource {}:{} is not permitted in project {}",
                key.group, key.kind, self.name
            ));
        }
        if namespaced && !self.permits_namespace(&key.namespace, version) {
            return Err(format!(
                "namespace {} is not permitted in project '{}'",
                key.namespace, self.name
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: ArgoVersion = ArgoVersion::V3_6;

    fn project() -> Project {
        let pattern = |group: &str, kind: &str| KindPattern {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: String::new(),
        };
        let to = |namespace: &str| Destination {
            server: IN_CLUSTER.to_owned(),
            namespace: namespace.to_owned(),
            ..Destination::default()
        };
        Project {
            name: "team".to_owned(),
            destinations: vec![to("team-*"), to("!team-secret")],
            cluster_resource_whitelist: vec![pattern("", "Namespace")],
            namespace_resource_blacklist: vec![pattern("rbac.authorization.k8s.io", "*")],
            ..Project::default()
        }
    }

    /// SYNC-032: kinds first, then namespaces, with Argo CD's words.
    #[test]
    fn kinds_and_namespaces_are_checked() {
        let check = |group: &str, kind: &str, namespace: &str| {
            project().validate(
                &ObjectKey::new(group, kind, namespace, "x"),
                !namespace.is_empty(),
                NEWEST,
            )
        };
        assert_eq!(check("", "ConfigMap", "team-a"), Ok(()));
        assert_eq!(check("", "Namespace", ""), Ok(()));
        assert_eq!(
            check("rbac.authorization.k8s.io", "Role", "team-a"),
            Err(
                "resource rbac.authorization.k8s.io:Role is not permitted in project team"
                    .to_owned()
            )
        );
        assert_eq!(
            check("", "ConfigMap", "team-secret"),
            Err("namespace team-secret is not permitted in project 'team'".to_owned())
        );
        assert!(check("rbac.authorization.k8s.io", "ClusterRole", "").is_err());
    }

    #[test]
    fn destinations_on_other_clusters_permit_nothing() {
        let permits = |destination: wavetank_json::Value| {
            let written = wavetank_json::json!({"destinations": [destination]});
            let project: Project = wavetank_json::from_value(written).unwrap();
            project.permits_namespace("team-a", NEWEST)
        };
        let here = wavetank_json::json!({"server": "https://kubernetes.*", "namespace": "*"});
        assert!(permits(here));
        assert!(permits(
            wavetank_json::json!({"name": "in-cluster", "server": "https://other", "namespace": "team-a"})
        ));
        // SYNC-010: one without either is on none.
        assert!(!permits(wavetank_json::json!({"namespace": "team-a"})));
        assert!(!permits(
            wavetank_json::json!({"server": "https://other", "namespace": "*"})
        ));
        assert!(!permits(
            wavetank_json::json!({"name": "staging", "namespace": "*"})
        ));
        assert!(!permits(
            wavetank_json::json!({"server": "!https://kubernetes.*", "namespace": "*"})
        ));
    }

    /// What a pattern with `!` leaves out is denied, whatever else permits it; the rest is permitted.
    #[test]
    fn patterns_that_deny_permit_the_rest() {
        let to = |namespace: &str| Destination {
            server: IN_CLUSTER.to_owned(),
            namespace: namespace.to_owned(),
            ..Destination::default()
        };
        let project = |destinations: &[Destination]| Project {
            destinations: destinations.to_vec(),
            ..Project::default()
        };
        let but_one = project(&[to("!kube-system")]);
        assert!(
            but_one.permits_namespace("team-a", NEWEST)
                && !but_one.permits_namespace("kube-system", NEWEST)
        );
        let all_but_one = project(&[to("*"), to("!kube-*")]);
        assert!(all_but_one.permits_namespace("team-a", NEWEST));
        assert!(!all_but_one.permits_namespace("kube-public", NEWEST));
        let of_two = project(&[to("{team-a,team-b}")]);
        assert!(
            of_two.permits_namespace("team-b", NEWEST)
                && !of_two.permits_namespace("team-c", NEWEST)
        );
    }

    /// SYNC-010: a name that denies this cluster denies its namespace; before 3.6 all of them.
    #[test]
    fn a_denied_name_denied_every_namespace() {
        let written = wavetank_json::json!({"destinations": [
            {"server": "*", "namespace": "*"},
            {"server": "https://other", "name": "!in-cluster", "namespace": "secret"},
        ]});
        let project: Project = wavetank_json::from_value(written).unwrap();
        for version in ArgoVersion::ALL {
            assert!(!project.permits_namespace("secret", version));
            let permitted = project.permits_namespace("shop", version);
            assert_eq!(permitted, version == NEWEST, "{version:?}");
        }
    }

    /// A pattern of a cluster-scoped kind may name the objects it is for.
    #[test]
    fn cluster_scoped_objects_are_permitted_by_name() {
        let project: Project = wavetank_json::from_value(wavetank_json::json!({
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "team-*"}],
            "clusterResourceBlacklist": [{"group": "", "kind": "Namespace", "name": "team-x"}],
        }))
        .unwrap();
        let check = |name: &str| {
            project.validate(&ObjectKey::new("", "Namespace", "", name), false, NEWEST)
        };
        assert_eq!(check("team-a"), Ok(()));
        assert!(check("team-x").is_err() && check("other").is_err());
    }

    #[test]
    fn the_default_project_permits_everything() {
        let all = Project::permissive();
        assert!(all.permits_live(&ObjectKey::new("a", "B", "", "x"), NEWEST));
        assert!(all.permits_live(&ObjectKey::new("a", "B", "c", "x"), NEWEST));
    }
}
