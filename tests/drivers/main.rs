//! What goes wrong with real clusters before and beside a run: programs that are missing, too old or fail, a program
//! that is killed, two at once. Nothing of ours is left behind, and nothing of others is touched.
//!
//! `kind` is a script here that says what it is told to; with `KUBEBUILDER_ASSETS` a control plane is started too.

mod existing;
mod kind;
mod missing;
mod place;
mod plane;

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

type Done = Result<(), Failed>;
type Scripted = (&'static str, fn() -> Done);
type Real = (&'static str, fn(&Path) -> Done);

/// What needs no cluster.
const SCRIPTED: &[Scripted] = &[
    ("without_kind_the_run_leaves_with_4", kind::without_kind),
    ("a_kind_that_is_too_old_is_refused", kind::old_kind),
    (
        "without_a_container_runtime_the_run_leaves_with_4",
        kind::without_docker,
    ),
    ("an_image_that_is_missing_is_told", kind::without_image),
    ("nodes_that_do_not_start_say_why", kind::nodes_that_fail),
    ("a_creation_that_was_killed_is_swept", kind::killed_creation),
    (
        "an_interrupted_creation_leaves_nothing",
        kind::interrupted_creation,
    ),
    (
        "a_container_on_its_way_is_waited_for_and_deleted",
        kind::container_on_its_way,
    ),
    (
        "an_interrupt_while_images_are_loaded_leaves_nothing",
        kind::interrupted_load,
    ),
    (
        "an_interrupt_before_the_cluster_is_ready_leaves_nothing",
        kind::interrupted_readiness,
    ),
    (
        "an_interrupt_does_not_stop_the_cleaning_up",
        kind::interrupted_cleaning,
    ),
    (
        "a_second_interrupt_leaves_all_and_says_how_to_clean_up",
        kind::interrupted_twice,
    ),
    (
        "a_deletion_that_is_under_way_is_waited_for",
        kind::deletion_under_way,
    ),
    ("a_deletion_that_fails_is_told", kind::deletion_that_fails),
    (
        "a_control_plane_without_a_program_names_it",
        missing::without_program,
    ),
    (
        "an_existing_cluster_needs_its_context",
        missing::without_context,
    ),
    ("k3s_that_cannot_be_had_says_why", missing::without_k3s),
    ("k3s_runs_its_containers_itself", missing::simulated_on_k3s),
];

/// What needs a control plane.
const REAL: &[Real] = &[
    ("a_run_leaves_nothing_behind", plane::nothing_left),
    ("a_killed_run_is_swept", plane::killed_run),
    (
        "two_runs_at_once_have_clusters_of_their_own",
        plane::two_at_once,
    ),
    (
        "of_two_runs_one_takes_a_kept_cluster",
        plane::two_want_one_kept,
    ),
    ("an_interrupted_run_leaves_nothing", plane::interrupted_run),
    ("a_server_that_dies_ends_the_run_with_4", plane::dead_server),
    ("evidence_needs_a_folder", plane::evidence_without_folder),
    (
        "a_full_disk_costs_evidence_and_no_verdict",
        plane::evidence_without_room,
    ),
    (
        "a_kept_cluster_is_owned_by_who_takes_it",
        plane::kept_and_killed,
    ),
    (
        "an_existing_cluster_is_refused_without_its_uid",
        existing::not_allowed,
    ),
    (
        "an_existing_cluster_is_used_by_one_run_at_a_time",
        existing::used_by_one,
    ),
    (
        "an_existing_cluster_is_left_as_it_was",
        existing::left_as_it_was,
    ),
    (
        "what_a_killed_run_made_on_an_existing_cluster_is_swept",
        existing::killed_on_existing,
    ),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    if assets.is_none() {
        let text = "SKIPPED: no control plane. KUBEBUILDER_ASSETS names its programs\n";
        std::io::stderr().write_all(text.as_bytes()).ok();
    }
    let mut trials: Vec<Trial> = SCRIPTED
        .iter()
        .map(|&(name, test)| Trial::test(name, test))
        .collect();
    for &(name, test) in REAL {
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
