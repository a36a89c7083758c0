//! Changes of live objects that the controller passes over: `ignoreResourceUpdates` of `argocd-cm` (SYNC-129).

use std::collections::BTreeMap;

use wavetank_json::Value;
use wavetank_model::{ObjectKey, boolean, object};

use super::{IgnoredDifference, strip_paths};
use crate::engine::TrackingMethod;
use crate::target;

/// With `true` an object that nobody tracks takes part, too.
const ANNOTATION: &str = "argocd.argoproj.io/ignore-resource-updates";

/// Fields that count for no object, whatever is configured. The status counts in no comparison, and what does not count
/// there does not count here.
const ALWAYS: [&str; 4] = [
    "/status",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/managedFields",
];

/// Fields by `<group>/<Kind>` as the installed `argocd-cm` has them, as pointers; `*/*` is its key `all`. The paths of
/// annotations that only a newer release writes harm no older one.
const SHIPPED: [(&str, &[&str]); 8] = [
    ("*/*", &["/status"]),
    (
        "argoproj.io/Application",
        &[
            "/metadata/annotations/notified.notifications.argoproj.io",
            "/metadata/annotations/argocd.argoproj.io~1refresh",
            "/metadata/annotations/argocd.argoproj.io~1refresh-timestamp",
            "/metadata/annotations/argocd.argoproj.io~1hydrate",
            "/metadata/annotations/argocd.argoproj.io~1hydrate-timestamp",
            "/operation",
        ],
    ),
    (
        "argoproj.io/Rollout",
        &["/metadata/annotations/notified.notifications.argoproj.io"],
    ),
    (
        "autoscaling/HorizontalPodAutoscaler",
        &[
            "/metadata/annotations/autoscaling.alpha.kubernetes.io~1behavior",
            "/metadata/annotations/autoscaling.alpha.kubernetes.io~1conditions",
            "/metadata/annotations/autoscaling.alpha.kubernetes.io~1metrics",
            "/metadata/annotations/autoscaling.alpha.kubernetes.io~1current-metrics",
        ],
    ),
    (
        "ConfigMap",
        &[
            "/metadata/annotations/cluster-autoscaler.kubernetes.io~1last-updated",
            "/metadata/annotations/control-plane.alpha.kubernetes.io~1leader",
        ],
    ),
    (
        "apps/ReplicaSet",
        &[
            "/metadata/annotations/deployment.kubernetes.io~1desired-replicas",
            "/metadata/annotations/deployment.kubernetes.io~1max-replicas",
            "/metadata/annotations/rollout.argoproj.io~1desired-replicas",
        ],
    ),
    (
        "discovery.k8s.io/EndpointSlice",
        &["/metadata", "/endpoints", "/ports"],
    ),
    ("Endpoints", &["/metadata", "/subsets"]),
];

/// Which changes of live objects count.
#[derive(Clone, Debug)]
pub struct ResourceUpdates(Vec<IgnoredDifference>);

impl ResourceUpdates {
    /// The rules of the installed `argocd-cm`, those of `configured` in place of the ones of the same `<group>/<Kind>`;
    /// and what is ignored in comparisons (`differences`), managers left out.
    ///
    /// # Errors
    /// A jq path that cannot be read.
    pub fn new(
        configured: &BTreeMap<String, IgnoredDifference>,
        differences: &[IgnoredDifference],
    ) -> Result<Self, String> {
        let shipped = SHIPPED
            .iter()
            .filter(|(kind, _)| !configured.contains_key(*kind));
        let fixed = |kind, pointers: &[&str]| IgnoredDifference {
            json_pointers: pointers.iter().map(|&pointer| pointer.to_owned()).collect(),
            ..IgnoredDifference::of_kind(kind)
        };
        let rules: Vec<IgnoredDifference> = shipped
            .map(|(kind, pointers)| fixed(kind, pointers))
            .chain(configured.values().cloned())
            .chain([fixed("*/*", &ALWAYS)])
            .chain(differences.iter().cloned())
            .collect();
        match rules.iter().find_map(IgnoredDifference::unreadable) {
            Some(path) => Err(format!(
                "`ignoreResourceUpdates`: the jq path `{path}` cannot be read"
            )),
            None => Ok(Self(rules)),
        }
    }

    /// Whether nothing that counts differs between two versions of an object. Every change counts of what nobody
    /// tracks, but for child applications and what the annotation names.
    pub fn passes_over(&self, tracking: TrackingMethod, old: &Value, new: &Value) -> bool {
        [old, new]
            .iter()
            .all(|object| is_looked_at(object, tracking))
            && self.without(old) == self.without(new)
    }

    fn without(&self, object: &Value) -> Value {
        let mut left = object.clone();
        strip_paths(&self.0, &mut left);
        left
    }
}

fn is_looked_at(live: &Value, tracking: TrackingMethod) -> bool {
    let is_application = || {
        let key = ObjectKey::of(live);
        key.is_some_and(|key| key.group == "argoproj.io" && key.kind == "Application")
    };
    let is_true = |text: &str| boolean::parse(text) == Some(true);
    target::owner_app(live, tracking).is_some_and(|app| !app.is_empty())
        || is_application()
        || object::annotation(live, ANNOTATION).is_some_and(is_true)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;
    use wavetank_model::argo;

    use super::*;

    fn deployment(replicas: u32, ready: u32, meta: &[(&str, Value)]) -> Value {
        let id = "shop:apps/Deployment:demo/web";
        let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "demo", "annotations": {argo::TRACKING_ID: id}},
            "spec": {"replicas": replicas}, "status": {"readyReplicas": ready}});
        for (field, value) in meta {
            object["metadata"][*field] = value.clone();
        }
        object
    }

    fn passes_over(rules: &ResourceUpdates, old: &Value, new: &Value) -> bool {
        rules.passes_over(TrackingMethod::Annotation, old, new)
    }

    fn shipped() -> ResourceUpdates {
        ResourceUpdates::new(&BTreeMap::new(), &[]).unwrap()
    }

    /// SYNC-129: the status does not count, nor what the server counts; everything else does.
    #[rstest]
    #[case(deployment(1, 1, &[]), true)]
    #[case(deployment(1, 0, &[("resourceVersion", "7".into()), ("generation", 2.into()), ("managedFields", json!([]))]), true)]
    #[case(deployment(2, 0, &[]), false)]
    #[case(deployment(1, 0, &[("deletionTimestamp", "2026-01-01T00:00:00Z".into())]), false)]
    #[case(deployment(1, 0, &[("annotations", json!({}))]), false)]
    fn what_counts_as_shipped(#[case] new: Value, #[case] is_passed_over: bool) {
        let old = deployment(1, 0, &[]);
        assert_eq!(passes_over(&shipped(), &old, &new), is_passed_over);
        assert_eq!(passes_over(&shipped(), &new, &old), is_passed_over);
    }

    /// SYNC-129: a rule stands in place of the shipped one of its kind, and beside those of other patterns.
    #[test]
    fn configured_rules_replace_those_of_their_kind() {
        let config = |time: &str, data: &str| {
            let id = "shop:/ConfigMap:demo/a";
            let updated = "cluster-autoscaler.kubernetes.io/last-updated";
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": data},
                "metadata": {"name": "a", "annotations": {argo::TRACKING_ID: id, updated: time}}})
        };
        assert!(passes_over(
            &shipped(),
            &config("1", "x"),
            &config("2", "x")
        ));
        assert!(!passes_over(
            &shipped(),
            &config("1", "x"),
            &config("1", "y")
        ));
        let fields = IgnoredDifference {
            jq_path_expressions: vec![".data".to_owned()],
            ..IgnoredDifference::of_kind("ConfigMap")
        };
        let rules = BTreeMap::from([("ConfigMap".to_owned(), fields)]);
        let rules = ResourceUpdates::new(&rules, &[]).unwrap();
        assert!(!passes_over(&rules, &config("1", "x"), &config("2", "x")));
        assert!(passes_over(&rules, &config("1", "x"), &config("1", "y")));
        assert!(passes_over(
            &rules,
            &deployment(1, 0, &[]),
            &deployment(1, 1, &[])
        ));
    }

    /// SYNC-129: without the rule for all kinds the status is left out as in comparisons.
    #[test]
    fn the_status_never_counts() {
        let rules = BTreeMap::from([("*/*".to_owned(), IgnoredDifference::of_kind("*/*"))]);
        let rules = ResourceUpdates::new(&rules, &[]).unwrap();
        assert!(passes_over(
            &rules,
            &deployment(1, 0, &[]),
            &deployment(1, 1, &[])
        ));
    }

    /// SYNC-129: what comparisons pass over in every app brings none; by its path, for nobody looks at owners here.
    #[test]
    fn ignored_differences_are_ignored_updates() {
        let by_path = IgnoredDifference {
            json_pointers: vec!["/spec/replicas".to_owned()],
            ..IgnoredDifference::of_kind("apps/Deployment")
        };
        let by_manager = IgnoredDifference {
            json_pointers: Vec::new(),
            managed_fields_managers: vec!["hpa".to_owned()],
            ..by_path.clone()
        };
        let (old, new) = (deployment(1, 0, &[]), deployment(2, 0, &[]));
        for (rule, is_passed_over) in [(by_path, true), (by_manager, false)] {
            let rules = ResourceUpdates::new(&BTreeMap::new(), &[rule]).unwrap();
            assert_eq!(passes_over(&rules, &old, &new), is_passed_over);
        }
    }

    /// SYNC-129: of what nobody tracks every change counts, unless it is an application or asks for it.
    #[rstest]
    #[case(json!({"kind": "Deployment", "apiVersion": "apps/v1"}), None, false)]
    #[case(json!({"kind": "Deployment", "apiVersion": "apps/v1"}), Some("true"), true)]
    #[case(json!({"kind": "Deployment", "apiVersion": "apps/v1"}), Some("yes"), false)]
    #[case(json!({"kind": "Application", "apiVersion": "argoproj.io/v1alpha1"}), None, true)]
    #[case(json!({"kind": "Application", "apiVersion": "app.k8s.io/v1"}), None, false)]
    fn what_nobody_tracks_counts(
        #[case] mut old: Value,
        #[case] annotation: Option<&str>,
        #[case] is_passed_over: bool,
    ) {
        old["metadata"] = json!({"name": "x"});
        if let Some(text) = annotation {
            old["metadata"]["annotations"] = json!({ANNOTATION: text});
        }
        let mut new = old.clone();
        new["status"] = json!({"x": 1});
        assert_eq!(passes_over(&shipped(), &old, &new), is_passed_over);
    }

    #[test]
    fn a_path_that_cannot_be_read_is_named() {
        let fields = IgnoredDifference {
            jq_path_expressions: vec![".spec[".to_owned()],
            ..IgnoredDifference::of_kind("apps/Deployment")
        };
        let rules = BTreeMap::from([("apps/Deployment".to_owned(), fields)]);
        let error = ResourceUpdates::new(&rules, &[]).unwrap_err();
        assert!(error.contains("`.spec[`"), "{error}");
    }
}
