//! Known differences: what a scenario says fails on a target, an engine or in a case (scenario format, section 9).

use std::collections::BTreeMap;

use wavetank_model::reference::glob;
use wavetank_report::{Failure, Verdict};
use wavetank_scenario::{Exception, Scenario};
use wavetank_trace::Header;

/// The name of what fails when a run does not settle.
const SETTLED: &str = "settled";

/// Why `scenario` is skipped on `target` with `engine`, if it is.
pub(crate) fn skip(scenario: &Scenario, target: &str, engine: &str) -> Option<String> {
    applying(scenario, target, engine).find_map(|exception| {
        let reason = exception.skip.clone()?;
        Some(match &exception.bug {
            Some(bug) => format!("{reason} ({bug})"),
            None => reason,
        })
    })
}

/// The verdict of a run with the exceptions of its scenario in mind.
///
/// A run that failed in exactly what they name is fine; one that failed in more has failed; one in which something holds
/// that they name is unexpectedly fixed. Where it is known that a run does not settle, its expectations may fail with
/// that; its invariants may not.
pub(crate) fn apply(scenario: &Scenario, header: &Header, verdict: Verdict) -> Verdict {
    let known: BTreeMap<&str, Option<&str>> = applying(scenario, &header.target, &header.engine)
        .filter_map(|exception| Some((exception.fails.as_deref()?, exception.bug.as_deref())))
        // What only a comparison of engines looks at.
        .filter(|(name, _)| *name != "compare" && !name.starts_with("compare."))
        .collect();
    if known.is_empty() {
        return verdict;
    }
    match verdict {
        Verdict::Passed => judge(&known, Vec::new()),
        Verdict::Failed { failures } => judge(&known, failures),
        Verdict::NotSettled { reason, failures } if known.contains_key(SETTLED) => {
            hung(&known, reason, failures)
        }
        other => other,
    }
}

fn applying<'a>(
    scenario: &'a Scenario,
    target: &'a str,
    engine: &'a str,
) -> impl Iterator<Item = &'a Exception> {
    let case = scenario.case.as_deref().unwrap_or_default();
    let fits = |pattern: &Option<String>, text: &str| {
        pattern.as_ref().is_none_or(|pattern| glob(pattern, text))
    };
    scenario.exceptions.iter().filter(move |exception| {
        fits(&exception.target, target)
            && fits(&exception.engine, engine)
            && fits(&exception.case, case)
    })
}

fn judge(known: &BTreeMap<&str, Option<&str>>, failures: Vec<Failure>) -> Verdict {
    let (expected, unexpected): (Vec<Failure>, Vec<Failure>) = failures
        .into_iter()
        .partition(|failure| known.contains_key(failure.name.as_str()));
    if !unexpected.is_empty() {
        return Verdict::Failed {
            failures: unexpected,
        };
    }
    let fixed: Vec<Failure> = known
        .iter()
        .filter(|(name, _)| !expected.iter().any(|failure| failure.name == **name))
        .map(|(name, bug)| fixed(name, *bug))
        .collect();
    if fixed.is_empty() {
        Verdict::KnownFailure {
            reason: told(known),
            failures: expected,
        }
    } else {
        Verdict::Fixed { failures: fixed }
    }
}

fn hung(
    known: &BTreeMap<&str, Option<&str>>,
    reason: String,
    mut failures: Vec<Failure>,
) -> Verdict {
    let unexpected: Vec<Failure> = failures
        .iter()
        .filter(|failure| !failure.name.contains("expect"))
        .filter(|failure| !known.contains_key(failure.name.as_str()))
        .cloned()
        .collect();
    if !unexpected.is_empty() {
        return Verdict::Failed {
            failures: unexpected,
        };
    }
    failures.insert(
        0,
        Failure {
            name: SETTLED.to_owned(),
            expected: "the run settles".to_owned(),
            observed: reason,
            ..Failure::default()
        },
    );
    Verdict::KnownFailure {
        reason: told(known),
        failures,
    }
}

fn fixed(name: &str, bug: Option<&str>) -> Failure {
    Failure {
        name: name.to_owned(),
        expected: bug.map_or_else(
            || "it is known to fail".to_owned(),
            |bug| format!("it is known to fail: {bug}"),
        ),
        observed: if name == SETTLED {
            "the run settled".to_owned()
        } else {
            "it holds".to_owned()
        },
        hint: Some("take it out of `exceptions`".to_owned()),
        ..Failure::default()
    }
}

/// `expect.order (argoproj/argo-cd#21055), settled`.
fn told(known: &BTreeMap<&str, Option<&str>>) -> String {
    let parts: Vec<String> = known
        .iter()
        .map(|(name, bug)| match bug {
            Some(bug) => format!("{name} ({bug})"),
            None => (*name).to_owned(),
        })
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(names: &[&str]) -> Vec<Failure> {
        let failure = |name: &&str| Failure {
            name: (*name).to_owned(),
            ..Failure::default()
        };
        names.iter().map(failure).collect()
    }

    fn names(verdict: &Verdict) -> (&'static str, Vec<&str>) {
        let failures = verdict.failures().iter();
        (
            verdict.as_str(),
            failures.map(|failure| &*failure.name).collect(),
        )
    }

    #[test]
    fn failing_in_exactly_what_is_known_is_fine() {
        let known = BTreeMap::from([("expect.order", Some("x#1")), ("expect.count", None)]);
        let verdict = judge(&known, failed(&["expect.count", "expect.order"]));
        assert_eq!(verdict.exit_code(), 0);
        assert_eq!(told(&known), "expect.count, expect.order (x#1)");
    }

    #[test]
    fn failing_in_more_is_a_failure() {
        let known = BTreeMap::from([("expect.order", None)]);
        let verdict = judge(&known, failed(&["expect.order", "expect.waves"]));
        assert_eq!(names(&verdict), ("failed", vec!["expect.waves"]));
    }

    #[test]
    fn what_holds_although_it_is_known_to_fail_is_unexpectedly_fixed() {
        let known = BTreeMap::from([("expect.order", None), ("settled", Some("x#1"))]);
        let verdict = judge(&known, failed(&["expect.order"]));
        assert_eq!(names(&verdict), ("unexpectedlyFixed", vec!["settled"]));
        assert_eq!(verdict.exit_code(), 1);
        assert_eq!(judge(&known, Vec::new()).failures().len(), 2);
    }

    #[test]
    fn a_run_that_is_known_to_hang_may_miss_its_expectations_but_no_invariant() {
        let known = BTreeMap::from([("settled", None)]);
        let fine = hung(&known, "stuck".to_owned(), failed(&["expect.operation"]));
        assert_eq!(fine.exit_code(), 0);
        let verdict = hung(
            &known,
            "stuck".to_owned(),
            failed(&["steps.0.expect.order", "invariant.wave-order"]),
        );
        assert_eq!(names(&verdict), ("failed", vec!["invariant.wave-order"]));
    }
}
