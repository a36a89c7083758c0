//! Runs on a control plane of their own: what they leave, killed, interrupted, two at once, and what evidence is kept.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use libtest_mimic::Failed;

use crate::Done;
use crate::place::{ON_PLANE, Place, QUICK, SWEEP, left_with, signal};

pub(crate) fn nothing_left(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    left_with(&place.run(&ON_PLANE)?, 0, &["PASSED"])?;
    place.is_clean()
}

/// A slow run, once its cluster is there.
fn slow(place: &Place) -> Result<Child, Failed> {
    let mut command = place.command(&["run", "slow.yaml", "--target", "control-plane"]);
    let child = command.args(["--evidence", "evidence"]).spawn()?;
    place.until("the controllers run", |place| {
        !place.pids("kube-controller-manager").is_empty()
    })?;
    Ok(child)
}

pub(crate) fn killed_run(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let mut child = slow(&place)?;
    let listed = place.run(&["cluster", "list"])?;
    left_with(&listed, 0, &["control-plane", "in use by process"])?;
    left_with(&place.run(&SWEEP)?, 0, &["nothing is left over"])?;
    signal(&child, "-KILL")?;
    child.wait()?;
    place.swept_by(&mut place.command(&SWEEP))
}

pub(crate) fn two_at_once(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let (first, second) = (
        place.command(&ON_PLANE).spawn()?,
        place.command(&ON_PLANE).spawn()?,
    );
    left_with(&first.wait_with_output()?, 0, &["PASSED"])?;
    left_with(&second.wait_with_output()?, 0, &["PASSED"])?;
    place.is_clean()
}

/// Of two runs that could use a kept cluster one takes it, and the other has one of its own.
pub(crate) fn two_want_one_kept(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let mut command = place.command(&ON_PLANE);
    left_with(&command.arg("--keep").output()?, 0, &["kept wavetank-"])?;
    let first = slow(&place)?;
    let owner = format!("in use by process {}", first.id());
    place.until("the first run has taken it", |place| {
        place
            .run(&["cluster", "list"])
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&owner))
    })?;
    left_with(&place.run(&ON_PLANE)?, 0, &["PASSED"])?;
    left_with(&place.run(&["cluster", "list"])?, 0, &[&owner])?;
    signal(&first, "-TERM")?;
    left_with(
        &first.wait_with_output()?,
        4,
        &["cleaning up", "interrupted"],
    )?;
    place.is_clean()
}

pub(crate) fn interrupted_run(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let child = slow(&place)?;
    place.has_begun(assets)?;
    signal(&child, "-INT")?;
    left_with(
        &child.wait_with_output()?,
        4,
        &["cleaning up", "interrupted"],
    )?;
    place.has_evidence(&["objects.json", "events.json", "kube-apiserver.log"])?;
    place.is_clean()
}

pub(crate) fn dead_server(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let child = slow(&place)?;
    place.has_begun(assets)?;
    for pid in place.pids("kube-apiserver") {
        Command::new("kill").args(["-KILL", &pid]).status()?;
    }
    left_with(
        &child.wait_with_output()?,
        4,
        &["UNAVAILABLE", "the API server does not answer"],
    )?;
    place.has_evidence(&["slow.jsonl", "objects.json", "kube-apiserver.log"])?;
    place.is_clean()
}

pub(crate) fn evidence_without_folder(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    fs::write(place.folder.path().join("taken"), "")?;
    let mut command = place.command(&ON_PLANE);
    let output = command.args(["--evidence", "taken"]).output()?;
    left_with(&output, 3, &["taken", "cannot create the folder"])?;
    place.is_clean()
}

pub(crate) fn evidence_without_room(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let failing = QUICK.replace("Succeeded", "Failed");
    fs::write(place.folder.path().join("quick.yaml"), failing)?;
    // Each of these is on a disk that is full; the rest is not.
    let evidence = place.folder.path().join("evidence/quick");
    fs::create_dir_all(&evidence)?;
    for file in ["quick.jsonl", "objects.json"] {
        std::os::unix::fs::symlink("/dev/full", evidence.join(file))?;
    }
    let mut command = place.command(&ON_PLANE);
    let output = command.args(["--evidence", "evidence"]).output()?;
    left_with(
        &output,
        1,
        &[
            "FAILED",
            "quick.jsonl: No space left on device",
            "objects.json: No space left on device",
            "1 run: 1 failed",
        ],
    )?;
    if !evidence.join("kube-apiserver.log").is_file() {
        return Err("the evidence for which there is room is not there".into());
    }
    place.is_clean()
}

pub(crate) fn kept_and_killed(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let mut command = place.command(&ON_PLANE);
    left_with(&command.arg("--keep").output()?, 0, &["kept wavetank-"])?;
    left_with(&place.run(&["cluster", "list"])?, 0, &["kept"])?;
    let mut child = slow(&place)?;
    let owner = format!("in use by process {}", child.id());
    place.until("the run has taken it", |place| {
        place
            .run(&["cluster", "list"])
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&owner))
    })?;
    signal(&child, "-KILL")?;
    child.wait()?;
    // Nobody knows what is in it.
    left_with(&place.run(&["cluster", "list"])?, 0, &["left over"])?;
    place.swept_by(&mut place.command(&SWEEP))
}
