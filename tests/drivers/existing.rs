//! Runs on somebody's cluster: it is refused, or left as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::Done;
use crate::place::{ON_PLANE, Place, QUICK, SWEEP, left_with, signal};

/// A control plane that somebody keeps, and its kubeconfig.
fn somebodys(place: &Place) -> Result<PathBuf, Failed> {
    let mut command = place.command(&ON_PLANE);
    let kept = command
        .arg("--keep")
        .env(
            "WAVETANK_STATE_DIR",
            place.folder.path().join("state/other"),
        )
        .output()?;
    left_with(&kept, 0, &["kept wavetank-"])?;
    let clusters = fs::read_dir(place.folder.path().join("state/other/clusters"))?;
    let folder = clusters.flatten().next().ok_or("no cluster was kept")?;
    Ok(folder.path().join("kubeconfig"))
}

fn end(place: &Place) -> Done {
    let state = place.folder.path().join("state/other");
    let mut sweep = place.command(&["cluster", "sweep", "--kept"]);
    place.swept_by(sweep.env("WAVETANK_STATE_DIR", state))
}

fn on_existing<'a>(kubeconfig: &'a str, allowed: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["run", "quick.yaml", "--target", "kubeconfig"];
    arguments.extend(["--kubeconfig", kubeconfig, "--context", "wavetank"]);
    if !allowed.is_empty() {
        arguments.extend(["--allow-cluster", allowed]);
    }
    arguments
}

pub(crate) fn not_allowed(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let kubeconfig = somebodys(&place)?.display().to_string();
    let asked = place.run(&on_existing(&kubeconfig, ""))?;
    left_with(&asked, 4, &["nobody has allowed it", "--allow-cluster "])?;
    let wrong = place.run(&on_existing(&kubeconfig, "0000"))?;
    left_with(&wrong, 4, &["names 0000, which is another cluster"])?;
    end(&place)
}

/// One run at a time: the second is told who has it, and later it is free again.
pub(crate) fn used_by_one(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let kubeconfig = somebodys(&place)?.display().to_string();
    let asked = place.run(&on_existing(&kubeconfig, ""))?;
    let asked = String::from_utf8_lossy(&asked.stderr).into_owned();
    let uid = asked
        .split("--allow-cluster ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or_else(|| format!("no uid in: {asked}"))?
        .trim_matches('`')
        .to_owned();
    let arguments = on_existing(&kubeconfig, &uid);
    let quick = place.folder.path().join("quick.yaml");
    fs::write(&quick, slow_quick())?;
    let first = place.command(&arguments).spawn()?;
    let owner = format!("in use by process {}", first.id());
    place.until("the first run has it", |place| {
        place
            .run(&["cluster", "list"])
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&owner))
    })?;
    left_with(&place.run(&arguments)?, 4, &["kubeconfig-", &owner])?;
    signal(&first, "-INT")?;
    left_with(&first.wait_with_output()?, 4, &["interrupted"])?;
    fs::write(&quick, QUICK)?;
    left_with(&place.run(&arguments)?, 0, &["PASSED"])?;
    end(&place)
}

/// Asks kubectl about the cluster of a kubeconfig; gives what it prints.
fn kubectl_on(assets: &Path, kubeconfig: &str) -> impl Fn(&[&str]) -> Result<String, Failed> {
    let (program, kubeconfig) = (assets.join("kubectl"), kubeconfig.to_owned());
    move |arguments| {
        let output = Command::new(&program)
            .args(["--kubeconfig", &kubeconfig])
            .args(arguments)
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The quick scenario, which takes its time.
fn slow_quick() -> String {
    QUICK.replace(
        "  expect:",
        "  steps: [{sync: {}}, {advance: 5m}]\n  expect:",
    )
}

pub(crate) fn killed_on_existing(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let path = somebodys(&place)?;
    let kubeconfig = path.display().to_string();
    fs::write(place.folder.path().join("quick.yaml"), slow_quick())?;
    let kubectl = kubectl_on(assets, &kubeconfig);
    let uid = kubectl(&["get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}"])?;
    kubectl(&["create", "ns", "somebodys"])?;
    let mut child = place.command(&on_existing(&kubeconfig, &uid)).spawn()?;
    place.until("the run has begun", |_| {
        kubectl(&["-n", "quick-of-the-run", "get", "cm", "a", "-o", "name"])
            .is_ok_and(|text| text.contains("configmap/a"))
    })?;
    // One at a time.
    left_with(
        &place.run(&["cluster", "list"])?,
        0,
        &["kubeconfig", "in use by process"],
    )?;
    signal(&child, "-KILL")?;
    child.wait()?;
    left_with(&place.run(&SWEEP)?, 0, &["removed kubeconfig-"])?;
    let namespaces = kubectl(&["get", "ns", "-o", "name"])?;
    if namespaces.contains("quick-of-the-run") || !namespaces.contains("somebodys") {
        return Err(format!("not only the run's namespace is gone: {namespaces}").into());
    }
    end(&place)
}

pub(crate) fn left_as_it_was(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let path = somebodys(&place)?;
    let kubeconfig = path.display().to_string();
    let before = fs::read(&path)?;
    let kubectl = kubectl_on(assets, &kubeconfig);
    let uid = kubectl(&["get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}"])?;
    let run = place.run(&on_existing(&kubeconfig, &uid))?;
    left_with(&run, 0, &["PASSED"])?;
    let namespaces = kubectl(&["get", "ns", "-o", "name"])?;
    if namespaces.contains("quick-of-the-run") {
        return Err(format!("a namespace is left: {namespaces}").into());
    }
    // A namespace that is there is somebody's, and so is what is in it.
    kubectl(&["create", "ns", "quick-of-the-run"])?;
    kubectl(&[
        "-n",
        "quick-of-the-run",
        "create",
        "cm",
        "a",
        "--from-literal=mine=1",
    ])?;
    let run = place.run(&on_existing(&kubeconfig, &uid))?;
    left_with(&run, 4, &["quick-of-the-run", "this run did not make"])?;
    let kept = kubectl(&[
        "-n",
        "quick-of-the-run",
        "get",
        "cm",
        "a",
        "-o",
        "jsonpath={.data.mine}",
    ])?;
    if kept != "1" {
        return Err("somebody's ConfigMap was changed".into());
    }
    if fs::read(&path)? != before {
        return Err("somebody's kubeconfig was changed".into());
    }
    end(&place)
}
