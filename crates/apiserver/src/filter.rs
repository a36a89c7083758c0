//! Which objects a list or watch is about: namespace, label selector, field selector.

use wavetank_model::Status;
use wavetank_model::selector::{FieldSelector, LabelSelector, field_labels};

use crate::failure;
use crate::registry::Resource;
use crate::request::Query;
use crate::store::{Store, Stored};

/// A filter over the objects of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Namespace, empty for all.
    pub(crate) namespace: String,
    /// Key of the one object that can match, when the field selector says so.
    pub(crate) key: Option<String>,
    labels: LabelSelector,
    /// What the field selector asks beyond namespace and name.
    fields: FieldSelector,
}

impl Filter {
    /// Reads the selectors of a query (API-194 to 196).
    pub(crate) fn parse(
        resource: &Resource,
        namespace: &str,
        query: &Query,
    ) -> Result<Self, Status> {
        let labels: LabelSelector = query
            .text("labelSelector")
            .parse()
            .map_err(|error| failure::bad_request(format!("{error}")))?;
        let fields: FieldSelector = query
            .text("fieldSelector")
            .parse()
            .map_err(|error| failure::bad_request(format!("{error}")))?;
        if fields.is_empty() {
            return Ok(Self {
                namespace: namespace.to_owned(),
                key: None,
                labels,
                fields,
            });
        }
        let selectable = resource
            .custom_version(&resource.storage)
            .map(|version| version.selectable.as_slice());
        let mut known = field_labels(&resource.group_kind).to_vec();
        known.extend(selectable.into_iter().flatten().map(String::as_str));
        if let Some(unknown) = fields.unknown(&known) {
            return Err(failure::bad_request(
                if resource.is_custom() || known.len() > 2 {
                    format!("field label not supported: {unknown}")
                } else {
                    format!(
                        "{unknown:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    )
                },
            ));
        }
        let narrowed = fields
            .exact("metadata.namespace")
            .filter(|_| namespace.is_empty() && resource.namespaced);
        let namespace = narrowed.unwrap_or(namespace).to_owned();
        let key = match fields.exact("metadata.name") {
            Some(name) if !resource.namespaced || !namespace.is_empty() => {
                Some(resource.storage_key(&namespace, name))
            }
            _ => None,
        };
        Ok(Self {
            namespace,
            key,
            labels,
            fields,
        })
    }

    /// The part of it that has this name, if the name is not empty; 400 where the field selector says another one or
    /// none (API-051).
    pub(crate) fn of(mut self, resource: &Resource, name: &str) -> Result<Self, Status> {
        if name.is_empty() {
            return Ok(self);
        }
        if self.fields.is_empty() {
            self.fields = FieldSelector::one("metadata.name", name);
        } else if self.fields.exact("metadata.name") != Some(name) {
            let text = "fieldSelector metadata.name doesn't match requested name";
            return Err(failure::bad_request(text));
        }
        if !resource.namespaced || !self.namespace.is_empty() {
            self.key = Some(resource.storage_key(&self.namespace, name));
        }
        Ok(self)
    }

    /// Whether there is any selector.
    pub(crate) fn selects(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    /// Whether the object is meant.
    pub(crate) fn matches(&self, store: &Store, stored: &Stored) -> bool {
        let inside = self.namespace.is_empty()
            || stored
                .key
                .strip_prefix(&self.namespace)
                .is_some_and(|rest| rest.starts_with('/'));
        inside
            && self.key.as_deref().is_none_or(|key| key == &*stored.key)
            && self.labels.matches_labels(stored.labels.as_ref())
            && (self.fields.is_empty() || self.fields.matches(&store.value(stored)))
    }
}
