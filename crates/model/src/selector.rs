//! Selectors: which objects a list, a watch, a Service or a workload means.
//!
//! [`LabelSelector`] reads the query form (API-194) and `metav1.LabelSelector` objects; [`FieldSelector`] reads the query form
//! (API-195). Which field labels a kind knows is said by [`field_labels`].

mod field;
mod label;
mod lexer;

pub use field::{FieldSelector, FieldTerm, ParseFieldError, field_labels};
pub use label::{LabelSelector, ParseLabelError, Requirement};
