//! Where a script runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use mlua::serde::ser::Options as SerializeOptions;
use mlua::{
    Error, Function, HookTriggers, Lua, LuaOptions, LuaSerdeExt, MultiValue, StdLib, Table, VmState,
};
use wavetank_json::Value;

use super::LuaClock;
use super::answer;
use crate::status::{Health, HealthError};

/// Instructions between two looks at the budget.
const TICK: u32 = 10_000;
/// The budget, 10 million instructions: more than a second of Argo CD's interpreter does in practice.
const TICKS: u32 = 1_000;
/// Bytes that a script may hold.
const MEMORY: usize = 64 << 20;
/// What Argo CD says when a script took too long.
const EXHAUSTED: &str = "context deadline exceeded";

/// What is taken from every script: the outside, and what only Lua 5.2 has.
const REMOVED: [&str; 4] = ["dofile", "loadfile", "load", "rawlen"];

/// Takes away what is left of the outside, makes sure that a script that spent its budget cannot go on by catching the
/// error, and gives the libraries the functions of Lua 5.1, which Argo CD's interpreter has beside the `goto` of 5.2.
const PRELUDE: &str = r#"
local exhausted, error = ...
local function check(...)
  if exhausted() then error("context deadline exceeded", 0) end
  return ...
end
local pcall0, xpcall0 = pcall, xpcall
function pcall(...) return check(pcall0(...)) end
function xpcall(...) return check(xpcall0(...)) end
function print() end
function collectgarbage() return 0 end
function require(name) error("module " .. tostring(name) .. " not found") end
function module() error("modules cannot be defined") end
package = {loaded = {}, preload = {}, path = "", cpath = ""}
unpack = table.unpack
table.pack, table.unpack = nil, nil
function table.getn(list) return #list end
function table.maxn(list)
  local most = 0
  for key in pairs(list) do
    if type(key) == "number" and key > most then most = key end
  end
  return most
end
if math then
  math.random, math.randomseed = nil, nil
  math.mod = math.fmod
  function math.pow(base, power) return base ^ power end
  function math.log10(of) return math.log(of, 10) end
end
if string then string.dump, string.gfind = nil, string.gmatch end
"#;

/// A Lua state with one script in it.
pub(super) struct Sandbox {
    lua: Lua,
    script: Function,
    ticks: Arc<AtomicU32>,
}

impl Sandbox {
    /// A sandbox for `script`; the error is that of its syntax.
    pub(super) fn new(
        script: &str,
        open_libs: bool,
        clock: &LuaClock,
    ) -> Result<Self, HealthError> {
        Self::make(script, open_libs, clock).map_err(|error| HealthError(text(&error)))
    }

    fn make(script: &str, open_libs: bool, clock: &LuaClock) -> mlua::Result<Self> {
        let libs = if open_libs {
            StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::COROUTINE
        } else {
            StdLib::TABLE
        };
        let lua = Lua::new_with(libs, LuaOptions::default())?;
        lua.set_memory_limit(MEMORY)?;
        let ticks = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&ticks);
        lua.set_global_hook(
            HookTriggers::new().every_nth_instruction(TICK),
            move |_, _| {
                if counter.fetch_add(1, Ordering::Relaxed) < TICKS {
                    Ok(VmState::Continue)
                } else {
                    Err(Error::runtime(EXHAUSTED))
                }
            },
        )?;
        let globals = lua.globals();
        for name in REMOVED {
            globals.raw_remove(name)?;
        }
        globals.raw_set("os", times(&lua, clock)?)?;
        let counter = Arc::clone(&ticks);
        let exhausted =
            lua.create_function(move |_, ()| Ok(counter.load(Ordering::Relaxed) > TICKS))?;
        let error: Function = globals.raw_get("error")?;
        lua.load(PRELUDE)
            .set_name("=prelude")
            .call::<()>((exhausted, error))?;
        let script = lua
            .load(script)
            .set_name("=<string>")
            .set_mode(mlua::chunk::ChunkMode::Text)
            .into_function()?;
        Ok(Self { lua, script, ticks })
    }

    /// What the script says of `object`.
    pub(super) fn assess(&self, object: &Value) -> Result<Health, HealthError> {
        let answers = self
            .run(object)
            .map_err(|error| HealthError(text(&error)))?;
        // As the interpreter in Go, which looks at the top of its stack: the last value counts.
        answer::read(answers.back())
    }

    fn run(&self, object: &Value) -> mlua::Result<MultiValue> {
        let options = SerializeOptions::new()
            .set_array_metatable(false)
            .serialize_none_to_null(false)
            .serialize_unit_to_null(false);
        let globals = self.lua.globals();
        let own = self.lua.create_table()?;
        let meta = self.lua.create_table()?;
        meta.raw_set("__index", &globals)?;
        own.set_metatable(Some(meta))?;
        own.raw_set("_G", &own)?;
        own.raw_set("obj", self.lua.to_value_with(object, options)?)?;
        self.script.set_environment(own)?;
        self.ticks.store(0, Ordering::Relaxed);
        self.script.call(())
    }
}

/// The safe part of `os`: `time` and `date`.
fn times(lua: &Lua, clock: &LuaClock) -> mlua::Result<Table> {
    let os = lua.create_table()?;
    let now = Arc::clone(clock);
    os.raw_set(
        "time",
        lua.create_function(move |_, fields: Option<Table>| {
            fields.map_or_else(|| Ok(now()), |fields| seconds(&fields))
        })?,
    )?;
    let now = Arc::clone(clock);
    os.raw_set(
        "date",
        lua.create_function(move |lua, (format, at): (Option<String>, Option<i64>)| {
            let format = format.unwrap_or_else(|| "%a %b %e %H:%M:%S %Y".to_owned());
            let at =
                Timestamp::from_second(at.unwrap_or_else(|| now())).map_err(Error::external)?;
            let at = at.to_zoned(TimeZone::UTC);
            let format = format.strip_prefix('!').unwrap_or(&format);
            if format.starts_with("*t") {
                return Ok(mlua::Value::Table(date_table(lua, &at)?));
            }
            let text = strtime::format(format, &at).map_err(Error::external)?;
            lua.create_string(text).map(mlua::Value::String)
        })?,
    )?;
    Ok(os)
}

/// The seconds since 1970 of a table with `year`, `month` and `day`; `hour` is 12 unless it says otherwise.
fn seconds(fields: &Table) -> mlua::Result<i64> {
    let number =
        |name: &str, default: Option<i64>| match (fields.get::<Option<i64>>(name)?, default) {
            (Some(number), _) | (None, Some(number)) => Ok(number),
            (None, None) => Err(Error::runtime(format!(
                "field '{name}' missing in date table"
            ))),
        };
    let (year, month, day) = (
        number("year", None)?,
        number("month", None)?,
        number("day", None)?,
    );
    let (hour, minute, second) = (
        number("hour", Some(12))?,
        number("min", Some(0))?,
        number("sec", Some(0))?,
    );
    // Fields beyond their range carry over, as in C.
    let months = year.saturating_mul(12).saturating_add(month - 1);
    let out_of_range = |_| Error::runtime("time out of range");
    let year = i16::try_from(months.div_euclid(12)).map_err(out_of_range)?;
    let month = i8::try_from(months.rem_euclid(12) + 1).map_err(out_of_range)?;
    let start = DateTime::new(year, month, 1, 0, 0, 0, 0).map_err(Error::external)?;
    let start = start
        .to_zoned(TimeZone::UTC)
        .map_err(Error::external)?
        .timestamp()
        .as_second();
    let days = day.saturating_sub(1).saturating_mul(86_400);
    let time = hour
        .saturating_mul(3600)
        .saturating_add(minute.saturating_mul(60))
        .saturating_add(second);
    Ok(start.saturating_add(days).saturating_add(time))
}

fn date_table(lua: &Lua, at: &jiff::Zoned) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("year", at.year())?;
    table.raw_set("month", at.month())?;
    table.raw_set("day", at.day())?;
    table.raw_set("hour", at.hour())?;
    table.raw_set("min", at.minute())?;
    table.raw_set("sec", at.second())?;
    table.raw_set("wday", at.weekday().to_sunday_one_offset())?;
    table.raw_set("yday", at.day_of_year())?;
    table.raw_set("isdst", false)?;
    Ok(table)
}

/// The text of an error, without stack traces.
fn text(error: &Error) -> String {
    let text = match error {
        Error::CallbackError { cause, .. } => return text(cause),
        Error::RuntimeError(text)
        | Error::MemoryError(text)
        | Error::SyntaxError { message: text, .. } => text.clone(),
        other => other.to_string(),
    };
    text.split("\nstack traceback:")
        .next()
        .unwrap_or_default()
        .to_owned()
}
