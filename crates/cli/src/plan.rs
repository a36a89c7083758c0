//! `wavetank plan`.

use crate::args::PlanArguments;
use crate::output::Streams;

/// Prints the plan of a scenario's first sync; gives the exit code.
pub(crate) fn plan(arguments: &PlanArguments, _streams: &mut Streams) -> anyhow::Result<u8> {
    anyhow::bail!(
        "this build cannot plan yet: {} not read",
        arguments.path.display()
    )
}
