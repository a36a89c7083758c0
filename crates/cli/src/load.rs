//! Reading the scenarios a command line names.

use wavetank_scenario::Scenario;

use crate::args::Selection;
use crate::output::Streams;

/// A scenario, or a file that is none.
#[derive(Debug)]
#[expect(dead_code, reason = "made by the loader, which is not called yet")]
pub(crate) enum Item {
    /// One run: a file, or a case of it.
    Scenario {
        /// The checked form.
        scenario: Box<Scenario>,
        /// Rendered warnings of its file; they stand with its first scenario.
        warnings: Vec<String>,
    },
    /// A file with problems.
    Invalid {
        /// The file, as it was named.
        path: String,
        /// Every problem, rendered.
        problems: Vec<String>,
    },
}

/// Reads and selects.
pub(crate) fn load(selection: &Selection, _streams: &Streams) -> anyhow::Result<Vec<Item>> {
    anyhow::bail!(
        "this build cannot read scenarios yet: {} not read",
        selection.paths.len()
    )
}
