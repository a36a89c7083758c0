//! What the server says of the app's objects where it compares them (SYNC-149).
//!
//! Each pair of a desired and a live object is a dry run, one after the other. What a comparison of the app was told is
//! kept, and asked again only for objects that have changed since, as long as revision and ignored differences are the
//! same; a comparison that somebody asks for asks about all.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::{ObjectKey, object};
use wavetank_sync::ignore::IgnoredDifference;
use wavetank_sync::server_side_diff::{Answers, is_modified, questions};
use wavetank_sync::{Kinds, SyncOptions};

use crate::controller::Controller;
use crate::desired::Revision;

/// What the last comparison of the app was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownAnswers {
    revision: String,
    ignored: Vec<IgnoredDifference>,
    /// By live object: its resourceVersion then, and whether it differed.
    entries: BTreeMap<ObjectKey, (String, bool)>,
}

impl KnownAnswers {
    /// Nothing known, of this revision under these options.
    fn new(revision: &Revision, options: &SyncOptions) -> Self {
        Self {
            revision: revision.name.clone(),
            ignored: options.ignore_differences.clone(),
            entries: BTreeMap::new(),
        }
    }

    fn is_of(&self, revision: &Revision, options: &SyncOptions) -> bool {
        self.revision == revision.name && self.ignored == options.ignore_differences
    }

    fn get(&self, key: &ObjectKey, live: &Value) -> Option<bool> {
        let (version, modified) = self.entries.get(key)?;
        (version == object::resource_version(live)).then_some(*modified)
    }

    /// What it says of each object.
    pub(crate) fn answers(&self) -> Arc<Answers> {
        let entries = self.entries.iter();
        Arc::new(
            entries
                .map(|(key, (_, modified))| (key.clone(), *modified))
                .collect(),
        )
    }
}

impl Controller {
    /// Asks the server about all objects that it compares and of which nothing is `known`.
    ///
    /// # Errors
    /// Message of the condition `ComparisonError`: the first answer that is none ends the comparison.
    pub(crate) async fn ask_server(
        &mut self,
        revision: &Revision,
        live: &[Arc<Value>],
        kinds: &Kinds,
        options: &SyncOptions,
        known: Option<KnownAnswers>,
    ) -> Result<KnownAnswers, String> {
        let known = known.filter(|known| known.is_of(revision, options));
        let mut said = KnownAnswers::new(revision, options);
        let asked = questions(&revision.manifests, live, &self.identity, kinds, options);
        for question in asked {
            let before = known
                .as_ref()
                .and_then(|known| known.get(&question.key, &question.live));
            let modified = if let Some(modified) = before {
                modified
            } else {
                let predicted = self.asks.predict(&question, &options.manager).await?;
                is_modified(&question, &predicted, options)?
            };
            let version = object::resource_version(&question.live).to_owned();
            said.entries.insert(question.key, (version, modified));
        }
        Ok(said)
    }
}
