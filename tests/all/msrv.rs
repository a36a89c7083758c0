//! The Rust version of the workspace is the highest that a dependency asks for: no lower, or it would not build; no
//! higher, or it would lock people out for nothing.

use wavetank_json::Value;
use wavetank_tests::{host, metadata};

fn version(text: &str) -> (u64, u64, u64) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    (part(), part(), part())
}

fn rust_version(package: &Value) -> Option<((u64, u64, u64), &str)> {
    Some((
        version(package["rust_version"].as_str()?),
        package["name"].as_str()?,
    ))
}

#[test]
fn rust_version_is_the_highest_of_the_dependencies() {
    let metadata = metadata(&["--filter-platform", &host()]);
    let packages = metadata["packages"].as_array().unwrap();
    let highest = packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter_map(rust_version)
        .max();
    let (highest, asked_by) = highest.expect("dependencies have Rust versions");
    for own in packages
        .iter()
        .filter(|package| package["source"].is_null())
    {
        let (declared, name) = rust_version(own).expect("every crate inherits its rust-version");
        assert_eq!(
            declared, highest,
            "{name} declares another version than {asked_by} asks for"
        );
    }
}
