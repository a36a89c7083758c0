//! Reading what a script returned (SYNC-123).

use mlua::{Table, Value};

use crate::status::{Health, HealthError, HealthStatus};

/// Tables nested deeper than this are taken for ones that hold themselves.
const DEPTH: usize = 100;

/// The health that a returned value stands for.
///
/// In Argo CD the table goes through JSON: what is an array there, or has fields of another type, is the empty status.
pub(super) fn read(value: Option<&Value>) -> Result<Health, HealthError> {
    let table = match value {
        None | Some(Value::Nil) => return Ok(Health::default()),
        Some(Value::Table(table)) => table,
        Some(other) => {
            return Err(HealthError(format!(
                "expect table output from Lua script, not {}",
                type_name(other)
            )));
        }
    };
    encodable(table, 0)?;
    if table
        .pairs::<Value, Value>()
        .next()
        .is_none_or(|pair| matches!(pair, Ok((Value::Integer(_) | Value::Number(_), _))))
    {
        return Ok(Health::default());
    }
    let (Some(status), Some(message), Some(deletion_message)) = (
        field(table, "status"),
        field(table, "message"),
        field(table, "deletionMessage"),
    ) else {
        return Ok(Health::default());
    };
    Ok(match HealthStatus::parse(&status) {
        Some(status) => Health {
            deletion_message,
            ..Health::new(status, message)
        },
        None => Health::new(
            HealthStatus::Unknown,
            "Lua returned an invalid health status",
        ),
    })
}

/// The text at `name`, whatever the case of its letters; empty when it is absent, `None` when it is no text.
fn field(table: &Table, name: &str) -> Option<String> {
    let mut found = None;
    for (key, value) in table.pairs::<Value, Value>().flatten() {
        let Some(key) = as_text(&key) else { continue };
        if key.eq_ignore_ascii_case(name) && (found.is_none() || key == name) {
            found = Some(value);
        }
    }
    found.map_or_else(|| Some(String::new()), |value| as_text(&value))
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string_lossy()),
        _ => None,
    }
}

/// The type as Lua calls it.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}

/// Whether the table can be written as JSON.
fn encodable(table: &Table, depth: usize) -> Result<(), HealthError> {
    let refuse = |text: &str| Err(HealthError(text.to_owned()));
    if depth > DEPTH {
        return refuse("cannot encode recursively nested tables to JSON");
    }
    let (mut texts, mut numbers) = (0_usize, 0_usize);
    for (key, value) in table.pairs::<Value, Value>().flatten() {
        match key {
            Value::String(_) => texts += 1,
            Value::Integer(_) | Value::Number(_) => numbers += 1,
            _ => return refuse("cannot encode mixed or invalid key types"),
        }
        match value {
            Value::Table(inner) => encodable(&inner, depth + 1)?,
            Value::Nil
            | Value::Boolean(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::String(_) => {}
            other => return refuse(&format!("cannot encode {} to JSON", type_name(&other))),
        }
    }
    if texts > 0 && numbers > 0 {
        return refuse("cannot encode mixed or invalid key types");
    }
    if numbers != table.raw_len() {
        return refuse("cannot encode sparse array");
    }
    Ok(())
}
