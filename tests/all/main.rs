//! Tests of the repository as a whole. Those that need the binary stand in `tests/cli`, scenarios in
//! `tests/scenarios.rs`.

mod api_rules;
mod arrows;
mod coverage;
mod docs;
mod msrv;
mod mutants;
mod style;
