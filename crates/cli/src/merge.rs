//! `wavetank report merge`: the results of several shards as one.

use std::fs;

use anyhow::Context as _;
use wavetank_report::merge;

use crate::args::ReportCommand;
use crate::load::Refused;
use crate::output::Streams;

/// Puts results together; gives the exit code of all of them.
pub(crate) fn report(command: &ReportCommand, streams: &mut Streams) -> anyhow::Result<u8> {
    let ReportCommand::Merge {
        files,
        output,
        fail_on_skip,
    } = command;
    let mut documents = Vec::new();
    for file in files {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let document = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no JSON document", file.display()))?;
        documents.push(document);
    }
    let merged = merge::merge(&documents, *fail_on_skip)
        .map_err(|error| Refused(format!("error: {error}\n")))?;
    match output {
        Some(path) => {
            fs::write(path, merged.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            streams.message(&format!("{} runs in {}\n", merged.runs, path.display()));
        }
        None => streams.result(&merged.text)?,
    }
    Ok(merged.exit_code)
}
