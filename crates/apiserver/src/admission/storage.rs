//! `DefaultStorageClass`, `StorageObjectInUseProtection`, `PersistentVolumeClaimResize`, `DefaultIngressClass`
//! (API-289, API-290, API-292).

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::key::{GroupKind, ObjectKey};
use wavetank_model::object::{self, At};
use wavetank_model::status::Status;

use crate::kinds::json::{ensure, ensure_list, flag, present, set, text};
use crate::kinds::quantity;

use super::{Lookup, Request};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const BETA_DEFAULT_CLASS: &str = "storageclass.beta.kubernetes.io/is-default-class";
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_INGRESS_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// The object marked as default: the newest, by name where equally old.
fn newest_default(
    lookup: &dyn Lookup,
    group: &str,
    kind: &str,
    marks: &[&str],
) -> Option<Arc<Value>> {
    lookup
        .list(&GroupKind::new(group, kind), None)
        .into_iter()
        .filter(|class| {
            marks
                .iter()
                .any(|mark| object::annotation(class, mark) == Some("true"))
        })
        .min_by(|a, b| {
            let created = |class: &Value| object::meta_str(class, "creationTimestamp").to_owned();
            created(b)
                .cmp(&created(a))
                .then_with(|| object::name(a).cmp(object::name(b)))
        })
}

pub(super) fn default_class(claim: &mut Value, lookup: &dyn Lookup) {
    let has_class = claim
        .get("spec")
        .and_then(|spec| present(spec, "storageClassName"))
        .is_some()
        || object::annotation(claim, CLASS_ANNOTATION).is_some();
    if has_class {
        return;
    }
    let marks = [DEFAULT_CLASS, BETA_DEFAULT_CLASS];
    if let Some(class) = newest_default(lookup, "storage.k8s.io", "StorageClass", &marks)
        && let Some(spec) = ensure(claim, "spec")
    {
        set(spec, "storageClassName", Some(object::name(&class).into()));
    }
}

pub(super) fn default_ingress_class(ingress: &mut Value, lookup: &dyn Lookup) {
    let has_class = ingress
        .get("spec")
        .and_then(|spec| present(spec, "ingressClassName"))
        .is_some()
        || object::annotation(ingress, "kubernetes.io/ingress.class").is_some();
    if has_class {
        return;
    }
    if let Some(class) = newest_default(
        lookup,
        "networking.k8s.io",
        "IngressClass",
        &[DEFAULT_INGRESS_CLASS],
    ) && let Some(spec) = ensure(ingress, "spec")
    {
        set(spec, "ingressClassName", Some(object::name(&class).into()));
    }
}

pub(super) fn protect(request: &Request<'_>, object: &mut Value) {
    let finalizer = if request.is("", "PersistentVolumeClaim") {
        "kubernetes.io/pvc-protection"
    } else if request.is("", "PersistentVolume") {
        "kubernetes.io/pv-protection"
    } else {
        return;
    };
    if let Some(finalizers) =
        ensure(object, "metadata").and_then(|metadata| ensure_list(metadata, "finalizers"))
        && !finalizers.iter().any(|present| present == finalizer)
    {
        finalizers.push(finalizer.into());
    }
}

pub(super) fn validate_resize(
    request: &Request<'_>,
    claim: &Value,
    old: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    let size = |claim: &Value| {
        claim
            .at(&["spec", "resources", "requests", "storage"])
            .and_then(quantity::read)
    };
    match (size(claim), size(old)) {
        (Some(new), Some(old)) if new > old => {}
        _ => return Ok(()),
    }
    if old.at(&["status", "phase"]).and_then(Value::as_str) != Some("Bound") {
        return Err(request.forbidden("Only bound persistent volume claims can be expanded"));
    }
    let class = claim
        .get("spec")
        .map(|spec| text(spec, "storageClassName"))
        .unwrap_or_default();
    let allowed = !class.is_empty()
        && lookup
            .get(&ObjectKey::new("storage.k8s.io", "StorageClass", "", class))
            .is_some_and(|class| flag(&class, "allowVolumeExpansion"));
    if allowed {
        return Ok(());
    }
    Err(request.forbidden(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    ))
}
