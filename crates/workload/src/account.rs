//! What every namespace has: the `ServiceAccount` `default`, and on a noisy cluster the `ConfigMap` `kube-root-ca.crt`
//! (API-237, API-356).

use wavetank_json::{Value, json};
use wavetank_model::{Api, ObjectKey, Status, object};

use crate::context::{Again, Context, MANAGER};
use crate::read::{map, text};

/// The `ConfigMap` with the cluster's certificate.
pub(crate) const ROOT_CA: &str = "kube-root-ca.crt";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nd2F2ZXRhbms=\n-----END CERTIFICATE-----\n";

fn is_active(api: &dyn Api, namespace: &str) -> bool {
    api.get(&ObjectKey::new("", "Namespace", "", namespace))
        .is_some_and(|namespace| {
            !object::is_terminating(&namespace)
                && text(&namespace, &["status", "phase"]) != "Terminating"
        })
}

/// Makes the `ServiceAccount` `default` of the namespace `key` names, if it is not there.
pub(crate) fn sync(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": key.name},
    });
    ensure(
        &ObjectKey::new("", "ServiceAccount", key.name.clone(), "default"),
        account,
        context,
    )
}

/// Makes or restores the `ConfigMap` `kube-root-ca.crt` of the namespace `key` names.
pub(crate) fn sync_root_ca(key: &ObjectKey, context: &mut Context<'_>) -> Result<Again, Status> {
    let wanted = ObjectKey::new("", "ConfigMap", key.name.clone(), ROOT_CA);
    let data = json!({"ca.crt": CERTIFICATE});
    if let Some(stored) = context.api.get(&wanted) {
        // The certificate of the server's own making is as good.
        let keeps = map(&stored, &["data"])
            .is_some_and(|data| data.len() == 1 && data.contains_key("ca.crt"));
        if !keeps {
            let mut stored = Value::clone(&stored);
            stored["data"] = data;
            context.api.update(MANAGER, stored, "")?;
        }
        return Ok(Again::Never);
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CA,
            "namespace": key.name,
            "annotations": {"kubernetes.io/description":
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."},
        },
        "data": data,
    });
    ensure(&wanted, config, context)
}

fn ensure(key: &ObjectKey, object: Value, context: &mut Context<'_>) -> Result<Again, Status> {
    if context.api.get(key).is_some() || !is_active(context.api, &key.namespace) {
        return Ok(Again::Never);
    }
    match context.api.create(MANAGER, object) {
        Err(refusal) if !refusal.is_already_exists() => Err(refusal),
        _ => Ok(Again::Never),
    }
}
