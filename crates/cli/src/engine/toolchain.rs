//! Which Go builds an engine: the one that is there, or a newer one that it fetches.
//!
//! An engine's `go.mod` says which Go it needs at least. An older Go can fetch that one through the module proxy, but
//! does so only where `GOTOOLCHAIN` lets it: so the toolchain is named to it.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::load::Refused;

/// A version of Go: major, minor, patch.
type GoVersion = (u64, u64, u64);

/// The toolchain that Go is told to fetch, because it is too old itself.
#[derive(Debug, PartialEq)]
pub(super) struct Toolchain {
    /// What there is: `1.26.8`.
    here: String,
    /// What the module wants at least: `1.27.0`.
    wanted: String,
}

impl Toolchain {
    /// Asks the command `go` which version it is, outside of any module.
    ///
    /// # Errors
    /// [`Refused`] where there is no `go`; an error where it does not say its version.
    pub(super) fn needed(module: &str, outside: &Path) -> anyhow::Result<Option<Self>> {
        let output = Command::new("go")
            .args(["env", "GOVERSION"])
            .current_dir(outside)
            .env("GOWORK", "off")
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let wanted = wanted(module).unwrap_or("1.26");
                let text = format!(
                    "error: the command `go` is not there\n  = engines of Argo CD are built from source: install Go \
                     {wanted} or later\n"
                );
                return Err(Refused(text).into());
            }
            Err(error) => return Err(error).context("go does not start"),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        anyhow::ensure!(
            output.status.success(),
            "`go env GOVERSION` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(Self::between(&said, module))
    }

    /// What is lacking between the Go that is there, by its own word, and a module; nothing where either says no
    /// version, as a Go built from its own sources may.
    fn between(said: &str, module: &str) -> Option<Self> {
        let here = said
            .split_whitespace()
            .find_map(|word| word.strip_prefix("go"))?;
        let wanted = wanted(module)?;
        (parse(here)? < parse(wanted)?).then(|| Self {
            here: here.to_owned(),
            wanted: wanted.to_owned(),
        })
    }

    /// What `GOTOOLCHAIN` names.
    pub(super) fn name(&self) -> String {
        format!("go{}", self.wanted)
    }

    /// What is done about it, for people.
    pub(super) fn told(&self) -> String {
        format!(
            "this engine needs Go {wanted}, and here is {here}: go fetches {wanted} for it (GOTOOLCHAIN=go{wanted})",
            wanted = self.wanted,
            here = self.here
        )
    }

    /// What to do where that failed.
    pub(super) fn advice(&self) -> String {
        format!(
            "where go cannot fetch Go {wanted}, install Go {wanted} or later",
            wanted = self.wanted
        )
    }
}

/// The version in the `go` line of a `go.mod`.
fn wanted(module: &str) -> Option<&str> {
    module
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .map(str::trim)
}

/// Reads `1.27`, `1.27.0` and `1.27rc1`; a release candidate counts as its release.
fn parse(text: &str) -> Option<GoVersion> {
    let digits = |part: &str| {
        let end = part
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(part.len());
        part[..end].parse().ok()
    };
    let mut parts = text.split('.');
    let major = digits(parts.next()?)?;
    let minor = digits(parts.next()?)?;
    let patch = parts.next().map_or(Some(0), digits)?;
    Some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "module example.org/engine\n\ngo 1.27.0\n\nrequire k8s.io/api v0.37.0\n";

    #[test]
    fn an_older_go_is_told_to_fetch_the_one_that_the_module_wants() {
        let toolchain = Toolchain::between("go1.26.8\n", MODULE).unwrap();
        assert_eq!(toolchain.name(), "go1.27.0");
        assert_eq!(
            toolchain.told(),
            "this engine needs Go 1.27.0, and here is 1.26.8: go fetches 1.27.0 for it (GOTOOLCHAIN=go1.27.0)"
        );
    }

    #[test]
    fn a_go_that_is_new_enough_builds_by_itself() {
        for said in ["go1.27.0\n", "go1.27.3\n", "go1.28\n", "go2.0.1\n"] {
            assert_eq!(Toolchain::between(said, MODULE), None, "{said}");
        }
    }

    #[test]
    fn a_go_of_its_own_making_is_asked_for_nothing() {
        for said in ["devel +abcdef\n", "gotip\n", ""] {
            assert_eq!(Toolchain::between(said, MODULE), None, "{said}");
        }
        let ahead = Toolchain::between("devel go1.28-4f3a Mon Nov 2\n", MODULE);
        assert_eq!(ahead, None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(parse("1.9.7") < parse("1.10"));
        assert_eq!(parse("1.27"), Some((1, 27, 0)));
        assert_eq!(parse("1.27rc1"), Some((1, 27, 0)));
        assert_eq!(parse("tip"), None);
    }
}
