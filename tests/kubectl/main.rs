//! What kubectl does against `wavetank serve`, with the real kubectl.
//!
//! The binary is the one that `KUBECTL` names, that of the folder `KUBEBUILDER_ASSETS`, or that of the search path.
//! Without one every transcript is reported as ignored, and a message says so. Files are those of `files/`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use wavetank_tests::root;
use wavetank_tests::wire::{self, Replay};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let kubectl = wire::program("KUBECTL", "kubectl");
    if kubectl.is_none() {
        let text = "SKIPPED: no kubectl. Name one in KUBECTL, or its folder in KUBEBUILDER_ASSETS, to try serve with it\n";
        std::io::stderr().write_all(text.as_bytes()).ok();
    }
    let folder = root().join("tests/kubectl");
    let missing = kubectl.is_none();
    let programs: BTreeMap<_, _> = kubectl
        .map(|path| ("kubectl".to_owned(), path))
        .into_iter()
        .collect();
    let trials = wire::transcripts(&folder).into_iter().map(|(name, file)| {
        let (programs, folder) = (programs.clone(), folder.join("files"));
        Trial::test(name, move || {
            let replay = Replay {
                wavetank: Path::new(env!("CARGO_BIN_EXE_wavetank")),
                programs: &programs,
                folder: &folder,
            };
            replay.run(&file).map_err(Failed::from)
        })
        .with_ignored_flag(missing)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
