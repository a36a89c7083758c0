//! Runs as a person at a terminal reads them: quiet about what is well, precise about what is not.

use crate::outcome::{ExcerptLine, Failure, RunOutcome, Tally, Verdict};
use crate::style::{Layout, Line, columns, labelled};
use crate::waiting;

/// One run: a line when it passed, the whole story when it did not.
pub fn run(outcome: &RunOutcome, layout: &Layout) -> String {
    let mut out = String::new();
    match &outcome.verdict {
        Verdict::Passed => {
            head(outcome, layout)
                .text(format!(", {}", outcome.virtual_time))
                .write(layout, &mut out);
            waiting::write(&outcome.explanation, layout, &mut out);
        }
        Verdict::KnownFailure { reason, .. } => {
            head(outcome, layout)
                .text(format!(", {}: ", outcome.virtual_time))
                .hang_here()
                .text(reason.as_str())
                .write(layout, &mut out);
            waiting::write(&outcome.explanation, layout, &mut out);
        }
        Verdict::Failed { failures } | Verdict::Fixed { failures } => {
            for failure in failures {
                write_failure(outcome, failure, layout, &mut out);
            }
            waiting::write(&outcome.explanation, layout, &mut out);
            again(outcome, layout, &mut out);
        }
        Verdict::NotSettled { reason, failures } => {
            head(outcome, layout)
                .text(format!(", at {}", outcome.virtual_time))
                .write(layout, &mut out);
            field("reason", reason, layout, &mut out);
            waiting::write(&outcome.explanation, layout, &mut out);
            for failure in failures {
                write_failure(outcome, failure, layout, &mut out);
            }
            again(outcome, layout, &mut out);
        }
        Verdict::Skipped { reason } => {
            head(outcome, layout)
                .text(": ")
                .hang_here()
                .text(reason.as_str())
                .write(layout, &mut out);
        }
        Verdict::Invalid { problems } => {
            let count = problems.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            head(outcome, layout)
                .text(format!(", {count} {noun}"))
                .write(layout, &mut out);
            for problem in problems {
                out.push('\n');
                out.push_str(problem.trim_end());
                out.push('\n');
            }
        }
        Verdict::Unavailable { reason } => {
            head(outcome, layout).write(layout, &mut out);
            field("reason", reason, layout, &mut out);
            waiting::write(&outcome.explanation, layout, &mut out);
            again(outcome, layout, &mut out);
        }
        Verdict::Bug { message } => {
            head(outcome, layout).write(layout, &mut out);
            field("message", message, layout, &mut out);
            again(outcome, layout, &mut out);
            field("report", BUG, layout, &mut out);
        }
    }
    if !outcome.verdict.is_fine() {
        out.push('\n');
    }
    out
}

/// What is asked of somebody who met a bug.
const BUG: &str = "this is a bug in wavetank, not in the scenario: please report it with the lines above, the scenario \
                   and the version that `wavetank --version` prints";

/// The warnings of a run, one paragraph each; empty when there are none.
pub fn warnings(outcome: &RunOutcome, layout: &Layout) -> String {
    let mut out = String::new();
    for warning in &outcome.warnings {
        if warning.contains('\n') {
            // Rendered with its place in the file: a paragraph of its own.
            out.push_str(warning.trim_end());
            out.push_str("\n\n");
        } else {
            Line::new()
                .styled(layout.palette.warn, "warning")
                .text(format!(": {}: ", outcome.title()))
                .text(warning.as_str())
                .write(layout, &mut out);
        }
    }
    out
}

/// How many runs came to what, in one line.
pub fn summary(tally: &Tally, layout: &Layout) -> String {
    let palette = layout.palette;
    let parts = [
        ("PASSED", "passed", palette.good),
        ("KNOWN TO FAIL", "known to fail", palette.warn),
        ("FAILED", "failed", palette.bad),
        ("UNEXPECTEDLY FIXED", "unexpectedly fixed", palette.bad),
        ("NOT SETTLED", "not settled", palette.bad),
        ("INVALID", "invalid", palette.bad),
        ("UNAVAILABLE", "unavailable", palette.bad),
        ("BUG", "met a bug", palette.bad),
        ("SKIPPED", "skipped", palette.warn),
    ];
    let noun = if tally.runs() == 1 { "run" } else { "runs" };
    let mut line = Line::new().styled(palette.head, format!("{} {noun}", tally.runs()));
    let mut separator = ": ";
    for (title, words, style) in parts {
        let count = tally.count(title);
        if count > 0 {
            line = line
                .text(separator)
                .styled(style, format!("{count} {words}"));
            separator = ", ";
        }
    }
    let mut out = String::new();
    line.write(layout, &mut out);
    out
}

fn head(outcome: &RunOutcome, layout: &Layout) -> Line {
    let style = match outcome.verdict {
        Verdict::Passed => layout.palette.good,
        Verdict::KnownFailure { .. } | Verdict::Skipped { .. } => layout.palette.warn,
        _ => layout.palette.bad,
    };
    let line = Line::new()
        .styled(style, outcome.verdict.title())
        .text(format!(" {}", outcome.title()));
    if outcome.scenario.is_some() {
        line.text(format!(" (seed {})", outcome.seed))
    } else {
        line
    }
}

/// The failure alone, under a heading that says of which run.
fn write_failure(outcome: &RunOutcome, failure: &Failure, layout: &Layout, out: &mut String) {
    let line = match outcome.verdict {
        Verdict::Failed { .. } | Verdict::Fixed { .. } => head(outcome, layout),
        _ => Line::new()
            .styled(layout.palette.bad, "FAILED")
            .text(format!(" {} (seed {})", outcome.title(), outcome.seed)),
    };
    let item = failure
        .item
        .as_ref()
        .map(|item| format!(", {item}"))
        .unwrap_or_default();
    line.text(", ")
        .styled(layout.palette.head, &*failure.name)
        .text(item)
        .write(layout, out);
    if !failure.expected.is_empty() {
        field("expected", &failure.expected, layout, out);
    }
    field("observed", &failure.observed, layout, out);
    excerpt(&failure.excerpt, layout, out);
    if let Some(hint) = &failure.hint {
        field("hint", hint, layout, out);
    }
}

fn field(name: &str, text: &str, layout: &Layout, out: &mut String) {
    labelled(
        &format!("  {name:<10}"),
        anstyle::Style::new(),
        text,
        layout,
        out,
    );
}

/// The last lines of a run that did not pass: what the file points to, and how to run it again.
fn again(outcome: &RunOutcome, layout: &Layout, out: &mut String) {
    if !outcome.about.links.is_empty() {
        field("see", &outcome.about.links.join(", "), layout, out);
    }
    // Never wrapped: it is there to be copied.
    let unbounded = Layout {
        width: None,
        ..*layout
    };
    labelled(
        "  again     ",
        layout.palette.head,
        &outcome.again(),
        &unbounded,
        out,
    );
}

fn excerpt(lines: &[ExcerptLine], layout: &Layout, out: &mut String) {
    let time = |line: &ExcerptLine| line.time.map(|time| time.to_string()).unwrap_or_default();
    let width = lines
        .iter()
        .map(|line| columns(&time(line)))
        .max()
        .unwrap_or(0);
    let mut label = "  trace     ";
    for line in lines {
        let shown = Line::new()
            .text(label)
            .styled(layout.palette.dim, format!("{:>width$}  ", time(line)))
            .hang_here();
        let shown = if line.marked {
            shown
                .styled(layout.palette.bad, &*line.text)
                .text("  <-- here")
        } else {
            shown.text(&*line.text)
        };
        shown.write(layout, out);
        label = "            ";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{outcome, without_escapes, wrong_order};
    use crate::style::Palette;

    const FILE: &str = "scenarios/waves/shop.yaml";

    fn shown(verdict: Verdict) -> String {
        run(&outcome(FILE, verdict), &Layout::plain())
    }

    #[test]
    fn a_run_that_passed_is_one_line() {
        insta::assert_snapshot!(shown(Verdict::Passed), @"PASSED scenarios/waves/shop.yaml (seed 7), 41.010s");
    }

    #[test]
    fn a_failure_says_where_expected_observed_and_how_to_run_it_again() {
        insta::assert_snapshot!(shown(Verdict::Failed { failures: vec![wrong_order()] }), @r"
        FAILED scenarios/waves/shop.yaml (seed 7), expect.order, item 3
          expected  Job/smoke applied after Deployment/checkout healthy
          observed  Job/smoke applied at 31.0s; Deployment/checkout progressing since 4.0s, healthy at 34.1s
          trace     28.030s  Deployment/checkout progressing
                      31.0s  Job/smoke applied  <-- here
                      34.1s  Deployment/checkout healthy
          see       argoproj/argo-cd#21055
          again     wavetank run scenarios/waves/shop.yaml --seed 7
        ");
    }

    #[test]
    fn what_is_known_to_fail_is_one_line_and_what_is_fixed_says_what_to_do() {
        let known = Verdict::KnownFailure {
            reason: "expect.order (argoproj/argo-cd#21055)".to_owned(),
            failures: vec![wrong_order()],
        };
        insta::assert_snapshot!(shown(known), @"KNOWN TO FAIL scenarios/waves/shop.yaml (seed 7), 41.010s: expect.order (argoproj/argo-cd#21055)");
        let fixed = Failure {
            name: "expect.order".to_owned(),
            expected: "it is known to fail".to_owned(),
            observed: "it holds".to_owned(),
            hint: Some("take it out of `exceptions`".to_owned()),
            ..Failure::default()
        };
        insta::assert_snapshot!(shown(Verdict::Fixed { failures: vec![fixed] }), @r"
        UNEXPECTEDLY FIXED scenarios/waves/shop.yaml (seed 7), expect.order
          expected  it is known to fail
          observed  it holds
          hint      take it out of `exceptions`
          see       argoproj/argo-cd#21055
          again     wavetank run scenarios/waves/shop.yaml --seed 7
        ");
    }

    #[test]
    fn every_failure_is_shown() {
        let other = Failure {
            name: "expect.operation.phase".to_owned(),
            expected: "Succeeded".to_owned(),
            observed: "Failed".to_owned(),
            hint: Some("`wavetank run --verbose` shows the whole timeline".to_owned()),
            ..Failure::default()
        };
        let text = shown(Verdict::Failed {
            failures: vec![wrong_order(), other],
        });
        assert_eq!(text.matches("FAILED ").count(), 2);
        assert!(text.contains("  hint      `wavetank run"));
    }

    #[test]
    fn a_stuck_run_gives_the_reason() {
        let reason = "stuck: nothing is left to happen and the operation is Running\n\
                      waiting for completion of hook batch/Job/migrate";
        insta::assert_snapshot!(shown(Verdict::NotSettled { reason: reason.to_owned(), failures: Vec::new() }), @r"
        NOT SETTLED scenarios/waves/shop.yaml (seed 7), at 41.010s
          reason    stuck: nothing is left to happen and the operation is Running
                    waiting for completion of hook batch/Job/migrate
          see       argoproj/argo-cd#21055
          again     wavetank run scenarios/waves/shop.yaml --seed 7
        ");
    }

    #[test]
    fn an_invalid_file_lists_its_problems() {
        let problems = vec![
            "error: unknown key `expct`\n --> a.yaml:3:1\n".to_owned(),
            "error: b".to_owned(),
        ];
        let outcome = RunOutcome {
            scenario: None,
            ..outcome("a.yaml", Verdict::Invalid { problems })
        };
        insta::assert_snapshot!(run(&outcome, &Layout::plain()), @r"
        INVALID a.yaml, 2 problems

        error: unknown key `expct`
         --> a.yaml:3:1

        error: b
        ");
    }

    #[test]
    fn a_bug_asks_for_a_report() {
        let case = Some("exit-1".to_owned());
        let outcome = RunOutcome {
            case,
            ..outcome(
                FILE,
                Verdict::Bug {
                    message: "queue is empty".to_owned(),
                },
            )
        };
        insta::assert_snapshot!(run(&outcome, &Layout::plain()), @r"
        BUG scenarios/waves/shop.yaml@exit-1 (seed 7)
          message   queue is empty
          see       argoproj/argo-cd#21055
          again     wavetank run scenarios/waves/shop.yaml --case exit-1 --seed 7
          report    this is a bug in wavetank, not in the scenario: please report it with the lines above, the scenario and the version that `wavetank --version` prints
        ");
    }

    #[test]
    fn warnings_name_the_run() {
        let warnings = vec!["hook type `presync` is not known and is ignored".to_owned()];
        let outcome = RunOutcome {
            warnings,
            ..outcome(FILE, Verdict::Passed)
        };
        insta::assert_snapshot!(super::warnings(&outcome, &Layout::plain()), @"warning: scenarios/waves/shop.yaml: hook type `presync` is not known and is ignored");
    }

    #[test]
    fn the_summary_counts_verdicts() {
        let mut tally = Tally::new();
        assert_eq!(summary(&tally, &Layout::plain()), "0 runs\n");
        for verdict in [
            Verdict::Passed,
            Verdict::Passed,
            Verdict::Failed {
                failures: vec![wrong_order()],
            },
        ] {
            tally.add(&verdict);
        }
        insta::assert_snapshot!(summary(&tally, &Layout::plain()), @"3 runs: 2 passed, 1 failed");
    }

    #[test]
    fn colour_and_width_keep_the_text() {
        let outcome = outcome(
            FILE,
            Verdict::Failed {
                failures: vec![wrong_order()],
            },
        );
        let coloured = run(
            &outcome,
            &Layout {
                palette: Palette::coloured(),
                width: None,
            },
        );
        assert_eq!(without_escapes(&coloured), run(&outcome, &Layout::plain()));
        let narrow = run(
            &outcome,
            &Layout {
                palette: Palette::plain(),
                width: Some(50),
            },
        );
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&narrow), words(&run(&outcome, &Layout::plain())));
    }
}
