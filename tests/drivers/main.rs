//! What goes wrong with real clusters before and beside a run: programs that are missing, too old or fail, a program
//! that is killed, two at once. Nothing of ours is left behind, and nothing of others is touched.
//!
//! `kind` is a script here that says what it is told to; with `KUBEBUILDER_ASSETS` a control plane is started too.

use std::env;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

type Done = Result<(), Failed>;
type Scripted = (&'static str, fn() -> Done);
type Real = (&'static str, fn(&Path) -> Done);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    if assets.is_none() {
        let text = "SKIPPED: no control plane. KUBEBUILDER_ASSETS names its programs\n";
        std::io::stderr().write_all(text.as_bytes()).ok();
    }
    let scripted: &[Scripted] = &[
        ("without_kind_the_run_leaves_with_4", without_kind),
        ("a_kind_that_is_too_old_is_refused", old_kind),
        (
            "without_a_container_runtime_the_run_leaves_with_4",
            without_docker,
        ),
        ("an_image_that_is_missing_is_told", without_image),
        ("nodes_that_do_not_start_say_why", nodes_that_fail),
        ("a_creation_that_was_killed_is_swept", killed_creation),
        (
            "an_interrupted_creation_leaves_nothing",
            interrupted_creation,
        ),
        (
            "an_interrupt_before_the_cluster_is_ready_leaves_nothing",
            interrupted_readiness,
        ),
        (
            "an_interrupt_does_not_stop_the_cleaning_up",
            interrupted_cleaning,
        ),
        (
            "a_second_interrupt_leaves_all_and_says_how_to_clean_up",
            interrupted_twice,
        ),
        (
            "a_control_plane_without_a_program_names_it",
            without_program,
        ),
        ("an_existing_cluster_needs_its_context", without_context),
        ("k3s_that_cannot_be_had_says_why", without_k3s),
        ("k3s_runs_its_containers_itself", simulated_on_k3s),
    ];
    let real: &[Real] = &[
        ("a_run_leaves_nothing_behind", nothing_left),
        ("a_killed_run_is_swept", killed_run),
        ("two_runs_at_once_have_clusters_of_their_own", two_at_once),
        ("an_interrupted_run_leaves_nothing", interrupted_run),
        ("a_server_that_dies_ends_the_run_with_4", dead_server),
        ("evidence_needs_a_folder", evidence_without_folder),
        (
            "a_full_disk_costs_evidence_and_no_verdict",
            evidence_without_room,
        ),
        ("a_kept_cluster_is_owned_by_who_takes_it", kept_and_killed),
        (
            "an_existing_cluster_is_refused_without_its_uid",
            not_allowed,
        ),
        ("an_existing_cluster_is_left_as_it_was", left_as_it_was),
        (
            "what_a_killed_run_made_on_an_existing_cluster_is_swept",
            killed_on_existing,
        ),
    ];
    let mut trials: Vec<Trial> = scripted
        .iter()
        .map(|&(name, test)| Trial::test(name, test))
        .collect();
    for &(name, test) in real {
        let found = assets.clone();
        trials.push(
            Trial::test(name, move || {
                test(&found.ok_or("KUBEBUILDER_ASSETS is not set")?)
            })
            .with_ignored_flag(assets.is_none()),
        );
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A place of its own for one test.
struct Place {
    folder: TempDir,
    assets: Option<PathBuf>,
}

const QUICK: &str = "apiVersion: wavetank/v1
kind: Scenario
metadata: {name: quick}
spec:
  app: {namespace: quick-of-the-run, syncPolicy: {syncOptions: [CreateNamespace=true]}}
  expect: {operation: {phase: Succeeded}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
";

const SLOW: &str = "apiVersion: wavetank/v1
kind: Scenario
metadata: {name: slow}
spec:
  steps: [{sync: {}}, {advance: 5m}]
  expect: {operation: {phase: Succeeded}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
";

impl Place {
    fn new(assets: Option<&Path>) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("bin"))?;
        fs::write(folder.path().join("quick.yaml"), QUICK)?;
        fs::write(folder.path().join("slow.yaml"), SLOW)?;
        Ok(Self {
            folder,
            assets: assets.map(Path::to_owned),
        })
    }

    /// A `kind` that is this shell script.
    fn kind(&self, script: &str) -> Done {
        let path = self.folder.path().join("bin/kind");
        let log = self.folder.path().join("kind.log");
        let text = format!("#!/bin/sh\necho \"$@\" >> {}\n{script}\n", log.display());
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// A `kind` that is new enough, and of whose commands these do something: arms of a shell's `case`.
    fn new_kind(&self, arms: &str) -> Done {
        self.kind(&format!(
            "case \"$1\" in version) echo 'kind v0.33.0 go1.26 linux/amd64';; {arms} esac"
        ))
    }

    /// What `kind` was asked for.
    fn asked(&self) -> String {
        fs::read_to_string(self.folder.path().join("kind.log")).unwrap_or_default()
    }

    fn has_deleted(&self) -> Done {
        let asked = self.asked();
        if asked.contains("delete cluster --name wavetank-") {
            Ok(())
        } else {
            Err(format!("kind was not asked to delete: {asked}").into())
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("WAVETANK_STATE_DIR", self.folder.path().join("state"))
            .env("HOME", self.folder.path())
            .env_remove("KUBECONFIG")
            .env_remove("WAVETANK_KIND_IMAGE")
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match &self.assets {
            Some(assets) => command.env("KUBEBUILDER_ASSETS", assets),
            None => command.env_remove("KUBEBUILDER_ASSETS"),
        };
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    /// Nothing is written down, and no process has a file of ours open.
    fn is_clean(&self) -> Done {
        let listed = self.run(&["cluster", "list"])?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        if text != "no clusters\n" {
            return Err(format!("something is left: {text}").into());
        }
        let left = self.processes();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("processes are left: {left:?}").into())
        }
    }

    /// A sweep removes what a run has left; its processes end, and nothing stays.
    fn swept_by(&self, sweep: &mut Command) -> Done {
        left_with(&sweep.output()?, 0, &["removed wavetank-"])?;
        self.until("its processes have ended", |place| {
            place.processes().is_empty()
        })?;
        self.is_clean()
    }

    /// Ids and command lines of processes that name a file of this place.
    fn processes(&self) -> Vec<(String, String)> {
        let inside = format!("{}/state", self.folder.path().display());
        let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
        listed
            .filter_map(|entry| {
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let pid = entry.file_name().to_string_lossy().into_owned();
                Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
            })
            .filter(|(_, line)| line.contains(&inside))
            .collect()
    }

    /// Process ids of a program of this place.
    fn pids(&self, program: &str) -> Vec<String> {
        let is_wanted = |line: &str| {
            let first = line.split(' ').next();
            first.is_some_and(|first| first.ends_with(program))
        };
        self.processes()
            .into_iter()
            .filter(|(_, line)| is_wanted(line))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// The slow scenario's object is there.
    fn has_begun(&self, assets: &Path) -> Done {
        let clusters = self.folder.path().join("state/clusters");
        self.until("the run has begun", |_| {
            let found = fs::read_dir(&clusters)
                .into_iter()
                .flatten()
                .flatten()
                .next();
            found.is_some_and(|cluster| {
                Command::new(assets.join("kubectl"))
                    .arg("--kubeconfig")
                    .arg(cluster.path().join("kubeconfig"))
                    .args(["get", "configmap", "a"])
                    .output()
                    .is_ok_and(|output| output.status.success())
            })
        })
    }

    /// What is kept of the slow scenario holds these files.
    fn has_evidence(&self, files: &[&str]) -> Done {
        let evidence = self.folder.path().join("evidence/slow");
        for file in files {
            if !evidence.join(file).is_file() {
                return Err(format!("the evidence lacks {file}").into());
            }
        }
        Ok(())
    }

    fn until(&self, what: &str, test: impl Fn(&Self) -> bool) -> Done {
        for _ in 0..1200 {
            if test(self) {
                return Ok(());
            }
            pause();
        }
        Err(format!("within two minutes: {what}").into())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs outside are waited for in real time"
)]
fn pause() {
    thread::sleep(Duration::from_millis(100));
}

fn left_with(output: &Output, code: i32, texts: &[&str]) -> Done {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.code() != Some(code) {
        return Err(format!("exit code {:?} in place of {code}: {said}", output.status).into());
    }
    for text in texts {
        if !said.contains(text) {
            return Err(format!("`{text}` is not in: {said}").into());
        }
    }
    Ok(())
}

fn signal(child: &Child, name: &str) -> Done {
    let pid = child.id().to_string();
    if Command::new("kill").args([name, &pid]).status()?.success() {
        Ok(())
    } else {
        Err(format!("kill {name} {pid} failed").into())
    }
}

const ON_KIND: [&str; 4] = ["run", "quick.yaml", "--target", "kind"];
const SWEEP: [&str; 2] = ["cluster", "sweep"];
const ON_PLANE: [&str; 4] = ["run", "quick.yaml", "--target", "control-plane"];

fn without_kind() -> Done {
    let place = Place::new(None)?;
    left_with(&place.run(&ON_KIND)?, 4, &["there is no `kind` on PATH"])?;
    place.is_clean()
}

fn old_kind() -> Done {
    let place = Place::new(None)?;
    place.kind("echo 'kind v0.11.1 go1.16 linux/amd64'")?;
    left_with(&place.run(&ON_KIND)?, 4, &["v0.11.1", "is too old"])?;
    place.is_clean()
}

fn without_docker() -> Done {
    let place = Place::new(None)?;
    place.new_kind("get) echo 'ERROR: cannot connect to the Docker daemon' >&2; exit 1;;")?;
    left_with(
        &place.run(&ON_KIND)?,
        4,
        &["cannot use a container runtime", "Docker daemon"],
    )?;
    place.is_clean()
}

fn without_image() -> Done {
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

fn nodes_that_fail() -> Done {
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

fn killed_creation() -> Done {
    let (place, mut child) = creation("create")?;
    signal(&child, "-KILL")?;
    child.wait()?;
    let listed = place.run(&["cluster", "list"])?;
    left_with(&listed, 0, &["kind", "left over"])?;
    place.swept_by(&mut place.command(&SWEEP))?;
    place.has_deleted()
}

fn interrupted_creation() -> Done {
    let (place, child) = creation("create")?;
    signal(&child, "-INT")?;
    left_with(
        &child.wait_with_output()?,
        4,
        &["cleaning up", "interrupted"],
    )?;
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

fn interrupted_readiness() -> Done {
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
    signal(&child, "-INT")?;
    left_with(
        &child.wait_with_output()?,
        4,
        &["cleaning up", "interrupted"],
    )?;
    place.has_deleted()?;
    place.is_clean()
}

fn interrupted_cleaning() -> Done {
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

fn interrupted_twice() -> Done {
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

fn without_program() -> Done {
    let place = Place::new(None)?;
    let folder = place.folder.path().join("assets");
    fs::create_dir(&folder)?;
    fs::write(folder.join("etcd"), "")?;
    let mut command = place.command(&ON_PLANE);
    let output = command.env("KUBEBUILDER_ASSETS", &folder).output()?;
    left_with(&output, 4, &["assets/kube-apiserver is not there"])?;
    place.is_clean()
}

fn without_context() -> Done {
    let place = Place::new(None)?;
    let output = place.run(&["run", "quick.yaml", "--target", "kubeconfig"])?;
    left_with(&output, 3, &["--context NAME", "never taken"])?;
    place.is_clean()
}

const ON_K3S: [&str; 4] = ["run", "quick.yaml", "--target", "k3s"];

/// Neither without the feature nor without a container engine there is a k3s.
fn without_k3s() -> Done {
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

fn simulated_on_k3s() -> Done {
    let place = Place::new(None)?;
    let output = place.run(&[&ON_K3S[..], &["--workloads", "simulated"]].concat())?;
    left_with(&output, 3, &["k3s runs its workloads itself"])?;
    place.is_clean()
}

fn nothing_left(assets: &Path) -> Done {
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

fn killed_run(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let mut child = slow(&place)?;
    let listed = place.run(&["cluster", "list"])?;
    left_with(&listed, 0, &["control-plane", "in use by process"])?;
    left_with(&place.run(&SWEEP)?, 0, &["nothing is left over"])?;
    signal(&child, "-KILL")?;
    child.wait()?;
    place.swept_by(&mut place.command(&SWEEP))
}

fn two_at_once(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let (first, second) = (
        place.command(&ON_PLANE).spawn()?,
        place.command(&ON_PLANE).spawn()?,
    );
    left_with(&first.wait_with_output()?, 0, &["PASSED"])?;
    left_with(&second.wait_with_output()?, 0, &["PASSED"])?;
    place.is_clean()
}

fn interrupted_run(assets: &Path) -> Done {
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

fn dead_server(assets: &Path) -> Done {
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

fn evidence_without_folder(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    fs::write(place.folder.path().join("taken"), "")?;
    let mut command = place.command(&ON_PLANE);
    let output = command.args(["--evidence", "taken"]).output()?;
    left_with(&output, 3, &["taken", "cannot create the folder"])?;
    place.is_clean()
}

fn evidence_without_room(assets: &Path) -> Done {
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

fn kept_and_killed(assets: &Path) -> Done {
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

fn not_allowed(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let kubeconfig = somebodys(&place)?.display().to_string();
    let asked = place.run(&on_existing(&kubeconfig, ""))?;
    left_with(&asked, 4, &["nobody has allowed it", "--allow-cluster "])?;
    let wrong = place.run(&on_existing(&kubeconfig, "0000"))?;
    left_with(&wrong, 4, &["names 0000, which is another cluster"])?;
    end(&place)
}

fn killed_on_existing(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let path = somebodys(&place)?;
    let kubeconfig = path.display().to_string();
    let slow = QUICK.replace(
        "  expect:",
        "  steps: [{sync: {}}, {advance: 5m}]\n  expect:",
    );
    fs::write(place.folder.path().join("quick.yaml"), slow)?;
    let kubectl = |arguments: &[&str]| -> Result<String, Failed> {
        let output = Command::new(assets.join("kubectl"))
            .args(["--kubeconfig", &kubeconfig])
            .args(arguments)
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
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

fn left_as_it_was(assets: &Path) -> Done {
    let place = Place::new(Some(assets))?;
    let path = somebodys(&place)?;
    let kubeconfig = path.display().to_string();
    let before = fs::read(&path)?;
    let kubectl = |arguments: &[&str]| -> Result<String, Failed> {
        let output = Command::new(assets.join("kubectl"))
            .args(["--kubeconfig", &kubeconfig])
            .args(arguments)
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
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
