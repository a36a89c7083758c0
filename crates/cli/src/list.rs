//! `wavetank list`.

use crate::args::ListArguments;
use crate::load::{self, Item};
use crate::output::Streams;

/// Prints one line per scenario: name, file, labels; gives the exit code.
pub(crate) fn list(arguments: &ListArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let items = load::load(&arguments.selection, streams.stderr.palette)?;
    let mut rows = Vec::new();
    let mut code = 0;
    for item in &items {
        match item {
            Item::Scenario { scenario, .. } => {
                let labels: Vec<String> = scenario
                    .labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                rows.push((
                    scenario.name.clone(),
                    scenario.path.display().to_string(),
                    labels.join(" "),
                ));
            }
            Item::Invalid { path, problems } => {
                code = crate::WRONG;
                let problems = problems.join("\n\n");
                streams.message(&format!("INVALID {path}\n\n{problems}\n\n"));
            }
        }
    }
    let name_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let path_width = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, path, labels) in rows {
        text.push_str(format!("{name:name_width$}  {path:path_width$}  {labels}").trim_end());
        text.push('\n');
    }
    streams.result(&text)?;
    Ok(code)
}
