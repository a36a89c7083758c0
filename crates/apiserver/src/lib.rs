//! placeholder

pub mod kinds;
