//! Runs as `JUnit` XML, for CI systems: a suite per file, a test case per run.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::outcome::{RunOutcome, Verdict};
use crate::style::Layout;
use crate::terminal;

/// Why the XML could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write JUnit XML")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The runs as one XML document. Runs of one file that follow each other share a suite.
///
/// What did not settle is a failure; what could not be run (invalid file, target not available, bug) is an error. Times
/// are wall times and stand there where they were measured.
///
/// # Errors
/// [`JunitError`] when the XML writer refuses the data.
pub fn runs(outcomes: &[RunOutcome]) -> Result<String, JunitError> {
    let mut report = Report::new("wavetank");
    for group in outcomes.chunk_by(|a, b| a.path == b.path) {
        let mut suite = TestSuite::new(group[0].path.as_str());
        for outcome in group {
            suite.add_test_case(test_case(outcome, group));
        }
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn test_case(outcome: &RunOutcome, group: &[RunOutcome]) -> TestCase {
    let name = outcome.scenario.as_deref().unwrap_or(&outcome.path);
    let repeated = group
        .iter()
        .filter(|other| other.scenario == outcome.scenario)
        .count()
        > 1;
    let name = if repeated {
        format!("{name} (seed {})", outcome.seed)
    } else {
        name.to_owned()
    };
    let mut case = TestCase::new(name, status(outcome));
    case.set_classname(outcome.path.as_str());
    if let Some(time) = outcome.wall_time {
        case.set_time(time);
    }
    if outcome.scenario.is_some() {
        case.add_property(Property::new("seed", outcome.seed.to_string()));
        case.add_property(Property::new(
            "virtualTime",
            outcome.virtual_time.to_string(),
        ));
    }
    if !outcome.warnings.is_empty() {
        case.set_system_err(terminal::warnings(outcome, &Layout::plain()));
    }
    case
}

fn status(outcome: &RunOutcome) -> TestCaseStatus {
    let (mut status, message) = match &outcome.verdict {
        Verdict::Passed | Verdict::KnownFailure { .. } => return TestCaseStatus::success(),
        Verdict::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            return status;
        }
        Verdict::Failed { failures } | Verdict::Fixed { failures } => {
            let names: Vec<&str> = failures
                .iter()
                .map(|failure| failure.name.as_str())
                .collect();
            (
                TestCaseStatus::non_success(NonSuccessKind::Failure),
                names.join(", "),
            )
        }
        Verdict::NotSettled { reason, .. } => (
            TestCaseStatus::non_success(NonSuccessKind::Failure),
            first_line(reason),
        ),
        Verdict::Invalid { problems } => {
            let first = problems
                .first()
                .map(|problem| first_line(problem))
                .unwrap_or_default();
            (TestCaseStatus::non_success(NonSuccessKind::Error), first)
        }
        Verdict::Unavailable { reason } => (
            TestCaseStatus::non_success(NonSuccessKind::Error),
            first_line(reason),
        ),
        Verdict::Bug { message } => (
            TestCaseStatus::non_success(NonSuccessKind::Error),
            first_line(message),
        ),
    };
    status.set_type(outcome.verdict.as_str());
    status.set_message(message);
    status.set_description(terminal::run(outcome, &Layout::plain()).trim_end());
    status
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{outcome, wrong_order};

    #[test]
    fn a_file_is_a_suite_and_a_run_a_case() {
        let failed = outcome(
            "a.yaml",
            Verdict::Failed {
                failures: vec![wrong_order()],
            },
        );
        let again = RunOutcome {
            seed: 8,
            ..outcome("a.yaml", Verdict::Passed)
        };
        let skipped = outcome(
            "b.yaml",
            Verdict::Skipped {
                reason: "needs virtual time".to_owned(),
            },
        );
        let stuck = Verdict::NotSettled {
            reason: "stuck: nothing left\nmore".to_owned(),
            failures: Vec::new(),
        };
        let warned = RunOutcome {
            warnings: vec!["look".to_owned()],
            ..outcome("c.yaml", stuck)
        };
        insta::assert_snapshot!(runs(&[failed, again, skipped, warned]).unwrap());
    }
}
