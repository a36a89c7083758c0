//! Runs health scripts: for each line of standard input, a JSON object with a `script` and a `live` object, it says on a line
//! of its own what the script does, its `status` and `message` or an `error`. `tools/scripts.py` asks it.

use std::io::Write;

use serde::Deserialize;
use wavetank_health::{LuaHealth, Override};
use wavetank_json::{Value, json};

#[derive(Deserialize)]
struct Asked {
    script: String,
    live: Value,
}

fn main() -> std::io::Result<()> {
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        let asked: Asked = serde_json::from_str(&line)?;
        let script = LuaHealth::new(asked.script).with_open_libs(true);
        let answer = match script.assess(&asked.live) {
            Ok(health) => serde_json::to_string(&health)?,
            Err(error) => json!({"error": error.0}).to_string(),
        };
        writeln!(std::io::stdout(), "{answer}")?;
        line.clear();
    }
    Ok(())
}
