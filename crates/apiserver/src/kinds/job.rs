//! Job (API-281 to 284).

use wavetank_json::{Value, json};
use wavetank_model::api::Propagation;
use wavetank_model::defaults::job::labels_from_template;
use wavetank_model::object::{self, At};

use super::field::{Errors, FieldError, Path};
use super::json::{default_to, ensure, flag, int, items_mut, present, restore, set, text};
use super::{Env, Strategy, label_selector, names, pod_spec};

mod policies;
mod status;

pub(super) struct Job;

const LEGACY_UID: &str = "controller-uid";
const LEGACY_NAME: &str = "job-name";
const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";

impl Strategy for Job {
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
        if !object
            .get("spec")
            .is_some_and(|spec| flag(spec, "manualSelector"))
        {
            generate_selector(object);
            labels_from_template(object);
        }
        Ok(())
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_generated_selector(object, errors);
        let spec = object.get("spec").unwrap_or(&Value::Null);
        validate_spec_with_selector(spec, errors);
        validate_pod_hostname(object, spec, errors);
    }

    fn validate_update(&self, new: &Value, old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource == "status" {
            status::validate(new, old, errors);
            return;
        }
        let null = Value::Null;
        let (spec, before) = (
            new.get("spec").unwrap_or(&null),
            old.get("spec").unwrap_or(&null),
        );
        self.validate_create(new, errors);
        let path = Path::new("spec");
        validate_completions(spec, before, &path.field("completions"), errors);
        errors.immutable(
            &path.field("selector"),
            spec.get("selector"),
            before.get("selector"),
        );
        validate_template_update(spec, before, old, &path, errors);
        for field in [
            "completionMode",
            "podFailurePolicy",
            "backoffLimitPerIndex",
            "managedBy",
            "successPolicy",
        ] {
            errors.immutable(&path.field(field), spec.get(field), before.get(field));
        }
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let mut out = Vec::new();
        let problems = names::dns_label(object::name(object));
        if !problems.is_empty() {
            out.push(format!(
                "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS \
                 label is recommended: [{}]",
                problems.join(" ")
            ));
        }
        if let Some(spec) = object.at(&["spec", "template", "spec"]) {
            out.extend(pod_spec::warnings::of_spec(spec, "spec.template.spec"));
        }
        out
    }

    fn default_propagation(&self) -> Propagation {
        Propagation::Orphan
    }
}

/// Labels and selector of a new Job (API-281).
fn generate_selector(object: &mut Value) {
    let (name, uid) = (
        object::name(object).to_owned(),
        object::uid(object).to_owned(),
    );
    let Some(spec) = ensure(object, "spec") else {
        return;
    };
    if let Some(labels) = ensure(spec, "template")
        .and_then(|template| ensure(template, "metadata"))
        .and_then(|metadata| ensure(metadata, "labels"))
    {
        for key in [LEGACY_NAME, NAME] {
            default_to(labels, key, name.as_str());
        }
        for key in [LEGACY_UID, UID] {
            default_to(labels, key, uid.as_str());
        }
    }
    if let Some(labels) =
        ensure(spec, "selector").and_then(|selector| ensure(selector, "matchLabels"))
    {
        default_to(labels, UID, uid);
    }
}

fn validate_generated_selector(object: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let spec = object.get("spec").unwrap_or(&null);
    let Some(selector) = present(spec, "selector").filter(|_| !flag(spec, "manualSelector")) else {
        return;
    };
    let (name, uid) = (object::name(object), object::uid(object));
    let root = Path::new("spec");
    let (template, labels_of) = (
        root.field("template"),
        spec.at(&["template", "metadata", "labels"])
            .unwrap_or(&null),
    );
    let (metadata, mut expected) = (template.field("metadata"), json!({}));
    let path = metadata.field("labels");
    for (key, value) in [
        (LEGACY_UID, uid),
        (LEGACY_NAME, name),
        (UID, uid),
        (NAME, name),
    ] {
        match present(labels_of, key).and_then(Value::as_str) {
            None => errors.required(&path.key(key), format!("must be '{value}'")),
            Some(found) if found != value => {
                errors.invalid(
                    &path.key(key),
                    labels_of.clone(),
                    format!("must be '{value}'"),
                );
            }
            Some(_) => {}
        }
        set(&mut expected, key, Some(value.into()));
    }
    if !label_selector::matches(selector, Some(&expected)) {
        errors.invalid(
            &root.field("selector"),
            selector.clone(),
            "`selector` not auto-generated",
        );
    }
}

fn validate_spec_with_selector(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    validate_spec(spec, &path, errors);
    match present(spec, "selector") {
        None => errors.required(&path.field("selector"), ""),
        Some(selector) => {
            label_selector::validate(selector, &path.field("selector"), errors);
            let labels = spec.at(&["template", "metadata", "labels"]);
            if !label_selector::matches(selector, labels) {
                errors.invalid(
                    &path.field("template").field("metadata").field("labels"),
                    labels.cloned().unwrap_or(Value::Null),
                    "`selector` does not match template `labels`",
                );
            }
        }
    }
}

/// Checks a Job's spec but for the selector; a `CronJob`'s template is checked with it too.
pub(super) fn validate_spec(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        errors.not_negative(&path.field(field), spec.get(field));
    }
    let indexed = text(spec, "completionMode") == "Indexed";
    if int(spec, "maxFailedIndexes").is_some() && int(spec, "backoffLimitPerIndex").is_none() {
        errors.required(
            &path.field("backoffLimitPerIndex"),
            "when maxFailedIndexes is specified",
        );
    }
    policies::validate_managed_by(spec, path, errors);
    policies::validate_completion_mode(spec, indexed, path, errors);
    policies::validate_failure_policy(spec, path, errors);
    policies::validate_success_policy(spec, indexed, path, errors);
    policies::validate_replacement_policy(spec, path, errors);
    validate_pods(spec, path, errors);
}

fn validate_pods(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let null = Value::Null;
    let path = path.field("template");
    let template = spec.get("template").unwrap_or(&null);
    pod_spec::validate_template(template, &path, errors);
    let (pod, policy_path) = (template.get("spec").unwrap_or(&null), path.field("spec"));
    let policy_path = policy_path.field("restartPolicy");
    match text(pod, "restartPolicy") {
        "" | "Always" => errors.required(&policy_path, "valid values: \"OnFailure\", \"Never\""),
        policy @ "OnFailure" if present(spec, "podFailurePolicy").is_some() => errors.invalid(
            &policy_path,
            policy,
            "only \"Never\" is supported when podFailurePolicy is specified",
        ),
        "OnFailure" | "Never" => {}
        other => errors.not_supported(&policy_path, other, &["OnFailure", "Never"]),
    }
}

fn validate_pod_hostname(object: &Value, spec: &Value, errors: &mut Errors) {
    let Some(completions) = int(spec, "completions").filter(|count| *count > 0) else {
        return;
    };
    if text(spec, "completionMode") != "Indexed" {
        return;
    }
    let name = object::name(object);
    let hostname = format!("{name}-{}", completions - 1);
    if !names::dns_label(&hostname).is_empty() {
        errors.invalid(
            &Path::new("metadata").field("name"),
            name,
            format!("will not able to create pod with invalid DNS label: {hostname}"),
        );
    }
}

/// Completions change only for Indexed Jobs, together with parallelism.
fn validate_completions(spec: &Value, before: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (new, old) = (spec.get("completions"), before.get("completions"));
    if new == old {
        return;
    }
    let elastic = text(before, "completionMode") == "Indexed"
        && new.is_some()
        && old.is_some()
        && new == spec.get("parallelism");
    if elastic {
        return;
    }
    if text(before, "completionMode") == "Indexed" && new.is_some() && old.is_some() {
        errors.invalid(
            path,
            new.cloned().unwrap_or(Value::Null),
            format!(
                "can only be modified in tandem with {}",
                path.to_string().replace("completions", "parallelism")
            ),
        );
    } else {
        errors.immutable(path, new, old);
    }
}

/// The template is immutable; while the Job is suspended and has no active Pod, where Pods run, their labels and
/// annotations and their resources may change.
fn validate_template_update(
    spec: &Value,
    before: &Value,
    old: &Value,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let status = old.get("status").unwrap_or(&Value::Null);
    let mutable = flag(before, "suspend")
        && int(status, "active").unwrap_or(0) == 0
        && (present(status, "startTime").is_none() || status::is_true(status, "Suspended"));
    let null = Value::Null;
    let template = spec.get("template").unwrap_or(&null);
    let mut allowed = before.get("template").cloned().unwrap_or_default();
    if mutable {
        allow_scheduling_changes(&mut allowed, template);
    }
    let path = path.field("template");
    if mutable {
        let (pod, mut allowed) = (
            template.get("spec"),
            allowed.get("spec").cloned().unwrap_or_default(),
        );
        for list in ["containers", "initContainers"] {
            let new = pod.map_or(&[][..], |pod| super::json::items(pod, list));
            let containers = items_mut(&mut allowed, list);
            if containers.len() == new.len() {
                for (container, new) in containers.iter_mut().zip(new) {
                    if text(container, "name") == text(new, "name") {
                        restore(container, new, "resources");
                    }
                }
            }
        }
        errors.immutable(&path.field("spec"), pod, Some(&allowed));
    } else {
        errors.immutable(&path, Some(template), Some(&allowed));
    }
}

fn allow_scheduling_changes(allowed: &mut Value, template: &Value) {
    if let (Some(allowed), Some(new)) = (allowed.get_mut("spec"), template.get("spec")) {
        for key in ["nodeSelector", "tolerations", "schedulingGates"] {
            restore(allowed, new, key);
        }
        let affinity = present(new, "affinity")
            .and_then(|affinity| present(affinity, "nodeAffinity"))
            .cloned();
        match (affinity, present(allowed, "affinity").is_some()) {
            (None, false) => {}
            (affinity, _) => {
                if let Some(holder) = ensure(allowed, "affinity") {
                    set(holder, "nodeAffinity", affinity);
                }
                let empty = allowed
                    .get("affinity")
                    .and_then(Value::as_object)
                    .is_some_and(wavetank_json::Map::is_empty);
                if empty && present(new, "affinity").is_none() {
                    set(allowed, "affinity", None);
                }
            }
        }
    }
    let null = Value::Null;
    let metadata = template.get("metadata").unwrap_or(&null);
    if let Some(allowed) = ensure(allowed, "metadata") {
        restore(allowed, metadata, "labels");
        restore(allowed, metadata, "annotations");
    }
}
