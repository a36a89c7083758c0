//! `present` and `absent`: the objects that are there at the end.

use std::fmt::Write;
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::key::split_api_version;
use wavetank_model::{NamePattern, ObjectKey, Reference, Subject, object};
use wavetank_trace::World;

use crate::judgement::{Answer, Failure};
use crate::matcher::References;
use crate::part::Part;

/// How many differences of one object are told.
const DIFFERENCES: usize = 5;

/// The partial objects that are not there, or not like that.
pub(crate) fn present_failures(wanted: &[Value], state: &World, part: &Part<'_>) -> Vec<Failure> {
    wanted
        .iter()
        .enumerate()
        .filter_map(|(index, partial)| present(index, partial, state, part))
        .collect()
}

fn present(index: usize, partial: &Value, state: &World, part: &Part<'_>) -> Option<Failure> {
    let reference = reference(partial);
    let mut best: Option<(ObjectKey, Vec<String>)> = None;
    for (key, live) in candidates(&reference, state, part.home) {
        let differences = differences(partial, live);
        if differences.is_empty() {
            return None;
        }
        if best
            .as_ref()
            .is_none_or(|(_, fewest)| differences.len() < fewest.len())
        {
            best = Some((key, differences));
        }
    }
    let failure = |expected, observed, excerpt| {
        Some(Failure {
            item: format!("item {}", index + 1),
            answer: Answer::NotYet,
            expected,
            observed,
            excerpt,
        })
    };
    let Some((key, differences)) = best else {
        let subject = Subject::Object(reference.clone());
        let last = part.entries.last().map_or(0, |entry| entry.seq);
        let seen = part.last_of(&subject, last);
        let observed = seen.map_or_else(
            || "it was never there".to_owned(),
            |entry| {
                format!(
                    "{} at {}",
                    entry.event.describe(part.home).unwrap_or_default(),
                    entry.time
                )
            },
        );
        let group = reference.group.clone().unwrap_or_default();
        let namespace = reference
            .namespace
            .as_ref()
            .map_or("", |namespace| &namespace.0);
        let name = part.name(&ObjectKey::new(
            group,
            &reference.kind,
            namespace,
            &reference.name.0,
        ));
        return failure(
            format!("{name} is there"),
            observed,
            part.excerpt_of(0, u64::MAX, &[&subject]),
        );
    };
    let mut observed = differences
        .iter()
        .take(DIFFERENCES)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if differences.len() > DIFFERENCES {
        let _written = write!(observed, "; {} more", differences.len() - DIFFERENCES);
    }
    failure(
        format!("{} as written", part.name(&key)),
        observed,
        Vec::new(),
    )
}

/// What `partial` speaks of: one object, or without a name all of its kind.
pub(crate) fn reference(partial: &Value) -> Reference {
    let text = |field: &str| {
        partial
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, _) = split_api_version(text("apiVersion"));
    let namespace = object::namespace(partial);
    let name = Some(object::name(partial)).filter(|name| !name.is_empty());
    Reference {
        group: Some(group.to_owned()),
        kind: text("kind").to_owned(),
        namespace: (!namespace.is_empty()).then(|| NamePattern(namespace.to_owned())),
        name: NamePattern(name.unwrap_or("*").to_owned()),
    }
}

/// The objects that `reference` names: by key where it has a name, else all of its kind.
fn candidates<'a>(
    reference: &Reference,
    state: &'a World,
    home: &str,
) -> Vec<(ObjectKey, &'a Arc<Value>)> {
    if reference.name.is_wildcard() {
        let fit = state
            .objects()
            .filter(|(key, _)| reference.matches(key, home));
        return fit.map(|(key, live)| (key.clone(), live)).collect();
    }
    let group = reference.group.as_deref().unwrap_or_default();
    let namespaces = match &reference.namespace {
        Some(namespace) => vec![namespace.0.as_str()],
        None => vec![home, ""],
    };
    let keys = namespaces
        .into_iter()
        .map(|namespace| ObjectKey::new(group, &reference.kind, namespace, &reference.name.0));
    keys.filter_map(|key| state.object(&key).map(|live| (key, live)))
        .collect()
}

/// Where `live` does not fit `partial`: `status.readyReplicas is 1, not 2`.
fn differences(partial: &Value, live: &Value) -> Vec<String> {
    let mut hashed = None;
    if object::is_secret(partial) {
        let mut copy = partial.clone();
        object::redact_secret(&mut copy);
        hashed = Some(copy);
    }
    let mut out = Vec::new();
    compare(&mut Vec::new(), partial, Some(live), &mut out);
    // Secret values are hashed in the trace, unless they were to be shown.
    if let Some(hashed) = hashed.filter(|_| !out.is_empty()) {
        let mut again = Vec::new();
        compare(&mut Vec::new(), &hashed, Some(live), &mut again);
        if again.len() < out.len() {
            out = again;
        }
    }
    out
}

fn compare<'a>(
    path: &mut Vec<&'a str>,
    wanted: &'a Value,
    live: Option<&Value>,
    out: &mut Vec<String>,
) {
    match (wanted, live) {
        (Value::Null, None) => {}
        (Value::Object(wanted), Some(Value::Object(live))) => {
            for (field, wanted) in wanted {
                // The trace holds one version per kind; which one is written is no matter of content.
                if path.is_empty() && field == "apiVersion" {
                    continue;
                }
                path.push(field);
                compare(path, wanted, live.get(field), out);
                path.pop();
            }
        }
        (Value::Object(fields), None)
            if fields.values().all(Value::is_null) && !path.is_empty() => {}
        (Value::Null, Some(live)) => out.push(format!("{} is {live}, not absent", show(path))),
        (wanted, None) => out.push(format!("{} is absent, not {wanted}", show(path))),
        (wanted, Some(live)) if same(wanted, live) => {}
        (wanted, Some(live)) => out.push(format!("{} is {live}, not {wanted}", show(path))),
    }
}

/// Equal, where `2` and `2.0` are.
fn same(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Number(wanted), Value::Number(live)) => {
            wanted == live || wanted.as_f64() == live.as_f64()
        }
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len()
                && wanted
                    .iter()
                    .zip(live)
                    .all(|(wanted, live)| fits(wanted, live))
        }
        (wanted, live) => wanted == live,
    }
}

/// An item of a list: lists are compared whole and in order, maps within them partially.
fn fits(wanted: &Value, live: &Value) -> bool {
    let mut out = Vec::new();
    compare(&mut vec!["item"], wanted, Some(live), &mut out);
    out.is_empty()
}

fn show(path: &[&str]) -> String {
    let part = |part: &&str| {
        if part.contains('.') {
            format!("[{part}]")
        } else {
            (*part).to_owned()
        }
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

/// The references that name something that is there.
pub(crate) fn absent_failures(
    wanted: &[Reference],
    state: &World,
    part: &Part<'_>,
) -> Vec<Failure> {
    let index = References::new(wanted);
    let mut found: Vec<Vec<&ObjectKey>> = vec![Vec::new(); wanted.len()];
    for (key, _) in state.objects() {
        for position in index
            .candidates(key)
            .filter(|position| wanted[*position].matches(key, part.home))
        {
            found[position].push(key);
        }
    }
    wanted
        .iter()
        .zip(found)
        .enumerate()
        .filter_map(|(index, (reference, found))| {
            let first = found.first()?;
            let terminating = state
                .object(first)
                .is_some_and(|object| object::is_terminating(object));
            let mut observed = format!("{} is there", part.name(first));
            if terminating {
                let finalizers: Vec<&str> = state
                    .object(first)
                    .into_iter()
                    .flat_map(|object| object::finalizers(object))
                    .collect();
                let _written = write!(
                    observed,
                    ", terminating, with the finalizers [{}]",
                    finalizers.join(", ")
                );
            }
            if found.len() > 1 {
                let _written = write!(observed, ", and {} more", found.len() - 1);
            }
            Some(Failure {
                item: format!("item {}", index + 1),
                answer: Answer::NotYet,
                expected: format!("{reference} is absent"),
                observed,
                excerpt: part.excerpt_of(0, u64::MAX, &[&Subject::Object(reference.clone())]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;
    use wavetank_scenario::Expectations;

    use super::*;
    use crate::testing::{judged, trace};

    const RUN: &str = r#"
        1 Deployment/web created = {"apiVersion": "apps/v1", "spec": {"replicas": 2, "list": [{"a": 1, "b": 2}]}}
        2 Deployment/web updated = {"status": {"readyReplicas": 1}}
        3 Job/a created
        4 Job/a deleted
        5 Job/b created = {"metadata": {"finalizers": ["x/y"]}}
        6 Job/b deleting = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:06Z"}}
        7 Namespace/shop created"#;

    fn present(partial: Value) -> Expectations {
        Expectations {
            present: vec![partial],
            ..Expectations::default()
        }
    }

    fn web(rest: Value) -> Value {
        let mut web =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
        wavetank_model::patch::merge(&mut web, &rest).unwrap();
        web
    }

    #[rstest]
    #[case::partial_maps(json!({"status": {"readyReplicas": 1}}), true)]
    #[case::numbers_by_value(json!({"spec": {"replicas": 2.0}}), true)]
    #[case::maps_in_lists(json!({"spec": {"list": [{"a": 1}]}}), true)]
    #[case::lists_whole(json!({"spec": {"list": []}}), false)]
    #[case::another_value(json!({"status": {"readyReplicas": 2}}), false)]
    #[case::a_missing_key(json!({"status": {"replicas": 2}}), false)]
    fn maps_fit_partially_and_lists_whole(#[case] rest: Value, #[case] holds: bool) {
        let text = judged(&present(web(rest)), &trace(RUN));
        assert_eq!(text == "expect.present: holds", holds, "{text}");
    }

    #[test]
    fn null_means_absent() {
        let mut wanted = web(json!({}));
        wanted["status"] = json!({"replicas": null});
        wanted["metadata"]["annotations"] = json!({"x": null});
        assert_eq!(
            judged(&present(wanted.clone()), &trace(RUN)),
            "expect.present: holds"
        );
        wanted["status"]["readyReplicas"] = Value::Null;
        insta::assert_snapshot!(judged(&present(wanted), &trace(RUN)), @r"
        expect.present, item 1
          expected  Deployment/web as written
          observed  status.readyReplicas is 1, not absent
        ");
    }

    #[test]
    fn cluster_scoped_objects_are_found() {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        assert_eq!(
            judged(&present(namespace), &trace(RUN)),
            "expect.present: holds"
        );
    }

    #[test]
    fn what_is_not_there_says_why() {
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}});
        insta::assert_snapshot!(judged(&present(job), &trace(RUN)), @r"
        expect.present, item 1
          expected  Job/a is there
          observed  Job/a deleted at 4.0s
               3.0s  Job/a created (by engine)
               4.0s  Job/a deleted (by engine)
        ");
    }

    #[test]
    fn secret_values_are_compared_hashed() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "eA=="}});
        let wanted = secret.clone();
        object::redact_secret(&mut secret);
        let run = format!("1 Secret/s created = {secret}");
        assert_eq!(
            judged(&present(wanted.clone()), &trace(&run)),
            "expect.present: holds"
        );
        let shown = format!("1 Secret/s created = {wanted}");
        assert_eq!(
            judged(&present(wanted.clone()), &trace(&shown)),
            "expect.present: holds"
        );
        let mut other = wanted;
        other["data"]["a"] = json!("eQ==");
        assert!(judged(&present(other), &trace(&run)).contains("data.a is \"sha256:"));
    }

    #[test]
    fn absent_tells_what_holds_the_object() {
        let absent = ["Job/a", "Job/b*", "Job/c"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let expect = Expectations {
            absent,
            ..Expectations::default()
        };
        insta::assert_snapshot!(judged(&expect, &trace(RUN)), @r"
        expect.absent, item 2
          expected  Job/b* is absent
          observed  Job/b is there, terminating, with the finalizers [x/y]
               5.0s  Job/b created (by engine)
               6.0s  Job/b deleting (by engine)
        ");
    }
}
