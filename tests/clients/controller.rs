//! A kube-rs `Controller` with a finalizer, behind leader election by a Lease.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use wavetank_tests::wire::{self, Serve};

const FINALIZER: &str = "example.com/mirror";
const LEASE: &str = "mirrors";

/// The controller copies each `ConfigMap` with the label `mirror` into a Secret of its own, and counts those that go away
/// in the `ConfigMap` `gone`.
pub(crate) fn reconciles_behind_leader_election(wavetank: &Path) -> Result<(), String> {
    let server = Serve::start(wavetank, &[])?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let client = wire::client(&server.kubeconfig()).await?;
        timeout(Duration::from_secs(60), play(client))
            .await
            .map_err(|_| "not done within a minute".to_owned())?
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn play(client: Client) -> Result<(), String> {
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    assert!(lead(&leases, "one").await?, "a free lease is taken");
    assert!(!lead(&leases, "two").await?, "a held lease is not");
    let controller = tokio::spawn(control(client.clone()));

    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client);
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some("m".to_owned()),
            labels: Some(BTreeMap::from([("mirror".to_owned(), "yes".to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("k".to_owned(), "one".to_owned())])),
        ..ConfigMap::default()
    };
    maps.create(&PostParams::default(), &map)
        .await
        .map_err(text)?;
    holds(&secrets, "one").await?;
    let patch = wavetank_json::json!({"data": {"k": "two"}});
    maps.patch("m", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map_err(text)?;
    holds(&secrets, "two").await?;
    // What the controller owns and somebody removes comes back.
    secrets
        .delete("m", &DeleteParams::default())
        .await
        .map_err(text)?;
    holds(&secrets, "two").await?;
    let uid = maps.get("m").await.map_err(text)?.uid().unwrap_or_default();
    maps.delete("m", &DeleteParams::default())
        .await
        .map_err(text)?;
    await_condition(maps.clone(), "m", conditions::is_deleted(&uid))
        .await
        .map_err(text)?;
    let gone = maps.get("gone").await.map_err(text)?;
    assert_eq!(gone.data.unwrap_or_default()["m"], "yes");
    while secrets.get_opt("m").await.map_err(text)?.is_some() {
        sleep(Duration::from_millis(20)).await;
    }
    // The other one takes over when the first one has let go.
    release(&leases, "one").await?;
    assert!(lead(&leases, "two").await?, "a lease is handed over");
    controller.abort();
    Ok(())
}

/// Waits until the Secret holds a text.
async fn holds(secrets: &Api<Secret>, expected: &str) -> Result<(), String> {
    loop {
        let found = secrets.get_opt("m").await.map_err(text)?;
        let data = found.and_then(|secret| secret.data).unwrap_or_default();
        if data
            .get("k")
            .is_some_and(|bytes| bytes.0 == expected.as_bytes())
        {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Takes the lease when nobody holds it, as libraries for leader election do; whether `name` holds it then.
async fn lead(leases: &Api<Lease>, name: &str) -> Result<bool, String> {
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(15),
        #[expect(
            clippy::disallowed_methods,
            reason = "a holder renews by its own clock"
        )]
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    match leases.get_opt(LEASE).await.map_err(text)? {
        None => {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(LEASE.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: Some(spec),
            };
            match leases.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(text(error)),
            }
        }
        Some(mut lease) => {
            let held = lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.as_deref());
            if held.is_some_and(|holder| !holder.is_empty()) {
                return Ok(held == Some(name));
            }
            lease.spec = Some(spec);
            match leases.replace(LEASE, &PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(text(error)),
            }
        }
    }
}

async fn release(leases: &Api<Lease>, name: &str) -> Result<(), String> {
    let mut lease = leases.get(LEASE).await.map_err(text)?;
    let spec = lease.spec.get_or_insert_default();
    assert_eq!(spec.holder_identity.as_deref(), Some(name));
    spec.holder_identity = Some(String::new());
    leases
        .replace(LEASE, &PostParams::default(), &lease)
        .await
        .map(drop)
        .map_err(text)
}

async fn control(client: Client) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    Controller::new(maps, watcher::Config::default().labels("mirror=yes"))
        .owns(secrets, watcher::Config::default())
        .run(
            |map, client| async move {
                let maps: Api<ConfigMap> = Api::default_namespaced((*client).clone());
                let client = Client::clone(&client);
                finalizer(&maps, FINALIZER, map, |event| reconcile(event, client)).await
            },
            |_, _, _| Action::requeue(Duration::from_millis(50)),
            Arc::new(client),
        )
        .for_each(|_| async {})
        .await;
}

async fn reconcile(event: Event<ConfigMap>, client: Client) -> Result<Action, kube::Error> {
    match event {
        Event::Apply(map) => {
            let secrets: Api<Secret> = Api::default_namespaced(client);
            let secret = Secret {
                metadata: ObjectMeta {
                    name: map.metadata.name.clone(),
                    owner_references: map.controller_owner_ref(&()).map(|owner| vec![owner]),
                    ..ObjectMeta::default()
                },
                string_data: map.data.clone(),
                ..Secret::default()
            };
            let params = PatchParams::apply("mirror").force();
            secrets
                .patch(&map.name_any(), &params, &Patch::Apply(secret))
                .await?;
        }
        Event::Cleanup(map) => {
            let maps: Api<ConfigMap> = Api::default_namespaced(client);
            let gone = ConfigMap {
                metadata: ObjectMeta {
                    name: Some("gone".to_owned()),
                    ..ObjectMeta::default()
                },
                data: Some(BTreeMap::from([(map.name_any(), "yes".to_owned())])),
                ..ConfigMap::default()
            };
            let params = PatchParams::apply("mirror");
            maps.patch("gone", &params, &Patch::Apply(gone)).await?;
        }
    }
    Ok(Action::await_change())
}
