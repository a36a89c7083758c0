//! Conditions as the typed kinds hold them.

use crate::typed::{Result, Struct};

/// One entry of `status.conditions`.
#[derive(Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}

impl<'a> Condition<'a> {
    /// Reads one condition; `go_type` is the Go type of its `type`.
    pub(crate) fn of(entry: Struct<'a>, go_type: &str) -> Result<Self> {
        Ok(Self {
            kind: entry.text("type", go_type)?,
            status: entry.text("status", "v1.ConditionStatus")?,
            reason: entry.text("reason", "string")?,
            message: entry.text("message", "string")?,
        })
    }

    /// Whether its status is True.
    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// `conditions` of `status`, in order.
pub(crate) fn conditions<'a>(status: Struct<'a>, go_type: &str) -> Result<Vec<Condition<'a>>> {
    status
        .list("conditions")?
        .iter()
        .map(|entry| Condition::of(Struct::of(entry)?, go_type))
        .collect()
}
