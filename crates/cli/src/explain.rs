//! `wavetank explain`.

use wavetank_lint::{Code, code};

use crate::args::ExplainArguments;
use crate::load::Refused;
use crate::output::Streams;

/// Explains a code, or lists all; gives the exit code.
pub(crate) fn explain(arguments: &ExplainArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let row = |code: &&Code| format!("{} {:7}  {}", code.id, code.level.as_str(), code.title);
    let text = match &arguments.code {
        None if arguments.page => code::markdown(),
        None => code::ALL.iter().map(row).collect::<Vec<_>>().join("\n") + "\n",
        Some(name) => code::find(name)
            .map(Code::explain)
            .ok_or_else(|| unknown(name))?,
    };
    streams.result(&text)?;
    Ok(0)
}

/// No code is called so.
pub(crate) fn unknown(name: &str) -> Refused {
    Refused(format!(
        "error: there is no code `{name}`; `wavetank explain` lists them\n"
    ))
}
