//! Sources of objects: documents, files, folders, inline objects, Lists.

pub(crate) mod customizations;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use wavetank_json::Value;

use crate::annotations;
use crate::context::Context;
use crate::format;
use crate::load::{InputLimits, LoadOptions};
use crate::problem::{Severity, nearest};
use crate::render::{Destination, RenderError, Rendering};
use crate::shape::{Ty, check};
use crate::yaml::manifest::{Finding, to_json};
use crate::yaml::scalar::Dialect;
use crate::yaml::tree::{self, TreeLimits};
use crate::yaml::{Node, NodeValue, Span, split};

/// Where an object was written, for "did you mean … (line 41)".
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// The object.
    pub object: Arc<Value>,
    /// Its place.
    pub span: Span,
}

/// What makes a folder one that Kustomize renders.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Loads sources; files are read once per load.
pub(crate) struct Sources<'a> {
    options: &'a LoadOptions,
    scenario: PathBuf,
    files: BTreeMap<PathBuf, Option<Vec<Declared>>>,
    rendered: BTreeMap<Rendering, Option<Vec<Declared>>>,
    bytes: usize,
    /// What renderers are told of the application.
    pub destination: Destination,
    /// Whether something could not be loaded, so that nothing can be said of names.
    pub incomplete: bool,
}

impl<'a> Sources<'a> {
    /// Sources of the scenario file `scenario`.
    pub(crate) fn new(scenario: &Path, options: &'a LoadOptions) -> Self {
        Self {
            options,
            scenario: scenario.to_owned(),
            files: BTreeMap::new(),
            rendered: BTreeMap::new(),
            bytes: 0,
            destination: Destination::default(),
            incomplete: false,
        }
    }

    /// The objects of a list of sources.
    pub(crate) fn list(&mut self, node: Option<&Node>, context: &mut Context) -> Vec<Declared> {
        let mut out = Vec::new();
        for item in node.into_iter().flat_map(Node::items) {
            self.item(item, context, &mut out);
        }
        out
    }

    fn item(&mut self, node: &Node, context: &mut Context, out: &mut Vec<Declared>) {
        match &node.value {
            NodeValue::Scalar(scalar) => self.path(&scalar.text, node.span, context, out),
            NodeValue::Map(_) if node.get("apiVersion").is_some() || node.get("kind").is_some() => {
                self.objects(node, Dialect::Scenario, context, out);
            }
            NodeValue::Map(_) => {
                let before = context.problems.len();
                check(node, &Ty::Map(&format::SOURCE), context);
                let fine = context.problems[before..]
                    .iter()
                    .all(|problem| problem.severity != Severity::Error);
                let rendering = fine.then(|| self.rendering(node, context)).flatten();
                match rendering {
                    Some((rendering, span)) => self.rendered(rendering, span, context, out),
                    None => self.incomplete = true,
                }
            }
            NodeValue::List(_) => {}
        }
    }

    /// The single document of a file, as a tree: the Application of `from`.
    pub(crate) fn document(
        &mut self,
        path: &str,
        span: Span,
        context: &mut Context,
    ) -> Option<Node> {
        let file = self.resolve(path, span, context)?;
        let documents = self.documents(&file, span, context)?;
        let found = documents
            .into_iter()
            .find(|node| node.get("kind").and_then(Node::scalar_text) == Some("Application"));
        if found.is_none() {
            context.error(span, format!("there is no Application in `{path}`"), "");
        }
        found
    }

    fn path(&mut self, text: &str, span: Span, context: &mut Context, out: &mut Vec<Declared>) {
        let Some(path) = self.resolve(text, span, context) else {
            self.incomplete = true;
            return;
        };
        let mut files = Vec::new();
        if path.is_dir() {
            collect(&path, &mut files);
            files.sort();
            if files.is_empty() {
                context.warning(
                    span,
                    format!("there are no manifests in `{text}`"),
                    "*.yaml, *.yml and *.json are read",
                );
            }
        } else {
            files.push(path);
        }
        for file in files {
            match self.file(file, span, context) {
                Some(objects) => out.extend(objects),
                None => self.incomplete = true,
            }
        }
    }

    /// What a source that is to be rendered asks for; `None` when that is wrong, which was told.
    fn rendering(&self, node: &Node, context: &mut Context) -> Option<(Rendering, Span)> {
        if let Some(folder) = node.get("kustomize") {
            let folder = self.folder(folder, context)?;
            return Some((Rendering::Kustomize { folder }, node.span));
        }
        let helm = node.get("helm")?;
        let chart = self.folder(helm.get("chart")?, context)?;
        let mut values = Vec::new();
        for file in helm.get("values").into_iter().flat_map(Node::items) {
            let text = file.scalar_text().unwrap_or_default();
            // As everywhere relative to the scenario, and as in Argo CD relative to the chart.
            let in_chart = chart.join(text);
            let beside = self.scenario.parent().unwrap_or(Path::new("")).join(text);
            if !beside.exists() && !climbs_out(text, &chart, &chart) && in_chart.is_file() {
                values.push(in_chart);
            } else {
                values.push(self.resolve(text, file.span, context)?);
            }
        }
        let set: Vec<_> = helm
            .get("set")
            .map_or(&[][..], Node::entries)
            .iter()
            .filter_map(|(name, value)| {
                let NodeValue::Scalar(scalar) = &value.value else {
                    let message = "`set` gives single values";
                    context.error(
                        value.span,
                        message,
                        "write the path as the key: `image.tag`",
                    );
                    return None;
                };
                let is_text = crate::yaml::scalar::resolve(scalar, Dialect::Scenario)
                    .is_ok_and(|value| value.is_string());
                Some((
                    name.scalar_text()?.to_owned(),
                    scalar.text.to_string(),
                    is_text,
                ))
            })
            .collect();
        let release = helm.get("release").and_then(Node::scalar_text);
        let rendering = Rendering::helm(chart, &self.destination, release, &values, &set);
        Some((rendering, node.span))
    }

    fn folder(&self, node: &Node, context: &mut Context) -> Option<PathBuf> {
        let text = node.scalar_text()?;
        let path = self.resolve(text, node.span, context)?;
        if !path.is_dir() {
            context.error(node.span, format!("`{text}` is no folder"), "");
            return None;
        }
        Some(path)
    }

    /// Renders, once per load, and takes the objects of the output.
    pub(crate) fn rendered(
        &mut self,
        rendering: Rendering,
        span: Span,
        context: &mut Context,
        out: &mut Vec<Declared>,
    ) {
        if let Some(known) = self.rendered.get(&rendering) {
            out.extend(known.iter().flatten().cloned());
            return;
        }
        let objects = self.render(&rendering, span, context);
        self.incomplete |= objects.is_none();
        out.extend(objects.iter().flatten().cloned());
        self.rendered.insert(rendering, objects);
    }

    fn render(
        &mut self,
        rendering: &Rendering,
        span: Span,
        context: &mut Context,
    ) -> Option<Vec<Declared>> {
        let title = rendering.title();
        if self.options.forbid_render {
            let message = format!("`{}` is not run", title.display());
            let label = "this file is outside of the suite's root: needs --allow-render";
            context.error(span, message, label);
            return None;
        }
        let limit = self.options.limits.bytes.saturating_sub(self.bytes);
        let bytes = match rendering.run(&self.options.programs, limit) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("`{}` cannot be rendered", title.display());
                match error {
                    RenderError::Failed(said) => context.error_with_note(span, message, "", said),
                    other => context.error(span, message, other.to_string()),
                }
                return None;
            }
        };
        self.bytes += bytes.len();
        let text = text_of(&title, &bytes, span, context)?;
        self.text_objects(&title, text, context)
    }

    /// The objects of a text that is called `path`; `None` when it is no YAML.
    fn text_objects(
        &mut self,
        path: &Path,
        text: Arc<str>,
        context: &mut Context,
    ) -> Option<Vec<Declared>> {
        let number = context.add_source(path, text);
        let before = context.problems.len();
        let documents = parse(number, self.options.limits, context);
        if context.problems.len() > before && context.has_errors() {
            return None;
        }
        let mut out = Vec::new();
        for document in &documents {
            self.objects(document, Dialect::Manifest, context, &mut out);
        }
        Some(out)
    }

    /// The objects at `path` without any scenario: of a file, of a folder, of a folder that is rendered.
    pub(crate) fn plain(&mut self, path: &Path, context: &mut Context, out: &mut Vec<Declared>) {
        let span = Span::default();
        let holds = |name: &str| path.join(name).is_file();
        if holds("Chart.yaml") {
            let rendering = Rendering::helm(path.to_owned(), &self.destination, None, &[], &[]);
            return self.rendered(rendering, span, context, out);
        }
        if KUSTOMIZATIONS.iter().any(|name| holds(name)) {
            let folder = path.to_owned();
            return self.rendered(Rendering::Kustomize { folder }, span, context, out);
        }
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, &mut files);
            files.sort();
        } else {
            files.push(path.to_owned());
        }
        for file in files {
            match self.file(file, span, context) {
                Some(objects) => out.extend(objects),
                None => self.incomplete = true,
            }
        }
    }

    /// The objects of `bytes`, which are called `path`.
    pub(crate) fn plain_text(
        &mut self,
        path: &Path,
        bytes: &[u8],
        context: &mut Context,
    ) -> Vec<Declared> {
        let Some(text) = text_of(path, bytes, Span::default(), context) else {
            return Vec::new();
        };
        self.text_objects(path, text, context).unwrap_or_default()
    }

    /// The file or folder `text`, relative to the scenario file and within the root of the suite.
    fn resolve(&self, text: &str, span: Span, context: &mut Context) -> Option<PathBuf> {
        let base = self.scenario.parent().unwrap_or(Path::new(""));
        let path = base.join(text);
        let base = if base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            base
        };
        let root = self.options.root.as_deref().unwrap_or(base);
        let inside = |path: &Path| match (path.canonicalize(), root.canonicalize()) {
            (Ok(path), Ok(root)) => path.starts_with(root),
            _ => false,
        };
        if !self.options.allow_outside
            && (Path::new(text).is_absolute() || climbs_out(text, base, root))
        {
            context.error(
                span,
                format!("`{text}` leaves the root of the suite"),
                "needs --allow-outside",
            );
            return None;
        }
        if let Err(error) = std::fs::metadata(&path) {
            context.error(
                span,
                format!("`{text}` cannot be read: {}", reason(&error)),
                "relative to the scenario file",
            );
            return None;
        }
        if !self.options.allow_outside && !inside(&path) {
            context.error(
                span,
                format!("`{text}` leaves the root of the suite by a symbolic link"),
                "needs --allow-outside",
            );
            return None;
        }
        Some(path)
    }

    fn file(&mut self, path: PathBuf, span: Span, context: &mut Context) -> Option<Vec<Declared>> {
        if let Some(known) = self.files.get(&path) {
            return known.clone();
        }
        let loaded = self.documents(&path, span, context).map(|documents| {
            let mut out = Vec::new();
            for document in &documents {
                self.objects(document, Dialect::Manifest, context, &mut out);
            }
            out
        });
        self.files.insert(path, loaded.clone());
        loaded
    }

    fn documents(&mut self, path: &Path, span: Span, context: &mut Context) -> Option<Vec<Node>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                context.error(
                    span,
                    format!("{} cannot be read: {}", path.display(), reason(&error)),
                    "",
                );
                return None;
            }
        };
        self.bytes += bytes.len();
        if self.bytes > self.options.limits.bytes {
            let limit = self.options.limits.bytes;
            context.error(span, format!("the manifests of this scenario have more than {limit} bytes, which is the limit"), "");
            return None;
        }
        let text = text_of(path, &bytes, span, context)?;
        let number = context.add_source(path, text);
        let before = context.problems.len();
        let documents = parse(number, self.options.limits, context);
        if context.problems.len() > before && context.has_errors() {
            None
        } else {
            Some(documents)
        }
    }

    /// The object of `node`, or the objects of a List.
    pub(crate) fn objects(
        &mut self,
        node: &Node,
        dialect: Dialect,
        context: &mut Context,
        out: &mut Vec<Declared>,
    ) {
        let text = |key: &str| {
            node.get(key)
                .and_then(Node::scalar_text)
                .unwrap_or_default()
        };
        if !node.is_map() {
            if !matches!(&node.value, NodeValue::Scalar(scalar) if scalar.plain && scalar.text.is_empty())
            {
                context.error(
                    node.span,
                    "this is no Kubernetes object",
                    "expected a mapping with `apiVersion` and `kind`",
                );
                self.incomplete = true;
            }
            return;
        }
        for key in ["apiVersion", "kind"] {
            if text(key).is_empty() {
                let keys = node
                    .entries()
                    .iter()
                    .filter_map(|(key, _)| key.scalar_text());
                let label = match nearest(key, keys) {
                    _ if context.text(first_line(node, context)).contains("{{") => {
                        "this looks like a template that was not rendered".to_owned()
                    }
                    Some(near) => format!("is `{near}` meant to be it?"),
                    None => "every object has one".to_owned(),
                };
                context.error(
                    first_line(node, context),
                    format!("this object has no `{key}`"),
                    label,
                );
                self.incomplete = true;
                return;
            }
        }
        if text("apiVersion") == format::API_VERSION {
            context.error(
                first_line(node, context),
                "a scenario cannot be a desired object",
                "",
            );
            return;
        }
        if text("kind").ends_with("List") && node.get("items").is_some() {
            for item in node.get("items").into_iter().flat_map(Node::items) {
                self.objects(item, dialect, context, out);
            }
            return;
        }
        let metadata = node.get("metadata");
        let named = |key| {
            metadata
                .and_then(|meta| meta.get(key))
                .and_then(Node::scalar_text)
                .is_some_and(|name| !name.is_empty())
        };
        if !named("name") && !named("generateName") {
            context.error(
                first_line(node, context),
                format!("this {} has no `metadata.name`", text("kind")),
                "",
            );
        }
        annotations::check(node, context);
        let mut findings = Vec::new();
        let value = to_json(node, dialect, &mut findings);
        report(findings, dialect, context);
        out.push(Declared {
            object: Arc::new(value),
            span: node.span,
        });
    }
}

/// Puts what a conversion found to the problems.
pub(crate) fn report(findings: Vec<Finding>, dialect: Dialect, context: &mut Context) {
    for finding in findings {
        match finding {
            Finding::Duplicate { key, span } if dialect == Dialect::Manifest => {
                context.warning(
                    span,
                    format!("the key `{key}` stands twice"),
                    "the last one wins, as with kubectl",
                );
            }
            Finding::Duplicate { .. } => {}
            Finding::NoValue { reason, span } => context.error(span, reason, ""),
            Finding::Key { span } => {
                context.error(span, "a key must be text, a number or a truth value", "");
            }
        }
    }
}

/// The documents of source `number`, as trees; the first syntax error of each goes to the problems.
pub(crate) fn parse(number: u32, limits: InputLimits, context: &mut Context) -> Vec<Node> {
    let text = Arc::clone(&context.sources[number as usize].text);
    let ranges = split::split(&text);
    if ranges.len() > limits.documents {
        let at = u32::try_from(ranges[limits.documents].start).unwrap_or(u32::MAX);
        let span = Span {
            source: number,
            start: at,
            end: at,
        };
        let message = format!(
            "this file has {} documents, and {} are the limit",
            ranges.len(),
            limits.documents
        );
        context.error(span, message, "this one is one too many");
        return Vec::new();
    }
    let tree_limits = TreeLimits {
        depth: limits.depth,
        nodes: limits.nodes,
    };
    let mut documents = Vec::with_capacity(ranges.len());
    for range in ranges {
        match tree::read(&text[range.clone()], number, range.start, tree_limits) {
            Ok(Some(node)) => documents.push(node),
            Ok(None) => {}
            Err(error) => context.error(error.span, error.message, error.label),
        }
    }
    documents
}

/// The bytes as text without byte order mark.
pub(crate) fn text_of(
    path: &Path,
    bytes: &[u8],
    span: Span,
    context: &mut Context,
) -> Option<Arc<str>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Arc::from(text)),
        Err(error) => {
            let message = format!(
                "{} is no UTF-8 text, byte {} is the first wrong one",
                path.display(),
                error.valid_up_to()
            );
            context.error(span, message, "");
            None
        }
    }
}

/// An I/O error in few words.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Adds every file of that name in `folder` and below.
fn collect_named(folder: &Path, name: &str, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect_named(&path, name, files);
        } else if path.file_name().is_some_and(|file| file == name) {
            files.push(path);
        }
    }
}

/// All manifest files below `folder`.
pub(crate) fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if !link {
                collect(&path, files);
            }
        } else if path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json")
        {
            files.push(path);
        }
    }
}

/// Whether `text`, from `base`, leaves `root` by the letter of the path.
fn climbs_out(text: &str, base: &Path, root: &Path) -> bool {
    let below = match (base.canonicalize(), root.canonicalize()) {
        (Ok(base), Ok(root)) => base
            .strip_prefix(root)
            .map_or(0, |rest| rest.components().count()),
        _ => 0,
    };
    let mut depth = i64::try_from(below).unwrap_or(0);
    for part in Path::new(text).components() {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// The first line of a mapping: enough to point at.
fn first_line(node: &Node, context: &Context) -> Span {
    let length = context
        .text(node.span)
        .lines()
        .next()
        .map_or(0, |line| line.trim_end().len());
    Span {
        end: node.span.start + u32::try_from(length).unwrap_or(0),
        ..node.span
    }
}
