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
