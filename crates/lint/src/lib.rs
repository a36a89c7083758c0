//! What in manifests will probably go wrong in a sync, told before any run.
//!
//! [`lint`] looks at the desired objects of an application, at what is there before and at the sync policy ([`Input`]),
//! and gives [`Finding`]s with positions; [`lint_scenario`] does so for each state that commits make. Every finding has a [`Code`]; [`code::find`] explains it, and the page of codes in the
//! documentation is printed from the same table.
//!
//! Everything is judged from what is written: nothing is run. What a sync before a commit applied is taken to be there, but
//! not what controllers made of it.
//! A finding is of level *warning* where the sync stops, hangs or does not do what is written, and a *note* where it
//! only does what many do not expect.

mod bundled;
pub mod code;
mod finding;
mod helm;
mod hooks;
mod input;
mod item;
mod order;

pub use code::{Code, Level};
pub use finding::{Finding, json};
pub use input::{Binding, Input};

use std::collections::BTreeSet;

use wavetank_scenario::Scenario;

/// The findings about a scenario: of its first state, then of the state after each step `commit`, each finding once.
pub fn lint_scenario(scenario: &Scenario) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (step, input) in Input::states(scenario) {
        let new = lint(&input).into_iter();
        let new = new.filter(|finding| seen.insert(finding.identity()));
        found.extend(new.map(|finding| finding.after(step)));
    }
    found
}

/// The findings in the order of the files, each once.
pub fn lint(input: &Input) -> Vec<Finding> {
    let app = item::Items::of(input);
    let mut found = Vec::new();
    helm::check(&app, &mut found);
    hooks::check(&app, &mut found);
    order::check(&app, &mut found);
    let mut seen = BTreeSet::new();
    found.retain(|finding: &Finding| {
        !input.allowed.contains(finding.code.id) && seen.insert(finding.identity())
    });
    found.sort_by_cached_key(Finding::place);
    found
}
