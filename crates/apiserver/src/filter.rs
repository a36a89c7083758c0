//! Which objects a list or watch is about: namespace, label selector, field selector.

use wavetank_model::Status;

use crate::failure;
use crate::registry::Resource;
use crate::request::Query;
use crate::store::{Store, Stored};

/// A filter over the objects of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Namespace, empty for all.
    pub(crate) namespace: String,
    /// Name, when one is asked for.
    pub(crate) name: Option<String>,
}

impl Filter {
    /// Reads the selectors of a query.
    pub(crate) fn parse(
        _resource: &Resource,
        namespace: &str,
        query: &Query,
    ) -> Result<Self, Status> {
        if !query.text("labelSelector").is_empty() || !query.text("fieldSelector").is_empty() {
            return Err(failure::bad_request(
                "selectors are not supported by this server",
            ));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: None,
        })
    }

    /// Whether there is any selector.
    pub(crate) fn selects(&self) -> bool {
        self.name.is_some()
    }

    /// Whether the object is meant.
    pub(crate) fn matches(&self, _store: &Store, stored: &Stored) -> bool {
        let (namespace, name) = stored.key.split_once('/').unwrap_or(("", &stored.key));
        (self.namespace.is_empty() || self.namespace == namespace)
            && self.name.as_deref().is_none_or(|wanted| wanted == name)
    }
}
