//! `StatefulSet` (API-280).

use wavetank_json::{Value, json};
use wavetank_model::defaults::workload::stateful_set_status;
use wavetank_model::object::At;

use super::field::{Errors, FieldError, Path, quote};
use super::json::{int, items, present, restore, set, text};
use super::{Env, Strategy, names, pod_spec, workload};

pub(super) struct StatefulSet;

impl Strategy for StatefulSet {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn prepare_for_create(
        &self,
        object: &mut Value,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        stateful_set_status(object);
        drop_switched_off(object);
        Ok(())
    }

    fn prepare_for_update(
        &self,
        new: &mut Value,
        _old: &Value,
        _subresource: &str,
        _env: &mut Env<'_>,
    ) -> Result<(), Vec<FieldError>> {
        drop_switched_off(new);
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        let path = Path::new("spec");
        let spec = object.get("spec").unwrap_or(&Value::Null);
        validate_spec(spec, &path, errors);
        for (index, claim) in items(spec, "volumeClaimTemplates").iter().enumerate() {
            let list = path.field("volumeClaimTemplates");
            let name = text(claim.get("metadata").unwrap_or(&Value::Null), "name");
            if name.is_empty() {
                let path = list.index(index);
                errors.required(&path.field("metadata").field("name"), "");
            }
        }
        let service = text(spec, "serviceName");
        if !service.is_empty() {
            errors.invalid_each(
                &path.field("serviceName"),
                service,
                names::dns_label(service),
            );
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        let null = Value::Null;
        if subresource == "status" {
            let status = new.get("status").unwrap_or(&null);
            validate_status(status, errors);
            return;
        }
        let path = Path::new("spec");
        let (spec, before) = (
            new.get("spec").unwrap_or(&null),
            old.get("spec").unwrap_or(&null),
        );
        validate_spec(spec, &path, errors);
        let mut allowed = spec.clone();
        for field in [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ] {
            restore(&mut allowed, before, field);
        }
        if allowed != *before {
            errors.forbidden(
                &path,
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                 'minReadySeconds' are forbidden",
            );
        }
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        object
            .at(&["spec", "template", "spec"])
            .map_or_else(Vec::new, |spec| {
                pod_spec::warnings::of_spec(spec, "spec.template.spec")
            })
    }
}

/// `maxUnavailable` is behind the feature gate `MaxUnavailableStatefulSet`, which is off in 1.36: the server drops it.
fn drop_switched_off(object: &mut Value) {
    let rolling = object.pointer_mut("/spec/updateStrategy/rollingUpdate");
    if let Some(rolling) = rolling.and_then(Value::as_object_mut) {
        rolling.remove("maxUnavailable");
    }
}

fn validate_spec(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let policy = text(spec, "podManagementPolicy");
    if !matches!(policy, "OrderedReady" | "Parallel") {
        errors.invalid(
            &path.field("podManagementPolicy"),
            policy,
            "must be 'OrderedReady' or 'Parallel'",
        );
    }
    if let Some(strategy) = present(spec, "updateStrategy") {
        validate_strategy(strategy, &path.field("updateStrategy"), errors);
    }
    if let Some(retention) = present(spec, "persistentVolumeClaimRetentionPolicy") {
        let path = path.field("persistentVolumeClaimRetentionPolicy");
        for key in ["whenDeleted", "whenScaled"] {
            let value = text(retention, key);
            if !matches!(value, "Retain" | "Delete") {
                errors.not_supported(&path.field(key), value, &["Retain", "Delete"]);
            }
        }
    }
    errors.not_negative(&path.field("replicas"), spec.get("replicas"));
    errors.not_negative(&path.field("minReadySeconds"), spec.get("minReadySeconds"));
    workload::validate_selector(spec, "statefulset", path, errors);
    if !workload::validate_selection(spec, path, errors) {
        return;
    }
    // Volumes of the claims count as volumes of the template.
    let claims = items(spec, "volumeClaimTemplates");
    if claims.is_empty() {
        workload::validate_template(spec, "StatefulSet", path, errors);
        return;
    }
    let mut with_claims = spec.clone();
    if let Some(pod) = with_claims.pointer_mut("/template/spec") {
        let claim_name =
            |claim: &Value| text(claim.get("metadata").unwrap_or(&Value::Null), "name").to_owned();
        let mut volumes: Vec<Value> = claims
            .iter()
            .map(|claim| {
                let name = claim_name(claim);
                json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
            })
            .collect();
        let claimed: Vec<String> = claims.iter().map(claim_name).collect();
        volumes.extend(
            items(pod, "volumes")
                .iter()
                .filter(|volume| !claimed.iter().any(|name| name == text(volume, "name")))
                .cloned(),
        );
        set(pod, "volumes", Some(volumes.into()));
    }
    workload::validate_template(&with_claims, "StatefulSet", path, errors);
}

fn validate_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Errors) {
    let rolling = present(strategy, "rollingUpdate");
    match text(strategy, "type") {
        "RollingUpdate" => {
            if let Some(rolling) = rolling {
                let path = path.field("rollingUpdate");
                errors.not_negative(&path.field("partition"), rolling.get("partition"));
            }
        }
        "OnDelete" => {
            if let Some(rolling) = rolling {
                let shown = rolling_as_go(rolling);
                errors.invalid_omitted(
                    &path.field("rollingUpdate"),
                    format!("{shown}: only allowed for updateStrategy 'RollingUpdate'"),
                );
            }
        }
        kind => {
            let (kind, rolling) = (
                quote(kind),
                rolling.map_or("null".to_owned(), rolling_as_go),
            );
            errors.invalid_omitted(
                path,
                format!(
                    "{{\"Type\":{kind},\"RollingUpdate\":{rolling}}}: must be 'RollingUpdate' or 'OnDelete'"
                ),
            );
        }
    }
}

/// As Go prints it.
fn rolling_as_go(rolling: &Value) -> String {
    let partition = int(rolling, "partition").unwrap_or(0);
    let unavailable = rolling.get("maxUnavailable").unwrap_or(&Value::Null);
    format!("{{\"Partition\":{partition},\"MaxUnavailable\":{unavailable}}}")
}

fn validate_status(status: &Value, errors: &mut Errors) {
    let counters = [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    workload::validate_counters(status, &counters, errors);
    workload::validate_at_most_replicas(
        status,
        &[
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
        ],
        errors,
    );
}
