//! Every scenario of the repository loads, without warnings but those it says it wants.

use std::path::Path;

use wavetank_scenario::{LoadOptions, discover, load, name_conflicts};

#[test]
fn every_scenario_of_the_library_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = discover(std::slice::from_ref(&root)).unwrap();
    assert!(!files.is_empty());
    let options = LoadOptions {
        root: Some(root),
        ..LoadOptions::default()
    };
    let (mut scenarios, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match load(&file, &options) {
            Ok(loaded) => {
                let wanted = loaded.scenarios[0]
                    .annotations
                    .contains_key("wavetank/warnings");
                if !wanted {
                    problems.extend(loaded.warnings.iter().map(|warning| warning.render(false)));
                }
                scenarios.extend(loaded.scenarios);
            }
            Err(found) => problems.push(found.render(false)),
        }
    }
    problems.extend(
        name_conflicts(&scenarios)
            .iter()
            .map(|problem| problem.render(false)),
    );
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
