//! Reading the scenarios a command line names.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_report::Palette;
use wavetank_scenario::{LoadOptions, Problem, Scenario, discover, name_conflicts};

use crate::args::{Reading, Selection};

impl Selection {
    /// Everything that `paths` hold, or a case of it.
    pub(crate) fn of(paths: Vec<PathBuf>, case: Option<String>, reading: Reading) -> Self {
        Self {
            paths,
            filter: None,
            select: Vec::new(),
            case,
            reading,
        }
    }
}

/// A scenario, or a file that is none.
#[derive(Debug)]
pub(crate) enum Item {
    /// One run: a file, or a case of it.
    Scenario {
        /// The checked form.
        scenario: Arc<Scenario>,
        /// Rendered warnings of its file; they stand with its first scenario.
        warnings: Vec<String>,
    },
    /// A file with problems.
    Invalid {
        /// The file, as it was named.
        path: String,
        /// Every problem, rendered.
        problems: Vec<String>,
    },
}

/// Nothing can be run; the text is complete and rendered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Reads and selects, in the order of the files. Problems of a file are rendered in colour unless `palette` is plain.
///
/// # Errors
/// [`Refused`] when a path is not there, two scenarios share a name, or nothing fits the selection.
pub(crate) fn load(selection: &Selection, palette: Palette) -> anyhow::Result<Vec<Item>> {
    let styled = palette != Palette::plain();
    let files =
        discover(&selection.paths).map_err(|problems| Refused(problems.render(styled) + "\n"))?;
    let mut found = Vec::new();
    for file in &files {
        read(file, selection, styled, &mut found);
    }
    if found.is_empty() {
        return Err(Refused(nothing(selection, files.len())).into());
    }
    refuse_conflicts(&found, styled)?;
    Ok(found)
}

/// The scenario of one file, or its case of that name.
///
/// # Errors
/// [`Refused`] when the file is no scenario, has several cases and none is named, or has no such case.
pub(crate) fn one(path: &Path, case: Option<&str>, reading: Reading) -> anyhow::Result<Scenario> {
    let selection = Selection::of(vec![path.to_owned()], case.map(str::to_owned), reading);
    let loaded = wavetank_scenario::load(path, &options(path, &selection));
    let mut loaded = loaded.map_err(|problems| Refused(problems.render(false) + "\n"))?;
    let shown = path.display().to_string();
    loaded
        .scenarios
        .retain(|scenario| fits(scenario, &shown, &selection));
    only(path, loaded)
}

/// The scenario that `text` is, as if it stood in `folder`; its paths may leave it.
///
/// # Errors
/// [`Refused`] when it is none.
pub(crate) fn text(text: &str, folder: &Path) -> anyhow::Result<Scenario> {
    let options = LoadOptions {
        allow_outside: true,
        ..LoadOptions::default()
    };
    let path = folder.join("scenario.yaml");
    let loaded = wavetank_scenario::load_bytes(&path, text.as_bytes(), &options);
    only(
        &path,
        loaded.map_err(|problems| Refused(problems.render(false) + "\n"))?,
    )
}

fn only(path: &Path, mut loaded: wavetank_scenario::Loaded) -> anyhow::Result<Scenario> {
    if loaded.scenarios.len() > 1 {
        let names: Vec<&str> = loaded
            .scenarios
            .iter()
            .map(|scenario| scenario.name.as_str())
            .collect();
        let text = format!(
            "error: {} has several cases ({}): --case names the one that is meant\n",
            path.display(),
            names.join(", ")
        );
        return Err(Refused(text).into());
    }
    loaded
        .scenarios
        .pop()
        .ok_or_else(|| Refused(format!("error: {} has no such case\n", path.display())).into())
}

/// The scenarios of one file that fit the selection, or its problems.
fn read(file: &Path, selection: &Selection, styled: bool, found: &mut Vec<Item>) {
    let path = file.display().to_string();
    match wavetank_scenario::load(file, &options(file, selection)) {
        Ok(loaded) => {
            let mut warnings = rendered(&loaded.warnings, styled);
            for scenario in loaded
                .scenarios
                .into_iter()
                .filter(|scenario| fits(scenario, &path, selection))
            {
                found.push(Item::Scenario {
                    scenario: Arc::new(scenario),
                    warnings: std::mem::take(&mut warnings),
                });
            }
        }
        // Its names and labels are not known: only a text that its path lacks leaves it out.
        Err(problems) => {
            if selection
                .filter
                .as_ref()
                .is_none_or(|text| path.contains(text.as_str()))
            {
                found.push(Item::Invalid {
                    path,
                    problems: rendered(&problems.problems, styled),
                });
            }
        }
    }
}

/// How a file is read. What lies outside of the current folder runs no programs, unless that is allowed.
pub(crate) fn options(file: &Path, selection: &Selection) -> LoadOptions {
    let here = env::current_dir().and_then(|folder| folder.canonicalize());
    let inside =
        here.is_ok_and(|here| file.canonicalize().is_ok_and(|file| file.starts_with(here)));
    LoadOptions {
        root: root(file, selection),
        allow_outside: selection.reading.allow_outside,
        forbid_render: !inside && !selection.reading.allow_render,
        programs: programs(),
        ..LoadOptions::default()
    }
}

/// Where programs are looked for.
pub(crate) fn programs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect()
}

/// The root of the suite: the folder the command was started in when the file lies there, so that a file has the same
/// root alone and among others; else the folder on the command line in which it was found.
fn root(file: &Path, selection: &Selection) -> Option<PathBuf> {
    let here = env::current_dir()
        .and_then(|folder| folder.canonicalize())
        .ok();
    here.filter(|here| file.canonicalize().is_ok_and(|file| file.starts_with(here)))
        .or_else(|| {
            selection
                .paths
                .iter()
                .find(|path| file != path.as_path() && file.starts_with(path))
                .cloned()
        })
}

pub(crate) fn fits(scenario: &Scenario, path: &str, selection: &Selection) -> bool {
    let by_text = selection
        .filter
        .as_ref()
        .is_none_or(|text| scenario.name.contains(text) || path.contains(text));
    let by_label = selection
        .select
        .iter()
        .all(|(key, value)| scenario.labels.get(key) == Some(value));
    let by_case = selection.case.is_none() || scenario.case == selection.case;
    by_text && by_label && by_case
}

fn rendered(problems: &[Problem], styled: bool) -> Vec<String> {
    problems
        .iter()
        .map(|problem| problem.render(styled))
        .collect()
}

fn nothing(selection: &Selection, files: usize) -> String {
    let paths: Vec<String> = selection
        .paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let paths = paths.join(", ");
    if files == 0 {
        format!("error: there is no scenario file in {paths}\n")
    } else {
        format!("error: no scenario in {paths} fits the selection\n")
    }
}

fn refuse_conflicts(found: &[Item], styled: bool) -> Result<(), Refused> {
    let scenarios = found.iter().filter_map(|item| match item {
        Item::Scenario { scenario, .. } => Some(&**scenario),
        Item::Invalid { .. } => None,
    });
    let conflicts = name_conflicts(scenarios);
    if conflicts.is_empty() {
        Ok(())
    } else {
        Err(Refused(rendered(&conflicts, styled).join("\n\n") + "\n"))
    }
}
