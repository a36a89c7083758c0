//! `ServiceAccount`: account, token volume and pull secrets of new Pods (API-273, API-237).

use wavetank_json::{Value, json};
use wavetank_kernel::Rng;
use wavetank_model::object;
use wavetank_model::status::Status;

use crate::kinds::json::{ensure, ensure_list, items, items_mut, present, set, text};

use super::{Lookup, Request, core};

const MIRROR: &str = "kubernetes.io/config.mirror";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
/// The alphabet of generated names (API-092).
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) fn admit(
    request: &Request<'_>,
    pod: &mut Value,
    lookup: &dyn Lookup,
    rng: &mut Rng,
) -> Result<(), Status> {
    if object::annotation(pod, MIRROR).is_some() {
        return Ok(());
    }
    let Some(spec) = ensure(pod, "spec") else {
        return Ok(());
    };
    if text(spec, "serviceAccountName").is_empty() {
        set(spec, "serviceAccountName", Some("default".into()));
    }
    let name = text(spec, "serviceAccountName").to_owned();
    set(spec, "serviceAccount", Some(name.as_str().into()));
    let Some(account) = lookup.get(&core("ServiceAccount", request.namespace, &name)) else {
        return Err(request.forbidden(&format!(
            "error looking up service account {}/{name}: serviceaccount \"{name}\" not found",
            request.namespace
        )));
    };
    if automount(&account, spec) {
        mount_token(spec, rng);
    }
    let secrets = items(&account, "imagePullSecrets");
    if items(spec, "imagePullSecrets").is_empty() && !secrets.is_empty() {
        let names: Vec<Value> = secrets
            .iter()
            .map(|secret| json!({ "name": text(secret, "name") }))
            .collect();
        set(spec, "imagePullSecrets", Some(names.into()));
    }
    Ok(())
}

/// The Pod decides, then the account; the default is yes.
fn automount(account: &Value, spec: &Value) -> bool {
    present(spec, "automountServiceAccountToken")
        .or_else(|| present(account, "automountServiceAccountToken"))
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

fn mount_token(spec: &mut Value, rng: &mut Rng) {
    let existing = items(spec, "volumes")
        .iter()
        .map(|volume| text(volume, "name"))
        .find(|name| name.starts_with(VOLUME_PREFIX));
    let (name, has_volume) = match existing {
        Some(name) => (name.to_owned(), true),
        None => (format!("{VOLUME_PREFIX}{}", suffix(rng)), false),
    };
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, list) {
            if items(container, "volumeMounts")
                .iter()
                .any(|mount| text(mount, "mountPath") == MOUNT_PATH)
            {
                continue;
            }
            if let Some(mounts) = ensure_list(container, "volumeMounts") {
                mounts.push(json!({ "name": name, "readOnly": true, "mountPath": MOUNT_PATH }));
                mounted = true;
            }
        }
    }
    if mounted
        && !has_volume
        && let Some(volumes) = ensure_list(spec, "volumes")
    {
        volumes.push(json!({
                "name": name,
                "projected": {
                    "defaultMode": 420,
                    "sources": [
                        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
                        { "downwardAPI": { "items": [
                            { "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } },
                        ] } },
                    ],
                },
            }));
    }
}

fn suffix(rng: &mut Rng) -> String {
    (0..5)
        .map(|_| {
            let index = usize::try_from(rng.below(ALPHABET.len() as u64)).unwrap_or(0);
            char::from(ALPHABET[index])
        })
        .collect()
}
