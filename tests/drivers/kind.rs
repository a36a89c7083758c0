//! What goes wrong with kind: it is missing, too old or fails, is killed or interrupted at each stage. It is a script here.

use std::fs;
use std::process::Child;

use libtest_mimic::Failed;

use crate::Done;
use crate::place::{Place, SWEEP, left_with, signal};

const ON_KIND: [&str; 4] = ["run", "quick.yaml", "--target", "kind"];

pub(crate) fn without_kind() -> Done {
    let place = Place::new(None)?;
    left_with(&place.run(&ON_KIND)?, 4, &["there is no `kind` on PATH"])?;
    place.is_clean()
}

pub(crate) fn old_kind() -> Done {
    let place = Place::new(None)?;
    place.kind("echo 'kind v0.11.1 go1.16 linux/amd64'")?;
    left_with(&place.run(&ON_KIND)?, 4, &["v0.11.1", "is too old"])?;
    place.is_clean()
}

pub(crate) fn without_docker() -> Done {
    let place = Place::new(None)?;
    place.new_kind("get) echo 'ERROR: cannot connect to the Docker daemon' >&2; exit 1;;")?;
    left_with(
        &place.run(&ON_KIND)?,
        4,
        &["cannot use a container runtime", "Docker daemon"],
    )?;
    place.is_clean()
}

pub(crate) fn without_image() -> Done {
    let place = Place::new(None)?;
    place.new_kind("create) echo 'ERROR: failed to pull image \"none\"' >&2; exit 1;;")?;
    left_with(
        &place.run(&ON_KIND)?,
        4,
        &["kind create cluster failed", "failed to pull image"],
    )?;
    // What was begun is taken down again.
    place.has_deleted()?;
    place.is_clean()
}

pub(crate) fn nodes_that_fail() -> Done {
    let place = Place::new(None)?;
    place.new_kind(
        "create) echo 'ERROR: could not find a log line' >&2; exit 1;; \
         export) mkdir -p \"$3/node-1\"; printf '\\033[31mFailed to allocate: Too many open files\\033[0m\\n' > \"$3/node-1/serial.log\";;",
    )?;
    left_with(
        &place.run(&ON_KIND)?,
        4,
        &[
            "could not find a log line",
            "the node node-1 said last",
            "Failed to allocate: Too many open files\n",
            "max_user_instances",
        ],
    )?;
    place.has_deleted()?;
    place.is_clean()
}

/// Docker says this where a deletion was left alone, which goes on.
pub(crate) fn deletion_under_way() -> Done {
    let place = Place::new(None)?;
    place.new_kind(
        "create) exit 1;; \
         delete) if ! mkdir once; then exit 0; fi; echo 'removal of container x is already in progress' >&2; exit 1;;",
    )?;
    left_with(&place.run(&ON_KIND)?, 4, &["kind create cluster failed"])?;
    if place.asked().matches("delete cluster").count() != 2 {
        return Err(format!("the deletion was not tried again: {}", place.asked()).into());
    }
    place.is_clean()
}

/// A deletion that fails is told, and the cluster stays written down.
pub(crate) fn deletion_that_fails() -> Done {
    let place = Place::new(None)?;
    place.new_kind("create) exit 1;; delete) echo 'ERROR: no daemon' >&2; exit 1;;")?;
    left_with(
        &place.run(&ON_KIND)?,
        4,
        &[
            "kind create cluster failed",
            "could not be deleted",
            "no daemon",
        ],
    )?;
    left_with(&place.run(&["cluster", "list"])?, 0, &["left over"])?;
    place.new_kind("")?;
    place.swept_by(&mut place.command(&SWEEP))
}

/// A run whose `kind` takes half a minute for each of these commands, once it makes a cluster.
fn creation(slow: &str) -> Result<(Place, Child), Failed> {
    let place = Place::new(None)?;
    place.new_kind(&format!("{slow}) exec sleep 30;;"))?;
    let child = place.command(&ON_KIND).spawn()?;
    place.until("the creation begins", |place| {
        place.asked().contains("create cluster")
    })?;
    Ok((place, child))
}

/// Sends a signal to a run, which cleans up and says that it was interrupted.
fn interrupt(child: Child, name: &str) -> Done {
    signal(&child, name)?;
    left_with(
        &child.wait_with_output()?,
        4,
        &["cleaning up", "interrupted"],
    )
}

pub(crate) fn killed_creation() -> Done {
    let (place, mut child) = creation("create")?;
    signal(&child, "-KILL")?;
    child.wait()?;
    let listed = place.run(&["cluster", "list"])?;
    left_with(&listed, 0, &["kind", "left over"])?;
    place.swept_by(&mut place.command(&SWEEP))?;
    place.has_deleted()
}

pub(crate) fn interrupted_creation() -> Done {
    let (place, child) = creation("create")?;
    interrupt(child, "-INT")?;
    place.is_clean()
}

/// A `kind` that was killed leaves the program behind that makes its container: that is waited for, then deleted.
pub(crate) fn container_on_its_way() -> Done {
    let place = Place::new(None)?;
    place.program("docker", "sleep 2; touch made")?;
    place.new_kind(
        "create) docker run --name \"$4-control-plane\" & touch began; wait;; \
         delete) if test -e made; then touch deleted; fi;;",
    )?;
    let child = place.command(&ON_KIND).spawn()?;
    place.until("the container is being made", |place| {
        place.folder.path().join("began").exists()
    })?;
    interrupt(child, "-TERM")?;
    if !place.folder.path().join("deleted").exists() {
        return Err("the cluster was deleted before its container was there".into());
    }
    place.is_clean()
}

/// Images are loaded after the nodes are there.
pub(crate) fn interrupted_load() -> Done {
    let place = Place::new(None)?;
    fs::write(place.folder.path().join("images.tar"), "")?;
    place.new_kind("load) exec sleep 30;;")?;
    let arguments = ["--workloads", "real", "--kind-load", "images.tar"];
    let child = place
        .command(&[&ON_KIND[..], &arguments].concat())
        .spawn()?;
    place.until("images are loaded", |place| {
        place.asked().contains("load image-archive")
    })?;
    interrupt(child, "-INT")?;
    place.has_deleted()?;
    place.is_clean()
}

/// A kubeconfig of a server that nobody has started.
const NOBODY: &str = "apiVersion: v1
kind: Config
current-context: kind
contexts: [{name: kind, context: {cluster: kind, user: kind}}]
clusters: [{name: kind, cluster: {server: 'http://127.0.0.1:9'}}]
users: [{name: kind, user: {token: x}}]
";

pub(crate) fn interrupted_readiness() -> Done {
    let place = Place::new(None)?;
    fs::write(place.folder.path().join("nobody"), NOBODY)?;
    // `create cluster --name NAME --retain --kubeconfig=FILE`.
    place.new_kind("create) cp nobody \"${6#--kubeconfig=}\";;")?;
    let child = place.command(&ON_KIND).spawn()?;
    place.until("kind has made the cluster", |place| {
        let clusters = fs::read_dir(place.folder.path().join("state/clusters"));
        clusters
            .into_iter()
            .flatten()
            .flatten()
            .any(|cluster| cluster.path().join("kubeconfig").is_file())
    })?;
    interrupt(child, "-INT")?;
    place.has_deleted()?;
    place.is_clean()
}

pub(crate) fn interrupted_cleaning() -> Done {
    let place = Place::new(None)?;
    place.new_kind("create) exit 1;; delete) touch deleting; sleep 3; touch deleted;;")?;
    let child = place.command(&ON_KIND).spawn()?;
    let there = |name: &'static str| move |place: &Place| place.folder.path().join(name).exists();
    place.until("the deletion begins", there("deleting"))?;
    signal(&child, "-INT")?;
    left_with(&child.wait_with_output()?, 4, &["cleaning up"])?;
    if !there("deleted")(&place) {
        return Err("the deletion was not waited for".into());
    }
    place.is_clean()
}

pub(crate) fn interrupted_twice() -> Done {
    let (place, child) = creation("create|delete")?;
    signal(&child, "-INT")?;
    place.until("the deletion begins", |place| {
        place.asked().contains("delete cluster")
    })?;
    signal(&child, "-INT")?;
    left_with(&child.wait_with_output()?, 130, &["wavetank cluster sweep"])?;
    let listed = place.run(&["cluster", "list"])?;
    left_with(&listed, 0, &["left over"])?;
    place.new_kind("")?;
    place.swept_by(&mut place.command(&SWEEP))
}
