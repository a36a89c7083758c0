//! Server-side apply (SYNC-092).

use wavetank_model::PatchType;

use super::output::{clean_error, done};
use super::write::Writer;

impl Writer<'_> {
    /// One PATCH that takes every field it names.
    pub(super) async fn server_side_apply(&self) -> Result<String, String> {
        if self.ask.force {
            return Err("error validating options: --force cannot be used with --server-side".to_owned());
        }
        let query = [("fieldManager", self.ask.manager.as_str()), ("force", "true")];
        match self.connection.patch(self.place, PatchType::Apply, &self.ask.target, &query).await {
            Ok(_) => Ok(done(self.ask, "serverside-applied")),
            Err(error) => Err(clean_error(&error.to_string())),
        }
    }
}
