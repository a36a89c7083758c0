//! Programs that tests start: where they are, and that they end with the test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Child;

/// A child process that is killed when this is dropped.
#[derive(Debug)]
pub struct Program(pub Child);

impl Program {
    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The folder of a control plane's programs: `KUBEBUILDER_ASSETS`, when it holds them.
pub fn assets() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("KUBEBUILDER_ASSETS")?);
    let whole = ["etcd", "kube-apiserver", "kube-controller-manager"]
        .iter()
        .all(|name| folder.join(name).is_file());
    whole.then_some(folder)
}

/// A program by its variable (as `KUBECTL`), in `KUBEBUILDER_ASSETS`, or in the search path.
pub fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let named = env::var_os(variable)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let asset = env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(name));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = named
        .into_iter()
        .chain(asset)
        .chain(env::split_paths(&path).map(|folder| folder.join(name)));
    places.find(|path| path.is_file())
}
