//! placeholder

pub mod admission;
pub mod kinds;
