//! What is asked of every target, written once.

use http::{Method, Request};
use wavetank_cluster::Cluster;
use wavetank_json::{Value, json};
use wavetank_kernel::BoxFuture;
use wavetank_model::{Actor, ChangeKind, object};

use crate::Body;
use crate::recorder::Tape;

/// The bodies with their names that hold whoever runs the workloads.
pub(crate) const ANYWHERE: &[(&str, Body)] = &[
    ("a_write_is_told_before_its_answer", told_before_the_answer),
    ("changes_come_once_and_in_order", in_order),
    ("a_deletion_that_is_held_is_told_twice", held_deletion),
    ("a_dry_run_is_not_told", dry_run),
    ("refusals_are_statuses", refusals),
    ("custom_kinds_are_told", custom_kinds),
    ("what_the_cluster_makes_itself_is_told", namespace),
];

/// The bodies with their names that hold where workloads are simulated.
pub(crate) const SCRIPTED: &[(&str, Body)] = &[
    (
        "a_scripted_deletion_is_held_until_it_is_released",
        released_deletion,
    ),
    (
        "a_scripted_job_runs_and_the_target_falls_idle",
        scripted_job,
    ),
    ("bound_pods_become_ready", deployment),
];

type Done<'a> = BoxFuture<'a, Result<(), String>>;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

async fn send(
    cluster: &dyn Cluster,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let content = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, content)
        .body(bytes)
        .map_err(kube::Error::HttpError)?;
    cluster
        .client(&Actor::new(Actor::ENGINE))
        .request(request)
        .await
}

async fn make(cluster: &dyn Cluster, path: &str, object: &Value) -> Result<Value, String> {
    let path = format!("{path}?fieldManager=argocd-controller");
    send(cluster, Method::POST, &path, object)
        .await
        .map_err(|error| format!("{path}: {error}"))
}

async fn patch(cluster: &dyn Cluster, path: &str, body: &Value) -> Result<Value, String> {
    let path = format!("{path}?fieldManager=argocd-controller");
    send(cluster, Method::PATCH, &path, body)
        .await
        .map_err(|error| format!("{path}: {error}"))
}

async fn delete(cluster: &dyn Cluster, path: &str) -> Result<Value, String> {
    send(cluster, Method::DELETE, path, &Value::Null)
        .await
        .map_err(|error| format!("{path}: {error}"))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, wanted: T) -> Result<(), String> {
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("{what}: expected {wanted:?}, seen {seen:?}"))
    }
}

fn told_before_the_answer<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let stored = make(cluster, CONFIG_MAPS, &config_map("told")).await?;
        let changes = tape.of_object("ConfigMap", "told");
        expect("changes", changes.len(), 1)?;
        let change = &changes[0];
        expect("kind", change.kind, ChangeKind::Created)?;
        expect("actor", change.actor.as_str(), Actor::ENGINE)?;
        expect("manager", change.manager.as_str(), "argocd-controller")?;
        expect("group of the kind", change.gvk.api_version().as_str(), "v1")?;
        expect(
            "object",
            &change.new["metadata"]["uid"],
            &stored["metadata"]["uid"],
        )?;
        let revision = change.revision.to_string();
        expect(
            "revision",
            stored["metadata"]["resourceVersion"].as_str(),
            Some(revision.as_str()),
        )?;
        delete(cluster, &format!("{CONFIG_MAPS}/told")).await?;
        expect(
            "life",
            tape.life("ConfigMap", "told"),
            vec![ChangeKind::Created, ChangeKind::Deleted],
        )
    })
}

fn in_order<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        for name in ["first", "second", "third"] {
            make(cluster, CONFIG_MAPS, &config_map(name)).await?;
        }
        for number in 2..5 {
            let body = json!({"data": {"a": number.to_string()}});
            patch(cluster, &format!("{CONFIG_MAPS}/second"), &body).await?;
        }
        // A write that changes nothing is no change.
        let same = json!({"data": {"a": "4"}});
        patch(cluster, &format!("{CONFIG_MAPS}/second"), &same).await?;
        delete(cluster, &format!("{CONFIG_MAPS}/first")).await?;
        let revisions = tape.revisions();
        if !revisions.is_sorted_by(|left, right| left < right) {
            return Err(format!("revisions do not rise: {revisions:?}"));
        }
        let second = tape.of_object("ConfigMap", "second");
        let values: Vec<&Value> = second
            .iter()
            .map(|change| &change.new["data"]["a"])
            .collect();
        expect(
            "versions",
            values,
            vec![&json!("1"), &json!("2"), &json!("3"), &json!("4")],
        )?;
        let old = second[1].old.as_deref().map(|old| &old["data"]["a"]);
        expect("what it was before", old, Some(&json!("1")))
    })
}

fn held_deletion<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let mut held = config_map("held");
        held["metadata"]["finalizers"] = json!(["example.com/hold"]);
        make(cluster, CONFIG_MAPS, &held).await?;
        let path = format!("{CONFIG_MAPS}/held");
        delete(cluster, &path).await?;
        expect(
            "life while it is held",
            tape.life("ConfigMap", "held"),
            vec![ChangeKind::Created, ChangeKind::Deleting],
        )?;
        patch(cluster, &path, &json!({"metadata": {"finalizers": null}})).await?;
        tape.until("it is gone", |tape| {
            tape.life("ConfigMap", "held").last() == Some(&ChangeKind::Deleted)
        })
        .await
    })
}

fn released_deletion<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        make(cluster, CONFIG_MAPS, &config_map("scripted")).await?;
        tape.until("it is held", |tape| {
            tape.of_object("ConfigMap", "scripted")
                .last()
                .is_some_and(|change| object::finalizers(&change.new).count() == 1)
        })
        .await?;
        delete(cluster, &format!("{CONFIG_MAPS}/scripted")).await?;
        tape.until("it is asked to go", |tape| {
            tape.life("ConfigMap", "scripted").last() == Some(&ChangeKind::Deleting)
        })
        .await?;
        cluster.release(crate::HELD);
        tape.until("it is gone", |tape| {
            tape.life("ConfigMap", "scripted").last() == Some(&ChangeKind::Deleted)
        })
        .await
    })
}

fn dry_run<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let path = format!("{CONFIG_MAPS}?dryRun=All");
        send(cluster, Method::POST, &path, &config_map("dry"))
            .await
            .map_err(|error| error.to_string())?;
        make(cluster, CONFIG_MAPS, &config_map("wet")).await?;
        expect("the wet one", tape.of_object("ConfigMap", "wet").len(), 1)?;
        expect("the dry one", tape.of_object("ConfigMap", "dry").len(), 0)
    })
}

fn refusals<'a>(cluster: &'a dyn Cluster, _: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let code = |answer: Result<Value, kube::Error>| match answer {
            Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
            other => (0, format!("{other:?}")),
        };
        let missing = format!("{CONFIG_MAPS}/nobody");
        expect(
            "a missing object",
            code(send(cluster, Method::GET, &missing, &Value::Null).await),
            (404, "NotFound".to_owned()),
        )?;
        make(cluster, CONFIG_MAPS, &config_map("twice")).await?;
        expect(
            "an object that is there",
            code(send(cluster, Method::POST, CONFIG_MAPS, &config_map("twice")).await),
            (409, "AlreadyExists".to_owned()),
        )?;
        let wrong =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "No Name"}});
        expect(
            "an invalid object",
            code(send(cluster, Method::POST, CONFIG_MAPS, &wrong).await),
            (422, "Invalid".to_owned()),
        )
    })
}

fn scripted_job<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "scripted"},
            "spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}],
            }}},
        });
        make(cluster, "/apis/batch/v1/namespaces/default/jobs", &job).await?;
        if cluster.next_work().is_none() {
            return Err("a Job that runs is work".to_owned());
        }
        let ended = |tape: &Tape| {
            tape.of_object("Job", "scripted")
                .last()
                .is_some_and(|change| {
                    change.new["status"]["succeeded"] == 1
                        && change.new["status"]["completionTime"].is_string()
                })
        };
        tape.until("the Job succeeded", ended).await?;
        tape.until("no work is left, and that was told", |tape| {
            cluster.next_work().is_none() && tape.idle() > 0
        })
        .await?;
        let changes = tape.of_object("Job", "scripted");
        let (first, last) = (&changes[0], &changes[changes.len() - 1]);
        let took = last.time.since(first.time);
        if took.as_secs() < 2 || took.as_secs() > 15 {
            return Err(format!("its script says 2 s, it took {took:?}"));
        }
        Ok(())
    })
}

fn custom_kinds<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com", "scope": "Namespaced",
                "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            },
        });
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        make(cluster, path, &definition).await?;
        let name = "widgets.example.com";
        tape.until("the definition is established", |tape| {
            let changes = tape.of_object("CustomResourceDefinition", name);
            changes.last().is_some_and(|change| {
                change.new["status"]["conditions"]
                    .as_array()
                    .is_some_and(|conditions| {
                        conditions.iter().any(|condition| {
                            condition["type"] == "Established" && condition["status"] == "True"
                        })
                    })
            })
        })
        .await?;
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"a": 1}});
        let widgets = "/apis/example.com/v1/namespaces/default/widgets";
        // Established comes a moment before the kind is served.
        for _ in 0..100 {
            if make(cluster, widgets, &widget).await.is_ok() {
                break;
            }
            cluster
                .clock()
                .sleep(std::time::Duration::from_millis(100))
                .await;
        }
        tape.until("the object is told", |tape| {
            tape.life("Widget", "one") == [ChangeKind::Created]
        })
        .await?;
        patch(
            cluster,
            &format!("{widgets}/one"),
            &json!({"spec": {"a": 2}}),
        )
        .await?;
        expect("changes", tape.of_object("Widget", "one").len(), 2)
    })
}

fn deployment<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": "none"}]},
                },
            },
        });
        make(
            cluster,
            "/apis/apps/v1/namespaces/default/deployments",
            &deployment,
        )
        .await?;
        tape.until("both Pods are ready", |tape| {
            tape.of_object("Deployment", "web")
                .last()
                .is_some_and(|change| change.new["status"]["readyReplicas"] == 2)
        })
        .await
    })
}

fn namespace<'a>(cluster: &'a dyn Cluster, tape: &'a Tape) -> Done<'a> {
    Box::pin(async move {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "contract"}});
        make(cluster, "/api/v1/namespaces", &namespace).await?;
        tape.until("its ServiceAccount is told", |tape| {
            tape.of_object("ServiceAccount", "default")
                .iter()
                .any(|change| change.key.namespace == "contract")
        })
        .await?;
        delete(cluster, "/api/v1/namespaces/contract").await?;
        tape.until("it is gone", |tape| {
            tape.life("Namespace", "contract").last() == Some(&ChangeKind::Deleted)
        })
        .await
    })
}
