//! Builds Argo CD's own engine behind the engine protocol, from the Go module that is part of this program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::load::Refused;
use crate::output::Streams;

/// A version of Argo CD's engine.
pub(super) struct Version {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
}

/// The versions that can be built.
pub(super) const VERSIONS: &[Version] = &[Version {
    name: "argocd-20260914",
    about: "Argo CD's engine of 2026-09-14 (commit c9c369efcc5b)",
}];

/// The Go module.
const SOURCES: &[(&str, &str)] = &[
    (
        "calls.go",
        include_str!("../../../../reference-engine/calls.go"),
    ),
    (
        "go.mod",
        include_str!("../../../../reference-engine/go.mod"),
    ),
    (
        "go.sum",
        include_str!("../../../../reference-engine/go.sum"),
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
];

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

/// Where the program of a version is, or would be.
pub(super) fn program(name: &str) -> anyhow::Result<PathBuf> {
    Ok(cache()?.join(name))
}

/// Builds a version; gives the program's path.
pub(super) fn build(name: &str, streams: &mut Streams) -> anyhow::Result<PathBuf> {
    if !VERSIONS.iter().any(|version| version.name == name) {
        let known: Vec<&str> = VERSIONS.iter().map(|version| version.name).collect();
        let text = format!(
            "error: there is no engine `{name}` to build\n  = {} can be built\n",
            known.join(", ")
        );
        return Err(Refused(text).into());
    }
    let program = program(name)?;
    let sources = cache()?.join("src").join(name);
    fs::create_dir_all(&sources)
        .with_context(|| format!("cannot create the folder {}", sources.display()))?;
    for (file, text) in SOURCES {
        let path = sources.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    streams.message(&format!(
        "building {name} with Go: the first time this fetches its modules and takes minutes\n"
    ));
    compile(name, &sources, &program)?;
    Ok(program)
}

fn compile(name: &str, sources: &Path, program: &Path) -> anyhow::Result<()> {
    // The program appears whole or not at all.
    let part = program.with_extension("part");
    let status = Command::new("go")
        .arg("build")
        .arg("-trimpath")
        .arg("-ldflags")
        .arg(format!(
            "-s -w -X main.engineVersion={}",
            name.trim_start_matches("argocd-")
        ))
        .arg("-o")
        .arg(&part)
        .arg(".")
        .current_dir(sources)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => anyhow::bail!("go build ended with {status}; its messages stand above"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = "error: the command `go` is not there\n  = engines of Argo CD are built from source: install Go \
                        1.26 or later\n";
            return Err(Refused(text.to_owned()).into());
        }
        Err(error) => return Err(error).context("go does not start"),
    }
    fs::rename(&part, program).with_context(|| format!("cannot put {} there", program.display()))
}
