//! Conflicts of server-side apply, and its other errors.

use crate::status::{Status, StatusCause, StatusDetails};

use super::element::PathElement;
use super::managed::{Operation, Owner};

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub(super) owner: Owner,
    /// The field.
    pub path: Vec<PathElement>,
}

impl Conflict {
    /// The other manager as messages name it: `"kubectl" using apps/v1` (API-150).
    pub fn manager(&self) -> String {
        let mut out = format!("{:?}", self.owner.manager);
        if !self.owner.subresource.is_empty() {
            out = format!("{out} with subresource {:?}", self.owner.subresource);
        }
        if self.owner.operation == Operation::Update {
            out = format!("{out} using {}", self.owner.version);
        }
        out
    }

    /// The field as messages name it: `.spec.replicas` (API-151).
    pub fn field(&self) -> String {
        self.path.iter().map(ToString::to_string).collect()
    }
}

/// An apply that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The configuration itself is not allowed: 400.
    #[error("{0}")]
    BadRequest(String),
    /// Other managers own fields with other values: 409 (API-149). Sorted by manager, then path.
    #[error("{}", conflict_message(.0))]
    Conflict(Vec<Conflict>),
    /// The configuration does not fit its type: 500 with an empty reason (API-143, API-155).
    #[error("{0}")]
    Typed(String),
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            one.manager(),
            one.field()
        );
    }
    let mut out = format!("Apply failed with {} conflicts: ", conflicts.len());
    let mut last: Option<&Owner> = None;
    for conflict in conflicts {
        if last != Some(&conflict.owner) {
            if last.is_some() {
                out.push('\n');
            }
            out = format!("{out}conflicts with {}:", conflict.manager());
            last = Some(&conflict.owner);
        }
        out = format!("{out}\n- {}", conflict.field());
    }
    out
}

impl ApplyError {
    /// The server's answer.
    pub fn status(&self) -> Status {
        match self {
            Self::BadRequest(message) => Status::new(400, "BadRequest", message.clone()),
            Self::Typed(message) => Status::new(500, "", message.clone()),
            Self::Conflict(conflicts) => {
                let cause = |conflict: &Conflict| StatusCause {
                    reason: "FieldManagerConflict".to_owned(),
                    message: format!("conflict with {}", conflict.manager()),
                    field: conflict.field(),
                };
                let causes = conflicts.iter().map(cause).collect();
                Status::new(409, "Conflict", self.to_string()).with_details(StatusDetails {
                    causes,
                    ..StatusDetails::default()
                })
            }
        }
    }
}
