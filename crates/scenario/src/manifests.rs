//! Objects with their places, and manifests without a scenario.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_json::Value;

use crate::context::Context;
use crate::load::{InputLimits, LoadOptions};
use crate::problem::{Location, Problem, Problems, Severity};
use crate::render::Destination;
use crate::sources::{Declared, Sources};
use crate::types::{App, Cluster};
use crate::yaml::tree::{self, TreeLimits};
use crate::yaml::{Node, NodeValue, split};

/// An object and where it was written.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The object.
    pub object: Arc<Value>,
    /// The whole of it.
    pub location: Location,
}

/// What files of manifests hold.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The objects, in the order of the files.
    pub objects: Vec<Placed>,
    /// What is probably not meant so, in file order.
    pub warnings: Vec<Problem>,
}

/// Reads the objects at `path`: a file, a folder of manifests, or a folder that Helm (`Chart.yaml`) or Kustomize
/// (`kustomization.yaml`) renders, as Argo CD tells them apart. Objects without namespace go to `namespace`.
///
/// # Errors
/// Everything that cannot be read.
pub fn manifests(
    path: &Path,
    namespace: &str,
    options: &LoadOptions,
) -> Result<Manifests, Problems> {
    let (mut context, mut sources) = reader(path, namespace, options);
    let mut objects = Vec::new();
    sources.plain(path, &mut context, &mut objects);
    finish(path, objects, context)
}

/// As [`manifests`], from bytes that are called `path`.
///
/// # Errors
/// As [`manifests`].
pub fn manifests_of_text(
    path: &Path,
    bytes: &[u8],
    options: &LoadOptions,
) -> Result<Manifests, Problems> {
    let (mut context, mut sources) = reader(path, "default", options);
    let objects = sources.plain_text(path, bytes, &mut context);
    finish(path, objects, context)
}

fn reader<'o>(path: &Path, namespace: &str, options: &'o LoadOptions) -> (Context, Sources<'o>) {
    let mut context = Context::default();
    // What is told without a place is told of the path.
    let _whole = context.add_source(path, "".into());
    let mut sources = Sources::new(path, options);
    let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let app = folder.file_name().map(|name| name.to_string_lossy());
    sources.destination = Destination {
        app: app.map_or("app".to_owned(), std::borrow::Cow::into_owned),
        namespace: namespace.to_owned(),
        version: Cluster::default().version,
    };
    (context, sources)
}

fn finish(path: &Path, objects: Vec<Declared>, context: Context) -> Result<Manifests, Problems> {
    let objects = objects
        .into_iter()
        .map(|declared| declared.placed(&context))
        .collect();
    let problems = sorted(context.problems, path);
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        let path = path.to_owned();
        return Err(Problems { path, problems });
    }
    Ok(Manifests {
        objects,
        warnings: problems,
    })
}

/// Errors first, those of the file `path` before those of others, in file order.
pub(crate) fn sorted(mut problems: Vec<Problem>, path: &Path) -> Vec<Problem> {
    problems.sort_by_cached_key(|problem| {
        let elsewhere = problem.location.source.path != path;
        (problem.severity, elsewhere, problem.sort_key())
    });
    problems
}

impl App {
    /// The desired objects of the first commit with their places.
    pub fn placed(&self) -> impl Iterator<Item = Placed> {
        self.manifests
            .iter()
            .zip(&self.places)
            .map(|(object, location)| Placed {
                object: Arc::clone(object),
                location: location.clone(),
            })
    }
}

impl Declared {
    /// The object with its place.
    pub(crate) fn placed(self, context: &Context) -> Placed {
        Placed {
            location: context.location(self.span),
            object: self.object,
        }
    }
}

impl Placed {
    /// Where the value at `path` (keys of mappings, positions in lists) was written; `None` when it was not.
    ///
    /// Reads the document once more: for messages, not for loops.
    pub fn find(&self, path: &[&str]) -> Option<Location> {
        let text = &self.location.source.text;
        let start = self.location.span.start;
        let range = split::split(text)
            .into_iter()
            .find(|range| range.contains(&start))?;
        let limits = InputLimits::default();
        let limits = TreeLimits {
            depth: limits.depth,
            nodes: limits.nodes,
        };
        let document = tree::read(&text[range.clone()], 0, range.start, limits).ok()??;
        let mut node = at_span(&document, &self.location.span)?;
        for part in path {
            node = match &node.value {
                NodeValue::Map(_) => node.get(part)?,
                NodeValue::List(items) => items.get(part.parse::<usize>().ok()?)?,
                NodeValue::Scalar(_) => return None,
            };
        }
        Some(Location {
            source: Arc::clone(&self.location.source),
            span: node.span.range(),
        })
    }

    /// Where its name was written; the whole object where that is not to be found.
    pub fn name(&self) -> Location {
        [
            &["metadata", "name"][..],
            &["metadata", "generateName"],
            &["kind"],
        ]
        .into_iter()
        .find_map(|path| self.find(path))
        .unwrap_or_else(|| self.location.clone())
    }

    /// The part `word` of the scalar at `path`; the name where that is not to be found.
    pub fn word(&self, path: &[&str], word: &str) -> Location {
        let Some(location) = self.find(path) else {
            return self.name();
        };
        let text = location.source.text.get(location.span.clone());
        let at = text
            .and_then(|text| text.find(word))
            .filter(|_| !word.is_empty());
        match at {
            Some(at) => {
                let start = location.span.start + at;
                Location {
                    span: start..start + word.len(),
                    ..location
                }
            }
            None => location,
        }
    }

    /// The file it was written in.
    pub fn path(&self) -> &PathBuf {
        &self.location.source.path
    }
}

/// The node that stands just there.
fn at_span<'n>(node: &'n Node, span: &std::ops::Range<usize>) -> Option<&'n Node> {
    let own = node.span.range();
    if own == *span && node.is_map() {
        return Some(node);
    }
    if own.start > span.start || own.end < span.end {
        return None;
    }
    match &node.value {
        NodeValue::Scalar(_) => None,
        NodeValue::List(items) => items.iter().find_map(|item| at_span(item, span)),
        NodeValue::Map(entries) => entries.iter().find_map(|(_, value)| at_span(value, span)),
    }
}
