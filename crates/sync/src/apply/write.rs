//! Create, replace, update, and waiting for what they need (SYNC-094, SYNC-095, SYNC-098).

use std::time::Duration;

use wavetank_json::Value;
use wavetank_kernel::Clock;
use wavetank_model::{Propagation, object};

use super::connection::{Connection, Place};
use super::output::{clean_error, done, named};
use crate::engine::{ApplyAsk, CallError};

/// Pause between looks at an object that is being deleted, and how long they go on.
const DELETE_PAUSE: Duration = Duration::from_secs(1);
const DELETE_LIMIT: Duration = Duration::from_secs(300);
/// Pause between looks at a new CRD, and how long they go on.
const ESTABLISHED_PAUSE: Duration = Duration::from_millis(100);
const ESTABLISHED_LIMIT: Duration = Duration::from_secs(3);

/// Writes one object.
pub(super) struct Writer<'a> {
    pub(super) connection: &'a Connection,
    pub(super) clock: &'a dyn Clock,
    pub(super) ask: &'a ApplyAsk,
    pub(super) place: &'a Place,
}

impl Writer<'_> {
    /// POST; an object that is there is an error. Since 3.6 unknown fields are refused, or passed over in silence
    /// (SYNC-095).
    pub(super) async fn create(&self) -> Result<String, String> {
        if self.ask.dry_run {
            return Ok(done(self.ask, "created"));
        }
        let query: &[(&str, &str)] = match (self.ask.validates_creations, self.ask.validate) {
            (false, _) => &[],
            (true, true) => &[("fieldValidation", "Strict")],
            (true, false) => &[("fieldValidation", "Ignore")],
        };
        match self
            .connection
            .post(self.place, &self.ask.target, query)
            .await
        {
            // A name that the server made up is told.
            Ok(created) => Ok(named(self.ask, created.name(), "created")),
            Err(error) => Err(clean_error(&error.to_string())),
        }
    }

    /// PUT of a CRD or Namespace with the version of the snapshot; dry runs are the server's (SYNC-088, SYNC-089).
    pub(super) async fn update(&self) -> Result<String, String> {
        let mut body = Value::clone(&self.ask.target);
        if let Some(live) = self.ask.live.as_deref() {
            let version = object::resource_version(live).to_owned();
            crate::target::metadata(&mut body).insert("resourceVersion".to_owned(), version.into());
        }
        let query: &[(&str, &str)] = if self.ask.dry_run {
            &[("dryRun", "All")]
        } else {
            &[]
        };
        match self.connection.put(self.place, &body, query).await {
            Ok(()) => Ok(format!(
                "{}/{} updated",
                self.ask.resource.gvk.kind, self.ask.resource.name
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    /// GET for the version, PUT over the live object, or with force DELETE and POST (SYNC-094).
    pub(super) async fn replace(&self) -> Result<String, String> {
        if self.ask.dry_run {
            return Ok(done(self.ask, "replaced"));
        }
        if self.ask.force {
            return self.replace_by_force().await;
        }
        let mut body = Value::clone(&self.ask.target);
        // Where the object cannot be got it is put all the same, without a version, as kubectl does.
        if let Ok(live) = self.connection.get(self.place).await {
            let version = object::resource_version(&live).to_owned();
            crate::target::metadata(&mut body).insert("resourceVersion".to_owned(), version.into());
        }
        match self.connection.put(self.place, &body, &[]).await {
            Ok(()) => Ok(done(self.ask, "replaced")),
            Err(error) => Err(clean_error(&format!(
                "error when replacing \"/dev/shm/1\": {error}"
            ))),
        }
    }

    async fn replace_by_force(&self) -> Result<String, String> {
        let text = |error: CallError| clean_error(&error.to_string());
        // What is gone already is an error, too: kubectl's command passes over it, its library does not.
        if let Err(error) = self
            .connection
            .delete(self.place, Propagation::Background)
            .await
        {
            return Err(clean_error(&format!(
                "error when deleting \"/dev/shm/1\": {error}"
            )));
        }
        if !self.wait_until_gone().await.map_err(text)? {
            return Err("context deadline exceeded".to_owned());
        }
        self.connection
            .post(self.place, &self.ask.target, &[])
            .await
            .map_err(text)?;
        let kind = self
            .ask
            .resource
            .gvk
            .group_kind()
            .to_string()
            .to_lowercase();
        let scope = match self.place.namespace.as_str() {
            "" => String::new(),
            namespace => format!(" from {namespace} namespace"),
        };
        Ok(format!(
            "{kind} \"{}\" deleted{scope}\n{}",
            self.place.name,
            done(self.ask, "replaced")
        ))
    }

    /// Looks each second until the object is gone; `false` when it is not within the limit.
    pub(super) async fn wait_until_gone(&self) -> Result<bool, CallError> {
        let end = self.clock.now() + DELETE_LIMIT;
        loop {
            match self.connection.get(self.place).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(true),
                Err(error) => return Err(error),
            }
            if self.clock.now() >= end {
                return Ok(false);
            }
            self.clock.sleep(DELETE_PAUSE).await;
        }
    }
}

/// Looks at a new CRD until it is Established or cannot be read; going on without is no error (SYNC-098, SYNC-189).
pub(super) async fn wait_until_established(
    connection: &Connection,
    clock: &dyn Clock,
    place: &Place,
) {
    let end = clock.now() + ESTABLISHED_LIMIT;
    loop {
        let ready = match connection.get(place).await {
            Ok(definition) => object::is_true(&definition, "Established"),
            // A look that fails ends the wait, whatever the failure.
            Err(_) => true,
        };
        if ready || clock.now() >= end {
            return;
        }
        clock.sleep(ESTABLISHED_PAUSE).await;
    }
}
