//! `wavetank plan`.

use wavetank_report::{Layout, json, plan as text};

use crate::args::{PlanArguments, PlanFormat, Selection};
use crate::load::{self, Item, Refused};
use crate::output::Streams;

/// Prints the plan of the first sync of each case of a file; gives the exit code.
pub(crate) fn plan(arguments: &PlanArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let selection = Selection {
        paths: vec![arguments.path.clone()],
        filter: None,
        select: Vec::new(),
        case: arguments.case.clone(),
        allow_outside: arguments.allow_outside,
    };
    let mut plans = Vec::new();
    for item in load::load(&selection, streams.stderr.palette)? {
        match item {
            Item::Scenario { scenario, warnings } => {
                for warning in warnings {
                    streams.message(&(warning + "\n\n"));
                }
                plans.push(wavetank::plan(&scenario)?);
            }
            Item::Invalid { problems, .. } => {
                return Err(Refused(problems.join("\n\n") + "\n").into());
            }
        }
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
