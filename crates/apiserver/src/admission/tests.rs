use std::collections::BTreeMap;

use wavetank_json::json;
use wavetank_kernel::Seed;

use super::*;

#[derive(Default)]
struct Cluster(BTreeMap<ObjectKey, Arc<Value>>);

impl Cluster {
    fn with(objects: &[Value]) -> Self {
        Self(
            objects
                .iter()
                .map(|object| (ObjectKey::of(object).unwrap(), Arc::new(object.clone())))
                .collect(),
        )
    }
}

impl Lookup for Cluster {
    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.0.get(key).cloned()
    }

    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.0
            .iter()
            .filter(|(key, _)| {
                key.kind == kind.kind
                    && key.group == kind.group
                    && namespace.is_none_or(|namespace| namespace == key.namespace)
            })
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "status": {"phase": "Active"}})
}

fn account(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "shop"},
        "imagePullSecrets": [{"name": "pull"}]})
}

fn pod() -> Value {
    json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn create(
    cluster: &Cluster,
    group: &str,
    kind: &str,
    plural: &str,
    object: &mut Value,
) -> Result<(), Status> {
    let gk = GroupKind::new(group, kind);
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let request = Request {
        operation: Operation::Create,
        kind: &gk,
        plural,
        namespace: "shop",
        name: &name,
        subresource: "",
    };
    let config = Config::default();
    let mut rng = Seed(1).rng();
    admit(&config, &request, object, None, cluster, &mut rng)?;
    validate_limits(&config, &request, object, None, cluster)?;
    validate_quota(&config, &request, object, cluster)
}

/// T-004, T-005, API-236.
#[test]
fn a_create_needs_its_namespace() {
    let refused = create(
        &Cluster::default(),
        "",
        "ConfigMap",
        "configmaps",
        &mut json!({"metadata": {"name": "A_b"}}),
    );
    let status = refused.unwrap_err();
    assert_eq!(
        (status.code, status.message.as_str()),
        (404, "namespaces \"shop\" not found")
    );
}

/// T-091.
#[test]
fn a_terminating_namespace_takes_no_new_content() {
    let mut terminating = namespace("shop");
    terminating["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let cluster = Cluster::with(&[terminating]);
    let status = create(
        &cluster,
        "",
        "ConfigMap",
        "configmaps",
        &mut json!({"metadata": {"name": "c"}}),
    )
    .unwrap_err();
    assert_eq!(
        status.message,
        "configmaps \"c\" is forbidden: unable to create new content in namespace shop because it is being terminated"
    );
    assert_eq!(
        status.details.unwrap().causes[0].reason,
        "NamespaceTerminating"
    );
}

/// T-091.
#[test]
fn some_namespaces_may_not_be_deleted() {
    let gk = GroupKind::new("", "Namespace");
    let request = Request {
        operation: Operation::Delete,
        kind: &gk,
        plural: "namespaces",
        namespace: "",
        name: "default",
        subresource: "",
    };
    let refused = admit(
        &Config::default(),
        &request,
        &mut Value::Null,
        None,
        &Cluster::default(),
        &mut Seed(1).rng(),
    );
    assert_eq!(
        refused.unwrap_err().message,
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

/// API-273.
#[test]
fn a_pod_gets_account_token_priority_and_tolerations() {
    let cluster = Cluster::with(&[namespace("shop"), account("default")]);
    let mut pod = pod();
    create(&cluster, "", "Pod", "pods", &mut pod).unwrap();
    let spec = &pod["spec"];
    assert_eq!(spec["serviceAccountName"], "default");
    assert_eq!(spec["serviceAccount"], "default");
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "pull"}]));
    assert_eq!(
        (&spec["priority"], &spec["preemptionPolicy"]),
        (&json!(0), &json!("PreemptLowerPriority"))
    );
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
    let volume = spec["volumes"][0]["name"].as_str().unwrap();
    assert!(
        volume.starts_with("kube-api-access-") && volume.len() == 21,
        "{volume}"
    );
    assert_eq!(spec["containers"][0]["volumeMounts"][0]["name"], volume);
}

/// API-237.
#[test]
fn a_pod_needs_its_account() {
    let status = create(
        &Cluster::with(&[namespace("shop")]),
        "",
        "Pod",
        "pods",
        &mut pod(),
    )
    .unwrap_err();
    assert_eq!(
        status.message,
        "pods \"p\" is forbidden: error looking up service account shop/default: serviceaccount \"default\" not found"
    );
}

#[test]
fn an_unknown_priority_class_is_refused() {
    let cluster = Cluster::with(&[namespace("shop"), account("default")]);
    let mut pod = pod();
    pod["spec"]["priorityClassName"] = json!("high");
    let status = create(&cluster, "", "Pod", "pods", &mut pod).unwrap_err();
    assert_eq!(
        status.message,
        "pods \"p\" is forbidden: no PriorityClass with name high was found"
    );
}

/// API-289.
#[test]
fn a_claim_gets_the_default_class_and_its_finalizer() {
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
    let mut claim = json!({"metadata": {"name": "c"}, "spec": {}});
    create(
        &Cluster::with(&[namespace("shop"), class]),
        "",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        &mut claim,
    )
    .unwrap();
    assert_eq!(claim["spec"]["storageClassName"], "fast");
    assert_eq!(
        claim["metadata"]["finalizers"],
        json!(["kubernetes.io/pvc-protection"])
    );
}

/// API-308.
#[test]
fn limit_ranges_fill_and_bound_containers() {
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "shop"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"},
            "max": {"cpu": "1"}}]}});
    let cluster = Cluster::with(&[namespace("shop"), account("default"), range]);
    let mut small = pod();
    create(&cluster, "", "Pod", "pods", &mut small).unwrap();
    assert_eq!(
        small["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}})
    );
    assert_eq!(
        small["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    );
    let mut large = pod();
    large["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "2"}});
    let status = create(&cluster, "", "Pod", "pods", &mut large).unwrap_err();
    assert_eq!(
        status.message,
        "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"
    );
}

/// API-308.
#[test]
fn quotas_count_what_is_there() {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "shop"},
        "spec": {"hard": {"pods": "1"}}});
    let mut first = pod();
    first["apiVersion"] = json!("v1");
    first["kind"] = json!("Pod");
    let cluster = Cluster::with(&[namespace("shop"), account("default"), quota, first]);
    let mut second = pod();
    second["metadata"]["name"] = json!("p2");
    let status = create(&cluster, "", "Pod", "pods", &mut second).unwrap_err();
    assert_eq!(
        status.message,
        "pods \"p2\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    );
}

/// API-308.
#[test]
fn a_quota_on_compute_wants_it_specified() {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "shop"},
        "spec": {"hard": {"cpu": "1"}}});
    let cluster = Cluster::with(&[namespace("shop"), account("default"), quota]);
    let status = create(&cluster, "", "Pod", "pods", &mut pod()).unwrap_err();
    assert_eq!(
        status.message,
        "pods \"p\" is forbidden: failed quota: q: must specify cpu for: c"
    );
}

#[test]
fn a_second_default_priority_class_is_refused() {
    let class = |name: &str, default: bool| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "globalDefault": default, "value": 7})
    };
    let cluster = Cluster::with(&[namespace("shop"), class("first", true)]);
    let make = |mut class: Value| {
        create(
            &cluster,
            "scheduling.k8s.io",
            "PriorityClass",
            "priorityclasses",
            &mut class,
        )
    };
    make(class("second", false)).unwrap();
    assert_eq!(
        make(class("second", true)).unwrap_err().message,
        "priorityclasses.scheduling.k8s.io \"second\" is forbidden: PriorityClass first is already marked as default. \
         Only one default can exist"
    );
}
