//! Asks carried out against a small API in memory: which requests are made, and which texts come back.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use wavetank_json::json;
use wavetank_kernel::SimTime;
use wavetank_model::patch::apply::LAST_APPLIED;
use wavetank_model::{ObjectKey, Propagation, WaveNumber, patch, schema};

use super::*;
use crate::engine::DeleteReason;

/// A clock on which every sleep is over at once.
#[derive(Default)]
struct Still(AtomicU64);

impl Clock for Still {
    fn now(&self) -> SimTime {
        SimTime::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, at: SimTime) -> BoxFuture<'static, ()> {
        self.0.store(at.as_millis(), Ordering::Relaxed);
        Box::pin(async {})
    }
}

/// What the API holds, and what it was asked.
#[derive(Default)]
struct Api {
    objects: BTreeMap<String, Value>,
    /// Answers that come first, by method.
    refuse: Vec<(&'static str, u16, &'static str)>,
    /// How many GETs an object survives its deletion.
    lingering: u32,
    log: Vec<String>,
    version: u64,
}

fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        wavetank_model::Status::new(code, reason, message).to_json(),
    )
}

impl Api {
    fn answer(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        media: &str,
        body: &[u8],
    ) -> (u16, Value) {
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        let media = media
            .strip_prefix("application/")
            .unwrap_or(media)
            .replace("-patch", "")
            .replace("+json", "");
        let media = if method == "PATCH" {
            format!(" {media}")
        } else {
            String::new()
        };
        self.log.push(format!("{method} {path}{query}{media}"));
        if let Some(place) = self
            .refuse
            .iter()
            .position(|(refused, ..)| *refused == method)
        {
            let (_, code, reason) = self.refuse.remove(place);
            return status(code, reason, &format!("refused with {code}"));
        }
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(version) = path
            .strip_prefix("/apis/")
            .filter(|rest| rest.matches('/').count() == 1)
        {
            return Self::discovery(version);
        }
        let name = object::name(&sent).to_owned();
        match method {
            "POST" => self.store(&format!("{path}/{name}"), sent),
            "GET" => self.read(path),
            "DELETE" => {
                if self.lingering == 0 && self.objects.remove(path).is_none() {
                    return status(404, "NotFound", "not found");
                }
                (200, json!({}))
            }
            "PUT" => self.store(path, sent),
            _ => self.patched(path, &media, &sent),
        }
    }

    fn discovery(version: &str) -> (u16, Value) {
        if version != "apps/v1" {
            return status(
                404,
                "NotFound",
                "the server could not find the requested resource",
            );
        }
        let entry = |name: &str, kind: &str, verbs: Value| json!({"name": name, "kind": kind, "namespaced": true, "verbs": verbs});
        (
            200,
            json!({"resources": [
                entry("deployments", "Deployment", json!(["get", "create"])),
                entry("deployments/scale", "Scale", json!(["get"])),
                entry("reviews", "Review", json!(["create"])),
            ]}),
        )
    }

    fn read(&mut self, path: &str) -> (u16, Value) {
        if self.lingering > 0 {
            self.lingering -= 1;
            if self.lingering == 0 {
                self.objects.remove(path);
            }
        }
        match self.objects.get(path) {
            Some(object) => (200, object.clone()),
            None => status(404, "NotFound", "not found"),
        }
    }

    fn store(&mut self, path: &str, mut object: Value) -> (u16, Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        (200, object)
    }

    fn patched(&mut self, path: &str, media: &str, sent: &Value) -> (u16, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return self.store(path, sent.clone());
        };
        match media.trim() {
            "strategic-merge" => {
                let gvk = GroupVersionKind::of(&object).unwrap();
                patch::strategic(&mut object, sent.clone(), schema::builtin(&gvk).unwrap())
                    .unwrap();
            }
            "json" => patch::json(&mut object, sent).unwrap(),
            _ => patch::merge(&mut object, sent).unwrap(),
        }
        self.store(path, object)
    }
}

struct Bench {
    api: Arc<Mutex<Api>>,
    asks: KubeAsks,
    clock: Arc<Still>,
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Chooser::canonical())
    }

    fn with(chooser: Chooser) -> Self {
        let api = Arc::new(Mutex::new(Api::default()));
        let served = api.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = served.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let media = head
                    .headers
                    .get("content-type")
                    .map_or("", |media| media.to_str().unwrap())
                    .to_owned();
                let (code, body) = api.lock().unwrap().answer(
                    head.method.as_str(),
                    head.uri.path(),
                    head.uri.query().unwrap_or_default(),
                    &media,
                    &body,
                );
                let body = Full::new(Bytes::from(body.to_string()));
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        let client = kube::Client::new(service, "default");
        let clock = Arc::new(Still::default());
        let notes = Arc::new(Mutex::new(Vec::new()));
        let sink = notes.clone();
        let sink: NoteSink = Box::new(move |note| sink.lock().unwrap().push(note));
        let chooser = Arc::new(Mutex::new(chooser));
        let asks = KubeAsks::new(client, clock.clone(), chooser, Duration::from_secs(2), sink);
        Self {
            api,
            asks,
            clock,
            notes,
        }
    }

    fn put(&self, path: &str, object: Value) {
        self.api.lock().unwrap().store(path, object);
    }

    fn log(&self) -> String {
        std::mem::take(&mut self.api.lock().unwrap().log).join("\n")
    }

    async fn apply(&mut self, ask: ApplyAsk) -> Result<String, String> {
        self.asks.apply(vec![ask]).await.pop().unwrap()
    }
}

fn resource(object: &Value) -> ResourceRef {
    let gvk = GroupVersionKind::of(object).unwrap();
    let known = wavetank_model::kinds::find(&gvk.group, &gvk.kind);
    let resource = known.map(|kind| ApiResource {
        plural: kind.plural.to_owned(),
        namespaced: kind.namespaced,
    });
    ResourceRef {
        gvk,
        resource,
        namespace: "shop".to_owned(),
        name: object::name(object).to_owned(),
    }
}

fn ask(object: Value) -> ApplyAsk {
    ApplyAsk {
        key: Arc::new(ObjectKey::of(&object).unwrap()),
        resource: resource(&object),
        target: Arc::new(object),
        live: None,
        strategy: Strategy::Apply,
        force: false,
        validate: true,
        dry_run: false,
        manager: "argocd-controller".to_owned(),
        migrate_from: None,
        reconcile_always: false,
        validates_creations: false,
        phase: Phase::Sync,
        wave: WaveNumber::Number(0),
        hook: false,
    }
}

fn config(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"k": value}})
}

const CONFIG: &str = "/api/v1/namespaces/shop/configmaps/c";

/// SYNC-091, SYNC-099: created, configured, unchanged.
#[tokio::test]
async fn an_apply_creates_then_patches_then_does_nothing() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.apply(ask(config("1"))).await.unwrap(),
        "configmap/c created"
    );
    let mut changed = config("2");
    changed["data"]["more"] = "x".into();
    assert_eq!(
        bench.apply(ask(changed)).await.unwrap(),
        "configmap/c configured"
    );
    assert_eq!(
        bench.apply(ask(config("2"))).await.unwrap(),
        "configmap/c configured"
    );
    assert_eq!(
        bench.apply(ask(config("2"))).await.unwrap(),
        "configmap/c unchanged"
    );
    assert_eq!(
        bench.api.lock().unwrap().objects[CONFIG]["data"],
        json!({"k": "2"}),
        "what went is removed"
    );
    insta::assert_snapshot!(bench.log(), @r"
    GET /api/v1/namespaces/shop/configmaps/c
    POST /api/v1/namespaces/shop/configmaps?fieldManager=argocd-controller
    GET /api/v1/namespaces/shop/configmaps/c
    PATCH /api/v1/namespaces/shop/configmaps/c?fieldManager=argocd-controller strategic-merge
    GET /api/v1/namespaces/shop/configmaps/c
    PATCH /api/v1/namespaces/shop/configmaps/c?fieldManager=argocd-controller strategic-merge
    GET /api/v1/namespaces/shop/configmaps/c
    ");
    assert_eq!(bench.notes.lock().unwrap().len(), 4);
}

/// SYNC-091: an object that was not made by an apply keeps its other fields, with a warning.
#[tokio::test]
async fn a_missing_annotation_is_warned_of() {
    let mut bench = Bench::new();
    let mut live = config("1");
    live["data"]["other"] = "y".into();
    bench.put(CONFIG, live);
    let output = bench.apply(ask(config("2"))).await.unwrap();
    assert!(output.starts_with(
        "configmap/c configured. Warning: resource configmaps/c is missing the kubectl"
    ));
    assert!(
        output.contains("required by  apply.  apply should")
            && output.contains("either  create --save-config or  apply.")
    );
    assert_eq!(
        bench.api.lock().unwrap().objects[CONFIG]["data"],
        json!({"k": "2", "other": "y"})
    );
}

/// SYNC-089, U-167, U-168: a dry run reads and writes nothing, and nothing is noted.
#[tokio::test]
async fn a_dry_run_only_reads() {
    let mut bench = Bench::new();
    let dry = |object| ApplyAsk {
        dry_run: true,
        ..ask(object)
    };
    assert_eq!(
        bench.apply(dry(config("1"))).await.unwrap(),
        "configmap/c created (dry run)"
    );
    bench.put(CONFIG, config("1"));
    let output = bench.apply(dry(config("2"))).await.unwrap();
    assert!(
        output.starts_with("configmap/c configured (dry run). Warning: resource configmaps/c"),
        "{output}"
    );
    bench.put(CONFIG, annotated(&config("2")));
    assert_eq!(
        bench.apply(dry(config("2"))).await.unwrap(),
        "configmap/c unchanged (dry run)"
    );
    assert_eq!(
        bench.log(),
        format!("GET {CONFIG}\nGET {CONFIG}\nGET {CONFIG}")
    );
    assert!(bench.notes.lock().unwrap().is_empty());
}

/// SYNC-091: a conflict is tried again with a fresh object, the second time after a pause.
#[tokio::test]
async fn a_conflicting_patch_is_tried_again() {
    let mut bench = Bench::new();
    bench.put(CONFIG, config("1"));
    bench.api.lock().unwrap().refuse = vec![("PATCH", 409, "Conflict"), ("PATCH", 409, "Conflict")];
    assert!(
        bench
            .apply(ask(config("2")))
            .await
            .unwrap()
            .starts_with("configmap/c configured")
    );
    assert_eq!(bench.log().matches("PATCH").count(), 3);
    assert_eq!(bench.clock.now(), SimTime::from_millis(1000));
    bench.api.lock().unwrap().refuse = vec![("PATCH", 409, "Conflict"); 6];
    assert_eq!(
        bench.apply(ask(config("3"))).await.unwrap_err(),
        "refused with 409"
    );
    assert_eq!(bench.log().matches("PATCH").count(), 6);
}

/// SYNC-091: with force a refused change deletes and creates; a refused creation brings the old object back.
#[tokio::test]
async fn force_deletes_and_creates() {
    let mut bench = Bench::new();
    let forced = || ApplyAsk {
        force: true,
        ..ask(config("2"))
    };
    bench.put(CONFIG, config("1"));
    bench.api.lock().unwrap().refuse = vec![("PATCH", 422, "Invalid")];
    assert!(bench.apply(forced()).await.is_ok());
    insta::assert_snapshot!(bench.log(), @r"
    GET /api/v1/namespaces/shop/configmaps/c
    PATCH /api/v1/namespaces/shop/configmaps/c?fieldManager=argocd-controller strategic-merge
    DELETE /api/v1/namespaces/shop/configmaps/c
    GET /api/v1/namespaces/shop/configmaps/c
    POST /api/v1/namespaces/shop/configmaps?fieldManager=argocd-controller
    ");
    bench.put(CONFIG, config("1"));
    bench.api.lock().unwrap().refuse = vec![("PATCH", 422, "Invalid"), ("POST", 403, "Forbidden")];
    assert_eq!(bench.apply(forced()).await.unwrap_err(), "refused with 403");
    assert_eq!(bench.api.lock().unwrap().objects[CONFIG]["data"]["k"], "1");
    bench.api.lock().unwrap().refuse = vec![("PATCH", 422, "Invalid")];
    bench.api.lock().unwrap().lingering = 4;
    // What is not gone at once is an error.
    assert_eq!(
        bench.apply(forced()).await.unwrap_err(),
        "context deadline exceeded"
    );
    assert_eq!(bench.clock.now(), SimTime::ZERO);
}

/// SYNC-092, SYNC-209, U-167.
#[tokio::test]
async fn server_side_apply_is_one_patch() {
    let mut bench = Bench::new();
    let ask = || ApplyAsk {
        strategy: Strategy::ServerSideApply,
        ..ask(config("1"))
    };
    assert_eq!(
        bench.apply(ask()).await.unwrap(),
        "configmap/c serverside-applied"
    );
    let forced = ApplyAsk {
        force: true,
        ..ask()
    };
    assert_eq!(
        bench.apply(forced).await.unwrap_err(),
        "error validating options: --force cannot be used with --server-side"
    );
    assert_eq!(
        bench.log(),
        format!("PATCH {CONFIG}?fieldManager=argocd-controller&force=true apply+yaml")
    );
}

/// SYNC-209: that force and server-side apply do not go together is said before the kind is looked for.
#[tokio::test]
async fn options_are_checked_before_the_kind() {
    let mut bench = Bench::new();
    let widget =
        json!({"apiVersion": "nowhere.example/v1", "kind": "Widget", "metadata": {"name": "w"}});
    let mut ask = ApplyAsk {
        strategy: Strategy::ServerSideApply,
        force: true,
        ..ask(widget)
    };
    ask.resource.resource = None;
    assert_eq!(
        bench.apply(ask).await.unwrap_err(),
        "error validating options: --force cannot be used with --server-side"
    );
}

/// SYNC-092: kubectl's advice comes with every conflict.
#[tokio::test]
async fn a_conflict_of_a_server_side_apply_comes_with_advice() {
    let mut bench = Bench::new();
    bench.api.lock().unwrap().refuse = vec![("PATCH", 409, "Conflict")];
    let ask = ApplyAsk {
        strategy: Strategy::ServerSideApply,
        ..ask(config("1"))
    };
    let text = bench.apply(ask).await.unwrap_err();
    assert!(
        text.starts_with("refused with 409\nPlease review the fields above"),
        "{text}"
    );
}

/// SYNC-096: what client-side apply owned under our own name is taken over after a server-side apply, which is made
/// again.
#[tokio::test]
async fn fields_of_our_own_client_side_applies_are_taken_over_afterwards() {
    let mut bench = Bench::new();
    let mut live = config("1");
    let annotation = format!("f:{LAST_APPLIED}");
    live["metadata"]["managedFields"] = json!([{"manager": "argocd-controller", "operation": "Update", "apiVersion": "v1",
        "fieldsV1": {"f:metadata": {"f:annotations": {annotation: {}}}}}]);
    bench.put(CONFIG, live);
    let ask = ApplyAsk {
        strategy: Strategy::ServerSideApply,
        ..ask(config("1"))
    };
    assert_eq!(
        bench.apply(ask).await.unwrap(),
        "configmap/c serverside-applied"
    );
    assert_eq!(
        bench.log(),
        format!(
            "PATCH {CONFIG}?fieldManager=argocd-controller&force=true apply+yaml\nPATCH {CONFIG}?fieldManager=argocd-controller json\nPATCH {CONFIG}?fieldManager=argocd-controller&force=true apply+yaml"
        )
    );
}

/// SYNC-091: changes to an object that goes are remarked on.
#[tokio::test]
async fn an_object_that_is_being_deleted_is_remarked_on() {
    let mut bench = Bench::new();
    let mut live = annotated(&config("1"));
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    bench.put(CONFIG, live);
    assert_eq!(
        bench.apply(ask(config("1"))).await.unwrap(),
        "configmap/c unchanged. Warning: Detected changes to resource c which is currently being deleted."
    );
}

/// SYNC-096, U-154: client-side fields are taken over first, with a retry on a conflict, when the snapshot shows some.
#[tokio::test]
async fn client_side_fields_are_migrated_before_a_server_side_apply() {
    let mut bench = Bench::new();
    let mut live = config("1");
    live["metadata"]["managedFields"] = json!([{"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:data": {}}}]);
    bench.put(CONFIG, live.clone());
    bench.api.lock().unwrap().refuse = vec![("PATCH", 409, "Conflict")];
    let ask = ApplyAsk {
        strategy: Strategy::ServerSideApply,
        live: Some(Arc::new(live)),
        migrate_from: Some("kubectl-client-side-apply".to_owned()),
        ..ask(config("1"))
    };
    assert_eq!(
        bench.apply(ask.clone()).await.unwrap(),
        "configmap/c serverside-applied"
    );
    assert_eq!(bench.log().matches(" json\n").count(), 2);
    let entry = bench.api.lock().unwrap().objects[CONFIG]["metadata"]["managedFields"][0].clone();
    assert_eq!(
        (&entry["manager"], &entry["operation"]),
        (&json!("argocd-controller"), &json!("Apply"))
    );
    bench.api.lock().unwrap().refuse = vec![("GET", 500, "InternalError")];
    assert_eq!(
        bench.apply(ask).await.unwrap_err(),
        "Failed to perform client-side apply migration for { ConfigMap shop c}: refused with 500"
    );
}

/// SYNC-092, SYNC-096: after the apply the fields of whoever owns the annotation are taken over, and the object is applied
/// again; that this fails is a warning.
#[tokio::test]
async fn owners_of_the_annotation_lose_their_fields_after_the_apply() {
    let mut bench = Bench::new();
    let mut live = config("1");
    let fields = json!({"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}}});
    live["metadata"]["managedFields"] =
        json!([{"manager": "somebody", "operation": "Update", "fieldsV1": fields}]);
    bench.put(CONFIG, live.clone());
    let ask = ApplyAsk {
        strategy: Strategy::ServerSideApply,
        ..ask(config("1"))
    };
    assert_eq!(
        bench.apply(ask.clone()).await.unwrap(),
        "configmap/c serverside-applied"
    );
    assert_eq!(
        bench.log(),
        format!(
            "PATCH {CONFIG}?fieldManager=argocd-controller&force=true apply+yaml\n\
             PATCH {CONFIG}?fieldManager=argocd-controller json\n\
             PATCH {CONFIG}?fieldManager=argocd-controller&force=true apply+yaml"
        )
    );
}

/// SYNC-091: kinds that kubectl does not know are patched like custom resources.
#[test]
fn definitions_are_patched_like_custom_resources() {
    use wavetank_model::PatchType;
    let of = |api: &str, kind: &str| {
        let object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}});
        let gvk = wavetank_model::GroupVersionKind::new(api, kind);
        super::client_side::three_way(&gvk, &object, &object, &object)
            .unwrap()
            .0
    };
    assert_eq!(
        of("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        PatchType::Merge
    );
    assert_eq!(
        of("apiregistration.k8s.io/v1", "APIService"),
        PatchType::Merge
    );
    assert_eq!(of("apps/v1", "Deployment"), PatchType::Strategic);
    assert_eq!(of("example.com/v1", "Widget"), PatchType::Merge);
}

/// SYNC-088, SYNC-094, SYNC-095.
#[tokio::test]
async fn replace_and_create() {
    let mut bench = Bench::new();
    let with = |strategy, force| ApplyAsk {
        strategy,
        force,
        ..ask(config("2"))
    };
    assert_eq!(
        bench.apply(with(Strategy::Create, false)).await.unwrap(),
        "configmap/c created"
    );
    assert_eq!(
        bench.apply(with(Strategy::Replace, false)).await.unwrap(),
        "configmap/c replaced"
    );
    assert_eq!(
        bench.apply(with(Strategy::Replace, true)).await.unwrap(),
        "configmap \"c\" deleted from shop namespace\nconfigmap/c replaced"
    );
    insta::assert_snapshot!(bench.log(), @r"
    POST /api/v1/namespaces/shop/configmaps
    GET /api/v1/namespaces/shop/configmaps/c
    PUT /api/v1/namespaces/shop/configmaps/c
    DELETE /api/v1/namespaces/shop/configmaps/c
    GET /api/v1/namespaces/shop/configmaps/c
    POST /api/v1/namespaces/shop/configmaps
    ");
    bench.put(
        "/api/v1/namespaces/shop",
        json!({"metadata": {"name": "shop"}}),
    );
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let update = |dry_run| ApplyAsk {
        strategy: Strategy::Update,
        dry_run,
        live: Some(Arc::new(json!({"metadata": {"resourceVersion": "7"}}))),
        ..ask(namespace.clone())
    };
    assert_eq!(
        bench.apply(update(false)).await.unwrap(),
        "Namespace/shop updated"
    );
    assert_eq!(
        bench.apply(update(true)).await.unwrap(),
        "Namespace/shop updated"
    );
    assert!(
        bench
            .log()
            .ends_with("PUT /api/v1/namespaces/shop?dryRun=All")
    );
}

/// SYNC-095: since 3.6 a creation says what is to become of unknown fields; before it said nothing.
#[tokio::test]
async fn a_creation_tells_how_to_validate() {
    for (validates_creations, validate, query) in [
        (false, true, ""),
        (true, true, "?fieldValidation=Strict"),
        (true, false, "?fieldValidation=Ignore"),
    ] {
        let mut bench = Bench::new();
        let ask = ApplyAsk {
            strategy: Strategy::Create,
            validate,
            validates_creations,
            ..ask(config("2"))
        };
        bench.apply(ask).await.unwrap();
        assert_eq!(
            bench.log(),
            format!("POST /api/v1/namespaces/shop/configmaps{query}")
        );
    }
}

/// SYNC-098, SYNC-189: the engine waits at most 3 s for a CRD.
#[tokio::test]
async fn a_new_definition_is_awaited_for_three_seconds() {
    let mut bench = Bench::new();
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "w"}, "spec": {"group": "example.com", "names": {"kind": "Widget"}}});
    assert!(bench.apply(ask(definition.clone())).await.is_ok());
    assert_eq!(bench.clock.now(), SimTime::from_millis(3000));
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/w";
    let mut established = bench.api.lock().unwrap().objects[path].clone();
    established["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    bench.put(path, established);
    assert!(bench.apply(ask(definition)).await.is_ok());
    assert_eq!(bench.clock.now(), SimTime::from_millis(3000));
}

/// SYNC-098: the wait ends with a look that fails, as the engine's does.
#[tokio::test]
async fn a_definition_that_cannot_be_read_is_not_awaited() {
    for (code, reason) in [(404, "NotFound"), (500, "InternalError")] {
        let mut bench = Bench::new();
        bench.api.lock().unwrap().refuse = vec![("GET", code, reason)];
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "w"}, "spec": {"group": "example.com", "names": {"kind": "Widget"}}});
        let ask = ApplyAsk {
            strategy: Strategy::Create,
            ..ask(definition)
        };
        assert!(bench.apply(ask).await.is_ok());
        assert_eq!(bench.clock.now(), SimTime::ZERO);
    }
}

/// SYNC-093, U-166: the namespace must be there; output and remarks come before those of the apply.
#[tokio::test]
async fn rbac_objects_are_reconciled_first() {
    let mut bench = Bench::new();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    assert_eq!(
        bench.apply(ask(role.clone())).await.unwrap_err(),
        "error running kubectl auth reconcile: error getting namespace shop: not found"
    );
    bench.put(
        "/api/v1/namespaces/shop",
        json!({"metadata": {"name": "shop"}}),
    );
    bench.log();
    let output = bench.apply(ask(role.clone())).await.unwrap();
    let start = "role.rbac.authorization.k8s.io/r reconciled. reconciliation required create\n\tmissing rules added:\n\t\t{Verbs:[get] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}role.rbac.authorization.k8s.io/r configured. Warning:";
    assert!(output.starts_with(start), "{output}");
    let output = bench.apply(ask(role)).await.unwrap();
    assert_eq!(
        output,
        "role.rbac.authorization.k8s.io/r reconciledrole.rbac.authorization.k8s.io/r unchanged"
    );
}

/// SYNC-093, SYNC-227: a server-side apply does without the reconcile since 3.5.
#[tokio::test]
async fn a_server_side_apply_reconciles_rbac_objects_before_3_5() {
    let mut bench = Bench::new();
    bench.put(
        "/api/v1/namespaces/shop",
        json!({"metadata": {"name": "shop"}}),
    );
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "r", "namespace": "shop"}, "rules": []});
    let mut applied = async |reconcile_always: bool| {
        let ask = ApplyAsk {
            strategy: Strategy::ServerSideApply,
            reconcile_always,
            ..ask(role.clone())
        };
        bench.apply(ask).await.unwrap()
    };
    let output = applied(true).await;
    let start = "role.rbac.authorization.k8s.io/r reconciled";
    let end = "role.rbac.authorization.k8s.io/r serverside-applied";
    assert!(
        output.starts_with(start) && output.ends_with(end),
        "{output}"
    );
    assert_eq!(applied(false).await, end);
}

/// SYNC-031.
#[tokio::test]
async fn discovery_tells_unknown_groups_from_unknown_kinds() {
    let mut bench = Bench::new();
    let mut resolve = async |api_version: &str, kind: &str| {
        let gvk = GroupVersionKind::new(api_version, kind);
        bench
            .asks
            .discover(&gvk)
            .await
            .map(|known| known.plural)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        resolve("apps/v1", "Deployment").await,
        Ok("deployments".to_owned())
    );
    assert_eq!(
        resolve("apps/v1", "Widget").await,
        Err("Widget.apps \"\" not found".to_owned())
    );
    assert_eq!(
        resolve("apps/v1", "Review").await,
        Err("get is not supported on resources of kind \"Review.apps\"".to_owned())
    );
    assert_eq!(
        resolve("example.com/v1", "Widget").await,
        Err("failed to discover server resources for group version example.com/v1: the server could not find the requested resource".to_owned())
    );
}

/// A kind that is still unknown at the wet run.
#[tokio::test]
async fn an_unknown_kind_cannot_be_applied() {
    let mut bench = Bench::new();
    let widget =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
    assert_eq!(
        bench.apply(ask(widget)).await.unwrap_err(),
        "resource mapping not found for name: \"w\" namespace: \"shop\" from \"/dev/shm/1\": no matches for kind \"Widget\" in version \"example.com/v1\"\nensure CRDs are installed first"
    );
}

/// SYNC-025.
#[tokio::test]
async fn a_generated_name_cannot_be_applied() {
    let mut bench = Bench::new();
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-"}});
    assert_eq!(
        bench.apply(ask(job)).await.unwrap_err(),
        "from j-: cannot use generate name with apply"
    );
}

/// SYNC-025, SYNC-050: what `Replace=true` created under a made-up name cannot be looked up, as in Argo CD's client.
#[tokio::test]
async fn an_object_without_a_name_cannot_be_got() {
    let mut bench = Bench::new();
    let unnamed = resource(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}}),
    );
    let error = bench.asks.get(&unnamed).await.unwrap_err();
    assert_eq!(error.to_string(), "name is required");
    assert_eq!(bench.log(), "");
}

/// SYNC-068: what is of a kind that nobody serves is not there, and where that cannot be told, the words say so.
#[tokio::test]
async fn an_object_of_a_kind_that_is_not_served_is_not_there() {
    let mut bench = Bench::new();
    let widget = resource(
        &json!({"apiVersion": "nobody.serves/v1", "kind": "Widget", "metadata": {"name": "w"}}),
    );
    assert_eq!(bench.asks.get(&widget).await, Ok(None));
    bench.api.lock().unwrap().refuse = vec![("GET", 500, "InternalError"); 10];
    let error = bench.asks.get(&widget).await.unwrap_err();
    let text = error.behind("failed to get resource: ");
    assert!(
        text.starts_with("failed to get api resource: failed to discover"),
        "{text}"
    );
}

/// SYNC-068: a conflict is resolved with a fresh object; other finalizers stay; gone is fine.
#[tokio::test]
async fn the_hook_finalizer_is_removed_from_the_fresh_object() {
    let mut bench = Bench::new();
    let mut live = config("1");
    live["metadata"]["finalizers"] = json!(["other", wavetank_model::argo::HOOK_FINALIZER]);
    bench.put(CONFIG, live.clone());
    bench.api.lock().unwrap().refuse = vec![("PUT", 409, "Conflict")];
    let stripped = Arc::new(crate::step::without_finalizer(&live));
    let ask = || FinalizerAsk {
        resource: resource(&config("1")),
        stripped: stripped.clone(),
    };
    assert_eq!(bench.asks.remove_finalizers(vec![ask()]).await, [Ok(())]);
    assert_eq!(
        bench.log(),
        format!("PUT {CONFIG}\nGET {CONFIG}\nPUT {CONFIG}")
    );
    assert_eq!(
        bench.api.lock().unwrap().objects[CONFIG]["metadata"]["finalizers"],
        json!(["other"])
    );
    bench.api.lock().unwrap().refuse = vec![("PUT", 404, "NotFound")];
    assert_eq!(bench.asks.remove_finalizers(vec![ask()]).await, [Ok(())]);
}

/// SYNC-064, SYNC-069: the calls of a group are made in a drawn order, the outcomes come in the order of the asks.
#[tokio::test]
async fn the_order_of_a_group_is_drawn() {
    let named = |name: &str| {
        let mut object = config("1");
        object["metadata"]["name"] = name.into();
        ask(object)
    };
    let mut bench = Bench::with(Chooser::last());
    let outcomes = bench
        .asks
        .apply(vec![named("a"), named("b"), named("c")])
        .await;
    let texts: Vec<&str> = outcomes
        .iter()
        .map(|outcome| outcome.as_deref().unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            "configmap/a created",
            "configmap/b created",
            "configmap/c created"
        ]
    );
    let log = bench.log();
    let order: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("GET"))
        .map(|line| &line[line.len() - 1..])
        .collect();
    assert_eq!(order, ["c", "b", "a"]);
}

/// SYNC-066, SYNC-128: deletions carry the policy; only accepted prunes are noted; the last wave has no delay.
#[tokio::test]
async fn deletions_and_delays() {
    let mut bench = Bench::new();
    bench.put(CONFIG, config("1"));
    let ask = |reason| DeleteAsk {
        key: Arc::new(ObjectKey::of(&config("1")).unwrap()),
        resource: resource(&config("1")),
        propagation: Propagation::Foreground,
        reason,
        phase: Phase::Sync,
        wave: WaveNumber::Number(0),
    };
    assert_eq!(
        bench.asks.delete(vec![ask(DeleteReason::Prune)]).await,
        [Ok(())]
    );
    let again = bench.asks.delete(vec![ask(DeleteReason::Prune)]).await;
    assert!(again[0].as_ref().is_err_and(CallError::is_not_found));
    assert_eq!(bench.notes.lock().unwrap().len(), 1);
    assert_eq!(bench.asks.wave_delay(Phase::Sync, 0, true).await, Ok(()));
    assert_eq!(bench.clock.now(), SimTime::ZERO);
    assert_eq!(bench.asks.wave_delay(Phase::Sync, 0, false).await, Ok(()));
    assert_eq!(bench.clock.now(), SimTime::from_millis(2000));
}
