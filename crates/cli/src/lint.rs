//! `wavetank lint`.

use std::collections::BTreeSet;

use wavetank_lint::{Finding, Input, json, lint_scenario};
use wavetank_report::Palette;
use wavetank_scenario::{Manifests, Problem, Scenario};

use crate::args::{LintArguments, PlanFormat, Selection, TargetName};
use crate::load::Refused;
use crate::output::Streams;
use crate::subject::{self, Subject};
use crate::target::refuse_workloads;

/// Tells what will probably go wrong; gives the exit code.
pub(crate) fn lint(arguments: &LintArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let allowed = codes(&arguments.allow)?;
    if let Some(target) = arguments.target {
        refuse_workloads(target, arguments.workloads)?;
    }
    let selection = Selection::of(arguments.paths.clone(), None, arguments.reading);
    let styled = streams.stdout.palette != Palette::plain();
    let (mut findings, mut wrong, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let subjects = subject::read(&selection, arguments.namespace.as_deref())?;
    let mut scenarios = 0;
    for subject in subjects.all {
        match subject {
            Ok(Subject::Scenarios(loaded)) => {
                take(&loaded.warnings, &mut findings, &mut others);
                findings.extend(loaded.scenarios.iter().flat_map(lint_scenario));
                scenarios += loaded.scenarios.len();
                for scenario in &loaded.scenarios {
                    if let Some(reason) = skipped(scenario, arguments) {
                        streams.message(&format!("note: {}: {reason}\n", scenario.name));
                    }
                }
            }
            Ok(Subject::Manifests(_, read)) => {
                take(&read.warnings, &mut findings, &mut others);
                findings.extend(of_manifests(read, subjects.namespace));
            }
            Err(problems) => {
                let styled = streams.stderr.palette != Palette::plain();
                wrong.push(problems.render(styled));
            }
        }
    }
    if arguments.target.is_some() && scenarios == 0 && wrong.is_empty() {
        let text = "error: --target is about scenarios, and there is none\n  = manifests alone are skipped nowhere\n";
        return Err(Refused(text.to_owned()).into());
    }
    let mut seen = BTreeSet::new();
    findings.retain(|finding| {
        !allowed.contains(finding.code.id)
            && (finding.is_warning() || !arguments.no_notes)
            && seen.insert(finding.render(false))
    });
    for text in wrong
        .iter()
        .cloned()
        .chain(others.iter().map(|problem| problem.render(false)))
    {
        streams.message(&(text + "\n\n"));
    }
    match arguments.format {
        PlanFormat::Json => streams.result(&json(&findings)?)?,
        PlanFormat::Terminal => streams.result(&text(&findings, styled))?,
    }
    Ok(if wrong.is_empty() {
        u8::from(findings.iter().any(Finding::is_warning))
    } else {
        crate::WRONG
    })
}

/// Why the target of `--target` would skip a scenario.
fn skipped(scenario: &Scenario, arguments: &LintArguments) -> Option<String> {
    let target = arguments.target?;
    let capabilities = target.capabilities(arguments.workloads);
    let reason = wavetank::lacking(scenario, &capabilities).or_else(|| {
        (target == TargetName::Kubeconfig)
            .then(|| wavetank::leaves_its_namespaces(scenario, true))
            .flatten()
    })?;
    Some(format!("would be skipped on {}: {reason}", target.as_str()))
}

fn of_manifests(read: Manifests, namespace: &str) -> Vec<Finding> {
    wavetank_lint::lint(&Input::of_manifests(read.objects, namespace))
}

/// Warnings of the reader: those with a code are findings.
fn take(warnings: &[Problem], findings: &mut Vec<Finding>, others: &mut Vec<Problem>) {
    for warning in warnings {
        match Finding::of_problem(warning) {
            Some(finding) => findings.push(finding),
            None => others.push(warning.clone()),
        }
    }
}

/// The codes that are named, by code or by name.
fn codes(names: &[String]) -> Result<BTreeSet<&'static str>, Refused> {
    let code = |name: &String| wavetank_lint::code::find(name).map(|code| code.id);
    names
        .iter()
        .map(|name| code(name).ok_or_else(|| crate::explain::unknown(name)))
        .collect()
}

fn text(findings: &[Finding], styled: bool) -> String {
    let mut parts: Vec<String> = findings
        .iter()
        .map(|finding| finding.render(styled) + "\n\n")
        .collect();
    let warnings: Vec<_> = findings
        .iter()
        .filter(|finding| finding.is_warning())
        .collect();
    let notes = findings.len() - warnings.len();
    parts.push(count(warnings.len(), "warning"));
    if notes > 0 {
        parts.push(format!(", {}", count(notes, "note")));
    }
    if let Some(finding) = warnings.first().copied().or(findings.first()) {
        let code = finding.code.id;
        parts.push(format!("; `wavetank explain {code}` says more"));
    }
    parts.concat() + "\n"
}

fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}
