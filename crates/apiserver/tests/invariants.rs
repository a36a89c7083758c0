//! What holds whatever is done, in whatever order: revisions, changes, watches and lists tell one story (API-388, 394).

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::channel::mpsc::UnboundedReceiver;
use http::Request;
use proptest::prelude::*;
use wavetank_apiserver::{ResponseBody, Server, ServerApi, ServerConfig};
use wavetank_json::{Value, json};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::patch::apply::ManagedFields;
use wavetank_model::{Actor, Api, ChangeKind, DeleteOptions, ObjectKey, PatchType, Propagation};

/// One thing a client does to one of a few `ConfigMap`s.
#[derive(Clone, Debug)]
enum Act {
    Create {
        name: u8,
        owner: Option<u8>,
        finalizer: bool,
    },
    Patch {
        name: u8,
        value: u8,
    },
    Label {
        name: u8,
        on: bool,
    },
    DropFinalizers {
        name: u8,
    },
    Delete {
        name: u8,
        policy: u8,
    },
    Wait {
        millis: u64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let name = 0..5_u8;
    prop_oneof![
        4 => (name.clone(), prop::option::of(0..5_u8), prop::bool::weighted(0.2)).prop_map(|(name, owner, finalizer)| Act::Create { name, owner, finalizer }),
        2 => (name.clone(), 0..3_u8).prop_map(|(name, value)| Act::Patch { name, value }),
        2 => (name.clone(), any::<bool>()).prop_map(|(name, on)| Act::Label { name, on }),
        1 => name.clone().prop_map(|name| Act::DropFinalizers { name }),
        3 => (name, 0..4_u8).prop_map(|(name, policy)| Act::Delete { name, policy }),
        2 => (0..40_u64).prop_map(|millis| Act::Wait { millis }),
    ]
}

fn key(name: u8) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "default", format!("c{name}"))
}

struct Run {
    server: Server,
    now: SimTime,
    chooser: Chooser,
}

impl Run {
    fn new(chooser: Chooser) -> Self {
        Self {
            server: Server::new(ServerConfig::default(), Seed(3)),
            now: SimTime::ZERO,
            chooser,
        }
    }

    fn wait(&mut self, millis: u64) {
        let end = SimTime::from_millis(self.now.as_millis() + millis);
        while let Some((at, _)) = self.server.next_due().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.run_due(self.now, &mut self.chooser);
        }
        self.now = end;
    }

    /// Failures are answers like others: only what is committed counts here.
    fn act(&mut self, act: &Act) {
        let now = self.now;
        let mut api = ServerApi::new(&mut self.server, now);
        match act {
            Act::Create {
                name,
                owner,
                finalizer,
            } => {
                let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{name}"), "namespace": "default"}});
                if let Some(owner) = owner.and_then(|owner| api.get(&key(owner))) {
                    object["metadata"]["ownerReferences"] = json!([{
                        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
                        "blockOwnerDeletion": true,
                    }]);
                }
                if *finalizer {
                    object["metadata"]["finalizers"] = json!(["x.io/f"]);
                }
                drop(api.create("test", object));
            }
            Act::Patch { name, value } => {
                drop(api.patch(
                    "test",
                    &key(*name),
                    "",
                    PatchType::Merge,
                    json!({"data": {"v": value.to_string()}}),
                ));
            }
            Act::Label { name, on } => {
                let label = if *on { json!("yes") } else { Value::Null };
                drop(api.patch(
                    "test",
                    &key(*name),
                    "",
                    PatchType::Merge,
                    json!({"metadata": {"labels": {"picked": label}}}),
                ));
            }
            Act::DropFinalizers { name } => {
                drop(api.patch(
                    "test",
                    &key(*name),
                    "",
                    PatchType::Merge,
                    json!({"metadata": {"finalizers": null}}),
                ));
            }
            Act::Delete { name, policy } => {
                let propagation = [
                    None,
                    Some(Propagation::Foreground),
                    Some(Propagation::Background),
                    Some(Propagation::Orphan),
                ][usize::from(*policy)];
                drop(api.delete(
                    "test",
                    &key(*name),
                    &DeleteOptions {
                        propagation,
                        ..DeleteOptions::default()
                    },
                ));
            }
            Act::Wait { millis } => self.wait(*millis),
        }
    }

    fn watch(&mut self, query: &str) -> UnboundedReceiver<Bytes> {
        let uri = format!("/api/v1/namespaces/default/configmaps?watch=true&{query}");
        let request = Request::get(uri).body(Bytes::new()).expect("a request");
        match self
            .server
            .handle(&request, &Actor::new("user"), self.now)
            .into_body()
        {
            ResponseBody::Watch(receiver) => receiver,
            ResponseBody::Full(body) => panic!("no watch: {body:?}"),
        }
    }

    fn list(&mut self) -> BTreeMap<String, Value> {
        let request = Request::get("/api/v1/namespaces/default/configmaps").body(Bytes::new());
        let request = request.expect("a request");
        let answer = self.server.handle(&request, &Actor::new("user"), self.now);
        let ResponseBody::Full(body) = answer.into_body() else {
            panic!("a watch")
        };
        let mut list: Value = serde_json::from_slice(&body).expect("JSON");
        let Value::Array(items) = list["items"].take() else {
            panic!("no list")
        };
        let named = |mut object: Value| {
            object["apiVersion"] = "v1".into();
            object["kind"] = "ConfigMap".into();
            (name_of(&object), object)
        };
        items.into_iter().map(named).collect()
    }
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// What a client that follows a watch believes is there. Revisions must rise.
fn follow(mut receiver: UnboundedReceiver<Bytes>) -> BTreeMap<String, Value> {
    let mut believed = BTreeMap::new();
    let mut last = 0;
    while let Ok(line) = receiver.try_recv() {
        let event: Value = serde_json::from_slice(&line).expect("JSON");
        let object = event["object"].clone();
        let revision: u64 = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .expect("a number");
        assert!(revision > last, "{revision} after {last}");
        last = revision;
        let name = name_of(&object);
        match event["type"].as_str() {
            Some("ADDED") => assert!(believed.insert(name, object).is_none(), "added twice"),
            Some("MODIFIED") => assert!(
                believed.insert(name, object).is_some(),
                "modified before it was added"
            ),
            Some("DELETED") => assert!(
                believed.remove(&name).is_some(),
                "deleted before it was added"
            ),
            other => panic!("event {other:?}"),
        }
    }
    believed
}

fn chooser(kind: u8) -> Chooser {
    match kind {
        0 => Chooser::canonical(),
        1 => Chooser::last(),
        _ => Chooser::random(Seed(u64::from(kind))),
    }
}

/// Any small JSON value, made of names that mean something to the server.
fn body() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("metadata"),
        Just("spec"),
        Just("status"),
        Just("name"),
        Just("kind"),
        Just("apiVersion"),
        Just("target"),
        Just("replicas"),
        Just("finalizers"),
        Just("managedFields"),
        Just("ownerReferences"),
        Just("template"),
        Just("containers"),
        Just("versions"),
        Just("names"),
        Just("group"),
        Just("data"),
        Just("op"),
        Just("path"),
        Just("value"),
        Just("conditions"),
        Just("deleteOptions"),
        Just("$patch"),
        Just("$setElementOrder/containers"),
        Just("v1"),
        Just("x"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn watches_changes_and_lists_agree(acts in prop::collection::vec(act(), 1..60), kind in 0..5_u8) {
        let mut run = Run::new(chooser(kind));
        let start = run.server.revision();
        let (all, picked) = (run.watch(&format!("resourceVersion={start}")), run.watch(&format!("resourceVersion={start}&labelSelector=picked%3Dyes")));
        let mut late = None;
        for (index, act) in acts.iter().enumerate() {
            run.act(act);
            if index == acts.len() / 2 {
                late = Some(run.watch(&format!("resourceVersion={start}")));
            }
        }
        run.wait(60_000);
        let listed = run.list();
        prop_assert_eq!(&follow(all), &listed);
        if let Some(late) = late {
            prop_assert_eq!(&follow(late), &listed);
        }
        let chosen: BTreeMap<String, Value> = listed.clone().into_iter().filter(|(_, object)| object["metadata"]["labels"]["picked"] == "yes").collect();
        let picked: Vec<String> = follow(picked).into_keys().collect();
        prop_assert_eq!(picked, chosen.into_keys().collect::<Vec<_>>());
        let changes = run.server.drain_changes();
        let mut replayed = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            prop_assert_eq!(change.revision, start + 1 + index as u64);
            prop_assert_eq!(&change.new["metadata"]["resourceVersion"], &Value::from(change.revision.to_string()));
            let wire = change.wire.as_ref().unwrap();
            let whole = |object: &Value, managed: &ManagedFields| {
                let mut whole = object.clone();
                managed.put_into(&mut whole);
                whole
            };
            let new = whole(&change.new, &wire.managed);
            prop_assert_eq!(&serde_json::from_slice::<Value>(&wire.text).unwrap(), &new);
            let old = change.old.as_ref().map(|old| whole(old, &wire.old_managed));
            prop_assert_eq!(replayed.get(&change.key), old.as_ref());
            if change.kind == ChangeKind::Deleted {
                replayed.remove(&change.key);
            } else {
                replayed.insert(change.key.clone(), new);
            }
        }
        prop_assert_eq!(replayed.into_values().collect::<Vec<_>>(), listed.into_values().collect::<Vec<_>>());
        prop_assert_eq!(run.server.next_work(), None);
    }

    #[test]
    fn what_is_left_after_a_while_has_an_owner_or_never_had_one(acts in prop::collection::vec(act(), 1..60)) {
        let mut run = Run::new(Chooser::canonical());
        for act in &acts {
            run.act(act);
        }
        run.wait(60_000);
        let listed = run.list();
        let uids: Vec<&Value> = listed.values().map(|object| &object["metadata"]["uid"]).collect();
        for object in listed.values().filter(|object| object["metadata"]["deletionTimestamp"].is_null()) {
            let owners = object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            prop_assert!(owners.iter().all(|owner| uids.contains(&&owner["uid"])), "a dangling owner: {object}");
        }
        for object in listed.values().filter(|object| !object["metadata"]["deletionTimestamp"].is_null()) {
            let waits = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
            let held = waits.iter().any(|finalizer| finalizer == "x.io/f");
            let blocked = listed.values().any(|other| {
                other["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|owner| owner["uid"] == object["metadata"]["uid"])
            });
            prop_assert!(held || blocked, "nothing holds it: {object}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes(acts in prop::collection::vec(act(), 1..30)) {
        let story = || {
            let mut run = Run::new(Chooser::random(Seed(9)));
            let mut watch = run.watch("resourceVersion=0");
            for act in &acts {
                run.act(act);
            }
            run.wait(10_000);
            let mut lines = Vec::new();
            while let Ok(line) = watch.try_recv() {
                lines.push(line);
            }
            (lines, format!("{:?}", run.server.drain_changes()))
        };
        prop_assert_eq!(story(), story());
    }

    #[test]
    fn no_body_makes_the_server_fail(bodies in prop::collection::vec((0..20_usize, body()), 1..20)) {
        const ROUTES: [(&str, &str, &str); 20] = [
            ("POST", "/api/v1/namespaces/default/configmaps", ""),
            ("POST", "/api/v1/namespaces/default/pods", ""),
            ("POST", "/apis/apps/v1/namespaces/default/deployments", ""),
            ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", ""),
            ("POST", "/apis/example.com/v1/namespaces/default/foos", ""),
            ("PUT", "/apis/apps/v1/namespaces/default/deployments/web", ""),
            ("PUT", "/apis/apps/v1/namespaces/default/deployments/web/status", ""),
            ("PUT", "/apis/apps/v1/namespaces/default/deployments/web/scale", ""),
            ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", "application/merge-patch+json"),
            ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", "application/strategic-merge-patch+json"),
            ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", "application/json-patch+json"),
            ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=m&force=true", "application/apply-patch+yaml"),
            ("PATCH", "/apis/example.com/v1/namespaces/default/foos/f", "application/merge-patch+json"),
            ("PATCH", "/apis/example.com/v1/namespaces/default/foos/f?fieldManager=m", "application/apply-patch+yaml"),
            ("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.example.com", "application/merge-patch+json"),
            ("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", ""),
            ("POST", "/api/v1/namespaces/default/pods/p/eviction", ""),
            ("POST", "/api/v1/namespaces/default/pods/p/binding", ""),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ""),
            ("DELETE", "/api/v1/namespaces/default/configmaps/x", ""),
        ];
        let mut run = Run::new(Chooser::canonical());
        for object in [
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.example.com"}, "spec": {
                "group": "example.com", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": {
                "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
        ] {
            let now = run.now;
            ServerApi::new(&mut run.server, now).create("test", object).expect("created");
        }
        run.wait(100);
        for (route, body) in bodies {
            let (method, uri, media) = ROUTES[route];
            let request = Request::builder().method(method).uri(uri).header("content-type", if media.is_empty() { "application/json" } else { media });
            let request = request.body(Bytes::from(body.to_string())).expect("a request");
            let code = run.server.handle(&request, &Actor::new("user"), run.now).status().as_u16();
            prop_assert!((200..600).contains(&code));
            run.wait(50);
        }
    }
}
