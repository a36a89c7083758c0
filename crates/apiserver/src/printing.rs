//! Answers as Tables (API-214 to 216): columns and cells are those of the module `table`.

use jiff::Timestamp;
use wavetank_json::{Value, json};

use crate::convert;
use crate::registry::Resource;
use crate::table;

/// What a row carries besides its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// The metadata of the object.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl Include {
    /// Reads `includeObject`.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "None" => Self::None,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// `columnDefinitions` of a resource.
pub(crate) fn columns(resource: &Resource, api_version: &str) -> Value {
    match resource.custom_version(api_version) {
        Some(version) => version.columns.iter().map(table::Column::to_json).collect(),
        None => table::columns(&resource.group_kind)
            .iter()
            .map(table::Column::to_json)
            .collect(),
    }
}

/// The row of one stored object.
pub(crate) fn row(
    resource: &Resource,
    api_version: &str,
    include: Include,
    stored: &Value,
    now: Timestamp,
) -> Value {
    let cells = match resource.custom_version(api_version) {
        Some(version) => table::custom_row(&version.columns, stored, now),
        None => table::row(&resource.group_kind, stored, now),
    };
    let object = match include {
        Include::None => Value::Null,
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": stored.get("metadata"),
        }),
        Include::Object => convert::from_storage(resource, api_version, stored),
    };
    json!({"cells": cells, "object": object})
}

/// The Table of one object; a watch names the columns only once.
pub(crate) fn table_of(
    resource: &Resource,
    api_version: &str,
    row: Value,
    stored: &Value,
    named: bool,
) -> Value {
    let columns = if named {
        columns(resource, api_version)
    } else {
        Value::Null
    };
    let revision = stored["metadata"]
        .get("resourceVersion")
        .cloned()
        .unwrap_or_default();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision},
        "columnDefinitions": columns, "rows": [row],
    })
}
