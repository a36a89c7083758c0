//! Loads scenario files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cases::{self, Case, Substitution};
use crate::context::Context;
use crate::format;
use crate::problem::{Location, Problem, Problems, Severity, nearest};
use crate::read;
use crate::shape::{Ty, check};
use crate::sources::{Sources, collect, parse, reason, text_of};
use crate::types::Scenario;
use crate::yaml::{Node, NodeValue, Span};

/// How much input is read; more is refused with the limit named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputLimits {
    /// Bytes of the scenario file, and of all its manifests together.
    pub bytes: usize,
    /// Documents of one file.
    pub documents: usize,
    /// Nesting of one document.
    pub depth: usize,
    /// Nodes of one document, aliases expanded.
    pub nodes: usize,
}

impl Default for InputLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            documents: 200_000,
            depth: 100,
            nodes: 2_000_000,
        }
    }
}

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The root of the suite, which paths may not leave; `None`: the folder of the scenario file.
    pub root: Option<PathBuf>,
    /// Whether paths may leave it all the same.
    pub allow_outside: bool,
    /// Where the programs that render are looked for, as in `PATH`.
    pub programs: Vec<PathBuf>,
    /// Whether `kustomize` and `helm` sources are refused: rendering runs programs.
    pub forbid_render: bool,
    /// How much is read.
    pub limits: InputLimits,
}

/// What a file gives.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenarios: one, or one per case. Not empty.
    pub scenarios: Vec<Scenario>,
    /// What is probably not meant so, in file order.
    pub warnings: Vec<Problem>,
}

/// Loads the scenario file at `path`.
///
/// # Errors
/// Everything that is wrong with the file, in file order, with the warnings behind.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Problems> {
    let bytes = std::fs::read(path).map_err(|error| {
        Problems::one(
            path,
            whole_file(path, format!("cannot read this file: {}", reason(&error))),
        )
    })?;
    load_bytes(path, &bytes, options)
}

/// Loads a scenario file from its bytes; `path` is where relative paths start.
///
/// # Errors
/// As [`load`].
pub fn load_bytes(path: &Path, bytes: &[u8], options: &LoadOptions) -> Result<Loaded, Problems> {
    if bytes.len() > options.limits.bytes.min(u32::MAX as usize) {
        let message = format!(
            "this file has {} bytes, and {} are the limit",
            bytes.len(),
            options.limits.bytes
        );
        return Err(Problems::one(path, whole_file(path, message)));
    }
    let mut context = Context::default();
    if std::str::from_utf8(bytes).is_err() {
        context.add_source(path, String::from_utf8_lossy(bytes).into());
        let at = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
        let at = std::str::from_utf8(bytes)
            .err()
            .map_or(at, |error| error.valid_up_to());
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        context.error(
            Span {
                source: 0,
                start: at,
                end: at,
            },
            "this file is no UTF-8 text",
            "the first wrong byte",
        );
        return finish(path, Vec::new(), context);
    }
    let Some(text) = text_of(path, bytes, Span::default(), &mut context) else {
        return finish(path, Vec::new(), context);
    };
    load_text(path, text, options, context)
}

fn load_text(
    path: &Path,
    text: Arc<str>,
    options: &LoadOptions,
    mut context: Context,
) -> Result<Loaded, Problems> {
    let number = context.add_source(path, Arc::clone(&text));
    let documents = parse(number, options.limits, &mut context);
    let (scenarios, objects): (Vec<&Node>, Vec<&Node>) =
        documents.iter().partition(|node| is_scenario(node));
    let scenario = match scenarios.as_slice() {
        [scenario] => *scenario,
        [] => {
            if !(context.has_errors() && mentions_scenario(&text)) {
                no_scenario(&documents, &mut context);
            }
            return finish(path, Vec::new(), context);
        }
        [first, second, ..] => {
            let line = context.line(first.span);
            let span = second.get("kind").map_or(second.span, |kind| kind.span);
            context.error(
                span,
                "a file holds exactly one scenario",
                format!("the other begins on line {line}"),
            );
            return finish(path, Vec::new(), context);
        }
    };
    duplicates(scenario, &mut context);
    let runs = runs(scenario, &objects, path, options, &mut context);
    finish(path, runs, context)
}

fn whole_file(path: &Path, message: String) -> Problem {
    Problem {
        severity: Severity::Error,
        code: None,
        message,
        location: Location::start_of(path),
        label: String::new(),
        note: String::new(),
    }
}

fn finish(path: &Path, scenarios: Vec<Scenario>, context: Context) -> Result<Loaded, Problems> {
    let problems = crate::manifests::sorted(context.problems, path);
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(Problems {
            path: path.to_owned(),
            problems,
        });
    }
    if scenarios.is_empty() {
        return Err(Problems::one(
            path,
            whole_file(path, "this file gives no scenario".to_owned()),
        ));
    }
    Ok(Loaded {
        scenarios,
        warnings: problems,
    })
}

fn is_scenario(node: &Node) -> bool {
    let text = |key| {
        node.get(key)
            .and_then(Node::scalar_text)
            .unwrap_or_default()
    };
    text("apiVersion").starts_with("wavetank/")
        || (text("kind") == format::KIND && text("apiVersion").is_empty())
}

fn no_scenario(documents: &[Node], context: &mut Context) {
    let near = documents.iter().find_map(|node| {
        let version = node.get("apiVersion")?;
        nearest(version.scalar_text()?, [format::API_VERSION]).map(|_| version.span)
    });
    let span = near.unwrap_or_default();
    let label = if near.is_some() {
        "did you mean `wavetank/v1`?"
    } else {
        "expected a document with `apiVersion: wavetank/v1` and `kind: Scenario`"
    };
    context.error(span, "there is no scenario in this file", label);
}

/// Whether a text that could not be read was probably meant as a scenario.
fn mentions_scenario(text: &str) -> bool {
    text.contains("wavetank/v")
}

/// Every key that stands twice in a mapping of the Scenario document.
fn duplicates(node: &Node, context: &mut Context) {
    match &node.value {
        NodeValue::Scalar(_) => {}
        NodeValue::List(items) => items.iter().for_each(|item| duplicates(item, context)),
        NodeValue::Map(entries) => {
            let mut known: BTreeMap<&str, Span> = BTreeMap::new();
            for (key, value) in entries {
                match key.scalar_text() {
                    None => context.error(key.span, "a key must be text", ""),
                    Some(text) => {
                        if let Some(first) = known.insert(text, key.span) {
                            let line = context.line(first);
                            context.error(
                                key.span,
                                format!("the key `{text}` stands twice"),
                                format!("it stands on line {line} already"),
                            );
                        }
                    }
                }
                duplicates(value, context);
            }
        }
    }
}

/// One scenario, or one per case.
fn runs(
    scenario: &Node,
    objects: &[&Node],
    path: &Path,
    options: &LoadOptions,
    context: &mut Context,
) -> Vec<Scenario> {
    let mut sources = Sources::new(path, options);
    let Some(list) = scenario.at(&["spec", "cases"]) else {
        let documents = read::documents(objects.iter().copied(), &mut sources, context);
        return read::scenario(scenario, &documents, None, path, &mut sources, context)
            .into_iter()
            .collect();
    };
    let cases = cases::read(list);
    if cases.is_empty() {
        check(list, &Ty::List(&Ty::Object), context);
        context.error(
            list.span,
            "there are no cases in this list",
            "leave the key out, or add one",
        );
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut out = Vec::new();
    let mut plain: BTreeMap<usize, Vec<crate::sources::Declared>> = BTreeMap::new();
    for (case, item) in cases.iter().zip(list.items()) {
        if !names.insert(case.name.as_str()) {
            let span = item.get("name").map_or(item.span, |name| name.span);
            context.error(span, format!("two cases are called `{}`", case.name), "");
        }
        let mut substitution = Substitution::new(case);
        let put_in = without_cases(scenario, &mut substitution);
        let mut documents = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            if cases::has_parameters(object) {
                let object = substitution.put_in(object, false);
                documents.extend(read::documents([&object], &mut sources, context));
            } else {
                let known = plain
                    .entry(index)
                    .or_insert_with(|| read::documents([*object], &mut sources, context));
                documents.extend(known.iter().cloned());
            }
        }
        used.extend(std::mem::take(&mut substitution.used));
        if !substitution.unknown.is_empty() {
            unknown_parameters(&substitution, case, context);
            continue;
        }
        out.extend(read::scenario(
            &put_in,
            &documents,
            Some(&case.name),
            path,
            &mut sources,
            context,
        ));
    }
    cases::report_unused(list, &used, context);
    out
}

/// The Scenario document of a case; `cases` itself stays as written.
fn without_cases(scenario: &Node, substitution: &mut Substitution<'_>) -> Node {
    let NodeValue::Map(entries) = &scenario.value else {
        return scenario.clone();
    };
    let entries = entries.iter().map(|(key, value)| {
        let value = match &value.value {
            NodeValue::Map(spec) if key.scalar_text() == Some("spec") => {
                let (cases, rest): (Vec<_>, Vec<_>) = spec
                    .iter()
                    .cloned()
                    .partition(|(key, _)| key.scalar_text() == Some("cases"));
                let rest = substitution.put_in(
                    &Node {
                        span: value.span,
                        value: NodeValue::Map(rest),
                    },
                    true,
                );
                let NodeValue::Map(rest) = rest.value else {
                    return (key.clone(), value.clone());
                };
                Node {
                    span: value.span,
                    value: NodeValue::Map(rest.into_iter().chain(cases).collect()),
                }
            }
            _ => substitution.put_in(value, true),
        };
        (key.clone(), value)
    });
    Node {
        span: scenario.span,
        value: NodeValue::Map(entries.collect()),
    }
}

fn unknown_parameters(substitution: &Substitution<'_>, case: &Case, context: &mut Context) {
    for (span, name) in &substitution.unknown {
        context.error(
            *span,
            format!(
                "the case `{}` has no parameter `{name}`, or it is no scalar",
                case.name
            ),
            "write `$${` for a literal `${`",
        );
    }
}

/// The scenario files that `paths` name, in order and each once: files as they are, folders recursively and sorted.
///
/// In a folder, files without a Scenario document are passed over; whether there is one is told by the text.
///
/// # Errors
/// A path that is not there.
pub fn discover(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problems> {
    let mut out: Vec<PathBuf> = Vec::new();
    let mut known = BTreeSet::new();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|error| {
            Problems::one(
                path,
                whole_file(path, format!("cannot read this path: {}", reason(&error))),
            )
        })?;
        let mut files = Vec::new();
        if metadata.is_dir() {
            collect(path, &mut files);
            files.sort();
            files.retain(|file| std::fs::read(file).is_ok_and(|bytes| holds_scenario(&bytes)));
        } else {
            files.push(path.clone());
        }
        for file in files {
            if known.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                out.push(file);
            }
        }
    }
    Ok(out)
}

/// Whether a line of the text begins a scenario: `apiVersion: wavetank/…`, or the same in a flow mapping.
pub fn holds_scenario(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().any(|line| {
        let line = line
            .trim_start_matches('\u{feff}')
            .trim_start_matches("--- ")
            .trim_start_matches('{')
            .trim_start();
        let line = line.trim_start_matches(['"', '\'']);
        line.strip_prefix("apiVersion").is_some_and(|rest| {
            rest.trim_start_matches(['"', '\'', ' '])
                .strip_prefix(':')
                .is_some_and(|rest| {
                    rest.trim_start_matches([' ', '"', '\''])
                        .starts_with("wavetank/")
                })
        })
    })
}

/// Names that two scenarios of a run share, each told at the second.
pub fn name_conflicts<'a>(scenarios: impl IntoIterator<Item = &'a Scenario>) -> Vec<Problem> {
    let mut known: BTreeMap<&'a str, &'a Scenario> = BTreeMap::new();
    let mut out = Vec::new();
    for scenario in scenarios {
        if let Some(first) = known.get(scenario.name.as_str()) {
            out.push(Problem {
                severity: Severity::Error,
                code: None,
                message: format!("two scenarios of this run are called `{}`", scenario.name),
                location: scenario.declared.clone(),
                label: format!("{} has the name already", first.path.display()),
                note: String::new(),
            });
        } else {
            known.insert(&scenario.name, scenario);
        }
    }
    out
}
