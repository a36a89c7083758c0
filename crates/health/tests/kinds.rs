//! Every line of every rule of SYNC-105 and SYNC-110 to SYNC-125: `tests/kinds/` holds a file per kind with objects,
//! the status and message that each must have, and the rule that says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use wavetank_health::{Assessor, HealthStatus};
use wavetank_json::Value;
use wavetank_model::ArgoVersion;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is special about the object; unique within the file.
    name: String,
    /// Rule and line.
    rule: String,
    /// Version of Argo CD; the newest where none is given.
    #[serde(default)]
    version: Option<String>,
    /// Status; `none` where the kind has no health. With `error` it is Unknown.
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error: Option<String>,
    object: Value,
}

fn expected(case: &Case) -> String {
    match (&case.error, case.status.as_deref()) {
        (Some(error), _) => format!("error, Unknown {error:?}"),
        (None, Some("none")) => "none".to_owned(),
        (None, status) => format!("{} {:?}", status.unwrap_or("(no status)"), case.message),
    }
}

fn observed(case: &Case) -> String {
    let version = case.version.as_deref();
    let version = version.map(|text| ArgoVersion::parse(text).expect("a version"));
    let assessor = Assessor::new().with_version(version.unwrap_or_default());
    match assessor.assess(&case.object) {
        Ok(None) => "none".to_owned(),
        Ok(Some(health)) => {
            let status = health
                .status
                .map_or("(no status)", |status| status.as_str());
            format!("{status} {:?}", health.message)
        }
        Err(failure) => {
            assert!(failure.error.0.ends_with(&failure.health.message));
            assert_eq!(failure.health.status, Some(HealthStatus::Unknown));
            format!("error, Unknown {:?}", failure.health.message)
        }
    }
}

#[test]
fn every_kind_has_the_health_its_rule_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in files {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let cases: Vec<Case> = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut names = BTreeSet::new();
        for case in &cases {
            count += 1;
            assert!(
                names.insert(&case.name),
                "{file}: {} occurs twice",
                case.name
            );
            let (expected, observed) = (expected(case), observed(case));
            if expected != observed {
                let Case { name, rule, .. } = case;
                wrong.push(format!(
                    "{file}, {name} ({rule})\n  expected  {expected}\n  observed  {observed}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 100, "only {count} cases were found");
}
