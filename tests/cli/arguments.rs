//! The command line itself.

use crate::wavetank;

#[test]
fn help_names_the_commands() {
    insta::assert_snapshot!(wavetank(&["--help"]));
}

#[test]
fn help_of_run_names_flags_and_exit_codes() {
    insta::assert_snapshot!(wavetank(&["run", "--help"]));
}

#[test]
fn the_version_is_that_of_the_package() {
    let shown = wavetank(&["--version"]);
    assert!(
        shown.contains(concat!("wavetank ", env!("CARGO_PKG_VERSION"), "\n")),
        "{shown}"
    );
}

#[test]
fn an_unknown_flag_leaves_with_3() {
    insta::assert_snapshot!(wavetank(&["run", "--sed", "7"]));
}

#[test]
fn no_command_leaves_with_3() {
    assert!(wavetank(&[]).ends_with("exit code: 3\n"));
}

#[test]
fn a_label_without_value_leaves_with_3() {
    insta::assert_snapshot!(wavetank(&["list", "--select", "team"]));
}

/// An option that the rest of the command line leaves nothing to do is refused, with the reason.
#[test]
fn options_that_would_do_nothing_leave_with_3() {
    let lines = [
        "run stuck.yaml --at-most 1s --keep",
        "run stuck.yaml --target control-plane --context x",
        "run stuck.yaml --target control-plane --workloads real",
        "run stuck.yaml --target kubeconfig --context x --workloads simulated",
        "run stuck.yaml --format json -v",
        "run stuck.yaml --format junit --explain",
        "compare stuck.yaml --engines builtin,builtin --time-scale 2",
        "compare stuck.yaml --engines builtin,builtin,builtin",
        "compare stuck.yaml --engines builtin,builtin --targets fake,fake",
        "compare stuck.yaml --targets fake,fake --gets",
        "compare stuck.yaml --targets fake,fake,fake",
        "compare stuck.yaml --targets fake,fake --evidence x",
        "plan two-cases.yaml --namespace shop",
        "plan lint/manifests.yaml --case good",
        "lint stuck.yaml --namespace shop",
        "lint lint/manifests.yaml --target kind",
        "lint stuck.yaml --target fake --workloads real",
        "lint stuck.yaml --target kubeconfig --workloads simulated",
        "serve --case good",
        "serve --show-secrets",
        "serve stuck.yaml --objects .",
        "serve --time-scale 0",
        "serve two-cases.yaml",
        "explain WT101 --page",
        "fuzz-engine --differences 0",
    ];
    let mut shown = String::new();
    for line in lines {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let text = wavetank(&arguments);
        assert!(text.ends_with("exit code: 3\n"), "{text}");
        shown.push_str(&text);
        shown.push('\n');
    }
    insta::assert_snapshot!(shown);
}

/// The reference page of the command line is the help texts, so that it cannot be out of date.
#[test]
fn the_reference_page_shows_the_help_texts() {
    let page = std::fs::read_to_string(crate::folder("docs/src/reference/cli.md")).unwrap();
    let help = crate::stdout(&["--help"]);
    let commands = help
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .unwrap();
    for command in commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        let help = crate::stdout(&[command, "--help"]);
        let block = format!("## wavetank {command}\n\n```text\n{help}```\n");
        assert!(
            page.contains(&block),
            "docs/src/reference/cli.md must hold:\n\n{block}"
        );
    }
}
