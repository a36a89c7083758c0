//! `results`: the operation's per-resource results.

use wavetank_model::{OperationPhase, Phase, Reference, ResultCode};
use wavetank_scenario::ResultExpectation;
use wavetank_scenario::expectations::{ResultFields, ResultsExpectation};
use wavetank_trace::ResourceResult;

use crate::judgement::{Answer, Failure};
use crate::matcher::References;
use crate::message;
use crate::part::Part;

pub(crate) fn failures(wanted: Option<&ResultsExpectation>, part: &Part<'_>) -> Vec<Failure> {
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let results = part
        .operation()
        .map_or(&[][..], |operation| operation.state.results.as_slice());
    let index = References::new(wanted.items.iter().map(|(_, reference, _)| reference));
    let mut found: Vec<Vec<&ResourceResult>> = vec![Vec::new(); wanted.items.len()];
    let mut others = Vec::new();
    for result in results {
        let mut listed = false;
        for position in index.candidates(&result.key) {
            let (phase, reference, _) = &wanted.items[position];
            if phase.is_none_or(|phase| phase == result.sync_phase)
                && reference.matches(&result.key, part.home)
            {
                found[position].push(result);
                listed = true;
            }
        }
        if !listed {
            others.push(result);
        }
    }
    let items = wanted.items.iter().zip(&found);
    let mut failures: Vec<Failure> = items
        .flat_map(|((phase, reference, item), found)| judge(*phase, reference, item, found, part))
        .collect();
    if wanted.no_others {
        failures.extend(
            others
                .into_iter()
                .map(|result| failure("*", "no other result".to_owned(), describe(result, part))),
        );
    }
    failures
}

/// All results that match must fit, and there must be one.
fn judge(
    phase: Option<Phase>,
    reference: &Reference,
    item: &ResultExpectation,
    found: &[&ResourceResult],
    part: &Part<'_>,
) -> Vec<Failure> {
    let name = phase.map_or_else(
        || reference.to_string(),
        |phase| format!("{phase} {reference}"),
    );
    match item {
        ResultExpectation::None => {
            let found = found
                .iter()
                .map(|result| failure(&name, "no result".to_owned(), describe(result, part)));
            found.collect()
        }
        ResultExpectation::Fields(_) if found.is_empty() => {
            let observed = match part.operation() {
                None => "no operation was in progress".to_owned(),
                Some(operation) => format!(
                    "none; the operation is {}: {:?}",
                    operation.state.phase, operation.state.message
                ),
            };
            vec![failure(&name, "a result".to_owned(), observed)]
        }
        ResultExpectation::Fields(fields) => found
            .iter()
            .flat_map(|result| {
                let object = format!("{} ", part.name(&result.key));
                let object = if reference.name.is_wildcard() {
                    object
                } else {
                    String::new()
                };
                mismatches(fields, result)
                    .into_iter()
                    .map(|(field, expected, observed)| {
                        failure(
                            &name,
                            format!("{field} {expected}"),
                            format!("{object}{field} {observed}"),
                        )
                    })
                    .collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// Fields that do not fit: name, expected, observed.
fn mismatches(
    fields: &ResultFields,
    result: &ResourceResult,
) -> Vec<(&'static str, String, String)> {
    let shown = |text: &str| {
        if text.is_empty() {
            "(empty)".to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut out = Vec::new();
    let mut compare = |field, wanted: Option<&str>, observed: &str| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != observed) {
            out.push((field, shown(wanted), shown(observed)));
        }
    };
    compare(
        "syncPhase",
        fields.sync_phase.map(Phase::as_str),
        result.sync_phase.as_str(),
    );
    compare(
        "hookPhase",
        fields.hook_phase.as_deref(),
        result.hook_phase.map_or("", OperationPhase::as_str),
    );
    compare(
        "hookType",
        fields.hook_type.as_deref(),
        result.hook_type.map_or("", Phase::as_str),
    );
    compare(
        "status",
        fields.status.as_deref(),
        result.status.map_or("", ResultCode::as_str),
    );
    if let Some(wanted) = fields
        .message
        .as_ref()
        .filter(|wanted| !message::fits(wanted, &result.message))
    {
        out.push((
            "message",
            wanted.to_string(),
            format!("{:?}", result.message),
        ));
    }
    if let Some(images) = fields
        .images
        .as_ref()
        .filter(|images| **images != result.images)
    {
        out.push((
            "images",
            images.join(", "),
            shown(&result.images.join(", ")),
        ));
    }
    out
}

fn describe(result: &ResourceResult, part: &Part<'_>) -> String {
    let status = result.status.map_or("no status", ResultCode::as_str);
    let outcome = result
        .hook_phase
        .map_or("no hookPhase", OperationPhase::as_str);
    format!(
        "{} {}: {status}, {outcome}, {:?}",
        result.sync_phase,
        part.name(&result.key),
        result.message
    )
}

fn failure(item: &str, expected: String, observed: String) -> Failure {
    Failure {
        item: item.to_owned(),
        answer: Answer::NotYet,
        expected,
        observed,
        excerpt: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_scenario::{Expectations, MessagePattern};

    use super::*;
    use crate::testing::{judged, trace};

    const RUN: &str = "
        0 operation started
        1 result PreSync Job/audit Synced Succeeded: done
        1 result PostSync Job/audit Synced Failed: broken
        1 result Sync ConfigMap/a Synced Running: configmap/a created
        1 result Sync ConfigMap/b SyncFailed Failed: boom
        2 operation failed: over";

    fn fields(status: &str) -> ResultExpectation {
        ResultExpectation::Fields(Box::new(ResultFields {
            status: Some(status.to_owned()),
            ..ResultFields::default()
        }))
    }

    fn expect(items: &[(Option<Phase>, &str, ResultExpectation)], no_others: bool) -> Expectations {
        let items = items
            .iter()
            .map(|(phase, name, item)| (*phase, name.parse().unwrap(), item.clone()))
            .collect();
        Expectations {
            results: Some(ResultsExpectation { items, no_others }),
            ..Expectations::default()
        }
    }

    #[test]
    fn results_are_found_by_object_and_phase() {
        let wanted = expect(
            &[
                (Some(Phase::PreSync), "Job/audit", fields("Synced")),
                (None, "ConfigMap/b", fields("SyncFailed")),
                (None, "ConfigMap/c", ResultExpectation::None),
            ],
            false,
        );
        assert_eq!(judged(&wanted, &trace(RUN)), "expect.results: holds");
    }

    #[test]
    fn every_result_of_a_wildcard_must_fit() {
        let wanted = expect(&[(None, "ConfigMap/*", fields("Synced"))], false);
        insta::assert_snapshot!(judged(&wanted, &trace(RUN)), @r"
        expect.results, ConfigMap/*
          expected  status Synced
          observed  ConfigMap/b status SyncFailed
        ");
    }

    #[test]
    fn failures_name_the_field() {
        let message = ResultFields {
            message: Some(MessagePattern::Literal("done".to_owned())),
            hook_phase: Some("Succeeded".to_owned()),
            ..ResultFields::default()
        };
        let wanted = expect(
            &[
                (
                    Some(Phase::PostSync),
                    "Job/audit",
                    ResultExpectation::Fields(Box::new(message)),
                ),
                (None, "ConfigMap/a", ResultExpectation::None),
                (None, "ConfigMap/c", fields("Synced")),
            ],
            true,
        );
        insta::assert_snapshot!(judged(&wanted, &trace(RUN)), @r#"
        expect.results, PostSync Job/audit
          expected  hookPhase Succeeded
          observed  hookPhase Failed
        expect.results, PostSync Job/audit
          expected  message "done"
          observed  message "broken"
        expect.results, ConfigMap/a
          expected  no result
          observed  Sync ConfigMap/a: Synced, Running, "configmap/a created"
        expect.results, ConfigMap/c
          expected  a result
          observed  none; the operation is Failed: "over"
        expect.results, *
          expected  no other result
          observed  PreSync Job/audit: Synced, Succeeded, "done"
        expect.results, *
          expected  no other result
          observed  Sync ConfigMap/b: SyncFailed, Failed, "boom"
        "#);
    }
}
