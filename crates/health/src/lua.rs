//! Health checks written in Lua, as users configure them in Argo CD (SYNC-123, SYNC-124).
//!
//! A script sees the live object as the global `obj` and returns a table with `status` and, if it likes, `message`.
//! Each assessment has globals of its own. Scripts cannot read files, load code, print, or learn the time of day; they
//! have a budget of instructions and of memory in place of Argo CD's time limit, so that they end alike everywhere.
//!
//! Differences from Argo CD: Lua's own implementation words its errors otherwise than the one in Go and adds no stack
//! trace; `load`, `loadstring`, `dofile`, `loadfile`, `require` of a file, `io`, `debug`, `math.random` and `string.dump`
//! do not exist; `os.time()` is the time of the run, and all times are in UTC.

mod answer;
mod sandbox;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wavetank_json::Value;

use self::sandbox::Sandbox;
use crate::assessor::{Assessor, Override};
use crate::status::{Health, HealthError};

/// The virtual epoch, 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

/// Tells a script the time, in seconds since 1970.
pub type LuaClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A health check in Lua.
pub struct LuaHealth {
    script: String,
    open_libs: bool,
    clock: LuaClock,
    /// Made at the first assessment; the error is that of the script's syntax.
    sandbox: Mutex<Option<Result<Sandbox, HealthError>>>,
}

impl LuaHealth {
    /// The check that `script` is, without the libraries for texts, numbers and coroutines, at the start of the
    /// virtual epoch.
    pub fn new(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            open_libs: false,
            clock: Arc::new(|| EPOCH),
            sandbox: Mutex::new(None),
        }
    }

    /// With all libraries, as `useOpenLibs` says in Argo CD.
    #[must_use]
    pub fn with_open_libs(mut self, open_libs: bool) -> Self {
        self.open_libs = open_libs;
        self
    }

    /// With a clock for `os.time()` and `os.date()`.
    #[must_use]
    pub fn with_clock(mut self, clock: LuaClock) -> Self {
        self.clock = clock;
        self
    }

    /// What is wrong with the script's syntax. Argo CD says so only when it assesses an object.
    pub fn syntax_error(&self) -> Option<HealthError> {
        self.with_sandbox(|_| Ok(())).err()
    }

    fn with_sandbox<T>(
        &self,
        run: impl FnOnce(&Sandbox) -> Result<T, HealthError>,
    ) -> Result<T, HealthError> {
        let mut sandbox = self.sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        let made =
            sandbox.get_or_insert_with(|| Sandbox::new(&self.script, self.open_libs, &self.clock));
        made.as_ref().map_err(Clone::clone).and_then(run)
    }
}

impl fmt::Debug for LuaHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LuaHealth")
            .field("script", &self.script)
            .field("open_libs", &self.open_libs)
            .finish_non_exhaustive()
    }
}

impl Override for LuaHealth {
    /// Never `None`: a script that returns nothing answers with the empty status (SYNC-205).
    fn assess(&self, object: &Value) -> Result<Option<Health>, HealthError> {
        self.with_sandbox(|sandbox| sandbox.assess(object))
            .map(Some)
    }
}

impl Assessor {
    /// Adds scripts by their keys, as `resourceCustomizations` has them (SYNC-124). Empty scripts do not count.
    #[must_use]
    pub fn with_scripts(self, scripts: &BTreeMap<String, String>, clock: &LuaClock) -> Self {
        let written = scripts.iter().filter(|(_, script)| !script.is_empty());
        written.fold(self, |assessor, (key, script)| {
            assessor.with_override(
                key,
                Arc::new(LuaHealth::new(script.clone()).with_clock(Arc::clone(clock))),
            )
        })
    }
}
