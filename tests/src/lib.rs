//! Shared helpers of the tests: where the repository is, what cargo says of it, the differential cases, and servers as
//! processes.

pub mod cases;
#[cfg(feature = "wire")]
pub mod wire;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use wavetank_json::Value;

/// The root of the repository.
///
/// # Panics
/// When this package does not stand in a folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the repository")
        .to_owned()
}

/// `cargo metadata` with `arguments`, run in the root.
///
/// # Panics
/// When cargo fails; its message is part of the panic.
pub fn metadata(arguments: &[&str]) -> Value {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo metadata failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// The platform this build runs on, as cargo calls it.
///
/// # Panics
/// When rustc does not say.
pub fn host() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .expect("rustc can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("rustc -vV names the host").to_owned()
}

/// Every file below `folder` (relative to the root) with this extension, sorted; `target` folders are left out.
///
/// # Panics
/// When a folder cannot be read.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder's entries can be read").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
