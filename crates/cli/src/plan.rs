//! `wavetank plan`.

use wavetank_lint::{Finding, Input};
use wavetank_report::{Layout, Plan, json, plan as text};
use wavetank_scenario::Scenario;

use crate::args::{PlanArguments, PlanFormat, Selection};
use crate::load::{self, Refused};
use crate::output::Streams;
use crate::subject::{self, Subject};

/// Prints the plan of the first sync of each case of a file, or of manifests; gives the exit code.
pub(crate) fn plan(arguments: &PlanArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let selection = Selection::of(
        vec![arguments.path.clone()],
        arguments.case.clone(),
        arguments.reading,
    );
    let mut plans = Vec::new();
    let subjects = subject::read(&selection, arguments.namespace.as_deref())?;
    for subject in subjects.all {
        let subject = subject.map_err(|problems| Refused(problems.render(false) + "\n"))?;
        let (warnings, scenarios): (_, Vec<_>) = match subject {
            Subject::Scenarios(loaded) => {
                let path = arguments.path.display().to_string();
                let mut scenarios = loaded.scenarios;
                scenarios.retain(|scenario| load::fits(scenario, &path, &selection));
                let with_input = |scenario: Scenario| {
                    let input = Input::of(&scenario);
                    (scenario, input)
                };
                (
                    loaded.warnings,
                    scenarios.into_iter().map(with_input).collect(),
                )
            }
            Subject::Manifests(path, read) => {
                let scenario = subject::scenario(&path, &read, subjects.namespace)?;
                let input = Input::of_manifests(read.objects, subjects.namespace);
                (read.warnings, vec![(scenario, input)])
            }
        };
        for warning in warnings {
            let styled = streams.stderr.palette != wavetank_report::Palette::plain();
            streams.message(&(warning.render(styled) + "\n\n"));
        }
        for (scenario, input) in &scenarios {
            plans.push(of(scenario, input)?);
        }
    }
    if plans.is_empty() {
        let path = arguments.path.display();
        return Err(Refused(format!("error: no scenario in {path} fits the selection\n")).into());
    }
    let shown = match arguments.format {
        PlanFormat::Json => json::plans(&plans)?,
        PlanFormat::Terminal => {
            let layout: Layout = streams.stdout;
            plans
                .iter()
                .map(|plan| text::render(plan, &layout))
                .collect::<Vec<_>>()
                .join("\n")
        }
    };
    streams.result(&shown)?;
    Ok(0)
}

/// The plan, with what `wavetank lint` warns of.
fn of(scenario: &Scenario, input: &Input) -> anyhow::Result<Plan> {
    let mut plan = wavetank::plan(scenario)?;
    let findings = wavetank_lint::lint(input);
    let warnings = findings.iter().filter(|finding| finding.is_warning());
    plan.warnings.extend(warnings.map(Finding::line));
    Ok(plan)
}
