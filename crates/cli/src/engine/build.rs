//! Builds Argo CD's own engine behind the engine protocol, from the Go module that is part of this program.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use wavetank_model::ArgoVersion;

use super::toolchain::Toolchain;
use crate::load::Refused;
use crate::output::Streams;

/// A version of Argo CD's engine.
pub(super) struct Version {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// Its Go module: what it requires, and the sums.
    module: [&'static str; 2],
    /// The version of the rules that hold around it.
    pub(super) rules: ArgoVersion,
    /// Go build tags that choose what this version has.
    tags: &'static str,
    /// The path its packages are imported from.
    import: &'static str,
}

/// The path in the sources of the Go module.
const IMPORT: &str = "github.com/argoproj/argo-cd/gitops-engine/v3/";
/// The path before the engine had tags of its own.
const UNTAGGED_IMPORT: &str = "github.com/argoproj/argo-cd/gitops-engine/";
/// The path before Argo CD 3.3 took the engine in.
const OLD_IMPORT: &str = "github.com/argoproj/gitops-engine/";

/// `go.mod` and `go.sum` of a folder of the Go module.
macro_rules! module {
    ($folder:literal) => {
        [
            include_str!(concat!("../../../../reference-engine/", $folder, "go.mod")),
            include_str!(concat!("../../../../reference-engine/", $folder, "go.sum")),
        ]
    };
}

/// The versions that can be built, the newest first.
pub(super) const VERSIONS: &[Version] = &[
    Version {
        name: super::NEWEST,
        about: "the engine of Argo CD 3.6.1",
        rules: ArgoVersion::V3_6,
        module: module!(""),
        tags: "",
        import: IMPORT,
    },
    Version {
        name: "argocd-3.5",
        about: "the engine of Argo CD 3.5.3 (commit c9c369efcc5b)",
        rules: ArgoVersion::V3_5,
        module: module!("versions/argocd-3.5/"),
        tags: "before_3_6",
        import: UNTAGGED_IMPORT,
    },
    Version {
        name: "argocd-3.2",
        about: "the engine of Argo CD 3.2.0 (commit b89b0871b414)",
        rules: ArgoVersion::V3_4,
        module: module!("versions/argocd-3.2/"),
        tags: "before_3_6,before_3_4",
        import: OLD_IMPORT,
    },
    Version {
        name: "argocd-2.14",
        about: "the engine of Argo CD 2.14.21 (commit c08b0a72c1f1)",
        rules: ArgoVersion::V3_4,
        module: module!("versions/argocd-2.14/"),
        tags: "before_3_6,before_3_4,before_3_1",
        import: OLD_IMPORT,
    },
];

/// The Go sources.
const SOURCES: &[(&str, &str)] = &[
    (
        "calls.go",
        include_str!("../../../../reference-engine/calls.go"),
    ),
    (
        "main.go",
        include_str!("../../../../reference-engine/main.go"),
    ),
    (
        "pass.go",
        include_str!("../../../../reference-engine/pass.go"),
    ),
    (
        "protocol.go",
        include_str!("../../../../reference-engine/protocol.go"),
    ),
    (
        "version_3_1.go",
        include_str!("../../../../reference-engine/version_3_1.go"),
    ),
    (
        "version_3_4.go",
        include_str!("../../../../reference-engine/version_3_4.go"),
    ),
    (
        "version_3_6.go",
        include_str!("../../../../reference-engine/version_3_6.go"),
    ),
    (
        "version_before_3_1.go",
        include_str!("../../../../reference-engine/version_before_3_1.go"),
    ),
    (
        "version_before_3_4.go",
        include_str!("../../../../reference-engine/version_before_3_4.go"),
    ),
    (
        "version_before_3_6.go",
        include_str!("../../../../reference-engine/version_before_3_6.go"),
    ),
    (
        "version_since_3_1.go",
        include_str!("../../../../reference-engine/version_since_3_1.go"),
    ),
];

impl Version {
    /// The files that it is built from.
    fn files(&self) -> Vec<(&'static str, String)> {
        let [module, sums] = self.module;
        let mut files = vec![("go.mod", module.to_owned()), ("go.sum", sums.to_owned())];
        for (name, text) in SOURCES {
            files.push((name, text.replace(IMPORT, self.import)));
        }
        files
    }

    /// Names what it is built from.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (name, text) in self.files() {
            for part in [name, text.as_str()] {
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        let mut out = String::new();
        for byte in hash.finalize().iter().take(6) {
            // Writing to a string does not fail.
            write!(out, "{byte:02x}").ok();
        }
        out
    }

    /// Its name and digest: what is built of other sources lies beside it.
    fn folder(&self) -> String {
        format!("{}-{}", self.name, self.digest())
    }

    /// Where its program is, or would be.
    pub(super) fn program(&self) -> anyhow::Result<PathBuf> {
        Ok(cache()?.join(self.folder()))
    }
}

/// The folder that built engines are kept in.
fn cache() -> anyhow::Result<PathBuf> {
    let given = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = given("XDG_CACHE_HOME")
        .or_else(|| given("HOME").map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME says where built engines are kept")?;
    Ok(base.join("wavetank").join("engines"))
}

/// Builds a version; gives the program's path.
pub(super) fn build(name: &str, streams: &mut Streams) -> anyhow::Result<PathBuf> {
    let Some(version) = VERSIONS.iter().find(|version| version.name == name) else {
        let known: Vec<&str> = VERSIONS.iter().map(|version| version.name).collect();
        let text = format!(
            "error: there is no engine `{name}` to build\n  = {} can be built\n",
            known.join(", ")
        );
        return Err(Refused(text).into());
    };
    let program = version.program()?;
    let sources = cache()?.join("src").join(version.folder());
    fs::create_dir_all(&sources)
        .with_context(|| format!("cannot create the folder {}", sources.display()))?;
    for (file, text) in version.files() {
        let path = sources.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    streams.message(&format!(
        "building {name} with Go: the first time this fetches its modules and takes minutes\n"
    ));
    let toolchain = Toolchain::needed(version.module[0], &cache()?)?;
    if let Some(toolchain) = &toolchain {
        streams.message(&format!("{}\n", toolchain.told()));
    }
    compile(version, &sources, &program, toolchain.as_ref())?;
    Ok(program)
}

fn compile(
    version: &Version,
    sources: &Path,
    program: &Path,
    toolchain: Option<&Toolchain>,
) -> anyhow::Result<()> {
    // The program appears whole or not at all.
    let part = sources.join("program.part");
    let mut go = Command::new("go");
    go.arg("build")
        .arg("-trimpath")
        .arg("-tags")
        .arg(version.tags)
        .arg("-ldflags")
        .arg(format!(
            "-s -w -X main.engineVersion={}",
            version.name.trim_start_matches("argocd-")
        ))
        .arg("-o")
        .arg(&part)
        .arg(".")
        .current_dir(sources)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off");
    if let Some(toolchain) = toolchain {
        go.env("GOTOOLCHAIN", toolchain.name());
    }
    let status = go.status().context("go does not start")?;
    if !status.success() {
        let advice = toolchain.map_or(String::new(), |toolchain| {
            format!("; {}", toolchain.advice())
        });
        anyhow::bail!("go build ended with {status}; its messages stand above{advice}");
    }
    fs::rename(&part, program).with_context(|| format!("cannot put {} there", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_imports_the_engine_that_its_module_requires() {
        for version in VERSIONS {
            let [module, sums] = version.module;
            let required = version.import.trim_end_matches('/');
            assert!(
                module.contains(&format!("{required} v")),
                "{}: {required}",
                version.name
            );
            assert!(sums.contains(&format!("{required} v")), "{}", version.name);
            // After go.mod and go.sum.
            for (file, text) in version.files().into_iter().skip(2) {
                for line in text.lines().filter(|line| line.contains("gitops-engine/")) {
                    let is_import = line.contains(&format!("\"{}pkg/", version.import));
                    assert!(is_import, "{file}: {line}");
                }
            }
        }
    }

    #[test]
    fn versions_are_told_apart_by_what_they_are_built_from() {
        let folders: std::collections::BTreeSet<String> =
            VERSIONS.iter().map(Version::folder).collect();
        assert_eq!(folders.len(), VERSIONS.len());
    }
}
