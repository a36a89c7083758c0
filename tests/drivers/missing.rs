//! Targets that cannot be had, and options that they do not have.

use std::fs;

use crate::Done;
use crate::place::{ON_PLANE, Place, left_with};

pub(crate) fn without_program() -> Done {
    let place = Place::new(None)?;
    let folder = place.folder.path().join("assets");
    fs::create_dir(&folder)?;
    fs::write(folder.join("etcd"), "")?;
    let mut command = place.command(&ON_PLANE);
    let output = command.env("KUBEBUILDER_ASSETS", &folder).output()?;
    left_with(&output, 4, &["assets/kube-apiserver is not there"])?;
    place.is_clean()
}

pub(crate) fn without_context() -> Done {
    let place = Place::new(None)?;
    let output = place.run(&["run", "quick.yaml", "--target", "kubeconfig"])?;
    left_with(&output, 3, &["--context NAME", "never taken"])?;
    place.is_clean()
}

const ON_K3S: [&str; 4] = ["run", "quick.yaml", "--target", "k3s"];

/// Neither without the feature nor without a container engine there is a k3s.
pub(crate) fn without_k3s() -> Done {
    let place = Place::new(None)?;
    let mut command = place.command(&ON_K3S);
    let socket = format!("unix://{}/no.sock", place.folder.path().display());
    let output = command.env("DOCKER_HOST", socket).output()?;
    let remedy = if cfg!(feature = "k3s") {
        "start Docker"
    } else {
        "--features k3s"
    };
    left_with(&output, 4, &["k3s", remedy])?;
    place.is_clean()
}

pub(crate) fn simulated_on_k3s() -> Done {
    let place = Place::new(None)?;
    let output = place.run(&[&ON_K3S[..], &["--workloads", "simulated"]].concat())?;
    left_with(&output, 3, &["k3s runs its workloads itself"])?;
    place.is_clean()
}
