//! Real clients, unchanged, against `wavetank serve`: Helm, a typed client-go program with informers, a controller-runtime
//! manager (Go programs of the module beside this file), and a kube-rs controller.
//!
//! The Go programs are built when `WAVETANK_GO_CLIENTS` is set and there is a Go command; without them their tests are
//! reported as ignored, and a message says so.

mod controller;

use std::collections::BTreeMap;
use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use wavetank_tests::root;
use wavetank_tests::wire::{self, Replay};

/// The programs, by name and package.
const PROGRAMS: [(&str, &str); 3] = [
    ("informer", "./informer"),
    ("manager", "./manager"),
    ("helm", "helm.sh/helm/v4/cmd/helm"),
];

fn wavetank() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_wavetank"))
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let wanted = env::var_os("WAVETANK_GO_CLIENTS").is_some_and(|value| !value.is_empty());
    let go = wire::program("GO", "go").filter(|_| wanted);
    if go.is_none() {
        let text = "SKIPPED: clients in Go. Set WAVETANK_GO_CLIENTS=1, with Go 1.26 or later in the search path, to build and try Helm, client-go and controller-runtime\n";
        std::io::stderr().write_all(text.as_bytes()).ok();
    }
    let folder = root().join("tests/clients");
    let missing = go.is_none();
    let built: Arc<OnceLock<Result<BTreeMap<String, PathBuf>, String>>> = Arc::default();
    let mut trials: Vec<Trial> = wire::transcripts(&folder)
        .into_iter()
        .map(|(name, file)| {
            let (go, built, folder) = (go.clone(), Arc::clone(&built), folder.clone());
            Trial::test(name, move || {
                let go = go.ok_or("no Go")?;
                let programs = built.get_or_init(|| build(&go, &folder)).as_ref()?;
                let replay = Replay {
                    wavetank: wavetank(),
                    programs,
                    folder: &folder,
                };
                replay.run(&file).map_err(Failed::from)
            })
            .with_ignored_flag(missing)
        })
        .collect();
    trials.push(Trial::test("kube-rs", || {
        controller::reconciles_behind_leader_election(wavetank()).map_err(Failed::from)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Builds the programs; Go's own cache makes the second time quick.
fn build(go: &Path, folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let mut programs = BTreeMap::new();
    for (name, package) in PROGRAMS {
        let path = target.join(name);
        let output = Command::new(go)
            .args([
                "build",
                "-mod=readonly",
                "-buildvcs=false",
                "-ldflags=-s -w",
                "-o",
            ])
            .arg(&path)
            .arg(package)
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start go: {error}"))?;
        if !output.status.success() {
            let shown = String::from_utf8_lossy(&output.stderr);
            return Err(format!("go build {package} failed: {shown}"));
        }
        programs.insert(name.to_owned(), path);
    }
    Ok(programs)
}
