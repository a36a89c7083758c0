//! `CronJob` (API-285).

use wavetank_json::Value;
use wavetank_model::cron::Schedule;
use wavetank_model::object::{self, At};
use wavetank_model::time_zone;

use super::field::{Errors, Path};
use super::json::{present, text};
use super::{Strategy, job, names, pod_spec};

pub(super) struct CronJob;

impl Strategy for CronJob {
    fn has_status(&self) -> bool {
        true
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn validate_create(&self, object: &Value, errors: &mut Errors) {
        validate_spec(object, errors);
        let name = object::name(object);
        if name.len() > 52 {
            errors.invalid(
                &Path::new("metadata").field("name"),
                name,
                "must be no more than 52 characters",
            );
        }
    }

    fn validate_update(&self, new: &Value, _old: &Value, subresource: &str, errors: &mut Errors) {
        if subresource.is_empty() {
            validate_spec(new, errors);
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
        if let Some(spec) = object.at(&["spec", "jobTemplate", "spec", "template", "spec"]) {
            out.extend(pod_spec::warnings::of_spec(
                spec,
                "spec.jobTemplate.spec.template.spec",
            ));
        }
        out
    }
}

fn validate_spec(object: &Value, errors: &mut Errors) {
    let null = Value::Null;
    let spec = object.get("spec").unwrap_or(&null);
    let path = Path::new("spec");
    let schedule = text(spec, "schedule");
    if schedule.is_empty() {
        errors.required(&path.field("schedule"), "");
    } else {
        if let Err(problem) = Schedule::parse(schedule) {
            errors.invalid(&path.field("schedule"), schedule, problem);
        }
        if schedule.contains("TZ") {
            let detail = if present(spec, "timeZone").is_some() {
                "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            } else {
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            };
            errors.invalid(&path.field("schedule"), schedule, detail);
        }
    }
    errors.not_negative(
        &path.field("startingDeadlineSeconds"),
        spec.get("startingDeadlineSeconds"),
    );
    if let Some(zone) = present(spec, "timeZone").and_then(Value::as_str) {
        validate_time_zone(zone, &path.field("timeZone"), errors);
    }
    let policy = text(spec, "concurrencyPolicy");
    if !matches!(policy, "Allow" | "Forbid" | "Replace") {
        errors.not_supported(
            &path.field("concurrencyPolicy"),
            policy,
            &["Allow", "Forbid", "Replace"],
        );
    }
    validate_template(spec, &path, errors);
    errors.not_negative(
        &path.field("successfulJobsHistoryLimit"),
        spec.get("successfulJobsHistoryLimit"),
    );
    errors.not_negative(
        &path.field("failedJobsHistoryLimit"),
        spec.get("failedJobsHistoryLimit"),
    );
}

/// Whether there is such a time zone. A real server looks into the folder of its machine, with the letters as they are.
fn validate_time_zone(zone: &str, path: &Path<'_>, errors: &mut Errors) {
    if zone.is_empty() {
        errors.invalid(path, "", "timeZone must be nil or non-empty string");
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail =
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid(path, zone, detail);
    }
    let is_known = time_zone::named(zone).is_some();
    if !is_known && zone != "Local" {
        errors.invalid(path, zone, format!("unknown time zone {zone}"));
    }
}

fn validate_template(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let null = Value::Null;
    let template = spec.at(&["jobTemplate", "spec"]).unwrap_or(&null);
    let path = path.field("jobTemplate");
    let path = path.field("spec");
    job::validate_spec(template, &path, errors);
    if present(template, "selector").is_some() {
        errors.invalid(
            &path.field("selector"),
            template["selector"].clone(),
            "`selector` will be auto-generated",
        );
    }
    if template.get("manualSelector") == Some(&Value::Bool(true)) {
        errors.not_supported(&path.field("manualSelector"), true, &["nil", "false"]);
    }
}
